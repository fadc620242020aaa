//! Timers that fire and timers that do not.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use super::random::Random;
use crate::{Clock, Outcome, Peer};

pub(super) async fn timers_fire<P: Peer>(n: u64) -> Outcome {
    let mut random = Random::default();
    let clock = Clock::start();
    let tasks = (0..n).map(|_| {
        let delay = Duration::from_micros(random.below(100_000));
        P::spawn(async move {
            P::sleep(delay).await;
        })
    });
    for handle in tasks.collect::<Vec<_>>() {
        P::join(handle).await;
    }
    clock.stop()
}

/// A timer counts as registered once it was polled. All live in one allocation, which is what a careful program does.
pub(super) async fn timers_cancel<P: Peer>(n: u64) -> Outcome {
    let mut random = Random::default();
    let clock = Clock::start();
    let mut timers: Box<[_]> =
        (0..n).map(|_| P::sleep(Duration::from_micros(10_000_000 + random.below(10_000_000)))).collect();
    poll_fn(|cx| {
        for timer in &mut timers {
            // SAFETY: the boxed slice is neither moved nor shrunk until it drops its elements in place.
            let timer = unsafe { Pin::new_unchecked(timer) };
            assert!(timer.poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    drop(timers);
    clock.stop()
}

/// How many timers are pending all the time in `timer_churn_10k`.
const LIVE: u64 = 10_000;
/// Timers between two yields: fewer than tokio lets a task register in one step.
const BATCH: u64 = 100;

/// One timer more, set and cancelled over and over, while others are pending.
pub(super) async fn timer_churn_10k<P: Peer>(n: u64) -> Outcome {
    let mut random = Random::default();
    let mut timer = || P::sleep(Duration::from_micros(10_000_000 + random.below(10_000_000)));
    let mut live = Vec::new();
    for _ in 0..LIVE / BATCH {
        poll_fn(|cx| {
            for _ in 0..BATCH {
                let mut timer = Box::pin(timer());
                assert!(timer.as_mut().poll(cx).is_pending());
                live.push(timer);
            }
            Poll::Ready(())
        })
        .await;
        P::yield_now().await;
    }
    let clock = Clock::start();
    for done in (0..n).step_by(BATCH as usize) {
        poll_fn(|cx| {
            for _ in done..n.min(done + BATCH) {
                let mut timer = pin!(timer());
                assert!(timer.as_mut().poll(cx).is_pending());
            }
            Poll::Ready(())
        })
        .await;
        P::yield_now().await;
    }
    let outcome = clock.stop();
    assert_eq!(live.len() as u64, LIVE);
    outcome
}

pub(super) async fn timeout_churn<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    for _ in 0..n {
        assert!(P::timeout(Duration::from_secs(10), P::yield_now()).await);
    }
    clock.stop()
}
