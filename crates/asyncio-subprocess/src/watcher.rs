//! How the loop learns that a child has ended: by a descriptor of the process, or by a thread that waits.
//!
//! The descriptor is registered with the driver of the loop. Where the system has none, the driver takes none, or none is left, a thread
//! waits for the child without collecting it, and wakes the loop.
//!
//! Invariant: neither collects the child, and neither has anything to do with `SIGCHLD`.

use crate::child::Child;
use asyncio_driver::{Interest, Mode, Source, TimeHold, child_watch, wait_for_child_blocking};
use asyncio_loop::{EventLoop, SourceKey, Trigger};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::thread;

/// What watches a child.
pub(crate) enum Watch {
    None,
    Descriptor(OwnedFd, SourceKey),
    Thread(#[expect(dead_code, reason = "the callback lives as long as its trigger")] Trigger),
}

impl Watch {
    pub(crate) fn begin(event_loop: &EventLoop, child: &Rc<Child>) -> io::Result<Self> {
        match child_watch(child.pid()) {
            Ok(fd) => {
                match event_loop.add_source(Source::Os(fd.as_fd()), Interest::READABLE, Mode::Level, child.clone()) {
                    Ok(key) => Ok(Self::Descriptor(fd, key)),
                    Err(error) if event_loop.is_closed() => Err(error),
                    Err(_) => Self::by_thread(event_loop, child),
                }
            }
            Err(_) => Self::by_thread(event_loop, child),
        }
    }

    pub(crate) fn by_thread(event_loop: &EventLoop, child: &Rc<Child>) -> io::Result<Self> {
        /// A loop that is closed drops its callbacks.
        struct Watched(Rc<Child>);
        impl Drop for Watched {
            fn drop(&mut self) {
                self.0.abandon();
            }
        }
        let watched = Watched(child.clone());
        let trigger = event_loop.create_trigger(move || watched.0.collect());
        let waiting = Waiting { pid: child.pid(), trigger: trigger.clone(), _hold: event_loop.hold_time() };
        thread::Builder::new().name(format!("asyncio-waitpid-{}", waiting.pid)).spawn(move || waiting.run())?;
        Ok(Self::Thread(trigger))
    }

    pub(crate) fn is_source(&self, source: Source<'_>) -> bool {
        matches!(self, Self::Descriptor(fd, _) if Source::Os(fd.as_fd()).is_same(source))
    }

    pub(crate) fn end(self, event_loop: &EventLoop) {
        if let Self::Descriptor(fd, key) = self {
            event_loop.remove_source(key, Source::Os(fd.as_fd()));
        }
    }
}

/// What the thread has.
struct Waiting {
    pid: u32,
    trigger: Trigger,
    /// Virtual time stands still while somebody waits for what is real.
    _hold: Option<Box<dyn TimeHold>>,
}

impl Waiting {
    fn run(self) {
        // A child that somebody else has collected is at its end, too; whoever collects it learns why.
        let _ = wait_for_child_blocking(self.pid);
        self.trigger.fire();
    }
}
