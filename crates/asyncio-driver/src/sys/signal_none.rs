//! No signals here: every question is answered with [`SignalError::Unsupported`].

use crate::{Notify, Signal, SignalAction, SignalError};
use std::convert::Infallible;
use std::sync::Arc;

/// A watch that there is none of.
#[derive(Debug)]
pub(crate) struct Watch(Infallible);

impl Watch {
    pub(crate) fn new(_signal: Signal, _notifier: Arc<dyn Notify>) -> Result<Self, SignalError> {
        Err(SignalError::Unsupported)
    }

    pub(crate) fn take(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn set_unanswered_max(&self, _arrivals: u32) {
        match self.0 {}
    }

    pub(crate) fn signal(&self) -> Signal {
        match self.0 {}
    }
}

pub(crate) fn action(_signal: Signal) -> Result<SignalAction, SignalError> {
    Err(SignalError::Unsupported)
}

pub(crate) fn raise_default(_signal: Signal) -> Result<(), SignalError> {
    Err(SignalError::Unsupported)
}

/// The numbers that Linux gave its signals, for names in messages.
pub(crate) mod numbers {
    pub(crate) const SIGHUP: i32 = 1;
    pub(crate) const SIGINT: i32 = 2;
    pub(crate) const SIGQUIT: i32 = 3;
    pub(crate) const SIGILL: i32 = 4;
    pub(crate) const SIGTRAP: i32 = 5;
    pub(crate) const SIGABRT: i32 = 6;
    pub(crate) const SIGBUS: i32 = 7;
    pub(crate) const SIGFPE: i32 = 8;
    pub(crate) const SIGKILL: i32 = 9;
    pub(crate) const SIGUSR1: i32 = 10;
    pub(crate) const SIGSEGV: i32 = 11;
    pub(crate) const SIGUSR2: i32 = 12;
    pub(crate) const SIGPIPE: i32 = 13;
    pub(crate) const SIGALRM: i32 = 14;
    pub(crate) const SIGTERM: i32 = 15;
    pub(crate) const SIGCHLD: i32 = 17;
    pub(crate) const SIGCONT: i32 = 18;
    pub(crate) const SIGSTOP: i32 = 19;
    pub(crate) const SIGTSTP: i32 = 20;
    pub(crate) const SIGTTIN: i32 = 21;
    pub(crate) const SIGTTOU: i32 = 22;
    pub(crate) const SIGURG: i32 = 23;
    pub(crate) const SIGXCPU: i32 = 24;
    pub(crate) const SIGXFSZ: i32 = 25;
    pub(crate) const SIGVTALRM: i32 = 26;
    pub(crate) const SIGPROF: i32 = 27;
    pub(crate) const SIGWINCH: i32 = 28;
    pub(crate) const SIGIO: i32 = 29;
    pub(crate) const SIGSYS: i32 = 31;
}
