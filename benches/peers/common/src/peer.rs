//! What a peer must offer: each function is its fastest documented way to do the thing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A single-threaded runtime, as the workloads see it. All tasks are local (`!Send`) ones.
///
/// The defaults are for what a peer does not have; [`Peer::UNSUPPORTED`] must then name the workloads that need it.
pub trait Peer: Sized + 'static {
    /// Workloads that this peer cannot do.
    const UNSUPPORTED: &[&str] = &[];

    type Join<T: 'static>: 'static;
    type Sender<T: 'static>: 'static;
    type Receiver<T: 'static>: 'static;
    type Resolver<T: 'static>: 'static;
    type Answer<T: 'static>: 'static;
    type Mutex: 'static;
    type Semaphore: 'static;
    type Poster: Clone + Send + 'static;
    type Posts: 'static;

    /// Runs the loop until `main` is done.
    fn block_on(main: impl Future<Output = ()> + 'static);

    fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> Self::Join<T>;
    fn join<T: 'static>(handle: Self::Join<T>) -> impl Future<Output = T>;
    /// Lets the task run on by itself. Right for handles that may simply be dropped.
    fn detach<T: 'static>(_handle: Self::Join<T>) {}

    /// Lets the other ready tasks run first. Where it does not, the workloads that rest on it are `unsupported`.
    fn yield_now() -> impl Future<Output = ()> {
        YieldNow::default()
    }

    fn sleep(duration: Duration) -> impl Future + 'static;
    /// Whether `future` was done in time.
    fn timeout(duration: Duration, future: impl Future<Output = ()>) -> impl Future<Output = bool>;

    /// A bounded queue between tasks of this thread.
    fn bounded<T: 'static>(capacity: usize) -> (Self::Sender<T>, Self::Receiver<T>);
    fn send<T: 'static>(sender: &mut Self::Sender<T>, value: T) -> impl Future<Output = ()>;
    fn recv<T: 'static>(receiver: &mut Self::Receiver<T>) -> impl Future<Output = Option<T>>;

    /// A one-shot future between tasks of this thread.
    fn oneshot<T: 'static>() -> (Self::Resolver<T>, Self::Answer<T>);
    fn resolve<T: 'static>(resolver: Self::Resolver<T>, value: T);
    fn answer<T: 'static>(answer: Self::Answer<T>) -> impl Future<Output = T>;

    fn mutex() -> Self::Mutex;
    /// Resolves to the guard.
    fn lock(mutex: &Self::Mutex) -> impl Future<Output = impl Sized>;
    fn semaphore(permits: usize) -> Self::Semaphore;
    /// Resolves to the permit.
    fn acquire(semaphore: &Self::Semaphore) -> impl Future<Output = impl Sized>;

    /// An unbounded queue from foreign threads into the loop.
    fn posts() -> (Self::Poster, Self::Posts);
    fn post(poster: &Self::Poster, value: u64);
    fn next_post(posts: &mut Self::Posts) -> impl Future<Output = Option<u64>>;

    /// Starts `job` on the thread pool at once; the future waits for it.
    fn blocking(_job: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> + 'static {
        std::future::pending()
    }

    /// Whether `/bin/true`, with inherited stdio, ended with status 0.
    fn run_true() -> impl Future<Output = bool> {
        std::future::pending()
    }
}

/// The yield of runtimes that have none of their own: wakes itself, so it goes to the end of the ready queue.
#[derive(Debug, Default)]
pub struct YieldNow {
    is_yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_yielded {
            return Poll::Ready(());
        }
        self.is_yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
