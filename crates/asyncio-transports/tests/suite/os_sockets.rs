//! What only real sockets have: Unix socket files, sockets that exist, descriptors that run out, and other drivers' ends.

use crate::drivers;
use crate::recorder::{Recorder, connect, end, reports};
use asyncio_driver::Address;
use asyncio_loop::get_running_loop;
use asyncio_transports::LoopTransportsExt as _;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

/// A path of this process and one test; what is there is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("asyncio-transports-{}-{name}", std::process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn run(main: impl Future<Output = ()> + 'static) {
    drivers::run_on(&drivers::platform(), main);
}

// sem. 238, 239
#[test]
fn a_stale_socket_file_is_replaced_and_nothing_else() {
    run(async {
        let event_loop = get_running_loop();
        let scratch = Scratch::new("stale");
        let path = &scratch.0;
        drop(UnixListener::bind(path).unwrap());
        assert!(path.exists(), "it is left by a server that is gone");
        let server = event_loop.create_unix_server(Recorder::default, path).mode(0o600).await.unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let (transport, _) = event_loop.create_unix_connection(Recorder::default, path).await.unwrap();
        assert_eq!(transport.peername(), Some(Address::Unix(path.clone())));
        assert_eq!(transport.peer_addr().unwrap_err().kind(), io::ErrorKind::Unsupported);
        assert_eq!((server.local_addrs(), server.sockets()), (vec![], vec![Address::Unix(path.clone())]));

        let refused = event_loop.create_unix_server(Recorder::default, path).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AddrInUse, "it is alive");
        transport.close();
        end(server).await;
        assert!(!path.exists());

        // One that was replaced by somebody else is not ours to remove.
        let server = event_loop.create_unix_server(Recorder::default, path).await.unwrap();
        fs::remove_file(path).unwrap();
        let other = UnixListener::bind(path).unwrap();
        end(server).await;
        assert!(path.exists());
        drop(other);
        fs::remove_file(path).unwrap();
        fs::write(path, b"precious").unwrap();
        let refused = event_loop.create_unix_server(Recorder::default, path).await.unwrap_err();
        assert_eq!((refused.kind(), fs::read(path).unwrap()), (io::ErrorKind::AddrInUse, b"precious".to_vec()));
    });
}

// sem. 240
#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_has_no_file() {
    run(async {
        let event_loop = get_running_loop();
        let name = format!("\0asyncio-transports-{}", std::process::id());
        let server = event_loop.create_unix_server(|| Recorder::default().on("data", |it| it.write(b"!")), &*name);
        let server = server.await.unwrap();
        let client = Recorder::default().on("made", |it| it.write(b"?"));
        event_loop.create_unix_connection(|| client.clone(), &*name).await.unwrap();
        client.record.until_received(1).await;
        client.record.transport().close();
        end(server).await;
    });
}

// sem. 225
#[test]
fn sockets_that_exist_become_transports_and_servers() {
    run(async {
        let event_loop = get_running_loop();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let far = Recorder::default();
        let factory = far.clone();
        let server = event_loop.create_server_on(move || factory.clone(), listener).await.unwrap();
        assert_eq!(server.local_addrs(), [address]);
        let near = Recorder::default();
        let (transport, _) =
            event_loop.create_connection_on(|| near.clone(), TcpStream::connect(address).unwrap()).await.unwrap();
        assert_eq!(transport.peer_addr().unwrap(), address);
        far.record.until_event("made").await;
        far.record.transport().write(b"hello");
        near.record.until_received(5).await;
        assert!(transport.socket().dup().is_ok() && transport.get_extra_info("socket").is_some());
        transport.close();
        end(server).await;

        let (one, other) = UnixStream::pair().unwrap();
        let (first, second) = (Recorder::default(), Recorder::default().on("data", |it| it.close()));
        event_loop.connect_accepted_socket(|| first.clone(), one).await.unwrap();
        event_loop.connect_accepted_socket(|| second.clone(), other).await.unwrap();
        first.record.transport().write(b"by pair");
        first.record.until_event("lost").await;
        assert_eq!(second.record.received(), b"by pair");

        let packets = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let refused = event_loop.create_connection_on(Recorder::default, packets).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    });
}

// sem. 19
#[test]
fn the_descriptor_of_a_transport_cannot_be_watched() {
    for event_loop in [drivers::platform(), drivers::polling()] {
        drivers::run_on(&event_loop, async {
            let event_loop = get_running_loop();
            let (one, _other) = UnixStream::pair().unwrap();
            let duplicate = one.try_clone().unwrap();
            let (transport, _) = event_loop.create_connection_on(Recorder::default, one).await.unwrap();
            let refused = transport.socket().with_fd(|fd| event_loop.add_reader(&fd, || ())).unwrap();
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
            event_loop.add_reader(&duplicate, || ()).expect("a duplicate is another descriptor");
            assert!(event_loop.remove_reader(&duplicate));
            transport.abort();
        });
    }
}

// sem. 230
#[test]
fn without_descriptors_accepting_pauses_and_goes_on_afterwards() {
    // In a process of its own, for the limit is the whole process's.
    const CHILD: &str = "ASYNCIO_EXHAUSTION_CHILD";
    if std::env::var_os(CHILD).is_none() {
        let own = std::env::current_exe().unwrap();
        let name = "os_sockets::without_descriptors_accepting_pauses_and_goes_on_afterwards";
        let child = std::process::Command::new(own).args(["--exact", name, "--nocapture"]).env(CHILD, "1").output();
        let child = child.unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
        return;
    }
    run(async {
        let event_loop = get_running_loop();
        let reports = reports(&event_loop);
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        let waiting: Vec<_> = (0..2).map(|_| TcpStream::connect(listening.local_addrs()[0]).unwrap()).collect();
        let mut hoard = Vec::new();
        let error = loop {
            match fs::File::open("/dev/null") {
                Ok(file) => hoard.push(file),
                Err(error) => break error,
            }
            assert!(hoard.len() < 100_000, "no limit");
        };
        assert!(asyncio_driver::is_exhaustion(&error), "{error}");
        while reports.borrow().is_empty() {
            asyncio_tasks::yield_now().await;
        }
        // The others are served meanwhile.
        transport.write(b"x");
        server.record.until_received(1).await;
        drop(hoard);
        while listening.client_count() < 1 + waiting.len() {
            asyncio_tasks::sleep(0.05).await;
        }
        assert_eq!(reports.take(), ["accepting connections pauses: the system is out of resources"]);
        drop(waiting);
        transport.close();
        end(listening).await;
    });
}
