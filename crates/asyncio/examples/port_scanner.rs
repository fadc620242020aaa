//! A port scanner: which ports of a host are open? Hundreds of attempts at once, each with a time limit, and a host with several addresses.
//!
//! Run with `cargo run --release --example port_scanner`. It scans nothing but this machine's loopback, where it has opened a few ports
//! itself and must find them. The host has two addresses, and nobody answers at the first: happy eyeballs try both.

#![expect(clippy::print_stdout, reason = "an example is there to be read")]

use asyncio::prelude::*;
use asyncio::{
    AddrInfo, AddrInfoQuery, Lookup, Resolver, Semaphore, SocketKind, StreamReader, StreamWriter, create_task, gather,
};
use std::future::IntoFuture as _;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

const AROUND: u16 = 200;
const AT_ONCE: usize = 64;

/// Knows one host, and the two addresses that it is said to have.
struct TwoAddresses;

impl Resolver for TwoAddresses {
    fn getaddrinfo(&self, query: AddrInfoQuery) -> Lookup<Vec<AddrInfo>> {
        let port = query.port.and_then(|port| port.parse().ok()).unwrap_or(0);
        let addresses = [[127, 0, 0, 2], [127, 0, 0, 1]];
        let info = |ip: [u8; 4]| AddrInfo::new(SocketAddr::from((ip, port)), SocketKind::Stream, 6);
        Box::pin(std::future::ready(Ok(addresses.map(info).into())))
    }

    fn getnameinfo(&self, address: SocketAddr, _flags: i32) -> Lookup<(String, String)> {
        Box::pin(std::future::ready(Ok((address.ip().to_string(), address.port().to_string()))))
    }
}

/// Whether somebody answers at `port` within half a second.
async fn is_open(host: &str, port: u16) -> bool {
    // The second address gets its chance when the first has failed, or after 50 ms, whichever is sooner.
    let connecting = asyncio::open_connection((host, port)).happy_eyeballs_delay(0.05);
    matches!(asyncio::timeout(0.5, connecting.into_future()).await, Ok(Ok(_streams)))
}

async fn scan(host: &'static str, ports: impl Iterator<Item = u16>) -> Vec<u16> {
    let at_once = Rc::new(Semaphore::new(AT_ONCE));
    let attempts = ports.map(|port| {
        let at_once = at_once.clone();
        create_task(async move {
            let _permit = at_once.acquire().await;
            is_open(host, port).await.then_some(port)
        })
    });
    let outcomes = gather(attempts.collect::<Vec<_>>()).await;
    outcomes.into_iter().filter_map(|outcome| outcome.expect("nobody cancels an attempt")).collect()
}

#[asyncio::main]
async fn main() -> io::Result<()> {
    asyncio::get_running_loop().set_resolver(TwoAddresses);
    let nobody = async |_: StreamReader, _: StreamWriter| {};
    let mut opened = Vec::new();
    for _ in 0..3 {
        opened.push(asyncio::start_server(nobody, ("127.0.0.1", 0)).await?);
    }
    // Bound, so that nobody else has it, and closed.
    let closed = asyncio::start_server(nobody, ("127.0.0.1", 0)).start_serving(false).await?;
    let port_of = |server: &asyncio::Server| server.local_addrs()[0].port();

    let middle = port_of(&opened[0]);
    let around = middle.saturating_sub(AROUND)..=middle.saturating_add(AROUND);
    let ours = opened.iter().chain([&closed]).map(port_of).filter(|port| !around.contains(port));
    let begin = asyncio::get_running_loop().time();
    let ports: Vec<u16> = around.clone().chain(ours).collect();
    let found = scan("two-addresses.test", ports.iter().copied()).await;
    let seconds = asyncio::get_running_loop().time() - begin;

    println!("{} ports in {:.1} ms, open are {found:?}", ports.len(), seconds * 1e3);
    assert!(opened.iter().map(port_of).all(|port| found.contains(&port)), "an open port was not found");
    assert!(!found.contains(&port_of(&closed)), "a closed port was found open");
    Ok(())
}
