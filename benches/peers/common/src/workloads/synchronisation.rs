//! Queues, futures, locks and semaphores between tasks.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::{Clock, Outcome, Peer};

/// Tasks that share a lock or a semaphore.
const SHARERS: u64 = 100;
/// Nobody waits so long for a lock that is passed on.
const STARVED: Duration = Duration::from_millis(10);

pub(super) async fn pingpong_chan<P: Peer>(n: u64) -> Outcome {
    let (mut there, mut there_end) = P::bounded::<u64>(1);
    let (mut back, mut back_end) = P::bounded::<u64>(1);
    let clock = Clock::start();
    let peer = P::spawn(async move {
        while let Some(value) = P::recv(&mut there_end).await {
            P::send(&mut back, value + 1).await;
        }
    });
    for value in 0..n {
        P::send(&mut there, value).await;
        assert_eq!(P::recv(&mut back_end).await, Some(value + 1));
    }
    let outcome = clock.stop();
    drop(there);
    P::join(peer).await;
    outcome
}

pub(super) async fn pingpong_oneshot<P: Peer>(n: u64) -> Outcome {
    let (mut calls, mut calls_end) = P::bounded::<(u64, P::Resolver<u64>)>(1);
    let clock = Clock::start();
    let peer = P::spawn(async move {
        while let Some((value, resolver)) = P::recv(&mut calls_end).await {
            P::resolve(resolver, value + 1);
        }
    });
    for value in 0..n {
        let (resolver, answer) = P::oneshot();
        P::send(&mut calls, (value, resolver)).await;
        assert_eq!(P::answer(answer).await, value + 1);
    }
    let outcome = clock.stop();
    drop(calls);
    P::join(peer).await;
    outcome
}

pub(super) async fn queue<P: Peer>(n: u64) -> Outcome {
    let (mut items, mut items_end) = P::bounded::<u64>(1024);
    let clock = Clock::start();
    let producer = P::spawn(async move {
        for value in 0..n {
            P::send(&mut items, value).await;
        }
    });
    let mut sum = 0;
    for _ in 0..n {
        sum += P::recv(&mut items_end).await.expect("the producer sends n items");
    }
    let outcome = clock.stop();
    P::join(producer).await;
    assert_eq!(sum, n * n.saturating_sub(1) / 2);
    outcome
}

/// Whether a task that waits for a lock gets it some time, while another one keeps taking it anew.
async fn is_lock_fair<P: Peer>() -> bool {
    let shared = Rc::new((P::mutex(), Cell::new(false)));
    let (mutex, is_served) = &*shared;
    let guard = P::lock(mutex).await;
    let waiting = Rc::clone(&shared);
    let waiter = P::spawn(async move {
        let _guard = P::lock(&waiting.0).await;
        waiting.1.set(true);
    });
    P::yield_now().await;
    drop(guard);
    let started = Instant::now();
    while !is_served.get() && started.elapsed() < STARVED {
        let _guard = P::lock(mutex).await;
        P::yield_now().await;
    }
    let is_fair = is_served.get();
    P::join(waiter).await;
    is_fair
}

pub(super) async fn mutex100<P: Peer>(n: u64) -> Outcome {
    if !is_lock_fair::<P>().await {
        return Outcome::Unsupported;
    }
    let mutex = Rc::new((P::mutex(), Cell::new(0)));
    let clock = Clock::start();
    let tasks = (0..SHARERS).map(|_| {
        let shared = Rc::clone(&mutex);
        P::spawn(async move {
            let (mutex, counter) = &*shared;
            for _ in 0..n / SHARERS {
                let _guard = P::lock(mutex).await;
                counter.set(counter.get() + 1);
                P::yield_now().await;
            }
        })
    });
    for handle in tasks.collect::<Vec<_>>() {
        P::join(handle).await;
    }
    let outcome = clock.stop();
    assert_eq!(mutex.1.get(), n / SHARERS * SHARERS);
    outcome
}

pub(super) async fn sem100<P: Peer>(n: u64) -> Outcome {
    let semaphore = Rc::new(P::semaphore(10));
    let clock = Clock::start();
    let tasks = (0..SHARERS).map(|_| {
        let semaphore = Rc::clone(&semaphore);
        P::spawn(async move {
            for _ in 0..n / SHARERS {
                let _permit = P::acquire(&semaphore).await;
                P::yield_now().await;
            }
        })
    });
    for handle in tasks.collect::<Vec<_>>() {
        P::join(handle).await;
    }
    clock.stop()
}
