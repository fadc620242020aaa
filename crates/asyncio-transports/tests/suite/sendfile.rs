//! Files over transports and sockets. On each driver that has sockets of the system.

use crate::drivers;
use crate::recorder::{Recorder, connect, end};
use asyncio_loop::get_running_loop;
use asyncio_tasks::{create_task, yield_now};
use asyncio_transports::{LoopSocketsExt as _, SendfileNotAvailableError, Socket};
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// Bytes that repeat nowhere soon.
fn content(bytes: usize) -> Vec<u8> {
    (0..u32::try_from(bytes).unwrap()).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A file without a name.
fn file_of(content: &[u8]) -> File {
    let path = std::env::temp_dir().join(format!("asyncio-sendfile-{}-{:p}", std::process::id(), content));
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.write_all(content).unwrap();
    file
}

fn position(mut file: &File) -> u64 {
    file.stream_position().unwrap()
}

/// A pipe is no file that the kernel could map: it has to be read.
fn pipe_of(content: Vec<u8>) -> File {
    let (reader, mut writer) = io::pipe().unwrap();
    #[expect(clippy::disallowed_methods, reason = "somebody outside of the loop has to fill the pipe")]
    std::thread::spawn(move || writer.write_all(&content));
    OwnedFd::from(reader).into()
}

drivers::on_each_driver! { with sockets:
    // sem. 244
    async fn a_file_comes_between_what_is_written_before_and_after() {
        let (event_loop, content) = (get_running_loop(), content(3_000_000));
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        let file = file_of(&content);
        transport.write(b"before ");
        let meanwhile = transport.clone();
        let sending = create_task(async move {
            let sent = get_running_loop().sendfile(&transport, &file).offset(10).await.unwrap();
            assert_eq!((sent, position(&file)), (2_999_990, 3_000_000));
            transport
        });
        yield_now().await;
        meanwhile.write(b" after");
        server.record.until_received(7 + 2_999_990 + 6).await;
        let transport = sending.await.unwrap();
        let received = server.record.received();
        assert!(received == [b"before ", &content[10..], b" after"].concat(), "{} bytes", received.len());
        assert_eq!(client.record.events(), ["made"], "nobody is told to pause for a file");

        let file = file_of(&content);
        let sent = event_loop.sendfile(&transport, &file).offset(5).count(20).await.unwrap();
        assert_eq!((sent, position(&file)), (20, 25));
        let beyond = event_loop.sendfile(&transport, &file).offset(3_000_000).await.unwrap();
        assert_eq!(beyond, 0);
        server.record.until_received(received.len() + 20).await;
        assert_eq!(server.record.received()[received.len()..], content[5..25]);
        // The end of the file is before the end of the stream, and the end of the stream comes.
        let last = event_loop.clone();
        let sending = create_task(async move { last.sendfile(&transport, &file).await.map(|sent| (sent, transport.close())) });
        server.record.until_event("lost").await;
        assert_eq!(sending.await.unwrap().unwrap().0, 3_000_000);
        assert_eq!(server.record.received().len(), received.len() + 20 + 3_000_000);
        end(listening).await;
    }

    // sem. 245, 246
    async fn what_the_kernel_cannot_send_is_read() {
        let (event_loop, content) = (get_running_loop(), content(1_000_000));
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        let pipe = pipe_of(content.clone());
        let refused = event_loop.sendfile(&transport, &pipe).fallback(false).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        assert!(refused.get_ref().unwrap().is::<SendfileNotAvailableError>(), "{refused}");
        assert_eq!(event_loop.sendfile(&transport, &pipe).count(1000).await.unwrap(), 1000);
        assert_eq!(event_loop.sendfile(&transport, &pipe).await.unwrap(), 999_000);
        server.record.until_received(1_000_000).await;
        assert!(server.record.received() == content);
        assert_eq!(client.record.events(), ["made"]);
        let nothing = event_loop.sendfile(&transport, &pipe).count(0).await.unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::InvalidInput);
        transport.close();
        let closing = event_loop.sendfile(&transport, &pipe).await.unwrap_err();
        assert_eq!(closing.kind(), io::ErrorKind::NotConnected);
        end(listening).await;
    }

    async fn a_connection_that_is_lost_or_closed_ends_it() {
        let event_loop = get_running_loop();
        for is_aborted_here in [true, false] {
            let (client, server) = (Recorder::default(), Recorder::default().on("made", |it| it.pause_reading()));
            let ((transport, _), listening) = connect(&client, &server).await;
            // More than the buffers of the system hold.
            let file = file_of(&content(30_000_000));
            let (inner, ours) = (event_loop.clone(), transport.clone());
            let sending = create_task(async move { (inner.sendfile(&ours, &file).await, position(&file)) });
            for _ in 0..10 { yield_now().await; }
            assert!(!sending.done());
            if is_aborted_here { transport.abort() } else { server.record.transport().abort() }
            let (outcome, position) = sending.await.unwrap();
            let error = outcome.unwrap_err();
            assert!([io::ErrorKind::NotConnected, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe].contains(&error.kind()), "{error}");
            assert!(position > 0 && position < 30_000_000, "{position}");
            client.record.until_event("lost").await;
            // It does not read, and so has not seen the end.
            server.record.transport().abort();
            end(listening).await;
        }
    }

    async fn a_transfer_that_is_given_up_leaves_the_transport_alive() {
        let event_loop = get_running_loop();
        let (client, server) = (Recorder::default(), Recorder::default().on("made", |it| it.pause_reading()));
        let ((transport, _), listening) = connect(&client, &server).await;
        let file = file_of(&content(30_000_000));
        let (inner, ours) = (event_loop.clone(), transport.clone());
        let sending = create_task(async move { inner.sendfile(&ours, &file).await });
        for _ in 0..10 { yield_now().await; }
        sending.cancel();
        assert!(sending.await.is_err());
        transport.write(b"the end");
        transport.close();
        server.record.transport().resume_reading();
        server.record.until_event("lost").await;
        let received = server.record.received();
        assert!(received.len() < 30_000_000 && received.ends_with(b"the end"), "{}", received.len());
        end(listening).await;
    }

    async fn a_socket_sends_files() {
        let (event_loop, content) = (get_running_loop(), Rc::new(content(2_000_000)));
        for is_file in [true, false] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let (ours, theirs) = (Socket::new(ours).unwrap(), Socket::new(theirs).unwrap());
            let (inner, file) = (event_loop.clone(), if is_file { file_of(&content) } else { pipe_of(content.to_vec()) });
            let sending = create_task(async move { inner.sock_sendfile(&ours, &file).count(1_500_000).await.unwrap() });
            let mut received = Vec::new();
            loop {
                let some = event_loop.sock_recv(&theirs, 100_000).await.unwrap();
                if some.is_empty() { break; }
                received.extend_from_slice(&some);
            }
            assert_eq!(sending.await.unwrap(), 1_500_000);
            assert!(received == content[..1_500_000]);
        }
        let datagram = Socket::datagram_for(std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let refused = event_loop.sock_sendfile(&datagram, &file_of(b"x")).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
