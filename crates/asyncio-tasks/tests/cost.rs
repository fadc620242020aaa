//! What tasks cost, by counting: allocations and bytes.

use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_tasks::{Future as LoopFuture, LoopTasksExt as _, create_task, sleep, timeout, yield_now};
use asyncio_testing::{AllocationCounts, CountingAllocator, ScriptedDriver, VirtualClock, count_allocations};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::Poll;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: u64 = 1000;

fn event_loop() -> EventLoop {
    EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap()
}

/// How many allocations `ROUNDS` of `round` make inside a task, and all that runs beside it, once as many have warmed all
/// up.
fn allocations(round: impl AsyncFnMut() + 'static) -> u64 {
    counted(round).allocations
}

fn counted(mut round: impl AsyncFnMut() + 'static) -> AllocationCounts {
    let event_loop = event_loop();
    let done = Rc::new(Cell::new(0));
    let count = done.clone();
    event_loop.create_task(async move {
        loop {
            round().await;
            count.set(count.get() + 1);
        }
    });
    let rounds = |until| {
        while done.get() < until {
            event_loop.run_once(None).unwrap();
        }
    };
    rounds(ROUNDS);
    let ((), counts) = count_allocations(|| rounds(2 * ROUNDS));
    event_loop.set_exception_handler(|_, _| ());
    event_loop.close().unwrap();
    counts
}

#[test]
fn a_sleep_is_two_words() {
    assert_eq!(size_of::<asyncio_tasks::Sleep>(), 2 * size_of::<usize>());
}

#[test]
fn a_task_is_one_allocation_and_awaiting_it_none() {
    let made = allocations(async || create_task(async {}).await.unwrap());
    assert!(made <= 2 * ROUNDS, "{made}");
    let shared = Rc::new(Cell::new(0));
    let made = allocations(async move || {
        let count = shared.clone();
        let task = create_task(async move {
            yield_now().await;
            count.set(count.get() + 1);
            count.get()
        });
        assert!(task.await.unwrap() > 0);
    });
    assert!(made <= 2 * ROUNDS, "{made}");
}

#[test]
fn switching_waking_and_sleeping_allocate_nothing() {
    assert_eq!(allocations(async || yield_now().await), 0);
    assert_eq!(allocations(async || sleep(0).await), 0);
    assert_eq!(allocations(async || sleep(1).await), 0);
    let woken = async || {
        let mut is_first = true;
        poll_fn(|cx| {
            if std::mem::take(&mut is_first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
    };
    assert_eq!(allocations(woken), 0);
}

#[test]
fn a_timeout_that_is_set_and_cancelled_allocates_nothing() {
    assert_eq!(allocations(async || timeout(60, yield_now()).await.unwrap()), 0);
    assert_eq!(allocations(async || timeout(60, timeout(50, sleep(1))).await.unwrap().unwrap()), 0);
}

#[test]
fn awaiting_a_future_allocates_the_future() {
    let made = allocations(async || {
        let future = LoopFuture::new();
        future.set_result(1).unwrap();
        assert_eq!(future.await, Ok(1));
        yield_now().await;
    });
    assert_eq!(made, ROUNDS);
    // Nor does it cost more to wait for it, linked, so that a cancellation would be passed on.
    let made = allocations(async || {
        let future = LoopFuture::new();
        let setter = future.clone();
        get_running_loop().call_soon(move || setter.set_result(1).unwrap());
        assert_eq!(future.await, Ok(1));
    });
    assert_eq!(made, ROUNDS);
}

#[test]
fn what_waits_is_small() {
    const TASKS: i64 = 10_000;
    let event_loop = event_loop();
    let bytes = |spawn: &dyn Fn()| {
        // The second time, so that tables have their size.
        let ((), counts) = count_allocations(|| {
            for _ in 0..TASKS {
                spawn();
            }
            event_loop.run_until_blocked().unwrap();
        });
        counts.growth_bytes() / TASKS
    };
    let pending = bytes(&|| drop(event_loop.create_task(pending::<()>())));
    assert!(pending <= 96 + 32, "{pending} bytes for a task that waits, with its share of the ready queue");
    let sleeping = bytes(&|| drop(event_loop.create_task(sleep(1000))));
    assert!(sleeping <= 256 + 64, "{sleeping} bytes for a task that sleeps");
    event_loop.set_exception_handler(|_, _| ());
    event_loop.close().unwrap();
}

/// One future that is pending: the cell is its header and the future.
#[test]
fn a_cell_is_its_header_and_its_future() {
    let event_loop = event_loop();
    drop(event_loop.create_task(pending::<()>()));
    event_loop.run_until_blocked().unwrap();
    let (_, counts) = count_allocations(|| event_loop.create_task(pending::<()>()));
    assert!(counts.allocated_bytes <= 96, "{} bytes", counts.allocated_bytes);
    event_loop.set_exception_handler(|_, _| ());
    event_loop.close().unwrap();
}

/// Waits of one task that overlap for ever, as those of a pool, do not pile up.
#[test]
fn waits_that_overlap_for_ever_do_not_grow() {
    let event_loop = event_loop();
    let rounds = Rc::new(Cell::new(0_u32));
    let count = rounds.clone();
    event_loop.create_task(async move {
        let mut all: FuturesUnordered<asyncio_tasks::Sleep> = FuturesUnordered::new();
        all.push(sleep(0.5));
        loop {
            all.push(sleep(1));
            all.next().await;
            count.set(count.get() + 1);
        }
    });
    let run = |until| {
        while rounds.get() < until {
            event_loop.run_once(None).unwrap();
        }
    };
    run(1000);
    let ((), counts) = count_allocations(|| run(50_000));
    assert!(counts.growth_bytes() < 5000, "{} bytes grew", counts.growth_bytes());
    event_loop.set_exception_handler(|_, _| ());
    event_loop.close().unwrap();
}

#[test]
fn waits_that_move_from_task_to_task_leave_nothing_behind() {
    let counts = counted(async || {
        let begins = create_task(async {
            let (short, long) = (Box::pin(sleep(1)), Box::pin(sleep(5)));
            match futures_util::future::select(short, long).await {
                futures_util::future::Either::Left(((), long)) => [long],
                futures_util::future::Either::Right(_) => unreachable!("the other one is shorter"),
            }
        });
        let [long] = begins.await.unwrap();
        long.await;
    });
    assert!(counts.growth_bytes() < 1024, "{} bytes in {ROUNDS} rounds", counts.growth_bytes());
}
