//! Encrypted connections that come and go, or never get that far, leave nothing behind: no descriptor, no registration, no
//! memory. In a process of its own.
#![cfg(target_os = "linux")]

use asyncio_loop::EventLoop;
use asyncio_tasks::{LoopTasksExt as _, yield_now};
use asyncio_testing::{CountingAllocator, count_allocations};
use asyncio_transports::{LoopTransportsExt as _, Protocol, SslContext, Transport};
use std::fs;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// Writes first, and closes at the first answer.
#[derive(Default)]
struct Brief(Option<Transport>);

impl Protocol for Brief {
    fn connection_made(&mut self, transport: &Transport) {
        self.0 = Some(transport.clone());
        transport.write(b"x");
    }

    fn data_received(&mut self, _: &[u8]) {
        self.0.as_ref().unwrap().close();
    }
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn encrypted_connections_that_come_and_go_leave_nothing() {
    let event_loop = EventLoop::builder().build().unwrap();
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem().into_bytes(), own.signing_key.serialize_pem().into_bytes());
    // Sessions that could be resumed are memory that is meant to stay.
    let trusting =
        SslContext::client().root_certificates(certificate.clone()).session_resumption(false).build().unwrap();
    let server_context = SslContext::server(certificate, key).session_resumption(false).build().unwrap();
    let strangers = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem().into_bytes();
    let stranger = SslContext::client().root_certificates(strangers).session_resumption(false).build().unwrap();
    let rounds = |count: usize| {
        let (inner, server_context) = (event_loop.clone(), server_context.clone());
        let (trusting, stranger) = (trusting.clone(), stranger.clone());
        let main = async move {
            let server = inner.create_server(Brief::default, ("127.0.0.1", 0)).ssl(server_context).await.unwrap();
            let address = server.local_addrs()[0];
            for round in 0..count {
                let context = if round % 5 == 0 { &stranger } else { &trusting };
                let connecting = inner.create_connection(Brief::default, address).ssl(context);
                let Ok((transport, _)) = connecting.server_hostname("localhost").await else {
                    assert_eq!(round % 5, 0);
                    continue;
                };
                match round % 3 {
                    0 => transport.abort(),
                    1 => transport.close(),
                    _ => {}
                }
                while transport.get_protocol().is_some() {
                    yield_now().await;
                }
            }
            server.close();
            server.wait_closed().await.unwrap();
        };
        event_loop.run_until_complete(main).unwrap();
        event_loop.run_until_blocked().unwrap();
    };
    rounds(50);
    let before = open_descriptors();
    let ((), counts) = count_allocations(|| rounds(200));
    assert_eq!((open_descriptors(), event_loop.statistics().sources, event_loop.pending().len()), (before, 0, 0));
    assert!(counts.growth_bytes() < 10_000, "{} bytes", counts.growth_bytes());
}
