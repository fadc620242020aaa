//! Listening sockets that come from elsewhere and go elsewhere: a service manager's, and those of a server that is replaced by
//! another process while clients connect all the time. The other process is this program, started once more.
#![cfg(target_os = "linux")]

use asyncio_driver::{OsSocket, take_inherited_sockets};
use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::{LoopSocketsExt as _, LoopTransportsExt as _, Protocol, Socket, Transport};
use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

/// Set in the child.
const CHILD: &str = "ASYNCIO_HANDING_OVER_CHILD";

/// Says who it is, and closes.
struct Greeter(&'static [u8]);

impl Protocol for Greeter {
    fn connection_made(&mut self, transport: &Transport) {
        transport.write(self.0);
        transport.close();
    }
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut answer = String::new();
    TcpStream::connect(address)?.read_to_string(&mut answer)?;
    Ok(answer)
}

fn child_of(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--test-threads=1", "--nocapture"]).env(CHILD, "1").stdout(Stdio::null());
    command
}

/// What the child was given as its standard input.
fn given() -> OwnedFd {
    io::stdin().as_fd().try_clone_to_owned().unwrap()
}

#[test]
fn a_server_is_replaced_and_no_connection_is_refused() {
    if std::env::var_os(CHILD).is_some() {
        return successor();
    }
    let event_loop = EventLoop::builder().build().unwrap();
    let inner = event_loop.clone();
    let main = async move {
        let server = inner.create_server(|| Greeter(b"old"), ("127.0.0.1", 0)).await.unwrap();
        let address = server.local_addrs()[0];
        let (ours, theirs) = UnixStream::pair().unwrap();
        let mut child = child_of("a_server_is_replaced_and_no_connection_is_refused");
        let mut child = child.stdin(OwnedFd::from(theirs)).spawn().unwrap();
        let channel = Socket::new(ours).unwrap();

        // Clients connect from now on until the successor has answered many of them.
        #[expect(clippy::disallowed_methods, reason = "the clients are other programs")]
        let clients = std::thread::spawn(move || {
            let (mut answers, mut by_the_new) = (Vec::new(), 0);
            while by_the_new < 200 {
                let answer = ask(address);
                by_the_new += usize::from(answer.as_ref().is_ok_and(|answer| answer == "new"));
                answers.push(answer);
                assert!(answers.len() < 1_000_000, "the successor does not answer");
            }
            answers
        });
        let sockets = server.dup_sockets().unwrap();
        let fds: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        assert_eq!(inner.sock_send_fds(&channel, b"take over", &fds).await.unwrap(), 9);
        assert_eq!(inner.sock_recv(&channel, 100).await.unwrap(), b"ready".as_slice());
        server.close();
        drop(sockets);
        server.wait_closed().await.unwrap();

        // The clients are other programs: this loop has nothing to do any more.
        let answers = clients.join().unwrap();
        let refused: Vec<_> = answers.iter().filter(|answer| !matches!(answer.as_deref(), Ok("old" | "new"))).collect();
        assert!(refused.is_empty(), "{} of {}: {:?}", refused.len(), answers.len(), refused[0]);
        drop(channel);
        assert!(child.wait().unwrap().success());
    };
    event_loop.run_until_complete(main).unwrap();
}

/// The other process: serves until its predecessor lets go of the channel.
fn successor() {
    let event_loop = EventLoop::builder().build().unwrap();
    let inner = event_loop.clone();
    let main = async move {
        let channel = Socket::new(given()).unwrap();
        let mut room = [0; 100];
        let (bytes, sockets) = inner.sock_recv_fds(&channel, &mut room).await.unwrap();
        assert_eq!((&room[..bytes], sockets.len()), (b"take over".as_slice(), 1));
        let mut servers = Vec::new();
        for socket in sockets {
            servers.push(inner.create_server_on(|| Greeter(b"new"), socket).await.unwrap());
        }
        inner.sock_sendall(&channel, b"ready").await.unwrap();
        assert!(inner.sock_recv(&channel, 100).await.unwrap().is_empty());
        servers.iter().for_each(|server| server.close());
    };
    event_loop.run_until_complete(main).unwrap();
}

#[test]
fn a_service_manager_may_have_opened_the_sockets() {
    if std::env::var_os(CHILD).is_some() {
        return activated();
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // What a service manager does: descriptors from 3 on, and the number of the process that they are for.
    let script = "exec 3<&0 4<&0; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=web:spare; \
                  export LISTEN_PID LISTEN_FDS LISTEN_FDNAMES; exec \"$0\" \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "a_service_manager_may_have_opened_the_sockets", "--test-threads=1", "--nocapture"])
        .env(CHILD, "1")
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // The socket listens already, so whoever comes before the server waits for it.
    assert_eq!(ask(address).unwrap(), "activated");
    assert!(child.wait().unwrap().success());
}

fn activated() {
    let event_loop = EventLoop::builder().build().unwrap();
    let mut sockets = take_inherited_sockets().unwrap();
    let names: Vec<_> = sockets.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["web", "spare"]);
    assert!(take_inherited_sockets().unwrap().is_empty(), "they are given away once");
    let web: OsSocket = sockets.swap_remove(0).1;
    let inner = event_loop.clone();
    let main = async move {
        let server = inner.create_server_on(|| Greeter(b"activated"), web).await.unwrap();
        while server.client_count() == 0 {
            asyncio_tasks::yield_now().await;
        }
        server.close();
        server.wait_closed().await.unwrap();
    };
    event_loop.run_until_complete(main).unwrap();
}

#[test]
fn without_a_service_manager_there_are_no_sockets() {
    if std::env::var_os(CHILD).is_none() {
        assert!(take_inherited_sockets().unwrap().is_empty());
    }
}

#[test]
fn a_unix_socket_knows_who_is_at_its_other_end() {
    /// Does nothing.
    struct Silent;
    impl Protocol for Silent {}
    let event_loop = EventLoop::builder().build().unwrap();
    let inner = event_loop.clone();
    let main = async move {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let (transport, _) = inner.create_connection_on(|| Silent, ours).await.unwrap();
        let found = transport.socket().peer_credentials().unwrap();
        let (uid, gid) = (own_uid(), own_gid());
        assert_eq!((found.pid, found.uid, found.gid), (Some(std::process::id()), uid, gid));
        transport.abort();

        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (transport, _) = inner.create_connection_on(|| Silent, client).await.unwrap();
        let refused = transport.socket().peer_credentials().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        transport.abort();
    };
    event_loop.run_until_complete(main).unwrap();
    event_loop.run_until_blocked().unwrap();
}

fn owner(of: impl Fn(&std::fs::Metadata) -> u32) -> u32 {
    of(&std::fs::metadata("/proc/self").unwrap())
}

fn own_uid() -> u32 {
    owner(std::os::unix::fs::MetadataExt::uid)
}

fn own_gid() -> u32 {
    owner(std::os::unix::fs::MetadataExt::gid)
}
