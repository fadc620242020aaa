//! Signal handlers that are ordinary callbacks of the loop.
//!
//! The driver's floor catches the signal and pokes the loop's inbox; the callback joins the ready queue like any other.

use crate::error::ClosedError;
use crate::event_loop::EventLoop;
use crate::pending::{PendingItem, PendingKind};
use crate::ready_queue::Entry;
use crate::remote::Poker;
use crate::step::Runnable;
use crate::watch::Watcher;
use asyncio_driver::{Signal, SignalWatch, watch_signal};
use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

/// The signal handlers of one loop.
#[derive(Debug, Default)]
pub(crate) struct SignalHandlers(Vec<SignalHandler>);

#[derive(Debug)]
struct SignalHandler {
    signal: Signal,
    watch: SignalWatch,
    watcher: Rc<Watcher>,
}

impl SignalHandlers {
    /// Gives the callbacks of the signals that have come in since this was asked last.
    pub(crate) fn for_each_pending(&self, mut ready: impl FnMut(Rc<Watcher>)) {
        for handler in &self.0 {
            if handler.watch.take() {
                ready(handler.watcher.clone());
            }
        }
    }
}

impl SignalHandlers {
    /// What is handled, and where the handler was added.
    pub(crate) fn pending(&self) -> impl Iterator<Item = PendingItem> {
        let item =
            |handler: &SignalHandler| PendingItem::new(PendingKind::Signal(handler.signal), handler.watcher.location());
        self.0.iter().map(item)
    }
}

impl EventLoop {
    /// Calls `callback` on the loop each time `signal` comes in; signals that come in faster than the loop turns are one.
    ///
    /// The callback is an ordinary one: it may do what any callback may. A handler that this loop had for the signal is
    /// replaced. Other loops may handle the same signal, too.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no such signal, or it cannot be caught (`SIGKILL`, `SIGSTOP`): the error is a
    /// [`SignalError`](asyncio_driver::SignalError); `Unsupported` if the loop's driver cannot be woken by a signal handler;
    /// [`ClosedError`] as `io::Error` if the loop was closed; otherwise what the system reports.
    ///
    /// # asyncio
    ///
    /// [`loop.add_signal_handler`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.add_signal_handler).
    /// Differs: works in any thread, and several loops may handle one signal.
    #[track_caller]
    pub fn add_signal_handler(&self, signal: Signal, callback: impl FnMut() + 'static) -> io::Result<()> {
        let location = Location::caller();
        if self.is_closed() {
            return Err(ClosedError.into());
        }
        if !self.core.driver.borrow().capabilities().notify_in_signal_handler {
            let text = "this driver cannot be woken by a signal handler";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let watch = watch_signal(signal, Arc::new(Poker(self.core.inbox.clone())))?;
        let watcher = Watcher::new(callback, location);
        let step = watcher.clone();
        let new = SignalHandler { signal, watch, watcher };
        let previous = {
            let mut handlers = self.core.signals.borrow_mut();
            let previous = handlers.take(signal);
            handlers.0.push(new);
            previous
        };
        // A signal that came in before and was not seen yet is for the new handler, once; a call that is queued is made.
        let is_due = previous.is_some_and(|previous| previous.watch.take());
        if is_due {
            if let Some(handler) = self.core.signals.borrow().0.last() {
                let _ = handler.watch.take();
            }
            self.core.ready.borrow_mut().push(Entry::Step(step.into()));
        }
        Ok(())
    }

    /// Stops to handle `signal`, and restores the action from before if no other loop handles it. Says whether there was a
    /// handler.
    ///
    /// # asyncio
    ///
    /// [`loop.remove_signal_handler`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.remove_signal_handler).
    /// Differs: restores the previous action, where asyncio sets the default one.
    pub fn remove_signal_handler(&self, signal: Signal) -> bool {
        let removed = self.core.signals.borrow_mut().take(signal);
        let Some(removed) = removed else { return false };
        removed.watcher.cancel();
        true
    }

    /// From now on, `arrivals` of `signal` in a row that this loop does not come to handle, because what runs on it does not
    /// come back, do what the signal does by default: most end the process. 0 takes that back. Says whether the loop has a
    /// handler for the signal; another handler begins without a limit.
    ///
    /// # asyncio
    ///
    /// None; Python's own handler of `SIGINT` runs between any two instructions.
    pub fn set_unanswered_signals_max(&self, signal: Signal, arrivals: u32) -> bool {
        let handlers = self.core.signals.borrow();
        let handler = handlers.0.iter().find(|handler| handler.signal == signal);
        handler.inspect(|handler| handler.watch.set_unanswered_max(arrivals)).is_some()
    }
}

impl SignalHandlers {
    fn take(&mut self, signal: Signal) -> Option<SignalHandler> {
        let at = self.0.iter().position(|handler| handler.signal == signal)?;
        Some(self.0.remove(at))
    }
}
