//! What the sockets of a kernel driver are set to, whichever way they came into being.

#![cfg(unix)]

use asyncio_driver::{
    Address, ConnectOptions, DatagramOptions, Deadline, Driver, Interest, ListenOptions, Mode, Source, Token,
    new_driver,
};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::{FdFlags, fcntl_getfd};
use rustix::net::sockopt;
use std::os::fd::BorrowedFd;
use std::time::Duration;

fn fd(source: Source<'_>) -> BorrowedFd<'_> {
    let Source::Os(fd) = source else { panic!("a kernel driver's source is a descriptor") };
    assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC), "no descriptor leaks into children");
    assert!(fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK), "no operation blocks");
    fd
}

#[test]
fn streams_do_not_delay_and_keep_what_the_listener_was_given() {
    let mut driver = new_driver().unwrap();
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let mut options = ListenOptions::default();
        options.keep_alive = Some(Duration::from_secs(77));
        let Ok(mut listener) = driver.listen(&Address::Ip(local.parse().unwrap()), &options) else {
            assert!(local.starts_with('['), "only IPv6 may be missing");
            continue;
        };
        let client = driver.connect(&listener.local_addr().unwrap(), &ConnectOptions::default()).unwrap();
        driver.register(listener.source(), Token::new(0, 0), Interest::READABLE, Mode::Level).unwrap();
        driver.wait(Deadline::Never, &mut Vec::new()).unwrap();
        driver.remove(listener.source()).unwrap();
        let (server, _) = listener.accept().unwrap();

        fd(listener.source());
        for stream in [&client, &server] {
            assert!(sockopt::tcp_nodelay(fd(stream.source())).unwrap(), "{local}");
        }
        let accepted = fd(server.source());
        assert!(sockopt::socket_keepalive(accepted).unwrap());
        assert_eq!(sockopt::tcp_keepidle(accepted).unwrap(), Duration::from_secs(77));
        assert!(!sockopt::socket_keepalive(fd(client.source())).unwrap(), "nobody has asked for that");
    }
}

// sem. 227
#[test]
fn an_ipv6_listener_leaves_ipv4_to_others() {
    let mut driver = new_driver().unwrap();
    let Ok(six) = driver.listen(&Address::Ip("[::]:0".parse().unwrap()), &ListenOptions::default()) else { return };
    assert!(sockopt::ipv6_v6only(fd(six.source())).unwrap());
    let Address::Ip(address) = six.local_addr().unwrap() else { panic!("an IP listener has an IP address") };
    let four = Address::Ip(([0, 0, 0, 0], address.port()).into());
    driver.listen(&four, &ListenOptions::default()).unwrap();
}

// sem. 228
#[test]
fn an_address_is_taken_over_and_shared_only_if_asked_for() {
    let mut driver = new_driver().unwrap();
    let any = Address::Ip(([127, 0, 0, 1], 0).into());
    let lonely = driver.listen(&any, &ListenOptions::default()).unwrap();
    assert!(sockopt::socket_reuseaddr(fd(lonely.source())).unwrap());
    let refused = driver.listen(&lonely.local_addr().unwrap(), &ListenOptions::default()).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);

    let mut options = ListenOptions::default();
    options.reuse_port = true;
    let shared = driver.listen(&any, &options).unwrap();
    driver.listen(&shared.local_addr().unwrap(), &options).unwrap();
    let not_asked = driver.listen(&shared.local_addr().unwrap(), &ListenOptions::default()).unwrap_err();
    assert_eq!(not_asked.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn datagrams_may_be_broadcast_if_asked_for() {
    let mut driver: Box<dyn Driver> = new_driver().unwrap();
    let local = Address::Ip(([127, 0, 0, 1], 0).into());
    for broadcast in [false, true] {
        let mut options = DatagramOptions::default();
        options.broadcast = broadcast;
        let socket = driver.datagram(Some(&local), None, &options).unwrap();
        assert_eq!(sockopt::socket_broadcast(fd(socket.source())).unwrap(), broadcast);
    }
}
