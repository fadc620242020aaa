//! `Sent`: whether a waker's message to its loop is under way. At most one is, and no wake-up is lost.
//!
//! Whoever wakes first writes what the task is to find, and then asks [`must_send`](Sent::must_send); the owner says
//! [`delivered`](Sent::delivered) first, and then lets the task look.
//!
//! Invariant: a wake that need not send is covered by the message under way: `delivered` comes after it, and the task looks after
//! that. `AcqRel` on both exchanges hands over what was written. Checked by a loom model at the bottom.

#[cfg(all(test, asyncio_loom))]
use loom::sync::atomic::{AtomicBool, Ordering};
#[cfg(not(all(test, asyncio_loom)))]
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a message is under way.
#[derive(Debug)]
pub(crate) struct Sent(AtomicBool);

impl Sent {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Something happened that the task must see. `true` if the caller must send a message.
    #[must_use]
    pub(crate) fn must_send(&self) -> bool {
        // AcqRel: a wake that finds `true` hands what it wrote to the owner through this, see `delivered`.
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// The message has come; the task is going to look.
    pub(crate) fn delivered(&self) {
        // AcqRel: pairs with the swap in `must_send`.
        self.0.swap(false, Ordering::AcqRel);
    }
}

#[cfg(all(test, asyncio_loom))]
mod loom_tests {
    use super::*;
    use loom::sync::atomic::AtomicU32;
    use loom::sync::{Arc, Condvar, Mutex};
    use loom::thread;

    /// A waker, the loop's inbox that it sends to, and what the task is to find: one number for each who wakes.
    struct Shared {
        sent: Sent,
        inbox: Mutex<u32>,
        changed: Condvar,
        found: [AtomicU32; 2],
    }

    impl Shared {
        fn new() -> Arc<Self> {
            Arc::new(Self {
                sent: Sent::new(),
                inbox: Mutex::new(0),
                changed: Condvar::new(),
                found: [AtomicU32::new(0), AtomicU32::new(0)],
            })
        }

        /// What `RemoteWaker::wake_from_elsewhere` does, after something has happened. Relaxed: the order must come from `sent`.
        fn wake(&self, who: usize) {
            self.found[who].fetch_add(1, Ordering::Relaxed);
            if self.sent.must_send() {
                *self.inbox.lock().unwrap() += 1;
                self.changed.notify_one();
            }
        }

        /// Blocks until there are messages, and takes them; never more than one, since at most one is under way.
        fn receive(&self) {
            let mut inbox = self.inbox.lock().unwrap();
            while *inbox == 0 {
                inbox = self.changed.wait(inbox).unwrap();
            }
            assert_eq!(*inbox, 1, "one message is under way at most");
            *inbox = 0;
        }

        /// What the task's step finds.
        fn look(&self) -> u32 {
            self.found.iter().map(|found| found.load(Ordering::Relaxed)).sum()
        }
    }

    /// However two wakes and the owner interleave, the task looks after each wake. If it did not, this would block for ever.
    #[test]
    fn loom_no_wake_is_lost() {
        loom::model(|| {
            let shared = Shared::new();
            let wakers: Vec<_> = (0..2)
                .map(|who| {
                    let shared = shared.clone();
                    thread::spawn(move || shared.wake(who))
                })
                .collect();
            let mut seen = 0;
            while seen < 2 {
                shared.receive();
                shared.sent.delivered();
                seen = shared.look();
            }
            wakers.into_iter().for_each(|waker| waker.join().unwrap());
        });
    }

    /// The task is done, and its cell freed, while a wake is under way: the message finds nothing, and follows no address.
    #[test]
    fn loom_a_late_message_finds_nothing() {
        loom::model(|| {
            let shared = Shared::new();
            // The owner's alone, as `RemoteWaker::task`: that the other thread never touches it is what `Cell` says here.
            let task = std::cell::Cell::new(Some(7));
            let waker = {
                let shared = shared.clone();
                thread::spawn(move || shared.wake(0))
            };
            task.set(None); // `disconnect`, when the task is done
            shared.receive();
            shared.sent.delivered();
            assert_eq!((task.get(), shared.look()), (None, 1));
            waker.join().unwrap();
        });
    }
}
