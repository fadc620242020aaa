//! One attempt to connect, as a future.
//!
//! Invariant: the endpoint is registered only while the attempt waits; dropping the attempt closes it.
//!
//! Absent on purpose: several addresses. That is `attempts`.

use asyncio_driver::{Address, ConnectOptions, Interest, Mode, Readiness, Source, StreamEndpoint};
use asyncio_loop::{EventLoop, ReadySource, Runnable, SourceKey, Step};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Connects to `remote`.
///
/// # Errors
///
/// Why it failed, as the driver says.
pub(crate) async fn connect(
    event_loop: &EventLoop,
    remote: &Address,
    options: &ConnectOptions,
) -> io::Result<Box<dyn StreamEndpoint>> {
    let mut endpoint = event_loop.with_driver(|driver| driver.connect(remote, options))?;
    // On this machine, most connects are done at once.
    match endpoint.finish_connect() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        outcome => return outcome.map(|()| endpoint),
    }
    let attempt = Attempt::begin(event_loop, endpoint)?;
    poll_fn(|cx| attempt.0.poll(cx)).await
}

/// Takes the attempt back when it is dropped.
struct Attempt(Rc<Waiting>);

/// An endpoint that is being connected.
struct Waiting {
    event_loop: EventLoop,
    endpoint: RefCell<Option<Box<dyn StreamEndpoint>>>,
    key: Cell<Option<SourceKey>>,
    waker: Cell<Option<Waker>>,
    is_reported: Cell<bool>,
}

impl Attempt {
    fn begin(event_loop: &EventLoop, endpoint: Box<dyn StreamEndpoint>) -> io::Result<Self> {
        let waiting = Rc::new(Waiting {
            event_loop: event_loop.clone(),
            endpoint: RefCell::new(None),
            key: Cell::new(None),
            waker: Cell::new(None),
            is_reported: Cell::new(false),
        });
        let key = event_loop.add_source(endpoint.source(), Interest::WRITABLE, Mode::Level, waiting.clone())?;
        waiting.key.set(Some(key));
        waiting.endpoint.replace(Some(endpoint));
        Ok(Self(waiting))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

impl Waiting {
    fn poll(&self, cx: &Context<'_>) -> Poll<io::Result<Box<dyn StreamEndpoint>>> {
        self.waker.set(Some(cx.waker().clone()));
        if self.event_loop.is_closed() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::NotConnected, "event loop is closed")));
        }
        if !self.is_reported.replace(false) {
            return Poll::Pending;
        }
        let outcome = self.endpoint.borrow_mut().as_deref_mut().map_or(Ok(()), |endpoint| endpoint.finish_connect());
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
            Ok(()) => Poll::Ready(self.take().ok_or_else(|| io::ErrorKind::NotConnected.into())),
        }
    }

    /// Ends the registration, and gives the endpoint away.
    fn take(&self) -> Option<Box<dyn StreamEndpoint>> {
        let endpoint = self.endpoint.take();
        if let (Some(key), Some(endpoint)) = (self.key.take(), &endpoint) {
            self.event_loop.remove_source(key, endpoint.source());
        }
        endpoint
    }
}

impl ReadySource for Waiting {
    fn ready(self: Rc<Self>, _: Readiness) -> Option<Step> {
        (!self.is_reported.replace(true)).then(|| self.into())
    }

    fn is_source(&self, source: Source<'_>) -> bool {
        self.endpoint.borrow().as_deref().is_some_and(|endpoint| endpoint.source().is_same(source))
    }

    fn loop_closed(self: Rc<Self>) {
        self.key.set(None);
        drop(self.endpoint.take());
    }
}

impl Runnable for Waiting {
    fn run(self: Rc<Self>) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").finish_non_exhaustive()
    }
}
