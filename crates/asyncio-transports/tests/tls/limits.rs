//! Peers that stall, cut off, or send their bytes one by one: on virtual time, so that limits are exact.

use crate::certificates::contexts;
use crate::recorder::{Recorder, reports};
use asyncio_driver::StreamEndpoint;
use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_tasks::{LoopTasksExt as _, yield_now};
use asyncio_testing::{Script, ScriptedDriver, VirtualClock};
use asyncio_transports::{LoopTransportsExt as _, SslContext, Transport};
use std::io::{self, IoSlice};

fn run<F: Future<Output = ()> + 'static>(main: impl FnOnce(Script) -> F) {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    event_loop.run_until_complete(main(script)).unwrap();
    event_loop.run_until_blocked().unwrap();
    assert_eq!(event_loop.pending(), []);
    event_loop.close().unwrap();
}

/// Both ends on a pair of endpoints in memory.
async fn pair(
    script: &Script,
    (client, server): (&Recorder, &Recorder),
    (client_context, server_context): (&SslContext, &SslContext),
) -> io::Result<(Transport, Transport)> {
    let event_loop = get_running_loop();
    let (one, other) = script.stream_pair();
    let (far, context, inner) = (server.clone(), server_context.clone(), event_loop.clone());
    let accepting = event_loop.create_task(async move { inner.connect_endpoint(|| far, other).ssl(context).await });
    let connecting =
        event_loop.connect_endpoint(|| client.clone(), one).ssl(client_context).server_hostname("localhost");
    let connected = connecting.await;
    let accepted = accepting.await.expect("not cancelled");
    Ok((connected?.0, accepted?.0))
}

// sem. 248
#[test]
fn a_handshake_that_stalls_ends_at_its_limit() {
    for limit in [None, Some(2.5)] {
        run(|script| async move {
            let (client_context, _) = contexts();
            let event_loop = get_running_loop();
            let (near, far) = script.stream_pair();
            let begun = event_loop.time();
            let mut connecting = event_loop.connect_endpoint(Recorder::default, near).ssl(&client_context);
            connecting = connecting.server_hostname("localhost");
            if let Some(limit) = limit {
                connecting = connecting.ssl_handshake_timeout(limit);
            }
            let error = connecting.await.map(drop).unwrap_err();
            let seconds = limit.unwrap_or(60.0);
            let message = format!("SSL handshake is taking longer than {seconds} seconds: aborting the connection");
            assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::ConnectionAborted, message));
            assert_eq!(event_loop.time() - begun, seconds);
            drop(far);
        });
    }
}

#[test]
fn a_client_that_stalls_is_given_up_by_the_server() {
    run(|script| async move {
        let (_, server_context) = contexts();
        let event_loop = get_running_loop();
        let told = reports(&event_loop);
        let server = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).ssl(&server_context);
        let server = server.ssl_handshake_timeout(7).await.unwrap();
        let address = server.sockets()[0].clone();
        let begun = event_loop.time();
        let stalled = script.connect(&address, &asyncio_driver::ConnectOptions::default()).unwrap();
        while server.client_count() == 0 {
            yield_now().await;
        }
        server.close();
        server.wait_closed().await.unwrap();
        assert_eq!((event_loop.time() - begun, told.borrow().len()), (7.0, 0));
        drop(stalled);
    });
}

// sem. 248
#[test]
fn a_peer_that_does_not_answer_to_the_leave_is_waited_for_so_long() {
    run(|script| async move {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let (near, far) = pair(&script, (&client, &server), (&client_context, &server_context)).await.unwrap();
        far.pause_reading();
        let begun = get_running_loop().time();
        near.close();
        client.record.until_event("lost").await;
        assert_eq!(get_running_loop().time() - begun, 30.0);
        assert_eq!(client.record.events(), ["made", "lost: SSL shutdown timed out"]);
        far.abort();
        server.record.until_event("lost").await;
    });
}

#[test]
fn one_byte_at_a_time_is_as_good() {
    run(|script| async move {
        script.set_send_max(Some(1));
        script.set_recv_max(Some(1));
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let (near, far) = pair(&script, (&client, &server), (&client_context, &server_context)).await.unwrap();
        near.write(b"byte by byte");
        far.write(&[7; 3000]);
        client.record.until_received(3000).await;
        near.close();
        client.record.until_event("lost").await;
        server.record.until_event("lost").await;
        assert_eq!(server.record.received(), b"byte by byte");
        assert_eq!(client.record.received(), [7; 3000]);
        assert_eq!(server.record.events(), ["made", "data", "eof", "lost"]);
    });
}

/// Carries at most `budget` bytes from one end to the other; says what is left of it. Gives up when there is nothing to carry.
fn carry(from: &mut dyn StreamEndpoint, to: &mut dyn StreamEndpoint, budget: &mut usize) -> bool {
    let mut scratch = [0; 4096];
    let room = scratch.len().min(*budget);
    match from.recv(&mut scratch[..room]) {
        Ok(bytes) if !bytes.is_empty() => {
            let sent = to.send(&[IoSlice::new(bytes)]).expect("there is room");
            assert_eq!(sent, bytes.len());
            *budget -= sent;
            true
        }
        _ => false,
    }
}

/// What comes after one's own leave is not taken for an answer, and ends the connection like any end.
#[test]
fn nonsense_after_the_leave_ends_it() {
    run(|script| async move {
        let (client_context, server_context) = contexts();
        let event_loop = get_running_loop();
        let (near, mut wire) = script.stream_pair();
        let (far, mut other_wire) = script.stream_pair();
        let (client, server) = (Recorder::default(), Recorder::default());
        let (inner, factory) = (event_loop.clone(), server.clone());
        let accepting =
            event_loop.create_task(async move { inner.connect_endpoint(|| factory, far).ssl(server_context).await });
        let (inner, factory) = (event_loop.clone(), client.clone());
        let connecting = event_loop.create_task(async move {
            inner.connect_endpoint(|| factory, near).ssl(client_context).server_hostname("localhost").await
        });
        let mut free = usize::MAX;
        while client.record.events().is_empty() || server.record.events().is_empty() {
            carry(&mut *wire, &mut *other_wire, &mut free);
            carry(&mut *other_wire, &mut *wire, &mut free);
            yield_now().await;
        }
        let (transport, _) = connecting.await.unwrap().unwrap();
        accepting.await.unwrap().unwrap();
        transport.close();
        while wire.recv(&mut [0; 64]).is_err() {
            yield_now().await;
        }
        let begun = event_loop.time();
        assert_eq!(wire.send(&[IoSlice::new(b"\x17\x03\x03\x00\x05wrong")]).unwrap(), 10);
        client.record.until_event("lost").await;
        assert_eq!(
            (client.record.events(), event_loop.time() - begun),
            (["made", "lost"].map(String::from).to_vec(), 0.0)
        );
        drop(other_wire);
        server.record.until_event("lost").await;
    });
}

/// Whatever the byte after which the wire is cut: nobody hangs, nobody takes it for an end, and each is told once.
#[test]
fn a_cut_at_every_place_is_an_error() {
    let mut cuts_with_data = 0;
    let mut cut = 0;
    loop {
        let (is_over, received) = cut_after(cut);
        if is_over {
            break;
        }
        cuts_with_data += usize::from(received > 0);
        // Every byte of the record headers and their neighbourhood, and some of what is between.
        cut += if cut % 64 < 8 { 1 } else { 7 };
    }
    assert!(cut > 1000 && cuts_with_data > 5, "{cut} bytes, {cuts_with_data} cuts with data");
}

/// Cuts what the server sends after so many bytes. Says whether the leave was taken before, and how much the client got.
fn cut_after(cut: usize) -> (bool, usize) {
    let outcome = std::rc::Rc::new(std::cell::Cell::new((false, 0)));
    let place = outcome.clone();
    run(|script| async move {
        let (client_context, server_context) = contexts();
        let event_loop = get_running_loop();
        let (near, mut wire) = script.stream_pair();
        let (far, mut other_wire) = script.stream_pair();
        let client = Recorder::default();
        let server = Recorder::default().on("made", |it| {
            it.write(b"first");
            it.write(&[1; 100]);
            it.close();
        });
        let (inner, factory) = (event_loop.clone(), server.clone());
        let accepting = event_loop
            .create_task(async move { inner.connect_endpoint(|| factory, far).ssl(server_context).await.map(drop) });
        let (inner, factory) = (event_loop.clone(), client.clone());
        let connecting = event_loop.create_task(async move {
            let connecting = inner.connect_endpoint(|| factory, near).ssl(client_context);
            connecting.server_hostname("localhost").await.map(drop)
        });
        let (mut budget, mut free) = (cut, usize::MAX);
        let mut quiet = 0;
        while quiet < 50 {
            let moved =
                carry(&mut *other_wire, &mut *wire, &mut budget) | carry(&mut *wire, &mut *other_wire, &mut free);
            quiet = if moved { 0 } else { quiet + 1 };
            yield_now().await;
        }
        drop((wire, other_wire));
        let outcome = connecting.await.unwrap();
        if outcome.is_ok() {
            client.record.until_event("lost").await;
        } else {
            assert_eq!(client.record.events().len(), 0);
        }
        if accepting.await.unwrap().is_ok() {
            server.record.until_event("lost").await;
        }
        let events = client.record.events();
        let is_over = events.iter().any(|event| event == "eof");
        assert!(outcome.is_err() || events.iter().filter(|event| event.starts_with("lost")).count() == 1);
        // Without the leave, the end is an error.
        assert_eq!(
            events.iter().any(|event| event.starts_with("lost: ")),
            outcome.is_ok() && !is_over,
            "{cut}: {events:?}"
        );
        place.set((is_over, client.record.received().len()));
    });
    outcome.get()
}
