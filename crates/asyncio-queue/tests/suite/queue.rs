//! Queues: what holds for those of a thread and for those of several: putting and getting, who is woken, joining, shutdown.

use super::support::{Log, run, settle};
use super::{LifoQueue, PriorityQueue, Queue};
use asyncio_queue::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown};
use asyncio_tasks::{Task, create_task};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};

type Got = (&'static str, Result<u32, QueueShutDown>);

fn getter(queue: &Rc<Queue<u32>>, log: &Log<Got>, name: &'static str) -> Task<()> {
    let (queue, log) = (queue.clone(), log.clone());
    create_task(async move { log.push((name, queue.get().await)) })
}

fn putter(queue: &Rc<Queue<u32>>, item: u32) -> Task<Result<(), QueueShutDown<u32>>> {
    let queue = queue.clone();
    create_task(async move { queue.put(item).await })
}

#[test]
fn with_room_and_with_items_nobody_waits() {
    // sem. 144
    let queue = Queue::new(1);
    let cx = &mut Context::from_waker(Waker::noop());
    for n in 0..3 {
        assert!(pin!(queue.put(n)).poll(cx).is_ready());
        assert!(pin!(queue.put(n)).poll(cx).is_pending());
        assert!(pin!(queue.get()).poll(cx).is_ready());
        assert!(pin!(queue.get()).poll(cx).is_pending());
    }
}

#[test]
fn a_woken_getter_that_finds_nothing_waits_again_behind_the_others() {
    // sem. 165
    run(async {
        let (queue, log) = (Rc::new(Queue::new(0)), Log::new());
        let _tasks = ["a", "b"].map(|name| getter(&queue, &log, name));
        settle().await;
        queue.put_nowait(1).unwrap();
        assert_eq!(queue.get().await, Ok(1)); // In between: "a" was woken for it.
        settle().await;
        queue.put_nowait(2).unwrap();
        settle().await;
        queue.put_nowait(3).unwrap();
        settle().await;
        log.assert([("b", Ok(2)), ("a", Ok(3))]);
    });
}

#[test]
fn a_woken_putter_that_finds_no_room_waits_again_behind_the_others() {
    // sem. 165
    run(async {
        let queue = Rc::new(Queue::new(1));
        queue.put_nowait(0).unwrap();
        let tasks = [1, 2].map(|item| putter(&queue, item));
        settle().await;
        assert_eq!(queue.statistics().tasks_waiting_put, 2);
        assert_eq!(queue.get_nowait(), Ok(0));
        queue.put(10).await.unwrap(); // In between: the putter of 1 was woken for the room.
        settle().await;
        let mut got = Vec::new();
        for _ in 0..3 {
            got.push(queue.get().await.unwrap());
            settle().await;
        }
        assert_eq!(got, [10, 2, 1]);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_woken_getter_that_is_cancelled_wakes_the_next_one() {
    // sem. 166
    run(async {
        let (queue, log) = (Rc::new(Queue::new(0)), Log::new());
        let tasks = ["a", "b"].map(|name| getter(&queue, &log, name));
        settle().await;
        queue.put_nowait(1).unwrap();
        assert!(tasks[0].cancel());
        settle().await;
        log.assert([("b", Ok(1))]);
        // With nobody else, the item stays.
        let last = getter(&queue, &log, "c");
        settle().await;
        queue.put_nowait(2).unwrap();
        assert!(last.cancel());
        settle().await;
        assert_eq!(queue.get_nowait(), Ok(2));
    });
}

#[test]
fn a_woken_putter_that_is_cancelled_wakes_the_next_one() {
    // sem. 166
    run(async {
        let queue = Rc::new(Queue::new(1));
        queue.put_nowait(0).unwrap();
        let tasks = [1, 2].map(|item| putter(&queue, item));
        settle().await;
        assert_eq!(queue.get_nowait(), Ok(0));
        assert!(tasks[0].cancel());
        settle().await;
        assert_eq!(queue.get_nowait(), Ok(2));
        assert!(queue.empty() && tasks[1].done());
    });
}

#[test]
fn join_waits_for_the_work_and_not_for_the_items() {
    // sem. 167
    run(async {
        let queue = Rc::new(Queue::new(0));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(pin!(queue.join()).poll(cx).is_ready());
        queue.put_nowait(1).unwrap();
        queue.put_nowait(2).unwrap();
        let joining = queue.clone();
        let task = create_task(async move { joining.join().await });
        queue.get().await.unwrap();
        queue.get().await.unwrap();
        queue.task_done();
        settle().await;
        assert!(queue.empty() && !task.done());
        queue.task_done();
        queue.put_nowait(3).unwrap(); // It was decided by then.
        task.await.unwrap();
        assert_eq!(queue.statistics().unfinished_tasks, 1);
    });
}

#[test]
fn more_done_than_put_is_an_error() {
    // sem. 168
    let queue = Queue::new(0);
    queue.put_nowait(1).unwrap();
    queue.task_done();
    assert_eq!(queue.try_task_done().unwrap_err().to_string(), "task_done called too many times");
}

#[test]
#[should_panic(expected = "task_done called too many times")]
fn more_done_than_put_is_a_mistake() {
    // sem. 168
    Queue::<()>::default().task_done();
}

#[test]
fn without_a_bound_it_is_never_full() {
    // sem. 169
    let queue = Queue::new(0);
    (0..1000).for_each(|n| queue.put_nowait(n).unwrap());
    assert_eq!((queue.full(), queue.qsize(), queue.maxsize()), (false, 1000, 0));
    let queue = Queue::new(1);
    assert_eq!((queue.full(), queue.empty()), (false, true));
    queue.put_nowait(1).unwrap();
    assert_eq!((queue.full(), queue.empty()), (true, false));
}

#[test]
fn shutdown_lets_what_is_left_be_taken() {
    // sem. 170
    run(async {
        let queue = Rc::new(Queue::new(1));
        queue.put_nowait(1).unwrap();
        let blocked = putter(&queue, 2);
        settle().await;
        let joining = queue.clone();
        let join = create_task(async move { joining.join().await });
        queue.shutdown(false);
        assert_eq!(blocked.await.unwrap(), Err(QueueShutDown(2)));
        assert_eq!(queue.get().await, Ok(1));
        assert_eq!(queue.get().await, Err(QueueShutDown(())));
        assert!(!join.done());
        queue.task_done();
        join.await.unwrap();
        assert!(queue.is_shut_down());
    });
}

#[test]
fn shutdown_wakes_the_getters_who_wait() {
    // sem. 170
    run(async {
        let (queue, log) = (Rc::new(Queue::new(1)), Log::new());
        let _tasks = ["a", "b"].map(|name| getter(&queue, &log, name));
        settle().await;
        queue.shutdown(false);
        settle().await;
        log.assert([("a", Err(QueueShutDown(()))), ("b", Err(QueueShutDown(())))]);
    });
}

#[test]
fn an_immediate_shutdown_drops_the_items_and_counts_them_as_done() {
    // sem. 171
    run(async {
        let queue = Rc::new(Queue::new(0));
        let items: Vec<_> = (0..3).map(Rc::new).collect();
        items.iter().for_each(|item| queue.put_nowait(item.clone()).unwrap());
        let taken = queue.get().await.unwrap();
        let joining = queue.clone();
        let join = create_task(async move { joining.join().await });
        queue.shutdown(true);
        assert_eq!(items.iter().map(Rc::strong_count).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(queue.get_nowait(), Err(GetError::ShutDown(QueueShutDown(()))));
        settle().await;
        assert!(!join.done()); // One was taken and is not done.
        drop(taken);
        queue.task_done();
        join.await.unwrap();
    });
}

#[test]
fn being_shut_down_comes_before_being_full_or_empty() {
    // sem. 172
    let queue = Queue::new(1);
    assert!(matches!(queue.get_nowait(), Err(GetError::Empty(QueueEmpty { .. }))));
    queue.put_nowait(1).unwrap();
    assert_eq!(queue.put_nowait(2), Err(PutError::Full(QueueFull(2))));
    queue.shutdown(false);
    assert_eq!(queue.put_nowait(3), Err(PutError::ShutDown(QueueShutDown(3))));
    assert_eq!(queue.get_nowait(), Ok(1));
    assert_eq!(queue.get_nowait(), Err(GetError::ShutDown(QueueShutDown(()))));
}

#[test]
fn a_priority_queue_gives_the_smallest_and_equal_ones_in_order() {
    // sem. 173
    #[derive(Debug, PartialEq, Eq)]
    struct Job(u32, &'static str);
    impl Ord for Job {
        fn cmp(&self, other: &Self) -> std::cmp::Ordering {
            self.0.cmp(&other.0)
        }
    }
    impl PartialOrd for Job {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            Some(self.cmp(other))
        }
    }
    run(async {
        let queue = Rc::new(PriorityQueue::new(0));
        for (priority, name) in [(3, "d"), (1, "a"), (2, "b"), (1, "a2"), (2, "b2"), (1, "a3")] {
            queue.put(Job(priority, name)).await.unwrap();
        }
        let mut names = Vec::new();
        while let Ok(Job(_, name)) = queue.get_nowait() {
            names.push(name);
        }
        assert_eq!(names, ["a", "a2", "a3", "b", "b2", "d"]);
        // It waits as any queue does.
        let getting = queue.clone();
        let task = create_task(async move { getting.get().await });
        settle().await;
        queue.put_nowait(Job(5, "late")).unwrap();
        queue.put_nowait(Job(4, "first")).unwrap();
        assert_eq!(task.await.unwrap(), Ok(Job(4, "first")));
    });
}

#[test]
fn a_lifo_queue_gives_the_newest() {
    // sem. 173
    run(async {
        let queue = LifoQueue::new(2);
        queue.put(1).await.unwrap();
        queue.put(2).await.unwrap();
        assert!(queue.full());
        assert_eq!((queue.get().await, queue.get().await), (Ok(2), Ok(1)));
        queue.shutdown(false);
        assert_eq!(queue.put(3).await.unwrap_err().into_inner(), 3);
    });
}

#[test]
fn many_items_are_taken_at_once_and_their_putters_woken() {
    run(async {
        let queue = Rc::new(Queue::new(3));
        let tasks: Vec<_> = (0..5).map(|item| putter(&queue, item)).collect();
        settle().await;
        let mut items = vec![100];
        assert_eq!(queue.get_many(&mut items, 0).await, Ok(0));
        assert_eq!(queue.get_many(&mut items, 2).await, Ok(2));
        settle().await;
        assert_eq!(queue.get_many(&mut items, 10).await, Ok(3));
        assert_eq!(items, [100, 0, 1, 2, 3, 4]);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        queue.shutdown(false);
        assert_eq!(queue.get_many(&mut items, 1).await, Err(QueueShutDown(())));
        assert_eq!(queue.statistics().peak_size, 3);
    });
}

#[test]
fn a_put_that_is_dropped_has_put_nothing() {
    let queue = Queue::new(1);
    let cx = &mut Context::from_waker(Waker::noop());
    let item = Rc::new(());
    queue.put_nowait(item.clone()).unwrap();
    {
        let mut put = pin!(queue.put(item.clone()));
        assert!(put.as_mut().poll(cx).is_pending());
        queue.get_nowait().unwrap();
    }
    assert_eq!((queue.qsize(), Rc::strong_count(&item)), (0, 1));
}

#[test]
fn errors_are_io_errors_too_and_need_nothing_of_the_item() {
    struct Opaque;
    let queue = Queue::new(1);
    queue.put_nowait(Opaque).ok();
    let full = queue.put_nowait(Opaque).err().unwrap();
    assert_eq!(format!("{full:?}: {full}"), "Full(QueueFull(..)): queue is full");
    assert_eq!(std::io::Error::from(full).kind(), std::io::ErrorKind::WouldBlock);
    queue.shutdown(true);
    let ended = queue.put_nowait(Opaque).err().unwrap();
    assert_eq!(ended.to_string(), "queue is shut down");
    assert_eq!(std::io::Error::from(ended).kind(), std::io::ErrorKind::BrokenPipe);
    assert_eq!(
        format!("{queue:?}"),
        "Queue { maxsize: 1, qsize: 0, getters: 0, putters: 0, unfinished_tasks: 0, is_shut_down: true }"
    );
}

#[test]
fn a_bound_that_no_memory_has_room_for_is_none() {
    let (queue, stack, heap) = (Queue::new(usize::MAX), LifoQueue::new(usize::MAX), PriorityQueue::new(usize::MAX));
    for n in 0..100 {
        assert_eq!((queue.put_nowait(n), stack.put_nowait(n), heap.put_nowait(n)), (Ok(()), Ok(()), Ok(())));
    }
    assert_eq!((queue.full(), queue.maxsize(), queue.qsize()), (false, usize::MAX, 100));
    assert_eq!((queue.get_nowait(), stack.get_nowait(), heap.get_nowait()), (Ok(0), Ok(99), Ok(0)));
}
