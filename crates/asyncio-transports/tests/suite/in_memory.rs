//! Transports over pairs of endpoints in memory, on virtual time: how users test their protocols, and how the worst networks
//! are made up.

use crate::recorder::{Recorder, end, reports};
use asyncio_driver::ConnectOptions;
use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_tasks::{LoopTasksExt as _, sleep, yield_now};
use asyncio_testing::{Operation, Script, ScriptedDriver, VirtualClock};
use asyncio_transports::LoopTransportsExt as _;
use proptest::prelude::*;
use std::io;

fn run<F: Future<Output = ()> + 'static>(main: impl FnOnce(Script) -> F) {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    event_loop.run_until_complete(main(script)).unwrap();
    event_loop.run_until_blocked().unwrap();
    assert_eq!(event_loop.pending(), []);
    event_loop.close().unwrap();
}

/// Two recorders whose transports are connected to each other.
async fn pair(script: &Script, near: &Recorder, far: &Recorder) {
    let event_loop = get_running_loop();
    let (one, other) = script.stream_pair();
    event_loop.connect_endpoint(|| near.clone(), one).await.unwrap();
    event_loop.connect_endpoint(|| far.clone(), other).await.unwrap();
}

#[test]
fn one_byte_at_a_time_is_as_good() {
    run(|script| async move {
        script.set_send_max(Some(1));
        script.set_recv_max(Some(1));
        let (near, far) = (Recorder::default(), Recorder::default());
        pair(&script, &near, &far).await;
        near.record.transport().write(b"byte by byte");
        near.record.transport().write_eof().unwrap();
        far.record.until_event("lost").await;
        assert_eq!(
            (far.record.received(), far.record.events()),
            (b"byte by byte".to_vec(), ["made", "data", "eof", "lost"].map(String::from).to_vec())
        );
        near.record.until_event("lost").await;
    });
}

// sem. 195
#[test]
#[expect(clippy::await_holding_refcell_ref, reason = "the mistake that is to be survived")]
fn connection_lost_waits_for_the_end_of_a_borrow() {
    run(|script| async move {
        let event_loop = get_running_loop();
        let reports = reports(&event_loop);
        let (near, far) = (Recorder::default(), Recorder::default());
        let (one, other) = script.stream_pair();
        let (transport, protocol) = event_loop.connect_endpoint(|| near.clone(), one).await.unwrap();
        event_loop.connect_endpoint(|| far.clone(), other).await.unwrap();
        let borrow = protocol.borrow();
        transport.abort();
        far.record.until_event("lost").await;
        sleep(1).await;
        assert_eq!(near.record.events(), ["made"]);
        assert_eq!(reports.take(), ["protocol.connection_lost() is late"]);
        drop(borrow);
        near.record.until_event("lost").await;
        sleep(600).await;
        assert_eq!((near.record.events(), reports.take()), (vec!["made".into(), "lost".into()], vec![]));
    });
}

#[test]
#[expect(clippy::await_holding_refcell_ref, reason = "the mistake that is to be survived")]
fn a_protocol_that_stays_borrowed_is_given_up_in_the_end() {
    run(|script| async move {
        let event_loop = get_running_loop();
        let reports = reports(&event_loop);
        let (near, far) = (Recorder::default(), Recorder::default());
        let (one, other) = script.stream_pair();
        let (transport, protocol) = event_loop.connect_endpoint(|| near.clone(), one).await.unwrap();
        event_loop.connect_endpoint(|| far.clone(), other).await.unwrap();
        let borrow = protocol.borrow();
        transport.abort();
        sleep(600).await;
        drop(borrow);
        assert_eq!(near.record.events(), ["made"]);
        let told = ["protocol.connection_lost() is late", "protocol.connection_lost() could not be called"];
        assert_eq!(reports.take(), told);
    });
}

#[test]
fn operations_that_fail_end_the_connection_once() {
    for (operation, kind) in [
        (Operation::Recv, io::ErrorKind::ConnectionReset),
        (Operation::Send, io::ErrorKind::BrokenPipe),
        (Operation::Recv, io::ErrorKind::WouldBlock),
        (Operation::Send, io::ErrorKind::WouldBlock),
    ] {
        run(|script| async move {
            let (near, far) = (Recorder::default(), Recorder::default());
            pair(&script, &near, &far).await;
            script.fail_next(operation, kind.into());
            near.record.transport().write(b"x");
            if kind == io::ErrorKind::WouldBlock {
                far.record.until_received(1).await;
                near.record.transport().close();
            }
            near.record.until_event("lost").await;
            far.record.until_event("lost").await;
            for end in [&near, &far] {
                assert_eq!(end.record.events().iter().filter(|event| event.starts_with("lost")).count(), 1);
            }
        });
    }
}

#[test]
fn a_registration_that_fails_is_the_creators_error() {
    run(|script| async move {
        let (one, _other) = script.stream_pair();
        script.fail_next(Operation::Register, io::ErrorKind::OutOfMemory.into());
        let refused = get_running_loop().connect_endpoint(Recorder::default, one).await;
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::OutOfMemory);
    });
}

// sem. 230
#[test]
fn accepting_goes_on_a_second_after_it_failed() {
    run(|script| async move {
        let event_loop = get_running_loop();
        let reports = crate::recorder::reports(&event_loop);
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).await.unwrap();
        for _ in 0..3 {
            script.fail_next(Operation::Accept, io::Error::other("no luck"));
        }
        let client = script.connect(&server.local_addrs()[0].into(), &ConnectOptions::default()).unwrap();
        let begin = event_loop.time();
        while server.client_count() == 0 {
            sleep(0.25).await;
        }
        assert_eq!(event_loop.time() - begin, 3.25, "after three pauses");
        assert_eq!(reports.take(), ["accepting connections pauses: it has failed"]);
        drop(client);
        end(server).await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is written, by whatever method, over whatever network and with whatever marks: it arrives, in order, and
    /// pauses and resumes alternate.
    #[test]
    fn what_is_written_arrives(
        writes in prop::collection::vec((0..3_usize, 0..900_usize, any::<bool>()), 1..20),
        send_max in 8..800_usize,
        recv_max in 8..800_usize,
        capacity in 8..2000_usize,
        high in 0..3000_usize,
    ) {
        run(|script| async move {
            script.set_send_max(Some(send_max));
            script.set_recv_max(Some(recv_max));
            script.set_buffer_bytes(capacity);
            let (near, far) = (Recorder::default(), Recorder::default());
            pair(&script, &near, &far).await;
            let transport = near.record.transport();
            transport.set_write_buffer_limits(Some(high), None);
            let mut expected = Vec::new();
            for (method, bytes, waits) in writes {
                let piece: Vec<u8> = (0..bytes).map(|n| (n + expected.len()) as u8).collect();
                expected.extend_from_slice(&piece);
                match method {
                    0 => transport.write(&piece),
                    1 => transport.write_bytes(piece),
                    _ => transport.writelines(piece.chunks(1 + bytes / 3)),
                }
                if waits {
                    yield_now().await;
                }
            }
            transport.write_eof().unwrap();
            far.record.until_event("lost").await;
            near.record.until_event("lost").await;
            assert!(far.record.received() == expected);
            let told: Vec<_> = near.record.events().into_iter().filter(|it| it == "pause" || it == "resume").collect();
            assert!(told.iter().enumerate().all(|(n, event)| (event == "pause") == (n % 2 == 0)), "{told:?}");
            assert_eq!(told.len() % 2, 0);
        });
    }
}
