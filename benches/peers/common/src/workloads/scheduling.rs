//! Spawning, yielding and callbacks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::{Clock, Outcome, Peer};

/// Tasks of the yield ring.
const RING: u64 = 1000;
/// Callbacks scheduled together.
const BATCH: u64 = 1000;

pub(super) async fn spawn_join<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    let handles: Vec<_> = (0..n).map(|index| P::spawn(async move { index })).collect();
    let mut sum = 0;
    for handle in handles {
        sum += P::join(handle).await;
    }
    let outcome = clock.stop();
    assert_eq!(sum, n * n.saturating_sub(1) / 2);
    outcome
}

pub(super) async fn spawn_await<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    for index in 0..n {
        let echoed = P::join(P::spawn(async move { index })).await;
        assert_eq!(echoed, index);
    }
    clock.stop()
}

/// Whether a task that yields lets another ready one run first: some peers poll it again at once.
pub(super) async fn is_yield_fair<P: Peer>() -> bool {
    let has_begun = Rc::new([Cell::new(false), Cell::new(false)]);
    let tasks = [0, 1].map(|index| {
        let has_begun = Rc::clone(&has_begun);
        P::spawn(async move {
            has_begun[index].set(true);
            P::yield_now().await;
            has_begun[1 - index].get()
        })
    });
    let mut is_fair = true;
    for handle in tasks {
        is_fair &= P::join(handle).await;
    }
    is_fair
}

pub(super) async fn yield_ring<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    let tasks = (0..RING).map(|_| {
        P::spawn(async move {
            for _ in 0..n / RING {
                P::yield_now().await;
            }
        })
    });
    for handle in tasks.collect::<Vec<_>>() {
        P::join(handle).await;
    }
    clock.stop()
}

/// What all callbacks share.
struct Callbacks<P: Peer> {
    counter: Cell<u64>,
    n: u64,
    done: RefCell<Option<P::Resolver<()>>>,
}

/// The peers have no bare callbacks: each is a task that nobody awaits.
pub(super) async fn callsoon<P: Peer>(n: u64) -> Outcome {
    let clock = Clock::start();
    let (resolver, answer) = P::oneshot();
    schedule_batch(Rc::new(Callbacks::<P> { counter: Cell::new(0), n, done: RefCell::new(Some(resolver)) }));
    P::answer(answer).await;
    clock.stop()
}

fn schedule_batch<P: Peer>(callbacks: Rc<Callbacks<P>>) {
    let batch = BATCH.min(callbacks.n - callbacks.counter.get());
    for _ in 1..batch {
        let callbacks = Rc::clone(&callbacks);
        P::detach(P::spawn(async move { callbacks.counter.set(callbacks.counter.get() + 1) }));
    }
    P::detach(P::spawn(async move {
        callbacks.counter.set(callbacks.counter.get() + 1);
        if callbacks.counter.get() < callbacks.n {
            schedule_batch(callbacks);
        } else if let Some(done) = callbacks.done.take() {
            P::resolve(done, ());
        }
    }));
}
