//! `taskbench` on smol's `LocalExecutor` and async-io.

use std::future::Future;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use async_executor::{LocalExecutor, Task};
use async_io::Timer;
use async_lock::{Mutex, Semaphore};
use async_process::Command;
use futures_channel::oneshot;
use futures_lite::future;
use peers_common::Peer;

thread_local! {
    static EXECUTOR: &'static LocalExecutor<'static> = Box::leak(Box::default());
}

struct Smol;

impl Peer for Smol {
    type Join<T: 'static> = Task<T>;
    type Sender<T: 'static> = Sender<T>;
    type Receiver<T: 'static> = Receiver<T>;
    type Resolver<T: 'static> = oneshot::Sender<T>;
    type Answer<T: 'static> = oneshot::Receiver<T>;
    type Mutex = Mutex<()>;
    type Semaphore = Semaphore;
    type Poster = Sender<u64>;
    type Posts = Receiver<u64>;

    fn block_on(main: impl Future<Output = ()> + 'static) {
        async_io::block_on(EXECUTOR.with(|executor| *executor).run(main));
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
        EXECUTOR.with(|executor| executor.spawn(future))
    }

    fn join<T: 'static>(handle: Task<T>) -> impl Future<Output = T> {
        handle
    }

    fn detach<T: 'static>(handle: Task<T>) {
        handle.detach();
    }

    fn yield_now() -> impl Future<Output = ()> {
        future::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        Timer::after(duration)
    }

    async fn timeout(duration: Duration, future: impl Future<Output = ()>) -> bool {
        let in_time = async {
            future.await;
            true
        };
        let too_late = async {
            Timer::after(duration).await;
            false
        };
        future::or(in_time, too_late).await
    }

    fn bounded<T: 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        async_channel::bounded(capacity)
    }

    async fn send<T: 'static>(sender: &mut Sender<T>, value: T) {
        assert!(sender.send(value).await.is_ok());
    }

    async fn recv<T: 'static>(receiver: &mut Receiver<T>) -> Option<T> {
        receiver.recv().await.ok()
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
        blocking::unblock(job)
    }

    async fn run_true() -> bool {
        Command::new("/bin/true").status().await.is_ok_and(|status| status.success())
    }
}

fn main() {
    peers_common::taskbench::<Smol>();
}
