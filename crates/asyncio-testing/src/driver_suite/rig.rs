//! What the checks have in common: connected streams and bounded waits.
//!
//! Absent on purpose: anything about one driver. All goes through the trait.

use asyncio_driver::{
    Address, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest, ListenOptions,
    LoopTime, Mode, Readiness, StreamEndpoint, Token,
};
use std::io::{self, IoSlice};
use std::time::Duration;

/// Tokens for whom the rig registers on its own account; checks use other slots.
const RIG: Token = Token::new(900_000, 7);

/// Longer than anything takes on the loopback of a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A port of the loopback that the driver chooses.
pub(super) fn loopback() -> Address {
    Address::Ip(([127, 0, 0, 1], 0).into())
}

/// Two streams that are connected to each other.
pub(super) fn stream_pair(driver: &mut dyn Driver) -> (Box<dyn StreamEndpoint>, Box<dyn StreamEndpoint>) {
    pair_through(driver, &loopback())
}

/// As [`stream_pair`], by a listener at `address`.
pub(super) fn pair_through(
    driver: &mut dyn Driver,
    address: &Address,
) -> (Box<dyn StreamEndpoint>, Box<dyn StreamEndpoint>) {
    let mut listener = driver.listen(address, &ListenOptions::default()).expect("listen");
    let address = listener.local_addr().expect("the listener has an address");
    let mut near = driver.connect(&address, &ConnectOptions::default()).expect("connect");

    driver.register(listener.source(), RIG, Interest::READABLE, Mode::Level).expect("register the listener");
    wait_for(driver, RIG, Readiness::READABLE);
    let (far, _) = listener.accept().expect("accept");
    driver.remove(listener.source()).expect("remove the listener");

    driver.register(near.source(), RIG, Interest::WRITABLE, Mode::Level).expect("register the stream");
    wait_for(driver, RIG, Readiness::WRITABLE);
    near.finish_connect().expect("connected");
    driver.remove(near.source()).expect("remove the stream");
    (near, far)
}

/// A datagram endpoint of the loopback: always writable.
pub(super) fn datagram(driver: &mut dyn Driver) -> Box<dyn DatagramEndpoint> {
    driver.datagram(Some(&loopback()), None, &DatagramOptions::default()).expect("open a datagram endpoint")
}

/// Waits until `token` has been reported with all of `readiness`; events of others are dropped.
pub(super) fn wait_for(driver: &mut dyn Driver, token: Token, readiness: Readiness) {
    let mut seen = Readiness::NONE;
    wait_until(driver, |event| {
        if event.token == token {
            seen |= event.readiness;
        }
        seen | readiness == seen
    });
}

/// Waits until an event satisfies `is_last`.
pub(super) fn wait_until(driver: &mut dyn Driver, mut is_last: impl FnMut(Event) -> bool) {
    let limit = driver.now() + PATIENCE;
    loop {
        if events_until(driver, Deadline::At(limit)).into_iter().any(&mut is_last) {
            return;
        }
        assert!(driver.now() < limit, "no such event in {PATIENCE:?}");
    }
}

/// What is ready now.
pub(super) fn events_now(driver: &mut dyn Driver) -> Vec<Event> {
    events_until(driver, Deadline::Now)
}

/// What one wait reports.
pub(super) fn events_until(driver: &mut dyn Driver, deadline: Deadline) -> Vec<Event> {
    let mut events = Vec::new();
    driver.wait(deadline, &mut events).expect("wait");
    events
}

/// A time that no check reaches, unless virtual time jumps there.
pub(super) fn far_ahead(driver: &dyn Driver) -> LoopTime {
    driver.now() + PATIENCE
}

/// Sends all of `bytes`, which must fit.
pub(super) fn send_all(stream: &mut dyn StreamEndpoint, bytes: &[u8]) {
    assert_eq!(stream.send(&[IoSlice::new(bytes)]).expect("send"), bytes.len());
}

/// Receives until `count` bytes are there, or the end.
pub(super) fn receive(driver: &mut dyn Driver, stream: &mut dyn StreamEndpoint, count: usize) -> Vec<u8> {
    let mut received = Vec::new();
    let mut scratch = [0; 4096];
    driver.register(stream.source(), RIG, Interest::READABLE, Mode::Level).expect("register for receiving");
    while received.len() < count {
        let most = scratch.len().min(count - received.len());
        match stream.recv(&mut scratch[..most]) {
            Ok([]) => break,
            Ok(bytes) => received.extend_from_slice(bytes),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(driver, RIG, Readiness::READABLE),
            Err(error) => panic!("receiving failed: {error}"),
        }
    }
    driver.remove(stream.source()).expect("remove after receiving");
    received
}

/// The kind of error that an operation failed with.
pub(super) fn kind<T>(outcome: io::Result<T>) -> Option<io::ErrorKind> {
    outcome.err().map(|error| error.kind())
}
