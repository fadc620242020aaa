//! The buffer against a model: asyncio's rules on a plain `Vec`, for every way in which the same bytes can be cut.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Read {
    Some(usize),
    Exactly(usize),
    Until(Vec<&'static str>),
    Line,
    All,
}

/// How a read has ended, in one type.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Bytes(Vec<u8>),
    Incomplete(Vec<u8>, Option<usize>),
    Overrun(usize),
    Waits,
}

/// The rules in their plainest form, without memory of what was searched before.
struct Model {
    unread: Vec<u8>,
    limit: usize,
    is_eof: bool,
}

impl Model {
    fn take(&mut self, count: usize) -> Vec<u8> {
        self.unread.drain(..count.min(self.unread.len())).collect()
    }

    fn apply(&mut self, read: &Read) -> Outcome {
        let bytes = self.unread.len();
        match read {
            Read::Some(most) if bytes > 0 || self.is_eof || *most == 0 => Outcome::Bytes(self.take(*most)),
            Read::Exactly(count) if bytes >= *count => Outcome::Bytes(self.take(*count)),
            Read::Exactly(count) if self.is_eof => Outcome::Incomplete(self.take(bytes), Some(*count)),
            Read::All if self.is_eof => Outcome::Bytes(self.take(bytes)),
            Read::Until(separators) => self.until(separators),
            Read::Line => match self.until(&["\n"]) {
                Outcome::Incomplete(partial, None) => Outcome::Bytes(partial),
                Outcome::Overrun(consumed) => {
                    let dropped = if self.unread.get(consumed) == Some(&b'\n') { consumed + 1 } else { bytes };
                    self.take(dropped);
                    Outcome::Overrun(consumed)
                }
                other => other,
            },
            _ => Outcome::Waits,
        }
    }

    fn until(&mut self, separators: &[&str]) -> Outcome {
        let ends = |end: &usize| separators.iter().any(|separator| self.unread[..*end].ends_with(separator.as_bytes()));
        if let Some(end) = (1..=self.unread.len()).find(ends) {
            let ending = separators.iter().filter(|separator| self.unread[..end].ends_with(separator.as_bytes()));
            let start = end - ending.map(|separator| separator.len()).min().unwrap();
            return if start > self.limit { Outcome::Overrun(start) } else { Outcome::Bytes(self.take(end)) };
        }
        let shortest = separators.iter().map(|separator| separator.len()).min().unwrap();
        let longest = separators.iter().map(|separator| separator.len()).max().unwrap();
        let consumed = (self.unread.len() + 1).saturating_sub(longest);
        if self.unread.len() >= shortest && consumed > self.limit {
            Outcome::Overrun(consumed)
        } else if self.is_eof {
            Outcome::Incomplete(self.take(self.unread.len()), None)
        } else {
            Outcome::Waits
        }
    }
}

fn apply(buffer: &mut ReadBuffer, read: &Read, scanned: &mut usize) -> Outcome {
    let outcome: Option<Result<Bytes, ReadUntilError>> = match read {
        Read::Some(most) => buffer.read(*most).map(|outcome| outcome.map_err(Into::into)),
        Read::All => buffer.read_all().map(|outcome| outcome.map_err(Into::into)),
        Read::Exactly(count) => buffer.readexactly(*count).map(|outcome| {
            outcome.map_err(|error| match error {
                ReadExactlyError::Incomplete(error) => error.into(),
                ReadExactlyError::Io(error) => error.into(),
            })
        }),
        Read::Until(separators) => buffer.readuntil(separators, scanned),
        Read::Line => buffer.readline(scanned).map(|outcome| {
            outcome.map_err(|error| match error {
                ReadLineError::LimitOverrun(error) => error.into(),
                ReadLineError::Io(error) => error.into(),
            })
        }),
    };
    match outcome {
        None => Outcome::Waits,
        Some(Ok(bytes)) => Outcome::Bytes(bytes.to_vec()),
        Some(Err(ReadUntilError::Incomplete(error))) => Outcome::Incomplete(error.partial.to_vec(), error.expected),
        Some(Err(ReadUntilError::LimitOverrun(error))) => Outcome::Overrun(error.consumed),
        Some(Err(ReadUntilError::Io(error))) => panic!("{error}"),
    }
}

fn reads() -> impl Strategy<Value = Read> {
    let separators = prop_oneof![Just("\n"), Just("\r\n"), Just("ab"), Just("aab"), Just("b\n")];
    prop_oneof![
        (0..12_usize).prop_map(Read::Some),
        (0..12_usize).prop_map(Read::Exactly),
        vec(separators, 1..4).prop_map(Read::Until),
        Just(Read::Line),
        Just(Read::All),
    ]
}

/// Bytes of which separators are made, so that these are frequent, and cut in any way.
fn chunks() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'\r'), Just(b'\n')], 1..8), 0..12)
}

proptest! {
    #[test]
    fn every_read_under_every_chunking_does_what_the_model_does(
        chunks in chunks(),
        reads in vec(reads(), 1..24),
        limit in 1..12_usize,
        given_up in vec(any::<bool>(), 1..8),
    ) {
        let (mut buffer, mut model) = (ReadBuffer::new(limit), Model { unread: Vec::new(), limit, is_eof: false });
        let mut chunks = chunks.into_iter();
        let mut given_up = given_up.into_iter().cycle();
        let (mut is_paused, mut held) = (false, Vec::new());
        for read in &reads {
            let mut scanned = 0;
            loop {
                let outcome = apply(&mut buffer, read, &mut scanned);
                prop_assert_eq!(&outcome, &model.apply(read));
                prop_assert_eq!(buffer.peek(), &model.unread[..]);
                let must_wait = outcome == Outcome::Waits;
                let may_resume = is_paused && (must_wait || model.unread.len() <= limit);
                prop_assert_eq!(buffer.resumes(must_wait), may_resume);
                is_paused &= !may_resume;
                if !must_wait {
                    held.push(outcome);
                    break;
                }
                match chunks.next() {
                    Some(chunk) => {
                        let must_pause = !is_paused && model.unread.len() + chunk.len() > 2 * limit;
                        prop_assert_eq!(buffer.feed(&chunk), must_pause);
                        is_paused |= must_pause;
                        model.unread.extend(chunk);
                    }
                    None => {
                        buffer.feed_eof();
                        model.is_eof = true;
                    }
                }
                // A read that is given up has changed nothing; the next one begins anew.
                if given_up.next() == Some(true) {
                    scanned = 0;
                }
            }
        }
        prop_assert_eq!(buffer.at_eof(), model.is_eof && model.unread.is_empty());
    }

    #[test]
    fn what_is_read_out_does_not_depend_on_the_cuts(chunks in chunks(), limit in 1..12_usize) {
        let all: Vec<u8> = chunks.concat();
        let mut buffer = ReadBuffer::new(limit);
        let mut out = Vec::new();
        for chunk in &chunks {
            buffer.feed(chunk);
            if let Some(Ok(bytes)) = buffer.readexactly(3) {
                out.extend_from_slice(&bytes);
            }
        }
        buffer.feed_eof();
        out.extend_from_slice(&buffer.read_all().unwrap().unwrap());
        prop_assert_eq!(out, all);
    }
}
