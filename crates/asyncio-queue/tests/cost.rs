//! What queues cost, by counting allocations.

use asyncio_loop::EventLoop;
use asyncio_queue::{Broadcast, LifoQueue, PriorityQueue, Queue, threadsafe};
use asyncio_tasks::LoopTasksExt;
use asyncio_testing::{CountingAllocator, ScriptedDriver, VirtualClock, count_allocations};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: u64 = 10_000;

#[test]
fn put_and_get_without_waiting_allocate_nothing() {
    let (queue, stack, heap) = (Queue::new(4), LifoQueue::new(4), PriorityQueue::new(4));
    let (shared, news) = (threadsafe::Queue::new(4), Broadcast::new(4));
    let mut subscriber = news.subscribe();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut round = |n| {
        assert!(pin!(queue.put(n)).poll(cx).is_ready());
        assert!(pin!(queue.get()).poll(cx).is_ready());
        assert!(pin!(stack.put(n)).poll(cx).is_ready());
        assert!(pin!(stack.get()).poll(cx).is_ready());
        assert!(pin!(heap.put(n)).poll(cx).is_ready());
        assert!(pin!(heap.get()).poll(cx).is_ready());
        queue.task_done();
        assert!(pin!(queue.join()).poll(cx).is_ready());
        assert!(pin!(shared.put(n)).poll(cx).is_ready());
        assert!(pin!(shared.get()).poll(cx).is_ready());
        assert!(pin!(news.put(n)).poll(cx).is_ready());
        assert!(pin!(subscriber.get()).poll(cx).is_ready());
    };
    (0..10).for_each(&mut round);
    let ((), counts) = count_allocations(|| (0..ROUNDS).for_each(&mut round));
    assert_eq!((counts.allocations, counts.deallocations), (0, 0));
}

#[test]
fn an_item_that_several_subscribers_take_costs_one_allocation() {
    let news = Broadcast::new(4);
    let mut subscribers = [(); 3].map(|()| news.subscribe());
    let mut round = |n| {
        news.put_nowait(n).unwrap();
        for subscriber in &mut subscribers {
            assert_eq!(subscriber.get_nowait(), Ok(n));
        }
    };
    (0..10).for_each(&mut round);
    let ((), counts) = count_allocations(|| (0..ROUNDS).for_each(&mut round));
    assert_eq!((counts.allocations, counts.deallocations), (ROUNDS, ROUNDS));
}

#[test]
fn an_item_that_is_waited_for_costs_one_wake_and_no_allocation() {
    let event_loop = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new()))).build().unwrap();
    let (there, back) = (Rc::new(Queue::new(1)), Rc::new(Queue::new(1)));
    let (there_too, back_too) = (there.clone(), back.clone());
    let echo = event_loop.create_task(async move {
        while let Ok(n) = there_too.get().await {
            back_too.put(n).await.unwrap();
        }
    });
    let main = async move {
        let round_trips = async |from: u64, to: u64| {
            for n in from..to {
                there.put(n).await.unwrap();
                assert_eq!(back.get().await, Ok(n));
            }
        };
        round_trips(0, 10).await;
        let mut measured = pin!(round_trips(10, ROUNDS));
        let (mut allocated, mut polls) = (0, 0);
        std::future::poll_fn(|cx| {
            let (outcome, counts) = count_allocations(|| measured.as_mut().poll(cx));
            allocated += counts.allocations;
            polls += 1;
            outcome
        })
        .await;
        there.shutdown(false);
        echo.await.unwrap();
        (allocated, polls)
    };
    // No allocation, and one wake for each item that is waited for.
    assert_eq!(event_loop.run_until_complete(main).unwrap(), (0, ROUNDS - 10 + 1));
    event_loop.close().unwrap();
}
