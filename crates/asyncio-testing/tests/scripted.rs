//! The scripted driver: virtual time, scripts, holds, and injected failures.

use asyncio_driver::{
    Address, ConnectOptions, DatagramOptions, Deadline, Driver, Event, Interest, ListenOptions, LoopTime, Mode,
    Readiness, Source, Token,
};
use asyncio_testing::{Operation, ScriptedDriver, VirtualClock};
use proptest::prelude::*;
use std::io::{self, IoSlice};
use std::time::Duration;

const TOKEN: Token = Token::new(3, 1);
const HOUR: Duration = Duration::from_secs(3600);

fn wait(driver: &mut ScriptedDriver, deadline: Deadline) -> Vec<Event> {
    let mut events = Vec::new();
    driver.wait(deadline, &mut events).unwrap();
    events
}

fn address(port: u16) -> Address {
    Address::Ip(([127, 0, 0, 1], port).into())
}

#[test]
fn time_jumps_exactly_to_the_deadline() {
    let clock = VirtualClock::new();
    let mut driver = ScriptedDriver::new(&clock);
    assert_eq!(wait(&mut driver, Deadline::At(clock.now() + HOUR)), []);
    assert_eq!(clock.elapsed(), HOUR);
    assert_eq!(wait(&mut driver, Deadline::Now), []);
    assert_eq!(clock.elapsed(), HOUR, "looking takes no time");
    assert_eq!(driver.script().statistics().jumps, 1);
}

#[test]
fn a_wait_that_cannot_end_is_a_deadlock() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let error = driver.wait(Deadline::Never, &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Deadlock);
    driver.notifier().notify();
    assert_eq!(wait(&mut driver, Deadline::Never), [], "a notification ends it, and the next one is possible again");
}

#[test]
fn a_script_makes_sources_ready_in_time() {
    let clock = VirtualClock::new();
    let mut driver = ScriptedDriver::new(&clock);
    let script = driver.script();
    let source = script.source();
    driver.register(source.source(), TOKEN, Interest::BOTH, Mode::Level).unwrap();
    let start = clock.now();
    source.set_ready_at(start + HOUR * 2, Readiness::NONE);
    source.set_ready_at(start + HOUR, Readiness::READABLE);

    assert_eq!(wait(&mut driver, Deadline::At(start + HOUR / 2)), []);
    assert_eq!(clock.elapsed(), HOUR / 2);
    assert_eq!(wait(&mut driver, Deadline::Never), [Event::new(TOKEN, Readiness::READABLE)]);
    assert_eq!(clock.elapsed(), HOUR);
    clock.advance(HOUR);
    assert_eq!(wait(&mut driver, Deadline::At(start + HOUR * 3)), [], "not ready any more");
    assert_eq!(clock.elapsed(), HOUR * 3);
}

#[test]
fn changes_at_one_time_are_made_in_their_order() {
    let clock = VirtualClock::new();
    let mut driver = ScriptedDriver::new(&clock);
    let script = driver.script();
    let (first, second) = (script.source(), script.source());
    let tokens = [Token::new(1, 0), Token::new(2, 0)];
    // Registered in the other order: what counts is when they became ready.
    driver.register(second.source(), tokens[1], Interest::READABLE, Mode::Edge).unwrap();
    driver.register(first.source(), tokens[0], Interest::READABLE, Mode::Edge).unwrap();
    let noon = clock.now() + HOUR;
    second.set_ready_at(noon, Readiness::READABLE);
    first.set_ready_at(noon, Readiness::READABLE);
    let order: Vec<_> = wait(&mut driver, Deadline::Never).into_iter().map(|event| event.token).collect();
    assert_eq!(order, [tokens[1], tokens[0]]);
}

#[test]
fn a_held_clock_waits_for_the_other_thread() {
    let clock = VirtualClock::new();
    let mut driver = ScriptedDriver::new(&clock);
    for deadline in [Deadline::Never, Deadline::At(driver.now() + HOUR)] {
        let (hold, notifier) = (clock.hold(), driver.notifier());
        std::thread::scope(|scope| {
            scope.spawn(move || {
                notifier.notify();
                drop(hold);
            });
            assert_eq!(wait(&mut driver, deadline), []);
        });
        assert_eq!(clock.elapsed(), Duration::ZERO, "no jump while the other thread worked");
    }
}

#[test]
fn the_end_of_the_last_hold_lets_time_jump() {
    let clock = VirtualClock::new();
    let mut driver = ScriptedDriver::new(&clock);
    let holds = [clock.hold(), clock.hold()];
    std::thread::scope(|scope| {
        scope.spawn(move || drop(holds));
        let deadline = driver.now() + HOUR;
        assert_eq!(wait(&mut driver, Deadline::At(deadline)), []);
    });
    assert_eq!(clock.elapsed(), HOUR);
}

#[test]
fn a_script_on_another_thread_ends_a_held_wait() {
    let clock = VirtualClock::new();
    let mut driver = ScriptedDriver::new(&clock);
    let source = driver.script().source();
    driver.register(source.source(), TOKEN, Interest::READABLE, Mode::Level).unwrap();
    let _hold = clock.hold();
    std::thread::scope(|scope| {
        scope.spawn(|| source.set_ready(Readiness::READABLE));
        assert_eq!(wait(&mut driver, Deadline::Never), [Event::new(TOKEN, Readiness::READABLE)]);
    });
}

#[test]
fn failures_come_in_line_and_leave_no_trace() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    // 24 is EMFILE.
    for operation in [Operation::Listen, Operation::Connect, Operation::Datagram, Operation::Wait] {
        script.fail_next(operation, io::Error::from_raw_os_error(24));
    }
    script.fail_next(Operation::Listen, io::ErrorKind::AddrNotAvailable.into());

    let options = ListenOptions::default();
    assert_eq!(driver.listen(&address(80), &options).unwrap_err().raw_os_error(), Some(24));
    assert_eq!(driver.listen(&address(80), &options).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    let mut listener = driver.listen(&address(80), &options).unwrap();
    assert!(driver.connect(&address(80), &ConnectOptions::default()).is_err());
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nothing half connected");
    assert!(driver.datagram(Some(&address(0)), None, &DatagramOptions::default()).is_err());
    assert!(driver.wait(Deadline::Now, &mut Vec::new()).is_err());
    assert_eq!(wait(&mut driver, Deadline::Now), []);

    // A connection stays in the queue while there is no descriptor for it.
    let _client = script.connect(&address(80), &ConnectOptions::default()).unwrap();
    script.fail_next(Operation::Accept, io::Error::from_raw_os_error(24));
    assert_eq!(listener.accept().unwrap_err().raw_os_error(), Some(24));
    assert!(listener.accept().is_ok());
}

#[test]
fn an_operation_that_is_made_to_block_is_reported_again() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let (mut near, _far) = script.stream_pair();
    driver.register(near.source(), TOKEN, Interest::WRITABLE, Mode::Edge).unwrap();
    assert_eq!(wait(&mut driver, Deadline::Now).len(), 1);
    script.fail_next(Operation::Send, io::ErrorKind::WouldBlock.into());
    assert_eq!(near.send(&[IoSlice::new(b"x")]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(wait(&mut driver, Deadline::Never), [Event::new(TOKEN, Readiness::WRITABLE)]);
    assert_eq!(near.send(&[IoSlice::new(b"x")]).unwrap(), 1);
}

#[test]
fn spurious_wakes_come_early_and_without_event() {
    let clock = VirtualClock::new();
    let mut driver = ScriptedDriver::new(&clock);
    driver.script().wake_spuriously(2);
    let deadline = Deadline::At(driver.now() + HOUR);
    for elapsed in [Duration::ZERO, Duration::ZERO, HOUR] {
        assert_eq!(wait(&mut driver, deadline), []);
        assert_eq!(clock.elapsed(), elapsed);
    }
}

#[test]
fn short_sends_and_receives_are_reported_again_in_edge_mode() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    script.set_send_max(Some(3));
    script.set_recv_max(Some(2));
    let (mut near, mut far) = script.stream_pair();
    driver.register(near.source(), TOKEN, Interest::WRITABLE, Mode::Edge).unwrap();
    driver.register(far.source(), Token::new(4, 0), Interest::READABLE, Mode::Edge).unwrap();

    let (mut unsent, mut received) = (&b"0123456789"[..], Vec::new());
    // One operation for each report, as whoever takes a short count for "would block" does.
    while received.len() < 10 {
        for event in wait(&mut driver, Deadline::Never) {
            if event.token == TOKEN {
                unsent = &unsent[near.send(&[IoSlice::new(unsent)]).unwrap()..];
            } else {
                received.extend_from_slice(far.recv(&mut [0; 64]).unwrap());
            }
        }
    }
    assert_eq!(received, b"0123456789");
}

#[test]
fn a_small_buffer_blocks_and_an_edge_tells_of_room() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    driver.script().set_buffer_bytes(4);
    let (mut near, mut far) = driver.script().stream_pair();
    driver.register(near.source(), TOKEN, Interest::WRITABLE, Mode::Edge).unwrap();
    assert_eq!(wait(&mut driver, Deadline::Now).len(), 1);
    assert_eq!(near.send(&[IoSlice::new(b"abc"), IoSlice::new(b"def")]).unwrap(), 4);
    assert_eq!(near.send(&[IoSlice::new(b"ef")]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert_eq!(wait(&mut driver, Deadline::Now), []);
    assert_eq!(far.recv(&mut [0; 1]).unwrap(), b"a");
    assert_eq!(wait(&mut driver, Deadline::Now), [Event::new(TOKEN, Readiness::WRITABLE)]);
    assert_eq!(near.send(&[IoSlice::new(b"ef")]).unwrap(), 1);
}

#[test]
fn a_test_plays_the_other_side() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let mut listener =
        driver.listen(&"0.0.0.0:80".parse().map(Address::Ip).unwrap(), &ListenOptions::default()).unwrap();
    let mut client = script.connect(&address(80), &ConnectOptions::default()).unwrap();
    client.finish_connect().unwrap();
    let (mut server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    client.send(&[IoSlice::new(b"hello")]).unwrap();
    assert_eq!(server.recv(&mut [0; 8]).unwrap(), b"hello");
    drop(listener);
    let mut late = script.connect(&address(80), &ConnectOptions::default()).unwrap();
    assert_eq!(late.finish_connect().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_connection_that_nobody_accepts_is_reset_with_its_listener() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let mut one_at_a_time = ListenOptions::default();
    one_at_a_time.backlog = 1;
    let listener = script.listen(&address(80), &one_at_a_time).unwrap();
    let mut waiting = script.connect(&address(80), &ConnectOptions::default()).unwrap();
    let mut refused = script.connect(&address(80), &ConnectOptions::default()).unwrap();
    assert_eq!(refused.finish_connect().unwrap_err().kind(), io::ErrorKind::ConnectionRefused, "the backlog is full");
    drop(listener);
    assert_eq!(waiting.recv(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_closed_source_is_forgotten() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let source = driver.script().source();
    source.set_ready(Readiness::BOTH);
    driver.register(source.source(), TOKEN, Interest::BOTH, Mode::Level).unwrap();
    assert_eq!(wait(&mut driver, Deadline::Now).len(), 1);
    drop(source);
    assert_eq!(wait(&mut driver, Deadline::Now), []);
}

#[cfg(unix)]
#[test]
fn a_descriptor_is_a_foreign_source() {
    use std::os::fd::AsFd;
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let (stream, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let outcome = driver.register(Source::Os(stream.as_fd()), TOKEN, Interest::BOTH, Mode::Level);
    assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn statistics_count_what_was_asked() {
    let mut driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let source = script.source();
    source.set_ready(Readiness::READABLE);
    driver.register(source.source(), TOKEN, Interest::READABLE, Mode::Level).unwrap();
    driver.modify(source.source(), TOKEN, Interest::BOTH, Mode::Level).unwrap();
    driver.notifier().notify();
    wait(&mut driver, Deadline::Now);
    wait(&mut driver, Deadline::Now);
    driver.remove(source.source()).unwrap();
    wait(&mut driver, Deadline::At(LoopTime::from_nanos(1)));
    let counts = script.statistics();
    assert_eq!((counts.waits, counts.events, counts.jumps, counts.notifications), (3, 2, 1, 1));
    assert_eq!((counts.registers, counts.modifies, counts.removes), (1, 1, 1));
}

/// One step of a program in virtual time.
#[derive(Clone, Debug)]
enum Step {
    Wait { nanos: u64 },
    Look,
    Advance { nanos: u64 },
    Plan { nanos: u64, is_ready: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..1000).prop_map(|nanos| Step::Wait { nanos }),
        Just(Step::Look),
        (0_u64..1000).prop_map(|nanos| Step::Advance { nanos }),
        (0_u64..1000, any::<bool>()).prop_map(|(nanos, is_ready)| Step::Plan { nanos, is_ready }),
    ]
}

proptest! {
    /// The model: a sorted list of changes, and a time that is the earlier of the deadline and the first change to ready.
    #[test]
    fn time_never_goes_back_and_jumps_exactly(steps in proptest::collection::vec(step(), 1..40)) {
        let clock = VirtualClock::new();
        let mut driver = ScriptedDriver::new(&clock);
        let source = driver.script().source();
        driver.register(source.source(), TOKEN, Interest::READABLE, Mode::Level).unwrap();
        let (mut now, mut is_ready, mut plans) = (0, false, Vec::<(u64, usize, bool)>::new());

        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Advance { nanos } => {
                    clock.advance(Duration::from_nanos(nanos));
                    now += nanos;
                }
                Step::Plan { nanos, is_ready } => {
                    let readiness = Readiness::new(is_ready, false);
                    source.set_ready_at(LoopTime::from_nanos(now + nanos), readiness);
                    plans.push((now + nanos, number, is_ready));
                    plans.sort_unstable();
                }
                Step::Wait { .. } | Step::Look => {
                    let (deadline, until) = match step {
                        Step::Wait { nanos } => (Deadline::At(LoopTime::from_nanos(now + nanos)), now + nanos),
                        _ => (Deadline::Now, now),
                    };
                    loop {
                        while plans.first().is_some_and(|plan| plan.0 <= now) {
                            is_ready = plans.remove(0).2;
                        }
                        if is_ready || now >= until {
                            break;
                        }
                        now = plans.first().map_or(until, |plan| plan.0.min(until));
                    }
                    let events = wait(&mut driver, deadline);
                    let expected = is_ready.then_some(Event::new(TOKEN, Readiness::READABLE));
                    prop_assert_eq!(events, Vec::from_iter(expected));
                }
            }
            prop_assert_eq!(clock.now(), LoopTime::from_nanos(now));
        }
    }
}
