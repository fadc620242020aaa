//! Two ends of a connection, and what a loop reports.

use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_streams::{StreamReader, StreamWriter, open_connection, start_server};
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::Server;
use std::cell::RefCell;
use std::rc::Rc;

/// Both ends of a connection, and the server that it came from.
pub(crate) struct Rig {
    pub(crate) reader: StreamReader,
    pub(crate) writer: StreamWriter,
    pub(crate) server_reader: StreamReader,
    pub(crate) server_writer: StreamWriter,
    pub(crate) server: Server,
}

impl Rig {
    /// Readers have the given limit.
    pub(crate) async fn new(limit: usize) -> Self {
        let accepted = Rc::new(RefCell::new(None));
        let told = get_running_loop().create_future::<()>();
        let (slot, teller) = (accepted.clone(), told.clone());
        let keep = async move |reader, writer| {
            slot.replace(Some((reader, writer)));
            teller.set_result(()).unwrap();
        };
        let server = start_server(keep, ("127.0.0.1", 0)).limit(limit).await.unwrap();
        let (reader, writer) = open_connection(server.local_addrs()[0]).limit(limit).await.unwrap();
        told.await.unwrap();
        let (server_reader, server_writer) = accepted.take().unwrap();
        Self { reader, writer, server_reader, server_writer, server }
    }

    /// Closes everything, and waits for that.
    pub(crate) async fn end(self) {
        let server = self.server.clone();
        drop(self);
        end(server).await;
    }
}

pub(crate) async fn end(server: Server) {
    server.close();
    server.wait_closed().await.unwrap();
}

/// What is reported to the exception handler from now on: message, error or panic, and peer.
pub(crate) fn reports(event_loop: &EventLoop) -> Rc<RefCell<Vec<[String; 3]>>> {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let seen = reports.clone();
    event_loop.set_exception_handler(move |_, report| {
        let error = report.error().map(ToString::to_string);
        let cause = error.or_else(|| report.panic_message().map(String::from)).unwrap_or_default();
        let peer = report.get("peername").unwrap_or_default();
        seen.borrow_mut().push([report.message().into(), cause, peer.into()]);
    });
    reports
}
