//! Streams over TLS: the same bytes, and a cut that is no end.

use asyncio_driver::PollingDriver;
use asyncio_loop::EventLoop;
use asyncio_streams::{StreamReader, StreamWriter, open_connection, start_server};
use asyncio_tasks::LoopTasksExt as _;
use asyncio_testing::{ScriptedDriver, VirtualClock};
use asyncio_transports::SslContext;
use std::io;

/// A client's context and a server's, that fit.
fn contexts() -> (SslContext, SslContext) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (own.cert.pem().into_bytes(), own.signing_key.serialize_pem().into_bytes());
    let client = SslContext::client().root_certificates(certificate.clone()).build().unwrap();
    (client, SslContext::server(certificate, key).build().unwrap())
}

fn on_each_driver<F: Future<Output = io::Result<()>> + 'static>(main: impl Fn() -> F) {
    let scripted = EventLoop::builder().driver(Box::new(ScriptedDriver::new(&VirtualClock::new())));
    let polling = EventLoop::builder().driver(Box::new(PollingDriver::new().unwrap()));
    for event_loop in [EventLoop::builder(), scripted, polling].map(|builder| builder.build().unwrap()) {
        event_loop.run_until_complete(main()).unwrap().unwrap();
        event_loop.run_until_blocked().unwrap();
        assert_eq!(event_loop.pending(), [], "nothing is left behind");
        event_loop.close().unwrap();
    }
}

#[test]
fn lines_and_bulk_travel_encrypted() {
    on_each_driver(async || {
        let (client, server) = contexts();
        let serve = async |mut reader: StreamReader, writer: StreamWriter| {
            let line = reader.readline().await.unwrap();
            assert!(writer.get_extra_info("cipher").is_some());
            writer.write(&line);
            let rest = reader.read(-1).await.unwrap();
            assert!(rest == vec![7; 1_000_000]);
            writer.close();
            writer.wait_closed().await.unwrap();
        };
        let serving = start_server(serve, ("127.0.0.1", 0)).ssl(server).ssl_handshake_timeout(5).await?;
        let connecting = open_connection(serving.local_addrs()[0]).ssl(client).server_hostname("localhost");
        let (mut reader, writer) = connecting.ssl_shutdown_timeout(5).await?;
        writer.write(b"a line\n");
        assert_eq!(&reader.readline().await.unwrap()[..], b"a line\n");
        writer.write(vec![7; 1_000_000]);
        writer.drain().await?;
        writer.close();
        writer.wait_closed().await?;
        serving.close();
        serving.wait_closed().await
    });
}

#[test]
fn a_cut_is_an_error_for_whoever_reads() {
    on_each_driver(async || {
        let (client, server) = contexts();
        let serve = async |_reader: StreamReader, writer: StreamWriter| {
            writer.write(b"half of");
            writer.drain().await.unwrap();
            writer.transport().socket().shutdown(std::net::Shutdown::Write).unwrap();
            writer.transport().abort();
        };
        let serving = start_server(serve, ("127.0.0.1", 0)).ssl(server).await?;
        let connecting = open_connection(serving.local_addrs()[0]).ssl(client).server_hostname("localhost");
        let (mut reader, writer) = connecting.await?;
        let error = reader.read(-1).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{error}");
        drop(writer);
        serving.close();
        serving.wait_closed().await
    });
}
