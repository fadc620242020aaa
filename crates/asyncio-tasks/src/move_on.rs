//! `move_on_after`, `fail_after` and the like: cancel scopes that are nothing but a deadline; and how long there is.

use crate::cancel_scope::{CancelScope, Scoped};
use crate::error::TimeoutError;
use crate::levels;
use asyncio_loop::{IntoDeadline, IntoDelay};
use std::future::Future;

/// Runs `inside` for `delay` at most (seconds or a `Duration`): its value, or `None` if the time was over first.
///
/// A [`CancelScope`] with a deadline: what is inside is cancelled when the time is over, and each of its waits from then on. `None` means
/// just that: a cancellation from elsewhere goes on outwards.
///
/// # Panics
///
/// If `delay` is NaN, or if no loop is running in this thread. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `move_on_after`.
#[track_caller]
pub fn move_on_after<F: IntoFuture>(delay: impl IntoDelay, inside: F) -> Scoped<F::IntoFuture> {
    CancelScope::after(delay).run(inside)
}

/// As [`move_on_after`], until a time of the loop's clock, in seconds.
///
/// # Panics
///
/// If `when` is NaN. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `move_on_at`.
#[track_caller]
pub fn move_on_at<F: IntoFuture>(when: impl IntoDeadline, inside: F) -> Scoped<F::IntoFuture> {
    CancelScope::at(when).run(inside)
}

/// Runs `inside` for `delay` at most (seconds or a `Duration`), and fails if the time is over first.
///
/// # Errors
///
/// [`TimeoutError`] if the time was over, and nothing else.
///
/// # Panics
///
/// If `delay` is NaN, or if no loop is running in this thread. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `fail_after`. Differs from [`timeout`](fn@crate::timeout) in that code that swallows the cancellation is cancelled again.
#[track_caller]
pub fn fail_after<F: IntoFuture>(
    delay: impl IntoDelay,
    inside: F,
) -> impl Future<Output = Result<F::Output, TimeoutError>> {
    let inside = move_on_after(delay, inside);
    async { inside.await.ok_or_else(TimeoutError::default) }
}

/// As [`fail_after`], at a time of the loop's clock, in seconds.
///
/// # Errors
///
/// As [`fail_after`].
///
/// # Panics
///
/// If `when` is NaN. When polled, if not inside a task.
///
/// # Cancel safety
///
/// As safe as `inside`.
///
/// # asyncio
///
/// None; Trio's `fail_at`.
#[track_caller]
pub fn fail_at<F: IntoFuture>(
    when: impl IntoDeadline,
    inside: F,
) -> impl Future<Output = Result<F::Output, TimeoutError>> {
    let inside = move_on_at(when, inside);
    async { inside.await.ok_or_else(TimeoutError::default) }
}

/// The earliest deadline of the cancel scopes around, in seconds of the loop's clock: infinity if there is none, minus infinity
/// if one of them is cancelled already. Shields hide what is around them.
///
/// What a callee can do with it: not begin what cannot be finished, or tell somebody else how long there is. (Limits of
/// [`timeout`](fn@crate::timeout) do not count.)
///
/// # asyncio
///
/// None; Trio's `current_effective_deadline`.
#[must_use]
pub fn effective_deadline() -> f64 {
    levels::effective_deadline()
}
