//! A host's own loop: the driver's descriptor is readable when a wait would not block.

#![cfg(unix)]

use asyncio_driver::{Deadline, Driver, Interest, Mode, PollingDriver, Source, Token, new_driver};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

fn is_readable(driver: &dyn Driver) -> bool {
    let fd = driver.poll_fd().expect("kernel drivers have a descriptor");
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() > 0
}

#[test]
fn the_descriptor_of_a_driver_tells_when_to_wait() {
    let drivers: [Box<dyn Driver>; 2] = [new_driver().unwrap(), Box::new(PollingDriver::new().unwrap())];
    for mut driver in drivers {
        let mut events = Vec::new();
        // The polling crate leaves its timer expired until the next wait looks.
        driver.wait(Deadline::Now, &mut events).unwrap();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        driver.register(Source::Os(ours.as_fd()), Token::new(0, 0), Interest::READABLE, Mode::Level).unwrap();
        assert!(!is_readable(&*driver), "{driver:?}");

        theirs.write_all(b"x").unwrap();
        assert!(is_readable(&*driver), "{driver:?}");
        driver.wait(Deadline::Never, &mut events).unwrap();
        assert_eq!(events.len(), 1);
        assert!(is_readable(&*driver), "level-triggered: it would not block again, {driver:?}");
        ours.read_exact(&mut [0]).unwrap();
        assert!(!is_readable(&*driver), "{driver:?}");

        driver.notifier().notify();
        assert!(is_readable(&*driver), "{driver:?}");
        driver.wait(Deadline::Never, &mut events).unwrap();
        assert!(!is_readable(&*driver), "{driver:?}");
    }
}
