//! Uses asyncio-testing and nothing else: its clock.

use asyncio_testing::VirtualClock;
use std::time::Duration;

fn main() {
    let clock = VirtualClock::new();
    clock.advance(Duration::from_secs(3600));
    assert_eq!(clock.elapsed(), Duration::from_secs(3600));
    println!("an hour has passed");
}
