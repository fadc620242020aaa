//! Files over transports and sockets: by the kernel where it can, and otherwise block by block.
//!
//! Absent on purpose: how a file is a piece of what a transport has to send. That is `transfer`'s.

use crate::socket::{Direction, Socket};
use crate::sockets_ext::LoopSocketsExt as _;
use crate::transfer::Transfer;
use crate::transport::Transport;
use asyncio_driver::RawSocket;
use asyncio_executor::LoopExecutorExt as _;
use asyncio_loop::EventLoop;
use asyncio_tasks::yield_now;
use std::fmt;
use std::fs::File;
use std::future::IntoFuture;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::pin::Pin;
use std::rc::Rc;

/// The kernel cannot send this file over this connection, and reading it was not wanted. The source of an `io::Error` of kind
/// `Unsupported`.
///
/// # asyncio
///
/// [`asyncio.SendfileNotAvailableError`](https://docs.python.org/3/library/asyncio-exceptions.html#asyncio.SendfileNotAvailableError).
#[derive(Debug, thiserror::Error)]
#[error("sendfile is not available for this file or connection, and fallback is off")]
#[non_exhaustive]
pub struct SendfileNotAvailableError {}

/// A file that is being sent over a transport; see [`sendfile`](crate::LoopSocketsExt::sendfile). Await it.
///
/// # Cancel safety
///
/// Dropped early, what was sent by then stays sent, and nothing more is.
#[derive(Debug)]
#[must_use = "nothing is sent unless it is awaited"]
pub struct SendFile<'a> {
    transport: &'a Transport,
    part: Part<'a>,
}

/// A file that is being sent over a socket; see [`sock_sendfile`](crate::LoopSocketsExt::sock_sendfile). Await it.
///
/// # Cancel safety
///
/// As [`SendFile`].
#[must_use = "nothing is sent unless it is awaited"]
pub struct SockSendFile<'a> {
    event_loop: EventLoop,
    sock: &'a Socket,
    part: Part<'a>,
}

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    file: &'a File,
    offset: u64,
    count: Option<u64>,
    has_fallback: bool,
}

impl<'a> Part<'a> {
    const fn new(file: &'a File) -> Self {
        Self { file, offset: 0, count: None, has_fallback: true }
    }

    /// How many bytes at most.
    fn most(&self) -> io::Result<u64> {
        if self.count == Some(0) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "`count` is zero: there is nothing to send"));
        }
        Ok(self.count.unwrap_or(u64::MAX))
    }

    /// Reads what follows the first `sent` bytes, instead of leaving that to the kernel.
    fn reader(&self, sent: u64) -> io::Result<Reader> {
        if !self.has_fallback {
            return Err(io::Error::new(io::ErrorKind::Unsupported, SendfileNotAvailableError {}));
        }
        let offset = self.offset.saturating_add(sent);
        match (&*self.file).seek(SeekFrom::Start(offset)) {
            Err(error) if error.kind() == io::ErrorKind::NotSeekable && offset == 0 => {}
            outcome => drop(outcome?),
        }
        Ok(Reader { file: Some(self.file.try_clone()?), left: self.most()?.saturating_sub(sent) })
    }

    /// Leaves the file behind the last byte that was sent, however it went.
    fn finish(&self, outcome: io::Result<()>, sent: u64) -> io::Result<u64> {
        match (&*self.file).seek(SeekFrom::Start(self.offset.saturating_add(sent))) {
            Err(error) if error.kind() != io::ErrorKind::NotSeekable => outcome.and(Err(error)),
            _ => outcome.map(|()| sent),
        }
    }
}

/// Reads a file in blocks, on threads of the default executor.
struct Reader {
    /// Away while it is read.
    file: Option<File>,
    left: u64,
}

impl Reader {
    /// The next block, of `most` bytes at most; empty at the end.
    async fn read(&mut self, event_loop: &EventLoop, most: usize) -> io::Result<Vec<u8>> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(most);
        let Some(mut file) = self.file.take() else { return Ok(Vec::new()) };
        if most == 0 {
            return Ok(Vec::new());
        }
        let job = event_loop.run_in_executor(None, move || {
            let mut block = vec![0; most];
            let count = loop {
                match file.read(&mut block) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    outcome => break outcome?,
                }
            };
            block.truncate(count);
            Ok::<_, io::Error>((file, block))
        });
        let (file, block) = job.map_err(io::Error::other)?.await.map_err(io::Error::from)??;
        self.file = Some(file);
        self.left -= block.len() as u64;
        Ok(block)
    }
}

impl<'a> SendFile<'a> {
    pub(crate) const fn new(transport: &'a Transport, file: &'a File) -> Self {
        Self { transport, part: Part::new(file) }
    }

    /// Where in the file to begin. Default: at its beginning.
    pub const fn offset(mut self, offset: u64) -> Self {
        self.part.offset = offset;
        self
    }

    /// How many bytes to send at most. Default: to the end of the file.
    pub const fn count(mut self, count: u64) -> Self {
        self.part.count = Some(count);
        self
    }

    /// Whether to read the file and send what was read, where the kernel cannot send it. Default: yes.
    pub const fn fallback(mut self, has_fallback: bool) -> Self {
        self.part.has_fallback = has_fallback;
        self
    }

    async fn send(self) -> io::Result<u64> {
        let Self { transport, part } = self;
        let most = part.most()?;
        let event_loop = transport.get_loop();
        check_open(transport)?;
        let transfer = Transfer::new(&event_loop, part.file.try_clone()?, part.offset, most);
        match enqueued(transport, transfer.clone()).await {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
            outcome => return part.finish(outcome, transfer.sent()),
        }
        let mut sent = transfer.sent();
        let outcome = write_blocks(&event_loop, transport, &part, &mut sent).await;
        part.finish(outcome, sent)
    }
}

async fn write_blocks(
    event_loop: &EventLoop,
    transport: &Transport,
    part: &Part<'_>,
    sent: &mut u64,
) -> io::Result<()> {
    let mut reader = part.reader(*sent)?;
    loop {
        let block = reader.read(event_loop, BLOCK_BYTES).await?;
        if block.is_empty() {
            return Ok(());
        }
        check_open(transport)?;
        let bytes = block.len() as u64;
        transport.write_bytes(block);
        enqueued(transport, Transfer::mark(event_loop)).await?;
        *sent += bytes;
    }
}

/// Waits until `transfer` has left.
async fn enqueued(transport: &Transport, transfer: Rc<Transfer>) -> io::Result<()> {
    struct GiveUp(Rc<Transfer>);
    impl Drop for GiveUp {
        fn drop(&mut self) {
            self.0.give_up();
        }
    }
    let transfer = GiveUp(transfer);
    transport.connection().enqueue_transfer(transfer.0.clone());
    transfer.0.ended().await
}

fn check_open(transport: &Transport) -> io::Result<()> {
    if transport.is_closing() {
        return Err(io::Error::new(io::ErrorKind::NotConnected, "the transport is closing"));
    }
    Ok(())
}

impl<'a> SockSendFile<'a> {
    pub(crate) fn new(event_loop: &EventLoop, sock: &'a Socket, file: &'a File) -> Self {
        Self { event_loop: event_loop.clone(), sock, part: Part::new(file) }
    }

    /// Where in the file to begin. Default: at its beginning.
    pub const fn offset(mut self, offset: u64) -> Self {
        self.part.offset = offset;
        self
    }

    /// How many bytes to send at most. Default: to the end of the file.
    pub const fn count(mut self, count: u64) -> Self {
        self.part.count = Some(count);
        self
    }

    /// Whether to read the file and send what was read, where the kernel cannot send it. Default: yes.
    pub const fn fallback(mut self, has_fallback: bool) -> Self {
        self.part.has_fallback = has_fallback;
        self
    }

    async fn send(self) -> io::Result<u64> {
        let Self { event_loop, sock, part } = self;
        let most = part.most()?;
        if !sock.raw().is_stream() {
            let message = "only a stream socket sends files, and this is of another type";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let mut sent = 0;
        let outcome = match send_turns(&event_loop, sock, &part, most, &mut sent).await {
            Err(error) if error.kind() == io::ErrorKind::Unsupported => {
                send_blocks(&event_loop, sock, &part, &mut sent).await
            }
            outcome => outcome,
        };
        part.finish(outcome, sent)
    }
}

async fn send_turns(
    event_loop: &EventLoop,
    sock: &Socket,
    part: &Part<'_>,
    most: u64,
    sent: &mut u64,
) -> io::Result<()> {
    while *sent < most {
        let count = usize::try_from(most - *sent).unwrap_or(usize::MAX).min(TURN_BYTES);
        let offset = part.offset.saturating_add(*sent);
        let attempt = |raw: &RawSocket| raw.send_file(part.file, offset, count);
        match sock.when_ready(event_loop, Direction::Write, attempt).await? {
            0 => break,
            count => *sent += count as u64,
        }
        // A peer that reads as fast as we send is no reason to let the others wait.
        yield_now().await;
    }
    Ok(())
}

async fn send_blocks(event_loop: &EventLoop, sock: &Socket, part: &Part<'_>, sent: &mut u64) -> io::Result<()> {
    let mut reader = part.reader(*sent)?;
    loop {
        let block = reader.read(event_loop, SOCK_BLOCK_BYTES).await?;
        if block.is_empty() {
            return Ok(());
        }
        event_loop.sock_sendall(sock, &block).await?;
        *sent += block.len() as u64;
    }
}

impl<'a> IntoFuture for SendFile<'a> {
    type Output = io::Result<u64>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<u64>> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl<'a> IntoFuture for SockSendFile<'a> {
    type Output = io::Result<u64>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<u64>> + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

impl fmt::Debug for SockSendFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SockSendFile").field("sock", &self.sock).field("part", &self.part).finish_non_exhaustive()
    }
}

/// What is read at a time for a transport: no more than its default high-water mark, so that nobody is told to pause.
const BLOCK_BYTES: usize = 64 * 1024;
/// asyncio's `SENDFILE_FALLBACK_READBUFFER_SIZE`.
const SOCK_BLOCK_BYTES: usize = 256 * 1024;
/// So much is sent in one turn at most.
const TURN_BYTES: usize = 4 * 1024 * 1024;
