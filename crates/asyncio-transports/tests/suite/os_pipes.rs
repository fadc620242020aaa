//! Pipes as transports: FIFOs, terminals and sockets are pipes, too. On both kernel drivers.

use crate::drivers;
use crate::recorder::{Recorder, reports};
use asyncio_driver::OsPipe;
use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::{ExtraInfo, LoopTransportsExt as _, Transport};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;

fn run<F: Future<Output = ()> + 'static>(main: impl Fn() -> F) {
    for event_loop in [drivers::platform(), drivers::polling()] {
        drivers::run_on(&event_loop, main());
    }
}

async fn reader(recorder: &Recorder, pipe: impl Into<OsPipe>) -> Transport {
    get_running_loop().connect_read_pipe(|| recorder.clone(), pipe).await.unwrap().0
}

async fn writer(recorder: &Recorder, pipe: impl Into<OsPipe>) -> Transport {
    get_running_loop().connect_write_pipe(|| recorder.clone(), pipe).await.unwrap().0
}

#[test]
fn a_reader_gets_bytes_the_end_and_its_own_end_whatever_it_says() {
    // sem. 217
    run(async || {
        let (out, mut into) = io::pipe().unwrap();
        let recorder = Recorder::default().keeps_open();
        let transport = reader(&recorder, out).await;
        into.write_all(b"some").unwrap();
        recorder.record.until_received(4).await;
        into.write_all(b" more").unwrap();
        drop(into);
        recorder.record.until_event("lost").await;
        assert_eq!(recorder.record.events(), ["made", "data", "eof", "lost"]);
        assert_eq!(recorder.record.received(), b"some more");
        assert!(transport.is_closing() && !transport.is_reading());
    });
}

#[test]
fn bytes_that_were_there_before_arrive_and_so_does_their_end() {
    run(async || {
        let (out, mut into) = io::pipe().unwrap();
        into.write_all(&[7; 50_000]).unwrap();
        drop(into);
        let recorder = Recorder::default();
        reader(&recorder, out).await;
        recorder.record.until_event("lost").await;
        assert_eq!(recorder.record.received(), [7; 50_000]);
    });
}

#[test]
fn a_writer_learns_that_its_reader_is_gone_without_writing() {
    // sem. 218
    run(async || {
        let (out, into) = io::pipe().unwrap();
        let recorder = Recorder::default();
        let transport = writer(&recorder, into).await;
        assert!(!transport.is_reading());
        drop(out);
        recorder.record.until_event("lost").await;
        assert_eq!(recorder.record.events(), ["made", "lost"]);
    });
}

#[test]
fn what_waits_when_the_reader_goes_makes_it_a_broken_pipe() {
    // sem. 218
    run(async || {
        let (out, into) = io::pipe().unwrap();
        let recorder = Recorder::default();
        let transport = writer(&recorder, into).await;
        transport.write(&[b'x'; 1 << 20]);
        recorder.record.until_event("pause").await;
        drop(out);
        recorder.record.until_event("lost").await;
        let lost = recorder.record.events().pop().unwrap();
        assert!(lost.to_lowercase().contains("broken pipe"), "{lost}");
    });
}

#[test]
fn everything_that_was_written_arrives_before_the_end() {
    // sem. 218
    run(async || {
        let (out, into) = io::pipe().unwrap();
        let (sender, receiver) = (Recorder::default(), Recorder::default());
        let transport = writer(&sender, into).await;
        reader(&receiver, out).await;
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
        transport.write(&bytes[..7]);
        transport.writelines([&bytes[7..100], &bytes[100..500_000]]);
        transport.write_bytes(bytes[500_000..].to_vec());
        assert!(transport.can_write_eof());
        transport.write_eof().unwrap();
        assert!(transport.is_closing(), "the end of what is written is the end of the pipe");
        receiver.record.until_event("lost").await;
        sender.record.until_event("lost").await;
        assert!(receiver.record.received() == bytes);
        assert_eq!(sender.record.events().last().map(String::as_str), Some("lost"));
    });
}

#[test]
fn reading_can_pause() {
    run(async || {
        let (out, into) = io::pipe().unwrap();
        let (sender, receiver) = (Recorder::default(), Recorder::default().on("data", Transport::pause_reading));
        let transport = writer(&sender, into).await;
        let paused = reader(&receiver, out).await;
        transport.write(b"first");
        receiver.record.until_received(5).await;
        transport.write(b"second");
        transport.close();
        sender.record.until_event("lost").await;
        assert_eq!(receiver.record.received(), b"first");
        paused.resume_reading();
        receiver.record.until_received(11).await;
        paused.resume_reading();
        receiver.record.until_event("lost").await;
    });
}

#[test]
fn a_socket_may_be_two_pipes() {
    run(async || {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let (receiver, sender) = (Recorder::default(), Recorder::default());
        let read = reader(&receiver, ours.try_clone().unwrap()).await;
        let write = writer(&sender, ours).await;
        theirs.write_all(b"question").unwrap();
        receiver.record.until_received(8).await;
        write.write(b"answer");
        write.close();
        sender.record.until_event("lost").await;
        let mut answer = [0; 6];
        theirs.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        read.close();
        receiver.record.until_event("lost").await;
    });
}

#[test]
fn what_is_no_pipe_is_refused() {
    // sem. 219
    run(async || {
        let event_loop = get_running_loop();
        let file = || File::open("Cargo.toml").unwrap();
        let read = event_loop.connect_read_pipe(Recorder::default, file()).await.unwrap_err();
        let write = event_loop.connect_write_pipe(Recorder::default, file()).await.unwrap_err();
        assert_eq!([read.kind(), write.kind()], [io::ErrorKind::InvalidInput; 2]);
        assert!(read.to_string().contains("regular file"), "{read}");
    });
}

#[test]
fn the_other_direction_says_so() {
    let event_loop = EventLoop::builder().build().unwrap();
    let heard = reports(&event_loop);
    event_loop
        .run_until_complete(async {
            let (out, into) = io::pipe().unwrap();
            let recorder = Recorder::default().on("made", |transport| transport.write(b"x"));
            let transport = reader(&recorder, out).await;
            assert_eq!(transport.write_eof().unwrap_err().kind(), io::ErrorKind::Unsupported);
            assert!(!transport.can_write_eof());
            assert!(matches!(transport.get_extra_info("pipe"), Some(ExtraInfo::Pipe(pipe)) if pipe.dup().is_ok()));
            assert!(transport.get_extra_info("socket").is_none() && transport.peername().is_none());
            let other = writer(&Recorder::default(), into).await;
            other.pause_reading();
            other.resume_reading();
            other.abort();
            recorder.record.until_event("lost").await;
        })
        .unwrap();
    assert_eq!(
        *heard.borrow(),
        ["protocol.connection_made() panicked: `write` called on the end of a pipe to read from"]
    );
    event_loop.close().unwrap();
}
