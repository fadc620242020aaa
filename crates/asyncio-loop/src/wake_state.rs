//! `WakeState`: whether the loop has to be woken, and who does it. Never a lost wake-up, never a needless system call.
//!
//! A producer first makes its message visible and then calls [`notify`](WakeState::notify); only if the loop was asleep
//! must it go on to end the driver's wait. The loop says that it is about to block by [`try_sleep`](WakeState::try_sleep),
//! which fails if a message has come in since it last looked.
//!
//! Invariants:
//! 1. A message whose producer got `false` from `notify` is seen by the loop before it blocks: either the state was
//!    `NOTIFIED` already, then the loop has yet to look, or it was `AWAKE`, then `try_sleep` will fail.
//! 2. Between two looks of the loop, at most one producer gets `true`.
//!
//! `AcqRel` on every exchange pairs producers with the loop: what was written before `notify` is visible to the loop after
//! the exchange that sees `NOTIFIED`. Checked by a loom model at the bottom.

#[cfg(all(test, asyncio_loom))]
use loom::sync::atomic::{AtomicU8, Ordering};
#[cfg(not(all(test, asyncio_loom)))]
use std::sync::atomic::{AtomicU8, Ordering};

/// The state of one loop towards other threads.
#[derive(Debug)]
pub(crate) struct WakeState(AtomicU8);

/// The loop runs callbacks and will look at its inbox before it blocks.
const AWAKE: u8 = 0;
/// The loop blocks in its driver, or is not running: it has to be woken.
const ASLEEP: u8 = 1;
/// There may be something in the inbox, and whoever had to wake the loop has been told so.
const NOTIFIED: u8 = 2;

impl WakeState {
    /// A loop that does not run yet.
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(ASLEEP))
    }

    /// Says that there is a message. If this gives `true`, the caller must end the driver's wait. Async-signal-safe.
    #[must_use]
    pub(crate) fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == ASLEEP
    }

    /// Whether a message may be waiting. One plain load.
    #[inline]
    pub(crate) fn is_notified(&self) -> bool {
        // Relaxed: a message from before, in the sense of happens-before, is seen; `look` orders the rest.
        self.0.load(Ordering::Relaxed) == NOTIFIED
    }

    /// The loop looks at its inbox: whatever comes in from now on notifies again.
    pub(crate) fn look(&self, running: bool) {
        self.0.swap(if running { AWAKE } else { ASLEEP }, Ordering::AcqRel);
    }

    /// The loop, awake, has left something in its inbox.
    pub(crate) fn remind(&self) {
        self.0.swap(NOTIFIED, Ordering::AcqRel);
    }

    /// The loop is about to block, or to stop running. If this fails there is a message.
    #[must_use]
    pub(crate) fn try_sleep(&self) -> bool {
        self.0.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The loop has woken up. `true` means that there may be a message.
    #[must_use]
    pub(crate) fn wake_up(&self) -> bool {
        self.0.swap(AWAKE, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, asyncio_loom))]
mod loom_tests {
    use super::*;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    /// What a loop and its producers share: messages are counted, and a driver's notifier is a flag that ends a wait.
    struct Shared {
        state: WakeState,
        inbox: Mutex<u32>,
        notified: Mutex<bool>,
        changed: Condvar,
    }

    impl Shared {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                state: WakeState::new(),
                inbox: Mutex::new(0),
                notified: Mutex::new(false),
                changed: Condvar::new(),
            })
        }

        fn send(&self) {
            *self.inbox.lock().unwrap() += 1;
            if self.state.notify() {
                *self.notified.lock().unwrap() = true;
                self.changed.notify_one();
            }
        }

        fn receive(&self) -> u32 {
            std::mem::take(&mut *self.inbox.lock().unwrap())
        }

        fn block(&self) {
            let mut notified = self.notified.lock().unwrap();
            while !*notified {
                notified = self.changed.wait(notified).unwrap();
            }
            *notified = false;
        }
    }

    fn producers(shared: &Arc<Shared>) -> Vec<thread::JoinHandle<()>> {
        let one = |_| {
            let shared = shared.clone();
            thread::spawn(move || shared.send())
        };
        (0..2).map(one).collect()
    }

    /// However sends and the loop's steps interleave, the loop gets every message and never blocks for ever.
    #[test]
    fn no_wake_up_is_lost() {
        loom::model(|| {
            let shared = Shared::new();
            let _ = shared.state.wake_up();
            let producers = producers(&shared);
            let mut received = 0;
            while received < 2 {
                if shared.state.is_notified() {
                    shared.state.look(true);
                    received += shared.receive();
                } else if shared.state.try_sleep() {
                    shared.block();
                    if shared.state.wake_up() {
                        received += shared.receive();
                    }
                }
            }
            producers.into_iter().for_each(|producer| producer.join().unwrap());
        });
    }

    /// A host runs the loop once whenever the notifier says so, and looks at its inbox before it waits again.
    #[test]
    fn no_wake_up_is_lost_between_two_runs() {
        loom::model(|| {
            let shared = Shared::new();
            let producers = producers(&shared);
            let mut received = 0;
            loop {
                if shared.state.is_notified() {
                    shared.state.look(false);
                    received += shared.receive();
                }
                if received == 2 {
                    break;
                }
                shared.block();
                // One run: `enter`, nothing to do, and `Running::drop`.
                if shared.state.wake_up() {
                    shared.state.look(true);
                    received += shared.receive();
                }
                if !shared.state.try_sleep() && shared.state.is_notified() {
                    shared.state.look(false);
                    received += shared.receive();
                }
            }
            producers.into_iter().for_each(|producer| producer.join().unwrap());
        });
    }
}
