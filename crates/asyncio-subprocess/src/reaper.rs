//! The reaper: collects the children that nobody waits for, so that none becomes a zombie. It needs no loop.
//!
//! One thread for the process, on a driver of its own, that lives while there are such children. A child that has no descriptor of its
//! process gets a thread that waits for it.
//!
//! Invariants:
//! 1. A child that was adopted is collected exactly once, whatever becomes of the loop that had it.
//! 2. The thread ends, under the lock, when it has no child and none has been handed in: none is ever handed in to a thread that is
//!    about to end.

use asyncio_driver::{
    Deadline, Driver, Interest, Mode, Notify, Slots, Source, child_watch, fork_generation, new_driver,
};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

/// Takes over a child whose status nobody wants.
pub(crate) fn adopt(mut child: Child) {
    // `Err`: somebody else has collected it.
    if !matches!(child.try_wait(), Ok(None)) {
        return;
    }
    let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
    // In a forked process there is a copy of this, and no such thread.
    if reaper.as_ref().is_none_or(|reaper| reaper.generation != fork_generation()) {
        *reaper = Reaper::start();
    }
    match &mut *reaper {
        Some(reaper) => {
            reaper.handed_in.push(child);
            reaper.notifier.notify();
        }
        None => wait_by_thread(child),
    }
}

/// How the thread is reached.
struct Reaper {
    handed_in: Vec<Child>,
    notifier: Arc<dyn Notify>,
    generation: u32,
}

static REAPER: Mutex<Option<Reaper>> = Mutex::new(None);

impl Reaper {
    /// `None` if no thread, or no descriptor for its driver, is left.
    fn start() -> Option<Self> {
        let (tell, told) = mpsc::sync_channel(1);
        let body = move || {
            // Drivers stay on their thread, so this one is made here.
            let Ok(driver) = new_driver() else { return };
            if tell.send(driver.notifier()).is_ok() {
                Reaping { driver, children: Slots::default() }.run();
            }
        };
        thread::Builder::new().name(String::from("asyncio-reaper")).spawn(body).ok()?;
        let notifier = told.recv().ok()?;
        Some(Self { handed_in: Vec::new(), notifier, generation: fork_generation() })
    }
}

/// What the thread has.
struct Reaping {
    driver: Box<dyn Driver>,
    children: Slots<(Child, OwnedFd)>,
}

impl Reaping {
    fn run(mut self) {
        let mut events = Vec::new();
        while self.take_in() {
            if self.driver.wait(Deadline::Never, &mut events).is_err() {
                return self.give_up();
            }
            for event in events.drain(..) {
                let is_over = self.children.get_mut(event.token).is_some_and(|(child, _)| has_ended(child));
                if is_over && let Some((_, fd)) = self.children.remove(event.token) {
                    // What the driver says to that changes nothing: the descriptor is closed next.
                    let _ = self.driver.remove(Source::Os(fd.as_fd()));
                }
            }
        }
    }

    /// The driver has failed: each child gets a thread.
    fn give_up(mut self) {
        let reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner).take();
        let left: Vec<_> = self.children.iter().map(|(token, _)| token).collect();
        left.into_iter().filter_map(|token| self.children.remove(token)).for_each(|(child, _)| wait_by_thread(child));
        reaper.into_iter().flat_map(|reaper| reaper.handed_in).for_each(wait_by_thread);
    }

    /// Watches what was handed in. `false`, and nothing is handed in any more, if there is no child at all.
    fn take_in(&mut self) -> bool {
        let mut reaper = REAPER.lock().unwrap_or_else(PoisonError::into_inner);
        let handed_in = reaper.as_mut().map(|reaper| std::mem::take(&mut reaper.handed_in)).unwrap_or_default();
        for child in handed_in {
            self.watch(child);
        }
        if self.children.is_empty() {
            *reaper = None;
        }
        !self.children.is_empty()
    }

    fn watch(&mut self, mut child: Child) {
        let fd = match child_watch(child.id()) {
            Ok(fd) => fd,
            Err(_) if has_ended(&mut child) => return,
            Err(_) => return wait_by_thread(child),
        };
        let token = self.children.insert((child, fd));
        if self.register(token).is_err()
            && let Some((child, _)) = self.children.remove(token)
        {
            wait_by_thread(child);
        }
    }

    fn register(&mut self, token: asyncio_driver::Token) -> io::Result<()> {
        let Some((_, fd)) = self.children.get(token) else { return Ok(()) };
        self.driver.register(Source::Os(fd.as_fd()), token, Interest::READABLE, Mode::Level)
    }
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

/// If not even a thread is left, the child is collected when this process ends.
fn wait_by_thread(mut child: Child) {
    let name = format!("asyncio-waitpid-{}", child.id());
    let _ = thread::Builder::new().name(name).spawn(move || child.wait());
}
