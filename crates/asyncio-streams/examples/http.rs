//! A server and a client of hyper's, on our loop: `cargo run -p asyncio-streams --features hyper --example http`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use asyncio_streams::{StreamPair, StreamReader, StreamWriter, open_connection, start_server};
use asyncio_tasks::{create_task, run};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::rc::Rc;

fn main() -> Result<(), Box<dyn Error>> {
    run(async {
        // Not `Send`, and no lock: everything happens on this thread.
        let visits = Rc::new(Cell::new(0));
        let handler = async move |reader: StreamReader, writer: StreamWriter| {
            let greet = service_fn(async |request: Request<Incoming>| {
                visits.set(visits.get() + 1);
                let text = format!("hello, {}, visitor {}", request.uri().path(), visits.get());
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
            });
            server::conn::http1::Builder::new().serve_connection(reader.reunite(writer), greet).await
        };
        let server = start_server(handler, ("127.0.0.1", 0)).await?;

        let streams = open_connection(server.local_addrs()[0]).await?;
        let (mut sender, connection) = client::conn::http1::handshake(StreamPair::from(streams)).await?;
        drop(create_task(connection));
        for path in ["/one", "/two"] {
            let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new())?;
            let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
            println!("{}", String::from_utf8_lossy(&body));
        }
        server.close();
        Ok(())
    })
}
