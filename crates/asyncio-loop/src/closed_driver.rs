//! `ClosedDriver`: what a closed loop stands on. Its clock stands still, and it refuses everything else.

use asyncio_driver::{
    Address, Capabilities, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest,
    ListenOptions, ListenerEndpoint, LoopTime, Mode, Notify, Source, StreamEndpoint, Token,
};
use std::io;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct ClosedDriver {
    now: LoopTime,
}

impl ClosedDriver {
    pub(crate) const fn new(now: LoopTime) -> Self {
        Self { now }
    }
}

#[derive(Debug)]
struct Nobody;

impl Notify for Nobody {
    fn notify(&self) {}
}

fn closed<T>() -> io::Result<T> {
    Err(crate::ClosedError.into())
}

impl Driver for ClosedDriver {
    fn now(&self) -> LoopTime {
        self.now
    }

    fn wait(&mut self, _: Deadline, _: &mut Vec<Event>) -> io::Result<()> {
        closed()
    }

    fn register(&mut self, _: Source<'_>, _: Token, _: Interest, _: Mode) -> io::Result<()> {
        closed()
    }

    fn modify(&mut self, _: Source<'_>, _: Token, _: Interest, _: Mode) -> io::Result<()> {
        closed()
    }

    fn remove(&mut self, _: Source<'_>) -> io::Result<()> {
        closed()
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        Arc::new(Nobody)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::minimal()
    }

    #[cfg(unix)]
    fn poll_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn connect(&mut self, _: &Address, _: &ConnectOptions) -> io::Result<Box<dyn StreamEndpoint>> {
        closed()
    }

    fn listen(&mut self, _: &Address, _: &ListenOptions) -> io::Result<Box<dyn ListenerEndpoint>> {
        closed()
    }

    fn datagram(
        &mut self,
        _: Option<&Address>,
        _: Option<&Address>,
        _: &DatagramOptions,
    ) -> io::Result<Box<dyn DatagramEndpoint>> {
        closed()
    }
}
