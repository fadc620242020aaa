//! Datagrams: packets that arrive whole, batches, a group, and an error that ends nothing.

use crate::{Done, say};
use asyncio::driver::Address;
use asyncio::prelude::*;
use asyncio::{DatagramProtocol, DatagramTransport};
use std::cell::Cell;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

const PACKETS: usize = 20_000;
const AT_A_TIME: usize = 32;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        let echoed = echo().await?;
        group().await?;
        refused().await?;
        Ok(Done::new(echoed, "packets there and back, each whole"))
    })
}

/// Sends each packet back.
#[derive(Default)]
struct Echo(Option<DatagramTransport>);

impl DatagramProtocol for Echo {
    fn connection_made(&mut self, transport: &DatagramTransport) {
        self.0 = Some(transport.clone());
    }

    fn datagram_received(&mut self, data: &[u8], addr: &Address) {
        self.0.as_ref().expect("it is open").sendto(data, addr);
    }
}

/// Counts, and tells when so many have come; or when an error has.
struct Counter {
    expected: Rc<Cell<usize>>,
    told: asyncio::Future<Option<io::ErrorKind>>,
}

impl DatagramProtocol for Counter {
    fn datagram_received(&mut self, _data: &[u8], _addr: &Address) {
        self.expected.set(self.expected.get() - 1);
        if self.expected.get() == 0 {
            self.told.set_result(None).expect("told once");
        }
    }

    fn error_received(&mut self, error: io::Error) {
        self.told.set_result(Some(error.kind())).expect("told once");
    }
}

async fn echo() -> io::Result<usize> {
    let event_loop = asyncio::get_running_loop();
    let (server, _) = event_loop.create_datagram_endpoint(Echo::default).local_addr(("127.0.0.1", 0)).await?;
    let expected = Rc::new(Cell::new(0));
    let begin = event_loop.time();
    let counter = || Counter { expected: expected.clone(), told: event_loop.create_future() };
    let (client, protocol) = event_loop.create_datagram_endpoint(counter).remote_addr(server.local_addr()?).await?;
    for _ in 0..PACKETS / AT_A_TIME {
        let told = event_loop.create_future();
        expected.set(AT_A_TIME);
        protocol.borrow_mut().told = told.clone();
        for n in 0..AT_A_TIME {
            client.sendto(&[n as u8; 100], None);
        }
        assert_eq!(told.await.expect("not cancelled"), None);
    }
    let nanos = (event_loop.time() - begin) * 1e9 / PACKETS as f64;
    say(format_args!("{PACKETS} packets there and back, {AT_A_TIME} to a system call: {nanos:.0} ns each"));
    client.close();
    server.close();
    Ok(PACKETS / AT_A_TIME * AT_A_TIME)
}

async fn group() -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let told = event_loop.create_future();
    let counter = || Counter { expected: Rc::new(Cell::new(1)), told: told.clone() };
    let (member, _) = event_loop.create_datagram_endpoint(counter).local_addr(("0.0.0.0", 0)).await?;
    let (group, interface) = (Ipv4Addr::new(239, 255, 77, 3), Ipv4Addr::LOCALHOST);
    member.join_multicast_v4(group, interface)?;
    let (sender, _) = event_loop.create_datagram_endpoint(Echo::default).local_addr(("127.0.0.1", 0)).await?;
    sender.sendto(b"to all", std::net::SocketAddr::from((group, member.local_addr()?.port())));
    assert_eq!(told.await.expect("not cancelled"), None);
    member.leave_multicast_v4(group, interface)?;
    say(format_args!("a packet to {group} arrives at whoever has joined"));
    sender.close();
    member.close();
    Ok(())
}

async fn refused() -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let (gone, _) = event_loop.create_datagram_endpoint(Echo::default).local_addr(("127.0.0.1", 0)).await?;
    let address = gone.local_addr()?;
    gone.abort();
    asyncio::sleep(0).await;
    let told = event_loop.create_future();
    let counter = || Counter { expected: Rc::new(Cell::new(1)), told: told.clone() };
    let (client, _) = event_loop.create_datagram_endpoint(counter).remote_addr(address).await?;
    client.sendto(b"anybody?", None);
    let kind = told.await.expect("not cancelled");
    assert_eq!((kind, client.is_closing()), (Some(io::ErrorKind::ConnectionRefused), false));
    say(format_args!("a packet to nobody is an error of its own, and the endpoint stays open"));
    client.close();
    Ok(())
}
