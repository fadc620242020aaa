//! A task that never has to wait lets others run: row S10 of the features, on a clock that each operation moves by hand.

use asyncio_loop::EventLoop;
use asyncio_streams::{Framing, StreamPair, StreamReaderProtocol};
use asyncio_tasks::{LoopTasksExt as _, create_task, sleep};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use asyncio_transports::LoopTransportsExt as _;
use futures_util::io::AsyncReadExt as _;
use futures_util::{AsyncWriteExt as _, StreamExt as _};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

const EACH: Duration = Duration::from_micros(10);
const TIMES: usize = 10_000;

/// Something that need not wait.
async fn once(kind: usize, pair: &mut StreamPair) {
    let (reader, writer) = pair.split();
    if kind < 5 {
        reader.feed_data(b"x\n");
    }
    match kind {
        0 => drop(reader.readline().await.unwrap()),
        1 => drop(reader.lines().next().await.unwrap().unwrap()),
        2 => drop(futures_util::StreamExt::next(&mut reader.lines()).await.unwrap().unwrap()),
        3 => drop(reader.frames(Framing::Exact(2)).boxed_local().next().await.unwrap().unwrap()),
        4 => assert_eq!(pair.read(&mut [0; 2]).await.unwrap(), 2),
        5 => writer.drain().await.unwrap(),
        6 => writer.write_all("").await.unwrap(),
        _ => assert_eq!(pair.write(b"").await.unwrap(), 0),
    }
}

#[test]
fn whoever_never_waits_lets_timers_run() {
    for kind in 0..8 {
        let clock = VirtualClock::new();
        let driver = ScriptedDriver::new(&clock);
        let (here, there) = driver.script().stream_pair();
        let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
        let inner = event_loop.clone();
        let main = async move {
            let (_, protocol) = inner.connect_endpoint(StreamReaderProtocol::default, here).await.unwrap();
            let mut pair = StreamPair::from(protocol.borrow().streams().unwrap());
            let (is_over, ticks) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
            let (ends, count) = (is_over.clone(), ticks.clone());
            let ticker = create_task(async move {
                while !ends.get() {
                    sleep(0.001).await;
                    count.set(count.get() + 1);
                }
            });
            sleep(0).await;
            for _ in 0..TIMES {
                once(kind, &mut pair).await;
                clock.advance(EACH);
            }
            is_over.set(true);
            // 100 ms have gone by.
            assert!(ticks.get() >= 20, "kind {kind}: {} timers", ticks.get());
            ticker.await.unwrap();
            drop((pair, there));
        };
        event_loop.run_until_complete(main).unwrap();
        event_loop.close().unwrap();
    }
}
