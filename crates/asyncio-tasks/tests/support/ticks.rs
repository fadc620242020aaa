//! Counting iterations of the loop.

use asyncio_loop::get_running_loop;

/// How many iterations lie between the start of `awaited` and its end; and what it gave.
pub(crate) async fn ticks<T>(awaited: impl Future<Output = T>) -> (u64, T) {
    let before = get_running_loop().statistics().iterations_total;
    let value = awaited.await;
    (get_running_loop().statistics().iterations_total - before, value)
}
