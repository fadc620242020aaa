//! `taskbench` on compio with io_uring; queues and locks are those of local-sync.

use std::future::Future;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use compio::driver::ProactorBuilder;
use compio::process::Command;
use compio::runtime::{JoinHandle, RuntimeBuilder};
use compio::time;
use local_sync::mpsc::bounded;
use local_sync::oneshot;
use local_sync::semaphore::Semaphore;
use peers_common::Peer;

struct Compio;

impl Peer for Compio {
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
        let mut proactor = ProactorBuilder::new();
        proactor.single_issuer(true).defer_taskrun(true);
        let runtime = RuntimeBuilder::new().with_proactor(proactor).build().expect("a runtime");
        runtime.block_on(main);
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
        compio::runtime::spawn(future)
    }

    async fn join<T: 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("no task panics")
    }

    fn detach<T: 'static>(handle: JoinHandle<T>) {
        handle.detach();
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
        let handle = compio::runtime::spawn_blocking(job);
        async move { assert!(handle.await.is_ok()) }
    }

    async fn run_true() -> bool {
        let child = Command::new("/bin/true").spawn();
        let Ok(child) = child else { return false };
        child.wait().await.is_ok_and(|status| status.success())
    }
}

fn main() {
    peers_common::taskbench::<Compio>();
}
