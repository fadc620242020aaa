//! Timers that fire and timers that do not.

use std::future::{Future, poll_fn};
use std::pin::Pin;
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

pub(super) async fn timeout_churn<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    for _ in 0..n {
        assert!(P::timeout(Duration::from_secs(10), P::yield_now()).await);
    }
    clock.stop()
}
