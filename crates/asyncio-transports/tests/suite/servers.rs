//! Servers. On every driver.

use crate::drivers;
use crate::recorder::{Recorder, connect, end, reports};
use asyncio_loop::get_running_loop;
use asyncio_tasks::{LoopTasksExt as _, yield_now};
use asyncio_transports::{LoopTransportsExt as _, ServeForeverError, Transport};
use std::io;

drivers::on_each_driver! {
    // sem. 232
    async fn closing_a_server_leaves_its_connections() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        assert!(listening.is_serving() && listening.sockets().len() == 1 && listening.client_count() == 1);
        let address = listening.local_addrs()[0];
        listening.close();
        listening.close();
        assert!(!listening.is_serving() && listening.sockets().is_empty());
        let refused = get_running_loop().create_connection(Recorder::default, address).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(listening.start_serving().unwrap_err().kind(), io::ErrorKind::NotConnected);
        transport.write(b"still served");
        server.record.until_received(12).await;
        transport.close();
        listening.wait_closed().await.unwrap();
        assert_eq!(listening.client_count(), 0);
    }

    // sem. 233
    async fn wait_closed_waits_for_the_last_connection() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        let waited = listening.clone();
        let waiter = get_running_loop().create_task(async move { waited.wait_closed().await });
        for _ in 0..3 { yield_now().await; }
        listening.close();
        for _ in 0..3 { yield_now().await; }
        assert!(!waiter.done());
        transport.close();
        waiter.await.unwrap().unwrap();
        assert_eq!(server.record.events(), ["made", "eof", "lost"]);
    }

    async fn clients_are_closed_or_aborted_together() {
        for close in [true, false] {
            let (client, server) = (Recorder::default(), Recorder::default());
            let ((_, _), listening) = connect(&client, &server).await;
            let others = [Recorder::default(), Recorder::default()];
            for other in &others {
                get_running_loop().create_connection(|| other.clone(), listening.local_addrs()[0]).await.unwrap();
            }
            while listening.client_count() < 3 { yield_now().await; }
            assert_eq!(listening.clients().len(), 3);
            listening.close();
            if close { listening.close_clients() } else { listening.abort_clients() }
            listening.wait_closed().await.unwrap();
            for one in [&client, &others[0], &others[1]] {
                one.record.until_event("lost").await;
            }
        }
    }

    async fn shutdown_lets_connections_end_and_aborts_the_rest() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((_transport, _), listening) = connect(&client, &server).await;
        let quick = Recorder::default().on("made", |it| { it.write(b"x"); it.close(); });
        get_running_loop().create_connection(|| quick.clone(), listening.local_addrs()[0]).await.unwrap();
        while listening.client_count() < 2 && server.record.events().len() < 2 { yield_now().await; }
        // Long enough for the quick one, whatever else this machine does; the other one never ends by itself.
        assert_eq!(listening.shutdown(1).await, 1);
        assert_eq!(listening.client_count(), 0);
        client.record.until_event("lost").await;
    }

    // sem. 236
    async fn serving_for_ever_ends_with_the_server() {
        let event_loop = get_running_loop();
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).start_serving(false).await.unwrap();
        let served = server.clone();
        let task = event_loop.create_task(async move { served.serve_forever().await });
        yield_now().await;
        assert!(server.is_serving());
        assert!(matches!(server.serve_forever().await, Err(ServeForeverError::AlreadyServing)));
        server.close();
        assert!(matches!(task.await.unwrap(), Err(ServeForeverError::Cancelled(_))));
        assert!(matches!(server.serve_forever().await, Err(ServeForeverError::Closed)));

        let (client, far) = (Recorder::default(), Recorder::default());
        let ((transport, _), server) = connect(&client, &far).await;
        let served = server.clone();
        let task = event_loop.create_task(async move { served.serve_forever().await });
        yield_now().await;
        task.cancel();
        for _ in 0..3 { yield_now().await; }
        assert!(!server.is_serving() && !task.done(), "it waits for its connection");
        transport.close();
        assert!(task.await.is_err(), "cancelled");
    }

    // sem. 237
    async fn a_server_that_is_not_started_refuses() {
        let event_loop = get_running_loop();
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).start_serving(false).await.unwrap();
        let address = server.local_addrs()[0];
        assert!(!server.is_serving());
        let refused = event_loop.create_connection(Recorder::default, address).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        server.start_serving().unwrap();
        server.start_serving().unwrap();
        let (transport, _) = event_loop.create_connection(Recorder::default, address).await.unwrap();
        transport.abort();
        end(server).await;
    }

    // sem. 226
    async fn every_address_is_bound_once_or_none() {
        let event_loop = get_running_loop();
        let hosts = [("127.0.0.1", 0), ("127.0.0.1", 0), ("127.0.0.2", 0)];
        let server = event_loop.create_server(Recorder::default, hosts).await.unwrap();
        let addresses = server.local_addrs();
        assert_eq!((addresses.len(), addresses[0].port()), (2, addresses[1].port()), "one port for all");
        let taken = [("127.0.0.3", addresses[0].port()), ("127.0.0.1", addresses[0].port())];
        let refused = event_loop.create_server(Recorder::default, taken).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
        assert!(refused.to_string().contains(&addresses[0].to_string()), "{refused}");
        let free = event_loop.create_server(Recorder::default, taken[0]).await.expect("nothing was left bound");
        server.close();
        free.close();
    }

    // sem. 231
    async fn a_factory_that_panics_costs_its_connection_alone() {
        let reports = reports(&get_running_loop());
        let event_loop = get_running_loop();
        let mut is_first = true;
        let factory = move || {
            assert!(!std::mem::take(&mut is_first), "as expected");
            Recorder::default().on("made", |it| it.write(b"hello"))
        };
        let server = event_loop.create_server(factory, ("127.0.0.1", 0)).await.unwrap();
        let clients = [Recorder::default(), Recorder::default()];
        for client in &clients {
            event_loop.create_connection(|| client.clone(), server.local_addrs()[0]).await.unwrap();
        }
        clients[0].record.until_event("lost").await;
        clients[1].record.until_received(5).await;
        assert_eq!(reports.take(), ["the protocol factory of a server panicked: as expected"]);
        server.close_clients();
        end(server).await;
    }

    async fn a_flood_of_connections_is_accepted() {
        let event_loop = get_running_loop();
        let server = event_loop.create_server(|| Recorder::default().on("data", |it| it.write(b"y")), ("127.0.0.1", 0))
            .backlog(300).await.unwrap();
        let clients: Vec<_> = (0..200).map(|_| Recorder::default().on("made", |it| it.write(b"x"))).collect();
        for client in &clients {
            event_loop.create_connection(|| client.clone(), server.local_addrs()[0]).await.unwrap();
        }
        for client in &clients {
            client.record.until_received(1).await;
        }
        assert_eq!(server.client_count(), 200);
        clients.iter().for_each(|client| client.record.transport().close());
        end(server).await;
    }

    async fn one_busy_connection_starves_no_other() {
        // It has more to receive than fits into the buffer, all the time; the other one is served in between.
        let event_loop = get_running_loop();
        let server_side = Recorder::default();
        let factory = server_side.clone();
        let server = event_loop.create_server(move || factory.clone(), ("127.0.0.1", 0)).await.unwrap();
        let busy = Recorder::default().on("resume", |it| if !it.is_closing() { it.write(&vec![0; 1 << 20]) });
        let (hot, _) = event_loop.create_connection(|| busy.clone(), server.local_addrs()[0]).await.unwrap();
        hot.write(&vec![0; 1 << 20]);
        server_side.record.until_received(1 << 20).await;
        let calm = Recorder::default();
        let (transport, _) = event_loop.create_connection(|| calm.clone(), server.local_addrs()[0]).await.unwrap();
        transport.write(b"x");
        while server.client_count() < 2 { yield_now().await; }
        server.clients().iter().for_each(|it| it.write(b"answer"));
        calm.record.until_received(6).await;
        hot.abort();
        transport.abort();
        server.close_clients();
        end(server).await;
    }
}

#[test]
fn closing_the_loop_ends_what_is_open_and_leaks_nothing() {
    // sem. 235
    let event_loop = drivers::platform();
    let (client, server) = (Recorder::default(), Recorder::default());
    let (ours, theirs) = (client.clone(), server.clone());
    let transport: Transport = event_loop
        .run_until_complete(async move {
            let ((transport, _), listening) = connect(&ours, &theirs).await;
            listening.close();
            transport
        })
        .unwrap();
    event_loop.close().unwrap();
    assert!(transport.is_closing() && transport.sockname().is_none() && transport.get_protocol().is_none());
    transport.write(b"ignored");
    transport.close();
    assert_eq!((client.record.events(), server.record.events()), (vec!["made".into()], vec!["made".to_owned()]));
}
