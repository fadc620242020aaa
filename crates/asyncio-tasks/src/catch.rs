//! `catch_cancelled`: asyncio's `try`/`except CancelledError`, and `reraise`.

use crate::current::current;
use crate::error::CancelledError;
use crate::scopes::ScopeGuard;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Runs `inside`, and gives `Err` if the task is cancelled meanwhile and nothing inside takes it.
///
/// This is where a cancellation stops. `inside` has been dropped, from its innermost await outwards, when the error
/// appears; the code after it may await again, to clean up. It then returns, which suppresses the cancellation, or passes
/// it on by [`CancelledError::reraise`]. A request is delivered once: only a new one interrupts the clean-up.
///
/// Of several scopes the innermost one gets it. If several branches of one task wait at once (`join!`, `select!`), it is the
/// innermost one around *all* of them: a scope inside one of two branches is passed over, and with it both branches.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// `try: … except CancelledError: …`. Differs: only cancellation of *this* task ends up here; that of an awaited task is a
/// value.
pub fn catch_cancelled<F: IntoFuture>(inside: F) -> CatchCancelled<F::IntoFuture> {
    CatchCancelled { inside: Some(inside.into_future()), scope: ScopeGuard::new() }
}

pin_project! {
    /// A catch scope; see [`catch_cancelled`].
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct CatchCancelled<F> {
        #[pin]
        inside: Option<F>,
        scope: ScopeGuard,
    }
}

impl<F: Future> Future for CatchCancelled<F> {
    type Output = Result<F::Output, CancelledError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let outcome = match this.inside.as_mut().as_pin_mut() {
            Some(inside) => ready!(this.scope.poll(inside, cx)),
            None => panic!("`catch_cancelled` was polled after it was done"),
        };
        this.inside.set(None);
        this.scope.leave();
        Poll::Ready(outcome)
    }
}

impl<F> fmt::Debug for CatchCancelled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CatchCancelled").field("scope", &self.scope).finish_non_exhaustive()
    }
}

impl CancelledError {
    /// Passes the cancellation on to the next scope outwards, or ends the task; in this very step. Never returns.
    ///
    /// Outside of any task it waits for ever, so that whoever polls it can drop it.
    ///
    /// # asyncio
    ///
    /// `raise`, in a handler.
    pub fn reraise(self) -> Reraise {
        Reraise { error: Some(self) }
    }
}

/// Passes a cancellation on; see [`CancelledError::reraise`].
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Reraise {
    error: Option<CancelledError>,
}

impl Future for Reraise {
    type Output = Infallible;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Infallible> {
        raise(self.error.take());
        Poll::Pending
    }
}

/// Throws `error` from where the current task is; its caller returns `Pending`.
pub(crate) fn raise(error: Option<CancelledError>) {
    if let (Some(error), Some(task)) = (error, current()) {
        task.raise(error);
    }
}
