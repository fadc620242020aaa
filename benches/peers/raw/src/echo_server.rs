//! `echo_server` by hand: edge-triggered epoll, each socket registered once, no runtime.
//!
//! A connection reads until the kernel gave less than it was asked for, and asks `epoll` for nothing again. What
//! cannot be written waits in the connection, which then reads no more until it is gone.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use peers_common::echo::{Options, listen, say_ready};
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// Events taken at a time.
const EVENTS: usize = 1024;
const LISTENER: u64 = u64::MAX;

fn main() -> io::Result<()> {
    let options = Options::from_env();
    let listener = listen(options.port)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    say_ready()?;

    let buffers = Buffers { input: vec![0; options.buffer_bytes], output: Vec::new() };
    let mut server = Server { options, epoll, slots: Vec::new(), free: Vec::new(), buffers };
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        events.clear();
        match epoll::wait(&server.epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                LISTENER => server.accept(&listener),
                slot => server.turn(slot as usize),
            }
        }
    }
}

struct Server {
    options: Options,
    epoll: rustix::fd::OwnedFd,
    slots: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffers: Buffers,
}

/// Shared by all connections: they are empty between two events.
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((stream, _)) = listener.accept() {
            if let Err(error) = self.adopt(stream) {
                eprintln!("connection not accepted: {error}");
            }
        }
    }

    fn adopt(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let interest = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.epoll, &stream, EventData::new_u64(slot as u64), interest)?;
        self.slots[slot] = Some(Connection { stream, unwritten: Vec::new(), partial: Vec::new() });
        Ok(())
    }

    fn turn(&mut self, slot: usize) {
        let Some(connection) = &mut self.slots[slot] else { return };
        if connection.turn(self.options, &mut self.buffers).is_err() {
            self.slots[slot] = None;
            self.free.push(slot);
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// Output that the socket did not take.
    unwritten: Vec<u8>,
    /// The beginning of a frame.
    partial: Vec<u8>,
}

impl Connection {
    /// Goes as far as the socket lets it. An error, or the end of the input, ends the connection.
    fn turn(&mut self, options: Options, buffers: &mut Buffers) -> io::Result<()> {
        if !self.unwritten.is_empty() {
            let unwritten = std::mem::take(&mut self.unwritten);
            self.write(&unwritten)?;
        }
        while self.unwritten.is_empty() {
            let read = match self.stream.read(&mut buffers.input) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            match options.frame_bytes {
                _ if options.is_sink => {}
                None => self.write(&buffers.input[..read])?,
                Some(frame_bytes) => self.write_frames(&buffers.input[..read], frame_bytes, &mut buffers.output)?,
            }
            // A short read has emptied the socket: newer bytes raise a newer edge.
            if read < buffers.input.len() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Handles frame by frame; what they answer gathers in `output` and leaves together.
    fn write_frames(&mut self, mut input: &[u8], frame_bytes: usize, output: &mut Vec<u8>) -> io::Result<()> {
        output.clear();
        if !self.partial.is_empty() {
            let missing = input.len().min(frame_bytes - self.partial.len());
            self.partial.extend_from_slice(&input[..missing]);
            input = &input[missing..];
            if self.partial.len() < frame_bytes {
                return Ok(());
            }
            output.append(&mut self.partial);
        }
        let frames = input.chunks_exact(frame_bytes);
        self.partial.extend_from_slice(frames.remainder());
        for frame in frames {
            output.extend_from_slice(frame);
        }
        self.write(output)
    }

    fn write(&mut self, output: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < output.len() {
            match self.stream.write(&output[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.unwritten.extend_from_slice(&output[written..]);
        Ok(())
    }
}
