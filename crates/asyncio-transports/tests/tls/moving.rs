//! Bytes: many, both ways, past slow readers, in small pieces. On every driver.

use crate::certificates::{contexts, secured};
use crate::drivers;
use crate::recorder::{Recorder, end};
use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_transports::{BufferedProtocol, LoopTransportsExt as _, Transport};
use std::cell::RefCell;
use std::hash::{DefaultHasher, Hasher as _};
use std::rc::Rc;

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

/// Receives into a small buffer of its own, and sends all of it back.
struct Mirror {
    buffer: Box<[u8]>,
    transport: Option<Transport>,
}

impl BufferedProtocol for Mirror {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn get_buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    fn buffer_updated(&mut self, bytes: usize) {
        self.transport.as_ref().unwrap().write(&self.buffer[..bytes]);
    }

    fn pause_writing(&mut self) {
        self.transport.as_ref().unwrap().pause_reading();
    }

    fn resume_writing(&mut self) {
        self.transport.as_ref().unwrap().resume_reading();
    }
}

drivers::on_each_driver! {
    async fn much_goes_both_ways_at_once() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        let (there, back) = (noise(4_000_000, 1), noise(3_000_001, 2));
        transport.write(&there);
        server.record.transport().write(&back);
        server.record.until_received(there.len()).await;
        client.record.until_received(back.len()).await;
        assert_eq!(hash(&server.record.received()), hash(&there));
        assert_eq!(hash(&client.record.received()), hash(&back));
        transport.close();
        end(listening).await;
    }

    // sem. 213
    async fn a_buffered_protocol_with_little_room_gets_everything() {
        for room in [1, 1000, 20_000] {
            let (client_context, server_context) = contexts();
            let event_loop = get_running_loop();
            let mirror = move || Mirror { buffer: vec![0; room].into(), transport: None };
            let listening = event_loop.create_server(mirror, ("127.0.0.1", 0)).ssl(&server_context).await.unwrap();
            let client = Recorder::default();
            let connecting = event_loop.create_connection(|| client.clone(), listening.local_addrs()[0]);
            let (transport, _) = connecting.ssl(&client_context).await.unwrap();
            let sent = noise(room * 50 + 1, 3);
            transport.write(&sent);
            client.record.until_received(sent.len()).await;
            assert!(client.record.received() == sent);
            transport.close();
            end(listening).await;
        }
    }

    // sem. 250
    async fn a_slow_reader_makes_the_writer_wait() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        assert_eq!(transport.get_write_buffer_limits(), (131_072, 524_288));
        let serving = server.record.transport();
        serving.pause_reading();
        let sent = noise(20_000_000, 4);
        transport.write(&sent);
        assert!(transport.get_write_buffer_size() > 524_288);
        client.record.until_event("pause").await;
        assert_eq!(server.record.received().len(), 0);
        serving.resume_reading();
        client.record.until_event("resume").await;
        assert!(transport.get_write_buffer_size() <= 131_072);
        server.record.until_received(sent.len()).await;
        assert_eq!(hash(&server.record.received()), hash(&sent));
        transport.close();
        end(listening).await;
    }

    async fn reading_may_pause_in_the_middle_of_what_has_arrived() {
        let (client_context, server_context) = contexts();
        let counted = Rc::new(RefCell::new(0));
        let count = counted.clone();
        let client = Recorder::default().on("data", move |it| {
            *count.borrow_mut() += 1;
            it.pause_reading();
        });
        let server = Recorder::default();
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        let sent = noise(700_000, 5);
        server.record.transport().write(&sent);
        server.record.transport().close();
        let mut resumed = 0;
        while !client.record.events().iter().any(|event| event.starts_with("lost")) {
            assert!(*counted.borrow() <= resumed + 1, "nothing comes while it is paused");
            if *counted.borrow() > resumed {
                resumed += 1;
                transport.resume_reading();
            }
            asyncio_tasks::yield_now().await;
        }
        assert!(client.record.received() == sent);
        assert_eq!(client.record.events(), ["made", "data", "eof", "lost"]);
        end(listening).await;
    }

    async fn small_writes_of_one_callback_leave_together() {
        let (client_context, server_context) = contexts();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        for n in 0..1000_u16 {
            transport.write(&n.to_be_bytes());
            transport.write_bytes(vec![n as u8; usize::from(n % 3)]);
        }
        transport.writelines([&b"last"[..], b"", b"ones"]);
        let mut expected: Vec<u8> = (0..1000_u16).flat_map(|n| [n.to_be_bytes().to_vec(), vec![n as u8; usize::from(n % 3)]].concat()).collect();
        expected.extend_from_slice(b"lastones");
        server.record.until_received(expected.len()).await;
        assert!(server.record.received() == expected);
        transport.close();
        end(listening).await;
    }
}

/// Receives into 40 bytes, and lets the peer write once more after the first of them.
struct Prompter {
    buffer: [u8; 40],
    peer: Recorder,
    received: Rc<RefCell<Vec<u8>>>,
}

impl BufferedProtocol for Prompter {
    fn get_buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    fn buffer_updated(&mut self, bytes: usize) {
        if self.received.borrow().is_empty() {
            self.peer.record.transport().write(&[2; 100]);
        }
        self.received.borrow_mut().extend_from_slice(&self.buffer[..bytes]);
    }
}

/// A record of which half was handed out, then news from the kernel, then the other half: the news is not lost with it.
#[test]
fn what_arrives_while_something_is_left_is_not_forgotten() {
    let event_loop = EventLoop::builder().strict_order(true).build().unwrap();
    drivers::run_on(&event_loop, async {
        let (client_context, server_context) = contexts();
        let (event_loop, received, client) =
            (get_running_loop(), Rc::new(RefCell::new(Vec::new())), Recorder::default());
        let (sink, peer) = (received.clone(), client.clone());
        let prompter = move || Prompter { buffer: [0; 40], peer: peer.clone(), received: sink.clone() };
        let listening = event_loop.create_server(prompter, ("127.0.0.1", 0)).ssl(&server_context).await.unwrap();
        let connecting = event_loop.create_connection(|| client.clone(), listening.local_addrs()[0]);
        let (transport, _) = connecting.ssl(&client_context).await.unwrap();
        for _ in 0..20 {
            asyncio_tasks::yield_now().await;
        }
        transport.write(&[1; 50]);
        // No limit in time: were it forgotten, many turns would change nothing.
        for _ in 0..10_000 {
            if received.borrow().len() == 150 {
                break;
            }
            asyncio_tasks::yield_now().await;
        }
        assert_eq!(*received.borrow(), [vec![1; 50], vec![2; 100]].concat());
        transport.close();
        end(listening).await;
    });
}
