//! `taskbench` on monoio with io_uring; queues and locks are those of local-sync.

use std::future::Future;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use io_uring::IoUring;
use local_sync::mpsc::bounded;
use local_sync::oneshot;
use local_sync::semaphore::Semaphore;
use monoio::blocking::DefaultThreadPool;
use monoio::task::JoinHandle;
use monoio::{IoUringDriver, RuntimeBuilder, time};
use peers_common::Peer;

struct Monoio;

impl Peer for Monoio {
    /// It starts no processes.
    const UNSUPPORTED: &[&str] = &["subproc_seq", "subproc_conc"];

    type Join<T: 'static> = JoinHandle<T>;
    type Sender<T: 'static> = bounded::Tx<T>;
    type Receiver<T: 'static> = bounded::Rx<T>;
    type Resolver<T: 'static> = oneshot::Sender<T>;
    type Answer<T: 'static> = oneshot::Receiver<T>;
    type Mutex = Semaphore;
    type Semaphore = Semaphore;
    type Poster = Sender<u64>;
    type Posts = Receiver<u64>;

    fn block_on(main: impl Future<Output = ()> + 'static) {
        let mut ring = IoUring::builder();
        ring.setup_single_issuer().setup_defer_taskrun();
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new()
            .uring_builder(ring)
            .enable_timer()
            .attach_thread_pool(Box::new(DefaultThreadPool::new(4)))
            .build()
            .expect("a runtime");
        runtime.block_on(main);
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
        monoio::spawn(future)
    }

    fn join<T: 'static>(handle: JoinHandle<T>) -> impl Future<Output = T> {
        handle
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        time::sleep(duration)
    }

    async fn timeout(duration: Duration, future: impl Future<Output = ()>) -> bool {
        time::timeout(duration, future).await.is_ok()
    }

    fn bounded<T: 'static>(capacity: usize) -> (bounded::Tx<T>, bounded::Rx<T>) {
        bounded::channel(capacity)
    }

    async fn send<T: 'static>(sender: &mut bounded::Tx<T>, value: T) {
        assert!(sender.send(value).await.is_ok());
    }

    fn recv<T: 'static>(receiver: &mut bounded::Rx<T>) -> impl Future<Output = Option<T>> {
        receiver.recv()
    }

    fn oneshot<T: 'static>() -> (oneshot::Sender<T>, oneshot::Receiver<T>) {
        oneshot::channel()
    }

    fn resolve<T: 'static>(resolver: oneshot::Sender<T>, value: T) {
        assert!(resolver.send(value).is_ok());
    }

    async fn answer<T: 'static>(answer: oneshot::Receiver<T>) -> T {
        answer.await.expect("it is resolved")
    }

    fn mutex() -> Semaphore {
        Semaphore::new(1)
    }

    fn lock(mutex: &Semaphore) -> impl Future<Output = impl Sized> {
        mutex.acquire()
    }

    fn semaphore(permits: usize) -> Semaphore {
        Semaphore::new(permits)
    }

    fn acquire(semaphore: &Semaphore) -> impl Future<Output = impl Sized> {
        semaphore.acquire()
    }

    fn posts() -> (Sender<u64>, Receiver<u64>) {
        async_channel::unbounded()
    }

    fn post(poster: &Sender<u64>, value: u64) {
        poster.try_send(value).expect("the loop listens");
    }

    async fn next_post(posts: &mut Receiver<u64>) -> Option<u64> {
        posts.recv().await.ok()
    }

    fn blocking(job: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> + 'static {
        let handle = monoio::spawn_blocking(job);
        async move { assert!(handle.await.is_ok()) }
    }
}

fn main() {
    peers_common::taskbench::<Monoio>();
}
