//! Codecs of `tokio-util` on our streams, without tokio's runtime: on every driver.

use crate::drivers;
use crate::rig::{Rig, end, reports};
use bytes::Bytes;
use futures_util::{FutureExt as _, SinkExt, StreamExt as _};
use tokio_util::codec::{Framed, FramedRead, FramedWrite, LengthDelimitedCodec, LinesCodec};

drivers::on_each_driver! {
    async fn a_codec_of_tokio_util_frames_both_ends() {
        let reports = reports(&asyncio_loop::get_running_loop());
        let rig = Rig::new(65_536).await;
        let mut here = Framed::new(rig.reader.reunite(rig.writer), LinesCodec::new());
        let mut there = Framed::new(rig.server_reader.reunite(rig.server_writer), LinesCodec::new());
        here.send("one").await.unwrap();
        here.send("two").await.unwrap();
        assert_eq!(there.next().await.unwrap().unwrap(), "one");
        there.send("answer").await.unwrap();
        assert_eq!(there.next().await.unwrap().unwrap(), "two");
        assert_eq!(here.next().await.unwrap().unwrap(), "answer");
        SinkExt::<&str>::close(&mut here).await.unwrap();
        assert!(there.next().await.is_none(), "the peer sees the end");
        there.send("after the end").await.unwrap();
        assert_eq!(here.next().await.unwrap().unwrap(), "after the end");
        drop((here, there));
        end(rig.server).await;
        assert_eq!(reports.take().len(), 0);
    }

    async fn frames_that_are_larger_than_every_buffer_wait_for_room() {
        let rig = Rig::new(65_536).await;
        let codec = || LengthDelimitedCodec::builder().max_frame_length(5_000_000).new_codec();
        let mut frames = FramedRead::new(rig.server_reader, codec());
        let mut sink = FramedWrite::new(rig.writer, codec());
        let sending = async {
            for n in 0..4_u8 {
                sink.send(Bytes::from(vec![n; 4_000_000])).await.unwrap();
            }
            SinkExt::<Bytes>::close(&mut sink).await.unwrap();
        };
        let receiving = async {
            for n in 0..4_u8 {
                let frame = frames.next().await.unwrap().unwrap();
                assert!(frame.len() == 4_000_000 && frame.iter().all(|byte| *byte == n));
            }
            assert!(frames.next().await.is_none());
        };
        futures_util::join!(sending, receiving);
        drop((rig.reader, sink, frames, rig.server_writer));
        end(rig.server).await;
    }
}

#[test]
fn shown_bytes_can_be_read_in_any_way() {
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};
    use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

    let mut reader = asyncio_streams::StreamReader::new(64);
    reader.feed_data(b"abcdef");
    let cx = &mut Context::from_waker(Waker::noop());
    let shown = AsyncBufRead::poll_fill_buf(Pin::new(&mut reader), cx);
    assert!(matches!(shown, Poll::Ready(Ok(b"abcdef"))));
    AsyncBufRead::consume(Pin::new(&mut reader), 2);
    let mut room = [0; 3];
    let mut room = ReadBuf::new(&mut room);
    assert!(AsyncRead::poll_read(Pin::new(&mut reader), cx, &mut room).is_ready());
    assert_eq!(room.filled(), b"cde");
    assert_eq!(reader.readexactly(1).now_or_never().unwrap().unwrap(), "f");
}
