//! The connections: non-blocking sockets on one edge-triggered epoll.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use socket2::SockRef;

/// How long nothing may happen before the server counts as dead.
const PATIENCE: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
const EVENTS: usize = 1024;

pub(crate) struct Clients {
    epoll: OwnedFd,
    clients: Vec<Client>,
    /// What each exchange sends.
    message: Vec<u8>,
    input: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    sent: usize,
    received: usize,
    started: Instant,
}

impl Clients {
    pub(crate) fn connect(port: u16, count: usize, exchange_bytes: usize) -> io::Result<Self> {
        peers_common::machine::raise_descriptor_limit();
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let mut clients = Vec::with_capacity(count);
        for index in 0..count {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
            stream.set_nodelay(true)?;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
            clients.push(Client { stream, sent: 0, received: 0, started: Instant::now() });
            let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, &clients[index].stream, EventData::new_u64(index as u64), interest)?;
        }
        let message = (0..exchange_bytes).map(|index| (index * 7 + index / 251) as u8).collect();
        Ok(Self { epoll, clients, message, input: vec![0; 1 << 18] })
    }

    /// One blocking exchange on each of the first 64 connections.
    pub(crate) fn check_first_exchange(&mut self) -> io::Result<()> {
        for client in self.clients.iter_mut().take(64) {
            let mut sender = client.stream.try_clone()?;
            let message = self.message.clone();
            // Long messages fill both directions, so somebody must write while we read.
            let sending = std::thread::spawn(move || sender.write_all(&message));
            let mut echoed = vec![0; self.message.len()];
            client.stream.read_exact(&mut echoed)?;
            sending.join().expect("the sender does not panic")?;
            if echoed != self.message {
                return Err(io::Error::other("the server echoes other bytes"));
            }
        }
        for client in &self.clients {
            client.stream.set_nonblocking(true)?;
        }
        Ok(())
    }

    /// Makes this many exchanges, shared out as the connections get them done; returns how long each took, in ns.
    pub(crate) fn run(&mut self, exchanges: u64) -> io::Result<Vec<u64>> {
        let mut latencies = Vec::with_capacity(exchanges as usize);
        let mut unstarted = exchanges - self.clients.len() as u64;
        for client in &mut self.clients {
            client.start(&self.message)?;
        }
        let mut events = Vec::with_capacity(EVENTS);
        while (latencies.len() as u64) < exchanges {
            events.clear();
            let spare = rustix::buffer::spare_capacity(&mut events);
            if epoll::wait(&self.epoll, spare, Some(&PATIENCE))? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for event in &events {
                let client = &mut self.clients[event.data.u64() as usize];
                if client.turn(&self.message, &mut self.input)? {
                    latencies.push(client.started.elapsed().as_nanos() as u64);
                    if unstarted > 0 {
                        unstarted -= 1;
                        client.start(&self.message)?;
                    }
                }
            }
        }
        Ok(latencies)
    }

    /// Vanishes: every connection ends by RST.
    pub(crate) fn reset(self) -> io::Result<()> {
        drop(self.clients);
        Ok(())
    }
}

impl Client {
    fn start(&mut self, message: &[u8]) -> io::Result<()> {
        (self.sent, self.received, self.started) = (0, 0, Instant::now());
        self.send(message)
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        while self.sent < message.len() {
            match self.stream.write(&message[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Whether the exchange came to its end now.
    fn turn(&mut self, message: &[u8], input: &mut [u8]) -> io::Result<bool> {
        if self.received == message.len() {
            return Ok(false);
        }
        self.send(message)?;
        loop {
            match self.stream.read(input) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => {
                    self.received += count;
                    if self.received == message.len() {
                        return Ok(true);
                    }
                    if count < input.len() {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
    }
}
