//! Checks of `now`, `wait`, and the notifier.

#![expect(clippy::missing_panics_doc, reason = "a check panics if the driver breaks the contract, and only then")]

use super::Outcome;
use super::rig::{datagram, events_now, events_until, far_ahead, wait_for};
use asyncio_driver::{Deadline, Driver, Event, Interest, LoopTime, Mode, Readiness, Token};
use std::thread;
use std::time::Duration;

const TOKEN: Token = Token::new(3, 1);

/// `now` never goes back.
pub fn time_never_goes_back(driver: Box<dyn Driver>) -> Outcome {
    let mut earlier = driver.now();
    for _ in 0..1000 {
        let later = driver.now();
        assert!(later >= earlier, "{later:?} is before {earlier:?}");
        earlier = later;
    }
    Outcome::Kept
}

/// `Deadline::Now` reports what is ready and does not wait.
pub fn now_does_not_wait(mut driver: Box<dyn Driver>) -> Outcome {
    let before = driver.now();
    assert_eq!(events_now(&mut *driver), []);
    let source = datagram(&mut *driver);
    driver.register(source.source(), TOKEN, Interest::WRITABLE, Mode::Level).expect("register");
    assert_eq!(events_now(&mut *driver), [Event::new(TOKEN, Readiness::WRITABLE)]);
    assert_no_time_passed(&*driver, before);
    Outcome::Kept
}

/// A deadline that has passed is as good as `Deadline::Now`.
pub fn a_passed_deadline_does_not_wait(mut driver: Box<dyn Driver>) -> Outcome {
    let before = driver.now();
    for deadline in [LoopTime::ZERO, before] {
        assert_eq!(events_until(&mut *driver, Deadline::At(deadline)), []);
    }
    assert_no_time_passed(&*driver, before);
    Outcome::Kept
}

/// No wait that ends by its deadline ends before it.
pub fn no_deadline_is_early(mut driver: Box<dyn Driver>) -> Outcome {
    for nanos in [0, 1, 999, 100_000, 999_999, 1_000_001, 2_500_000] {
        let deadline = driver.now() + Duration::from_nanos(nanos);
        // A wait may end for no reason, but not time and again.
        let waits = (1..).find(|_| {
            assert_eq!(events_until(&mut *driver, Deadline::At(deadline)), []);
            driver.now() >= deadline
        });
        assert!(waits.is_some_and(|waits| waits <= 3), "{nanos} ns took {waits:?} waits");
    }
    Outcome::Kept
}

/// A notification that is sent before a wait begins ends it.
pub fn a_notification_before_the_wait_ends_it(mut driver: Box<dyn Driver>) -> Outcome {
    let limit = far_ahead(&*driver);
    driver.notifier().notify();
    assert_eq!(events_until(&mut *driver, Deadline::At(limit)), []);
    assert!(driver.now() < limit, "the wait went on to its deadline");
    driver.notifier().notify();
    assert_eq!(events_until(&mut *driver, Deadline::Never), []);
    Outcome::Kept
}

/// Each notification that is sent after a wait has returned ends the next one.
pub fn a_notification_after_a_wait_ends_the_next(mut driver: Box<dyn Driver>) -> Outcome {
    let notifier = driver.notifier();
    for _ in 0..100 {
        notifier.notify();
        assert_eq!(events_until(&mut *driver, Deadline::Never), []);
    }
    Outcome::Kept
}

/// Notifications between two waits end one wait, and not one each.
pub fn notifications_are_taken_together(mut driver: Box<dyn Driver>) -> Outcome {
    let notifier = driver.notifier();
    (0..1000).for_each(|_| notifier.notify());
    assert_eq!(events_until(&mut *driver, Deadline::Never), []);
    let deadline = driver.now() + Duration::from_micros(200);
    let waits = (1..).find(|_| {
        assert_eq!(events_until(&mut *driver, Deadline::At(deadline)), []);
        driver.now() >= deadline
    });
    assert!(waits.is_some_and(|waits| waits <= 3), "the notifications ended {waits:?} more waits");
    Outcome::Kept
}

/// A notification from another thread ends a wait without deadline.
pub fn a_notification_from_another_thread_ends_the_wait(mut driver: Box<dyn Driver>) -> Outcome {
    if driver.capabilities().virtual_time {
        return Outcome::Skipped("a wait in virtual time has to be told that another thread may end it");
    }
    for _ in 0..20 {
        let notifier = driver.notifier();
        thread::scope(|scope| {
            scope.spawn(move || notifier.notify());
            assert_eq!(events_until(&mut *driver, Deadline::Never), []);
        });
    }
    Outcome::Kept
}

/// A wait that is notified reports what is ready, or the next one does.
pub fn a_notification_hides_no_event(mut driver: Box<dyn Driver>) -> Outcome {
    let mode = if driver.capabilities().edge { Mode::Edge } else { Mode::Level };
    let source = datagram(&mut *driver);
    driver.register(source.source(), TOKEN, Interest::WRITABLE, mode).expect("register");
    driver.notifier().notify();
    wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);
    Outcome::Kept
}

/// Notifying a driver that is gone has no effect.
pub fn a_notifier_outlives_its_driver(driver: Box<dyn Driver>) -> Outcome {
    let notifier = driver.notifier();
    drop(driver);
    notifier.notify();
    Outcome::Kept
}

/// `wait` adds events and keeps those that are there.
pub fn events_are_added(mut driver: Box<dyn Driver>) -> Outcome {
    let source = datagram(&mut *driver);
    driver.register(source.source(), TOKEN, Interest::WRITABLE, Mode::Level).expect("register");
    let kept = Event::new(Token::new(77, 7), Readiness::READABLE);
    let mut events = vec![kept];
    driver.wait(Deadline::Now, &mut events).expect("wait");
    assert_eq!(events, [kept, Event::new(TOKEN, Readiness::WRITABLE)]);
    Outcome::Kept
}

/// Exact in virtual time; real time cannot be measured without being flaky.
fn assert_no_time_passed(driver: &dyn Driver, since: LoopTime) {
    if driver.capabilities().virtual_time {
        assert_eq!(driver.now(), since);
    }
}
