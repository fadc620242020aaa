//! TLS in the middle of a connection, and inside TLS. On every driver.

use crate::certificates::{Authority, contexts};
use crate::drivers;
use crate::recorder::{Recorder, connect, end};
use asyncio_loop::get_running_loop;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::{LoopTlsExt as _, SslContext, Transport};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Both ends at once.
async fn upgrade(
    (near, client): (&Transport, &Recorder),
    (far, server): (&Transport, &Recorder),
    (client_context, server_context): (&SslContext, &SslContext),
) -> (io::Result<Transport>, io::Result<Transport>) {
    let event_loop = get_running_loop();
    let protocol = Rc::new(RefCell::new(server.clone()));
    let accepting = event_loop.start_tls(far, &protocol, server_context);
    let accepting = event_loop.create_task(async move { accepting.await });
    let protocol = Rc::new(RefCell::new(client.clone()));
    let connecting = event_loop.start_tls(near, &protocol, client_context).server_hostname("localhost").await;
    (connecting, accepting.await.unwrap())
}

drivers::on_each_driver! {
    // sem. 253
    async fn a_connection_in_the_clear_becomes_encrypted() {
        let (plain_client, plain_server) = (Recorder::default(), Recorder::default());
        let ((near, _), listening) = connect(&plain_client, &plain_server).await;
        let far = plain_server.record.transport();
        near.write(b"STARTTLS");
        plain_server.record.until_received(8).await;
        far.write(b"go ahead");
        plain_client.record.until_received(8).await;
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let (upgraded, accepted) = upgrade((&near, &client), (&far, &server), (&client_context, &server_context)).await;
        let (upgraded, accepted) = (upgraded.unwrap(), accepted.unwrap());
        assert!(upgraded.is_same(&near) && accepted.is_same(&far));
        assert!(near.ssl_object().is_some() && !near.can_write_eof());
        assert_eq!(near.get_write_buffer_limits(), (131_072, 524_288));
        upgraded.write(b"secret");
        server.record.until_received(6).await;
        accepted.write(b"answer");
        client.record.until_received(6).await;
        upgraded.close();
        server.record.until_event("lost").await;
        client.record.until_event("lost").await;
        // Neither was told of the beginning; the old ones of nothing any more.
        assert_eq!(server.record.events(), ["data", "eof", "lost"]);
        assert_eq!(client.record.events(), ["data", "eof", "lost"]);
        assert_eq!((plain_client.record.events(), plain_server.record.events()), (
            ["made", "data"].map(String::from).to_vec(), ["made", "data"].map(String::from).to_vec()
        ));
        end(listening).await;
    }

    async fn what_was_written_before_leaves_in_the_clear_and_what_is_written_meanwhile_does_not() {
        let (plain_client, plain_server) = (Recorder::default(), Recorder::default());
        let ((near, _), listening) = connect(&plain_client, &plain_server).await;
        let far = plain_server.record.transport();
        let (client_context, server_context) = contexts();
        // More than the kernel takes at once, and more than the peer has read when the handshake begins.
        let sent = vec![9; 5_000_000];
        near.write(&sent);
        let event_loop = get_running_loop();
        let client = Recorder::default();
        let protocol = Rc::new(RefCell::new(client.clone()));
        let connecting = event_loop.start_tls(&near, &protocol, &client_context).server_hostname("localhost");
        let connecting = event_loop.create_task(async move { connecting.await });
        asyncio_tasks::yield_now().await;
        near.write(b"secret, and early");
        assert_eq!(near.get_write_buffer_size(), 17);
        // The server takes so many bytes in the clear, and what comes with the last of them is of the handshake.
        plain_server.record.until_received(sent.len()).await;
        let received = plain_server.record.received();
        assert!(received[..sent.len()] == sent[..]);
        let server = Recorder::default();
        let protocol = Rc::new(RefCell::new(server.clone()));
        let rest = received[sent.len()..].to_vec();
        event_loop.start_tls(&far, &protocol, &server_context).received(rest).await.unwrap();
        connecting.await.unwrap().unwrap();
        server.record.until_received(17).await;
        assert_eq!(server.record.received(), b"secret, and early");
        near.close();
        server.record.until_event("lost").await;
        end(listening).await;
    }

    async fn tls_goes_inside_tls() {
        let (plain_client, plain_server) = (Recorder::default(), Recorder::default());
        let ((near, _), listening) = connect(&plain_client, &plain_server).await;
        let far = plain_server.record.transport();
        let (proxy, origin) = (Authority::new(), Authority::new());
        let (mut client, mut server) = (Recorder::default(), Recorder::default());
        for authority in [&proxy, &origin] {
            (client, server) = (Recorder::default(), Recorder::default());
            let contexts = (authority.client().build().unwrap(), authority.server().build().unwrap());
            let (upgraded, accepted) = upgrade((&near, &client), (&far, &server), (&contexts.0, &contexts.1)).await;
            upgraded.unwrap();
            accepted.unwrap().write(b"inside");
            client.record.until_received(6).await;
        }
        let sent: Vec<u8> = (0..2_000_000_u32).map(|n| (n / 3) as u8).collect();
        near.write(&sent);
        server.record.until_received(sent.len()).await;
        assert!(server.record.received() == sent);
        near.close();
        server.record.until_event("lost").await;
        client.record.until_event("lost").await;
        assert_eq!(server.record.events(), ["data", "eof", "lost"]);
        let told = client.record.events();
        assert_eq!((&told[0][..], &told[told.len() - 2..]), ("data", &["eof".to_owned(), "lost".to_owned()][..]));
        end(listening).await;
    }

    // sem. 253
    async fn a_failed_handshake_closes_the_transport() {
        let (plain_client, plain_server) = (Recorder::default(), Recorder::default());
        let ((near, _), listening) = connect(&plain_client, &plain_server).await;
        let far = plain_server.record.transport();
        let (client, server) = (Recorder::default(), Recorder::default());
        let (_, server_context) = contexts();
        let stranger = Authority::new().client().build().unwrap();
        let (refused, unfinished) = upgrade((&near, &client), (&far, &server), (&stranger, &server_context)).await;
        assert_eq!(refused.map(drop).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(unfinished.map(drop).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(near.is_closing() && far.is_closing());
        client.record.until_event("lost: invalid peer certificate").await;
        server.record.until_event("lost: received fatal alert").await;
        assert_eq!((client.record.events().len(), server.record.events().len()), (1, 1));
        end(listening).await;
    }

    async fn closing_while_it_shakes_hands_ends_both() {
        for close in [Transport::close, Transport::abort] {
            let (plain_client, plain_server) = (Recorder::default(), Recorder::default());
            let ((near, _), listening) = connect(&plain_client, &plain_server).await;
            let (event_loop, client) = (get_running_loop(), Recorder::default());
            let (protocol, (client_context, _)) = (Rc::new(RefCell::new(client.clone())), contexts());
            let connecting = event_loop.start_tls(&near, &protocol, &client_context).server_hostname("localhost");
            let connecting = event_loop.create_task(async move { connecting.await });
            plain_server.record.until_event("data").await;
            close(&near);
            let error = connecting.await.unwrap().map(drop).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
            client.record.until_event("lost").await;
            assert_eq!(client.record.events(), ["lost"]);
            plain_server.record.until_event("lost").await;
            end(listening).await;
        }
    }

    async fn dropping_it_aborts_the_connection() {
        let (plain_client, plain_server) = (Recorder::default(), Recorder::default());
        let ((near, _), listening) = connect(&plain_client, &plain_server).await;
        let (event_loop, client) = (get_running_loop(), Recorder::default());
        let (protocol, (client_context, _)) = (Rc::new(RefCell::new(client.clone())), contexts());
        let connecting = event_loop.start_tls(&near, &protocol, &client_context).server_hostname("localhost");
        let connecting = event_loop.create_task(async move { connecting.await });
        plain_server.record.until_event("data").await;
        connecting.cancel();
        assert!(connecting.await.is_err());
        client.record.until_event("lost").await;
        plain_server.record.until_event("lost").await;
        end(listening).await;
    }

    async fn what_cannot_be_upgraded_is_refused() {
        let (plain_client, plain_server) = (Recorder::default(), Recorder::default());
        let ((near, _), listening) = connect(&plain_client, &plain_server).await;
        let (event_loop, (client_context, _)) = (get_running_loop(), contexts());
        let protocol = Rc::new(RefCell::new(Recorder::default()));
        let nameless = event_loop.start_tls(&near, &protocol, &client_context).await.map(drop).unwrap_err();
        assert_eq!(nameless.kind(), io::ErrorKind::InvalidInput);
        assert!(!near.is_closing(), "nothing was done yet");
        near.close();
        let late = event_loop.start_tls(&near, &protocol, &client_context).server_hostname("localhost").await;
        assert_eq!(late.map(drop).unwrap_err().kind(), io::ErrorKind::NotConnected);
        end(listening).await;
    }
}
