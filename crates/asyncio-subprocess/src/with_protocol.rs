//! Starting a child for a protocol.

use crate::child::Child;
use crate::conversation::{Conversation, PipeProtocol};
use crate::create::{CreateSubprocess, Start, Started};
use crate::protocol::SubprocessProtocol;
use crate::transport::SubprocessTransport;
use asyncio_loop::EventLoop;
use asyncio_transports::LoopTransportsExt as _;
use std::cell::RefCell;
use std::fmt;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::rc::Rc;

/// Makes a [`SubprocessTransport`] and a protocol of a child; see [`CreateSubprocess`].
pub struct WithProtocol<'a, P> {
    event_loop: EventLoop,
    factory: Box<dyn FnOnce() -> P + 'a>,
}

/// A transport and the protocol that was made for it.
pub type Connected<P> = (SubprocessTransport, Rc<RefCell<P>>);

impl<'a, P: SubprocessProtocol> CreateSubprocess<WithProtocol<'a, P>> {
    pub(crate) fn with_protocol(event_loop: &EventLoop, factory: impl FnOnce() -> P + 'a, start: Start) -> Self {
        let kind = WithProtocol { event_loop: event_loop.clone(), factory: Box::new(factory) };
        Self { start: start.piped(), kind }
    }

    async fn run(self) -> io::Result<Connected<P>> {
        let Self { start, kind: WithProtocol { event_loop, factory } } = self;
        let protocol = Rc::new(RefCell::new(factory()));
        let conversation = Conversation::new(protocol.clone());
        let Started { child, stdin, stdout, stderr } = start.run()?;
        conversation.expect_pipes([&stdin, &stdout, &stderr].into_iter().flatten().count());
        let told = conversation.clone();
        let child = Child::watch(&event_loop, child, Some(Box::new(move || told.exited())))?;
        conversation.set_child(child);
        let unclaimed = Unclaimed(Some(&conversation));
        if let Some(pipe) = stdin {
            event_loop.connect_write_pipe(|| PipeProtocol::new(0, &conversation), pipe).await?;
        }
        for (fd, pipe) in [(1, stdout), (2, stderr)] {
            if let Some(pipe) = pipe {
                event_loop.connect_read_pipe(|| PipeProtocol::new(fd, &conversation), pipe).await?;
            }
        }
        conversation.made();
        unclaimed.claim();
        Ok((SubprocessTransport::new(conversation), protocol))
    }
}

/// Closes a transport that its maker never got.
struct Unclaimed<'a>(Option<&'a Rc<Conversation>>);

impl Unclaimed<'_> {
    fn claim(mut self) {
        self.0 = None;
    }
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some(conversation) = self.0 {
            conversation.close();
            conversation.child().abandon();
        }
    }
}

impl<'a, P: SubprocessProtocol> IntoFuture for CreateSubprocess<WithProtocol<'a, P>> {
    type Output = io::Result<Connected<P>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl<P> fmt::Debug for WithProtocol<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithProtocol").finish_non_exhaustive()
    }
}
