//! `gather` and `try_gather`: several at once, results in the order of the arguments.

#![expect(unnameable_types, reason = "the hidden half of traits that others do not implement")]

use crate::catch::raise;
use crate::ensure::{Gatherable, Source};
use crate::error::CancelledError;
use crate::waits::{self, Awaited, CancelTarget, Link, Look, WaitId};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Runs all of `items` at once and gives all results, in the order of the items: a tuple for a tuple, a `Vec` for a `Vec`
/// or an array.
///
/// Coroutines become tasks here and now. Errors are values: whatever an item returns is in the result, a task's or
/// future's cancellation, too. It waits for all of them. Cancelling the waiting task cancels every item that is not done,
/// and unwinds when all are. (If a *coroutine's* task is cancelled by somebody else, there is no value to give: then the
/// waiting task is unwound.)
///
/// # Cancel safety
///
/// Dropping it detaches the items, which run on.
///
/// # Panics
///
/// If no loop is running in this thread. With the panic of an item.
///
/// # asyncio
///
/// [`asyncio.gather`](https://docs.python.org/3/library/asyncio-task.html#asyncio.gather) with `return_exceptions=True`; without
/// it is [`try_gather`].
#[track_caller]
pub fn gather<G: GatherAll>(items: G) -> Gather<G::Children> {
    let state = Rc::new(State::default());
    let children = items.ensure_all(Location::caller(), &state);
    state.begin();
    Gather { children, wait: GatherWait { state, wait: None } }
}

/// Runs all of `items` at once and gives their values, or the first error.
///
/// As [`gather`], for items that return `Result`. The first `Err` (or cancellation of an item, which unwinds the waiting
/// task) ends it at once; the other items run on, and what they come to is ignored.
///
/// # Cancel safety
///
/// Dropping it detaches the items, which run on.
///
/// # Errors
///
/// The error of the item that failed first.
///
/// # Panics
///
/// If no loop is running in this thread. With the panic of an item.
///
/// # asyncio
///
/// [`asyncio.gather`](https://docs.python.org/3/library/asyncio-task.html#asyncio.gather). Same; a
/// [`TaskGroup`](crate::TaskGroup) also cancels the others.
#[track_caller]
pub fn try_gather<I, T, E>(items: impl IntoIterator<Item = I>) -> TryGather<T, E>
where
    I: Gatherable<Value = Result<T, E>>,
    T: 'static,
    E: 'static,
{
    let location = Location::caller();
    let state = Rc::new(State::default());
    let sources: Vec<_> = items.into_iter().map(|item| item.into_source(location)).collect();
    let children = sources.into_iter().map(|source| Child::new(source, &state, Some(Result::is_err))).collect();
    state.begin();
    TryGather { children, wait: GatherWait { state, wait: None } }
}

/// What [`gather`] can take: tuples of up to eight items, vectors, arrays.
///
/// Not to be implemented by others.
#[diagnostic::on_unimplemented(
    message = "`gather` takes a tuple, a vector or an array of coroutines, tasks or futures, not `{Self}`",
    label = "several items in one argument",
    note = "write `gather((a, b))` for items of different types; a tuple has eight at most"
)]
pub trait GatherAll {
    /// The results, in the shape of the items.
    type Output;
    #[doc(hidden)]
    type Children: Children<Output = Self::Output>;

    #[doc(hidden)]
    fn ensure_all(self, location: &'static Location<'static>, state: &Rc<State>) -> Self::Children;
}

/// The items of a gather.
#[doc(hidden)]
pub trait Children {
    /// The results.
    type Output;

    /// Takes the results out, when all are done.
    fn output(&self) -> Result<Self::Output, CancelledError>;
}

/// One item.
#[doc(hidden)]
#[derive(Debug)]
pub(crate) struct Child<T: 'static> {
    source: Source<T>,
    result: RefCell<Option<Result<T, CancelledError>>>,
}

/// What the items and the one who waits share.
#[doc(hidden)]
#[derive(Default)]
pub struct State {
    links: RefCell<Vec<Link>>,
    /// How many are not done.
    remaining: Cell<usize>,
    cancel_requested: RefCell<Option<CancelledError>>,
    ended: RefCell<Option<Ended>>,
    wait: Cell<Option<WaitId>>,
    /// Which item has ended it early.
    first_failure: Cell<Option<usize>>,
}

#[derive(Debug)]
enum Ended {
    /// All are done.
    All,
    /// One has failed, or was cancelled.
    Early,
    /// All are done, and a request was made meanwhile.
    Cancelled(CancelledError),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("remaining", &self.remaining.get()).finish_non_exhaustive()
    }
}

impl State {
    /// All items are set up: those that were done from the start may end it now.
    fn begin(&self) {
        if self.remaining.get() == 0 {
            self.end(Ended::All);
        }
    }

    /// One item was done from the start. What that means is decided when all are set up.
    fn child_done_at_start(&self, at: usize, ends_early: bool) {
        self.remaining.set(self.remaining.get() - 1);
        if ends_early {
            self.end_early(at);
        }
    }

    /// One item is done.
    fn child_done(&self, at: usize, ends_early: bool) {
        self.remaining.set(self.remaining.get() - 1);
        if ends_early {
            self.end_early(at);
        } else if self.remaining.get() == 0 {
            let requested = self.cancel_requested.borrow_mut().take();
            self.end(requested.map_or(Ended::All, Ended::Cancelled));
        }
    }

    fn end_early(&self, at: usize) {
        if self.first_failure.get().is_none() && self.ended.borrow().is_none() {
            self.first_failure.set(Some(at));
        }
        self.end(Ended::Early);
    }

    fn end(&self, ended: Ended) {
        if self.ended.borrow().is_some() {
            return;
        }
        let cancelled = match &ended {
            Ended::Cancelled(error) => Some(error.clone()),
            Ended::All | Ended::Early => None,
        };
        *self.ended.borrow_mut() = Some(ended);
        if let Some(wait) = self.wait.get() {
            waits::settle(wait, cancelled.as_ref());
        }
    }
}

impl CancelTarget for State {
    fn cancel(self: Rc<Self>, error: &CancelledError) -> bool {
        if self.ended.borrow().is_some() {
            return false;
        }
        let links = self.links.take();
        let mut accepted = false;
        for link in &links {
            accepted |= link.cancel(error);
        }
        *self.links.borrow_mut() = links;
        if accepted {
            *self.cancel_requested.borrow_mut() = Some(error.clone());
        }
        accepted
    }

    fn awaited(&self, found: &mut Vec<Awaited>) {
        let links = self.links.take();
        links.iter().for_each(|link| link.awaited(found));
        *self.links.borrow_mut() = links;
    }
}

impl<T: 'static> Child<T> {
    /// Sets up an item: the state is told when it is done. `failed`, if given, says which results end everything at once.
    fn new(source: Source<T>, state: &Rc<State>, failed: Option<fn(&T) -> bool>) -> Rc<Self> {
        let at = state.links.borrow().len();
        state.links.borrow_mut().push(source.link());
        state.remaining.set(state.remaining.get() + 1);
        let child = Rc::new(Self { source, result: RefCell::new(None) });
        if child.source.done() {
            state.child_done_at_start(at, child.settle(failed));
        } else {
            // Weak: what is gathered owns the callback.
            let (state, this) = (state.clone(), Rc::downgrade(&child));
            child.source.on_done(move || {
                if let Some(this) = this.upgrade() {
                    state.child_done(at, this.settle(failed));
                }
            });
        }
        child
    }

    /// Takes the result out of what is done; says whether it ends everything at once. A panic stays where it is, to be
    /// resumed in the one who waits.
    fn settle(&self, failed: Option<fn(&T) -> bool>) -> bool {
        if self.source.panicked() {
            return failed.is_some();
        }
        let result = self.source.take();
        let is_failure = match (&result, failed) {
            (_, None) => false,
            (Err(_), Some(_)) => true,
            (Ok(value), Some(failed)) => failed(value),
        };
        *self.result.borrow_mut() = Some(result);
        is_failure
    }

    /// The result, if it is there. Resumes a panic.
    fn take(&self) -> Option<Result<T, CancelledError>> {
        let result = self.result.borrow_mut().take();
        result.or_else(|| self.source.panicked().then(|| self.source.take()))
    }
}

impl<I: Gatherable> GatherAll for Vec<I> {
    type Output = Vec<I::Output>;
    type Children = VecChildren<I>;

    fn ensure_all(self, location: &'static Location<'static>, state: &Rc<State>) -> VecChildren<I> {
        // All tasks are made before any is looked at, in the order of the items.
        let sources: Vec<_> = self.into_iter().map(|item| item.into_source(location)).collect();
        VecChildren(sources.into_iter().map(|source| Child::new(source, state, None)).collect())
    }
}

impl<I: Gatherable, const N: usize> GatherAll for [I; N] {
    type Output = Vec<I::Output>;
    type Children = VecChildren<I>;

    fn ensure_all(self, location: &'static Location<'static>, state: &Rc<State>) -> VecChildren<I> {
        Vec::from(self).ensure_all(location, state)
    }
}

/// The items of a vector.
#[doc(hidden)]
pub struct VecChildren<I: Gatherable>(Vec<Rc<Child<I::Value>>>);

impl<I: Gatherable> fmt::Debug for VecChildren<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VecChildren").field(&self.0.len()).finish()
    }
}

impl<I: Gatherable> Children for VecChildren<I> {
    type Output = Vec<I::Output>;

    fn output(&self) -> Result<Self::Output, CancelledError> {
        self.0.iter().map(|child| I::output(child.take().unwrap_or_else(|| Err(CancelledError::default())))).collect()
    }
}

macro_rules! tuples {
    ($($children:ident: $($item:ident $at:tt),+;)*) => {$(
        impl<$($item: Gatherable),+> GatherAll for ($($item,)+) {
            type Output = ($($item::Output,)+);
            type Children = $children<$($item),+>;

            fn ensure_all(self, location: &'static Location<'static>, state: &Rc<State>) -> Self::Children {
                // All tasks are made before any is looked at, in the order of the items.
                let sources = ($(self.$at.into_source(location),)+);
                $children(($(Child::new(sources.$at, state, None),)+))
            }
        }

        /// The items of a tuple.
        #[doc(hidden)]
        pub struct $children<$($item: Gatherable),+>(($(Rc<Child<$item::Value>>,)+));

        impl<$($item: Gatherable),+> fmt::Debug for $children<$($item),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($children)).finish_non_exhaustive()
            }
        }

        impl<$($item: Gatherable),+> Children for $children<$($item),+> {
            type Output = ($($item::Output,)+);

            fn output(&self) -> Result<Self::Output, CancelledError> {
                Ok(($($item::output(self.0.$at.take().unwrap_or_else(|| Err(CancelledError::default())))?,)+))
            }
        }
    )*};
}

tuples! {
    Children1: A 0;
    Children2: A 0, B 1;
    Children3: A 0, B 1, C 2;
    Children4: A 0, B 1, C 2, D 3;
    Children5: A 0, B 1, C 2, D 3, E 4;
    Children6: A 0, B 1, C 2, D 3, E 4, F 5;
    Children7: A 0, B 1, C 2, D 3, E 4, F 5, G 6;
    Children8: A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7;
}

/// Waits for the items of a gather.
#[derive(Debug)]
struct GatherWait {
    state: Rc<State>,
    wait: Option<WaitId>,
}

impl GatherWait {
    /// Ready when it has ended.
    fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        if let Some(wait) = self.wait {
            match waits::look(wait, cx) {
                Look::Waiting => return Poll::Pending,
                Look::Decided | Look::GivenUp => self.end(),
            }
        }
        if self.state.ended.borrow().is_some() {
            return Poll::Ready(());
        }
        let wait = waits::begin(cx, Link::Target(self.state.clone()));
        self.state.wait.set(Some(wait));
        self.wait = Some(wait);
        Poll::Pending
    }

    fn end(&mut self) {
        if let Some(wait) = self.wait.take() {
            self.state.wait.set(None);
            waits::end(wait);
        }
    }

    /// How a gather was cancelled that ended when nobody waited for it.
    fn take_cancelled(&self) -> Option<CancelledError> {
        match &*self.state.ended.borrow() {
            Some(Ended::Cancelled(error)) => Some(error.clone()),
            _ => None,
        }
    }
}

impl Drop for GatherWait {
    fn drop(&mut self) {
        self.end();
        // The callbacks of the items refer to the state, and the links to the items.
        self.state.links.take();
    }
}

/// Waits for several at once; see [`gather`].
#[must_use = "the results are lost unless it is awaited"]
#[derive(Debug)]
pub struct Gather<C> {
    children: C,
    wait: GatherWait,
}

impl<C: Children + Unpin> Future for Gather<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        std::task::ready!(self.wait.poll(cx));
        let outcome = match self.wait.take_cancelled() {
            Some(error) => Err(error),
            None => self.children.output(),
        };
        match outcome {
            Ok(output) => Poll::Ready(output),
            Err(error) => {
                raise(Some(error));
                Poll::Pending
            }
        }
    }
}

/// Waits for several at once, or for the first error; see [`try_gather`].
#[must_use = "the results are lost unless it is awaited"]
#[derive(Debug)]
pub struct TryGather<T: 'static, E: 'static> {
    children: Vec<Rc<Child<Result<T, E>>>>,
    wait: GatherWait,
}

impl<T, E> Future for TryGather<T, E> {
    type Output = Result<Vec<T>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        std::task::ready!(self.wait.poll(cx));
        let mut cancelled = self.wait.take_cancelled();
        if cancelled.is_none() {
            let mut values = Vec::with_capacity(self.children.len());
            // In the order in which they ended, the first failure is the one that ended it: later ones have no result yet.
            let early = self.wait.state.first_failure.get();
            for child in early.map_or(&self.children[..], |at| &self.children[at..=at]) {
                match child.take() {
                    Some(Ok(Ok(value))) => values.push(value),
                    Some(Ok(Err(error))) => return Poll::Ready(Err(error)),
                    Some(Err(error)) => cancelled = Some(error),
                    None => {}
                }
            }
            if cancelled.is_none() {
                return Poll::Ready(Ok(values));
            }
        }
        raise(cancelled);
        Poll::Pending
    }
}
