//! A crawler that behaves: never more than a few requests at once, and never more than so many in a second.
//!
//! Run with `cargo run --release --example crawler`. The site is a server in the same program, which counts; so the example can say
//! that each page was asked for once, and that the limits were kept.

#![expect(clippy::print_stdout, reason = "an example is there to be read")]

use asyncio::{Queue, Semaphore, StreamReader, StreamWriter, TaskGroup, get_running_loop};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

const PAGES: usize = 200;
const WORKERS: usize = 16;
const AT_ONCE: usize = 5;
const PER_SECOND: f64 = 500.0;

/// What the site has seen.
#[derive(Default)]
struct Log {
    asked: RefCell<BTreeMap<usize, usize>>,
    now: Cell<usize>,
    most: Cell<usize>,
}

/// Answers `GET /n` with a page that has links to others: a tree, and a way back to the root from everywhere.
async fn serve(log: &Log, mut reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    let head = reader.readuntil("\r\n\r\n").await?;
    let head = String::from_utf8_lossy(&head);
    let page: usize = head.split([' ', '/']).nth(2).and_then(|page| page.parse().ok()).unwrap_or_default();
    *log.asked.borrow_mut().entry(page).or_default() += 1;
    log.now.set(log.now.get() + 1);
    log.most.set(log.most.get().max(log.now.get()));
    asyncio::sleep(0.002).await;
    log.now.set(log.now.get() - 1);
    let links = [2 * page + 1, 2 * page + 2, 0].into_iter().filter(|link| *link < PAGES);
    let body: String = links.map(|link| format!("<a href=\"/{link}\">{link}</a>\n")).collect();
    writer.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{body}")).await
}

/// Fetches a page, and gives the links on it.
async fn fetch(site: SocketAddr, page: usize) -> io::Result<Vec<usize>> {
    let (mut reader, writer) = asyncio::open_connection(site).await?;
    writer.write_all(format!("GET /{page} HTTP/1.0\r\n\r\n")).await?;
    let answer = reader.read(-1).await?;
    let answer = String::from_utf8_lossy(&answer);
    let links = answer.split("href=\"/").skip(1).filter_map(|rest| rest.split('"').next());
    links.map(|link| link.parse().map_err(io::Error::other)).collect()
}

/// Lets whoever asks go on, one after the other, at a steady pace.
struct Pace {
    seconds_between: f64,
    next: Cell<f64>,
}

impl Pace {
    async fn keep(&self) {
        let now = get_running_loop().time();
        let turn = self.next.get().max(now);
        self.next.set(turn + self.seconds_between);
        asyncio::sleep(turn - now).await;
    }
}

async fn crawl(site: SocketAddr) -> io::Result<BTreeSet<usize>> {
    let (queue, seen) = (Queue::new(0), RefCell::new(BTreeSet::from([0])));
    let pace = Pace { seconds_between: 1.0 / PER_SECOND, next: Cell::new(0.0) };
    let crawl = Rc::new((queue, seen, Semaphore::new(AT_ONCE), pace));
    crawl.0.put_nowait(0).map_err(io::Error::other)?;
    TaskGroup::scope(async |group| {
        for _ in 0..WORKERS {
            let crawl = crawl.clone();
            group.create_task(async move {
                let (queue, seen, at_once, pace) = &*crawl;
                // Until the queue is shut down.
                while let Ok(page) = queue.get().await {
                    let links = {
                        let _permit = at_once.acquire().await;
                        pace.keep().await;
                        asyncio::timeout(5, fetch(site, page)).await??
                    };
                    for link in links {
                        if seen.borrow_mut().insert(link) {
                            queue.put_nowait(link).map_err(io::Error::other)?;
                        }
                    }
                    queue.task_done();
                }
                io::Result::Ok(())
            });
        }
        crawl.0.join().await; // Every page that was put has been worked off, and put nothing new.
        crawl.0.shutdown(false);
        Ok(())
    })
    .await?;
    Ok(crawl.1.take())
}

#[asyncio::main]
async fn main() -> io::Result<()> {
    let log = Rc::new(Log::default());
    let site = log.clone();
    let handler = async move |reader, writer| serve(&site, reader, writer).await;
    let server = asyncio::start_server(handler, ("127.0.0.1", 0)).await?;
    let begin = get_running_loop().time();
    let found = crawl(server.local_addrs()[0]).await?;
    let seconds = get_running_loop().time() - begin;
    println!("{} pages in {seconds:.3} s, at most {} at once", found.len(), log.most.get());
    assert!(found.iter().copied().eq(0..PAGES), "a page was not found");
    assert!(log.asked.borrow().iter().map(|(page, times)| (*page, *times)).eq((0..PAGES).map(|page| (page, 1))));
    assert!(log.most.get() <= AT_ONCE, "too many at once");
    assert!(seconds >= (PAGES - 1) as f64 / PER_SECOND, "too fast");
    server.close();
    server.wait_closed().await
}
