//! The traits of `futures_io`, used by `futures_util`.

use crate::drivers;
use crate::rig::{Rig, end};
use asyncio_streams::StreamReader;
use asyncio_tasks::{timeout, yield_now};
use futures_util::io::{AsyncBufReadExt as _, AsyncReadExt, AsyncWriteExt};
use futures_util::{FutureExt as _, StreamExt as _};
use std::io;

/// More than any socket takes.
const LARGE: usize = 8_000_000;

drivers::on_each_driver! {
    async fn reading_and_writing_by_the_traits_of_futures() {
        let rig = Rig::new(65_536).await;
        let mut pair = rig.reader.reunite(rig.writer);
        let mut other = rig.server_reader.reunite(rig.server_writer);
        AsyncWriteExt::write_all(&mut pair, b"first line\nrest").await.unwrap();
        pair.close().await.unwrap();
        assert_eq!(AsyncWriteExt::write(&mut pair, b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let mut line = String::new();
        other.read_line(&mut line).await.unwrap();
        assert_eq!(line, "first line\n");
        let mut rest = Vec::new();
        other.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"rest");
        // The other direction is still open.
        AsyncWriteExt::write_all(&mut other, b"answer").await.unwrap();
        other.close().await.unwrap();
        assert_eq!(pair.read_to_end(&mut rest).await.unwrap(), 6);
        drop((pair, other));
        end(rig.server).await;
    }

    async fn writing_waits_for_room_and_flushing_for_nothing_left() {
        let mut rig = Rig::new(65_536).await;
        let data = vec![3; LARGE];
        AsyncWriteExt::write_all(&mut rig.writer, &data).await.unwrap();
        assert!(timeout(0.001, AsyncWriteExt::write_all(&mut rig.writer, b"end")).await.is_err(), "there is no room");
        assert!(timeout(0.001, AsyncWriteExt::flush(&mut rig.writer)).await.is_err());
        let writing = async {
            AsyncWriteExt::write_all(&mut rig.writer, b"end").await.unwrap();
            AsyncWriteExt::flush(&mut rig.writer).await.unwrap();
            rig.writer.transport().get_write_buffer_size()
        };
        let (all, left) = futures_util::join!(rig.server_reader.readexactly(LARGE + 3), writing);
        assert!(all.unwrap().ends_with(b"\x03end") && left == 0);
        assert_eq!(rig.writer.transport().get_write_buffer_limits(), (16_384, 65_536));
        rig.end().await;
    }

    async fn a_write_to_a_connection_that_closes_is_an_error() {
        let mut rig = Rig::new(64).await;
        rig.writer.transport().close();
        assert_eq!(AsyncWriteExt::write(&mut rig.writer, b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        yield_now().await;
        AsyncWriteExt::flush(&mut rig.writer).await.unwrap();
        rig.end().await;
    }
}

#[test]
fn reads_of_both_kinds_take_turns() {
    let mut reader = StreamReader::new(64);
    reader.feed_data(b"one\ntwo\nthree\nfour");
    reader.feed_eof();
    let reading = async {
        assert_eq!(reader.fill_buf().await.unwrap(), b"one\ntwo\nthree\nfour");
        reader.consume_unpin(1);
        assert!(!reader.at_eof());
        assert_eq!(reader.buffered_bytes(), 17);
        assert_eq!(reader.readline().await.unwrap(), "ne\n");
        let mut room = [0; 2];
        AsyncReadExt::read_exact(&mut reader, &mut room).await.unwrap();
        assert_eq!(&room, b"tw");
        reader.fill_buf().await.unwrap();
        AsyncReadExt::read_exact(&mut reader, &mut room).await.unwrap();
        assert_eq!(&room, b"o\n");
        assert_eq!(StreamReader::lines(&mut reader).next().await.unwrap().unwrap(), "three\n");
        reader.fill_buf().await.unwrap();
        assert_eq!(reader.frames(asyncio_streams::Framing::Exact(3)).next().await.unwrap().unwrap(), "fou");
        assert_eq!(reader.fill_buf().await.unwrap(), b"r");
        reader.consume_unpin(1);
        assert!(reader.at_eof());
        assert_eq!(reader.fill_buf().await.unwrap(), b"");
    };
    reading.now_or_never().expect("everything is there");
}

#[test]
fn lines_of_futures_util_work_too() {
    let reader = StreamReader::new(64);
    reader.feed_data(b"one\ntwo");
    reader.feed_eof();
    let lines: Vec<_> =
        futures_util::AsyncBufReadExt::lines(reader).map(Result::unwrap).collect().now_or_never().unwrap();
    assert_eq!(lines, ["one", "two"]);
}
