//! Checks of what only systems have: descriptors, files, and names of Unix sockets.

#![expect(clippy::missing_panics_doc, reason = "a check panics if the driver breaks the contract, and only then")]

use super::Outcome;
use super::rig::{datagram, kind, pair_through, receive, send_all, wait_for};
use asyncio_driver::{Address, DatagramOptions, Driver, Interest, ListenOptions, Mode, Readiness, Source, Token};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

#[cfg(unix)]
pub use unix::*;

#[cfg(not(unix))]
pub use elsewhere::*;

/// A port of the loopback that the system chooses.
const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const TOKEN: Token = Token::new(3, 1);
const NO_DESCRIPTORS: Outcome = Outcome::Skipped("this driver has no descriptors");

/// A path in the file system leads to a listener.
pub fn unix_sockets_connect_by_path(mut driver: Box<dyn Driver>) -> Outcome {
    if cfg!(not(unix)) {
        return Outcome::Skipped("no Unix sockets");
    }
    let path = ScratchPath::new();
    let (mut near, mut far) = pair_through(&mut *driver, &Address::Unix(path.0.clone()));
    assert_eq!(near.peer_addr().expect("peer"), Address::Unix(path.0.clone()));
    assert_eq!(far.peer_addr().expect("peer"), Address::Unnamed);
    send_all(&mut *far, b"by path");
    assert_eq!(receive(&mut *driver, &mut *near, 7), b"by path");
    Outcome::Kept
}

/// A name without a path leads to a listener on Linux, and is `Unsupported` by other systems.
pub fn unix_sockets_connect_by_abstract_name(mut driver: Box<dyn Driver>) -> Outcome {
    let name = ScratchPath::new().0.as_os_str().as_encoded_bytes().to_vec();
    let address = Address::UnixAbstract([&name[..], b"\0\xff"].concat());
    if cfg!(not(target_os = "linux")) && has_descriptors(&mut *driver) {
        let refused = driver.listen(&address, &ListenOptions::default());
        assert_eq!(kind(refused), Some(io::ErrorKind::Unsupported));
        return Outcome::Kept;
    }
    let (mut near, mut far) = pair_through(&mut *driver, &address);
    assert_eq!(near.peer_addr().expect("peer"), address);
    send_all(&mut *near, b"by name");
    assert_eq!(receive(&mut *driver, &mut *far, 7), b"by name");
    Outcome::Kept
}

/// A socket of the standard library, blocking, becomes an endpoint that does not block and moves its bytes.
pub fn sockets_that_exist_are_adopted(mut driver: Box<dyn Driver>) -> Outcome {
    if !has_descriptors(&mut *driver) {
        let listener = TcpListener::bind(LOOPBACK).expect("bind");
        assert_eq!(kind(driver.adopt_listener(listener.into())), Some(io::ErrorKind::Unsupported));
        return NO_DESCRIPTORS;
    }
    let listener = TcpListener::bind(LOOPBACK).expect("bind");
    let address = listener.local_addr().expect("address");
    let mut listener = driver.adopt_listener(listener.into()).expect("adopt the listener");
    assert_eq!(listener.local_addr().expect("address"), Address::Ip(address));
    assert_eq!(kind(listener.accept()), Some(io::ErrorKind::WouldBlock));
    let client = TcpStream::connect(address).expect("connect");
    driver.register(listener.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    let (mut server, _) = listener.accept().expect("accept");
    let mut client = driver.adopt_stream(client.into()).expect("adopt the stream");
    client.finish_connect().expect("it is connected");
    assert_eq!(kind(client.recv(&mut [0; 8])), Some(io::ErrorKind::WouldBlock));
    send_all(&mut *client, b"adopted");
    assert_eq!(receive(&mut *driver, &mut *server, 7), b"adopted");
    let packets = UdpSocket::bind(LOOPBACK).expect("bind");
    let mut packets = driver.adopt_datagram(packets.into()).expect("adopt the datagram socket");
    assert_eq!(kind(packets.recv_from(&mut [0; 8])), Some(io::ErrorKind::WouldBlock));
    Outcome::Kept
}

/// What is adopted has to be of the kind that was asked for.
pub fn a_socket_of_another_kind_is_refused(mut driver: Box<dyn Driver>) -> Outcome {
    if !has_descriptors(&mut *driver) {
        return NO_DESCRIPTORS;
    }
    let packets = || UdpSocket::bind(LOOPBACK).expect("bind").into();
    assert_eq!(kind(driver.adopt_stream(packets())), Some(io::ErrorKind::InvalidInput));
    assert_eq!(kind(driver.adopt_listener(packets())), Some(io::ErrorKind::InvalidInput));
    let stream = TcpListener::bind(LOOPBACK).expect("bind");
    assert_eq!(kind(driver.adopt_datagram(stream.into())), Some(io::ErrorKind::InvalidInput));
    Outcome::Kept
}

/// Unix sockets carry packets too.
pub fn unix_packets_arrive(mut driver: Box<dyn Driver>) -> Outcome {
    if cfg!(not(unix)) {
        return Outcome::Skipped("no Unix sockets");
    }
    let path = ScratchPath::new();
    let address = Address::Unix(path.0.clone());
    let options = DatagramOptions::default();
    let mut server = driver.datagram(Some(&address), None, &options).expect("bind");
    let mut client = driver.datagram(None, Some(&address), &options).expect("connect");
    client.send_to(b"packet", None).expect("send");
    driver.register(server.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    assert_eq!(server.recv_from(&mut [0; 64]).expect("receive"), (&b"packet"[..], Address::Unnamed));
    Outcome::Kept
}

fn has_descriptors(driver: &mut dyn Driver) -> bool {
    !matches!(datagram(driver).source(), Source::Virtual(..))
}

/// A path of this process and this check alone; what is there is removed in the end.
struct ScratchPath(PathBuf);

impl ScratchPath {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("asyncio-driver-suite-{}-{number}", process::id())))
    }
}

impl Drop for ScratchPath {
    fn drop(&mut self) {
        // Nothing is there if the driver has no file system.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(unix)]
mod unix {
    use super::{NO_DESCRIPTORS, Outcome, ScratchPath, TOKEN, has_descriptors};
    use crate::driver_suite::rig::{events_now, kind};
    use asyncio_driver::{Driver, Event, Interest, Mode, Readiness, Source, Token};
    use std::io::{self, Write};
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use std::os::unix::net::UnixStream;

    /// A descriptor that the driver cannot wait for is `PermissionDenied`, and not half registered.
    pub fn a_regular_file_is_refused(mut driver: Box<dyn Driver>) -> Outcome {
        if !has_descriptors(&mut *driver) {
            return NO_DESCRIPTORS;
        }
        let path = ScratchPath::new();
        let file = std::fs::File::create(&path.0).expect("create a file");
        let outcome = driver.register(Source::Os(file.as_fd()), TOKEN, Interest::BOTH, Mode::Level);
        let error = outcome.expect_err("a regular file is refused");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("regular file"), "the message says what is wrong: {error}");
        let removed = driver.remove(Source::Os(file.as_fd()));
        assert_eq!(kind(removed), Some(io::ErrorKind::NotFound));
        Outcome::Kept
    }

    /// A descriptor that was closed is not registered, whoever has its number now.
    pub fn a_closed_descriptor_is_not_found(mut driver: Box<dyn Driver>) -> Outcome {
        if !has_descriptors(&mut *driver) {
            return NO_DESCRIPTORS;
        }
        let (heir, _peer) = close_and_inherit(|stream| {
            driver.register(Source::Os(stream.as_fd()), TOKEN, Interest::WRITABLE, Mode::Level).expect("register");
        });
        let modified = driver.modify(Source::Os(heir.as_fd()), TOKEN, Interest::BOTH, Mode::Level);
        assert_eq!(kind(modified), Some(io::ErrorKind::NotFound));
        assert_eq!(kind(driver.remove(Source::Os(heir.as_fd()))), Some(io::ErrorKind::NotFound));
        assert_eq!(events_now(&mut *driver), []);
        driver.register(Source::Os(heir.as_fd()), TOKEN, Interest::WRITABLE, Mode::Level).expect("register the heir");
        assert_eq!(events_now(&mut *driver), [Event::new(TOKEN, Readiness::WRITABLE)]);
        Outcome::Kept
    }

    /// A descriptor with the number of one that was removed and closed has only events of its own.
    pub fn a_number_used_again_has_no_events_of_the_old_token(mut driver: Box<dyn Driver>) -> Outcome {
        if !has_descriptors(&mut *driver) {
            return NO_DESCRIPTORS;
        }
        let (heir, mut peer) = close_and_inherit(|stream| {
            driver.register(Source::Os(stream.as_fd()), TOKEN, Interest::BOTH, Mode::Level).expect("register");
            driver.remove(Source::Os(stream.as_fd())).expect("remove");
        });
        let token = Token::new(TOKEN.slot(), TOKEN.generation() + 1);
        driver.register(Source::Os(heir.as_fd()), token, Interest::READABLE, Mode::Level).expect("register");
        assert_eq!(events_now(&mut *driver), []);
        peer.write_all(b"x").expect("write");
        assert_eq!(events_now(&mut *driver), [Event::new(token, Readiness::READABLE)]);
        Outcome::Kept
    }

    /// Uses a stream, closes it, and opens another one with the same number. Tests on other threads open descriptors
    /// too, so it may take several attempts.
    fn close_and_inherit(mut use_stream: impl FnMut(&UnixStream)) -> (UnixStream, UnixStream) {
        for _ in 0..1000 {
            let (stream, peer) = UnixStream::pair().expect("a pair of sockets");
            let number: RawFd = stream.as_raw_fd();
            use_stream(&stream);
            drop((stream, peer));
            let (one, other) = UnixStream::pair().expect("a pair of sockets");
            match number {
                _ if one.as_raw_fd() == number => return (one, other),
                _ if other.as_raw_fd() == number => return (other, one),
                _ => {}
            }
        }
        panic!("a closed descriptor's number was not given out again in 1000 attempts");
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use super::{NO_DESCRIPTORS, Outcome};
    use asyncio_driver::Driver;

    /// Not asked here: only sockets can be registered.
    pub fn a_regular_file_is_refused(_driver: Box<dyn Driver>) -> Outcome {
        NO_DESCRIPTORS
    }

    /// Not asked here: sockets are not numbers that are used again at once.
    pub fn a_closed_descriptor_is_not_found(_driver: Box<dyn Driver>) -> Outcome {
        NO_DESCRIPTORS
    }

    /// Not asked here: sockets are not numbers that are used again at once.
    pub fn a_number_used_again_has_no_events_of_the_old_token(_driver: Box<dyn Driver>) -> Outcome {
        NO_DESCRIPTORS
    }
}
