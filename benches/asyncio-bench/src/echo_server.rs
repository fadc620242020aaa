//! `echo_server`: the contract is in `benches/peers/README.md`.
//!
//! Modes that are not there yet end with status 2, before `READY`.

mod echo_sockets;
mod echo_streams;

use asyncio::prelude::*;
use asyncio::{Protocol, Transport};
use peers_common::echo::{Options, listen, say_ready};
use std::env;
use std::future::pending;
use std::io;
use std::process;

fn main() -> io::Result<()> {
    let options = Options::from_env();
    let mode = env::args().skip_while(|argument| argument != "--mode").nth(1);
    match (mode.as_deref(), options.frame_bytes) {
        (Some("protocol") | None, _) if options.is_sink => serve(options, || Sink),
        (Some("protocol") | None, None) => serve(options, Echo::default),
        (Some("protocol") | None, Some(frame_bytes)) => serve(options, move || Frames::new(frame_bytes)),
        (Some("streams"), _) => echo_streams::serve(options),
        (Some("sockets"), _) => echo_sockets::serve(options),
        _ => process::exit(2),
    }
}

/// Accepts until it is killed.
fn serve<P: Protocol>(options: Options, factory: impl FnMut() -> P + 'static) -> io::Result<()> {
    asyncio::run(async move {
        let event_loop = asyncio::get_running_loop();
        let _server = event_loop.create_server_on(factory, listen(options.port)?).backlog(4096).await?;
        say_ready()?;
        pending().await
    })
}

/// Every byte goes back.
#[derive(Default)]
struct Echo {
    transport: Option<Transport>,
}

impl Protocol for Echo {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn data_received(&mut self, data: &[u8]) {
        if let Some(transport) = &self.transport {
            transport.write(data);
        }
    }

    fn pause_writing(&mut self) {
        self.transport.iter().for_each(Transport::pause_reading);
    }

    fn resume_writing(&mut self) {
        self.transport.iter().for_each(Transport::resume_reading);
    }
}

/// Every byte is dropped.
struct Sink;

impl Protocol for Sink {}

/// Frame by frame, each by a write of its own.
struct Frames {
    echo: Echo,
    frame_bytes: usize,
    /// The beginning of a frame.
    partial: Vec<u8>,
}

impl Frames {
    fn new(frame_bytes: usize) -> Self {
        Self { echo: Echo::default(), frame_bytes, partial: Vec::new() }
    }
}

impl Protocol for Frames {
    fn connection_made(&mut self, transport: &Transport) {
        self.echo.connection_made(transport);
    }

    fn data_received(&mut self, mut data: &[u8]) {
        if !self.partial.is_empty() {
            let missing = data.len().min(self.frame_bytes - self.partial.len());
            self.partial.extend_from_slice(&data[..missing]);
            data = &data[missing..];
            if self.partial.len() < self.frame_bytes {
                return;
            }
            self.echo.data_received(&self.partial);
            self.partial.clear();
        }
        let frames = data.chunks_exact(self.frame_bytes);
        self.partial.extend_from_slice(frames.remainder());
        for frame in frames {
            self.echo.data_received(frame);
        }
    }

    fn pause_writing(&mut self) {
        self.echo.pause_writing();
    }

    fn resume_writing(&mut self) {
        self.echo.resume_writing();
    }
}
