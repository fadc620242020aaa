//! Cancellation: destructors and asynchronous clean-up run, limits expire, a shield holds.

use crate::{Done, say};
use asyncio::{Future, catch_cancelled, create_task, shield, sleep, timeout};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const WORKERS: usize = 10_000;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        clean_up().await;
        limits().await;
        shielded().await;
        Ok(Done::new(WORKERS, "tasks cancelled, each cleaned up before its awaiter went on"))
    })
}

/// Adds one when it is dropped.
struct Counted(Rc<Cell<usize>>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// Workers that wait for ever are cancelled; each has a destructor, and awaits once more to clean up.
async fn clean_up() {
    let (dropped, cleaned_up) = <(Rc<Cell<usize>>, Rc<Cell<usize>>)>::default();
    let worker = || {
        let (dropped, cleaned_up) = (dropped.clone(), cleaned_up.clone());
        create_task(async move {
            let work = async {
                let _held = Counted(dropped);
                Future::<()>::new().await
            };
            let Err(error) = catch_cancelled(work).await else { return };
            sleep(0).await; // Clean-up may await.
            cleaned_up.set(cleaned_up.get() + 1);
            error.reraise().await;
        })
    };
    let workers: Vec<_> = (0..WORKERS).map(|_| worker()).collect();
    sleep(0).await;
    for worker in &workers {
        assert!(worker.cancel_with("closing time"), "a task that waits refused a request");
    }
    for worker in workers {
        let error = worker.await.expect_err("it was cancelled");
        assert_eq!(error.message(), Some("closing time"));
    }
    assert_eq!((dropped.get(), cleaned_up.get()), (WORKERS, WORKERS), "a task was not cleaned up");
    say(format_args!("{WORKERS} tasks cancelled in the middle of a wait: destructors ran, then asynchronous clean-up"));
}

/// A limit that expires, one that does not, and one inside another.
async fn limits() {
    let event_loop = asyncio::get_running_loop();
    let begin = event_loop.time();
    assert!(timeout(0.005, sleep(60)).await.is_err(), "a minute passed in 5 ms");
    let seconds = event_loop.time() - begin;
    // Seconds as `f64` are exact to the nanosecond.
    assert!(seconds > 0.005 - 1e-9 && seconds < 60.0, "the limit came after {seconds} s");
    assert_eq!(timeout(60, async { 7 }).await, Ok(7));
    let nested = timeout(60, async { timeout(Duration::from_millis(1), sleep(60)).await.is_err() });
    assert_eq!(nested.await, Ok(true), "the wrong one of two limits expired");
    say(format_args!("a limit of 5 ms ended a sleep of a minute after {:.1} ms", seconds * 1e3));
}

/// Whoever waits behind a shield is cancelled; what it waits for is not.
async fn shielded() {
    let gate = Future::<()>::new();
    let opener = gate.clone();
    let precious = create_task(async { gate.await });
    let seen = precious.to_any();
    let waiter = create_task(async { shield(precious).await });
    sleep(0).await;
    waiter.cancel();
    assert!(waiter.await.is_err(), "the shield kept its owner");
    assert!(!seen.done() && seen.cancelling() == 0, "the shield did not hold");
    opener.set_result(()).expect("nobody else opens it");
    asyncio::wait([seen.clone()]).await;
    assert!(seen.done() && !seen.cancelled());
    say(format_args!("what is behind a shield went on when its awaiter was cancelled"));
}
