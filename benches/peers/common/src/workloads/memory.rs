//! What a waiting task costs in memory.

use std::cell::Cell;
use std::future::{Future, pending};
use std::mem;
use std::time::Duration;

use crate::{Outcome, Peer, machine};

thread_local! {
    /// Tasks that have run once. Not captured by them: that would be memory of ours.
    static STARTED: Cell<u64> = const { Cell::new(0) };
}

pub(super) async fn mem_task<P: Peer>(n: u64) -> Outcome {
    resident_bytes_each::<P, _>(n, || async {
        STARTED.set(STARTED.get() + 1);
        pending::<()>().await;
    })
    .await
}

pub(super) async fn mem_sleep<P: Peer>(n: u64) -> Outcome {
    resident_bytes_each::<P, _>(n, || async {
        STARTED.set(STARTED.get() + 1);
        P::sleep(Duration::from_secs(3600)).await;
    })
    .await
}

async fn resident_bytes_each<P: Peer, F>(n: u64, mut future: impl FnMut() -> F) -> Outcome
where
    F: Future<Output = ()> + 'static,
{
    let before = machine::resident_bytes();
    let mut handles = Vec::with_capacity(n as usize);
    for _ in 0..n {
        handles.push(P::spawn(future()));
    }
    // A new task comes after all that are ready; not every peer's yield does.
    while STARTED.get() < n {
        P::join(P::spawn(async {})).await;
    }
    let after = machine::resident_bytes();
    mem::forget(handles);
    Outcome::BytesPerTask(after.saturating_sub(before) as f64 / n as f64)
}
