//! hyper's servers and clients, HTTP/1 and HTTP/2, on our streams: in virtual time, and on every driver.

use crate::drivers;
use crate::script;
use asyncio_streams::{StreamPair, StreamReader, StreamWriter, open_connection, start_server};
use asyncio_tasks::create_task;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server};
use std::convert::Infallible;

/// Runs hyper's tasks on the loop; they need not be `Send`.
#[derive(Clone)]
struct OnLoop;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnLoop {
    fn execute(&self, future: F) {
        drop(create_task(future));
    }
}

/// Gives back what it gets.
async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let response = Response::builder().header("x-path", path);
    Ok(match request.into_body().collect().await {
        Ok(body) => response.body(Full::new(body.to_bytes())),
        Err(_) => response.status(StatusCode::BAD_REQUEST).body(Full::default()),
    }
    .unwrap())
}

async fn serve_http1(reader: StreamReader, writer: StreamWriter) -> hyper::Result<()> {
    server::conn::http1::Builder::new().serve_connection(reader.reunite(writer), service_fn(answer)).await
}

async fn serve_http2(reader: StreamReader, writer: StreamWriter) -> hyper::Result<()> {
    server::conn::http2::Builder::new(OnLoop).serve_connection(reader.reunite(writer), service_fn(answer)).await
}

fn request(path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::post(path).header("host", "localhost").body(Full::new(body)).unwrap()
}

/// From nothing to more than any buffer holds.
const SIZES: [usize; 4] = [0, 13, 100_000, 3_000_000];

drivers::on_each_driver! {
    async fn http1_keeps_a_connection_for_requests_of_every_size() {
        let server = start_server(serve_http1, ("127.0.0.1", 0)).await.unwrap();
        let pair = StreamPair::from(open_connection(server.local_addrs()[0]).await.unwrap());
        let (mut sender, connection) = client::conn::http1::handshake(pair).await.unwrap();
        let connection = create_task(connection);
        for bytes in SIZES {
            let body = Bytes::from(vec![b'x'; bytes]);
            sender.ready().await.unwrap();
            let response = sender.send_request(request(&format!("/{bytes}"), body.clone())).await.unwrap();
            assert_eq!(response.headers()["x-path"], format!("/{bytes}"));
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
        }
        assert_eq!(server.client_count(), 1);
        drop(sender);
        connection.await.unwrap().unwrap();
        server.close();
        server.wait_closed().await.unwrap();
    }

    async fn http2_has_many_requests_under_way_on_one_connection() {
        let server = start_server(serve_http2, ("127.0.0.1", 0)).await.unwrap();
        let pair = StreamPair::from(open_connection(server.local_addrs()[0]).await.unwrap());
        let (sender, connection) = client::conn::http2::handshake(OnLoop, pair).await.unwrap();
        let connection = create_task(connection);
        let requests = SIZES.map(|bytes| {
            let mut sender = sender.clone();
            create_task(async move {
                let body = Bytes::from(vec![b'y'; bytes]);
                let response = sender.send_request(request("/", body.clone())).await.unwrap();
                assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), body);
            })
        });
        for request in requests {
            request.await.unwrap();
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        server.close();
        server.wait_closed().await.unwrap();
    }
}

#[test]
fn http_in_segments_of_one_byte() {
    let event_loop = script::scripted_with(|script| {
        script.set_recv_max(Some(1));
        script.set_send_max(Some(7));
    });
    drivers::run_on(&event_loop, async {
        let server = start_server(serve_http1, ("127.0.0.1", 0)).await.unwrap();
        let pair = StreamPair::from(open_connection(server.local_addrs()[0]).await.unwrap());
        let (mut sender, connection) = client::conn::http1::handshake(pair).await.unwrap();
        let connection = create_task(connection);
        let response = sender.send_request(request("/slow", "drop by drop".into())).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "drop by drop");
        drop(sender);
        connection.await.unwrap().unwrap();
        server.close();
        server.wait_closed().await.unwrap();
    });
}
