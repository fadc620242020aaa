//! What is left of a child that has exited, and what is wrong with it.

use bytes::Bytes;
use std::ffi::OsString;
use std::io;
use std::process::ExitStatus;

/// A child that has exited, and what it has written.
///
/// # asyncio
///
/// The pair that `communicate` gives, with the status; `subprocess.CompletedProcess`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompletedProcess {
    /// How it has exited.
    pub status: ExitStatus,
    /// What it has written to its standard output; empty if that was not piped.
    pub stdout: Bytes,
    /// What it has written to its standard error; empty if that was not piped.
    pub stderr: Bytes,
}

/// A program has exited with another status than zero, or by a signal.
///
/// # asyncio
///
/// `subprocess.CalledProcessError`.
#[derive(Debug, thiserror::Error)]
#[error("{} failed with {}{}", program.display(), output.status, last_words(&output.stderr))]
#[non_exhaustive]
pub struct CalledProcessError {
    /// What was run.
    pub program: OsString,
    /// Its status, and what it has written.
    pub output: CompletedProcess,
}

/// Why a program was not [run](crate::run_process), or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunProcessError {
    /// It was not started, or its output could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It was run, and has failed; only if that was to be [checked](crate::CreateSubprocess::check).
    #[error(transparent)]
    Failed(Box<CalledProcessError>),
}

impl From<RunProcessError> for io::Error {
    fn from(error: RunProcessError) -> Self {
        match error {
            RunProcessError::Io(error) => error,
            RunProcessError::Failed(error) => Self::other(error),
        }
    }
}

/// The last line that says anything, for a message.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let last = text.lines().rev().map(str::trim).find(|line| !line.is_empty());
    last.map_or_else(String::new, |line| format!(": {line}"))
}
