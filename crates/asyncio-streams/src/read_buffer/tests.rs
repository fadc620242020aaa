//! What is in the buffer after each way in which a read can end.

use super::*;

fn buffer(limit: usize, unread: &str) -> ReadBuffer {
    let mut buffer = ReadBuffer::new(limit);
    buffer.feed(unread.as_bytes());
    buffer
}

fn ended(limit: usize, unread: &str) -> ReadBuffer {
    let mut buffer = buffer(limit, unread);
    buffer.feed_eof();
    buffer
}

fn until(buffer: &mut ReadBuffer, separator: &str) -> Option<Result<Bytes, ReadUntilError>> {
    buffer.readuntil(&separator, &mut 0)
}

#[test]
fn read_gives_what_is_there() {
    // sem. 177
    let mut buffer = buffer(64, "abcdef");
    assert_eq!(buffer.read(4).unwrap().unwrap(), "abcd");
    assert_eq!(buffer.read(0).unwrap().unwrap(), "");
    assert_eq!(buffer.read(4).unwrap().unwrap(), "ef");
    assert!(buffer.read(4).is_none());
    assert_eq!(buffer.read(0).unwrap().unwrap(), "", "nothing is there at once");
    buffer.feed(b"x");
    assert!(buffer.read_all().is_none());
    buffer.feed(b"yz");
    buffer.feed_eof();
    assert!(!buffer.at_eof());
    assert_eq!(buffer.read_all().unwrap().unwrap(), "xyz");
    assert!(buffer.at_eof());
    assert_eq!(buffer.read(4).unwrap().unwrap(), "");
    assert_eq!(buffer.read_all().unwrap().unwrap(), "");
}

#[test]
fn exactly_so_many_bytes_or_what_had_come_before_the_end() {
    // sem. 178
    let mut buffer = buffer(2, "abcdef");
    assert_eq!(buffer.readexactly(0).unwrap().unwrap(), "");
    assert_eq!(buffer.readexactly(5).unwrap().unwrap(), "abcde", "the limit is of no account");
    assert!(buffer.readexactly(2).is_none());
    assert_eq!(buffer.peek(), b"f");
    buffer.feed_eof();
    match buffer.readexactly(2).unwrap().unwrap_err() {
        ReadExactlyError::Incomplete(error) => assert_eq!((&error.partial[..], error.expected), (&b"f"[..], Some(2))),
        other => panic!("{other}"),
    }
    assert!(buffer.at_eof(), "what was handed out by the error has left");
    assert_eq!(buffer.readexactly(0).unwrap().unwrap(), "");
}

#[test]
fn an_overrun_leaves_everything_and_says_what_can_be_taken() {
    // sem. 179
    let consumed = |buffer: &mut ReadBuffer, separator: &str| match until(buffer, separator) {
        Some(Err(ReadUntilError::LimitOverrun(error))) => {
            let before = buffer.len();
            Some((error.consumed, before))
        }
        Some(Err(other)) => panic!("{other}"),
        Some(Ok(_)) | None => None,
    };
    // The separator itself does not count.
    assert_eq!(until(&mut buffer(4, "abcd\r\n"), "\r\n").unwrap().unwrap(), "abcd\r\n");
    assert_eq!(consumed(&mut buffer(4, "abcde\r\nf"), "\r\n"), Some((5, 8)), "found, and too late");
    assert_eq!(consumed(&mut buffer(4, "abcdef"), "\r\n"), Some((5, 6)), "the last byte may begin one");
    assert_eq!(consumed(&mut buffer(4, "abcde"), "\r\n"), None, "it may still come");
    assert_eq!(consumed(&mut buffer(4, "abcde"), "\n"), Some((5, 5)));
    assert_eq!(consumed(&mut ended(4, "abcde"), "\n"), Some((5, 5)), "also at the end");
    let mut buffer = buffer(4, "abcde\nf");
    assert_eq!(consumed(&mut buffer, "\n"), Some((5, 7)));
    assert_eq!(buffer.readexactly(5).unwrap().unwrap(), "abcde");
    assert_eq!(until(&mut buffer, "\n").unwrap().unwrap(), "\n");
}

#[test]
fn the_end_before_a_separator_hands_out_what_had_come() {
    // sem. 180
    let mut buffer = ended(64, "one\ntwo");
    assert_eq!(until(&mut buffer, "\n").unwrap().unwrap(), "one\n", "one that came with the end is honoured");
    match until(&mut buffer, "\n").unwrap().unwrap_err() {
        ReadUntilError::Incomplete(error) => assert_eq!((&error.partial[..], error.expected), (&b"two"[..], None)),
        other => panic!("{other}"),
    }
    assert!(buffer.at_eof());
}

#[test]
fn readline_never_complains_of_the_end_and_drops_what_is_too_long() {
    // sem. 181
    let line = |buffer: &mut ReadBuffer| buffer.readline(&mut 0);
    let mut two = ended(64, "one\ntwo");
    assert_eq!(line(&mut two).unwrap().unwrap(), "one\n");
    assert_eq!(line(&mut two).unwrap().unwrap(), "two");
    assert_eq!(line(&mut two).unwrap().unwrap(), "");

    let mut complete = buffer(4, "too long\nok\n");
    assert!(matches!(line(&mut complete), Some(Err(ReadLineError::LimitOverrun(LimitOverrunError { consumed: 8 })))));
    assert_eq!(line(&mut complete).unwrap().unwrap(), "ok\n", "the line has gone, and no more");

    let mut partial = buffer(4, "too long");
    assert!(matches!(line(&mut partial), Some(Err(ReadLineError::LimitOverrun(_)))));
    assert_eq!(partial.len(), 0, "all of it has gone");
}

#[test]
fn of_several_separators_the_one_that_ends_first_wins() {
    // sem. 182
    let mut both = buffer(64, "one\r\ntwo\nthree");
    let mut next = || both.readuntil(&["\r\n", "\n", "ee"], &mut 0).unwrap().unwrap();
    assert_eq!([next(), next(), next()], ["one\r\n", "two\n", "three"]);
    // Found as the shortest one, the text before it is longer.
    let mut limited = buffer(3, "abcdxyz");
    let error = limited.readuntil(&["dxyz", "z"], &mut 0).unwrap().unwrap_err();
    assert!(matches!(error, ReadUntilError::LimitOverrun(LimitOverrunError { consumed: 6 })), "{error}");
}

#[test]
fn an_empty_separator_is_refused() {
    let mut buffer = buffer(64, "abc");
    for outcome in [until(&mut buffer, ""), buffer.readuntil(&[""; 0], &mut 0), buffer.readuntil(&["a", ""], &mut 0)] {
        assert!(matches!(outcome, Some(Err(ReadUntilError::Io(error))) if error.kind() == io::ErrorKind::InvalidInput));
    }
    assert_eq!(buffer.peek(), b"abc");
}

#[test]
fn an_error_comes_before_what_is_unread_and_stays() {
    // sem. 183
    let mut buffer = ended(64, "abc\n");
    buffer.set_error(LastingError::new(io::ErrorKind::ConnectionReset.into()));
    for _ in 0..2 {
        let kinds = [
            buffer.read(1).unwrap().unwrap_err(),
            buffer.read(0).unwrap().unwrap_err(),
            buffer.read_with(1, |_| unreachable!()).unwrap().unwrap_err(),
            buffer.read_all().unwrap().unwrap_err(),
            buffer.readexactly(1).unwrap().unwrap_err().into(),
            until(&mut buffer, "\n").unwrap().unwrap_err().into(),
            buffer.readline(&mut 0).unwrap().unwrap_err().into(),
        ];
        assert_eq!(kinds.map(|error: io::Error| error.kind()), [io::ErrorKind::ConnectionReset; 7]);
    }
    assert_eq!(buffer.peek(), b"abc\n");
}

#[test]
fn reading_pauses_strictly_above_twice_the_limit_and_goes_on_at_the_limit() {
    // sem. 174
    let mut buffer = ReadBuffer::new(4);
    assert!(!buffer.feed(b"12345678"));
    assert!(buffer.feed(b"9"), "more than twice the limit");
    assert!(!buffer.feed(b"0"), "it is told once");
    assert!(!buffer.resumes(false));
    buffer.read(5).unwrap().unwrap();
    assert!(!buffer.resumes(false), "five are left");
    buffer.read(1).unwrap().unwrap();
    assert!(buffer.resumes(false));
    assert!(!buffer.resumes(false), "it is told once");
}

#[test]
fn a_read_that_has_to_wait_goes_on_in_any_case() {
    // sem. 175
    let mut buffer = ReadBuffer::new(2);
    assert!(buffer.feed(b"12345"));
    assert!(buffer.readexactly(7).is_none());
    assert!(buffer.resumes(true), "it would wait for ever");
    assert!(buffer.feed(b"6"), "and pauses again");
    assert!(buffer.resumes(true));
    buffer.feed(b"7");
    assert_eq!(buffer.readexactly(7).unwrap().unwrap(), "1234567");
}

#[test]
fn what_was_put_back_comes_first() {
    let mut buffer = buffer(64, "abcdef");
    let front = buffer.read(3).unwrap().unwrap();
    buffer.unread(&front[1..]);
    assert_eq!(buffer.read(64).unwrap().unwrap(), "bcdef");
    buffer.unread(b"x");
    assert_eq!(buffer.read(64).unwrap().unwrap(), "x");
}

#[test]
fn with_nothing_to_read_there_is_no_buffer() {
    let mut buffer = buffer(64, "abcdef");
    buffer.skip(5);
    assert!(buffer.unread.capacity() > 0);
    buffer.read(1).unwrap().unwrap();
    assert_eq!((buffer.unread.capacity(), buffer.size), (0, 0));
}
