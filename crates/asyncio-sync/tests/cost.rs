//! What the primitives cost, by counting: allocations and wake-ups.

use asyncio_loop::EventLoop;
use asyncio_sync::{Barrier, Condition, Event, Lock, Semaphore};
use asyncio_tasks::{LoopTasksExt, create_task, yield_now};
use asyncio_testing::{CountingAllocator, ScriptedDriver, VirtualClock, count_allocations};
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
    event.set();
    let cx = &mut Context::from_waker(Waker::noop());
    let ((), counts) = count_allocations(|| {
        for _ in 0..ROUNDS {
            assert!(pin!(lock.acquire()).poll(cx).is_ready());
            assert!(pin!(semaphore.acquire()).poll(cx).is_ready());
            assert!(pin!(event.wait()).poll(cx).is_ready());
            assert!(pin!(barrier.wait()).poll(cx).is_ready());
            assert!(pin!(condition.acquire()).poll(cx).is_ready());
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
