//! Readiness: megabytes over a TCP connection, by `add_reader` and `add_writer`.

use crate::{Done, say};
use asyncio::EventLoop;
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::rc::Rc;

const BYTES: usize = 64 << 20;

/// A sum of the bytes, and a sum of these sums, which notices any change of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Checksum(u64, u64);

impl Checksum {
    fn add(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |Self(sum, sums), byte| {
            let sum = sum.wrapping_add(u64::from(*byte));
            Self(sum, sums.wrapping_add(sum))
        })
    }
}

pub(crate) fn tour() -> io::Result<Done> {
    let event_loop = asyncio::new_event_loop()?;
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    let begin = event_loop.time();
    let sent = send(&event_loop, client)?;
    let received = receive(&event_loop, server)?;
    event_loop.run_forever()?;
    let seconds = event_loop.time() - begin;
    assert_eq!((received.get().0, sent.get()), (BYTES, received.get().1), "not all bytes arrived, or not in order");
    assert_eq!(event_loop.pending(), [], "something is still watched");
    let megabytes = BYTES >> 20;
    say(format_args!(
        "{megabytes} MiB through a TCP connection, checksums equal: {:.0} MiB/s",
        megabytes as f64 / seconds
    ));
    event_loop.close()?;
    Ok(Done::new(BYTES, "bytes over TCP by readers and writers"))
}

/// Sends pseudo-random bytes, and gives their checksum in the end.
fn send(event_loop: &EventLoop, stream: TcpStream) -> io::Result<Rc<Cell<Checksum>>> {
    stream.set_nonblocking(true)?;
    let sum = Rc::new(Cell::new(Checksum(0, 0)));
    let stream = Rc::new(stream);
    let (inner, result, fd) = (event_loop.clone(), sum.clone(), stream.clone());
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let chunk: Vec<u8> = noise.take(1 << 20).collect();
    let mut position = 0;
    event_loop.add_writer(&*stream, move || {
        let begin = position % chunk.len();
        let end = chunk.len().min(begin + (BYTES - position));
        let count = (&*fd).write(&chunk[begin..end]).expect("a connection that stands");
        result.set(result.get().add(&chunk[begin..begin + count]));
        position += count;
        if position == BYTES {
            inner.remove_writer(&*fd);
            fd.shutdown(Shutdown::Write).expect("a connection that stands");
        }
    })?;
    Ok(sum)
}

/// Receives until the end of the stream, and gives the count and the checksum.
fn receive(event_loop: &EventLoop, stream: TcpStream) -> io::Result<Rc<Cell<(usize, Checksum)>>> {
    stream.set_nonblocking(true)?;
    let got = Rc::new(Cell::new((0, Checksum(0, 0))));
    let stream = Rc::new(stream);
    let (inner, result, fd) = (event_loop.clone(), got.clone(), stream.clone());
    let mut buffer = vec![0; 256 << 10];
    event_loop.add_reader(&*stream, move || {
        let count = (&*fd).read(&mut buffer).expect("a connection that stands");
        let (total, sum) = result.get();
        result.set((total + count, sum.add(&buffer[..count])));
        if count == 0 {
            inner.remove_reader(&*fd);
            inner.stop();
        }
    })?;
    Ok(got)
}
