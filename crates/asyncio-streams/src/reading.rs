//! `Reading`: a read under way, as a future. Every read is one, and differs in its attempt only.

use crate::limit::TimeLimit;
use crate::read_buffer::ReadBuffer;
use crate::reader::StreamReader;
use asyncio_tasks::poll_ready;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Attempts to read until it need not wait. Dropping it leaves everything as it was.
pub(crate) struct Reading<'a, A> {
    reader: &'a mut StreamReader,
    attempt: A,
    limit: TimeLimit,
}

impl<'a, A> Reading<'a, A> {
    pub(crate) fn new(reader: &'a mut StreamReader, attempt: A) -> Self {
        reader.put_front_back();
        Self { reader, attempt, limit: TimeLimit::default() }
    }
}

impl<A, T, E> Future for Reading<'_, A>
where
    A: FnMut(&mut ReadBuffer) -> Option<Result<T, E>> + Unpin,
    E: From<io::Error>,
{
    type Output = Result<T, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(poll_ready(cx));
        let Self { reader, attempt, limit } = &mut *self;
        match reader.poll_attempt(cx, attempt) {
            Poll::Ready(outcome) => Poll::Ready(outcome),
            Poll::Pending => match limit.check(reader.connected(), reader.connected().read_timeout()) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(io::Error::from(error).into())),
            },
        }
    }
}

impl<A> Drop for Reading<'_, A> {
    fn drop(&mut self) {
        self.reader.stop_waiting();
    }
}
