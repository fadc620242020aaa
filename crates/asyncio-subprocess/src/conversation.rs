//! `Conversation`: what happens between a child and a protocol, in order.
//!
//! Invariants:
//! 1. Protocol methods are called by `deliver`, and by nobody else, with nothing borrowed.
//! 2. What happens before `connection_made`, or while a method runs, waits in `events`, in order; so bytes are copied only then.
//! 3. The child and each open pipe own the conversation, so it lives until all of them are over; then nobody does.
//! 4. `connection_lost` comes once, after the exit and the loss of all pipes: `end_if_over` is asked after each of them.
//!
//! Absent on purpose: the child, which is `child`'s, and bytes on their way, which are the transports'.

use crate::child::Child;
use crate::protocol::SubprocessProtocol;
use crate::transport::SubprocessTransport;
use asyncio_driver::Signal;
use asyncio_loop::ExceptionContext;
use asyncio_transports::{Protocol, Transport};
use bytes::Bytes;
use std::cell::{BorrowMutError, Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// A child, its pipes, and the protocol that is told of them.
pub(crate) struct Conversation {
    child: OnceCell<Rc<Child>>,
    protocol: RefCell<Option<Rc<RefCell<dyn SubprocessProtocol>>>>,
    pipes: RefCell<[Option<Transport>; 3]>,
    open_pipes: Cell<usize>,
    events: RefCell<VecDeque<Event>>,
    stage: Cell<Stage>,
    is_delivering: Cell<bool>,
    is_closed: Cell<bool>,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connecting,
    Made,
    /// `connection_lost` has been called, or is about to be.
    Over,
}

/// Something to be told.
enum Event {
    Made(SubprocessTransport),
    Data(i32, Bytes),
    PipeLost(i32, Option<io::Error>),
    Exited,
    Lost,
    PauseWriting,
    ResumeWriting,
}

impl Conversation {
    pub(crate) fn new(protocol: Rc<RefCell<dyn SubprocessProtocol>>) -> Rc<Self> {
        Rc::new(Self {
            child: OnceCell::new(),
            protocol: RefCell::new(Some(protocol)),
            pipes: RefCell::default(),
            open_pipes: Cell::new(0),
            events: RefCell::default(),
            stage: Cell::new(Stage::Connecting),
            is_delivering: Cell::new(false),
            is_closed: Cell::new(false),
        })
    }

    /// The child; there from the start on.
    pub(crate) fn child(&self) -> &Rc<Child> {
        self.child.get().expect("a conversation begins with its child")
    }

    pub(crate) fn set_child(&self, child: Rc<Child>) {
        // It is set once, by whoever starts the child.
        let _ = self.child.set(child);
    }

    pub(crate) fn pipe(&self, fd: i32) -> Option<Transport> {
        self.pipes.borrow().get(usize::try_from(fd).ok()?)?.clone()
    }

    /// How many pipes there will be.
    pub(crate) fn expect_pipes(&self, count: usize) {
        self.open_pipes.set(count);
    }

    pub(crate) fn set_protocol(&self, protocol: Rc<RefCell<dyn SubprocessProtocol>>) {
        if self.stage.get() < Stage::Over {
            let old = self.protocol.replace(Some(protocol));
            drop(old); // With nothing borrowed.
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closed.get() || self.stage.get() == Stage::Over
    }

    pub(crate) fn close(&self) {
        if self.is_closed.replace(true) {
            return;
        }
        let pipes = self.pipes.borrow().clone();
        pipes.iter().flatten().for_each(Transport::close);
        // It may have ended already.
        let _ = self.child().signal(Signal::KILL, false);
    }

    /// All pipes are connected: from now on the protocol is told.
    pub(crate) fn made(self: &Rc<Self>) {
        self.stage.set(Stage::Made);
        self.events.borrow_mut().push_front(Event::Made(SubprocessTransport::new(self.clone())));
        self.deliver();
        self.end_if_over();
    }

    pub(crate) fn exited(&self) {
        self.tell(Event::Exited);
        self.end_if_over();
    }

    fn end_if_over(&self) {
        let is_over = self.open_pipes.get() == 0 && self.child().returncode().is_some();
        if is_over && self.stage.get() == Stage::Made {
            self.stage.set(Stage::Over);
            self.tell(Event::Lost);
        }
    }

    fn tell(&self, event: Event) {
        self.events.borrow_mut().push_back(event);
        self.deliver();
    }

    /// Tells the protocol what has happened, in order. The only place from which its methods are called.
    fn deliver(&self) {
        if self.stage.get() == Stage::Connecting || self.is_delivering.replace(true) {
            return;
        }
        loop {
            // In a statement of its own, so that nothing is borrowed while the protocol is called.
            let Some(event) = self.events.borrow_mut().pop_front() else { break };
            let is_last = matches!(event, Event::Lost);
            self.call(event);
            if is_last {
                let protocol = self.protocol.take();
                drop(protocol);
            }
        }
        self.is_delivering.set(false);
    }

    /// Tells of bytes, without a copy if nothing waits before them.
    fn data_received(&self, fd: i32, data: &[u8]) {
        let must_wait = self.stage.get() == Stage::Connecting || self.is_delivering.get();
        if must_wait {
            return self.tell(Event::Data(fd, Bytes::copy_from_slice(data)));
        }
        self.is_delivering.set(true);
        self.call_with("pipe_data_received", |protocol| protocol.pipe_data_received(fd, data));
        self.is_delivering.set(false);
        self.deliver();
    }

    fn call(&self, event: Event) {
        match event {
            Event::Made(transport) => {
                self.call_with("connection_made", |protocol| protocol.connection_made(&transport));
            }
            Event::Data(fd, data) => {
                self.call_with("pipe_data_received", |protocol| protocol.pipe_data_received(fd, &data));
            }
            Event::PipeLost(fd, error) => {
                self.call_with("pipe_connection_lost", |protocol| protocol.pipe_connection_lost(fd, error));
            }
            Event::Exited => self.call_with("process_exited", |protocol| protocol.process_exited()),
            Event::Lost => self.call_with("connection_lost", |protocol| protocol.connection_lost(None)),
            Event::PauseWriting => self.call_with("pause_writing", |protocol| protocol.pause_writing()),
            Event::ResumeWriting => self.call_with("resume_writing", |protocol| protocol.resume_writing()),
        }
    }

    fn call_with(&self, method: &str, call: impl FnOnce(&mut dyn SubprocessProtocol)) {
        let Some(protocol) = self.protocol.borrow().clone() else { return };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            call(&mut *protocol.try_borrow_mut()?);
            Ok::<(), BorrowMutError>(())
        }));
        let report = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(_)) => {
                let reason = io::Error::other("the protocol is borrowed by somebody else while it is called");
                ExceptionContext::new(format!("protocol.{method}() could not be called")).with_error(reason)
            }
            Err(payload) => ExceptionContext::new(format!("protocol.{method}() panicked")).with_panic(payload),
        };
        let name = protocol.try_borrow().map_or("a protocol that is in use", |protocol| protocol.protocol_name());
        let report = report.with("transport", format!("{self:?}")).with("protocol", name);
        self.child().event_loop().call_exception_handler(report);
    }
}

/// The protocol of one pipe.
pub(crate) struct PipeProtocol {
    fd: i32,
    conversation: Rc<Conversation>,
}

impl PipeProtocol {
    pub(crate) fn new(fd: i32, conversation: &Rc<Conversation>) -> Self {
        Self { fd, conversation: conversation.clone() }
    }

    fn tell(&self, event: Event) {
        self.conversation.tell(event);
    }
}

impl Protocol for PipeProtocol {
    fn connection_made(&mut self, transport: &Transport) {
        if let Ok(place) = usize::try_from(self.fd) {
            self.conversation.pipes.borrow_mut()[place] = Some(transport.clone());
        }
    }

    fn data_received(&mut self, data: &[u8]) {
        self.conversation.data_received(self.fd, data);
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        let conversation = &self.conversation;
        conversation.open_pipes.set(conversation.open_pipes.get() - 1);
        conversation.tell(Event::PipeLost(self.fd, error));
        conversation.end_if_over();
    }

    fn pause_writing(&mut self) {
        self.tell(Event::PauseWriting);
    }

    fn resume_writing(&mut self) {
        self.tell(Event::ResumeWriting);
    }
}

impl fmt::Debug for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubprocessTransport")
            .field("child", &self.child.get())
            .field("stage", &self.stage.get())
            .field("open_pipes", &self.open_pipes.get())
            .finish_non_exhaustive()
    }
}
