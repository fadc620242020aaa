//! `Blocking` and `BlockingIter`: objects whose methods block, moved to a thread for each call and back again.
//!
//! Invariants:
//! 1. The object is in its slot, or in the hands of one job, which puts it back whatever becomes of it: done, panicked,
//!    cancelled, dropped.
//! 2. An item that an iterator has given is kept until somebody has it.

use crate::job::JobHandle;
use crate::loop_executor::submit_default;
use crate::to_thread::to_thread_at;
use asyncio_loop::{ContextSnapshot, get_running_loop};
use asyncio_tasks::Reraise;
use futures_core::Stream;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

/// An object whose methods block: each call runs on a thread of the default executor.
///
/// ```
/// use asyncio_executor::Blocking;
///
/// asyncio_tasks::run(async {
///     let mut file = Blocking::new(std::io::Cursor::new(b"two\nlines".to_vec()));
///     assert_eq!(file.read(4).await?, b"two\n");
///     assert_eq!(file.call(|file| file.position()).await, 4);
///     Ok::<_, std::io::Error>(())
/// })?;
/// # Ok::<_, std::io::Error>(())
/// ```
///
/// # asyncio
///
/// None; `await asyncio.to_thread(file.read, 4)`.
#[derive(Debug)]
pub struct Blocking<T> {
    slot: Arc<Slot<T>>,
}

impl<T: Send + 'static> Blocking<T> {
    /// Wraps an object.
    #[must_use]
    pub fn new(object: T) -> Self {
        Self { slot: Arc::new(Slot(Mutex::new(Place { object: Some(object), waker: None }))) }
    }

    /// Calls `work` with the object, on a thread. If an earlier call was dropped and still runs, its end is awaited first.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped before it has begun does nothing. One that has begun goes on to its end; then the object is
    /// back, and the result is lost.
    ///
    /// # Panics
    ///
    /// As [`to_thread`](crate::to_thread). The object is not lost by a panic of `work`.
    #[track_caller]
    pub fn call<F, R>(&mut self, work: F) -> impl Future<Output = R>
    where
        F: FnOnce(&mut T) -> R + Send + 'static,
        R: Send + 'static,
    {
        let location = Location::caller();
        async move {
            let mut lent = Lent { object: Some(self.slot.take().await), slot: self.slot.clone() };
            to_thread_at(move || lent.with(work), location).await
        }
    }

    /// Gives the object back, as soon as no call has it.
    ///
    /// # Cancel safety
    ///
    /// The object is dropped with this future.
    pub async fn into_inner(self) -> T {
        self.slot.take().await
    }
}

impl<T: Read + Send + 'static> Blocking<T> {
    /// Reads at most `bytes_max` bytes, by one call of [`Read::read`]. Nothing means the end.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it runs, what it reads is lost.
    ///
    /// # Errors
    ///
    /// As `Read::read`.
    pub async fn read(&mut self, bytes_max: usize) -> io::Result<Vec<u8>> {
        self.call(move |object| {
            let mut buf = vec![0; bytes_max];
            let count = object.read(&mut buf)?;
            buf.truncate(count);
            Ok(buf)
        })
        .await
    }

    /// Reads to the end.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it runs, what it reads is lost.
    ///
    /// # Errors
    ///
    /// As [`Read::read_to_end`].
    pub async fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        self.call(|object| {
            let mut buf = Vec::new();
            object.read_to_end(&mut buf)?;
            Ok(buf)
        })
        .await
    }
}

impl<T: Write + Send + 'static> Blocking<T> {
    /// Writes all of `bytes`.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it runs, all is written, unless that fails.
    ///
    /// # Errors
    ///
    /// As [`Write::write_all`].
    pub async fn write_all(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        self.call(move |object| object.write_all(&bytes)).await
    }

    /// Flushes what was written.
    ///
    /// # Cancel safety
    ///
    /// If it is dropped while it runs, it goes on.
    ///
    /// # Errors
    ///
    /// As [`Write::flush`].
    pub async fn flush(&mut self) -> io::Result<()> {
        self.call(Write::flush).await
    }
}

/// Where an object is when no job has it.
struct Slot<T>(Mutex<Place<T>>);

struct Place<T> {
    object: Option<T>,
    waker: Option<Waker>,
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("is_lent", &self.lock().object.is_none()).finish()
    }
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, Place<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the object and takes it.
    async fn take(&self) -> T {
        // A call that nobody awaits any more does not hold virtual time by itself.
        let mut hold = None;
        let taken = poll_fn(|cx| {
            let waker = cx.waker().clone(); // With nothing locked: what is cloned is not ours.
            let mut place = self.lock();
            if let Some(object) = place.object.take() {
                return Poll::Ready(object);
            }
            let old = place.waker.replace(waker);
            drop(place);
            drop(old);
            hold.get_or_insert_with(|| get_running_loop().hold_time());
            Poll::Pending
        });
        taken.await
    }
}

/// The object on its way; put back when this is dropped.
struct Lent<T> {
    object: Option<T>,
    slot: Arc<Slot<T>>,
}

impl<T> Lent<T> {
    fn with<R>(&mut self, work: impl FnOnce(&mut T) -> R) -> R {
        work(self.object.as_mut().expect("it is here until this is dropped"))
    }
}

impl<T> Drop for Lent<T> {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        let mut place = self.slot.lock();
        place.object = Some(object);
        let waker = place.waker.take();
        drop(place);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// An iterator whose `next` blocks, as a stream: each item is fetched on a thread of the default executor.
///
/// # Cancel safety
///
/// A `next` that is dropped loses nothing: the item that is on its way is the next one's.
pub struct BlockingIter<I: Iterator> {
    stage: Stage<I>,
    location: &'static Location<'static>,
}

enum Stage<I: Iterator> {
    Here(Option<I>),
    Fetching(JobHandle<(I, Option<I::Item>)>),
    Cancelled(Reraise),
    Ended,
}

impl<I> BlockingIter<I>
where
    I: Iterator + Send + Unpin + 'static,
    I::Item: Send + 'static,
{
    /// Wraps an iterator.
    #[track_caller]
    pub fn new(items: impl IntoIterator<IntoIter = I>) -> Self {
        Self { stage: Stage::Here(Some(items.into_iter())), location: Location::caller() }
    }

    /// The next item; `None` at the end, and ever after.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    ///
    /// # Panics
    ///
    /// With the panic of the iterator, which has ended then; otherwise as [`to_thread`](crate::to_thread).
    pub async fn next(&mut self) -> Option<I::Item> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<I> Stream for BlockingIter<I>
where
    I: Iterator + Send + Unpin + 'static,
    I::Item: Send + 'static,
{
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let this = &mut *self;
        loop {
            match &mut this.stage {
                Stage::Here(items) => {
                    let mut items = items.take().expect("it is taken only when the stage is left");
                    this.stage = Stage::Ended; // Should submitting panic.
                    let fetch = move || {
                        let item = items.next();
                        (items, item)
                    };
                    match submit_default(fetch, ContextSnapshot::current().to_send(), this.location) {
                        Ok(handle) => this.stage = Stage::Fetching(handle),
                        Err(error) => panic!("`BlockingIter`, made at {}: {error}", this.location),
                    }
                }
                Stage::Fetching(handle) => {
                    let outcome = ready!(Pin::new(handle).poll(cx));
                    match outcome {
                        Ok((items, Some(item))) => {
                            this.stage = Stage::Here(Some(items));
                            return Poll::Ready(Some(item));
                        }
                        Ok((_, None)) => this.stage = Stage::Ended,
                        Err(cancelled) => this.stage = Stage::Cancelled(cancelled.reraise()),
                    }
                }
                Stage::Cancelled(reraise) => match ready!(Pin::new(reraise).poll(cx)) {},
                Stage::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl<I: Iterator> fmt::Debug for BlockingIter<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingIter").field("made_at", &self.location.to_string()).finish_non_exhaustive()
    }
}
