//! Handlers of a server: a coroutine for each connection, and what becomes of its error.
//!
//! Invariant: a handler that fails, panics or is cancelled closes its own connection, and nothing else.
//!
//! Absent on purpose: accepting. That is the transports' affair.

use crate::connected::Connected;
use crate::protocol::streams;
use crate::reader::StreamReader;
use crate::writer::StreamWriter;
use asyncio_loop::ExceptionContext;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::Transport;
use std::any::Any;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

/// What a handler of [`start_server`](crate::start_server) may return: nothing, or a `Result` of which an error is reported.
pub trait HandlerOutcome: 'static {
    /// The error, if it is one.
    fn into_error(self) -> Option<Box<dyn Error>>;
}

impl HandlerOutcome for () {
    fn into_error(self) -> Option<Box<dyn Error>> {
        None
    }
}

impl<T: 'static, E: Into<Box<dyn Error>> + 'static> HandlerOutcome for Result<T, E> {
    fn into_error(self) -> Option<Box<dyn Error>> {
        self.err().map(Into::into)
    }
}

/// Takes over the streams of a new connection.
pub(crate) trait Accept {
    fn accept(&self, connected: &Rc<Connected>, transport: &Transport);
}

/// Calls a coroutine for each connection.
pub(crate) struct Handler<F, R>(Rc<F>, PhantomData<fn() -> R>);

impl<F, R> Handler<F, R>
where
    F: AsyncFn(StreamReader, StreamWriter) -> R + 'static,
    R: HandlerOutcome,
{
    pub(crate) fn accepting(handler: F) -> Rc<dyn Accept> {
        Rc::new(Self(Rc::new(handler), PhantomData))
    }
}

impl<F, R> Accept for Handler<F, R>
where
    F: AsyncFn(StreamReader, StreamWriter) -> R + 'static,
    R: HandlerOutcome,
{
    fn accept(&self, connected: &Rc<Connected>, transport: &Transport) {
        // The loop owns the task.
        drop(transport.get_loop().create_task(serve(self.0.clone(), Unfinished(Some(connected.clone())))));
    }
}

/// The task of a connection. It is given no more than it needs to make the streams, for what it is given it keeps.
async fn serve<F, R>(handler: Rc<F>, mut unfinished: Unfinished)
where
    F: AsyncFn(StreamReader, StreamWriter) -> R,
    R: HandlerOutcome,
{
    let Some((reader, writer)) = unfinished.0.as_ref().and_then(streams) else { return };
    let outcome = {
        let mut handling = pin!(handler(reader, writer));
        poll_fn(|cx| poll_caught(handling.as_mut(), cx)).await
    };
    let report = ExceptionContext::new("unhandled exception in client_connected_cb");
    let report = match outcome {
        Ok(value) => match value.into_error() {
            None => return unfinished.finish(),
            Some(error) => report.with_error(error),
        },
        Err(payload) => report.with_panic(payload),
    };
    unfinished.report(report);
}

fn poll_caught<F: Future>(
    handling: Pin<&mut F>,
    cx: &mut std::task::Context<'_>,
) -> Poll<Result<F::Output, Box<dyn Any + Send>>> {
    match catch_unwind(AssertUnwindSafe(|| handling.poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    }
}

/// Closes the connection of a handler that has not come to its end, also if it is cancelled, and before it has begun.
struct Unfinished(Option<Rc<Connected>>);

impl Unfinished {
    fn finish(&mut self) {
        self.0 = None;
    }

    fn transport(&self) -> Option<&Transport> {
        self.0.as_ref()?.transport()
    }

    fn report(&self, report: ExceptionContext) {
        let Some(transport) = self.transport() else { return };
        let peer = transport.peername().map_or_else(|| "unknown".into(), |peer| peer.to_string());
        let report = report.with("peername", peer).with("transport", format!("{transport:?}"));
        transport.get_loop().call_exception_handler(report);
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(transport) = self.transport() {
            transport.close();
        }
    }
}
