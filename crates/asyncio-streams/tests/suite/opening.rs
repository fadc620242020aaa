//! Where streams come from beside `open_connection` and `start_server`: Unix sockets, sockets that exist, pairs in memory.

use crate::drivers;
use crate::rig::Rig;
use crate::script;
use asyncio_loop::get_running_loop;
use asyncio_streams::{StreamPair, StreamReaderProtocol};
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::LoopTransportsExt as _;
use futures_util::FutureExt as _;

drivers::on_each_driver! {
    async fn halves_make_a_pair_and_come_apart_again() {
        let rig = Rig::new(64).await;
        let mut pair = rig.reader.reunite(rig.writer);
        pair.split().1.write("ping");
        let (server_reader, server_writer) = (rig.server_reader, rig.server_writer);
        let mut other = StreamPair::from((server_reader, server_writer));
        assert_eq!(other.split().0.readexactly(4).await.unwrap(), "ping");
        let (reader, writer) = other.into_split();
        writer.write_all("pong").await.unwrap();
        let (mut client_reader, client_writer) = pair.into_split();
        assert_eq!(client_reader.readexactly(4).await.unwrap(), "pong");
        drop((client_reader, client_writer, reader, writer));
        crate::rig::end(rig.server).await;
    }
}

#[test]
fn anything_that_takes_a_protocol_can_have_streams() {
    let (event_loop, script) = script::scripted_and_script();
    let (here, there) = script.stream_pair();
    drivers::run_on(&event_loop, async move {
        let event_loop = get_running_loop();
        assert!(StreamReaderProtocol::default().streams().is_none(), "there is no connection yet");
        let (_, protocol) = event_loop.connect_endpoint(StreamReaderProtocol::default, here).await.unwrap();
        let (mut reader, writer) = protocol.borrow().streams().unwrap();
        assert!(protocol.borrow().streams().is_none(), "they were taken");
        let (_, other) = event_loop.connect_endpoint(|| StreamReaderProtocol::new(10), there).await.unwrap();
        let (mut other_reader, other_writer) = other.borrow().streams().unwrap();
        other_writer.write("through memory\n");
        assert_eq!(reader.readline().await.unwrap(), "through memory\n");
        assert_eq!(other_reader.limit(), 10);
        drop(writer);
        assert_eq!(other_reader.read(-1).await.unwrap(), "");
        drop((reader, other_reader, other_writer));
    });
}

#[test]
fn streams_may_outlive_their_loop() {
    let (event_loop, script) = script::scripted_and_script();
    let (here, _there) = script.stream_pair();
    let inner = event_loop.clone();
    let opening = async move {
        let (_, protocol) = inner.connect_endpoint(StreamReaderProtocol::default, here).await.unwrap();
        protocol.borrow().streams().unwrap()
    };
    let (mut reader, writer) = event_loop.run_until_complete(opening).unwrap();
    event_loop.close().unwrap();
    assert!(reader.read(1).now_or_never().is_none(), "nothing comes any more");
    writer.write("nowhere");
    assert!(writer.is_closing());
    drop((reader, writer));
}

#[cfg(unix)]
mod unix {
    use super::drivers;
    use crate::rig::end;
    use asyncio_streams::{
        StreamReader, StreamWriter, open_connection_on, open_unix_connection, start_server_on, start_unix_server,
    };
    use std::io;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    async fn echo(mut reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
        let line = reader.readline().await?;
        writer.write_all(line).await
    }

    #[test]
    fn unix_sockets_and_sockets_that_exist_have_streams() {
        drivers::run_on(&drivers::platform(), async {
            let path = std::env::temp_dir().join(format!("asyncio-streams-{}.socket", std::process::id()));
            let server = start_unix_server(echo, &path).backlog(5).mode(0o600).limit(100).await.unwrap();
            let (mut reader, writer) = open_unix_connection(&path).limit(50).await.unwrap();
            assert_eq!(reader.limit(), 50);
            writer.write("over a file\n");
            assert_eq!(reader.read(-1).await.unwrap(), "over a file\n");
            drop((reader, writer));
            end(server).await;
            assert!(!path.exists());

            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let server = start_server_on(echo, listener).await.unwrap();
            let (mut reader, writer) = open_connection_on(client).await.unwrap();
            writer.write("made elsewhere\n");
            assert_eq!(reader.read(-1).await.unwrap(), "made elsewhere\n");
            drop((reader, writer));
            end(server).await;

            let (one, two) = UnixStream::pair().unwrap();
            let (mut reader, _writer) = open_connection_on(one).await.unwrap();
            let (_reader, writer) = open_connection_on(two).await.unwrap();
            writer.write("pair");
            assert_eq!(reader.readexactly(4).await.unwrap(), "pair");
            assert_eq!(writer.peer_addr().unwrap_err().kind(), io::ErrorKind::Unsupported);
            drop((_reader, writer));
            assert_eq!(reader.read(-1).await.unwrap(), "");
        });
    }
}
