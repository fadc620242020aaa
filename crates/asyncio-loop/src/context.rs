//! `ContextVar` and `Context`: values that follow the flow of control instead of being passed along.
//!
//! Every callback captures the context of whoever scheduled it, by copy: it sees the values of that moment, and what it
//! sets is seen by nobody else. A copy costs one reference count, and nothing at all while no variable is set, because
//! the values lie in an immutable map that `set` replaces.
//!
//! Invariants:
//! 1. The thread's current values are those of the callback that is running; outside any callback they are the
//!    thread's own. Whoever enters a context leaves it again, also when the code inside panics.
//! 2. A map that is shared is never changed.
//!
//! Absent on purpose: tasks. Floor 2 gives every task a [`ContextSnapshot`] that its steps run in.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A variable with a value for each context.
///
/// Declare it as a `static`. Values must be `Send + Sync`, because a context may be copied into a thread.
///
/// ```
/// use asyncio_loop::{ContextVar, copy_context};
///
/// static REQUEST: ContextVar<u32> = ContextVar::new("request");
///
/// REQUEST.set(7);
/// copy_context().run(|| REQUEST.set(8)); // seen only inside
/// assert_eq!(REQUEST.get(), Some(7));
/// ```
///
/// # asyncio
///
/// [`contextvars.ContextVar`](https://docs.python.org/3/library/contextvars.html#contextvars.ContextVar). Differs: `get`
/// gives `None` instead of raising `LookupError`; a default is `get().unwrap_or(..)`.
pub struct ContextVar<T: 'static> {
    name: &'static str,
    /// Given out at first use; zero before.
    id: AtomicU64,
    value: PhantomData<fn() -> T>,
}

impl<T: Clone + Send + Sync + 'static> ContextVar<T> {
    /// A variable without a value; the name is for debugging.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, id: AtomicU64::new(0), value: PhantomData }
    }

    /// The name given at creation.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The value in the current context, if one was set.
    #[must_use]
    pub fn get(&self) -> Option<T> {
        // Of a clone, because the value's `Clone` may set variables.
        self.find(&ContextSnapshot::current())
    }

    /// Sets the value in the current context. The token puts back what was there before.
    pub fn set(&'static self, value: T) -> ContextToken<T> {
        let previous = replace(self.id(), Some(Arc::new(value)));
        ContextToken { var: self, previous: previous.and_then(downcast) }
    }

    /// Puts back the value (or the absence of one) from before the [`set`](Self::set) that gave this token.
    pub fn reset(&self, token: ContextToken<T>) {
        debug_assert_eq!(self.id(), token.var.id(), "the token is of another variable");
        drop(replace(token.var.id(), token.previous.map(|value| Arc::new(value) as Value)));
    }

    fn find(&self, values: &ContextSnapshot) -> Option<T> {
        let values = values.0.as_ref()?;
        let at = values.binary_search_by_key(&self.id(), |(id, _)| *id).ok()?;
        values[at].1.downcast_ref::<T>().cloned()
    }

    fn id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: the number itself is all that is shared.
        match self.id.load(Ordering::Relaxed) {
            0 => {
                let new = NEXT.fetch_add(1, Ordering::Relaxed);
                match self.id.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => new,
                    Err(other) => other,
                }
            }
            id => id,
        }
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextVar").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What [`ContextVar::set`] replaced.
///
/// # asyncio
///
/// [`contextvars.Token`](https://docs.python.org/3/library/contextvars.html#contextvars.Token). Differs: used up by `reset`,
/// so that it cannot be used twice.
pub struct ContextToken<T: 'static> {
    var: &'static ContextVar<T>,
    previous: Option<T>,
}

impl<T> ContextToken<T> {
    /// The value before `set`, if there was one.
    #[must_use]
    pub const fn old_value(&self) -> Option<&T> {
        self.previous.as_ref()
    }
}

impl<T> fmt::Debug for ContextToken<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextToken").field("var", &self.var.name).finish_non_exhaustive()
    }
}

/// A set of values that code can run in, again and again; what the code sets stays in it.
///
/// # asyncio
///
/// [`contextvars.Context`](https://docs.python.org/3/library/contextvars.html#contextvars.Context). Same; a clone is the
/// same context, [`copy`](Context::copy) makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Context(Rc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    values: RefCell<ContextSnapshot>,
    entered: Cell<bool>,
}

impl Context {
    /// A context without any value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A new context with the same values.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::from(self.snapshot())
    }

    /// Runs `code` in this context.
    ///
    /// # Panics
    ///
    /// If this context is entered already.
    #[track_caller]
    pub fn run<R>(&self, code: impl FnOnce() -> R) -> R {
        assert!(!self.0.entered.replace(true), "cannot enter a context that is entered already");
        /// Leaves the context, also when `code` panics.
        struct Entered<'a>(&'a Shared);
        impl Drop for Entered<'_> {
            fn drop(&mut self) {
                self.0.values.borrow_mut().exchange();
                self.0.entered.set(false);
            }
        }
        self.0.values.borrow_mut().exchange();
        let _entered = Entered(&self.0);
        code()
    }

    /// The value of `var` in this context.
    #[must_use]
    pub fn get<T: Clone + Send + Sync>(&self, var: &ContextVar<T>) -> Option<T> {
        var.find(&self.snapshot())
    }

    /// The values of this context now.
    #[must_use]
    pub fn snapshot(&self) -> ContextSnapshot {
        // While the context is entered, its values are the thread's.
        if self.0.entered.get() { ContextSnapshot::current() } else { self.0.values.borrow().clone() }
    }
}

impl From<ContextSnapshot> for Context {
    fn from(values: ContextSnapshot) -> Self {
        Self(Rc::new(Shared { values: RefCell::new(values), entered: Cell::new(false) }))
    }
}

/// A new context with the values of the current one.
///
/// # asyncio
///
/// [`contextvars.copy_context`](https://docs.python.org/3/library/contextvars.html#contextvars.copy_context). Same.
#[must_use]
pub fn copy_context() -> Context {
    Context::from(ContextSnapshot::current())
}

/// The values of a context at one moment: what upper floors keep for code that will run later.
#[derive(Clone, Default)]
pub struct ContextSnapshot(Option<Rc<Values>>);

/// Sorted by the id of the variable.
type Values = Vec<(u64, Value)>;
type Value = Arc<dyn Any + Send + Sync>;

impl ContextSnapshot {
    /// No values.
    pub(crate) const EMPTY: Self = Self(None);

    /// The current values: one reference count, or nothing if no variable is set.
    #[must_use]
    pub fn current() -> Self {
        if Self::is_current_empty() {
            return Self::EMPTY;
        }
        // A destructor that runs when the thread has ended finds no values.
        CURRENT.try_with(|values| values.borrow().clone()).unwrap_or_default()
    }

    /// Whether no variable is set in the current context.
    #[must_use]
    #[inline]
    pub fn is_current_empty() -> bool {
        !IS_ANY_SET.get()
    }

    /// Exchanges these values with the thread's current ones. Code that enters a context does it twice: before and after.
    ///
    /// When the thread has ended there are none any more: then nothing is exchanged.
    pub fn exchange(&mut self) {
        let _ = CURRENT.try_with(|current| {
            let mut current = current.borrow_mut();
            std::mem::swap(&mut *current, self);
            IS_ANY_SET.set(!current.is_empty());
        });
    }

    /// Whether no variable is set.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

/// The values of a context on their way to another thread; see [`ContextSnapshot::to_send`].
#[derive(Clone)]
pub struct SendContext(Values);

impl ContextSnapshot {
    /// A copy of these values that may go to another thread; `None` if no variable is set.
    #[must_use]
    pub fn to_send(&self) -> Option<SendContext> {
        self.0.as_ref().map(|values| SendContext(Values::clone(values)))
    }
}

impl From<SendContext> for ContextSnapshot {
    fn from(context: SendContext) -> Self {
        Self(Some(Rc::new(context.0)))
    }
}

impl fmt::Debug for SendContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendContext").field("variables", &self.0.len()).finish()
    }
}

impl fmt::Debug for ContextSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextSnapshot").field("variables", &self.0.as_ref().map_or(0, |values| values.len())).finish()
    }
}

thread_local! {
    static CURRENT: RefCell<ContextSnapshot> = const { RefCell::new(ContextSnapshot(None)) };
    /// Whether `CURRENT` has any value: it is asked for each step, and has no destructor to be registered.
    static IS_ANY_SET: Cell<bool> = const { Cell::new(false) };
}

/// Sets or removes a variable in the current context, and returns its value from before. When the thread has ended there is no
/// context any more, and `value` is dropped.
fn replace(id: u64, value: Option<Value>) -> Option<Value> {
    let previous = CURRENT.try_with(|current| {
        let mut current = current.borrow_mut();
        let mut values = current.0.take().unwrap_or_default();
        let own = Rc::make_mut(&mut values);
        let previous = match (own.binary_search_by_key(&id, |(id, _)| *id), value) {
            (Ok(at), Some(value)) => Some(std::mem::replace(&mut own[at].1, value)),
            (Ok(at), None) => Some(own.remove(at).1),
            (Err(at), Some(value)) => {
                own.insert(at, (id, value));
                None
            }
            (Err(_), None) => None,
        };
        *current = ContextSnapshot((!values.is_empty()).then_some(values));
        IS_ANY_SET.set(!current.is_empty());
        previous
    });
    previous.ok().flatten()
}

/// The value itself; a copy if another context still holds it.
fn downcast<T: Clone + Send + Sync + 'static>(value: Value) -> Option<T> {
    value.downcast::<T>().ok().map(Arc::unwrap_or_clone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    static A: ContextVar<u32> = ContextVar::new("a");
    static B: ContextVar<String> = ContextVar::new("b");

    #[test]
    fn a_copy_sees_the_values_of_its_moment() {
        Context::new().run(|| {
            A.set(1);
            let copy = copy_context();
            A.set(2);
            B.set("late".into());
            assert_eq!((copy.get(&A), copy.get(&B)), (Some(1), None));
            copy.run(|| A.set(3));
            assert_eq!((copy.get(&A), A.get()), (Some(3), Some(2)));
        });
        assert_eq!(A.get(), None);
    }

    #[test]
    fn reset_puts_back_value_and_absence() {
        Context::new().run(|| {
            let first = A.set(1);
            let second = A.set(2);
            assert_eq!((first.old_value(), second.old_value()), (None, Some(&1)));
            A.reset(second);
            assert_eq!(A.get(), Some(1));
            A.reset(first);
            assert_eq!(A.get(), None);
            assert!(ContextSnapshot::current().is_empty());
        });
    }

    #[test]
    fn a_panic_leaves_the_context() {
        let context = Context::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            context.run(|| {
                A.set(9);
                panic!("as expected");
            });
        }));
        assert!(outcome.is_err());
        assert_eq!((A.get(), context.get(&A)), (None, Some(9)));
        context.run(|| assert_eq!((A.get(), context.get(&A)), (Some(9), Some(9))));
    }

    #[test]
    #[should_panic(expected = "entered already")]
    fn a_context_is_not_entered_twice() {
        let context = Context::new();
        context.run(|| context.run(|| ()));
    }
}
