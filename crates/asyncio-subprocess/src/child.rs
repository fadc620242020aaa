//! `Child`: a process that the loop watches until it has ended.
//!
//! Invariants:
//! 1. A child is collected by `collect`, on the loop's thread, or by the reaper, to which it was given away. So a signal
//!    that is sent while it is `Running` cannot hit another process that was given its number.
//! 2. It is watched exactly while it is `Running`; the loop owns it for that long.
//! 3. Nothing is borrowed while anybody is told.
//!
//! Absent on purpose: pipes. A child's end does not depend on who holds them.

use crate::reaper;
use crate::watcher::Watch;
use asyncio_driver::{Readiness, Signal, Source, send_signal, send_signal_to_group};
use asyncio_loop::{EventLoop, ExceptionContext, ReadySource, Runnable, Step};
use asyncio_tasks::WaitQueue;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::rc::Rc;

/// A child process of this loop.
pub(crate) struct Child {
    event_loop: EventLoop,
    pid: u32,
    state: RefCell<State>,
    waiters: WaitQueue,
    on_exit: Cell<Option<Box<dyn FnOnce()>>>,
}

enum State {
    Running {
        child: std::process::Child,
        watch: Watch,
    },
    Exited(ExitStatus),
    /// The reaper has it: nobody wants to know, or nobody could be told.
    GivenAway,
}

impl Child {
    /// Watches a child that was just started. `on_exit` is called once, by a step of the loop, when its status is known.
    ///
    /// # Errors
    ///
    /// The loop was closed, or no means of watching is left; the child is killed then.
    pub(crate) fn watch(
        event_loop: &EventLoop,
        child: std::process::Child,
        on_exit: Option<Box<dyn FnOnce()>>,
    ) -> io::Result<Rc<Self>> {
        let pid = child.id();
        let this = Rc::new(Self {
            event_loop: event_loop.clone(),
            pid,
            state: RefCell::new(State::Running { child, watch: Watch::None }),
            waiters: WaitQueue::new(),
            on_exit: Cell::new(on_exit),
        });
        match Watch::begin(event_loop, &this) {
            Ok(begun) => {
                if let State::Running { watch, .. } = &mut *this.state.borrow_mut() {
                    *watch = begun;
                }
                Ok(this)
            }
            Err(error) => {
                this.kill_and_abandon();
                Err(error)
            }
        }
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) const fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// The status, once it is known.
    pub(crate) fn returncode(&self) -> Option<ExitStatus> {
        match *self.state.borrow() {
            State::Exited(status) => Some(status),
            State::Running { .. } | State::GivenAway => None,
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(*self.state.borrow(), State::Running { .. })
    }

    /// Waits for the status.
    pub(crate) async fn wait(&self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.returncode() {
                return Ok(status);
            }
            if !self.is_running() {
                return Err(io::Error::new(io::ErrorKind::NotConnected, "the loop of this child process was closed"));
            }
            self.waiters.wait().await;
        }
    }

    /// Sends a signal to the child, or to its process group.
    pub(crate) fn signal(&self, signal: Signal, to_group: bool) -> io::Result<()> {
        if !self.is_running() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the child process has ended"));
        }
        if to_group { send_signal_to_group(self.pid, signal) } else { send_signal(self.pid, signal) }
    }

    /// Nobody wants to know any more. The child runs on, and is collected without the loop.
    pub(crate) fn abandon(&self) {
        if !self.is_running() {
            return;
        }
        let state = self.state.replace(State::GivenAway);
        let on_exit = self.on_exit.take();
        drop(on_exit);
        if let State::Running { child, watch } = state {
            watch.end(&self.event_loop);
            reaper::adopt(child);
        }
        self.waiters.wake_all();
    }

    pub(crate) fn kill_and_abandon(&self) {
        // It may have ended already.
        let _ = self.signal(Signal::KILL, false);
        self.abandon();
    }

    /// The child is said to have ended: collects it.
    pub(crate) fn collect(&self) {
        let outcome = match &mut *self.state.borrow_mut() {
            State::Running { child, .. } => child.try_wait(),
            State::Exited(_) | State::GivenAway => return,
        };
        let status = match outcome {
            Ok(Some(status)) => status,
            Ok(None) => return,
            Err(error) => self.status_is_stolen(error),
        };
        if let State::Running { watch, .. } = self.state.replace(State::Exited(status)) {
            watch.end(&self.event_loop);
        }
        self.waiters.wake_all();
        if let Some(on_exit) = self.on_exit.take() {
            on_exit();
        }
    }

    /// Somebody else has collected the child. As in asyncio, that is told, and counts as 255.
    #[cold]
    fn status_is_stolen(&self, error: io::Error) -> ExitStatus {
        let report = ExceptionContext::new("a child process was collected by somebody else; its status counts as 255");
        self.event_loop.call_exception_handler(report.with_error(error).with("pid", self.pid.to_string()));
        ExitStatus::from_raw(255 << 8)
    }
}

impl ReadySource for Child {
    fn ready(self: Rc<Self>, _: Readiness) -> Option<Step> {
        Some(self.into())
    }

    fn is_source(&self, source: Source<'_>) -> bool {
        match &*self.state.borrow() {
            State::Running { watch, .. } => watch.is_source(source),
            State::Exited(_) | State::GivenAway => false,
        }
    }

    fn loop_closed(self: Rc<Self>) {
        self.abandon();
    }
}

impl Runnable for Child {
    fn run(self: Rc<Self>) {
        self.collect();
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("pid", &self.pid).field("returncode", &self.returncode()).finish_non_exhaustive()
    }
}
