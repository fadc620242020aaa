//! Trying again and again until something succeeds, and waiting in between: by `.await`, or by blocking.
//!
//! Each wait is followed by an attempt, and preceded by one that is made when the place in the queue is already taken. So
//! nothing that changes in between is missed.

use asyncio_sync::threadsafe::{Wait, WaitQueue};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// Attempts as long as it takes. `wait` is where it is suspended, and must be kept for the next poll.
pub(super) fn poll_until<T>(
    queue: &WaitQueue,
    wait: &mut Option<Wait>,
    cx: &mut Context<'_>,
    mut attempt: impl FnMut() -> Option<T>,
) -> Poll<T> {
    loop {
        if let Some(place) = wait {
            if Pin::new(place).poll(cx).is_pending() {
                return Poll::Pending;
            }
            *wait = None;
        }
        if let Some(outcome) = attempt() {
            return Poll::Ready(outcome);
        }
        let place = queue.wait();
        if let Some(outcome) = attempt() {
            return Poll::Ready(outcome);
        }
        *wait = Some(place);
    }
}

/// Attempts until it succeeds, or `deadline`.
#[track_caller]
pub(super) fn block_until<T>(
    queue: &WaitQueue,
    deadline: Option<Instant>,
    mut attempt: impl FnMut() -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(outcome) = attempt() {
            return Some(outcome);
        }
        let place = queue.wait();
        if let Some(outcome) = attempt() {
            return Some(outcome);
        }
        match deadline {
            None => place.block(),
            Some(deadline) => {
                if !place.block_until(deadline) {
                    return None;
                }
            }
        }
    }
}
