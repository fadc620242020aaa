#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod connected;
mod copy;
mod error;
mod frames;
mod futures_traits;
mod handler;
#[cfg(feature = "hyper")]
mod hyper_traits;
mod limit;
mod open_connection;
mod pair;
mod pipes;
mod protocol;
mod read_buffer;
mod reader;
mod reading;
mod separators;
mod spare;
mod start_server;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tokio")]
mod tokio_traits;
mod writer;

pub use copy::copy;
pub use error::{IncompleteReadError, LimitOverrunError, ReadExactlyError, ReadLineError, ReadUntilError};
pub use frames::{FrameError, Frames, Framing, Lines};
pub use handler::HandlerOutcome;
pub use open_connection::{OpenConnection, open_connection, open_connection_on, open_unix_connection};
pub use pair::StreamPair;
pub use pipes::{OpenReadPipe, open_read_pipe, open_write_pipe};
pub use protocol::StreamReaderProtocol;
pub use reader::{ReadSize, StreamFeeder, StreamReader};
pub use separators::Separators;
pub use start_server::{StartServer, StartUnixServer, start_server, start_server_on, start_unix_server};
pub use writer::StreamWriter;
