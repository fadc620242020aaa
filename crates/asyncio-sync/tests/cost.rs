//! What the primitives cost, by counting: allocations and wake-ups.

use asyncio_loop::EventLoop;
use asyncio_sync::{Barrier, Condition, Event, Lock, Semaphore, threadsafe};
use asyncio_tasks::{LoopTasksExt, create_task, yield_now};
use asyncio_testing::{CountingAllocator, ScriptedDriver, VirtualClock, count_allocations};
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: u64 = 1_000;

/// How many allocations `ROUNDS` of `round` make, after a few have grown what grows.
async fn allocations(mut round: impl AsyncFnMut()) -> u64 {
    for _ in 0..10 {
        round().await;
    }
    let before = count_allocations(|| ()).1.allocations;
    assert_eq!(before, 0);
    let mut total = 0;
    for _ in 0..ROUNDS {
        let mut round = pin!(round());
        std::future::poll_fn(|cx| {
            let (outcome, counts) = count_allocations(|| round.as_mut().poll(cx));
            total += counts.allocations;
            outcome
        })
        .await;
    }
    total
}

fn run(main: impl Future<Output = ()> + 'static) {
    let event_loop = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap();
    event_loop.run_until_complete(main).unwrap();
    event_loop.close().unwrap();
}

#[test]
fn what_need_not_wait_allocates_nothing() {
    let (lock, semaphore, event, barrier) = (Lock::new(0), Semaphore::new(2), Event::new(), Barrier::new(1));
    let condition = Condition::new(0);
    let (shared_event, shared_semaphore) = (threadsafe::Event::new(), threadsafe::Semaphore::new(2));
    event.set();
    shared_event.set();
    shared_semaphore.release(); // Its queue is allocated when it is first looked at.
    let cx = &mut Context::from_waker(Waker::noop());
    let ((), counts) = count_allocations(|| {
        for _ in 0..ROUNDS {
            assert!(pin!(lock.acquire()).poll(cx).is_ready());
            assert!(pin!(semaphore.acquire()).poll(cx).is_ready());
            assert!(pin!(event.wait()).poll(cx).is_ready());
            assert!(pin!(barrier.wait()).poll(cx).is_ready());
            assert!(pin!(condition.acquire()).poll(cx).is_ready());
            assert!(pin!(shared_event.wait()).poll(cx).is_ready());
            assert!(pin!(shared_semaphore.acquire()).poll(cx).is_ready());
        }
    });
    assert_eq!((counts.allocations, counts.deallocations), (0, 0));
}

#[test]
fn handing_over_allocates_nothing() {
    run(async {
        let (lock, semaphore) = (Rc::new(Lock::new(0)), Rc::new(Semaphore::new(1)));
        let (there, back) = (Rc::new(Event::new()), Rc::new(Event::new()));
        let (lock_too, semaphore_too, there_too, back_too) =
            (lock.clone(), semaphore.clone(), there.clone(), back.clone());
        let other = create_task(async move {
            loop {
                {
                    let mut guard = lock_too.acquire().await;
                    let _permit = semaphore_too.acquire().await;
                    yield_now().await;
                    *guard += 1;
                }
                there_too.wait().await;
                there_too.clear();
                back_too.set();
            }
        });
        let allocated = allocations(async || {
            {
                let mut guard = lock.acquire().await;
                yield_now().await;
                *guard += 1;
            }
            {
                let _permit = semaphore.acquire().await;
                yield_now().await;
            }
            there.set();
            back.wait().await;
            back.clear();
        })
        .await;
        assert_eq!(allocated, 0);
        assert!(*lock.acquire().await > 2 * ROUNDS);
        other.cancel();
    });
}

#[test]
fn waiting_for_a_condition_allocates_nothing() {
    run(async {
        let condition = Rc::new(Condition::new(0_u64));
        let shared = condition.clone();
        let other = create_task(async move {
            let mut guard = shared.acquire().await;
            loop {
                guard.wait_for(|turn| *turn % 2 == 1).await;
                *guard += 1;
                guard.notify(1);
            }
        });
        yield_now().await;
        let mut guard = condition.acquire().await;
        let allocated = allocations(async || {
            *guard += 1;
            guard.notify(1);
            guard.wait_for(|turn| *turn % 2 == 0).await;
        })
        .await;
        assert_eq!(allocated, 0);
        other.cancel();
    });
}

/// What tasks have cost: how often they were resumed, and what they have allocated then.
#[derive(Default)]
struct Spent {
    polls: Cell<u64>,
    allocations: Cell<u64>,
}

impl Spent {
    async fn count(&self, future: impl Future<Output = ()>) {
        let mut future = pin!(future);
        std::future::poll_fn(|cx| {
            let (outcome, counts) = count_allocations(|| future.as_mut().poll(cx));
            self.polls.set(self.polls.get() + 1);
            self.allocations.set(self.allocations.get() + counts.allocations);
            outcome
        })
        .await;
    }
}

/// `TASKS` tasks hold something `ROUNDS` times each over a yield; gives how often they were resumed for anything but their
/// beginning and their yields, and what all of them have allocated.
async fn contended(hold: impl AsyncFn() + 'static) -> (u64, u64) {
    let (spent, hold) = (Rc::new(Spent::default()), Rc::new(hold));
    // Grows what grows: the tables of waits and of ready tasks.
    for rounds in [10, ROUNDS] {
        spent.polls.set(0);
        spent.allocations.set(0);
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let (spent, hold) = (spent.clone(), hold.clone());
                create_task(async move {
                    spent
                        .count(async {
                            for _ in 0..rounds {
                                hold().await;
                            }
                        })
                        .await;
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
    (spent.polls.get() - TASKS - TASKS * ROUNDS, spent.allocations.get())
}

const TASKS: u64 = 10;

#[test]
fn a_contended_hand_over_costs_one_wake_and_no_allocation() {
    run(async {
        let lock = Lock::new(());
        let locked = contended(async move || {
            let _guard = lock.acquire().await;
            yield_now().await;
        });
        // Everybody but the first one has to wait, every time.
        assert_eq!(locked.await, (TASKS * ROUNDS - 1, 0));
        let semaphore = Semaphore::new(3);
        let permitted = contended(async move || {
            let _permit = semaphore.acquire().await;
            yield_now().await;
        });
        assert_eq!(permitted.await, (TASKS * ROUNDS - 3, 0));
    });
}
