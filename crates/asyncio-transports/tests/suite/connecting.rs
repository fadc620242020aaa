//! Making connections: hosts, sockets that exist, errors, cancellation. On every driver.

use crate::drivers;
use crate::recorder::{Recorder, end, reports};
use asyncio_executor::{AddrInfo, AddrInfoQuery, Lookup, LoopExecutorExt as _, Resolver, SocketKind};
use asyncio_loop::get_running_loop;
use asyncio_tasks::{LoopTasksExt as _, yield_now};
use asyncio_transports::{ConnectError, LoopTransportsExt as _};
use std::io;
use std::net::SocketAddr;

/// Resolves every name to these.
struct Fixed(Vec<SocketAddr>);

impl Resolver for Fixed {
    fn getaddrinfo(&self, _: AddrInfoQuery) -> Lookup<Vec<AddrInfo>> {
        let found = self.0.iter().map(|address| AddrInfo::new(*address, SocketKind::Stream, 6)).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn getnameinfo(&self, _: SocketAddr, _: i32) -> Lookup<(String, String)> {
        Box::pin(std::future::pending())
    }
}

/// An address of this machine on which nobody listens.
async fn deaf(host: &str) -> SocketAddr {
    let server = get_running_loop().create_server(Recorder::default, (host, 0)).start_serving(false).await.unwrap();
    let address = server.local_addrs()[0];
    server.close();
    address
}

drivers::on_each_driver! {
    // sem. 221
    async fn addresses_are_tried_in_order_and_every_error_is_told() {
        let event_loop = get_running_loop();
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).await.unwrap();
        let (one, two) = (deaf("127.0.0.1").await, deaf("127.0.0.2").await);
        event_loop.set_resolver(Fixed(vec![one, two, server.local_addrs()[0]]));
        let (transport, _) = event_loop.create_connection(Recorder::default, "example.org:80").await.unwrap();
        assert_eq!(transport.peer_addr().unwrap(), server.local_addrs()[0]);
        transport.close();
        end(server).await;

        event_loop.set_resolver(Fixed(vec![one, two]));
        let error = event_loop.create_connection(Recorder::default, ("example.org", 80)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let text = error.to_string();
        assert!(text.contains(&one.to_string()) && text.contains(&two.to_string()), "{text}");
        let attempts = error.get_ref().unwrap().downcast_ref::<ConnectError>().unwrap().attempts();
        assert_eq!(attempts.iter().map(|(address, _)| *address).collect::<Vec<_>>(), [one, two]);

        let single = event_loop.create_connection(Recorder::default, one).await.unwrap_err();
        assert!(single.to_string().starts_with(&format!("connect to {one} failed: ")), "{single}");
    }

    // sem. 222
    async fn a_failed_attempt_starts_the_next_at_once() {
        let event_loop = get_running_loop();
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).await.unwrap();
        event_loop.set_resolver(Fixed(vec![deaf("127.0.0.1").await, server.local_addrs()[0]]));
        let connecting = event_loop.create_connection(Recorder::default, ("example.org", 80));
        let begin = event_loop.time();
        let (transport, _) = connecting.happy_eyeballs_delay(3600).await.unwrap();
        assert!(event_loop.time() - begin < 3600.0);
        transport.close();
        end(server).await;
    }

    async fn a_host_that_makes_no_sense_is_an_error() {
        let event_loop = get_running_loop();
        let error = event_loop.create_connection(Recorder::default, "no port").await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains("no port")), (io::ErrorKind::InvalidInput, true));
        event_loop.set_resolver(Fixed(Vec::new()));
        let error = event_loop.create_server(Recorder::default, ("example.org", 80)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    async fn this_end_may_be_bound_first() {
        let event_loop = get_running_loop();
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).await.unwrap();
        let address = server.local_addrs()[0];
        let connecting = event_loop.create_connection(Recorder::default, address).local_addr(("127.0.0.1", 0));
        let (transport, _) = connecting.await.unwrap();
        assert_eq!(transport.local_addr().unwrap().ip(), address.ip());
        transport.close();
        let wrong = event_loop.create_connection(Recorder::default, address).local_addr(("::1", 0)).await.unwrap_err();
        assert!(wrong.to_string().contains("no local address"), "{wrong}");
        end(server).await;
    }

    // sem. 225
    async fn giving_up_while_connection_made_is_due_closes_the_connection() {
        let event_loop = get_running_loop();
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).await.unwrap();
        let client = Recorder::default();
        let (factory, address) = (client.clone(), server.local_addrs()[0]);
        let inner = event_loop.clone();
        let task = event_loop.create_task(async move { inner.create_connection(|| factory, address).await.is_ok() });
        client.record.until_event("made").await;
        task.cancel();
        if task.await.is_err() {
            client.record.until_event("lost").await;
        } else {
            client.record.transport().close();
        }
        end(server).await;
    }

    async fn a_connection_to_itself_by_a_pair_in_memory_or_on_the_loopback() {
        let _quiet = reports(&get_running_loop());
        let event_loop = get_running_loop();
        let server = event_loop.create_server(Recorder::default, "127.0.0.1:0").await.unwrap();
        let address = server.local_addrs()[0].to_string();
        let (transport, _) = event_loop.create_connection(Recorder::default, address).await.unwrap();
        assert!(transport.get_loop().is_same(&event_loop));
        transport.abort();
        yield_now().await;
        end(server).await;
    }
}
