//! `run_process`: a program, from its start to its end, in one call.

use crate::completed::{CalledProcessError, CompletedProcess, RunProcessError};
use crate::create::{CreateSubprocess, Start};
use crate::process::{Process, WithStreams};
use crate::stdio::{DEVNULL, PIPE};
use asyncio_driver::Signal;
use asyncio_loop::{Delay, IntoDelay};
use asyncio_tasks::{catch_cancelled, timeout};
use bytes::Bytes;
use std::ffi::OsStr;
use std::future::IntoFuture;
use std::io;
use std::pin::Pin;
use std::time::Duration;

/// Runs `program` with `args` to its end. Await it.
///
/// By default its standard input is empty, its outputs are those of this process, and a failure is an error; see
/// [`capture_output`](CreateSubprocess::capture_output) and [`check`](CreateSubprocess::check).
///
/// # Cancel safety
///
/// When the task is cancelled, the program is asked to end (`SIGTERM`), killed if it has not done so after
/// [`grace`](CreateSubprocess::grace), and collected, before the cancellation goes on. If it leads a process group of its
/// own, both signals go to all of that. Where the future is merely dropped, there is no time to ask: it is killed. Either way,
/// neither the child nor a zombie is left.
///
/// # Errors
///
/// [`RunProcessError::Failed`] if it exits with another status than zero; [`RunProcessError::Io`] if it cannot be started.
///
/// # Panics
///
/// If awaited without a running loop.
///
/// # asyncio
///
/// None. `subprocess.run` in threads; Trio's `run_process`, whose defaults these are.
pub fn run_process<A: AsRef<OsStr>>(
    program: impl AsRef<OsStr>,
    args: impl IntoIterator<Item = A>,
) -> CreateSubprocess<ToCompletion> {
    let start = Start::exec(program, args);
    let kind = ToCompletion { is_checked: true, input: None, grace: GRACE.into_delay() };
    CreateSubprocess { start, kind }.stdin(DEVNULL)
}

/// Runs a child to its end, see [`run_process`] and [`CreateSubprocess`].
#[derive(Debug)]
pub struct ToCompletion {
    is_checked: bool,
    input: Option<Bytes>,
    grace: Delay,
}

impl CreateSubprocess<ToCompletion> {
    /// Whether another exit status than zero is an error. Default: yes.
    pub const fn check(mut self, is_checked: bool) -> Self {
        self.kind.is_checked = is_checked;
        self
    }

    /// Whether standard output and standard error are collected, as far as nothing else was said of them. Default: no.
    pub fn capture_output(self, is_captured: bool) -> Self {
        if is_captured { self.stdout(PIPE).stderr(PIPE) } else { self }
    }

    /// What the program reads from its standard input.
    pub fn input(mut self, input: impl Into<Bytes>) -> Self {
        self.kind.input = Some(input.into());
        self.stdin(PIPE)
    }

    /// How long a program that is cancelled has to end by itself: seconds, or a `Duration`. Default: 5 seconds.
    ///
    /// # Panics
    ///
    /// If it is NaN.
    #[track_caller]
    pub fn grace(mut self, grace: impl IntoDelay) -> Self {
        self.kind.grace = grace.into_delay();
        self
    }

    async fn run(self) -> Result<CompletedProcess, RunProcessError> {
        let Self { start, kind: ToCompletion { is_checked, input, grace } } = self;
        let (program, leads_group) = (start.program(), start.leads_group());
        let mut process =
            CreateSubprocess { start, kind: WithStreams::default() }.kill_on_drop(true).into_future().await?;
        let output = match catch_cancelled(process.communicate_bytes(input)).await {
            Ok(outcome) => outcome?,
            Err(cancelled) => {
                // Whatever this says, the task is cancelled.
                let _ = end(&process, grace, leads_group).await;
                match cancelled.reraise().await {}
            }
        };
        if is_checked && !output.status.success() {
            return Err(RunProcessError::Failed(Box::new(CalledProcessError { program, output })));
        }
        Ok(output)
    }
}

/// Asks, waits, and kills.
async fn end(process: &Process, grace: Delay, leads_group: bool) -> io::Result<()> {
    let signal = |signal| {
        // It may have ended by itself.
        let _ = if leads_group { process.send_signal_to_group(signal) } else { process.send_signal(signal) };
    };
    signal(Signal::TERM);
    if timeout(grace, process.wait()).await.is_err() {
        signal(Signal::KILL);
        process.wait().await?;
    }
    Ok(())
}

impl IntoFuture for CreateSubprocess<ToCompletion> {
    type Output = Result<CompletedProcess, RunProcessError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// As Trio's.
const GRACE: Duration = Duration::from_secs(5);
