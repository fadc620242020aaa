//! Uses asyncio-executor and nothing else: a pool, awaited by a loop of this program's own.

use asyncio_executor::ThreadPoolExecutor;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::thread::{self, Thread};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn main() {
    let pool = ThreadPoolExecutor::builder().max_workers(1).thread_name_prefix("alone").build();
    let job = pool.submit(|| thread::current().name().map(String::from)).expect("the pool is open");
    let mut job = pin!(job);
    let waker = Arc::new(Unpark(thread::current())).into();
    let name = loop {
        match job.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(name) => break name.expect("nobody has cancelled it"),
            Poll::Pending => thread::park(),
        }
    };
    assert_eq!(name.as_deref(), Some("alone_0"));
    println!("ran on {name:?}");
}
