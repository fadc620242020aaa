//! No send raises SIGPIPE. Alone in its process, because it watches that signal.

#![cfg(unix)]

use asyncio_driver::{
    Address, ConnectOptions, Deadline, Driver, Interest, ListenOptions, Mode, PollingDriver, Signal, Token, new_driver,
    watch_signal,
};
use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::AsFd;

#[test]
fn a_broken_pipe_is_an_error_and_not_a_signal() {
    let mut driver = new_driver().unwrap();
    let watch = watch_signal(Signal::PIPE, driver.notifier()).unwrap();
    let listener = driver.listen(&Address::Ip(([127, 0, 0, 1], 0).into()), &ListenOptions::default()).unwrap();
    let mut client = driver.connect(&listener.local_addr().unwrap(), &ConnectOptions::default()).unwrap();
    driver.register(client.source(), Token::new(0, 0), Interest::WRITABLE, Mode::Level).unwrap();
    driver.wait(Deadline::Never, &mut Vec::new()).unwrap();
    client.finish_connect().unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    for pieces in [&[IoSlice::new(b"one")][..], &[IoSlice::new(b"one"), IoSlice::new(b"two")]] {
        assert_eq!(client.send(pieces).unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    // A notifier whose driver is gone writes to a socket that is closed at the other end.
    let notifier = PollingDriver::new().unwrap().notifier();
    notifier.notify();
    assert!(!watch.take(), "SIGPIPE was raised");

    // It would have been noted: a plain write raises it.
    let (one, other) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(other);
    let _ = rustix::io::write(one.as_fd(), b"x").unwrap_err();
    assert!(watch.take());
}
