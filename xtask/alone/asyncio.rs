//! Uses the facade and nothing else: a loop by its own names, woken by a thread.

use asyncio::{ContextVar, get_running_loop, new_event_loop};

static NAME: ContextVar<&str> = ContextVar::new("name");

fn main() -> std::io::Result<()> {
    let event_loop = new_event_loop()?;
    let remote = event_loop.handle();
    NAME.set("main");
    event_loop.call_soon(|| assert_eq!(NAME.get(), Some("main")));
    let other = std::thread::spawn(move || remote.call_soon_threadsafe(|| get_running_loop().stop()).map(drop));
    event_loop.run_forever()?;
    other.join().expect("the handle does not panic")?;
    event_loop.close()?;
    println!("stopped by a thread");
    Ok(())
}
