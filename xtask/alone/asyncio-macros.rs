//! Uses asyncio-macros and nothing else: what the attributes expand to, with a stand-in for the facade.

extern crate self as asyncio;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// What `asyncio::run` is in the facade, for a coroutine that never waits.
pub fn run<F: Future>(main: F) -> F::Output {
    match pin!(main).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[asyncio_macros::main]
async fn main() -> Result<(), std::fmt::Error> {
    println!("run by a stand-in");
    Ok(())
}
