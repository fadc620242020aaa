//! What wakes a `PollingDriver` on Windows: `polling`'s own notifier, for want of signal handlers that could need more.

use crate::Notify;
use polling::Poller;
use std::io;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Waker(Arc<PollerNotifier>);

impl Waker {
    /// The key of no event: `polling` keeps its notifications to itself.
    pub(super) const KEY: usize = usize::MAX;
    /// Whether the notifier may be used by a signal handler.
    pub(super) const SIGNAL_SAFE: bool = false;

    #[expect(clippy::unnecessary_wraps, reason = "fails on other systems")]
    pub(super) fn new(poller: &Arc<Poller>) -> io::Result<Self> {
        Ok(Self(Arc::new(PollerNotifier(poller.clone()))))
    }

    pub(super) fn notifier(&self) -> Arc<dyn Notify> {
        self.0.clone()
    }

    #[expect(clippy::unused_self, reason = "has something to do on other systems")]
    pub(super) fn drain(&self) {}
}

/// Keeps the poller alive: notifying one that nobody waits on has no effect.
#[derive(Debug)]
struct PollerNotifier(Arc<Poller>);

impl Notify for PollerNotifier {
    fn notify(&self) {
        // Fails only if the completion port is closed, and it is open as long as `self`.
        let _ = self.0.notify();
    }
}
