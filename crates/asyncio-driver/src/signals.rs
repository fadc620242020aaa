//! Unix signals as notifications.

use crate::Notify;
use std::sync::Arc;

/// A signal of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(i32);

impl Signal {
    /// The signal with this number; whether there is one shows when it is watched.
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

/// Why a signal cannot be watched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// This system has no signals.
    #[error("this system has no signals")]
    Unsupported,
}

/// What the system does when a signal arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalAction {
    /// The default of the system.
    Default,
    /// Nothing.
    Ignored,
    /// A handler is called.
    Handler,
}

/// Watches a signal until it is dropped.
#[derive(Debug)]
pub struct SignalWatch(Signal);

impl SignalWatch {
    /// Which signal is watched.
    #[must_use]
    pub const fn signal(&self) -> Signal {
        self.0
    }

    /// Whether the signal has arrived since this was asked last.
    #[must_use = "the arrival is forgotten"]
    pub fn take(&self) -> bool {
        false
    }
}

/// Watches `signal`.
///
/// # Errors
///
/// See [`SignalError`].
pub fn watch_signal(signal: Signal, notifier: Arc<dyn Notify>) -> Result<SignalWatch, SignalError> {
    let _ = (signal, notifier);
    Err(SignalError::Unsupported)
}

/// What happens when `signal` arrives.
///
/// # Errors
///
/// See [`SignalError`].
pub fn signal_action(signal: Signal) -> Result<SignalAction, SignalError> {
    let _ = signal;
    Err(SignalError::Unsupported)
}

/// Restores the default action of `signal` and raises it.
///
/// # Errors
///
/// See [`SignalError`].
pub fn raise_default(signal: Signal) -> Result<(), SignalError> {
    let _ = signal;
    Err(SignalError::Unsupported)
}
