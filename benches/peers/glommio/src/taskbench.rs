//! `taskbench` on glommio.

use std::future::Future;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_channel::oneshot;
use glommio::channels::local_channel::{self, LocalReceiver, LocalSender};
use glommio::sync::Semaphore;
use glommio::timer::Timer;
use glommio::{LocalExecutorBuilder, Placement, PoolPlacement, Task, executor, timer};
use local_sync::semaphore::Semaphore as FairSemaphore;
use peers_common::Peer;

struct Glommio;

impl Peer for Glommio {
    /// It starts no processes.
    const UNSUPPORTED: &[&str] = &["subproc_seq", "subproc_conc"];

    type Join<T: 'static> = Task<T>;
    type Sender<T: 'static> = LocalSender<T>;
    type Receiver<T: 'static> = LocalReceiver<T>;
    type Resolver<T: 'static> = oneshot::Sender<T>;
    type Answer<T: 'static> = oneshot::Receiver<T>;
    type Mutex = FairSemaphore;
    type Semaphore = Semaphore;
    type Poster = Sender<u64>;
    type Posts = Receiver<u64>;

    fn block_on(main: impl Future<Output = ()> + 'static) {
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .blocking_thread_pool_placement(PoolPlacement::Unbound(4))
            .make()
            .expect("an executor");
        executor.run(main);
    }

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Task<T> {
        glommio::spawn_local(future)
    }

    fn join<T: 'static>(handle: Task<T>) -> impl Future<Output = T> {
        handle
    }

    fn detach<T: 'static>(handle: Task<T>) {
        handle.detach();
    }

    async fn yield_now() {
        executor().yield_now().await;
    }

    fn sleep(duration: Duration) -> impl Future + 'static {
        Timer::new(duration)
    }

    async fn timeout(duration: Duration, future: impl Future<Output = ()>) -> bool {
        let infallible = async {
            future.await;
            Ok(())
        };
        timer::timeout(duration, infallible).await.is_ok()
    }

    fn bounded<T: 'static>(capacity: usize) -> (LocalSender<T>, LocalReceiver<T>) {
        local_channel::new_bounded(capacity)
    }

    async fn send<T: 'static>(sender: &mut LocalSender<T>, value: T) {
        assert!(sender.send(value).await.is_ok());
    }

    fn recv<T: 'static>(receiver: &mut LocalReceiver<T>) -> impl Future<Output = Option<T>> {
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

    /// Its own semaphore and `RwLock` starve those who wait: whoever unlocks can lock at once again.
    fn mutex() -> FairSemaphore {
        FairSemaphore::new(1)
    }

    fn lock(mutex: &FairSemaphore) -> impl Future<Output = impl Sized> {
        mutex.acquire()
    }

    fn semaphore(permits: usize) -> Semaphore {
        Semaphore::new(permits as u64)
    }

    fn acquire(semaphore: &Semaphore) -> impl Future<Output = impl Sized> {
        semaphore.acquire_permit(1)
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
        executor().spawn_blocking(job)
    }
}

fn main() {
    peers_common::taskbench::<Glommio>();
}
