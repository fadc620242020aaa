//! Locks, events, conditions, semaphores and barriers: tasks wait for one another, first come, first served.

use crate::{Done, say};
use asyncio::{Barrier, Condition, Event, Lock, Semaphore, TaskGroup, sleep};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::rc::Rc;

const TASKS: usize = 1_000;
const PERMITS: usize = 10;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        lock().await;
        semaphore().await;
        event_and_condition().await;
        barrier().await;
        Ok(Done::new(5 * TASKS, "turns, first come, first served"))
    })
}

/// Runs so many tasks, and waits for all.
async fn each<F: Future<Output = ()> + 'static>(coroutine: impl Fn(usize) -> F) {
    let all = TaskGroup::<Infallible>::scope(async |group| {
        for n in 0..TASKS {
            let coroutine = coroutine(n);
            group.create_task(async {
                coroutine.await;
                Ok(())
            });
        }
        Ok(())
    });
    let Ok(()) = all.await else { unreachable!("no child fails") };
}

/// Read, wait, write: without the lock nearly all would be lost.
async fn lock() {
    let lock = Rc::new(Lock::new((0, Vec::new())));
    each(|n| {
        let lock = lock.clone();
        async move {
            let mut data = lock.acquire().await;
            let seen = data.0;
            sleep(0).await;
            data.0 = seen + 1;
            data.1.push(n);
        }
    })
    .await;
    let data = lock.try_acquire().expect("it is free");
    assert_eq!(data.0, TASKS, "two tasks had the lock at once");
    assert!(data.1.iter().copied().eq(0..TASKS), "somebody passed the queue");
    say(format_args!("lock: {TASKS} tasks, one at a time, in the order in which they came"));
}

async fn semaphore() {
    let semaphore = Rc::new(Semaphore::new(PERMITS));
    let (inside, most) = <(Rc<Cell<usize>>, Rc<Cell<usize>>)>::default();
    each(|_| {
        let (semaphore, inside, most) = (semaphore.clone(), inside.clone(), most.clone());
        async move {
            let _permit = semaphore.acquire().await;
            inside.set(inside.get() + 1);
            most.set(most.get().max(inside.get()));
            sleep(0).await;
            inside.set(inside.get() - 1);
        }
    })
    .await;
    assert_eq!((inside.get(), most.get()), (0, PERMITS), "not so many at once as there are permits");
    say(format_args!("semaphore: {TASKS} tasks, never more than {PERMITS} at once"));
}

async fn event_and_condition() {
    let (event, condition) = (Rc::new(Event::new()), Rc::new(Condition::new(0)));
    let order: Rc<RefCell<Vec<usize>>> = Rc::default();
    let opener = {
        let (event, condition) = (event.clone(), condition.clone());
        asyncio::create_task(async move {
            sleep(0).await;
            event.set();
            for turn in 0..TASKS {
                let mut next = condition.acquire().await;
                next.wait_for(|next| *next == turn).await;
                *next = turn + TASKS;
                next.notify_all();
                next.wait_for(|next| *next == turn + 1).await;
            }
        })
    };
    // They take turns with the opener, who names the number of the next.
    let taker = {
        let (event, order) = (event.clone(), order.clone());
        asyncio::create_task(async move {
            event.wait().await;
            for turn in 0..TASKS {
                let mut next = condition.acquire().await;
                next.wait_for(|next| *next == turn + TASKS).await;
                order.borrow_mut().push(turn);
                *next = turn + 1;
                next.notify_all();
            }
        })
    };
    assert_eq!((opener.await, taker.await), (Ok(()), Ok(())));
    assert!(event.is_set() && order.borrow().iter().copied().eq(0..TASKS), "a turn was lost");
    say(format_args!("event and condition: two tasks took {TASKS} turns each"));
}

async fn barrier() {
    let barrier = Rc::new(Barrier::new(TASKS));
    let (arrived, passed) = <(Rc<Cell<usize>>, Rc<Cell<usize>>)>::default();
    each(|_| {
        let (barrier, arrived, passed) = (barrier.clone(), arrived.clone(), passed.clone());
        async move {
            arrived.set(arrived.get() + 1);
            barrier.wait().await.expect("nobody breaks it");
            assert_eq!(arrived.get(), TASKS, "the barrier let somebody through");
            passed.set(passed.get() + 1);
        }
    })
    .await;
    assert_eq!(passed.get(), TASKS);
    say(format_args!("barrier: {TASKS} tasks went on when the last had come"));
}
