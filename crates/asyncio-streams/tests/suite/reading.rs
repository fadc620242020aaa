//! Reading from connections. What each read does to the bytes is tested with the buffer itself.

use crate::drivers;
use crate::rig::Rig;
use crate::script;
use asyncio_streams::{ReadExactlyError, ReadLineError, ReadUntilError, StreamReader};
use asyncio_tasks::{create_task, timeout, yield_now};
use bytes::Bytes;
use futures_util::StreamExt as _;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

drivers::on_each_driver! {
    // sem. 177, 178, 179, 180, 181
    async fn every_read_gets_what_the_other_end_has_written() {
        let mut rig = Rig::new(16).await;
        rig.server_writer.write("one\ntwo\r\nthree;four,exactly");
        assert_eq!(rig.reader.readline().await.unwrap(), "one\n");
        assert_eq!(rig.reader.readuntil("\r\n").await.unwrap(), "two\r\n");
        assert_eq!(rig.reader.readuntil([",", ";"]).await.unwrap(), "three;");
        assert_eq!(rig.reader.readuntil([",", ";"]).await.unwrap(), "four,");
        assert_eq!(rig.reader.readexactly(7).await.unwrap(), "exactly");
        rig.server_writer.write("a line that is longer than the limit\nnext\npartial");
        rig.server_writer.write_eof().unwrap();
        assert!(matches!(rig.reader.readuntil(b"\n").await, Err(ReadUntilError::LimitOverrun(_))));
        assert!(matches!(rig.reader.readline().await, Err(ReadLineError::LimitOverrun(_))));
        let rest = rig.reader.read(-1).await.unwrap();
        assert!(rest.ends_with(b"partial"), "{rest:?}");
        assert!(rig.reader.at_eof());
        assert_eq!(rig.reader.read(100).await.unwrap(), "");
        assert_eq!(rig.reader.readline().await.unwrap(), "");
        rig.end().await;
    }

    // sem. 178, 180
    async fn the_end_in_the_middle_is_an_error_that_has_what_came_before() {
        let mut rig = Rig::new(64).await;
        rig.server_writer.write("1234");
        rig.server_writer.write_eof().unwrap();
        match rig.reader.readexactly(10).await {
            Err(ReadExactlyError::Incomplete(error)) => {
                assert_eq!((&error.partial[..], error.expected), (&b"1234"[..], Some(10)));
            }
            other => panic!("{other:?}"),
        }
        assert!(rig.reader.at_eof());
        let error = io::Error::from(rig.reader.readuntil("\n").await.unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        rig.end().await;
    }

    // sem. 174, 175
    async fn a_reader_that_is_not_read_stops_the_other_end() {
        let mut rig = Rig::new(1024).await;
        let all = vec![7; 3_000_000];
        rig.server_writer.write(&all);
        while rig.writer.transport().is_reading() {
            yield_now().await;
        }
        let buffered = rig.reader.buffered_bytes();
        assert!(buffered > 2 * 1024 && buffered <= 2 * 1024 + 256 * 1024, "{buffered}");
        rig.reader.readexactly(buffered - 1025).await.unwrap();
        assert!(!rig.writer.transport().is_reading(), "1025 are left");
        rig.reader.readexactly(1).await.unwrap();
        assert!(rig.writer.transport().is_reading());
        // More than the limit at once.
        let rest = rig.reader.readexactly(all.len() - buffered + 1024).await.unwrap();
        assert!(rest.iter().all(|byte| *byte == 7));
        rig.end().await;
    }

    // sem. 184
    async fn lines_end_with_the_stream_and_may_be_partial() {
        let mut rig = Rig::new(64).await;
        rig.server_writer.write("one\ntwo\nthree\nfour");
        rig.server_writer.write_eof().unwrap();
        assert_eq!(rig.reader.lines().next().await.unwrap().unwrap(), "one\n");
        let rest: Vec<Bytes> = rig.reader.lines().map(Result::unwrap).collect().await;
        assert_eq!(rest, ["two\n", "three\n", "four"]);
        assert!(rig.reader.lines().next().await.is_none());
        rig.end().await;
    }

    // sem. 183
    async fn a_connection_that_is_lost_fails_every_read() {
        let mut rig = Rig::new(64).await;
        rig.server_writer.write("unread\n");
        rig.reader.readexactly(1).await.unwrap();
        rig.reader.feeder().set_exception(io::ErrorKind::ConnectionReset.into());
        for _ in 0..2 {
            assert_eq!(rig.reader.read(1).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
            assert!(matches!(rig.reader.readline().await, Err(ReadLineError::Io(_))));
        }
        assert_eq!(rig.reader.exception().unwrap().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(rig.writer.drain().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        rig.end().await;
    }

    async fn a_reader_that_is_gone_drops_what_arrives_and_the_end_is_noticed() {
        let rig = Rig::new(64).await;
        rig.server_writer.write(vec![1; 1_000_000]);
        while rig.writer.transport().is_reading() {
            yield_now().await;
        }
        drop(rig.reader);
        rig.server_writer.drain().await.unwrap();
        rig.writer.write("still open");
        let mut server_reader = rig.server_reader;
        assert_eq!(server_reader.readexactly(10).await.unwrap(), "still open");
        drop((rig.server_writer, rig.writer, server_reader));
        crate::rig::end(rig.server).await;
    }

    async fn a_time_limit_is_for_each_read_and_loses_nothing() {
        let mut rig = Rig::new(64).await;
        rig.server_writer.write("12");
        rig.reader.set_timeout(0.01);
        let error = io::Error::from(rig.reader.readexactly(4).await.unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        rig.server_writer.write("34");
        rig.reader.set_timeout(60);
        assert_eq!(rig.reader.readexactly(4).await.unwrap(), "1234");
        rig.reader.set_timeout(0);
        assert_eq!(rig.reader.read(1).await.unwrap_err().kind(), io::ErrorKind::TimedOut, "nothing is there");
        rig.reader.set_timeout(None::<f64>);
        rig.server_writer.write("5");
        assert_eq!(rig.reader.read(1).await.unwrap(), "5");
        rig.end().await;
    }

    // sem. 175
    async fn a_read_that_is_cancelled_has_taken_nothing() {
        let mut rig = Rig::new(64).await;
        rig.server_writer.write("12");
        for _ in 0..3 {
            assert!(timeout(0.001, rig.reader.readexactly(4)).await.is_err());
            assert!(timeout(0.001, rig.reader.read(-1)).await.is_err());
            assert!(timeout(0.001, rig.reader.readuntil(";")).await.is_err());
        }
        let mut reader = rig.reader;
        let task = create_task(async move {
            let outcome = asyncio_tasks::catch_cancelled(reader.readline()).await;
            assert!(outcome.is_err());
            reader.readline().await.unwrap()
        });
        yield_now().await;
        task.cancel();
        yield_now().await;
        rig.server_writer.write("34\n");
        assert_eq!(task.await.unwrap(), "1234\n");
        drop((rig.writer, rig.server_writer, rig.server_reader));
        crate::rig::end(rig.server).await;
    }
}

/// A read, as a future without its type.
type Attempt<'a> = Pin<Box<dyn Future<Output = Result<Bytes, io::Error>> + 'a>>;

fn attempt(reader: &mut StreamReader, kind: usize) -> Attempt<'_> {
    match kind {
        0 => Box::pin(reader.read(-1)),
        1 => Box::pin(async { Ok(reader.readexactly(9).await?) }),
        2 => Box::pin(async { Ok(reader.readuntil(["\r\n", ";"]).await?) }),
        3 => Box::pin(async { Ok(reader.readline().await?) }),
        _ => Box::pin(async { reader.lines().next().await.unwrap_or(Ok(Bytes::new())).map_err(Into::into) }),
    }
}

const ALL: &[u8] = b"one;two\r\nthree\nfour\n";

#[test]
fn every_read_can_be_given_up_at_every_byte() {
    let cx = &mut Context::from_waker(Waker::noop());
    for kind in 0..5 {
        let undisturbed = read_all(kind, 0, cx);
        assert_eq!(undisturbed.concat(), ALL);
        // Every pattern of giving up and going on, over the first bytes.
        for given_up in 1..1_u32 << 10 {
            assert_eq!(read_all(kind, given_up, cx), undisturbed, "kind {kind}, given up at {given_up:b}");
        }
    }
}

/// Reads everything, which comes byte by byte. A read that waits for the byte of a one in `given_up` is dropped, and made anew.
fn read_all(kind: usize, given_up: u32, cx: &mut Context<'_>) -> Vec<Vec<u8>> {
    let mut reader = StreamReader::new(64);
    let feeder = reader.feeder();
    let mut coming = ALL.iter().enumerate();
    let mut got = Vec::new();
    while !reader.at_eof() {
        let mut reading = attempt(&mut reader, kind);
        loop {
            match reading.as_mut().poll(cx) {
                Poll::Ready(Ok(bytes)) => break got.push(bytes.to_vec()),
                // What is left at the end.
                Poll::Ready(Err(error)) => {
                    let inner = error.into_inner().unwrap();
                    break got.push(inner.downcast::<asyncio_streams::IncompleteReadError>().unwrap().partial.to_vec());
                }
                Poll::Pending => {}
            }
            match coming.next() {
                Some((place, byte)) => {
                    feeder.feed_data(&[*byte]);
                    if given_up >> place & 1 == 1 {
                        break;
                    }
                }
                None => feeder.feed_eof(),
            }
        }
    }
    got.retain(|bytes| !bytes.is_empty());
    got
}

#[test]
fn one_byte_at_a_time_is_as_good_as_all_at_once() {
    let event_loop = script::scripted_with(|script| {
        script.set_recv_max(Some(1));
        script.set_send_max(Some(3));
    });
    drivers::run_on(&event_loop, async {
        let mut rig = Rig::new(64).await;
        rig.writer.write("one\r\ntwo;three");
        rig.writer.write_eof().unwrap();
        assert_eq!(rig.server_reader.readuntil("\r\n").await.unwrap(), "one\r\n");
        assert_eq!(rig.server_reader.readexactly(4).await.unwrap(), "two;");
        assert_eq!(rig.server_reader.read(-1).await.unwrap(), "three");
        rig.end().await;
    });
}

#[test]
fn a_reset_comes_to_whoever_reads_and_to_everybody_afterwards() {
    use asyncio_testing::Operation;
    let (event_loop, script) = script::scripted_and_script();
    drivers::run_on(&event_loop, async move {
        // sem. 188, 189
        let mut rig = Rig::new(64).await;
        let reading = create_task(async move {
            let error = rig.reader.read(1).await.unwrap_err();
            (rig.reader, error.kind())
        });
        yield_now().await;
        script.fail_next(Operation::Recv, io::ErrorKind::ConnectionReset.into());
        rig.server_writer.write("x");
        let (mut reader, kind) = reading.await.unwrap();
        assert_eq!(kind, io::ErrorKind::ConnectionReset);
        assert_eq!(reader.readexactly(1).await.map_err(io::Error::from).unwrap_err().kind(), kind);
        rig.writer.write("dropped without a word");
        for _ in 0..2 {
            assert_eq!(rig.writer.drain().await.unwrap_err().kind(), kind);
            assert_eq!(rig.writer.wait_closed().await.unwrap_err().kind(), kind);
            assert_eq!(rig.writer.flush().await.unwrap_err().kind(), kind);
        }
        drop((rig.writer, reader, rig.server_writer, rig.server_reader));
        crate::rig::end(rig.server).await;
    });
}

#[test]
fn a_reader_that_is_fed_by_hand_needs_no_loop() {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut reader = StreamReader::default();
    assert_eq!((reader.limit(), reader.buffered_bytes()), (65_536, 0));
    let feeder = reader.feeder();
    {
        let mut reading = pin!(reader.readline());
        assert!(reading.as_mut().poll(cx).is_pending());
        feeder.feed_data(b"li");
        assert!(reading.as_mut().poll(cx).is_pending());
        feeder.feed_data(b"ne\nmore");
        assert!(matches!(reading.as_mut().poll(cx), Poll::Ready(Ok(line)) if line == "line\n"));
    }
    assert_eq!(feeder.buffered_bytes(), 4);
    reader.feed_eof();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| feeder.feed_data(b"x"))).is_err());
    drop(reader);
    assert_eq!(feeder.buffered_bytes(), 0, "nobody will read it");
}

#[test]
fn a_limit_of_nothing_is_a_mistake() {
    let make = [|| drop(StreamReader::new(0)), || drop(asyncio_streams::StreamReaderProtocol::new(0))];
    for make in make {
        assert!(std::panic::catch_unwind(make).is_err());
    }
}
