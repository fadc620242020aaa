//! Sending, errors, flow control, groups, and the end. On every driver.

use crate::drivers;
use crate::packets::{Logger, bound, close_all, connected, reports};
use asyncio_driver::Address;
use asyncio_loop::get_running_loop;
use asyncio_tasks::yield_now;
use asyncio_transports::{DatagramTransport, LoopTransportsExt as _};
use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

drivers::on_each_driver! {
    async fn what_a_callback_sends_leaves_together_and_in_order() {
        let (server, client) = (Logger::default(), Logger::default());
        let (serving, address) = bound(&server).await;
        let sending = connected(&client, address).await;
        // Less than what waits at most at one endpoint of the scripted driver.
        for n in 0..60_u8 {
            sending.sendto(&vec![n; usize::from(n)], None);
        }
        server.log.until_packets(60).await;
        assert_eq!(server.log.contents(), (0..60_u8).map(|n| vec![n; usize::from(n)]).collect::<Vec<_>>());
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    // sem. 215
    async fn a_refused_packet_is_an_error_and_the_transport_stays_open() {
        let (server, client) = (Logger::default(), Logger::default());
        let (gone, address) = bound(&server).await;
        close_all([(&gone, &server)]).await;
        let sending = connected(&client, address).await;
        sending.sendto(b"anybody?", None);
        client.log.until_event("error: ConnectionRefused").await;
        assert!(!sending.is_closing());
        let (server, event_loop) = (Logger::default(), get_running_loop());
        let (serving, _) =
            event_loop.create_datagram_endpoint(|| server.clone()).local_addr(address).await.unwrap();
        sending.sendto(b"there you are", None);
        server.log.until_packets(1).await;
        assert_eq!(client.log.events(), ["made", "error: ConnectionRefused"]);
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    async fn a_packet_without_an_address_is_an_error_of_its_own() {
        let (server, client) = (Logger::default(), Logger::default());
        let ((serving, address), (sending, _)) = (bound(&server).await, bound(&client).await);
        sending.sendto(b"to nowhere", None);
        sending.sendto(b"to you", address);
        server.log.until_packets(1).await;
        assert_eq!(server.log.contents(), [b"to you"]);
        assert_eq!((client.log.events().len(), client.log.events()[1].starts_with("error: ")), (2, true));
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    async fn packets_to_a_group_reach_its_members() {
        let (member, client) = (Logger::default(), Logger::default());
        let event_loop = get_running_loop();
        let (receiving, _) =
            event_loop.create_datagram_endpoint(|| member.clone()).local_addr(("0.0.0.0", 0)).await.unwrap();
        let (group, interface) = (Ipv4Addr::new(239, 255, 77, 2), Ipv4Addr::LOCALHOST);
        receiving.join_multicast_v4(group, interface).unwrap();
        assert_eq!(receiving.join_multicast_v4(group, interface).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        let (sending, _) = bound(&client).await;
        let port = receiving.local_addr().unwrap().port();
        sending.sendto(b"to all", SocketAddr::from((group, port)));
        member.log.until_packets(1).await;
        receiving.leave_multicast_v4(group, interface).unwrap();
        sending.sendto(b"to others", SocketAddr::from((group, port)));
        sending.sendto(b"to you", SocketAddr::from((interface, port)));
        member.log.until_packets(2).await;
        assert_eq!(member.log.contents(), [&b"to all"[..], b"to you"]);
        close_all([(&receiving, &member), (&sending, &client)]).await;
        let closed = receiving.join_multicast_v4(group, interface).unwrap_err();
        assert_eq!(closed.kind(), io::ErrorKind::NotConnected);
    }

    async fn an_echo_answers_whoever_asks() {
        let answered = Rc::new(Cell::new(0));
        let count = answered.clone();
        let server = Logger::default();
        let log = server.log.clone();
        let echo = server.clone().on("packet", move |transport| {
            let (packet, sender) = log.packets().last().cloned().unwrap();
            transport.sendto(&packet, sender);
            count.set(count.get() + 1);
        });
        let (serving, address) = bound(&echo).await;
        let clients = [Logger::default(), Logger::default(), Logger::default()];
        let mut sending = Vec::new();
        for client in &clients {
            sending.push(connected(client, address).await);
        }
        for round in 0..10_u8 {
            for (n, transport) in sending.iter().enumerate() {
                transport.sendto(&[round, n as u8], None);
            }
        }
        for (n, client) in clients.iter().enumerate() {
            client.log.until_packets(10).await;
            assert_eq!(client.log.contents(), (0..10).map(|round| vec![round, n as u8]).collect::<Vec<_>>());
        }
        assert_eq!(answered.get(), 30);
        close_all([(&serving, &echo), (&sending[0], &clients[0]), (&sending[1], &clients[1]), (&sending[2], &clients[2])]).await;
    }

    async fn a_panic_is_reported_and_the_transport_stays_open() {
        let told = reports(&get_running_loop());
        let server = Logger::default().on("packet", |_| panic!("no")).on("error", |_| panic!("nor this"));
        let (serving, address) = bound(&server).await;
        let client = Logger::default();
        let sending = connected(&client, address).await;
        sending.sendto(b"1", None);
        sending.sendto(b"2", None);
        server.log.until_packets(2).await;
        serving.sendto(b"to nowhere", None);
        server.log.until_event("error").await;
        yield_now().await;
        assert_eq!(*told.borrow(), [
            "protocol.datagram_received() panicked: no",
            "protocol.datagram_received() panicked: no",
            "protocol.error_received() panicked: nor this",
        ]);
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    // sem. 197
    async fn connection_lost_never_comes_inside_a_call() {
        for close in [DatagramTransport::close, DatagramTransport::abort] {
            let logger = Logger::default();
            let (transport, _) = bound(&logger).await;
            close(&transport);
            close(&transport);
            assert_eq!((logger.log.events().len(), transport.is_closing()), (1, true));
            logger.log.until_event("lost").await;
            assert_eq!(logger.log.events(), ["made", "lost: None"]);
        }
    }

    async fn a_packet_that_closes_is_the_last_one() {
        let server = Logger::default().on("packet", DatagramTransport::close);
        let (_, address) = bound(&server).await;
        let client = Logger::default();
        let sending = connected(&client, address).await;
        for _ in 0..5 {
            sending.sendto(b"x", None);
        }
        server.log.until_event("lost").await;
        assert_eq!((server.log.packets().len(), server.log.events()), (1, vec!["made".into(), "lost: None".into()]));
        close_all([(&sending, &client)]).await;
    }

    // sem. 208
    async fn sending_after_the_end_is_ignored_and_reported_when_it_becomes_a_habit() {
        let told = reports(&get_running_loop());
        let (server, logger) = (Logger::default(), Logger::default());
        let (serving, address) = bound(&server).await;
        let (transport, _) = bound(&logger).await;
        transport.close();
        for sent in 1..=6 {
            transport.sendto(b"late", address);
            assert_eq!(told.borrow().len(), usize::from(sent >= 5));
        }
        assert_eq!(*told.borrow(), ["a datagram transport is sent to again and again after it was closed or lost"]);
        logger.log.until_event("lost").await;
        close_all([(&serving, &server)]).await;
        assert_eq!(server.log.packets().len(), 0);
    }

    // sem. 214
    async fn another_protocol_has_what_comes() {
        let (first, second) = (Logger::default(), Logger::default());
        let (serving, address) = bound(&first).await;
        serving.set_protocol(&Rc::new(std::cell::RefCell::new(second.clone())));
        let client = Logger::default();
        let sending = connected(&client, address).await;
        sending.sendto(b"x", None);
        second.log.until_packets(1).await;
        serving.close();
        second.log.until_event("lost").await;
        assert_eq!((first.log.events(), second.log.events()), (vec!["made".into()], vec!["lost: None".into()]));
        close_all([(&sending, &client)]).await;
    }
}

/// On the scripted driver, which can be told to have no room.
mod blocked {
    use super::*;
    use asyncio_loop::EventLoop;
    use asyncio_testing::{Operation, ScriptedDriver, VirtualClock};

    fn on_script(main: impl AsyncFnOnce(asyncio_testing::Script) + 'static) {
        let driver = ScriptedDriver::new(&VirtualClock::new());
        let script = driver.script();
        let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
        drivers::run_on(&event_loop, async move { main(script).await });
    }

    // sem. 205, 215
    #[test]
    fn a_protocol_is_told_to_pause_and_to_go_on() {
        on_script(async |script| {
            let (server, client) = (Logger::default(), Logger::default());
            let (serving, address) = bound(&server).await;
            let (sending, _) = bound(&client).await;
            sending.set_write_buffer_limits(Some(100), Some(10));
            assert_eq!(sending.get_write_buffer_limits(), (10, 100));
            script.fail_next(Operation::SendTo, io::ErrorKind::WouldBlock.into());
            for _ in 0..10 {
                sending.sendto(b"yz", address);
            }
            assert_eq!((sending.get_write_buffer_size(), client.log.events()), (100, vec!["made".into()]));
            sending.sendto(b"", address);
            assert_eq!(
                (sending.get_write_buffer_size(), client.log.events()),
                (108, vec!["made".into(), "pause".into()])
            );
            server.log.until_packets(11).await;
            assert_eq!((sending.get_write_buffer_size(), client.log.events().len()), (0, 3));
            assert_eq!(client.log.events(), ["made", "pause", "resume"]);
            close_all([(&serving, &server), (&sending, &client)]).await;
        });
    }

    // sem. 198
    #[test]
    fn close_sends_what_waits_and_abort_does_not() {
        on_script(async |script| {
            let (server, client, other) = (Logger::default(), Logger::default(), Logger::default());
            let (serving, address) = bound(&server).await;
            for (transport, logger) in [(bound(&client).await.0, &client), (bound(&other).await.0, &other)] {
                script.fail_next(Operation::SendTo, io::ErrorKind::WouldBlock.into());
                transport.set_write_buffer_limits(Some(0), None);
                transport.sendto(b"waits", address);
                assert_eq!(transport.get_write_buffer_size(), 13);
                if server.log.packets().is_empty() {
                    transport.close()
                } else {
                    transport.abort()
                }
                logger.log.until_event("lost").await;
                assert_eq!(transport.get_write_buffer_size(), 0);
                assert_eq!(server.log.packets().len(), 1);
            }
            assert_eq!(client.log.events(), ["made", "pause", "resume", "lost: None"]);
            assert_eq!(other.log.events(), ["made", "pause", "lost: None"]);
            close_all([(&serving, &server)]).await;
        });
    }

    #[test]
    fn an_error_inside_a_callback_is_told_when_that_is_back() {
        on_script(async |script| {
            let server = Logger::default();
            let log = server.log.clone();
            let reacting = server.clone().on("packet", move |transport| {
                transport.set_write_buffer_limits(Some(0), None);
                script.fail_next(Operation::SendTo, io::ErrorKind::PermissionDenied.into());
                transport.sendto(b"no", Address::Ip(([127, 0, 0, 1], 9).into()));
                assert_eq!(log.events(), ["made"], "not inside the callback");
            });
            let (serving, address) = bound(&reacting).await;
            let client = Logger::default();
            let sending = connected(&client, address).await;
            sending.sendto(b"x", None);
            server.log.until_event("error").await;
            assert_eq!(server.log.events(), ["made", "error: PermissionDenied"]);
            close_all([(&serving, &server), (&sending, &client)]).await;
        });
    }
}
