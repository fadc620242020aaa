//! The primitives under an executor that is not asyncio's: wakers of the standard library, and no loop.

use asyncio_sync::{Barrier, Condition, Event, Lock, Semaphore};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

/// Runs futures in turn, each only when it was woken.
#[derive(Default)]
struct Executor {
    tasks: Vec<(Option<Running>, Arc<Flag>)>,
    polls: usize,
}

type Running = Pin<Box<dyn Future<Output = ()>>>;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        self.tasks.push((Some(Box::pin(future)), Arc::new(Flag(AtomicBool::new(true)))));
    }

    /// Runs until nobody is woken; gives the number of those that are not done.
    fn run(&mut self) -> usize {
        let mut has_run = true;
        while has_run {
            has_run = false;
            for (future, flag) in &mut self.tasks {
                if flag.0.swap(false, Ordering::Relaxed)
                    && let Some(running) = future
                {
                    has_run = true;
                    self.polls += 1;
                    if running.as_mut().poll(&mut Context::from_waker(&Waker::from(flag.clone()))).is_ready() {
                        *future = None;
                    }
                }
            }
        }
        self.tasks.iter().filter(|(future, _)| future.is_some()).count()
    }
}

/// Lets the others run.
async fn pause() {
    let mut is_first = true;
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        if std::mem::take(&mut is_first) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
}

#[test]
fn a_lock_is_handed_from_one_to_the_next_with_one_wake_each() {
    let mut executor = Executor::default();
    let (lock, order) = (Rc::new(Lock::new(0)), Rc::new(RefCell::new(Vec::new())));
    for name in 0..5 {
        let (lock, order) = (lock.clone(), order.clone());
        executor.spawn(async move {
            let mut guard = lock.acquire().await;
            pause().await;
            *guard += 1;
            order.borrow_mut().push(name);
        });
    }
    assert_eq!(executor.run(), 0);
    assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
    assert_eq!(*lock.try_acquire().unwrap(), 5);
    // Each once to begin and once after its pause; all but the first once more when they were woken.
    assert_eq!(executor.polls, 5 + 5 + 4);
}

#[test]
fn everything_else_works_there_too() {
    let mut executor = Executor::default();
    let (event, barrier) = (Rc::new(Event::new()), Rc::new(Barrier::new(3)));
    let (semaphore, condition) = (Rc::new(Semaphore::new(1)), Rc::new(Condition::new(0)));
    for _ in 0..3 {
        let (event, barrier, semaphore, condition) =
            (event.clone(), barrier.clone(), semaphore.clone(), condition.clone());
        executor.spawn(async move {
            event.wait().await;
            let permit = semaphore.acquire().await;
            pause().await;
            drop(permit);
            barrier.wait().await.unwrap();
            let mut guard = condition.acquire().await;
            *guard += 1;
            guard.notify_all();
            guard.wait_for(|arrived| *arrived == 3).await;
        });
    }
    assert_eq!(executor.run(), 3);
    event.set();
    assert_eq!(executor.run(), 0);
}

#[test]
fn waits_and_guards_may_outlive_the_tables_of_their_thread() {
    struct Held(RefCell<Vec<Box<dyn std::any::Any>>>);
    thread_local! {
        static HELD: Held = const { Held(RefCell::new(Vec::new())) };
    }
    let (executor, semaphore) = (std::cell::Cell::new(None), Rc::new(Semaphore::new(1)));
    // Used before the tables of waits are, so that it is dropped after them.
    HELD.with(|held| held.0.borrow_mut().push(Box::new(semaphore.clone())));
    let mut new = Executor::default();
    for _ in 0..3 {
        let semaphore = semaphore.clone();
        new.spawn(async move {
            let _permit = semaphore.acquire().await;
            std::future::pending::<()>().await;
        });
    }
    assert_eq!(new.run(), 3);
    executor.set(Some(new));
    HELD.with(|held| held.0.borrow_mut().push(Box::new(executor)));
}
