//! `Barrier`: tasks that go on when all of them are there.
//!
//! ```text
//!            the last one arrives              the last one has left
//!  Filling ──────────────────────▶ Draining ─────────────────────────▶ Filling
//!     │  reset, with tasks inside           the last one has left
//!     ├──────────────────────────▶ Resetting ────────────────────────▶ Filling
//!     │  abort, in any state                  reset
//!     └──────────────────────────▶ Broken ──────────────────▶ Resetting, or Filling if nobody is inside
//! ```
//!
//! Invariants:
//! 1. `inside` counts the tasks between their arrival and their end, whichever way they end.
//! 2. Every change of `state` wakes everybody, and everybody looks again; so a wake-up that gets lost with a cancelled task is
//!    missed by nobody. Whoever was cancelled and waits on looks again, too: nobody wakes him.
//!
//! Absent on purpose: a lock. asyncio has one, which nobody ever holds while another task runs.

use asyncio_tasks::{Wait, WaitQueue, WaiterState};
use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;

/// Lets a number of tasks wait for one another, again and again.
///
/// # Examples
///
/// ```
/// use asyncio_sync::Barrier;
/// use std::rc::Rc;
///
/// asyncio_tasks::run(async {
///     let barrier = Rc::new(Barrier::new(2));
///     let other = asyncio_tasks::create_task({
///         let barrier = barrier.clone();
///         async move { barrier.wait().await.unwrap() }
///     });
///     let mut indices = [barrier.wait().await.unwrap(), other.await.unwrap()];
///     indices.sort();
///     assert_eq!(indices, [0, 1]);
/// });
/// ```
///
/// # asyncio
///
/// [`asyncio.Barrier`](https://docs.python.org/3/library/asyncio-sync.html#asyncio.Barrier). Same; `reset` and `abort` are no coroutines, for they
/// have nothing to wait for. `async with barrier` is `barrier.wait().await?` here: leaving it does nothing.
pub struct Barrier {
    parties: usize,
    inside: Cell<usize>,
    state: Cell<State>,
    waiters: WaitQueue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Filling,
    Draining,
    Resetting,
    Broken,
}

impl Barrier {
    /// A barrier for `parties` tasks.
    ///
    /// # Panics
    ///
    /// If `parties` is 0.
    #[must_use]
    #[track_caller]
    pub fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier is for one task at least");
        Self { parties, inside: Cell::new(0), state: Cell::new(State::Filling), waiters: WaitQueue::new() }
    }

    /// Waits until as many tasks are here as the barrier is for; the last one to come does not wait, and goes on first. The
    /// others follow in the order in which they came. Says how many were inside before.
    ///
    /// While a round is leaving, or is being reset, new arrivals wait for that to be over.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A task that leaves early is simply gone: the others wait for another one in its place. After the
    /// round was complete, the others go on without it. A wait that is kept beyond a cancellation, by reference, stays inside.
    ///
    /// # Errors
    ///
    /// If the barrier is broken, or is reset or aborted meanwhile.
    ///
    /// # asyncio
    ///
    /// `Barrier.wait`. Same.
    pub async fn wait(&self) -> Result<usize, BrokenBarrierError> {
        self.wait_while(|state| matches!(state, State::Draining | State::Resetting)).await;
        if self.state.get() == State::Broken {
            return Err(BrokenBarrierError { cause: Cause::Aborted });
        }
        let (_inside, index) = Inside::enter(self);
        if index + 1 == self.parties {
            self.change(State::Draining);
            return Ok(index);
        }
        self.wait_while(|state| state == State::Filling).await;
        match self.state.get() {
            State::Broken | State::Resetting => Err(BrokenBarrierError { cause: Cause::Interrupted }),
            State::Filling | State::Draining => Ok(index),
        }
    }

    /// Empties the barrier: the wait of all tasks inside ends with an error. It works again as soon as they have left.
    ///
    /// # asyncio
    ///
    /// `Barrier.reset`. Same, but not a coroutine.
    pub fn reset(&self) {
        self.change(if self.inside.get() > 0 { State::Resetting } else { State::Filling });
    }

    /// Breaks the barrier: waiting is an error, for those inside and for all who come, until it is [`reset`](Self::reset).
    ///
    /// # asyncio
    ///
    /// `Barrier.abort`. Same, but not a coroutine.
    pub fn abort(&self) {
        self.change(State::Broken);
    }

    /// How many tasks it is for.
    ///
    /// # asyncio
    ///
    /// `Barrier.parties`. Same.
    #[must_use]
    pub const fn parties(&self) -> usize {
        self.parties
    }

    /// How many tasks wait for others to come.
    ///
    /// # asyncio
    ///
    /// `Barrier.n_waiting`. Same.
    #[must_use]
    pub fn n_waiting(&self) -> usize {
        if self.state.get() == State::Filling { self.inside.get() } else { 0 }
    }

    /// Whether it was aborted, and not reset since.
    ///
    /// # asyncio
    ///
    /// `Barrier.broken`. Same.
    #[must_use]
    pub fn broken(&self) -> bool {
        self.state.get() == State::Broken
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> BarrierStatistics {
        BarrierStatistics {
            parties: self.parties,
            n_waiting: self.n_waiting(),
            broken: self.broken(),
            tasks_inside: self.inside.get(),
        }
    }

    /// Waits as long as the state is one of these.
    async fn wait_while(&self, is_meant: impl Fn(State) -> bool) {
        let mut waiting: Option<Wait> = None;
        let is_over = poll_fn(|cx| {
            if let Some(wait) = &mut waiting {
                // A cancelled one looks, and waits anew: the future was kept beyond the cancellation, by reference.
                if Pin::new(&mut *wait).poll(cx).is_pending() && wait.state() != WaiterState::Cancelled {
                    return Poll::Pending;
                }
                waiting = None;
            }
            if !is_meant(self.state.get()) {
                return Poll::Ready(());
            }
            waiting = Some(self.waiters.wait_now(cx));
            Poll::Pending
        });
        is_over.await;
    }

    fn change(&self, state: State) {
        self.state.set(state);
        self.waiters.wake_all();
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("inside", &self.inside.get())
            .field("state", &self.state.get())
            .finish_non_exhaustive()
    }
}

/// A task that has arrived and not left.
struct Inside<'a>(&'a Barrier);

impl<'a> Inside<'a> {
    /// Also says how many were inside before.
    fn enter(barrier: &'a Barrier) -> (Self, usize) {
        let before = barrier.inside.get();
        barrier.inside.set(before + 1);
        (Self(barrier), before)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let Self(barrier) = self;
        barrier.inside.set(barrier.inside.get() - 1);
        if barrier.inside.get() == 0 {
            match barrier.state.get() {
                State::Draining | State::Resetting => barrier.change(State::Filling),
                State::Filling | State::Broken => {}
            }
        }
    }
}

/// What a [`Barrier`] is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarrierStatistics {
    /// How many tasks it is for.
    pub parties: usize,
    /// How many tasks wait for others to come.
    pub n_waiting: usize,
    /// Whether it was aborted.
    pub broken: bool,
    /// How many tasks have arrived and not left, those included that have yet to see that they may go on.
    pub tasks_inside: usize,
}

/// The barrier was broken: by [`Barrier::abort`], or by [`Barrier::reset`] during the wait.
///
/// # asyncio
///
/// [`asyncio.BrokenBarrierError`](https://docs.python.org/3/library/asyncio-sync.html#asyncio.BrokenBarrierError). Same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct BrokenBarrierError {
    cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Aborted,
    Interrupted,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Aborted => "barrier aborted",
            Self::Interrupted => "abort or reset of barrier",
        })
    }
}

impl From<BrokenBarrierError> for io::Error {
    fn from(error: BrokenBarrierError) -> Self {
        Self::other(error)
    }
}
