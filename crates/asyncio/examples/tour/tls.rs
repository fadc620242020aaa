//! TLS: the same protocols, encrypted; in the middle of a connection, too; and a cut that is not taken for an end.

use crate::{Done, say};
use asyncio::prelude::*;
use asyncio::{Protocol, SslContext, Transport};
use std::cell::RefCell;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;

const BYTES: usize = 8 << 20;

pub(crate) fn tour() -> io::Result<Done> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    let (certificate, key) = (own.cert.pem().into_bytes(), own.signing_key.serialize_pem().into_bytes());
    let server = SslContext::server(certificate.clone(), key).alpn_protocols(["echo"]).build()?;
    let client = SslContext::client().root_certificates(certificate).alpn_protocols(["echo"]).build()?;
    let stranger = SslContext::client().root_certificates(another()?).build()?;
    asyncio::run(async move {
        echo(&server, &client).await?;
        upgrade(&server, &client).await?;
        cut(&server, &client).await?;
        refused(&server, &stranger).await?;
        Ok(Done::new(BYTES, "bytes there and back, encrypted"))
    })
}

fn another() -> io::Result<Vec<u8>> {
    let other = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).map_err(io::Error::other)?;
    Ok(other.cert.pem().into_bytes())
}

/// Sends back what it gets.
#[derive(Default)]
struct Echo(Option<Transport>);

impl Protocol for Echo {
    fn connection_made(&mut self, transport: &Transport) {
        self.0 = Some(transport.clone());
    }

    fn data_received(&mut self, data: &[u8]) {
        self.0.as_ref().expect("it is open").write(data);
    }

    fn pause_writing(&mut self) {
        self.0.as_ref().expect("it is open").pause_reading();
    }

    fn resume_writing(&mut self) {
        self.0.as_ref().expect("it is open").resume_reading();
    }
}

/// Counts what comes; tells when so much has come, and how it ends.
struct Counter {
    received: usize,
    expected: usize,
    all_is_there: asyncio::Future<()>,
    lost: asyncio::Future<Option<io::ErrorKind>>,
}

impl Counter {
    fn new(expected: usize) -> Self {
        let event_loop = asyncio::get_running_loop();
        Self { received: 0, expected, all_is_there: event_loop.create_future(), lost: event_loop.create_future() }
    }
}

impl Protocol for Counter {
    fn data_received(&mut self, data: &[u8]) {
        self.received += data.len();
        if self.received == self.expected {
            self.all_is_there.set_result(()).expect("told once");
        }
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.lost.set_result(error.map(|error| error.kind())).expect("told once");
    }
}

async fn echo(server: &SslContext, client: &SslContext) -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let listening = event_loop.create_server(Echo::default, ("127.0.0.1", 0)).ssl(server).await?;
    let counter = Counter::new(BYTES);
    let (all_is_there, lost) = (counter.all_is_there.clone(), counter.lost.clone());
    let connecting = event_loop.create_connection(|| counter, listening.local_addrs()[0]).ssl(client);
    let (transport, _) = connecting.server_hostname("localhost").await?;
    let agreed = transport.ssl_object().expect("the handshake is done");
    say(format_args!("{} with {}, and both speak {:?}", agreed.version, agreed.cipher.name, agreed.alpn));
    let begin = event_loop.time();
    transport.write_bytes(vec![7; BYTES]);
    all_is_there.await.expect("not cancelled");
    let rate = 2.0 * BYTES as f64 / (event_loop.time() - begin) / 1e6;
    say(format_args!("{} MiB there and back: {rate:.0} MB a second", BYTES >> 20));
    transport.close();
    assert_eq!(lost.await.expect("not cancelled"), None, "both have taken leave");
    listening.close();
    listening.wait_closed().await
}

async fn upgrade(server: &SslContext, client: &SslContext) -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let accepted = Rc::new(RefCell::new(None));
    let place = accepted.clone();
    let serving = event_loop.create_server(move || Keep(place.clone()), ("127.0.0.1", 0)).await?;
    let (near, _) = event_loop.create_connection(Echo::default, serving.local_addrs()[0]).await?;
    while accepted.borrow().is_none() {
        asyncio::sleep(0).await;
    }
    let far: Transport = accepted.take().expect("it was made");
    // Twice: the second time it is TLS inside TLS.
    for depth in 1..=2 {
        let echo = Rc::new(RefCell::new(Echo(Some(far.clone()))));
        let (its_loop, its_end, context) = (event_loop.clone(), far.clone(), server.clone());
        let accepting =
            asyncio::create_task(async move { its_loop.start_tls(&its_end, &echo, context).await.map(drop) });
        let counter = Counter::new(6);
        let all_is_there = counter.all_is_there.clone();
        let counter = Rc::new(RefCell::new(counter));
        event_loop.start_tls(&near, &counter, client).server_hostname("localhost").await?;
        accepting.await.expect("not cancelled")?;
        near.write(b"secret");
        all_is_there.await.expect("not cancelled");
        say(format_args!("start_tls in the middle of a connection, {depth} deep"));
    }
    near.close();
    serving.close();
    serving.wait_closed().await
}

/// Hands its transport out.
struct Keep(Rc<RefCell<Option<Transport>>>);

impl Protocol for Keep {
    fn connection_made(&mut self, transport: &Transport) {
        self.0.replace(Some(transport.clone()));
    }
}

async fn cut(server: &SslContext, client: &SslContext) -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let accepted = Rc::new(RefCell::new(None));
    let place = accepted.clone();
    let serving = event_loop.create_server(move || Keep(place.clone()), ("127.0.0.1", 0)).ssl(server).await?;
    let counter = Counter::new(1);
    let lost = counter.lost.clone();
    let connecting = event_loop.create_connection(|| counter, serving.local_addrs()[0]).ssl(client);
    let (transport, _) = connecting.server_hostname("localhost").await?;
    while accepted.borrow().is_none() {
        asyncio::sleep(0).await;
    }
    // As somebody on the way would do it.
    let far: Transport = accepted.take().expect("it was made");
    far.socket().shutdown(Shutdown::Write)?;
    assert_eq!(lost.await.expect("not cancelled"), Some(io::ErrorKind::UnexpectedEof));
    say(format_args!("a connection that is cut off is not one that has ended"));
    drop(transport);
    far.abort();
    serving.close();
    serving.wait_closed().await
}

async fn refused(server: &SslContext, stranger: &SslContext) -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let serving = event_loop.create_server(Echo::default, ("127.0.0.1", 0)).ssl(server).await?;
    let connecting = event_loop.create_connection(Echo::default, serving.local_addrs()[0]).ssl(stranger);
    let error = connecting.server_hostname("localhost").await.map(drop).expect_err("it is a stranger");
    let reason = error.get_ref().and_then(|error| error.downcast_ref::<asyncio::SslError>());
    assert!(reason.is_some_and(asyncio::SslError::is_certificate_error));
    say(format_args!("whom nobody vouches for is refused: {error}"));
    serving.close();
    serving.wait_closed().await
}
