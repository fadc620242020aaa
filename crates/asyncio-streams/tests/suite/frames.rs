//! Frames, in each framing.

use asyncio_streams::{FrameError, Framing, StreamReader};
use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt};
use std::io;

fn fed(data: &[u8]) -> StreamReader {
    let reader = StreamReader::new(8);
    reader.feed_data(data);
    reader.feed_eof();
    reader
}

/// All frames; by `next`, and, which must be the same, as a `Stream`.
fn frames(data: &[u8], framing: &Framing) -> Vec<Result<Bytes, FrameError>> {
    let mut reader = fed(data);
    let mut frames = reader.frames(framing.clone());
    let by_next: Vec<_> = std::iter::from_fn(|| {
        let frame = frames.next().now_or_never().expect("everything is there")?;
        let is_over = frame.is_err();
        Some((frame, is_over))
    })
    .scan(false, |over, (frame, is_over)| (!std::mem::replace(over, is_over)).then_some(frame))
    .collect();
    let mut reader = fed(data);
    let streamed: Vec<_> =
        reader.frames(framing.clone()).take(by_next.len()).collect::<Vec<_>>().now_or_never().expect("as above");
    assert_eq!(format!("{streamed:?}"), format!("{by_next:?}"));
    by_next
}

#[test]
fn frames_of_one_length() {
    let got = frames(b"abcdefgh", &Framing::Exact(3));
    assert_eq!([&got[0], &got[1]].map(|frame| &frame.as_ref().unwrap()[..]), [b"abc", b"def"]);
    assert!(matches!(&got[2], Err(FrameError::Incomplete(error)) if error.partial == "gh"));
    assert_eq!(frames(b"abcdef", &Framing::Exact(3)).len(), 2, "the end between two frames is no error");
}

#[test]
fn frames_with_a_separator_after_each() {
    let until = Framing::Until("\r\n".into());
    let got: Vec<_> = frames(b"one\r\n\r\nlast", &until).into_iter().map(Result::unwrap).collect();
    assert_eq!(got, ["one", "", "last"]);
    assert!(matches!(frames(b"far too long\r\n", &until)[..], [Err(FrameError::TooLong(_))]));
}

#[test]
fn frames_with_their_length_before_each() {
    let framing = Framing::LengthPrefixed { prefix_bytes: 2, max_bytes: 300 };
    let mut data = vec![0, 3, 1, 2, 3, 0, 0, 1, 0];
    data.extend([7; 256]);
    let got: Vec<_> = frames(&data, &framing).into_iter().map(Result::unwrap).collect();
    assert_eq!(got, [Bytes::from_static(&[1, 2, 3]), Bytes::new(), Bytes::from(vec![7; 256])]);
    assert!(matches!(frames(&[1, 45, 0], &framing)[..], [Err(FrameError::TooLong(_))]), "301 bytes");
    assert!(matches!(&frames(&[0, 2, 9], &framing)[..], [Err(FrameError::Incomplete(_))]));
    assert!(matches!(&frames(&[0], &framing)[..], [Err(FrameError::Incomplete(_))]));
    let huge = Framing::LengthPrefixed { prefix_bytes: 8, max_bytes: usize::MAX };
    assert!(matches!(&frames(&[255; 9], &huge)[..], [Err(FrameError::Incomplete(_))]));
}

#[test]
fn framings_without_sense_are_refused() {
    let nonsense =
        [Framing::Exact(0), Framing::Until(Bytes::new()), Framing::LengthPrefixed { prefix_bytes: 3, max_bytes: 9 }];
    for framing in nonsense {
        match &frames(b"abc", &framing)[..] {
            [Err(FrameError::Io(error))] => assert_eq!(error.kind(), io::ErrorKind::InvalidInput),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn frames_that_are_given_up_lose_nothing() {
    let mut reader = StreamReader::new(64);
    let feeder = reader.feeder();
    let framing = Framing::LengthPrefixed { prefix_bytes: 1, max_bytes: 100 };
    for byte in [4, b'a', b'b', b'c'] {
        feeder.feed_data(&[byte]);
        assert!(reader.frames(framing.clone()).next().now_or_never().is_none());
        assert!(StreamExt::next(&mut reader.frames(framing.clone())).now_or_never().is_none());
    }
    feeder.feed_data(b"d");
    assert_eq!(reader.frames(framing).next().now_or_never().unwrap().unwrap().unwrap(), "abcd");
}
