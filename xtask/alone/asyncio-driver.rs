//! Uses asyncio-driver and nothing else: a wait that ends by its deadline, and one that is ended from another thread.

use asyncio_driver::{Deadline, new_driver};
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let mut driver = new_driver()?;
    let mut events = Vec::new();
    let deadline = driver.now() + Duration::from_millis(1);
    while driver.now() < deadline {
        driver.wait(Deadline::At(deadline), &mut events)?;
    }

    let notifier = driver.notifier();
    let other = std::thread::spawn(move || notifier.notify());
    driver.wait(Deadline::Never, &mut events)?;
    assert!(events.is_empty());
    other.join().expect("the notifier does not panic");
    println!("waited for a deadline and for a thread");
    Ok(())
}
