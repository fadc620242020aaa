//! Checks of `register`, `modify`, `remove`, and of what is reported how often.

#![expect(clippy::missing_panics_doc, reason = "a check panics if the driver breaks the contract, and only then")]

use super::Outcome;
use super::rig::{datagram, events_now, kind, send_all, stream_pair, wait_for};
use asyncio_driver::{DatagramEndpoint, Driver, Interest, Mode, Readiness, Source, Token};
use std::collections::BTreeMap;
use std::io;
use std::marker::PhantomData;

const TOKEN: Token = Token::new(3, 1);
const OTHER: Token = Token::new(5, 2);
/// More than any driver's first buffer takes.
const CROWD: u32 = 600;

/// `register` answers `AlreadyExists` the second time, and works again after `remove`.
pub fn a_source_is_registered_once(mut driver: Box<dyn Driver>) -> Outcome {
    let source = datagram(&mut *driver);
    driver.register(source.source(), TOKEN, Interest::BOTH, Mode::Level).expect("register");
    let again = driver.register(source.source(), OTHER, Interest::BOTH, Mode::Level);
    assert_eq!(kind(again), Some(io::ErrorKind::AlreadyExists));
    driver.remove(source.source()).expect("remove");
    driver.register(source.source(), OTHER, Interest::BOTH, Mode::Level).expect("register again");
    Outcome::Kept
}

/// `modify` and `remove` answer `NotFound` for a source that is not registered.
pub fn an_unknown_source_is_not_found(mut driver: Box<dyn Driver>) -> Outcome {
    let source = datagram(&mut *driver);
    let modified = driver.modify(source.source(), TOKEN, Interest::BOTH, Mode::Level);
    assert_eq!(kind(modified), Some(io::ErrorKind::NotFound));
    assert_eq!(kind(driver.remove(source.source())), Some(io::ErrorKind::NotFound));
    Outcome::Kept
}

/// A token is reported only while its source is registered.
pub fn a_removed_source_is_not_reported(mut driver: Box<dyn Driver>) -> Outcome {
    let source = datagram(&mut *driver);
    for mode in modes(&*driver) {
        driver.register(source.source(), TOKEN, Interest::WRITABLE, mode).expect("register");
        driver.remove(source.source()).expect("remove");
        assert_eq!(events_now(&mut *driver), [], "{mode:?}");
    }
    Outcome::Kept
}

/// After `modify`, events have the new token, and only directions of the new interest.
pub fn modify_changes_token_and_interest(mut driver: Box<dyn Driver>) -> Outcome {
    let (near, mut far) = stream_pair(&mut *driver);
    send_all(&mut *far, b"news");
    driver.register(near.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);

    driver.modify(near.source(), OTHER, Interest::WRITABLE, Mode::Level).expect("modify");
    let events = events_now(&mut *driver);
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].token, events[0].readiness), (OTHER, Readiness::WRITABLE));
    Outcome::Kept
}

/// In level mode, every wait reports what is ready.
pub fn a_level_source_is_reported_by_every_wait(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut near, mut far) = stream_pair(&mut *driver);
    driver.register(near.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    assert_eq!(events_now(&mut *driver), [], "nothing has arrived");
    send_all(&mut *far, b"x");
    for _ in 0..3 {
        wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    }
    assert_eq!(near.recv(&mut [0; 8]).expect("receive"), b"x");
    assert_eq!(events_now(&mut *driver), [], "all has been received");
    Outcome::Kept
}

/// In edge mode, a source is reported once each time that it becomes ready.
pub fn an_edge_source_is_reported_once_for_each_news(mut driver: Box<dyn Driver>) -> Outcome {
    if !driver.capabilities().edge {
        return Outcome::Skipped("no edge-triggered reports");
    }
    let (mut near, mut far) = stream_pair(&mut *driver);
    driver.register(near.source(), TOKEN, Interest::READABLE, Mode::Edge).expect("register");
    for _ in 0..3 {
        send_all(&mut *far, b"x");
        wait_for(&mut *driver, TOKEN, Readiness::READABLE);
        assert_eq!(events_now(&mut *driver), [], "reported twice");
        assert_eq!(near.recv(&mut [0; 8]).expect("receive"), b"x");
    }
    Outcome::Kept
}

/// A source that is ready by the new interest is reported after `modify`, also in edge mode.
pub fn modify_reports_an_edge_source_again(mut driver: Box<dyn Driver>) -> Outcome {
    if !driver.capabilities().edge {
        return Outcome::Skipped("no edge-triggered reports");
    }
    let source = datagram(&mut *driver);
    driver.register(source.source(), TOKEN, Interest::WRITABLE, Mode::Edge).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);
    assert_eq!(events_now(&mut *driver), []);
    for token in [TOKEN, OTHER] {
        driver.modify(source.source(), token, Interest::WRITABLE, Mode::Edge).expect("modify");
        wait_for(&mut *driver, token, Readiness::WRITABLE);
        assert_eq!(events_now(&mut *driver), []);
    }
    Outcome::Kept
}

/// A hang-up is readiness in both directions of the interest.
pub fn a_hang_up_is_ready_both_ways(mut driver: Box<dyn Driver>) -> Outcome {
    for mode in modes(&*driver) {
        let (mut near, mut far) = stream_pair(&mut *driver);
        // With bytes unread, closing is a reset: gone in both directions.
        send_all(&mut *near, b"unread");
        driver.register(far.source(), OTHER, Interest::READABLE, Mode::Level).expect("register");
        wait_for(&mut *driver, OTHER, Readiness::READABLE);
        driver.remove(far.source()).expect("remove");
        assert_eq!(far.recv(&mut [0; 1]).expect("receive"), b"u");

        driver.register(near.source(), TOKEN, Interest::BOTH, mode).expect("register");
        wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);
        drop(far);
        wait_for(&mut *driver, TOKEN, Readiness::BOTH);
        assert_eq!(kind(near.recv(&mut [0; 8])), Some(io::ErrorKind::ConnectionReset), "{mode:?}");
    }
    Outcome::Kept
}

/// Without interest, a hang-up may be reported, but does not end every wait.
pub fn no_interest_is_quiet(mut driver: Box<dyn Driver>) -> Outcome {
    for mode in modes(&*driver) {
        let (near, far) = stream_pair(&mut *driver);
        driver.register(near.source(), TOKEN, Interest::NONE, mode).expect("register");
        assert_eq!(events_now(&mut *driver), []);
        drop(far);
        // One report at most, and it comes with one of the first waits.
        let reports: usize = (0..4).map(|_| events_now(&mut *driver).len()).sum();
        assert!(reports <= 1, "{mode:?}: {reports} reports");
        driver.modify(near.source(), TOKEN, Interest::READABLE, mode).expect("modify");
        wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    }
    Outcome::Kept
}

/// A source that some other kind of driver has made is `Unsupported`.
pub fn a_foreign_source_is_unsupported(mut driver: Box<dyn Driver>) -> Outcome {
    let own = datagram(&mut *driver);
    if matches!(own.source(), Source::Virtual(..)) {
        return Outcome::Skipped("a driver without a kernel is asked about descriptors in its own tests");
    }
    let foreign = Source::Virtual(1, PhantomData);
    let outcome = driver.register(foreign, TOKEN, Interest::BOTH, Mode::Level);
    assert_eq!(kind(outcome), Some(io::ErrorKind::Unsupported));
    Outcome::Kept
}

/// Level-triggered sources beyond the size of a buffer are reported by the waits that follow.
pub fn more_level_sources_than_one_batch_are_all_reported(mut driver: Box<dyn Driver>) -> Outcome {
    let _crowd = crowd(&mut *driver, Mode::Level);
    let reports = count_reports(&mut *driver);
    assert_eq!(reports.len(), CROWD as usize, "each source is reported");
    Outcome::Kept
}

/// Edge-triggered sources beyond the size of a buffer are reported too, and none of them twice.
pub fn more_edge_sources_than_one_batch_are_reported_once_each(mut driver: Box<dyn Driver>) -> Outcome {
    if !driver.capabilities().edge {
        return Outcome::Skipped("no edge-triggered reports");
    }
    let _crowd = crowd(&mut *driver, Mode::Edge);
    let reports = count_reports(&mut *driver);
    assert_eq!(reports.len(), CROWD as usize, "each source is reported");
    assert!(reports.values().all(|&count| count == 1), "none is reported twice: {reports:?}");
    Outcome::Kept
}

fn crowd(driver: &mut dyn Driver, mode: Mode) -> Vec<Box<dyn DatagramEndpoint>> {
    (0..CROWD)
        .map(|slot| {
            let source = datagram(driver);
            driver.register(source.source(), Token::new(slot, 0), Interest::WRITABLE, mode).expect("register");
            source
        })
        .collect()
}

/// Reports by token, after enough waits for all.
fn count_reports(driver: &mut dyn Driver) -> BTreeMap<Token, usize> {
    let mut reports = BTreeMap::new();
    for event in (0..20).flat_map(|_| events_now(driver)) {
        *reports.entry(event.token).or_default() += 1;
    }
    reports
}

fn modes(driver: &dyn Driver) -> Vec<Mode> {
    let capabilities = driver.capabilities();
    let modes = [(Mode::Level, capabilities.level), (Mode::Edge, capabilities.edge)];
    modes.into_iter().filter_map(|(mode, is_there)| is_there.then_some(mode)).collect()
}
