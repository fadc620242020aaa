//! The life of a connection: what comes in which order, and how it ends. On every driver.

use crate::drivers;
use crate::recorder::{Recorder, connect, end, reports};
use asyncio_loop::get_running_loop;
use asyncio_tasks::yield_now;
use asyncio_transports::{LoopTransportsExt as _, Transport};
use std::cell::RefCell;
use std::rc::Rc;

/// What a callback does to its own transport.
type Action = fn(&Transport);

drivers::on_each_driver! {
    // sem. 195
    async fn connection_made_comes_first_and_before_the_creator_goes_on() {
        let (client, server) = (Recorder::default().on("made", |it| it.write(b"hello")), Recorder::default());
        let ((transport, protocol), listening) = connect(&client, &server).await;
        assert_eq!(client.record.events(), ["made"]);
        assert!(client.record.transport().is_same(&transport) && protocol.borrow().record.events().len() == 1);
        server.record.until_received(5).await;
        assert_eq!(server.record.events(), ["made", "data"]);
        transport.close();
        end(listening).await;
    }

    // sem. 196, 200
    async fn events_come_in_order_and_the_end_of_the_peer_closes() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(b"all");
        transport.close();
        server.record.until_event("lost").await;
        assert_eq!(server.record.events(), ["made", "data", "eof", "lost"]);
        assert_eq!(server.record.received(), b"all");
        client.record.until_event("lost").await;
        assert_eq!(client.record.events(), ["made", "lost"]);
        end(listening).await;
    }

    // sem. 197
    async fn connection_lost_never_comes_inside_a_call() {
        for close in [Transport::close, Transport::abort] {
            let (client, server) = (Recorder::default(), Recorder::default());
            let ((transport, _), listening) = connect(&client, &server).await;
            let order = Rc::new(RefCell::new(Vec::new()));
            close(&transport);
            close(&transport);
            let (record, seen) = (client.record.clone(), order.clone());
            get_running_loop().call_soon(move || seen.borrow_mut().push(record.events().len()));
            assert_eq!((client.record.events().len(), transport.is_closing()), (1, true));
            yield_now().await;
            assert_eq!((client.record.events(), order.take()), (vec!["made".into(), "lost".into()], vec![2]));
            end(listening).await;
        }
    }

    // sem. 198
    async fn close_sends_what_waits_and_receives_no_more() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        let sent: Vec<u8> = (0..5_000_000_u32).map(|n| n as u8).collect();
        transport.write(&sent);
        transport.close();
        assert!(!transport.is_reading() && transport.get_write_buffer_size() > 0);
        server.record.until_received(sent.len()).await;
        assert!(server.record.received() == sent);
        end(listening).await;
        client.record.until_event("lost").await;
        assert_eq!(client.record.events(), ["made", "pause", "resume", "lost"]);
    }

    // sem. 199
    async fn abort_drops_what_waits() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        server.record.transport().pause_reading();
        transport.write(&vec![0; 20_000_000]);
        assert!(transport.get_write_buffer_size() > 0);
        transport.abort();
        assert_eq!(transport.get_write_buffer_size(), 0);
        client.record.until_event("lost").await;
        assert_eq!(client.record.events(), ["made", "pause", "lost"]);
        server.record.transport().resume_reading();
        server.record.until_event("lost").await;
        assert!(server.record.received().len() < 20_000_000);
        end(listening).await;
    }

    // sem. 200
    async fn a_protocol_may_keep_its_side_open_after_the_end() {
        let client = Recorder::default();
        let server = Recorder::default().keeps_open().on("eof", |it| it.write(b"still here"));
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(b"question");
        transport.write_eof().unwrap();
        client.record.until_received(10).await;
        assert_eq!(server.record.events(), ["made", "data", "eof"]);
        assert!(!server.record.transport().is_reading() && !server.record.transport().is_closing());
        server.record.transport().close();
        client.record.until_event("lost").await;
        assert_eq!((client.record.events(), client.record.received()), (
            ["made", "data", "eof", "lost"].map(String::from).to_vec(), b"still here".to_vec()
        ));
        end(listening).await;
    }

    // sem. 210
    async fn write_eof_comes_after_what_was_written() {
        let (client, server) = (Recorder::default(), Recorder::default().keeps_open());
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(&vec![1; 3_000_000]);
        transport.write_eof().unwrap();
        transport.write_eof().unwrap();
        assert!(transport.can_write_eof());
        server.record.until_event("eof").await;
        assert_eq!(server.record.received().len(), 3_000_000);
        server.record.transport().write(b"answer");
        client.record.until_received(6).await;
        server.record.transport().close();
        end(listening).await;
    }

    // sem. 201
    async fn a_panic_while_data_are_handled_ends_that_connection_alone() {
        let reports = reports(&get_running_loop());
        for callback in ["data", "eof"] {
            let (client, server) = (Recorder::default(), Recorder::default().on(callback, |_| panic!("as expected")));
            let ((transport, _), listening) = connect(&client, &server).await;
            let (bystander, _) = get_running_loop()
                .create_connection(Recorder::default, listening.local_addrs()[0]).await.unwrap();
            transport.write(b"x");
            if callback == "eof" {
                transport.write_eof().unwrap();
            }
            server.record.until_event("lost").await;
            let method = if callback == "data" { "data_received" } else { "eof_received" };
            let told = format!("protocol.{method}() panicked: as expected");
            assert_eq!(server.record.events().last(), Some(&format!("lost: {told}")));
            assert_eq!(reports.take(), [told]);
            client.record.until_event("lost").await;
            assert!(!bystander.is_closing());
            bystander.close();
            end(listening).await;
        }
    }

    // sem. 202
    async fn other_panics_are_only_reported() {
        let reports = reports(&get_running_loop());
        let client = Recorder::default().on("made", |_| panic!("in made")).on("lost", |_| panic!("in lost"));
        let server = Recorder::default();
        let ((transport, _), listening) = connect(&client, &server).await;
        assert_eq!(reports.take(), ["protocol.connection_made() panicked: in made"]);
        server.record.transport().write(b"goes on");
        client.record.until_received(7).await;
        transport.close();
        end(listening).await;
        client.record.until_event("lost").await;
        assert_eq!(reports.take(), ["protocol.connection_lost() panicked: in lost"]);
    }

    // sem. 203
    async fn a_reset_is_told_to_the_protocol_and_to_nobody_else() {
        let reports = reports(&get_running_loop());
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        // Bytes that are not read make the close a reset.
        server.record.transport().pause_reading();
        transport.write(b"unread");
        yield_now().await;
        server.record.transport().abort();
        client.record.until_event("lost").await;
        assert!(client.record.events()[1].starts_with("lost: "), "{:?}", client.record.events());
        assert_eq!(reports.take(), [""; 0]);
        end(listening).await;
    }

    async fn what_arrived_before_sending_failed_is_handed_out() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.pause_reading();
        server.record.transport().write(&vec![3; 10_000]);
        server.record.transport().close();
        server.record.until_event("lost").await;
        transport.resume_reading();
        // The peer is gone: these fail, sooner or later, but not before its last words are heard.
        for _ in 0..20 {
            transport.write(b"anybody there?");
            yield_now().await;
        }
        client.record.until_event("lost").await;
        assert_eq!(client.record.received().len(), 10_000);
        end(listening).await;
    }

    // sem. 208
    async fn writes_after_the_end_are_ignored_and_then_reported() {
        let reports = reports(&get_running_loop());
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(b"");
        transport.close();
        for _ in 0..4 {
            transport.write(b"lost");
        }
        assert_eq!(reports.take(), [""; 0]);
        transport.writelines([b"lost"]);
        transport.write_bytes(&b"lost"[..]);
        assert_eq!(reports.take().len(), 1);
        end(listening).await;
        assert!(server.record.received().is_empty());
    }

    // sem. 208
    async fn writing_after_write_eof_is_a_bug() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write_eof().unwrap();
        let writer = transport.clone();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.write(b"x")));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"`write` called after `write_eof`"));
        transport.close();
        end(listening).await;
    }

    // sem. 211
    async fn pausing_takes_effect_at_once_and_may_be_repeated() {
        let (client, server) = (Recorder::default(), Recorder::default().on("made", Transport::pause_reading));
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(b"one");
        for _ in 0..5 {
            yield_now().await;
        }
        let other_end = server.record.transport();
        assert!(server.record.received().is_empty() && !other_end.is_reading());
        other_end.pause_reading();
        other_end.resume_reading();
        other_end.resume_reading();
        server.record.until_received(3).await;
        assert!(other_end.is_reading());
        transport.close();
        end(listening).await;
    }

    // sem. 214
    async fn another_protocol_gets_what_comes_from_then_on() {
        let second = Rc::new(RefCell::new(Recorder::default()));
        let next = second.clone();
        let server = Recorder::default().on("data", move |it| it.set_protocol(&next));
        let client = Recorder::default();
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(b"first");
        server.record.until_received(5).await;
        let now = server.record.transport().get_protocol().unwrap();
        assert!(now.is_same(&asyncio_transports::IntoProtocol::protocol_ref(&second)));
        transport.write(b"second");
        transport.close();
        let record = second.borrow().record.clone();
        record.until_event("lost").await;
        assert_eq!((record.events(), record.received()), (
            ["data", "eof", "lost"].map(String::from).to_vec(), b"second".to_vec()
        ));
        assert_eq!(server.record.events(), ["made", "data"]);
        end(listening).await;
    }

    async fn a_callback_may_do_anything_to_its_own_transport() {
        let actions: [(&str, Action); 6] = [
            ("close", |it| it.close()),
            ("abort", |it| it.abort()),
            ("write and close", |it| { it.write(b"bye"); it.close(); it.abort(); }),
            ("write and end", |it| { it.write(b"bye"); it.write_eof().unwrap(); it.close(); }),
            ("large", |it| { it.write(&vec![0; 1 << 20]); it.close(); }),
            ("pause", |it| { it.pause_reading(); it.resume_reading(); it.close(); }),
        ];
        for (name, action) in actions {
            for callback in ["made", "data", "eof"] {
                let (client, server) = (Recorder::default(), Recorder::default().on(callback, action));
                let ((transport, _), listening) = connect(&client, &server).await;
                transport.write(b"x");
                transport.write_eof().unwrap();
                server.record.until_event("lost").await;
                client.record.until_event("lost").await;
                let lost = server.record.events().iter().filter(|event| event.starts_with("lost")).count();
                assert_eq!(lost, 1, "{name} in {callback}");
                assert!(server.record.transport().get_protocol().is_none());
                end(listening).await;
            }
        }
    }

    async fn addresses_are_known_also_afterwards() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        let address = listening.local_addrs()[0];
        assert_eq!(transport.peer_addr().unwrap(), address);
        assert_eq!(transport.local_addr().unwrap(), server.record.transport().peer_addr().unwrap());
        assert!(transport.get_extra_info("peername").is_some() && transport.get_extra_info("nothing").is_none());
        transport.close();
        end(listening).await;
        client.record.until_event("lost").await;
        assert_eq!((transport.peer_addr().unwrap(), transport.sockname()), (address, None));
    }
}
