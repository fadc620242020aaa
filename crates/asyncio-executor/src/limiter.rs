//! `CapacityLimiter`: how many may use threads (or anything else that is scarce) at a time, and who they are.
//!
//! Invariants:
//! 1. Whoever waits does so in one [`WaitQueue`]; a place that becomes free is promised to the first, and nobody passes.
//! 2. Holders plus promises are never more than the total, unless the total was lowered below them: then no place is promised
//!    until enough have been given back.
//! 3. A borrower is among the holders or the waiting once, or not at all.

use asyncio_tasks::{AnyTask, Wait, WaitQueue, WaiterState, current_task};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// So many places, borrowed by name. First come, first served.
///
/// ```
/// use asyncio_executor::{CapacityLimiter, to_thread};
///
/// asyncio_tasks::run(async {
///     let disk = CapacityLimiter::new(2);
///     let _place = disk.acquire().await?;
///     assert_eq!(to_thread(|| 1).await, 1); // At most two of these at a time, whoever calls.
///     Ok::<_, asyncio_executor::AlreadyBorrowed>(())
/// })?;
/// # Ok::<_, asyncio_executor::AlreadyBorrowed>(())
/// ```
///
/// # asyncio
///
/// None. Trio and anyio have it, for `to_thread.run_sync`.
pub struct CapacityLimiter {
    total: Cell<usize>,
    /// Places that were promised to somebody who waits, and has not run since.
    promised: Cell<usize>,
    holders: RefCell<Vec<Borrower>>,
    waiting: RefCell<Vec<Borrower>>,
    queue: WaitQueue,
}

/// Who borrows a place: a task, or whatever goes by a name.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Borrower {
    /// A task.
    Task(AnyTask),
    /// Somebody of this name.
    Name(Rc<str>),
}

/// The borrower has a place already, or waits for one. Who borrows twice may wait for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the borrower has a place already, or waits for one")]
#[non_exhaustive]
pub struct AlreadyBorrowed;

/// What a [`CapacityLimiter`] is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapacityStatistics {
    /// How many places there are.
    pub total: usize,
    /// Who has one, in the order in which they got it.
    pub holders: Vec<String>,
    /// Who waits for one, in the order in which they came.
    pub waiting: Vec<String>,
}

impl CapacityLimiter {
    /// A limiter of `total` places.
    #[must_use]
    pub fn new(total: usize) -> Self {
        Self {
            total: Cell::new(total),
            promised: Cell::new(0),
            holders: RefCell::default(),
            waiting: RefCell::default(),
            queue: WaitQueue::new(),
        }
    }

    /// Waits for a place on behalf of the current task. Dropping what comes back gives it back.
    ///
    /// # Cancel safety
    ///
    /// A dropped `acquire` loses its place in the queue; what was promised to it passes to the next one.
    ///
    /// # Errors
    ///
    /// When awaited, if the task has a place, or waits for one.
    ///
    /// # Panics
    ///
    /// If not called inside a task.
    #[track_caller]
    pub fn acquire(&self) -> CapacityAcquire<'_> {
        let task = current_task().expect("`CapacityLimiter::acquire` is for tasks; others have a name");
        self.acquire_on_behalf_of(task)
    }

    /// As [`acquire`](Self::acquire), for somebody else: a task, or a name.
    ///
    /// # Cancel safety
    ///
    /// As that of [`acquire`](Self::acquire).
    ///
    /// # Errors
    ///
    /// When awaited, if the borrower has a place, or waits for one.
    pub fn acquire_on_behalf_of(&self, borrower: impl Into<Borrower>) -> CapacityAcquire<'_> {
        CapacityAcquire { limiter: self, borrower: borrower.into(), wait: None }
    }

    /// How many places there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.total.get()
    }

    /// Changes how many places there are. Who has one keeps it.
    pub fn set_total(&self, total: usize) {
        self.total.set(total);
        self.promise();
    }

    /// A snapshot, for tests and for looking at a program that hangs.
    #[must_use]
    pub fn statistics(&self) -> CapacityStatistics {
        let names = |borrowers: &RefCell<Vec<Borrower>>| borrowers.borrow().iter().map(Borrower::to_string).collect();
        CapacityStatistics { total: self.total(), holders: names(&self.holders), waiting: names(&self.waiting) }
    }

    fn knows(&self, borrower: &Borrower) -> bool {
        self.holders.borrow().contains(borrower) || self.waiting.borrow().contains(borrower)
    }

    fn has_place(&self) -> bool {
        self.holders.borrow().len() + self.promised.get() < self.total.get()
    }

    /// Promises what is free to those who wait.
    fn promise(&self) {
        while self.has_place() && self.queue.waiting() > 0 {
            // Before the wake-up, which may run any code.
            self.promised.set(self.promised.get() + 1);
            if !self.queue.wake_next() {
                self.promised.set(self.promised.get() - 1);
                break;
            }
        }
    }

    fn take(&self, borrower: &Borrower) -> CapacityToken<'_> {
        self.holders.borrow_mut().push(borrower.clone());
        CapacityToken { limiter: self, borrower: borrower.clone() }
    }
}

/// Removes `borrower`; it is dropped with nothing borrowed.
fn remove(borrowers: &RefCell<Vec<Borrower>>, borrower: &Borrower) {
    let removed = {
        let mut borrowers = borrowers.borrow_mut();
        borrowers.iter().position(|other| other == borrower).map(|at| borrowers.remove(at))
    };
    drop(removed);
}

impl fmt::Debug for CapacityLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapacityLimiter").field("statistics", &self.statistics()).finish_non_exhaustive()
    }
}

impl From<AnyTask> for Borrower {
    fn from(task: AnyTask) -> Self {
        Self::Task(task)
    }
}

impl From<&str> for Borrower {
    fn from(name: &str) -> Self {
        Self::Name(name.into())
    }
}

impl fmt::Display for Borrower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(task) => f.write_str(&task.get_name()),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Waits for a place; see [`CapacityLimiter::acquire`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct CapacityAcquire<'a> {
    limiter: &'a CapacityLimiter,
    borrower: Borrower,
    wait: Option<Wait>,
}

impl<'a> Future for CapacityAcquire<'a> {
    type Output = Result<CapacityToken<'a>, AlreadyBorrowed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let limiter = this.limiter;
        if let Some(wait) = &mut this.wait {
            if Pin::new(&mut *wait).poll(cx).is_ready() {
                this.wait = None;
                remove(&limiter.waiting, &this.borrower);
                limiter.promised.set(limiter.promised.get() - 1);
                return Poll::Ready(Ok(limiter.take(&this.borrower)));
            }
            if wait.state() != WaiterState::Cancelled {
                return Poll::Pending;
            }
            // The future was kept beyond a cancellation, by reference: it waits anew.
            this.leave();
        }
        if limiter.knows(&this.borrower) {
            return Poll::Ready(Err(AlreadyBorrowed));
        }
        if limiter.has_place() && limiter.queue.waiting() == 0 {
            return Poll::Ready(Ok(limiter.take(&this.borrower)));
        }
        limiter.waiting.borrow_mut().push(this.borrower.clone());
        this.wait = Some(limiter.queue.wait_now(cx));
        Poll::Pending
    }
}

impl CapacityAcquire<'_> {
    /// Leaves the queue without a place.
    fn leave(&mut self) {
        let Some(mut wait) = self.wait.take() else { return };
        let was_promised = wait.state() == WaiterState::Woken;
        wait.leave();
        remove(&self.limiter.waiting, &self.borrower);
        if was_promised {
            self.limiter.promised.set(self.limiter.promised.get() - 1);
        }
        self.limiter.promise();
    }
}

impl Drop for CapacityAcquire<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for CapacityAcquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapacityAcquire").field("borrower", &self.borrower.to_string()).finish_non_exhaustive()
    }
}

/// A place. Dropping it gives it back.
#[must_use = "dropping it gives the place back"]
pub struct CapacityToken<'a> {
    limiter: &'a CapacityLimiter,
    borrower: Borrower,
}

impl CapacityToken<'_> {
    /// Whose place it is.
    #[must_use]
    pub const fn borrower(&self) -> &Borrower {
        &self.borrower
    }
}

impl Drop for CapacityToken<'_> {
    fn drop(&mut self) {
        remove(&self.limiter.holders, &self.borrower);
        self.limiter.promise();
    }
}

impl fmt::Debug for CapacityToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapacityToken").field("borrower", &self.borrower.to_string()).finish()
    }
}
