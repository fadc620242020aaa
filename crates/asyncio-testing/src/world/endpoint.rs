//! Endpoints of the scripted world: an id, and the world in which it means something.
//!
//! Invariants:
//! 1. A handle owns its source: dropping the handle closes it.
//! 2. Each operation locks the world once, so that a script on another thread sees it done or not begun.
//!
//! Absent on purpose: behaviour. It is in `stream` and `datagram`, as plain functions of the world.

use crate::script::SharedWorld;
use asyncio_driver::{
    Address, ConnectOptions, DatagramEndpoint, DatagramOptions, ListenOptions, ListenerEndpoint, MulticastGroup,
    Source, StreamEndpoint,
};
use std::io::{self, IoSlice};
use std::marker::PhantomData;
use std::net::Shutdown;

impl SharedWorld {
    pub(crate) fn connect(&self, remote: &Address, options: &ConnectOptions) -> io::Result<Box<dyn StreamEndpoint>> {
        let id = self.change(|world| world.connect(remote, options))?;
        Ok(Box::new(StreamHandle::new(self.clone(), id)))
    }

    pub(crate) fn listen(&self, local: &Address, options: &ListenOptions) -> io::Result<Box<dyn ListenerEndpoint>> {
        let id = self.change(|world| world.listen(local, options))?;
        Ok(Box::new(ListenerHandle(Handle { world: self.clone(), id })))
    }

    pub(crate) fn datagram(
        &self,
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<Box<dyn DatagramEndpoint>> {
        let id = self.change(|world| world.open_datagram(local, remote, options))?;
        Ok(Box::new(DatagramHandle(Handle { world: self.clone(), id })))
    }
}

/// What every endpoint is.
#[derive(Debug)]
struct Handle {
    world: SharedWorld,
    id: u64,
}

impl Handle {
    fn source(&self) -> Source<'_> {
        Source::Virtual(self.id, PhantomData)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.world.change(|world| world.close(self.id));
    }
}

#[derive(Debug)]
pub(crate) struct StreamHandle(Handle);

impl StreamHandle {
    pub(crate) fn new(world: SharedWorld, id: u64) -> Self {
        Self(Handle { world, id })
    }
}

impl StreamEndpoint for StreamHandle {
    fn source(&self) -> Source<'_> {
        self.0.source()
    }

    fn recv<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let count = self.0.world.change(|world| world.recv(self.0.id, scratch))?;
        Ok(&scratch[..count])
    }

    fn send(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.world.change(|world| world.send(self.0.id, bufs))
    }

    fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.0.world.change(|world| world.shutdown(self.0.id, how))
    }

    fn finish_connect(&mut self) -> io::Result<()> {
        self.0.world.change(|world| world.finish_connect(self.0.id))
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.0.world.lock().stream_addrs(self.0.id).map(|(local, _)| local)
    }

    fn peer_addr(&self) -> io::Result<Address> {
        self.0.world.lock().stream_addrs(self.0.id).map(|(_, remote)| remote)
    }
}

#[derive(Debug)]
struct ListenerHandle(Handle);

impl ListenerEndpoint for ListenerHandle {
    fn source(&self) -> Source<'_> {
        self.0.source()
    }

    fn accept(&mut self) -> io::Result<(Box<dyn StreamEndpoint>, Address)> {
        let (id, peer) = self.0.world.change(|world| world.accept(self.0.id))?;
        Ok((Box::new(StreamHandle::new(self.0.world.clone(), id)), peer))
    }

    fn listen(&mut self, backlog: u32) -> io::Result<()> {
        self.0.world.change(|world| world.set_backlog(self.0.id, backlog))
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.0.world.lock().listener_addr(self.0.id)
    }
}

#[derive(Debug)]
struct DatagramHandle(Handle);

impl DatagramEndpoint for DatagramHandle {
    fn source(&self) -> Source<'_> {
        self.0.source()
    }

    fn recv_from<'a>(&'a mut self, scratch: &'a mut [u8]) -> io::Result<(&'a [u8], Address)> {
        let (count, sender) = self.0.world.change(|world| world.recv_from(self.0.id, scratch))?;
        Ok((&scratch[..count], sender))
    }

    fn send_to(&mut self, packet: &[u8], to: Option<&Address>) -> io::Result<usize> {
        self.0.world.change(|world| world.send_to(self.0.id, packet, to))
    }

    fn local_addr(&self) -> io::Result<Address> {
        self.0.world.lock().datagram_addr(self.0.id)
    }

    fn peer_addr(&self) -> io::Result<Address> {
        self.0.world.lock().datagram_peer(self.0.id)
    }

    fn set_membership(&mut self, group: &MulticastGroup, is_member: bool) -> io::Result<()> {
        self.0.world.change(|world| world.set_membership(self.0.id, group, is_member))
    }
}
