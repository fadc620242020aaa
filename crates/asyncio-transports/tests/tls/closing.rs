//! The end: agreed on, cut off, stalled, early. On every driver.

use crate::certificates::{contexts, secured};
use crate::drivers;
use crate::recorder::{Recorder, end, reports};
use asyncio_loop::get_running_loop;
use asyncio_tasks::yield_now;
use asyncio_transports::{LoopTransportsExt as _, Transport};
use std::io;

const CUT: &str = "lost: the connection has ended without the peer's close_notify: what was received may be cut off";

drivers::on_each_driver! {
    // sem. 251
    async fn both_sides_see_the_end_and_all_that_was_written_arrives() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7) as u8).collect();
        transport.write(&sent);
        transport.close();
        transport.close();
        assert!(transport.is_closing() && !transport.is_reading());
        client.record.until_event("lost").await;
        server.record.until_event("lost").await;
        assert!(server.record.received() == sent);
        assert_eq!(server.record.events(), ["made", "data", "eof", "lost"]);
        let told = client.record.events();
        assert_eq!((&told[0][..], &told[told.len() - 2..]), ("made", &["eof".to_owned(), "lost".to_owned()][..]));
        end(listening).await;
    }

    // sem. 252
    async fn an_end_without_leave_is_an_error() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        transport.write(b"all of");
        server.record.until_received(6).await;
        // The tickets of the server are read, so that there is no reset.
        while transport.get_write_buffer_size() > 0 {
            yield_now().await;
        }
        transport.socket().shutdown(std::net::Shutdown::Write).unwrap();
        server.record.until_event("lost").await;
        assert_eq!((server.record.events(), server.record.received()), (["made", "data", CUT].map(String::from).to_vec(), b"all of".to_vec()));
        transport.abort();
        end(listening).await;
    }

    async fn abort_takes_no_leave() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        transport.abort();
        client.record.until_event("lost").await;
        server.record.until_event("lost").await;
        assert_eq!(client.record.events(), ["made", "lost"]);
        let told = server.record.events();
        assert!(told.len() == 2 && told[1].starts_with("lost: "), "{told:?}");
        end(listening).await;
    }

    // sem. 249
    async fn one_direction_cannot_end_alone() {
        let told = reports(&get_running_loop());
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default().keeps_open());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        assert!(!transport.can_write_eof());
        assert_eq!(transport.write_eof().unwrap_err().kind(), io::ErrorKind::Unsupported);
        transport.write(b"still open");
        server.record.until_received(10).await;
        transport.close();
        server.record.until_event("lost").await;
        assert_eq!(server.record.events(), ["made", "data", "eof", "lost"]);
        assert_eq!(*told.borrow(), ["returning true from eof_received() has no effect when using ssl"]);
        end(listening).await;
    }

    async fn both_may_close_at_the_same_time() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        transport.close();
        server.record.transport().close();
        client.record.until_event("lost").await;
        server.record.until_event("lost").await;
        assert_eq!((client.record.events(), server.record.events()), (
            ["made", "eof", "lost"].map(String::from).to_vec(), ["made", "eof", "lost"].map(String::from).to_vec()
        ));
        end(listening).await;
    }

    async fn a_peer_that_is_gone_needs_no_leave() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        transport.write(b"x");
        server.record.until_received(1).await;
        server.record.transport().pause_reading();
        transport.abort();
        client.record.until_event("lost").await;
        server.record.transport().close();
        server.record.until_event("lost").await;
        assert_eq!(server.record.events(), ["made", "data", "lost"]);
        end(listening).await;
    }

    async fn closing_a_transport_that_takes_leave_by_force_ends_it() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        // It does not answer.
        server.record.transport().pause_reading();
        transport.close();
        yield_now().await;
        yield_now().await;
        assert_eq!((client.record.events().len(), listening.client_count()), (1, 1));
        transport.abort();
        client.record.until_event("lost").await;
        assert_eq!(client.record.events(), ["made", "lost"]);
        server.record.transport().abort();
        end(listening).await;
    }

    async fn a_server_ends_its_connections_whatever_they_do() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        // One does not answer to the leave, one does not even shake hands.
        transport.pause_reading();
        let silent = Recorder::default();
        let address = listening.local_addrs()[0];
        let (in_the_clear, _) = get_running_loop().create_connection(|| silent.clone(), address).await.unwrap();
        while listening.client_count() < 2 {
            yield_now().await;
        }
        server.record.transport().close();
        yield_now().await;
        assert_eq!(listening.shutdown(0).await, 2);
        server.record.until_event("lost").await;
        assert_eq!(server.record.events(), ["made", "lost"]);
        silent.record.until_event("lost").await;
        transport.abort();
        in_the_clear.abort();
    }

    // sem. 197
    async fn connection_lost_never_comes_inside_a_call() {
        for close in [Transport::close, Transport::abort] {
            let (client_context, server_context) = contexts();
            let client = Recorder::default().on("data", close);
            let server = Recorder::default().on("made", |it| it.write(b"go"));
            let ((_, _), listening) = secured((&client_context, &server_context), &client, &server).await;
            client.record.until_event("lost").await;
            assert_eq!(client.record.events().iter().filter(|event| event.starts_with("lost")).count(), 1);
            server.record.until_event("lost").await;
            end(listening).await;
        }
    }
}
