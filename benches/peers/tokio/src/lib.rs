//! How tokio does what the workloads need, on its current-thread scheduler with local tasks.

use std::future::Future;
use std::time::Duration;

use peers_common::Peer;
use tokio::process::Command;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::{self, JoinHandle, LocalSet};
use tokio::time;

/// Local tasks either on a `LocalRuntime`, or on a `LocalSet` in a current-thread runtime.
#[derive(Debug)]
pub struct Tokio<const IS_LOCAL_RUNTIME: bool>;

impl<const IS_LOCAL_RUNTIME: bool> Peer for Tokio<IS_LOCAL_RUNTIME> {
    type Join<T: 'static> = JoinHandle<T>;
    type Sender<T: 'static> = mpsc::Sender<T>;
    type Receiver<T: 'static> = mpsc::Receiver<T>;
    type Resolver<T: 'static> = oneshot::Sender<T>;
    type Answer<T: 'static> = oneshot::Receiver<T>;
    type Mutex = Mutex<()>;
    type Semaphore = Semaphore;
    type Poster = mpsc::UnboundedSender<u64>;
    type Posts = mpsc::UnboundedReceiver<u64>;

    fn block_on(main: impl Future<Output = ()> + 'static) {
        let mut builder = Builder::new_current_thread();
        builder.enable_all();
        if IS_LOCAL_RUNTIME {
            builder.build_local(LocalOptions::default()).expect("a runtime").block_on(main);
        } else {
            let runtime = builder.build().expect("a runtime");
            LocalSet::new().block_on(&runtime, main);
        }
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
        task::spawn_local(future)
    }

    async fn join<T: 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("no task panics")
    }

    fn yield_now() -> impl Future<Output = ()> {
        task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        time::sleep(duration)
    }

    async fn timeout(duration: Duration, future: impl Future<Output = ()>) -> bool {
        time::timeout(duration, future).await.is_ok()
    }

    fn bounded<T: 'static>(capacity: usize) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        mpsc::channel(capacity)
    }

    async fn send<T: 'static>(sender: &mut mpsc::Sender<T>, value: T) {
        assert!(sender.send(value).await.is_ok());
    }

    fn recv<T: 'static>(receiver: &mut mpsc::Receiver<T>) -> impl Future<Output = Option<T>> {
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

    fn mutex() -> Mutex<()> {
        Mutex::new(())
    }

    fn lock(mutex: &Mutex<()>) -> impl Future<Output = impl Sized> {
        mutex.lock()
    }

    fn semaphore(permits: usize) -> Semaphore {
        Semaphore::new(permits)
    }

    fn acquire(semaphore: &Semaphore) -> impl Future<Output = impl Sized> {
        semaphore.acquire()
    }

    fn posts() -> (Self::Poster, Self::Posts) {
        mpsc::unbounded_channel()
    }

    fn post(poster: &Self::Poster, value: u64) {
        poster.send(value).expect("the loop listens");
    }

    fn next_post(posts: &mut Self::Posts) -> impl Future<Output = Option<u64>> {
        posts.recv()
    }

    fn blocking(job: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> + 'static {
        let handle = task::spawn_blocking(job);
        async move { handle.await.expect("no job panics") }
    }

    async fn run_true() -> bool {
        Command::new("/bin/true").status().await.is_ok_and(|status| status.success())
    }
}
