//! `shield`: waits for something without passing a cancellation on to it.

use crate::catch::raise;
use crate::ensure::{Gatherable, Source};
use crate::task::CallbackKey;
use crate::waits::{self, Awaited, Link, Look, Observed, WaitId};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

/// Waits for `item` (a coroutine, a task, a future), which runs on if the waiting task is cancelled.
///
/// A coroutine becomes a task here and now, which the loop owns. The result is as that of [`gather`](crate::gather): the
/// value of a coroutine, a `Result` with the cancellation of a task or future. If a coroutine's task is cancelled by
/// somebody else, the waiting task is unwound.
///
/// # Cancel safety
///
/// That is what it is for: nothing happens to `item`. Its panic is then reported to the exception handler.
///
/// # Panics
///
/// If no loop is running in this thread. With the panic of the item.
///
/// # asyncio
///
/// [`asyncio.shield`](https://docs.python.org/3/library/asyncio-task.html#asyncio.shield). Same; there is no reference to keep.
#[track_caller]
pub fn shield<G: Gatherable>(item: G) -> Shield<G> {
    Shield { source: item.into_source(Location::caller()), registered: None, wait: None }
}

/// Waits behind a shield; see [`shield`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Shield<G: Gatherable> {
    source: Source<G::Value>,
    /// The callback with the item, and the wait that it is to decide.
    registered: Option<(CallbackKey, Rc<Behind>)>,
    wait: Option<WaitId>,
}

/// What a shield shares with the callback of its item.
struct Behind {
    wait: Cell<Option<WaitId>>,
    /// To be looked at only: no cancellation goes there.
    link: Link,
}

impl Observed for Behind {
    fn awaited(&self, found: &mut Vec<Awaited>) {
        self.link.awaited(found);
    }
}

impl<G: Gatherable> Unpin for Shield<G> {}

impl<G: Gatherable> Future for Shield<G> {
    type Output = G::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<G::Output> {
        if let Some(wait) = self.wait {
            match waits::look(wait, cx) {
                Look::Waiting => return Poll::Pending,
                Look::Decided | Look::GivenUp => self.end(),
            }
        }
        if !self.source.done() {
            let shared = Rc::new(Behind { wait: Cell::new(None), link: self.source.link() });
            let observed: Weak<Behind> = Rc::downgrade(&shared);
            let wait = waits::begin(cx, Link::Observed(observed));
            shared.wait.set(Some(wait));
            let tell = shared.clone();
            let key = self.source.on_done(move || {
                if let Some(wait) = tell.wait.get() {
                    waits::wake(wait);
                }
            });
            self.registered = Some((key, shared));
            self.wait = Some(wait);
            return Poll::Pending;
        }
        match G::output(self.source.take()) {
            Ok(output) => Poll::Ready(output),
            Err(error) => {
                raise(Some(error));
                Poll::Pending
            }
        }
    }
}

impl<G: Gatherable> Shield<G> {
    fn end(&mut self) {
        if let Some((key, shared)) = self.registered.take() {
            shared.wait.set(None);
            self.source.forget(key);
        }
        if let Some(wait) = self.wait.take() {
            waits::end(wait);
        }
    }
}

impl<G: Gatherable> Drop for Shield<G> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<G: Gatherable> fmt::Debug for Shield<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shield").field("done", &self.source.done()).finish_non_exhaustive()
    }
}
