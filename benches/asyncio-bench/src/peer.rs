//! How asyncio does what the shared workloads need.

use asyncio::prelude::*;
use asyncio::{Lock, Queue, Receiver, Semaphore, Sender, Task};
use peers_common::Peer;
use std::future::{self, Future};
use std::rc::Rc;
use std::time::Duration;

/// Tasks on asyncio's loop.
#[derive(Debug)]
pub(crate) struct Asyncio;

impl Peer for Asyncio {
    type Join<T: 'static> = Task<T>;
    type Sender<T: 'static> = Sender<T>;
    type Receiver<T: 'static> = Receiver<T>;
    type Resolver<T: 'static> = asyncio::Future<Rc<T>>;
    type Answer<T: 'static> = asyncio::Future<Rc<T>>;
    type Mutex = Lock;
    type Semaphore = Semaphore;
    type Poster = ();
    type Posts = ();

    fn block_on(main: impl Future<Output = ()> + 'static) {
        asyncio::run(main);
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
        asyncio::create_task(future)
    }

    async fn join<T: 'static>(handle: Task<T>) -> T {
        handle.await.expect("nobody cancels it")
    }

    fn yield_now() -> impl Future<Output = ()> {
        asyncio::sleep(0)
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        asyncio::sleep(duration)
    }

    async fn timeout(duration: Duration, future: impl Future<Output = ()>) -> bool {
        asyncio::timeout(duration, future).await.is_ok()
    }

    fn bounded<T: 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        Queue::new(capacity).split()
    }

    async fn send<T: 'static>(sender: &mut Sender<T>, value: T) {
        assert!(sender.put(value).await.is_ok());
    }

    fn recv<T: 'static>(receiver: &mut Receiver<T>) -> impl Future<Output = Option<T>> {
        receiver.next()
    }

    fn oneshot<T: 'static>() -> (asyncio::Future<Rc<T>>, asyncio::Future<Rc<T>>) {
        let future = asyncio::Future::new();
        (future.clone(), future)
    }

    fn resolve<T: 'static>(resolver: asyncio::Future<Rc<T>>, value: T) {
        assert!(resolver.set_result(Rc::new(value)).is_ok());
    }

    async fn answer<T: 'static>(answer: asyncio::Future<Rc<T>>) -> T {
        let value = answer.await.expect("nobody cancels it");
        Rc::into_inner(value).expect("there is one who asks")
    }

    fn mutex() -> Lock {
        Lock::default()
    }

    fn lock(mutex: &Lock) -> impl Future<Output = impl Sized> {
        mutex.acquire()
    }

    fn semaphore(permits: usize) -> Semaphore {
        Semaphore::new(permits)
    }

    fn acquire(semaphore: &Semaphore) -> impl Future<Output = impl Sized> {
        semaphore.acquire()
    }

    fn posts() -> ((), ()) {
        ((), ())
    }

    fn post((): &(), _: u64) {}

    fn next_post((): &mut ()) -> impl Future<Output = Option<u64>> {
        future::pending()
    }

    fn blocking(job: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> + 'static {
        let running = asyncio::get_running_loop().run_in_executor(None, job).expect("nobody shuts the executor down");
        async move { running.await.expect("nobody cancels it") }
    }

    async fn run_true() -> bool {
        let Ok(child) = asyncio::create_subprocess_exec("/bin/true", [] as [&str; 0]).await else { return false };
        child.wait().await.is_ok_and(|status| status.success())
    }
}
