//! No descriptor left: clean errors, and nothing leaked on the way. Alone in its process, because the limit is the process's.

#![cfg(unix)]

use asyncio_driver::{Address, ConnectOptions, DatagramOptions, ListenOptions, PollingDriver, new_driver};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs::File;
use std::io;

const EMFILE: Option<i32> = Some(24);

/// One test, so that nobody else of this process opens a descriptor meanwhile.
#[test]
fn without_descriptors_everything_fails_cleanly_and_leaks_nothing() {
    let mut driver = new_driver().unwrap();
    let address = Address::Ip(([127, 0, 0, 1], 0).into());
    let mut listener = driver.listen(&address, &ListenOptions::default()).unwrap();
    let target = listener.local_addr().unwrap();
    let _client = driver.connect(&target, &ConnectOptions::default()).unwrap();

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut hoard = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        hoard.push(file);
    }

    // From none left to more than enough: each constructor fails at each of its steps, and then succeeds.
    let before = hoard.len();
    attempt(&mut hoard, 5, || new_driver().map(drop));
    attempt(&mut hoard, 5, || PollingDriver::new().map(drop));
    attempt(&mut hoard, 1, || driver.connect(&target, &ConnectOptions::default()).map(drop));
    attempt(&mut hoard, 1, || driver.listen(&address, &ListenOptions::default()).map(drop));
    attempt(&mut hoard, 1, || driver.datagram(Some(&address), None, &DatagramOptions::default()).map(drop));
    assert_eq!(hoard.len(), before);

    // What fails half-way does not keep its descriptor either.
    hoard.pop();
    for _ in 0..10 {
        let in_use = driver.listen(&target, &ListenOptions::default()).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::AddrInUse);
        let unreachable = Address::Unix("/nowhere/at/all".into());
        assert!(driver.connect(&unreachable, &ConnectOptions::default()).is_err());
    }
    hoard.push(File::open("/dev/null").unwrap());

    // The connection is still in the queue.
    assert_eq!(listener.accept().unwrap_err().raw_os_error(), EMFILE);
    hoard.pop();
    assert!(listener.accept().is_ok());
}

/// Tries with 0, 1, … descriptors until `operation` succeeds, which must be with `needed` at most, and takes all
/// descriptors back: if one had leaked, there would be fewer.
fn attempt(hoard: &mut Vec<File>, needed: usize, mut operation: impl FnMut() -> io::Result<()>) {
    let all = hoard.len();
    let free = loop {
        match operation() {
            Ok(()) => break all - hoard.len(),
            Err(error) => assert_eq!(error.raw_os_error(), EMFILE, "with {} free", all - hoard.len()),
        }
        hoard.pop();
    };
    assert!((1..=needed).contains(&free), "needed {free} descriptors");
    for _ in 0..free {
        hoard.push(File::open("/dev/null").expect("what was free is free again"));
    }
    assert!(File::open("/dev/null").is_err(), "and no more than that");
}
