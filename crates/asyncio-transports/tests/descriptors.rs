//! Connections that come and go leave nothing behind: no descriptor, no registration, no memory. In a process of its own.
#![cfg(target_os = "linux")]

use asyncio_loop::EventLoop;
use asyncio_tasks::{LoopTasksExt as _, yield_now};
use asyncio_testing::{CountingAllocator, count_allocations};
use asyncio_transports::{LoopTransportsExt as _, Protocol, Transport};
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
fn connections_that_come_and_go_leave_nothing() {
    let event_loop = EventLoop::builder().build().unwrap();
    let rounds = |count: usize| {
        let inner = event_loop.clone();
        let main = async move {
            let server = inner.create_server(Brief::default, ("127.0.0.1", 0)).await.unwrap();
            for round in 0..count {
                let (transport, _) = inner.create_connection(Brief::default, server.local_addrs()[0]).await.unwrap();
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
    rounds(100);
    let before = open_descriptors();
    let ((), counts) = count_allocations(|| rounds(1000));
    assert_eq!((open_descriptors(), event_loop.statistics().sources, event_loop.pending().len()), (before, 0, 0));
    assert!(counts.growth_bytes() < 1000, "{} bytes", counts.growth_bytes());
}
