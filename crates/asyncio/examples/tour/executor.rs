//! Blocking work: on the default executor's threads, on a pool of one's own, and for the names of hosts and files.

use crate::{Done, say};
use asyncio::prelude::*;
use asyncio::{ContextVar, ThreadPoolExecutor, create_task, to_thread, yield_now};
use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::sync::mpsc;
use std::thread;

static REQUEST: ContextVar<u32> = ContextVar::new("request");
const JOBS: usize = 1_000;
const WORKERS: usize = 2;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        loop_runs_on().await;
        let names = pool().await?;
        say(format_args!("run_in_executor: {JOBS} jobs on {}", names.join(" and ")));
        files().await?;
        addresses().await?;
        Ok(Done::new(JOBS, "jobs on threads, awaited on the loop"))
    })
}

/// A thread blocks until the loop has turned a thousand times: so it did not wait for the thread.
async fn loop_runs_on() {
    REQUEST.set(7);
    let (turns, counted) = mpsc::channel();
    let blocked = create_task(to_thread(move || (counted.into_iter().take(1000).count(), REQUEST.get())));
    for turn in 0..1000 {
        turns.send(turn).expect("the thread counts");
        yield_now().await;
    }
    let outcome = blocked.await.expect("nobody cancels it");
    assert_eq!(outcome, (1000, Some(7)), "the thread has not the caller's context");
    say(format_args!("to_thread: the loop turned 1000 times while a thread was blocked"));
}

/// A pool of one's own. Gives the names of its threads.
async fn pool() -> io::Result<Vec<String>> {
    let pool = ThreadPoolExecutor::builder().max_workers(WORKERS).thread_name_prefix("tour").build();
    let event_loop = asyncio::get_running_loop();
    let jobs: Result<Vec<_>, _> = (0..JOBS)
        .map(|n| {
            event_loop
                .run_in_executor(Some(&pool), move || (n, thread::current().name().unwrap_or_default().to_owned()))
        })
        .collect();
    let mut names = BTreeSet::new();
    for (n, job) in jobs?.into_iter().enumerate() {
        let (value, name) = job.await.expect("nobody cancels it");
        assert_eq!(value, n, "not the value of this job");
        names.insert(name);
    }
    assert!((1..=WORKERS).contains(&names.len()), "{names:?}");
    Ok(names.into_iter().collect())
}

/// Writes and reads a file, as blocking code does.
async fn files() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("asyncio-tour-{}", std::process::id()));
    let bytes: Vec<u8> = (0..1_u32 << 20).map(|n| n.to_be_bytes()[3]).collect();
    let (file, content) = (path.clone(), bytes.clone());
    let read = to_thread(move || -> io::Result<Vec<u8>> {
        std::fs::File::create(&file)?.write_all(&content)?;
        let read = std::fs::read(&file);
        std::fs::remove_file(&file)?;
        read
    });
    assert_eq!(read.await?, bytes, "the file has other bytes");
    assert!(!path.exists());
    say(format_args!("to_thread: a file of {} MiB written, read and removed", bytes.len() >> 20));
    Ok(())
}

/// Looks up a literal, which needs no thread, and a name.
async fn addresses() -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let literal = event_loop.getaddrinfo("127.0.0.1", 80).await?;
    let name = event_loop.getaddrinfo("localhost", 80).await?;
    assert!(literal.iter().all(|info| info.address.to_string() == "127.0.0.1:80"), "{literal:?}");
    assert!(!name.is_empty() && name.iter().all(|info| info.address.ip().is_loopback()), "{name:?}");
    say(format_args!("getaddrinfo: localhost is {}", name[0].address.ip()));
    Ok(())
}
