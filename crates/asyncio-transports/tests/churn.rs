//! Thousands of connections come and go, in every way in which they can, while others carry traffic. In a process of its own.
#![cfg(target_os = "linux")]

use asyncio_loop::EventLoop;
use asyncio_tasks::{LoopTasksExt as _, yield_now};
use asyncio_transports::{LoopTransportsExt as _, Protocol, Transport};
use std::cell::Cell;
use std::fs;
use std::io;
use std::rc::Rc;

const CONNECTIONS: usize = if cfg!(debug_assertions) { 2_000 } else { 10_000 };
/// Connections that are open at a time, beside those that stay.
const AT_ONCE: usize = 50;
const STAYING: usize = 8;

/// What happened, on either side.
#[derive(Clone, Debug, Default)]
struct Tally(Rc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    made: Cell<usize>,
    lost: Cell<usize>,
    rounds: Cell<usize>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

/// One end, with whatever its side does on top.
struct End<P> {
    tally: Tally,
    transport: Option<Transport>,
    is_lost: bool,
    side: P,
}

trait Side: 'static {
    fn made(&mut self, _: &Transport) {}
    fn data(&mut self, transport: &Transport, data: &[u8], tally: &Tally);
}

impl<P: Side> End<P> {
    fn new(tally: &Tally, side: P) -> Self {
        Self { tally: tally.clone(), transport: None, is_lost: false, side }
    }
}

impl<P: Side> Protocol for End<P> {
    fn connection_made(&mut self, transport: &Transport) {
        assert!(self.transport.is_none(), "`connection_made` comes once");
        count(&self.tally.0.made);
        self.transport = Some(transport.clone());
        self.side.made(transport);
    }

    fn data_received(&mut self, data: &[u8]) {
        assert!(!self.is_lost, "nothing comes after the end");
        self.side.data(self.transport.as_ref().unwrap(), data, &self.tally);
    }

    fn connection_lost(&mut self, _: Option<io::Error>) {
        assert!(!std::mem::replace(&mut self.is_lost, true), "`connection_lost` comes once");
        count(&self.tally.0.lost);
    }
}

/// Sends everything back.
struct Echo;

impl Side for Echo {
    fn data(&mut self, transport: &Transport, data: &[u8], _: &Tally) {
        transport.write(data);
    }
}

/// Ends in a way of its own.
struct Brief(usize);

impl Side for Brief {
    fn made(&mut self, transport: &Transport) {
        match self.0 % 6 {
            0 => transport.abort(),
            1 => transport.close(),
            2 => {
                transport.write(b"and gone");
                transport.abort();
            }
            3 => transport.write_eof().unwrap(),
            _ => transport.write(b"question"),
        }
    }

    fn data(&mut self, transport: &Transport, _: &[u8], _: &Tally) {
        if self.0 % 6 == 4 { transport.close() } else { transport.abort() }
    }
}

/// Asks again and again; every answer is what was asked.
struct Steady {
    question: [u8; 512],
    answered: usize,
}

impl Side for Steady {
    fn made(&mut self, transport: &Transport) {
        transport.write(&self.question);
    }

    fn data(&mut self, transport: &Transport, data: &[u8], tally: &Tally) {
        assert_eq!(data, &self.question[self.answered..self.answered + data.len()]);
        self.answered += data.len();
        if self.answered == self.question.len() {
            count(&tally.0.rounds);
            self.answered = 0;
            self.question.iter_mut().for_each(|byte| *byte = byte.wrapping_add(7));
            transport.write(&self.question);
        }
    }
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn connections_come_and_go_while_others_carry_traffic() {
    let event_loop = EventLoop::builder().build().unwrap();
    let before = open_descriptors();
    let tally = Tally::default();
    let (inner, tallied) = (event_loop.clone(), tally.clone());
    let main = async move {
        let (event_loop, tally) = (inner, tallied);
        let factory = tally.clone();
        let server = event_loop.create_server(move || End::new(&factory, Echo), ("127.0.0.1", 0)).await.unwrap();
        let address = server.local_addrs()[0];
        let mut staying = Vec::new();
        for n in 0..STAYING {
            let side = Steady { question: [n as u8; 512], answered: 0 };
            let (transport, _) = event_loop.create_connection(|| End::new(&tally, side), address).await.unwrap();
            staying.push(transport);
        }
        for first in (0..CONNECTIONS).step_by(AT_ONCE) {
            let rounds = tally.0.rounds.get();
            for n in first..first + AT_ONCE {
                event_loop.create_connection(|| End::new(&tally, Brief(n)), address).await.unwrap();
            }
            while tally.0.lost.get() < tally.0.made.get() - 2 * STAYING || server.client_count() > STAYING {
                yield_now().await;
            }
            assert!(tally.0.rounds.get() > rounds, "the others go on");
        }
        assert!(staying.iter().all(|transport| !transport.is_closing()));
        staying.iter().for_each(Transport::close);
        server.close();
        server.wait_closed().await.unwrap();
    };
    event_loop.run_until_complete(main).unwrap();
    event_loop.run_until_blocked().unwrap();
    // Both ends of each; some were gone before the server had accepted them.
    let (made, lost) = (tally.0.made.get(), tally.0.lost.get());
    assert_eq!(made, lost);
    assert!(made >= CONNECTIONS + 2 * STAYING, "{made}");
    assert_eq!((open_descriptors(), event_loop.statistics().sources), (before, 0));
    assert!(tally.0.rounds.get() > 100, "{}", tally.0.rounds.get());
}
