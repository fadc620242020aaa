//! The way back: a job calls into the loop that waits for it.

use asyncio_executor::{LoopExecutorExt as _, to_thread};
use asyncio_loop::get_running_loop;
use asyncio_tasks::{LoopHandleExt as _, ThreadFutureError, create_task, current_task, run, sleep};
use std::panic::AssertUnwindSafe;

// sem. 274
#[test]
fn a_job_gets_value_error_panic_and_cancellation_of_a_coroutine() {
    run(async {
        let handle = get_running_loop().handle();
        let outcomes = to_thread(move || {
            let value = handle
                .run_coroutine_threadsafe(|| async {
                    sleep(0).await;
                    7
                })
                .unwrap()
                .result();
            let error = handle.run_coroutine_threadsafe(|| async { "x".parse::<u8>() }).unwrap().result().unwrap();
            let panicking = handle.run_coroutine_threadsafe(|| async { panic!("as expected") }).unwrap();
            let panic = std::panic::catch_unwind(AssertUnwindSafe(|| panicking.result())).is_err();
            let cancelled = handle
                .run_coroutine_threadsafe(|| async {
                    current_task().unwrap().cancel();
                    sleep(1).await;
                })
                .unwrap()
                .result();
            (value, error.is_err(), panic, cancelled)
        });
        let expected = (Ok(7), true, true, Err(ThreadFutureError::Cancelled));
        assert_eq!(outcomes.await, expected);
    });
}

// sem. 274
#[test]
fn cancelling_from_the_thread_is_seen_there_at_once_and_cancels_the_task() {
    run(async {
        let handle = get_running_loop().handle();
        let (sender, receiver) = std::sync::mpsc::channel();
        let is_cancelled = to_thread(move || {
            let (told, begun) = std::sync::mpsc::channel();
            let coroutine = move || async move {
                struct Tells(std::sync::mpsc::Sender<()>);
                impl Drop for Tells {
                    fn drop(&mut self) {
                        let _ = self.0.send(());
                    }
                }
                let _tells = Tells(sender);
                told.send(()).unwrap();
                sleep(3600).await;
            };
            let future = handle.run_coroutine_threadsafe(coroutine).unwrap();
            begun.recv().unwrap();
            future.cancel() && future.cancelled()
        });
        assert!(is_cancelled.await);
        // The task ends because it is cancelled, and not because an hour is over.
        let ended = get_running_loop().run_in_executor(None, move || receiver.recv()).unwrap();
        assert!(create_task(ended).await.unwrap().unwrap().is_ok());
    });
}
