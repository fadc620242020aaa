//! `poll_ready`: what is always ready lets others run now and then.
//!
//! As in asyncio, an await that need not wait does not yield. So a task that reads from a peer who never stops sending would keep its
//! loop from timers and other descriptors for ever. What may be ready again and again for such an outside reason asks here first.
//!
//! Absent on purpose: locks and queues, which depend on what tasks of this program do. There, that an await which need not wait does
//! not yield is something that programs rely on.

use crate::current::{current_owner_of, yield_to_others};
use std::cell::Cell;
use std::task::{Context, Poll};

thread_local! {
    /// How many may be ready before one looks at the clock.
    static LEFT: Cell<u32> = const { Cell::new(1) };
    /// What `LEFT` was at first.
    static GRANTED: Cell<u32> = const { Cell::new(1) };
}

/// One in so many looks at the clock; as soon as that turns out to be too seldom, each one does.
const LOOK_MAX: u32 = 16;

/// Ready, unless the running step has kept its loop from timers and descriptors for more than a millisecond: then the task is put at the
/// end of the ready queue, and this is pending.
///
/// For authors of streams and the like: polled before something is taken that may be there without waiting. Mostly it costs a
/// counter. Never pending outside of a task.
///
/// # Cancel safety
///
/// Nothing is taken, so nothing is lost. A cancellation is delivered here, as at a `sleep(0)`.
///
/// # asyncio
///
/// None: there, a task that is always ready starves its loop.
#[inline]
pub fn poll_ready(cx: &mut Context<'_>) -> Poll<()> {
    let left = LEFT.get() - 1;
    LEFT.set(left);
    if left == 0 { look(cx) } else { Poll::Ready(()) }
}

#[cold]
fn look(cx: &Context<'_>) -> Poll<()> {
    let is_overdue = |task: crate::raw::TaskRef| task.state.tasks.event_loop().is_overdue();
    let must_yield = current_owner_of(cx.waker()).is_some_and(is_overdue);
    let more = if must_yield { 1 } else { (GRANTED.get() * 2).min(LOOK_MAX) };
    GRANTED.set(more);
    LEFT.set(more);
    if must_yield {
        yield_to_others(cx);
        return Poll::Pending;
    }
    Poll::Ready(())
}
