//! Bytes that are sent back out of the slice in which they came, which is never copied unless it must be. On every driver.

use crate::recorder::Recorder;
use crate::{drivers, recorder};
use asyncio_loop::get_running_loop;
use asyncio_transports::{BufferedProtocol, LoopTransportsExt as _, Protocol, Transport};
use std::io;

/// Sends back what a function makes of each slice.
struct Echo {
    transport: Option<Transport>,
    answer: fn(&Transport, &[u8]),
}

impl Protocol for Echo {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn data_received(&mut self, data: &[u8]) {
        (self.answer)(self.transport.as_ref().unwrap(), data);
    }

    fn pause_writing(&mut self) {
        self.transport.as_ref().unwrap().pause_reading();
    }

    fn resume_writing(&mut self) {
        self.transport.as_ref().unwrap().resume_reading();
    }
}

/// Sends `question` to a server that answers by `answer`, and gives all that comes back.
async fn ask(question: Vec<u8>, answer: fn(&Transport, &[u8])) -> Vec<u8> {
    let event_loop = get_running_loop();
    let factory = move || Echo { transport: None, answer };
    let server = event_loop.create_server(factory, ("127.0.0.1", 0)).await.unwrap();
    let client = Recorder::default();
    let connected = event_loop.create_connection(|| client.clone(), server.local_addrs()[0]).await;
    let (transport, _) = connected.unwrap();
    transport.write(&question);
    transport.write_eof().unwrap();
    client.record.until_event("lost").await;
    assert_eq!(client.record.events().last().unwrap(), "lost");
    recorder::end(server).await;
    client.record.received()
}

fn question(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| (n * 7 + n / 251) as u8).collect()
}

drivers::on_each_driver! {
    async fn whole_slices() {
        for bytes in [1, 1000, 300_000, 8_000_000] {
            assert!(ask(question(bytes), |it, data| it.write(data)).await == question(bytes), "{bytes}");
        }
    }

    async fn frame_by_frame() {
        let answer = |it: &Transport, data: &[u8]| data.chunks(64).for_each(|frame| it.write(frame));
        assert!(ask(question(3_000_000), answer).await == question(3_000_000));
    }

    async fn backwards_and_with_bytes_from_elsewhere() {
        let answer = |it: &Transport, data: &[u8]| {
            let middle = data.len() / 2;
            it.write(&data[middle..]);
            it.write(b"|");
            it.write(&data[..middle]);
            it.write_bytes(&b"."[..]);
            assert!(it.get_write_buffer_size() >= data.len() || it.is_closing());
        };
        assert_eq!(ask(b"abcdef".to_vec(), answer).await, b"def|abc.");
    }

    async fn the_same_bytes_twice_and_none_at_all() {
        let answer = |it: &Transport, data: &[u8]| {
            it.write(&data[..0]);
            it.write(data);
            it.write(data);
            it.write(&data[data.len()..]);
        };
        assert_eq!(ask(b"ab".to_vec(), answer).await, b"abab");
    }

    async fn what_was_answered_leaves_before_an_end_in_the_same_callback() {
        let answers: [fn(&Transport, &[u8]); 3] = [
            |it, data| { it.write(data); it.close(); },
            |it, data| { it.write(data); it.write_eof().unwrap(); },
            |it, data| { it.write(data); it.set_write_buffer_limits(Some(0), None); it.close(); },
        ];
        for answer in answers {
            assert_eq!(ask(b"last words".to_vec(), answer).await, b"last words");
        }
    }

    // sem. 213
    async fn a_buffered_protocol_receives_into_its_own_memory() {
        /// Has room for three bytes, and none after an `x`.
        #[derive(Default)]
        struct Small { room: [u8; 3], transport: Option<Transport>, log: String }
        impl BufferedProtocol for Small {
            fn connection_made(&mut self, transport: &Transport) {
                self.transport = Some(transport.clone());
            }
            fn get_buffer(&mut self) -> &mut [u8] {
                let room = if self.log.ends_with('x') { 0 } else { 3 };
                &mut self.room[..room]
            }
            fn buffer_updated(&mut self, bytes: usize) {
                let text = str::from_utf8(&self.room[..bytes]).unwrap();
                self.log.push_str(text);
                self.transport.as_ref().unwrap().write(&self.room[..bytes]);
            }
            fn eof_received(&mut self) -> bool {
                self.log.push('$');
                false
            }
            fn connection_lost(&mut self, error: Option<io::Error>) {
                self.log.push_str(if error.is_some() { "!" } else { "." });
            }
        }
        for (question, log) in [("abcdefgh", "abcdefgh$."), ("abx", "abx!")] {
            let event_loop = get_running_loop();
            let far = Recorder::default();
            let factory = far.clone();
            let server = event_loop.create_server(move || factory.clone(), ("127.0.0.1", 0)).await.unwrap();
            let (_, small) = event_loop.create_connection(Small::default, server.local_addrs()[0]).await.unwrap();
            far.record.until_event("made").await;
            far.record.transport().write(question.as_bytes());
            if question != "abx" {
                far.record.transport().write_eof().unwrap();
            }
            far.record.until_event("lost").await;
            assert_eq!(small.borrow().log, log);
            assert_eq!(far.record.received(), question.as_bytes());
            recorder::end(server).await;
        }
    }
}
