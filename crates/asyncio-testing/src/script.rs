//! `Script`: the test's side of a scripted driver.
//!
//! Invariants:
//! 1. Every change that a script makes is seen by the driver's next wait, also by one that blocks already.
//!
//! Absent on purpose: expectations. A test asserts what [`Script::statistics`] and the endpoints tell.

use crate::VirtualClock;
use crate::world::{StreamHandle, World};
use asyncio_driver::{
    Address, ConnectOptions, DatagramEndpoint, DatagramOptions, ListenOptions, ListenerEndpoint, LoopTime, Readiness,
    Source, StreamEndpoint,
};
use std::io;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Says what happens to the loop on a [`ScriptedDriver`](crate::ScriptedDriver), and what it has asked for.
///
/// Clones write the same script; all of them stay usable while the loop owns the driver, on any thread.
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) world: SharedWorld,
}

impl Script {
    /// Makes a source that is ready when the script says so, for loops that watch descriptors.
    #[must_use]
    pub fn source(&self) -> ScriptedSource {
        let id = self.world.change(World::add_manual);
        ScriptedSource { world: self.world.clone(), id }
    }

    /// The next `operation` does nothing but fail with `error`; several wait in line.
    ///
    /// After `WouldBlock`, the endpoint is reported ready again by the next wait, as if it had blocked for a moment.
    pub fn fail_next(&self, operation: Operation, error: io::Error) {
        self.world.change(|world| world.add_failure(operation, error));
    }

    /// The next `times` waits end at once and without an event, as waits interrupted by a signal may.
    pub fn wake_spuriously(&self, times: usize) {
        self.world.change(|world| world.limits.spurious_wakes += times);
    }

    /// No stream sends more than `bytes` at a time, even if there is room. `None` (the default) lifts the limit.
    pub fn set_send_max(&self, bytes: Option<usize>) {
        self.world.change(|world| world.limits.send_max_bytes = bytes.unwrap_or(usize::MAX).max(1));
    }

    /// No stream receives more than `bytes` at a time, even if more have arrived. `None` (the default) lifts the limit.
    pub fn set_recv_max(&self, bytes: Option<usize>) {
        self.world.change(|world| world.limits.recv_max_bytes = bytes.unwrap_or(usize::MAX).max(1));
    }

    /// How many bytes may be under way in each direction of a stream that is made from now on. Default 65,536.
    pub fn set_buffer_bytes(&self, bytes: usize) {
        self.world.change(|world| world.limits.buffer_bytes = bytes.max(1));
    }

    /// Connects a stream from outside: the test plays the client of a listener on the driver.
    ///
    /// # Errors
    ///
    /// As [`Driver::connect`](asyncio_driver::Driver::connect).
    pub fn connect(&self, remote: &Address, options: &ConnectOptions) -> io::Result<Box<dyn StreamEndpoint>> {
        self.world.connect(remote, options)
    }

    /// Listens outside: the test plays the server for the driver's connections.
    ///
    /// # Errors
    ///
    /// As [`Driver::listen`](asyncio_driver::Driver::listen).
    pub fn listen(&self, local: &Address, options: &ListenOptions) -> io::Result<Box<dyn ListenerEndpoint>> {
        self.world.listen(local, options)
    }

    /// Opens a datagram endpoint outside.
    ///
    /// # Errors
    ///
    /// As [`Driver::datagram`](asyncio_driver::Driver::datagram).
    pub fn datagram(
        &self,
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<Box<dyn DatagramEndpoint>> {
        self.world.datagram(local, remote, options)
    }

    /// A pair of streams that are connected to each other, at made-up addresses.
    #[must_use]
    pub fn stream_pair(&self) -> (Box<dyn StreamEndpoint>, Box<dyn StreamEndpoint>) {
        let (one, other) = self.world.change(World::add_stream_pair);
        (Box::new(StreamHandle::new(self.world.clone(), one)), Box::new(StreamHandle::new(self.world.clone(), other)))
    }

    /// What was asked of the driver so far.
    #[must_use]
    pub fn statistics(&self) -> ScriptStatistics {
        self.world.lock().statistics
    }
}

/// A source whose readiness the test decides. Dropping it is like closing a descriptor.
#[derive(Debug)]
pub struct ScriptedSource {
    world: SharedWorld,
    id: u64,
}

impl ScriptedSource {
    /// What to register.
    #[must_use]
    pub fn source(&self) -> Source<'_> {
        Source::Virtual(self.id, PhantomData)
    }

    /// The source is ready in these directions from now on. Saying it again is like more data: an edge.
    pub fn set_ready(&self, readiness: Readiness) {
        self.world.change(|world| world.set_manual(self.id, readiness));
    }

    /// The source will be ready in these directions from `time` on.
    ///
    /// A time that has passed means the next wait. Changes at one time are made in the order in which they were scripted.
    pub fn set_ready_at(&self, time: LoopTime, readiness: Readiness) {
        self.world.change(|world| world.plan(time, self.id, readiness));
    }
}

impl Drop for ScriptedSource {
    fn drop(&mut self) {
        self.world.change(|world| world.close(self.id));
    }
}

/// What a [`Script`] can make fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// [`Driver::wait`](asyncio_driver::Driver::wait).
    Wait,
    /// [`Driver::register`](asyncio_driver::Driver::register).
    Register,
    /// [`Driver::modify`](asyncio_driver::Driver::modify).
    Modify,
    /// [`Driver::remove`](asyncio_driver::Driver::remove).
    Remove,
    /// [`Driver::connect`](asyncio_driver::Driver::connect).
    Connect,
    /// [`Driver::listen`](asyncio_driver::Driver::listen).
    Listen,
    /// [`Driver::datagram`](asyncio_driver::Driver::datagram).
    Datagram,
    /// [`StreamEndpoint::finish_connect`].
    FinishConnect,
    /// [`StreamEndpoint::recv`].
    Recv,
    /// [`StreamEndpoint::send`].
    Send,
    /// [`ListenerEndpoint::accept`].
    Accept,
    /// [`DatagramEndpoint::recv_from`].
    RecvFrom,
    /// [`DatagramEndpoint::send_to`].
    SendTo,
}

/// How often the driver was asked for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScriptStatistics {
    /// Calls of [`Driver::wait`](asyncio_driver::Driver::wait).
    pub waits: u64,
    /// Events that waits have reported.
    pub events: u64,
    /// Times that a wait let virtual time jump.
    pub jumps: u64,
    /// Calls of [`Driver::register`](asyncio_driver::Driver::register).
    pub registers: u64,
    /// Calls of [`Driver::modify`](asyncio_driver::Driver::modify).
    pub modifies: u64,
    /// Calls of [`Driver::remove`](asyncio_driver::Driver::remove).
    pub removes: u64,
    /// Uses of the notifier.
    pub notifications: u64,
}

/// The world of one driver, for everybody who has a part in it.
#[derive(Clone, Debug)]
pub(crate) struct SharedWorld {
    world: Arc<Mutex<World>>,
    pub(crate) clock: VirtualClock,
}

impl SharedWorld {
    pub(crate) fn new(clock: VirtualClock) -> Self {
        Self { world: Arc::default(), clock }
    }

    /// Changes the world, and tells a wait that blocks to look at it again.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        let result = change(&mut self.lock());
        self.clock.touch();
        result
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A test that has panicked under the lock has failed; its other threads may still end in order.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
