//! Other threads: coroutines from there, cancelling from there, wakers there.

#![expect(clippy::disallowed_methods, reason = "threads that outlive loops are what is tested")]

#[path = "support/loops.rs"]
mod loops;

use asyncio_loop::{ContextVar, EventLoop};
use asyncio_tasks::{
    Future as LoopFuture, LoopHandleExt as _, LoopTasksExt as _, TaskGroup, ThreadFutureError, catch_cancelled,
    create_task, current_task, gather, sleep, timeout, yield_now,
};
use loops::event_loop;
use std::cell::RefCell;
use std::future::{IntoFuture as _, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;

/// Runs a loop in this thread while `other` runs in another one, to whose end it runs.
fn beside<R: Send>(other: impl FnOnce(&asyncio_loop::LoopHandle) -> R + Send) -> R {
    let event_loop = EventLoop::builder().build().unwrap();
    let handle = event_loop.handle();
    event_loop.set_exception_handler(|_, report| panic!("{report}"));
    let result = thread::scope(|scope| {
        let thread = scope.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| other(&handle)));
            handle.post(|| asyncio_loop::get_running_loop().stop()).unwrap();
            result
        });
        event_loop.run_forever().unwrap();
        thread.join().unwrap()
    });
    event_loop.close().unwrap();
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

// sem. 274
#[test]
fn a_coroutine_from_another_thread_gives_its_result_there() {
    beside(|handle| {
        let not_send = || async {
            let shared = std::rc::Rc::new(7);
            yield_now().await;
            *shared
        };
        assert_eq!(handle.run_coroutine_threadsafe(not_send).unwrap().result(), Ok(7));
        // Cancelled from this side: at once here, soon there.
        let (ended, has_ended) = mpsc::channel();
        let future = handle.run_coroutine_threadsafe(move || async move {
            drop(catch_cancelled(pending::<()>()).await);
            ended.send(()).unwrap();
        });
        let future = future.unwrap();
        handle.run_coroutine_threadsafe(|| async {}).unwrap().result().unwrap();
        assert!(!future.done() && future.cancel() && future.cancelled() && !future.cancel());
        has_ended.recv().unwrap();
        assert_eq!(future.result(), Err(ThreadFutureError::Cancelled));
        // From the other side.
        let future = handle.run_coroutine_threadsafe(|| async {
            current_task().unwrap().cancel();
            pending::<()>().await;
        });
        assert_eq!(future.unwrap().result(), Err(ThreadFutureError::Cancelled));
    });
}

/// What `wrap_future` is for in asyncio.
#[test]
fn a_task_of_another_loop_awaits_the_result() {
    beside(|handle| {
        asyncio_tasks::run({
            let handle = handle.clone();
            async move {
                let (release, released) = mpsc::channel();
                let mut future = handle
                    .run_coroutine_threadsafe(move || async move {
                        while released.try_recv().is_err() {
                            yield_now().await;
                        }
                        7
                    })
                    .unwrap();
                // Nobody is ready, and a dropped await loses nothing.
                assert!(timeout(0, &mut future).await.is_err());
                let waits = create_task(future);
                yield_now().await;
                release.send(()).unwrap();
                assert_eq!(waits.await, Ok(Ok(7)));
                // A cancellation from the other side ends the await.
                let cancelled = handle.run_coroutine_threadsafe(|| async {
                    current_task().unwrap().cancel();
                    pending::<()>().await;
                });
                assert_eq!(cancelled.unwrap().await, Err(ThreadFutureError::Cancelled));
            }
        });
        let panicking = handle.run_coroutine_threadsafe(|| async { std::panic::panic_any(8_u8) }).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| asyncio_tasks::run(panicking)));
        assert_eq!(outcome.unwrap_err().downcast_ref::<u8>(), Some(&8));
    });
}

// sem. 275
#[test]
fn a_panic_crosses_as_it_is() {
    beside(|handle| {
        let in_coroutine = handle.run_coroutine_threadsafe(|| async { std::panic::panic_any(7_u8) }).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| in_coroutine.result()));
        assert_eq!(*outcome.map(|_: Result<(), _>| ()).unwrap_err().downcast::<u8>().unwrap(), 7);
        let in_maker = handle.run_coroutine_threadsafe(|| if true { panic!("maker") } else { async {} }).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| in_maker.result()));
        assert_eq!(*outcome.map(drop).unwrap_err().downcast::<&str>().unwrap(), "maker");
    });
}

#[test]
fn who_waits_for_a_loop_that_is_closed_is_told() {
    let event_loop = event_loop();
    event_loop.set_exception_handler(|_, _| ());
    let handle = event_loop.handle();
    let unstarted = handle.run_coroutine_threadsafe(|| async {}).unwrap();
    let started = handle.run_coroutine_threadsafe(pending::<()>).unwrap();
    drop(event_loop.run_until_complete(yield_now()));
    assert_eq!(unstarted.result(), Ok(()));
    let late = handle.run_coroutine_threadsafe(|| async {}).unwrap();
    // Also when the loop is closed by a thread that panics.
    let inner = event_loop.clone();
    struct Closes(EventLoop);
    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.close().unwrap();
        }
    }
    let _ = catch_unwind(AssertUnwindSafe(move || {
        let _closes = Closes(inner);
        panic!("while it is closed");
    }));
    assert_eq!(started.result(), Err(ThreadFutureError::Cancelled));
    assert_eq!(late.result(), Err(ThreadFutureError::Cancelled));
    assert!(handle.run_coroutine_threadsafe(|| async {}).is_err());
}

#[test]
fn a_task_can_be_cancelled_from_anywhere_and_its_handles_may_outlive_it() {
    let event_loop = EventLoop::builder().build().unwrap();
    let task = event_loop.create_task(async { catch_cancelled(pending::<()>()).await.unwrap_err().to_string() });
    let handles: Vec<_> = (0..100).map(|_| task.cancel_handle()).collect();
    event_loop.run_until_blocked().unwrap();
    let spare = handles[1].clone();
    thread::scope(|scope| {
        scope.spawn(move || handles[0].cancel_with("from afar"));
    });
    assert_eq!(event_loop.run_until_complete(task.into_future()).unwrap(), Ok("cancelled: from afar".into()));
    spare.cancel();
    event_loop.run_until_blocked().unwrap();
    event_loop.close().unwrap();
    spare.cancel();
}

/// Wakes from other threads while the task is polled, suspended, done; its loop closed; its cell freed.
#[test]
fn wakers_on_other_threads_are_exact_and_outlive_everything() {
    const ROUNDS: usize = 200;
    let (wakers, incoming) = mpsc::channel::<(Waker, Arc<AtomicUsize>)>();
    let late = Arc::new(Mutex::new(Vec::new()));
    let kept = late.clone();
    let helper = thread::spawn(move || {
        for (n, (waker, count)) in incoming.into_iter().enumerate() {
            let clone = waker.clone();
            count.fetch_add(1, Ordering::SeqCst);
            if n % 2 == 0 {
                clone.wake()
            } else {
                clone.wake_by_ref()
            }
            waker.wake_by_ref();
            kept.lock().unwrap().push(waker);
        }
    });
    for round in 0..ROUNDS {
        let event_loop = EventLoop::builder().build().unwrap();
        let tasks: Vec<_> = (0..4_usize)
            .map(|target| {
                let (wakers, count) = (wakers.clone(), Arc::new(AtomicUsize::new(0)));
                let mut sent = 0;
                event_loop.create_task(poll_fn(move |cx| {
                    let seen = count.load(Ordering::SeqCst);
                    if seen == sent && sent == target + round % 3 {
                        return Poll::Ready(seen);
                    }
                    if seen == sent {
                        sent += 1;
                        // Cloned through a reference, on another thread, while the poll is under way.
                        let waker = cx.waker();
                        let clone = thread::scope(|scope| {
                            scope
                                .spawn(move || {
                                    waker.wake_by_ref();
                                    waker.clone()
                                })
                                .join()
                                .unwrap()
                        });
                        wakers.send((clone, count.clone())).unwrap();
                    }
                    Poll::Pending
                }))
            })
            .collect();
        for (target, task) in tasks.into_iter().enumerate() {
            assert_eq!(event_loop.run_until_complete(task.into_future()).unwrap(), Ok(target + round % 3));
        }
        event_loop.close().unwrap();
        let mut late = late.lock().unwrap();
        for waker in late.iter() {
            waker.wake_by_ref();
        }
        if round % 10 == 0 {
            late.clear();
        }
    }
    drop(wakers);
    helper.join().unwrap();
    late.lock().unwrap().drain(..).for_each(Waker::wake);
}

/// Two threads make, run and close loops; two others clone, wake and drop the wakers of their tasks, in any state of these: some
/// tasks end when they were woken often enough, the others are woken for as long as their loop lives, and then destroyed.
#[test]
fn wakers_of_loops_that_come_and_go_are_used_by_other_threads() {
    const ROUNDS: usize = 30;
    const WAKES: usize = 5;
    let (wakers, incoming) = mpsc::channel::<(Waker, Arc<AtomicUsize>)>();
    let incoming = Arc::new(Mutex::new(incoming));
    let destroyed = Arc::new(());
    /// Sends its waker away each time that it was woken; done after so many wakes.
    fn woken(until: usize, wakers: &mpsc::Sender<(Waker, Arc<AtomicUsize>)>) -> impl Future<Output = usize> + use<> {
        let (wakers, happened, mut sent) = (wakers.clone(), Arc::new(AtomicUsize::new(0)), 0);
        poll_fn(move |cx| {
            let happened_now = happened.load(Ordering::Relaxed);
            if happened_now == until {
                return Poll::Ready(happened_now);
            }
            if happened_now == sent {
                sent += 1;
                wakers.send((cx.waker().clone(), happened.clone())).unwrap();
            }
            Poll::Pending
        })
    }
    thread::scope(|scope| {
        for _ in 0..2 {
            let incoming = incoming.clone();
            scope.spawn(move || {
                let mut kept = Vec::new();
                loop {
                    let received = incoming.lock().unwrap().recv();
                    let Ok((waker, happened)) = received else { break };
                    let clone = waker.clone();
                    // Relaxed: that the task sees it must come from the wake.
                    match happened.fetch_add(1, Ordering::Relaxed) % 4 {
                        0 => waker.wake(),
                        1 => waker.wake_by_ref(),
                        2 => {
                            drop(waker);
                            clone.wake_by_ref();
                        }
                        _ => {
                            clone.wake();
                            kept.push(waker);
                        }
                    }
                    if kept.len() > 20 {
                        kept.drain(..10).for_each(Waker::wake);
                    }
                }
            });
        }
        for _ in 0..2 {
            let (wakers, destroyed) = (wakers.clone(), destroyed.clone());
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    let event_loop = EventLoop::builder().build().unwrap();
                    event_loop.set_exception_handler(|_, _| ());
                    let end: Vec<_> = (1..=WAKES).map(|n| event_loop.create_task(woken(n, &wakers))).collect();
                    for _ in 0..3 {
                        let (never, counted) = (woken(usize::MAX, &wakers), destroyed.clone());
                        event_loop.create_task(async move {
                            never.await;
                            drop(counted);
                        });
                    }
                    for (n, task) in end.into_iter().enumerate() {
                        assert_eq!(event_loop.run_until_complete(task.into_future()).unwrap(), Ok(n + 1));
                    }
                    event_loop.close().unwrap();
                }
            });
        }
        drop(wakers);
    });
    assert_eq!(Arc::strong_count(&destroyed), 1);
}

/// The loop that a thread keeps to its end is closed by a destructor that comes before or after those of our tables.
#[test]
fn a_loop_may_be_closed_by_any_destructor_at_the_end_of_its_thread() {
    struct Closes(RefCell<Option<EventLoop>>);
    impl Drop for Closes {
        fn drop(&mut self) {
            self.0.take().unwrap().close().unwrap();
        }
    }
    thread_local! {
        static KEPT: Closes = const { Closes(RefCell::new(None)) };
    }
    for is_last in [true, false] {
        let counter = Arc::new(());
        let counted = counter.clone();
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            // Destructors run in the opposite order of first use, as it happens.
            if is_last {
                KEPT.with(|_| ());
            }
            let event_loop = event_loop();
            event_loop.set_exception_handler(|_, _| ());
            tell.send(event_loop.handle().run_coroutine_threadsafe(pending::<()>).unwrap()).unwrap();
            leave_all_kinds_of_tasks(&event_loop, &counted);
            event_loop.run_until_blocked().unwrap();
            asyncio_loop::set_event_loop(Some(&event_loop));
            KEPT.with(|kept| kept.0.replace(Some(event_loop)));
        })
        .join()
        .unwrap();
        assert_eq!(Arc::strong_count(&counter), 1, "everything was dropped");
        assert_eq!(told.recv().unwrap().result(), Err(ThreadFutureError::Cancelled));
    }
}

static TOUCHED: ContextVar<u32> = ContextVar::new("touched");

/// Tasks that never end, and hold each kind of thing that does something when it is dropped.
fn leave_all_kinds_of_tasks(event_loop: &EventLoop, counter: &Arc<()>) {
    struct Sets(LoopFuture<()>);
    impl Drop for Sets {
        fn drop(&mut self) {
            TOUCHED.set(1);
            let _ = self.0.set_result(());
        }
    }
    let future = event_loop.create_future();
    let (sets, counted) = (Sets(future.clone()), counter.clone());
    event_loop.create_task(async move {
        let (_sets, _counted) = (sets, counted);
        TOUCHED.set(2);
        drop(timeout(60, catch_cancelled(sleep(90))).await);
    });
    let waits = event_loop.create_task(async move { future.await });
    drop(waits.cancel_handle());
    waits.add_done_callback(|_| ());
    // Whoever comes first in the list is dropped first: here they await, cancel and abort those that come after.
    let counted = counter.clone();
    event_loop.create_task(async move {
        let _counted = counted;
        let awaited = create_task(sleep(60)).abort_on_drop();
        drop(gather((create_task(sleep(60)), create_task(pending::<()>()).into_future(), awaited.into_future())).await);
    });
    event_loop.create_task(async {
        let group = TaskGroup::<()>::scope(async |group| {
            group.create_task(pending::<Result<(), ()>>());
            pending::<Result<(), ()>>().await
        });
        drop(group.await);
    });
}
