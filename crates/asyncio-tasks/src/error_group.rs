//! `ErrorGroup`: all errors of a task group, as one error.
//!
//! Invariant: as `Send` and as `Sync` as the errors in it, so that it may go wherever one of them could have gone.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

#[cfg(doc)]
use crate::task_group::TaskGroup;

/// The errors of a task group, in the order in which they happened; that of the body is the last.
///
/// An error itself, whatever can be shown being the error of a child (`String`, `&str` and `Box<dyn Error>` too), and `Send` and `Sync`
/// if those are: so `?` turns it into `Box<dyn Error>`, `Box<dyn Error + Send + Sync>`, or what an application has in their place, and
/// into `io::Error`. Nothing is lost on that way: `downcast` gives it back.
///
/// ```
/// # asyncio_tasks::run(async {
/// use asyncio_tasks::{ErrorGroup, TaskGroup};
/// use std::error::Error;
///
/// async fn both() -> Result<(), Box<dyn Error + Send + Sync>> {
///     TaskGroup::scope(async |group| {
///         group.create_task(async { Err::<(), _>(String::from("no luck")) });
///         Ok(())
///     })
///     .await?;
///     Ok(())
/// }
/// let error = both().await.unwrap_err();
/// assert_eq!(error.downcast::<ErrorGroup<String>>().unwrap().errors(), ["no luck"]);
/// # });
/// ```
///
/// # asyncio
///
/// [`ExceptionGroup`](https://docs.python.org/3/library/exceptions.html#ExceptionGroup). Differs: the errors have one type; a
/// group inside a group is a variant of that type, of the caller's making, or a `Box<dyn Error>`.
pub struct ErrorGroup<E> {
    errors: Vec<Arc<E>>,
}

impl<E> ErrorGroup<E> {
    pub(crate) const fn of(errors: Vec<Arc<E>>) -> Self {
        Self { errors }
    }

    /// The errors. There is at least one, unless [`is_empty`](Self::is_empty) says otherwise.
    #[must_use]
    pub fn errors(&self) -> Vec<&E> {
        self.errors.iter().map(Arc::as_ref).collect()
    }

    /// How many errors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// Whether there is none. Then nothing has failed, there is only no value: [`TaskGroup::cancel`] has cut the body off, or
    /// [`first_ok`](crate::first_ok) was given nothing to try.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// The errors, shared with the handles of the children.
    #[must_use]
    pub fn into_shared(self) -> Vec<Arc<E>> {
        self.errors
    }

    /// The errors themselves; those that the handle of a child still shares are cloned.
    #[must_use]
    pub fn into_errors(self) -> Vec<E>
    where
        E: Clone,
    {
        self.errors.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Divides the group into the errors that are `wanted` and the rest; a part without errors is `None`.
    ///
    /// # asyncio
    ///
    /// `ExceptionGroup.split`, and `except*`.
    #[must_use]
    pub fn split(self, mut wanted: impl FnMut(&E) -> bool) -> (Option<Self>, Option<Self>) {
        let (yes, no): (Vec<_>, Vec<_>) = self.errors.into_iter().partition(|error| wanted(error));
        let part = |errors: Vec<_>| (!errors.is_empty()).then_some(Self { errors });
        (part(yes), part(no))
    }

    /// The errors that are `wanted`; `None` if there are none of that kind.
    ///
    /// # asyncio
    ///
    /// `ExceptionGroup.subgroup`.
    #[must_use]
    pub fn filter(self, wanted: impl FnMut(&E) -> bool) -> Option<Self> {
        self.split(wanted).0
    }
}

impl<E: fmt::Debug> fmt::Debug for ErrorGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ErrorGroup").field(&self.errors).finish()
    }
}

impl<E: fmt::Display> fmt::Display for ErrorGroup<E> {
    /// A tree: one line for the group, one or more for each error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.errors.is_empty() {
            return f.write_str("no value and no error: cancelled, or given nothing to do");
        }
        let plural = if self.errors.len() == 1 { "" } else { "s" };
        write!(f, "unhandled errors in a task group ({} error{plural})", self.errors.len())?;
        for error in &self.errors {
            write!(f, "\n  - {}", error.to_string().replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

/// Also where `E` is shown, but is no error itself, as a `String`, or a `Box<dyn Error>`.
impl<E: fmt::Debug + fmt::Display> Error for ErrorGroup<E> {}

impl<E: fmt::Debug + fmt::Display + Send + Sync + 'static> From<ErrorGroup<E>> for io::Error {
    fn from(group: ErrorGroup<E>) -> Self {
        Self::other(group)
    }
}
