//! Flow control and the gathering of writes. On every driver.

use crate::drivers;
use crate::recorder::{Recorder, connect, end, reports};
use asyncio_tasks::yield_now;

/// More than any socket takes.
const LARGE: usize = 20_000_000;

drivers::on_each_driver! {
    // sem. 204, 205
    async fn pausing_and_resuming_alternate_at_the_marks() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        server.record.transport().pause_reading();
        assert_eq!(transport.get_write_buffer_limits(), (16_384, 65_536));
        transport.write(b"small");
        yield_now().await;
        assert_eq!(transport.get_write_buffer_size(), 0, "it was sent when the step was back");
        transport.write(&vec![0; LARGE]);
        assert_eq!(client.record.events(), ["made", "pause"], "inside the call");
        let waiting = transport.get_write_buffer_size();
        transport.write(&[0; 1000]);
        assert_eq!(transport.get_write_buffer_size(), waiting + 1000);
        server.record.transport().resume_reading();
        client.record.until_event("resume").await;
        assert!(transport.get_write_buffer_size() <= 16_384);
        server.record.until_received(LARGE + 1005).await;
        assert_eq!(client.record.events(), ["made", "pause", "resume"]);
        transport.close();
        end(listening).await;
    }

    // sem. 206
    async fn marks_that_make_no_sense_are_refused() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.set_write_buffer_limits(Some(0), None);
        assert_eq!(transport.get_write_buffer_limits(), (0, 0));
        let other = transport.clone();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            other.set_write_buffer_limits(Some(1), Some(2));
        }));
        assert!(outcome.is_err());
        assert_eq!(transport.get_write_buffer_limits(), (0, 0));
        transport.close();
        end(listening).await;
    }

    // sem. 207
    async fn new_marks_may_pause_at_once_and_never_resume() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        server.record.transport().pause_reading();
        transport.set_write_buffer_limits(Some(2 * LARGE), None);
        transport.write(&vec![0; LARGE]);
        yield_now().await;
        assert_eq!((client.record.events().len(), transport.get_write_buffer_size() > 0), (1, true));
        transport.set_write_buffer_limits(Some(1000), None);
        assert_eq!(client.record.events(), ["made", "pause"]);
        transport.set_write_buffer_limits(Some(2 * LARGE), None);
        assert_eq!(client.record.events(), ["made", "pause"]);
        server.record.transport().resume_reading();
        client.record.until_event("resume").await;
        transport.close();
        end(listening).await;
    }

    // sem. 209
    async fn pieces_arrive_in_order_whatever_they_were_written_by() {
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = connect(&client, &server).await;
        let mut expected = Vec::new();
        for round in 0..300_usize {
            let piece: Vec<u8> = (0..round * 37 % 5000).map(|n| (n + round) as u8).collect();
            expected.extend_from_slice(&piece);
            match round % 4 {
                0 => transport.write(&piece),
                1 => transport.write_bytes(piece),
                2 => transport.writelines(piece.chunks(999)),
                _ => transport.writelines([&piece[..], &[]]),
            }
            if round % 7 == 0 {
                yield_now().await;
            }
        }
        transport.write_eof().unwrap();
        server.record.until_event("eof").await;
        assert!(server.record.received() == expected);
        end(listening).await;
    }

    async fn an_echo_out_of_the_received_bytes_is_what_was_sent() {
        // Forward, in pieces, backwards, together with other bytes, from the middle.
        let echo = Recorder::default();
        let record = echo.record.clone();
        let echo = echo.on("data", move |transport| {
            let received = record.received();
            if received.len() % 3 == 0 {
                transport.write(b"<>");
            }
        });
        let (client, server) = (Recorder::default(), echo);
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(b"abc");
        client.record.until_received(2).await;
        assert_eq!(client.record.received(), b"<>");
        transport.close();
        end(listening).await;
    }

    async fn a_protocol_that_writes_while_it_is_told_is_told_in_turn() {
        let reports = reports(&asyncio_loop::get_running_loop());
        let client = Recorder::default()
            .on("pause", |it| it.write(b"in pause"))
            .on("resume", |it| it.close());
        let server = Recorder::default();
        let ((transport, _), listening) = connect(&client, &server).await;
        transport.write(&vec![0; LARGE]);
        server.record.until_event("lost").await;
        assert_eq!(server.record.received().len(), LARGE + 8);
        client.record.until_event("lost").await;
        assert_eq!(client.record.events(), ["made", "pause", "resume", "lost"]);
        assert_eq!(reports.take(), [""; 0]);
        end(listening).await;
    }
}
