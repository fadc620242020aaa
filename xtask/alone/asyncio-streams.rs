//! Uses asyncio-streams and nothing else: a reader that is fed by hand, under an executor of its own.

use asyncio_streams::StreamReader;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

fn main() {
    let mut reader = StreamReader::new(1024);
    let feeder = reader.feeder();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut line = pin!(reader.readline());
    assert!(line.as_mut().poll(cx).is_pending());
    feeder.feed_data(b"a line\nand more");
    let Poll::Ready(Ok(line)) = line.poll(cx) else { panic!("the line is there") };
    println!("got {} bytes", line.len());
}
