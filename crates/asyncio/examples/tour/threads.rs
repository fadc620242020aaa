//! Threads: calls posted from several threads, and one that wakes the loop.

use crate::{Done, say};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const THREADS: usize = 4;
const POSTS: usize = 25_000;
const WAKES: u64 = 1_000;

pub(crate) fn tour() -> io::Result<Done> {
    let event_loop = asyncio::new_event_loop()?;
    let handle = event_loop.handle();
    // How many calls of each thread have run.
    let counts: Arc<[AtomicUsize; THREADS]> = Arc::default();
    let begin = event_loop.time();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (handle, counts) = (handle.clone(), counts.clone());
            scope.spawn(move || {
                for n in 0..POSTS {
                    let counts = counts.clone();
                    let call = move || {
                        assert_eq!(counts[thread].fetch_add(1, Ordering::Relaxed), n, "thread {thread} out of order");
                        if counts.iter().all(|count| count.load(Ordering::Relaxed) == POSTS) {
                            asyncio::get_running_loop().stop();
                        }
                    };
                    handle.call_soon_threadsafe(call).expect("an open loop");
                }
            });
        }
        event_loop.run_forever()
    })?;
    let nanos = (event_loop.time() - begin) * 1e9 / (THREADS * POSTS) as f64;
    say(format_args!(
        "{THREADS} threads made {POSTS} calls each; none lost, each thread's in order: {nanos:.0} ns each"
    ));

    // There and back: the loop sleeps each time.
    let (ask, asked) = std::sync::mpsc::channel();
    let begin = event_loop.time();
    let answers = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for () in asked {
                let answers = answers.clone();
                let answer = move || {
                    answers.fetch_add(1, Ordering::Relaxed);
                    asyncio::get_running_loop().stop();
                };
                handle.call_soon_threadsafe(answer).expect("an open loop");
            }
        });
        for _ in 0..WAKES {
            ask.send(()).expect("a thread that listens");
            event_loop.run_forever()?;
        }
        drop(ask);
        io::Result::Ok(())
    })?;
    assert_eq!(answers.load(Ordering::Relaxed), WAKES);
    let micros = (event_loop.time() - begin) * 1e6 / WAKES as f64;
    say(format_args!("{WAKES} times asked another thread to wake the loop: {micros:.1} us there and back"));
    event_loop.close()?;
    assert!(handle.call_soon_threadsafe(|| ()).is_err(), "a closed loop accepted a call");
    Ok(Done::new(THREADS * POSTS, "calls from other threads"))
}
