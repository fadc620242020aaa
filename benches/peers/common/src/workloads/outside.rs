//! Other threads and other processes.

use std::sync::mpsc;
use std::thread;

use crate::{Clock, Outcome, Peer, machine};

/// Jobs, or children, that are under way together.
const CONCURRENT_JOBS: u64 = 100;
const CONCURRENT_CHILDREN: u64 = 50;

/// Round trips with a foreign thread on `core`: it posts into the loop and blocks on a std channel for the answer.
pub(super) async fn xthread<P: Peer>(n: u64, core: usize) -> Outcome {
    let (poster, mut posts) = P::posts();
    let (answers, answers_end) = mpsc::channel();
    let clock = Clock::start();
    let foreign = thread::spawn(move || {
        machine::pin_this_thread(core);
        for value in 0..n {
            P::post(&poster, value);
            assert_eq!(answers_end.recv(), Ok(value));
        }
    });
    while let Some(value) = P::next_post(&mut posts).await {
        answers.send(value).expect("the thread waits for it");
    }
    let outcome = clock.stop();
    foreign.join().expect("the thread does not panic");
    outcome
}

pub(super) async fn xthread_flood<P: Peer>(n: u64) -> Outcome {
    let (poster, mut posts) = P::posts();
    let clock = Clock::start();
    let foreign = thread::spawn(move || {
        machine::pin_this_thread(1);
        for value in 0..n {
            P::post(&poster, value);
        }
    });
    for value in 0..n {
        assert_eq!(P::next_post(&mut posts).await, Some(value));
    }
    let outcome = clock.stop();
    foreign.join().expect("the thread does not panic");
    outcome
}

pub(super) async fn blocking_rtt<P: Peer>(n: u64) -> Outcome {
    P::blocking(|| ()).await;
    let clock = Clock::start();
    for _ in 0..n {
        P::blocking(|| ()).await;
    }
    clock.stop()
}

pub(super) async fn blocking_conc<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    for _ in 0..n / CONCURRENT_JOBS {
        let jobs: Vec<_> = (0..CONCURRENT_JOBS).map(|_| P::blocking(|| ())).collect();
        for job in jobs {
            job.await;
        }
    }
    clock.stop()
}

pub(super) async fn subproc_seq<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    for _ in 0..n {
        assert!(P::run_true().await);
    }
    clock.stop()
}

pub(super) async fn subproc_conc<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    let tasks = (0..CONCURRENT_CHILDREN).map(|_| {
        P::spawn(async move {
            for _ in 0..n / CONCURRENT_CHILDREN {
                assert!(P::run_true().await);
            }
        })
    });
    for handle in tasks.collect::<Vec<_>>() {
        P::join(handle).await;
    }
    clock.stop()
}
