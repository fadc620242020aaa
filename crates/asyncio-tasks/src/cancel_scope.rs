//! `CancelScope`: a part of a task that can be cancelled by itself, and stays cancelled until it is left.
//!
//! A request to a task is told once, as in asyncio: whoever swallows it goes on. A scope insists. When what is inside waits
//! again although the scope is cancelled, the request is made anew, so that each further wait ends at once, until the scope is
//! left. A shield keeps a part from hearing of scopes around it.
//!
//! Built on the requests and catch scopes that timeouts are built on. What is added, who is around whom and insisting, is in
//! `levels`.

use crate::catch::raise;
use crate::levels::{Level, Polling};
use crate::scopes::ScopeGuard;
use crate::sleep::running_loop;
use asyncio_loop::{IntoDeadline, IntoDelay};
use pin_project_lite::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// A part of a task that can be cancelled by itself, has a deadline, or is shielded. Clones are the same scope.
///
/// It is level-triggered: once it is cancelled, every wait inside ends, also those of code that has swallowed the
/// cancellation before, until the scope is left. Clean-up that has to wait does so in a scope that is a
/// [`shield`](CancelScope::shield), with a deadline of its own.
///
/// ```
/// # asyncio_tasks::run(async {
/// use asyncio_tasks::{CancelScope, catch_cancelled, sleep};
///
/// let scope = CancelScope::after(0.001);
/// let outcome = scope.run(async {
///     let _ = catch_cancelled(sleep(60)).await; // Swallowed…
///     let clean_up = CancelScope::after(0.5).shield();
///     assert_eq!(clean_up.run(sleep(0.001)).await, Some(()), "the shield keeps the cancellation away");
///     sleep(60).await; // … but the scope insists.
///     unreachable!()
/// });
/// assert_eq!(outcome.await, None::<()>);
/// assert!(scope.cancelled_caught() && scope.expired());
/// # });
/// ```
///
/// # asyncio
///
/// None; Trio's `CancelScope`. [`timeout`](fn@crate::timeout) is asyncio's, which tells once. A request to the task itself (`task.cancel()`,
/// a timeout or a group around) is asyncio's, too: shields do not keep it away, and no scope takes it.
#[derive(Clone)]
pub struct CancelScope {
    level: Rc<Level>,
}

impl CancelScope {
    /// A scope without a deadline.
    #[must_use]
    pub fn new() -> Self {
        Self::at(None)
    }

    /// A scope that is cancelled `delay` from now: seconds, or a `Duration`.
    ///
    /// # Panics
    ///
    /// If `delay` is NaN, or if no loop is running in this thread.
    #[must_use]
    #[track_caller]
    pub fn after(delay: impl IntoDelay) -> Self {
        let delay = delay.into_delay().as_nanos();
        Self::with_deadline(Some(running_loop().nanos().saturating_add(delay)))
    }

    /// A scope that is cancelled at the time `when` of the loop's clock, in seconds; `None` for never.
    ///
    /// # Panics
    ///
    /// If `when` is NaN.
    #[must_use]
    #[track_caller]
    pub fn at(when: impl IntoDeadline) -> Self {
        Self::with_deadline(when.into_deadline())
    }

    fn with_deadline(when: Option<i64>) -> Self {
        Self { level: Rc::new(Level::new(when)) }
    }

    /// Makes it a shield: what is inside hears nothing of the scopes around it, only of this one and those further in. To be said
    /// before it is run.
    #[must_use]
    pub fn shield(self) -> Self {
        self.level.is_shield.set(true);
        self
    }

    /// Runs `inside` in this scope. Gives its value; or `None` if it was cancelled by this scope, and nothing around wants it to end.
    ///
    /// What has a value in spite of the cancellation keeps it.
    ///
    /// # Panics
    ///
    /// When polled, if the scope was entered before, or if not inside a task.
    ///
    /// # Cancel safety
    ///
    /// As safe as `inside`.
    pub fn run<F: IntoFuture>(&self, inside: F) -> Scoped<F::IntoFuture> {
        Scoped {
            inside: Some(inside.into_future()),
            scope: ScopeGuard::new(),
            entered: Entered { level: self.level.clone(), is_entered: false },
        }
    }

    /// Cancels what is inside, now and at each further wait. Before the scope is entered: as soon as it waits. Afterwards: nothing.
    pub fn cancel(&self) {
        self.level.cancel();
    }

    /// The deadline, in seconds of `EventLoop::time`; `None` if there is none.
    #[must_use]
    pub fn when(&self) -> Option<f64> {
        self.level.when.get().map(|nanos| nanos as f64 / 1e9)
    }

    /// Moves the deadline, to a time of the loop's clock in seconds, or removes it. What is cancelled already stays so.
    ///
    /// # Panics
    ///
    /// If `when` is NaN.
    #[track_caller]
    pub fn reschedule(&self, when: impl IntoDeadline) {
        self.level.reschedule(when.into_deadline());
    }

    /// Whether it was cancelled, by [`cancel`](Self::cancel) or its deadline.
    #[must_use]
    pub fn cancel_called(&self) -> bool {
        self.level.is_cancelled.get()
    }

    /// Whether it was its deadline that has cancelled it.
    #[must_use]
    pub fn expired(&self) -> bool {
        self.level.has_expired.get()
    }

    /// Whether its cancellation has ended what was inside: [`run`](Self::run) has given `None`.
    #[must_use]
    pub fn cancelled_caught(&self) -> bool {
        self.level.is_caught.get()
    }
}

impl Default for CancelScope {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancelScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelScope")
            .field("when", &self.when())
            .field("cancel_called", &self.cancel_called())
            .field("cancelled_caught", &self.cancelled_caught())
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// What runs in a cancel scope; see [`CancelScope::run`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct Scoped<F> {
        #[pin]
        inside: Option<F>,
        scope: ScopeGuard,
        entered: Entered,
    }
}

/// Leaves the scope when dropped.
struct Entered {
    level: Rc<Level>,
    is_entered: bool,
}

impl Entered {
    fn enter(&mut self) {
        self.level.enter();
        self.is_entered = true;
    }

    fn leave(&mut self) -> bool {
        std::mem::take(&mut self.is_entered) && self.level.leave()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.leave();
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // Without an inside, a cancellation is on its way through.
        let Some(inside) = this.inside.as_mut().as_pin_mut() else { return Poll::Pending };
        if !this.entered.is_entered {
            this.entered.enter();
        }
        let level = this.entered.level.clone();
        // First of all: scopes further in may have been moved along, and look for this one.
        let told = this.scope.enter(cx);
        level.adopt(this.scope.id());
        let polled = match told {
            Some(error) => Poll::Ready(Err(error)),
            None => {
                let _polling = Polling::begin(&level);
                this.scope.poll_inside(inside, cx).map(Ok)
            }
        };
        let Poll::Ready(outcome) = polled else {
            level.insist(cx);
            return Poll::Pending;
        };
        this.inside.set(None);
        this.scope.leave();
        let is_own = this.entered.leave();
        match outcome {
            Ok(value) => Poll::Ready(Some(value)),
            Err(_) if is_own => {
                level.is_caught.set(true);
                Poll::Ready(None)
            }
            Err(error) => {
                raise(Some(error));
                Poll::Pending
            }
        }
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("scope", &self.scope).finish_non_exhaustive()
    }
}
