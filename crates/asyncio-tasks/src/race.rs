//! `race`, `first_ok`: several for one result. The first that will do ends the others.
//!
//! Invariant: when the result is there, all the others have ended, clean-up included. (Both are a group, ended from inside.)

use crate::catch::raise;
use crate::error::CancelledError;
use crate::error_group::ErrorGroup;
use crate::task_group::TaskGroup;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

/// Runs `coroutines` as tasks, and gives the value of the first that ends. The others are cancelled, and awaited: so the
/// result comes when the last of them has cleaned up.
///
/// Of several that end in one iteration the first in order of scheduling wins; the values of the others are dropped.
///
/// ```
/// # asyncio_tasks::run(async {
/// use asyncio_tasks::{race, sleep};
///
/// let answer = async |name, seconds: f64| {
///     sleep(seconds).await;
///     name
/// };
/// assert_eq!(race([answer("hare", 60.0), answer("tortoise", 0.001)]).await, "tortoise");
/// # });
/// ```
///
/// # Panics
///
/// If there are no coroutines, or if not inside a task. With the panic of the first that panics, when all have ended.
///
/// # Cancel safety
///
/// If the waiting task is cancelled, all are cancelled, and awaited. If the future is dropped, they are cancelled. If all of them are
/// cancelled by somebody else, the waiting task is unwound.
///
/// # asyncio
///
/// None; `wait(..., return_when=FIRST_COMPLETED)` and then `cancel` for the rest.
pub async fn race<F>(coroutines: impl IntoIterator<Item = F>) -> F::Output
where
    F: Future + 'static,
    F::Output: 'static,
{
    let mut coroutines = coroutines.into_iter().peekable();
    assert!(coroutines.peek().is_some(), "a race needs somebody who runs");
    let winner = Rc::new(RefCell::new(None));
    // Ends without an error either way: no child has one.
    let _: Result<(), ErrorGroup<Infallible>> = TaskGroup::scope(async |group| {
        for coroutine in coroutines {
            let (winner, judge) = (winner.clone(), group.clone());
            group.create_task(async move {
                let value = coroutine.await;
                end(&judge, &winner, value);
                Ok(())
            });
        }
        Ok(())
    })
    .await;
    let value = winner.take();
    match value {
        Some(value) => value,
        None => {
            raise(Some(CancelledError::default()));
            std::future::pending().await
        }
    }
}

/// Runs `coroutines` as tasks, and gives the value of the first that ends with `Ok`. The others are cancelled, and awaited.
///
/// # Errors
///
/// If all of them fail, or were cancelled by somebody else: the errors, in the order in which they happened; none if there was
/// nothing to run. Errors of those that fail after one has won are dropped.
///
/// ```
/// # asyncio_tasks::run(async {
/// use asyncio_tasks::{first_ok, sleep};
///
/// let mirror = async |number: u32| {
///     sleep(0.001 * f64::from(number)).await;
///     if number < 3 { Err(format!("mirror {number} is down")) } else { Ok(number) }
/// };
/// assert_eq!(first_ok((1..=5).map(mirror)).await.unwrap(), 3);
/// assert_eq!(first_ok((1..=2).map(mirror)).await.unwrap_err().len(), 2);
/// # });
/// ```
///
/// # Panics
///
/// If not inside a task. With the panic of the first that panics, when all have ended.
///
/// # Cancel safety
///
/// If the waiting task is cancelled, all are cancelled, and awaited. If the future is dropped, they are cancelled.
///
/// # asyncio
///
/// None that is public; `staggered_race` is behind `open_connection`.
pub async fn first_ok<F, T, E>(coroutines: impl IntoIterator<Item = F>) -> Result<T, ErrorGroup<E>>
where
    F: Future<Output = Result<T, E>> + 'static,
    T: 'static,
    E: 'static,
{
    let (winner, errors) = (Rc::new(RefCell::new(None)), Rc::new(RefCell::new(Vec::new())));
    let _: Result<(), ErrorGroup<Infallible>> = TaskGroup::scope(async |group| {
        for coroutine in coroutines {
            let (winner, errors, judge) = (winner.clone(), errors.clone(), group.clone());
            group.create_task(async move {
                match coroutine.await {
                    Ok(value) => end(&judge, &winner, value),
                    Err(error) => errors.borrow_mut().push(Arc::new(error)),
                }
                Ok(())
            });
        }
        Ok(())
    })
    .await;
    let value = winner.take();
    value.ok_or_else(|| ErrorGroup::of(errors.take()))
}

/// Somebody has come in with `value`: the winner, unless the race is over already, because another one has won, has panicked, or
/// whoever waits was cancelled. Then those who still clean up are not to be disturbed.
fn end<T>(judge: &TaskGroup<Infallible>, winner: &RefCell<Option<T>>, value: T) {
    if judge.inner.aborting.get() {
        return;
    }
    *winner.borrow_mut() = Some(value);
    judge.cancel();
}
