//! `Recorder`: a protocol that writes down what happens to it, and does what a test tells it to.

use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_tasks::WaitQueue;
use asyncio_transports::{Connected, LoopTransportsExt as _, Protocol, Server, Transport};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

/// What happened, and who waits for more. Clones are the same record.
#[derive(Clone, Default)]
pub(crate) struct Record(Rc<State>);

#[derive(Default)]
struct State {
    events: RefCell<Vec<String>>,
    received: RefCell<Vec<u8>>,
    transport: RefCell<Option<Transport>>,
    news: WaitQueue,
}

/// What is to be done in a callback.
pub(crate) type Reaction = Rc<dyn Fn(&Transport)>;

/// Records; reacts by name of the callback.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    pub(crate) record: Record,
    reactions: BTreeMap<&'static str, Reaction>,
    keeps_open: bool,
}

impl Record {
    fn add(&self, event: String) {
        self.0.events.borrow_mut().push(event);
        self.0.news.wake_all();
    }

    /// Everything so far, without the bytes that were received.
    pub(crate) fn events(&self) -> Vec<String> {
        self.0.events.borrow().clone()
    }

    pub(crate) fn received(&self) -> Vec<u8> {
        self.0.received.borrow().clone()
    }

    pub(crate) fn transport(&self) -> Transport {
        self.0.transport.borrow().clone().expect("connection_made was called")
    }

    /// Waits until `is_so`.
    pub(crate) async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.0.news.wait().await;
        }
    }

    pub(crate) async fn until_event(&self, event: &str) {
        self.until(|record| record.events().iter().any(|seen| seen.starts_with(event))).await;
    }

    pub(crate) async fn until_received(&self, bytes: usize) {
        self.until(|record| record.0.received.borrow().len() >= bytes).await;
    }
}

impl Recorder {
    pub(crate) fn on(mut self, callback: &'static str, reaction: impl Fn(&Transport) + 'static) -> Self {
        self.reactions.insert(callback, Rc::new(reaction));
        self
    }

    pub(crate) fn keeps_open(mut self) -> Self {
        self.keeps_open = true;
        self
    }

    fn react(&self, callback: &'static str) {
        if let (Some(reaction), Some(transport)) = (self.reactions.get(callback), &*self.record.0.transport.borrow()) {
            reaction(transport);
        }
    }
}

impl Protocol for Recorder {
    fn connection_made(&mut self, transport: &Transport) {
        self.record.0.transport.replace(Some(transport.clone()));
        self.record.add("made".into());
        self.react("made");
    }

    fn data_received(&mut self, data: &[u8]) {
        assert!(!data.is_empty());
        let is_first = self.record.0.received.borrow().is_empty();
        self.record.0.received.borrow_mut().extend_from_slice(data);
        if is_first {
            self.record.add("data".into());
        } else {
            self.record.0.news.wake_all();
        }
        self.react("data");
    }

    fn eof_received(&mut self) -> bool {
        self.record.add("eof".into());
        self.react("eof");
        self.keeps_open
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.record.add(match error {
            None => "lost".into(),
            Some(error) => format!("lost: {error}"),
        });
        self.react("lost");
    }

    fn pause_writing(&mut self) {
        self.record.add("pause".into());
        self.react("pause");
    }

    fn resume_writing(&mut self) {
        self.record.add("resume".into());
        self.react("resume");
    }
}

/// A connection through a server of its own: the client's end with `client`, the server's with `server`.
pub(crate) async fn connect(client: &Recorder, server: &Recorder) -> (Connected<Recorder>, Server) {
    let event_loop = get_running_loop();
    let factory = server.clone();
    let listening = event_loop.create_server(move || factory.clone(), ("127.0.0.1", 0)).await.unwrap();
    let connected = event_loop.create_connection(|| client.clone(), listening.local_addrs()[0]).await.unwrap();
    server.record.until_event("made").await;
    (connected, listening)
}

/// Ends a server and waits for its connections.
pub(crate) async fn end(server: Server) {
    server.close();
    server.wait_closed().await.unwrap();
}

/// What the exception handler is told from now on: message, and the text of a panic.
pub(crate) fn reports(event_loop: &EventLoop) -> Rc<RefCell<Vec<String>>> {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let sink = reports.clone();
    event_loop.set_exception_handler(move |_, report| {
        let panic = report.panic_message().map(|message| format!(": {message}")).unwrap_or_default();
        sink.borrow_mut().push(format!("{}{panic}", report.message()));
    });
    reports
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("events", &self.record.events()).finish_non_exhaustive()
    }
}
