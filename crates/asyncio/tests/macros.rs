//! `#[asyncio::main]` and `#[asyncio::test]`, as programs use them.

use asyncio::{EventLoop, get_running_loop};
use std::io;
use std::time::Duration;

/// Not the entry point of this file, but it could be.
#[asyncio::main]
async fn plain() -> u32 {
    asyncio::create_task(async { 7 }).await.unwrap_or_default()
}

#[asyncio::main(debug = true, loop_factory = crate::a_loop)]
pub(crate) async fn with_options() -> Result<bool, io::Error> {
    asyncio::sleep(0).await;
    let _: u8 = "8".parse().map_err(io::Error::other)?;
    Ok(get_running_loop().get_debug())
}

fn a_loop() -> io::Result<EventLoop> {
    EventLoop::builder().strict_order(true).build()
}

#[test]
fn a_function_runs_in_a_loop_of_its_own() {
    assert_eq!(plain(), 7);
    assert!(with_options().is_ok_and(|debug| debug));
}

#[asyncio::test]
async fn a_test_has_a_loop() {
    asyncio::sleep(0).await;
    assert!(asyncio::current_task().is_some());
}

#[asyncio::test]
async fn a_test_may_return_a_result() -> Result<(), asyncio::CancelledError> {
    asyncio::create_task(async {}).await
}

#[asyncio::test(virtual_time)]
async fn a_day_passes_at_once() {
    let event_loop = get_running_loop();
    let start = event_loop.time();
    asyncio::sleep(Duration::from_secs(86_400)).await;
    assert!((event_loop.time() - start - 86_400.0).abs() < 1e-6);
}

#[asyncio::test(virtual_time, debug = true)]
#[should_panic(expected = "asyncio::run")]
async fn nothing_can_ever_happen() {
    let _ = asyncio::Future::<()>::new().await;
}
