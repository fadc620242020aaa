//! Uses the facade and nothing else: a main coroutine, and a loop that is woken by a thread.

use asyncio::{ContextVar, create_task, get_running_loop};

static NAME: ContextVar<&str> = ContextVar::new("name");

#[asyncio::main]
async fn main() -> std::io::Result<()> {
    NAME.set("main");
    let remote = get_running_loop().handle();
    let woken = asyncio::Event::new();
    let other = std::thread::spawn(move || remote.call_soon_threadsafe(|| drop(get_running_loop().call_soon(|| {}))).map(drop));
    let child = create_task(async { NAME.get() });
    assert_eq!(child.await?, Some("main"));
    woken.set();
    woken.wait().await;
    other.join().expect("the handle does not panic")?;
    println!("run to the end");
    Ok(())
}
