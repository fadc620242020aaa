//! A work queue with threads: the loop hands out work and takes results in, threads block and compute, queues stand between.
//!
//! Run with `cargo run --release --example work_queue`. The queue is bounded, so the loop waits, without blocking, when the threads are
//! behind. Exits with 0 only if each piece of work was done once, and the results are right.

#![expect(clippy::print_stdout, reason = "an example is there to be read")]

use asyncio::threadsafe::Queue;
use asyncio::{create_task, yield_now};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

const THREADS: usize = 4;
const JOBS: u64 = 2_000;

/// The length of the Collatz sequence of `n`: something that takes a processor a while.
fn steps(n: u64) -> u64 {
    let next = |n: &u64| (*n != 1).then(|| if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 });
    std::iter::successors(Some(n), next).count() as u64 - 1
}

struct Done {
    n: u64,
    steps: u64,
    thread: usize,
}

/// The life of a thread: until the queue is shut down, and empty.
fn work(thread: usize, work: &Queue<u64>, results: &Queue<Done>) {
    while let Ok(n) = work.get_blocking() {
        let done = Done { n, steps: steps(n), thread };
        results.put_blocking(done).unwrap_or_else(|_| panic!("nobody shuts the results down"));
        work.task_done();
    }
}

async fn hand_out(work: Arc<Queue<u64>>, results: Arc<Queue<Done>>) -> (Vec<Done>, u32) {
    let ticks = Rc::new(Cell::new(0));
    // The loop has time for others meanwhile.
    let ticking = ticks.clone();
    let ticker = create_task(async move {
        loop {
            ticking.set(ticking.get() + 1);
            yield_now().await;
        }
    })
    .abort_on_drop();
    let all = work.clone();
    let putting = create_task(async move {
        for n in 1..=JOBS {
            all.put(n).await.expect("only this task shuts it down");
        }
        all.join().await;
        all.shutdown(false);
    });
    let mut done = Vec::new();
    while done.len() < JOBS as usize {
        done.push(results.get().await.expect("nobody shuts the results down"));
    }
    putting.await.expect("nobody cancels it");
    drop(ticker);
    (done, ticks.get())
}

fn main() {
    let (todo, results) = (Arc::new(Queue::new(16)), Arc::new(Queue::new(16)));
    let (mut done, ticks) = thread::scope(|scope| {
        for number in 0..THREADS {
            let (todo, results) = (todo.clone(), results.clone());
            scope.spawn(move || work(number, &todo, &results));
        }
        asyncio::run(hand_out(todo, results))
    });
    let by_thread: Vec<_> = (0..THREADS).map(|thread| done.iter().filter(|it| it.thread == thread).count()).collect();
    println!("{JOBS} pieces of work by {THREADS} threads, {by_thread:?} each; the loop turned {ticks} times meanwhile");
    done.sort_by_key(|done| done.n);
    assert!(done.iter().map(|done| done.n).eq(1..=JOBS), "a piece was lost, or done twice");
    assert!(done.iter().all(|done| done.steps == steps(done.n)));
    assert_eq!(done[26].steps, 111, "that of 27 is well known");
}
