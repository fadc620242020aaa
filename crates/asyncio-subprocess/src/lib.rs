#![doc = include_str!("../README.md")]
#![cfg(unix)]
#![forbid(unsafe_code)]

mod child;
mod completed;
mod conversation;
mod create;
mod ext;
mod process;
mod protocol;
mod reaper;
mod run_process;
mod stdio;
mod transport;
mod watcher;
mod with_protocol;

pub use completed::{CalledProcessError, CompletedProcess, RunProcessError};
pub use create::CreateSubprocess;
pub use ext::LoopSubprocessExt;
pub use process::{Process, WithStreams, create_subprocess_exec, create_subprocess_shell};
pub use protocol::SubprocessProtocol;
pub use run_process::{ToCompletion, run_process};
pub use stdio::{DEVNULL, INHERIT, PIPE, STDOUT, Stdio};
pub use transport::SubprocessTransport;
pub use with_protocol::{Connected, WithProtocol};
