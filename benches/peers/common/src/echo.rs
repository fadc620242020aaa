//! The outside of `echo_server`: its arguments and its listening socket.

use std::env;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;

use socket2::{Domain, Socket, Type};

use crate::machine;

/// `echo_server --mode M --port P [--role echo|sink] [--frame F] [--buf N]`
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub port: u16,
    pub is_sink: bool,
    /// Buffered writer (`--mode streams`) instead of one system call per write.
    pub is_buffered: bool,
    /// Frames are answered one by one, each by a write of its own.
    pub frame_bytes: Option<usize>,
    pub buffer_bytes: usize,
}

impl Options {
    /// Reads the command line; ends the process with status 2 if it makes no sense.
    pub fn from_env() -> Self {
        Self::parse(env::args().skip(1)).unwrap_or_else(|| {
            eprintln!("usage: echo_server --port P [--mode M] [--role echo|sink] [--frame F] [--buf N]");
            process::exit(2)
        })
    }

    fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { port: 0, is_sink: false, is_buffered: false, frame_bytes: None, buffer_bytes: 65536 };
        while let Some(name) = arguments.next() {
            let value = arguments.next()?;
            match name.as_str() {
                "--port" => options.port = value.parse().ok()?,
                "--role" => options.is_sink = value == "sink",
                "--mode" => options.is_buffered = value == "streams",
                "--frame" => options.frame_bytes = Some(value.parse().ok().filter(|bytes| *bytes > 0)?),
                "--buf" => options.buffer_bytes = value.parse().ok().filter(|bytes| *bytes > 0)?,
                _ => {}
            }
        }
        (options.port != 0).then_some(options)
    }
}

/// The listening, non-blocking socket, with descriptors enough for what will be accepted.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    machine::raise_descriptor_limit();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// Tells the harness that connections are accepted.
pub fn say_ready() -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(b"READY\n")?;
    stdout.flush()
}
