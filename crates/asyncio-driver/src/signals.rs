//! Unix signals as notifications: `Signal`, and a watch that ends a driver's wait when one arrives.
//!
//! Invariants:
//! 1. A signal that arrives while it is watched is never lost: each of its watches answers `true` once, and each of their
//!    notifiers is used after that answer is ready. How often it arrived is not counted; the system does not either.
//! 2. When the last watch of a signal is dropped, the action that was in force before the first is in force again.
//!
//! Absent on purpose: callbacks in a signal handler (floor 1 runs them on the loop), and signal masks.

use crate::Notify;
use crate::sys::signal::{self, numbers};
use std::fmt;
use std::io;
use std::sync::Arc;

/// The number of a signal.
///
/// Any number can be made into one; whether the system has such a signal shows when it is watched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// The signal with this number.
    #[must_use]
    pub const fn from_raw(number: i32) -> Self {
        Self(number)
    }

    /// The number of the signal.
    #[must_use]
    pub const fn as_raw(self) -> i32 {
        self.0
    }
}

macro_rules! signals {
    ($($(#[doc = $doc:literal])* $name:ident = $number:ident;)*) => {
        impl Signal {
            $($(#[doc = $doc])* pub const $name: Self = Self(numbers::$number);)*

            /// The name that the C library has for it, for those that all systems have.
            fn name(self) -> Option<&'static str> {
                match self.0 {
                    $(numbers::$number => Some(stringify!($number)),)*
                    _ => None,
                }
            }
        }
    };
}

signals! {
    /// The program called `abort`.
    ABRT = SIGABRT;
    /// The alarm clock of the process.
    ALRM = SIGALRM;
    /// An address that is not there; cannot be watched.
    BUS = SIGBUS;
    /// A child has ended, stopped or gone on. Ignored by default.
    CHLD = SIGCHLD;
    /// Go on after a stop.
    CONT = SIGCONT;
    /// Arithmetic that has no result; cannot be watched.
    FPE = SIGFPE;
    /// The terminal is gone; by custom: read the configuration again.
    HUP = SIGHUP;
    /// An instruction that is none; cannot be watched.
    ILL = SIGILL;
    /// Ctrl-C at the terminal.
    INT = SIGINT;
    /// A descriptor is ready, for programs that asked to hear of it this way.
    IO = SIGIO;
    /// End at once; cannot be watched.
    KILL = SIGKILL;
    /// Writing to a pipe that nobody reads. Rust programs ignore it.
    PIPE = SIGPIPE;
    /// The profiler's clock.
    PROF = SIGPROF;
    /// Ctrl-\ at the terminal: end and dump core.
    QUIT = SIGQUIT;
    /// Memory that is not this program's; cannot be watched.
    SEGV = SIGSEGV;
    /// Stop at once; cannot be watched.
    STOP = SIGSTOP;
    /// A system call that is none, or forbidden.
    SYS = SIGSYS;
    /// End, politely.
    TERM = SIGTERM;
    /// A debugger's breakpoint.
    TRAP = SIGTRAP;
    /// Ctrl-Z at the terminal.
    TSTP = SIGTSTP;
    /// A background process read from the terminal.
    TTIN = SIGTTIN;
    /// A background process wrote to the terminal.
    TTOU = SIGTTOU;
    /// Urgent data on a socket. Ignored by default.
    URG = SIGURG;
    /// For the program to give a meaning.
    USR1 = SIGUSR1;
    /// For the program to give a meaning.
    USR2 = SIGUSR2;
    /// The clock of the time that the process has run.
    VTALRM = SIGVTALRM;
    /// The terminal window has another size. Ignored by default.
    WINCH = SIGWINCH;
    /// Too much time used.
    XCPU = SIGXCPU;
    /// Too large a file.
    XFSZ = SIGXFSZ;
}

/// The name of the C library, such as `SIGUSR1`; `signal 40` where there is none.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signal({self})")
    }
}

/// Why nothing could be done about a signal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The system has no signal with this number.
    #[error("{0} is not the number of a signal")]
    Invalid(i32),
    /// Nobody may watch this signal: the system does not let it be caught, or returning from a handler would repeat the
    /// fault that raised it.
    #[error("{0} cannot be watched")]
    Refused(Signal),
    /// The system has said no.
    #[error("the system refused to change the action of {signal}")]
    Os {
        /// Which signal it was about.
        signal: Signal,
        /// What the system said.
        source: io::Error,
    },
    /// This system has no signals.
    #[error("this system has no signals")]
    Unsupported,
}

impl From<SignalError> for io::Error {
    fn from(error: SignalError) -> Self {
        let kind = match &error {
            SignalError::Invalid(_) | SignalError::Refused(_) => io::ErrorKind::InvalidInput,
            SignalError::Os { source, .. } => source.kind(),
            SignalError::Unsupported => io::ErrorKind::Unsupported,
        };
        Self::new(kind, error)
    }
}

/// What the system does when a signal arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalAction {
    /// What it does when nobody has said anything: for most signals, it ends the process.
    Default,
    /// Nothing.
    Ignored,
    /// It calls a function of this process: a watch of ours, or somebody else's handler.
    Handler,
}

/// Watches one signal for as long as it lives.
///
/// Dropping the last watch of a signal restores the action that was in force before the first, unless somebody else has
/// installed another one meanwhile.
#[derive(Debug)]
#[must_use = "the watch ends when this is dropped"]
pub struct SignalWatch(signal::Watch);

impl SignalWatch {
    /// Which signal is watched.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.0.signal()
    }

    /// Whether the signal has arrived since this was asked last. A burst counts as one arrival.
    #[must_use = "this answer is given once for each arrival"]
    pub fn take(&self) -> bool {
        self.0.take()
    }

    /// From now on, `arrivals` of the signal in a row without a [`take`](Self::take) between them mean that nobody comes to act
    /// on it: the last of them gives the signal its default action again and raises it, which ends the process for most. With
    /// 0, how it is without a call, any number is waited for.
    ///
    /// A burst that the system delivers as one arrival is one.
    pub fn set_unanswered_max(&self, arrivals: u32) {
        self.0.set_unanswered_max(arrivals);
    }
}

/// Watches `signal`: from now on it does not do what it did before, but is noted by the watch, and then `notifier` is used.
///
/// Any number of watches, on any threads, may watch one signal; each is told of each arrival. The handler is installed for
/// the whole process with `SA_RESTART`, so system calls of other threads go on. Whether a forked child watches too is
/// decided by its `exec`, which gives watched signals their default action.
///
/// The notifier is used inside a signal handler, so its driver must promise
/// [`notify_in_signal_handler`](crate::Capabilities::notify_in_signal_handler).
///
/// # Errors
///
/// [`SignalError::Invalid`] if there is no such signal; [`SignalError::Refused`] for `KILL`, `STOP` and the faults `SEGV`,
/// `BUS`, `ILL` and `FPE`; [`SignalError::Os`] if the system refuses; [`SignalError::Unsupported`] where there are no
/// signals.
///
/// # Examples
///
/// ```
/// use asyncio_driver::{Driver, Signal, new_driver, watch_signal};
///
/// # #[cfg(unix)]
/// # fn main() -> std::io::Result<()> {
/// let driver = new_driver()?;
/// let terminate = watch_signal(Signal::TERM, driver.notifier())?;
/// // After each wait of the loop:
/// if terminate.take() {
///     // Close the servers, then end.
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(unix))]
/// # fn main() {}
/// ```
pub fn watch_signal(signal: Signal, notifier: Arc<dyn Notify>) -> Result<SignalWatch, SignalError> {
    signal::Watch::new(signal, notifier).map(SignalWatch)
}

/// Says what the system does now when `signal` arrives.
///
/// # Errors
///
/// [`SignalError::Invalid`] if there is no such signal; [`SignalError::Unsupported`] where there are no signals.
pub fn signal_action(signal: Signal) -> Result<SignalAction, SignalError> {
    signal::action(signal)
}

/// Gives `signal` its default action and raises it at this process, so that the process ends as killed by it: what a shell
/// expects of a program that was interrupted.
///
/// The calling thread is made to receive the signal, if it was blocked. Returns only if the default action does not end
/// the process (`CHLD`, `CONT`, `URG`, `WINCH`, and the stopping signals once the process goes on). Watches of the signal
/// see nothing of this, and nothing of later arrivals.
///
/// # Errors
///
/// [`SignalError::Invalid`] if there is no such signal; [`SignalError::Os`] if the system refuses;
/// [`SignalError::Unsupported`] where there are no signals.
pub fn raise_default(signal: Signal) -> Result<(), SignalError> {
    signal::raise_default(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_shown_by_their_names() {
        assert_eq!(Signal::USR1.to_string(), "SIGUSR1");
        assert_eq!(format!("{:?}", Signal::INT), "Signal(SIGINT)");
        assert_eq!(Signal::from_raw(77).to_string(), "signal 77");
        assert_eq!(SignalError::Invalid(77).to_string(), "77 is not the number of a signal");
        assert_eq!(SignalError::Refused(Signal::KILL).to_string(), "SIGKILL cannot be watched");
    }
}
