//! `ScriptedDriver`: a driver with no kernel beneath it and with virtual time.
//!
//! Invariants:
//! 1. Time stands still while anything runs. Only a wait with nothing ready lets it pass, and then exactly until the
//!    deadline or the script's next change, whichever is first.
//! 2. A wait that could never end is an error of kind `Deadlock`, unless a `ClockHold` says that somebody outside may end it.
//! 3. A wait that a notification, a script or a `ClockHold` on another thread may end blocks for real and sleeps never.
//!
//! Absent on purpose: descriptors of the system, and order at random.

use crate::script::SharedWorld;
use crate::{Operation, Script, VirtualClock};
use asyncio_driver::{
    Address, Capabilities, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest,
    ListenOptions, ListenerEndpoint, LoopTime, Mode, Notify, Source, StreamEndpoint, TimeHold, Token,
};
use std::io;
use std::sync::Arc;

#[cfg(unix)]
use std::os::fd::BorrowedFd;

/// A driver whose world is made up: its endpoints are queues in memory, its clock is a [`VirtualClock`], and a [`Script`]
/// decides what happens.
///
/// Endpoints reach those of the same driver, and those that its scripts make. Level and edge, both directions, full buffers,
/// resets and refusals are as the kernel's. Its notifier takes a lock, so it is not for signal handlers.
#[derive(Debug)]
pub struct ScriptedDriver {
    world: SharedWorld,
}

impl ScriptedDriver {
    /// Makes a driver on `clock` with nothing in its world.
    #[must_use]
    pub fn new(clock: &VirtualClock) -> Self {
        Self { world: SharedWorld::new(clock.clone()) }
    }

    /// The script of this driver; take it before the driver is given to a loop.
    #[must_use]
    pub fn script(&self) -> Script {
        Script { world: self.world.clone() }
    }

    /// Looks once at what is ready, and says how the wait goes on.
    fn look(&mut self, deadline: Deadline, events: &mut Vec<Event>) -> io::Result<Next> {
        let now = self.world.clock.now();
        let mut world = self.world.lock();
        world.make_due_changes(now);
        world.check_failure(Operation::Wait)?;
        if world.limits.spurious_wakes > 0 {
            world.limits.spurious_wakes -= 1;
            return Ok(Next::Return);
        }
        let is_notified = std::mem::take(&mut world.is_notified);
        if world.collect(events) > 0 || is_notified {
            return Ok(Next::Return);
        }
        let change = world.next_change();
        Ok(match deadline {
            Deadline::At(time) if time > now => Next::PassUntil(change.map_or(time, |change| change.min(time))),
            Deadline::Never => change.map_or(Next::Deadlock, Next::PassUntil),
            _ => Next::Return,
        })
    }
}

/// How a wait goes on after a look.
enum Next {
    Return,
    PassUntil(LoopTime),
    Deadlock,
}

impl Driver for ScriptedDriver {
    fn now(&self) -> LoopTime {
        self.world.clock.now()
    }

    fn wait(&mut self, deadline: Deadline, events: &mut Vec<Event>) -> io::Result<()> {
        self.world.lock().statistics.waits += 1;
        loop {
            let seen = self.world.clock.epoch();
            match self.look(deadline, events)? {
                Next::Return => return Ok(()),
                Next::PassUntil(_) | Next::Deadlock if self.world.clock.block_if_held(seen) => {}
                Next::PassUntil(time) => {
                    self.world.lock().statistics.jumps += 1;
                    self.world.clock.jump_to(time);
                }
                Next::Deadlock => {
                    return Err(io::Error::new(
                        io::ErrorKind::Deadlock,
                        "nothing can ever happen: no source is ready, no deadline and no scripted change lies ahead, and \
                         no `ClockHold` (`EventLoop::hold_time`) says that another thread will notify",
                    ));
                }
            }
        }
    }

    fn register(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        let id = number(source)?;
        let mut world = self.world.lock();
        world.statistics.registers += 1;
        world.check_failure(Operation::Register)?;
        world.register(id, token, interest, mode)
    }

    fn modify(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        let id = number(source)?;
        let mut world = self.world.lock();
        world.statistics.modifies += 1;
        world.check_failure(Operation::Modify)?;
        world.modify(id, token, interest, mode)
    }

    fn remove(&mut self, source: Source<'_>) -> io::Result<()> {
        let id = number(source)?;
        let mut world = self.world.lock();
        world.statistics.removes += 1;
        world.check_failure(Operation::Remove)?;
        world.remove(id)
    }

    fn notifier(&self) -> Arc<dyn Notify> {
        Arc::new(ScriptedNotifier(self.world.clone()))
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::minimal();
        capabilities.edge = true;
        capabilities.free_poll = true;
        capabilities.virtual_time = true;
        capabilities
    }

    fn hold_time(&self) -> Option<Box<dyn TimeHold>> {
        Some(Box::new(self.world.clock.hold()))
    }

    #[cfg(unix)]
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn connect(&mut self, remote: &Address, options: &ConnectOptions) -> io::Result<Box<dyn StreamEndpoint>> {
        self.world.connect(remote, options)
    }

    fn listen(&mut self, local: &Address, options: &ListenOptions) -> io::Result<Box<dyn ListenerEndpoint>> {
        self.world.listen(local, options)
    }

    fn datagram(
        &mut self,
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<Box<dyn DatagramEndpoint>> {
        self.world.datagram(local, remote, options)
    }
}

#[derive(Debug)]
struct ScriptedNotifier(SharedWorld);

impl Notify for ScriptedNotifier {
    fn notify(&self) {
        self.0.change(|world| {
            world.statistics.notifications += 1;
            world.is_notified = true;
        });
    }
}

fn number(source: Source<'_>) -> io::Result<u64> {
    match source {
        Source::Virtual(number, _) => Ok(number),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "a source of the system; a scripted driver waits for those that it has made",
        )),
    }
}
