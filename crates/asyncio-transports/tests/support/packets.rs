//! `Log`: a datagram protocol that writes down what happens to it, and does what a test tells it to.

use asyncio_driver::Address;
use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_tasks::WaitQueue;
use asyncio_transports::{DatagramProtocol, DatagramTransport, LoopTransportsExt as _};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

/// What happened, and who waits for more. Clones are the same log.
#[derive(Clone, Default)]
pub(crate) struct Log(Rc<State>);

#[derive(Default)]
struct State {
    events: RefCell<Vec<String>>,
    packets: RefCell<Vec<(Vec<u8>, Address)>>,
    transport: RefCell<Option<DatagramTransport>>,
    news: WaitQueue,
}

type Reaction = Rc<dyn Fn(&DatagramTransport)>;

/// Logs; reacts by name of the callback.
#[derive(Clone, Default)]
pub(crate) struct Logger {
    pub(crate) log: Log,
    reactions: BTreeMap<&'static str, Reaction>,
}

impl Log {
    fn add(&self, event: String) {
        self.0.events.borrow_mut().push(event);
        self.0.news.wake_all();
    }

    /// Everything so far but the packets.
    pub(crate) fn events(&self) -> Vec<String> {
        self.0.events.borrow().clone()
    }

    pub(crate) fn packets(&self) -> Vec<(Vec<u8>, Address)> {
        self.0.packets.borrow().clone()
    }

    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        self.0.packets.borrow().iter().map(|(packet, _)| packet.clone()).collect()
    }

    pub(crate) async fn until_event(&self, event: &str) {
        while !self.events().iter().any(|seen| seen.starts_with(event)) {
            self.0.news.wait().await;
        }
    }

    pub(crate) async fn until_packets(&self, count: usize) {
        while self.0.packets.borrow().len() < count {
            self.0.news.wait().await;
        }
    }
}

impl Logger {
    pub(crate) fn on(mut self, callback: &'static str, reaction: impl Fn(&DatagramTransport) + 'static) -> Self {
        self.reactions.insert(callback, Rc::new(reaction));
        self
    }

    fn react(&self, callback: &'static str) {
        let transport = self.log.0.transport.borrow().clone();
        if let (Some(reaction), Some(transport)) = (self.reactions.get(callback), transport) {
            reaction(&transport);
        }
    }
}

impl DatagramProtocol for Logger {
    fn connection_made(&mut self, transport: &DatagramTransport) {
        self.log.0.transport.replace(Some(transport.clone()));
        self.log.add("made".into());
        self.react("made");
    }

    fn datagram_received(&mut self, data: &[u8], addr: &Address) {
        self.log.0.packets.borrow_mut().push((data.to_vec(), addr.clone()));
        self.log.0.news.wake_all();
        self.react("packet");
    }

    fn error_received(&mut self, error: io::Error) {
        self.log.add(format!("error: {:?}", error.kind()));
        self.react("error");
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.log.add(format!("lost: {error:?}"));
        self.react("lost");
    }

    fn pause_writing(&mut self) {
        self.log.add("pause".into());
        self.react("pause");
    }

    fn resume_writing(&mut self) {
        self.log.add("resume".into());
        self.react("resume");
    }
}

/// An endpoint on the loopback.
pub(crate) async fn bound(logger: &Logger) -> (DatagramTransport, SocketAddr) {
    let event_loop = get_running_loop();
    let made = event_loop.create_datagram_endpoint(|| logger.clone()).local_addr(("127.0.0.1", 0)).await;
    let (transport, _) = made.unwrap();
    let address = transport.local_addr().unwrap();
    (transport, address)
}

/// An endpoint that is connected to `remote`.
pub(crate) async fn connected(logger: &Logger, remote: SocketAddr) -> DatagramTransport {
    let made = get_running_loop().create_datagram_endpoint(|| logger.clone()).remote_addr(remote).await;
    made.unwrap().0
}

/// Closes endpoints, and waits until their protocols know.
pub(crate) async fn close_all<const N: usize>(open: [(&DatagramTransport, &Logger); N]) {
    for (transport, logger) in open {
        transport.close();
        logger.log.until_event("lost: None").await;
        assert_eq!(logger.log.events().iter().filter(|event| event.starts_with("lost")).count(), 1);
    }
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
