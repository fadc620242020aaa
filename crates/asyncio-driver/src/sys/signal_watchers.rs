//! Who is told of a signal: lists that a signal handler may read at any moment, on any thread.
//!
//! A handler may interrupt anything, so it can take no lock, and nobody can say when it has ended except itself. So:
//!
//! 1. Lists only grow. A [`Slot`] is leaked when it is made, stays in the list of its signal for ever, and is used again
//!    when its tenant has left: a program leaks as many slots as it ever had watches at one time.
//! 2. A slot's tenant is one pointer, null if there is none. The pointer owns one count of an `Arc<Watcher>`.
//! 3. A handler adds one to `READERS` before it loads a tenant, and takes it off after it has used it. Whoever evicts a
//!    tenant first stores null and then looks at `READERS`; all four operations are `SeqCst`, so in their one order either
//!    the handler's load comes after the null, and it sees none, or its addition comes before the look, and `READERS` is
//!    not 0. So a tenant whose eviction is followed by a look that finds 0 has no reader and will get none.
//! 4. A tenant that cannot be freed yet is retired to a list, which the next watch or eviction tries again. Nobody waits
//!    for a handler: the thread that runs it may be stopped.
//! 5. Only the thread that forks lives on in the child, and it is in no handler; the handlers that its siblings were in are
//!    gone. So the child starts with `READERS` at 0.
//!
//! Everything but the handler's side runs under the lock of the registry in `signal_unix`.

#![expect(unsafe_code, reason = "a signal handler shares memory with whatever it interrupts")]

use crate::Notify;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

/// One who is told of one signal.
#[derive(Debug)]
pub(super) struct Watcher {
    arrived: AtomicBool,
    /// Arrivals since it was asked last.
    unanswered: AtomicU32,
    /// How many of these are one too many; 0 if none ever are.
    unanswered_max: AtomicU32,
    notifier: Arc<dyn Notify>,
}

impl Watcher {
    pub(super) fn new(notifier: Arc<dyn Notify>) -> Self {
        Self {
            arrived: AtomicBool::new(false),
            unanswered: AtomicU32::new(0),
            unanswered_max: AtomicU32::new(0),
            notifier,
        }
    }

    /// Whether the signal has arrived since this was asked last.
    pub(super) fn take(&self) -> bool {
        // Relaxed, here and below: a number of its own, which guards nothing.
        self.unanswered.store(0, Ordering::Relaxed);
        // Acquire: pairs with the release in `tell`, so that what the sender did before is seen.
        self.arrived.swap(false, Ordering::AcqRel)
    }

    pub(super) fn set_unanswered_max(&self, arrivals: u32) {
        self.unanswered_max.store(arrivals, Ordering::Relaxed);
    }

    /// First the state, then the notification: who is woken finds it. Says whether too many arrivals have found no answer.
    fn tell(&self) -> bool {
        // Release: pairs with `take`.
        self.arrived.store(true, Ordering::Release);
        self.notifier.notify();
        let unanswered = self.unanswered.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let max = self.unanswered_max.load(Ordering::Relaxed);
        max != 0 && unanswered >= max
    }
}

/// A place in the list of one signal.
#[derive(Debug)]
pub(super) struct Slot {
    tenant: AtomicPtr<Watcher>,
    next: Option<&'static Slot>,
}

/// Tenants that were evicted while a handler may have been looking at one.
#[derive(Debug, Default)]
pub(super) struct Retired(Vec<Tenant>);

impl Retired {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }
}

/// A pointer that [`Arc::into_raw`] made, and the count that it owns.
#[derive(Debug)]
struct Tenant(*const Watcher);

// SAFETY: this is an `Arc<Watcher>` in another shape, and `Watcher` is `Send` and `Sync`.
unsafe impl Send for Tenant {}

impl Drop for Tenant {
    fn drop(&mut self) {
        // SAFETY: made by `Arc::into_raw` in `admit`, and taken out of its slot by exactly one swap in `evict`.
        drop(unsafe { Arc::from_raw(self.0) });
    }
}

/// Tells everybody who watches the signal with this number; says whether one of them has not answered for too long.
/// Async-signal-safe.
pub(super) fn tell_all(number: usize) -> bool {
    let mut is_unanswered = false;
    let mut next = first_slot(number);
    while let Some(slot) = next {
        READERS.fetch_add(1, Ordering::SeqCst);
        let tenant = slot.tenant.load(Ordering::SeqCst);
        // SAFETY: a tenant that was loaded while `READERS` counts us is not freed (3 in the module's text).
        if let Some(watcher) = unsafe { tenant.as_ref() } {
            is_unanswered |= watcher.tell();
        }
        READERS.fetch_sub(1, Ordering::SeqCst);
        next = slot.next;
    }
    is_unanswered
}

/// Gives `watcher` a place in the list of a signal. The caller holds the registry's lock.
pub(super) fn admit(number: usize, watcher: Arc<Watcher>) -> &'static Slot {
    let tenant = Arc::into_raw(watcher).cast_mut();
    let mut next = first_slot(number);
    while let Some(slot) = next {
        if slot.tenant.compare_exchange(ptr::null_mut(), tenant, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return slot;
        }
        next = slot.next;
    }
    let slot: &'static Slot = Box::leak(Box::new(Slot { tenant: AtomicPtr::new(tenant), next: first_slot(number) }));
    LISTS[number].store(ptr::from_ref(slot).cast_mut(), Ordering::SeqCst);
    slot
}

/// Takes the tenant out of `slot`, and gives back whoever has no reader any more. The caller holds the registry's lock,
/// and drops these when it has let it go: dropping a notifier may run any code.
#[must_use]
pub(super) fn evict(slot: &Slot, retired: &mut Retired) -> Retired {
    let tenant = slot.tenant.swap(ptr::null_mut(), Ordering::SeqCst);
    retired.0.push(Tenant(tenant));
    if READERS.load(Ordering::SeqCst) == 0 { std::mem::take(retired) } else { Retired::default() }
}

/// In a forked child: no other thread is in a handler, since there is none.
pub(super) fn forget_other_threads() {
    READERS.store(0, Ordering::SeqCst);
}

fn first_slot(number: usize) -> Option<&'static Slot> {
    let first = LISTS.get(number)?.load(Ordering::SeqCst);
    // SAFETY: null, or a slot that `admit` has leaked.
    unsafe { first.as_ref() }
}

/// How many signals there can be; no system has more than 128.
pub(super) const SIGNALS_MAX: usize = 129;

/// The slots of each signal, newest first.
static LISTS: [AtomicPtr<Slot>; SIGNALS_MAX] = [const { AtomicPtr::new(ptr::null_mut()) }; SIGNALS_MAX];

/// How many handlers may be looking at a tenant.
static READERS: AtomicUsize = AtomicUsize::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default)]
    struct Count(AtomicUsize);

    impl Notify for Count {
        fn notify(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    // A number that no signal has, so that no other test meets these slots.
    const NUMBER: usize = SIGNALS_MAX - 1;

    #[test]
    fn arrivals_without_an_answer_are_counted_up_to_the_limit() {
        let watcher = Watcher::new(Arc::new(Count::default()));
        assert!((0..9).all(|_| !watcher.tell()), "without a limit there is none");
        watcher.set_unanswered_max(3);
        assert!(watcher.take());
        for _ in 0..4 {
            assert!(!watcher.tell());
            assert!(!watcher.tell());
            assert!(watcher.take(), "an answer, which begins a new count");
        }
        assert_eq!([watcher.tell(), watcher.tell(), watcher.tell()], [false, false, true]);
    }

    #[test]
    fn slots_are_used_again_and_tenants_are_freed() {
        let mut retired = Retired::default();
        let count = Arc::new(Count::default());
        let watcher = Arc::new(Watcher::new(count.clone()));

        let slot = admit(NUMBER, watcher.clone());
        tell_all(NUMBER);
        tell_all(NUMBER);
        assert!(watcher.take(), "told twice, arrived once");
        assert!(!watcher.take());
        assert_eq!(count.0.load(Ordering::SeqCst), 2);

        drop(evict(slot, &mut retired));
        tell_all(NUMBER);
        assert!(!watcher.take(), "nobody is told who has left");

        let again = admit(NUMBER, watcher.clone());
        assert!(ptr::eq(slot, again));
        drop(evict(again, &mut retired));
        drop(watcher);
        // Other tests of this process may be in `tell_all`; when they have left, the next eviction frees.
        while !retired.0.is_empty() {
            drop(evict(admit(NUMBER, Arc::new(Watcher::new(count.clone()))), &mut retired));
        }
        assert_eq!(Arc::strong_count(&count), 1);
    }
}
