//! `wait`: waits until some or all of several tasks or futures are done, and touches none of them.

use crate::future::Future as LoopFuture;
use crate::sleep::running_loop;
use crate::task::{AnyTask, CallbackKey, Task};
use crate::waits::{self, Awaited, Link, Look, Observed, WaitId};
use asyncio_loop::{Delay, EventLoop, IntoTimeout, Runnable, TimerKey};
use std::cell::Cell;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};

/// What [`wait`] takes: tasks and loop futures. Others may implement it.
pub trait Waitable {
    /// Whether it is done.
    fn is_done(&self) -> bool;

    /// Calls `call` by an entry of the ready queue when it is done.
    fn on_done(&self, call: Box<dyn FnOnce()>) -> CallbackKey;

    /// Takes that call back.
    fn forget(&self, key: CallbackKey);

    /// For those who look on: the task, if it is one, and where it was created.
    #[doc(hidden)]
    fn identity(&self) -> (Option<AnyTask>, &'static Location<'static>);
}

impl<W: Waitable> Observed for Vec<W> {
    fn awaited(&self, found: &mut Vec<Awaited>) {
        for (task, location) in self.iter().filter(|item| !item.is_done()).map(Waitable::identity) {
            found.push(task.map_or(Awaited::Future(location), |task| Awaited::Task(task.task)));
        }
    }
}

/// A [`Waitable`] that can fail, for [`FIRST_EXCEPTION`].
pub trait TryWaitable: Waitable {
    /// Whether it is done with an error, or has panicked. To be cancelled is not to fail.
    fn has_failed(&self) -> bool;
}

impl Waitable for AnyTask {
    fn identity(&self) -> (Option<AnyTask>, &'static Location<'static>) {
        (Some(self.clone()), self.location())
    }

    fn is_done(&self) -> bool {
        self.done()
    }

    fn on_done(&self, call: Box<dyn FnOnce()>) -> CallbackKey {
        self.add_done_callback(move |_| call())
    }

    fn forget(&self, key: CallbackKey) {
        self.remove_done_callback(key);
    }
}

impl<T> Waitable for Task<T> {
    fn identity(&self) -> (Option<AnyTask>, &'static Location<'static>) {
        (**self).identity()
    }

    fn is_done(&self) -> bool {
        self.done()
    }

    fn on_done(&self, call: Box<dyn FnOnce()>) -> CallbackKey {
        self.add_done_callback(move |_| call())
    }

    fn forget(&self, key: CallbackKey) {
        self.remove_done_callback(key);
    }
}

impl<T: 'static> Waitable for LoopFuture<T> {
    fn identity(&self) -> (Option<AnyTask>, &'static Location<'static>) {
        (None, self.location())
    }

    fn is_done(&self) -> bool {
        self.done()
    }

    fn on_done(&self, call: Box<dyn FnOnce()>) -> CallbackKey {
        self.add_done_callback(move |_| call())
    }

    fn forget(&self, key: CallbackKey) {
        self.remove_done_callback(key);
    }
}

impl<T: Clone + 'static, E: Clone + 'static> TryWaitable for Task<Result<T, E>> {
    fn has_failed(&self) -> bool {
        self.done() && !self.cancelled() && (self.has_unseen_panic() || matches!(self.result(), Ok(Err(_))))
    }
}

impl<T: Clone + 'static, E: Clone + 'static> TryWaitable for LoopFuture<Result<T, E>> {
    fn has_failed(&self) -> bool {
        matches!(self.result(), Ok(Err(_)))
    }
}

/// When [`wait`] has waited long enough: one of [`ALL_COMPLETED`], [`FIRST_COMPLETED`], [`FIRST_EXCEPTION`].
pub trait ReturnWhen<W> {
    /// Whether the end of `done` is enough, when `pending` others are not done.
    fn is_enough(&self, done: &W, pending: usize) -> bool;
}

/// [`wait`] returns when all are done: the default.
///
/// # asyncio
///
/// [`asyncio.ALL_COMPLETED`](https://docs.python.org/3/library/asyncio-task.html#asyncio.ALL_COMPLETED). Same.
pub const ALL_COMPLETED: AllCompleted = AllCompleted(());
/// [`wait`] returns when any one is done.
///
/// # asyncio
///
/// [`asyncio.FIRST_COMPLETED`](https://docs.python.org/3/library/asyncio-task.html#asyncio.FIRST_COMPLETED). Same.
pub const FIRST_COMPLETED: FirstCompleted = FirstCompleted(());
/// [`wait`] returns when one has failed, or all are done. To be cancelled is not to fail.
///
/// # asyncio
///
/// [`asyncio.FIRST_EXCEPTION`](https://docs.python.org/3/library/asyncio-task.html#asyncio.FIRST_EXCEPTION). Same.
pub const FIRST_EXCEPTION: FirstException = FirstException(());

/// The type of [`ALL_COMPLETED`].
#[derive(Clone, Copy, Debug)]
pub struct AllCompleted(());
/// The type of [`FIRST_COMPLETED`].
#[derive(Clone, Copy, Debug)]
pub struct FirstCompleted(());
/// The type of [`FIRST_EXCEPTION`].
#[derive(Clone, Copy, Debug)]
pub struct FirstException(());

impl<W> ReturnWhen<W> for AllCompleted {
    fn is_enough(&self, _: &W, pending: usize) -> bool {
        pending == 0
    }
}

impl<W> ReturnWhen<W> for FirstCompleted {
    fn is_enough(&self, _: &W, _: usize) -> bool {
        true
    }
}

impl<W: TryWaitable> ReturnWhen<W> for FirstException {
    fn is_enough(&self, done: &W, pending: usize) -> bool {
        pending == 0 || done.has_failed()
    }
}

/// Waits until all of `items` are done, or as many as [`return_when`](WaitFor::return_when) asks for, and gives those that
/// are done and those that are not, both in the order of `items`.
///
/// None of them is cancelled, on whatever way the wait ends, and no error of theirs is raised. It always lets other tasks
/// run, even if all are done.
///
/// # Cancel safety
///
/// Cancel safe. The items go with the future; their tasks run on.
///
/// # Panics
///
/// When awaited, if there is no item.
///
/// # asyncio
///
/// [`asyncio.wait`](https://docs.python.org/3/library/asyncio-task.html#asyncio.wait). Same; `timeout=` and `return_when=` are
/// methods.
pub fn wait<W: Waitable>(items: impl IntoIterator<Item = W>) -> WaitFor<W, AllCompleted> {
    WaitFor { items: items.into_iter().collect(), timeout: None, return_when: ALL_COMPLETED }
}

/// A [`wait`] to be awaited.
#[must_use = "it does nothing unless it is awaited"]
pub struct WaitFor<W, R> {
    items: Vec<W>,
    timeout: Option<Delay>,
    return_when: R,
}

impl<W: Waitable, R> WaitFor<W, R> {
    /// Waits for at most this long: seconds, a `Duration`, or `None`. Default: no limit. A limit that has passed gives what
    /// is done by then; it is no error.
    ///
    /// # Panics
    ///
    /// If `timeout` is NaN.
    #[track_caller]
    pub fn timeout(self, timeout: impl IntoTimeout) -> Self {
        Self { timeout: timeout.into_timeout(), ..self }
    }

    /// Sets how many must be done. Default: [`ALL_COMPLETED`].
    pub fn return_when<N: ReturnWhen<W>>(self, return_when: N) -> WaitFor<W, N> {
        WaitFor { items: self.items, timeout: self.timeout, return_when }
    }
}

impl<W, R> fmt::Debug for WaitFor<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitFor").field("items", &self.items.len()).finish_non_exhaustive()
    }
}

impl<W, R> IntoFuture for WaitFor<W, R>
where
    W: Waitable + 'static,
    R: ReturnWhen<W> + 'static,
{
    type Output = (Vec<W>, Vec<W>);
    type IntoFuture = Waiting<W, R>;

    #[track_caller]
    fn into_future(self) -> Waiting<W, R> {
        assert!(!self.items.is_empty(), "`wait` was given no task or future to wait for");
        Waiting { items: Rc::new(self.items), timeout: self.timeout, return_when: Some(self.return_when), wait: None }
    }
}

/// The future of [`wait`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct Waiting<W: Waitable, R> {
    items: Rc<Vec<W>>,
    timeout: Option<Delay>,
    return_when: Option<R>,
    wait: Option<Registered>,
}

struct Registered {
    watch: Rc<Watch>,
    keys: Vec<CallbackKey>,
    timer: Option<(EventLoop, TimerKey)>,
}

/// Whom the items tell when enough of them are done.
struct Watch {
    /// Another one after a cancellation that the future has outlived.
    wait: Cell<WaitId>,
    is_enough: Cell<bool>,
}

impl Watch {
    fn tell(&self) {
        self.is_enough.set(true);
        waits::wake(self.wait.get());
    }
}

/// The time is over.
impl Runnable for Watch {
    fn run(self: Rc<Self>) {
        self.tell();
    }
}

impl<W: Waitable, R> Unpin for Waiting<W, R> {}

impl<W, R> Waiting<W, R>
where
    W: Waitable + 'static,
    R: ReturnWhen<W> + 'static,
{
    fn register(&mut self, return_when: R, cx: &Context<'_>) {
        let items: Weak<Vec<W>> = Rc::downgrade(&self.items);
        let wait = waits::begin(cx, Link::Observed(items));
        let pending = self.items.iter().filter(|item| !item.is_done()).count();
        let enough_now = self.items.iter().any(|item| item.is_done() && return_when.is_enough(item, pending));
        let watch = Rc::new(Watch { wait: Cell::new(wait), is_enough: Cell::new(false) });
        let mut registered = Registered { watch: watch.clone(), keys: Vec::new(), timer: None };
        if enough_now {
            // asyncio takes two iterations even so: one to be told, one to be resumed.
            running_loop().schedule(watch);
        } else {
            let pending = Rc::new(Cell::new(pending));
            let return_when = Rc::new(return_when);
            for at in 0..self.items.len() {
                registered.keys.push(self.watch(at, &watch, &pending, &return_when));
            }
            registered.timer = self.timeout.map(|delay| {
                let event_loop = running_loop();
                let when = event_loop.nanos().saturating_add(delay.as_nanos());
                let timer = event_loop.schedule_at(when, watch);
                (event_loop, timer)
            });
        }
        self.wait = Some(registered);
    }

    fn watch(&self, at: usize, watch: &Rc<Watch>, pending: &Rc<Cell<usize>>, return_when: &Rc<R>) -> CallbackKey {
        if self.items[at].is_done() {
            return CallbackKey(u64::MAX);
        }
        let (items, pending, return_when) = (Rc::downgrade(&self.items), pending.clone(), return_when.clone());
        let watch = watch.clone();
        self.items[at].on_done(Box::new(move || {
            pending.set(pending.get() - 1);
            let enough = items.upgrade().is_some_and(|items| return_when.is_enough(&items[at], pending.get()));
            if enough {
                watch.tell();
            }
        }))
    }
}

impl<W: Waitable, R> Waiting<W, R> {
    fn end(&mut self) {
        let Some(registered) = self.wait.take() else { return };
        for (item, key) in self.items.iter().zip(registered.keys) {
            item.forget(key);
        }
        if let Some((event_loop, timer)) = registered.timer {
            event_loop.unschedule(timer);
        }
        waits::end(registered.watch.wait.get());
    }
}

impl<W, R> Future for Waiting<W, R>
where
    W: Waitable + 'static,
    R: ReturnWhen<W> + 'static,
{
    type Output = (Vec<W>, Vec<W>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(return_when) = self.return_when.take() {
            self.register(return_when, cx);
            return Poll::Pending;
        }
        let Some(registered) = &self.wait else { return Poll::Pending };
        let watch = &registered.watch;
        match waits::look(watch.wait.get(), cx) {
            Look::Waiting => return Poll::Pending,
            Look::GivenUp if !watch.is_enough.get() => {
                waits::end(watch.wait.get());
                let items: Weak<Vec<W>> = Rc::downgrade(&self.items);
                watch.wait.set(waits::begin(cx, Link::Observed(items)));
                return Poll::Pending;
            }
            Look::Decided | Look::GivenUp => {}
        }
        self.end();
        let items = std::mem::take(&mut self.items);
        // The callbacks that have not run hold weak references only.
        let items = Rc::try_unwrap(items).unwrap_or_else(|_| unreachable!("nobody else owns the items"));
        Poll::Ready(items.into_iter().partition(Waitable::is_done))
    }
}

impl<W: Waitable, R> Drop for Waiting<W, R> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<W: Waitable, R> fmt::Debug for Waiting<W, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("items", &self.items.len()).finish_non_exhaustive()
    }
}
