//! Signals on Unix: the handler that the system calls, and whose turn it is to install and to restore it.
//!
//! Invariants:
//! 1. Our handler is installed for a signal while the registry has an entry for it, which is while somebody watches it.
//!    The entry keeps the action that was in force before.
//! 2. The handler is async-signal-safe: it loads and stores atomics, calls notifiers, which promise the same, sigaction(2)
//!    and raise(3) if nobody answers, and keeps `errno`. How it can look at notifiers that may go at any moment is told in `signal_watchers`.
//! 3. The lock of the registry is never taken by the handler, and no foreign code runs under it.
//!
//! Absent on purpose: calling the previous handler too, and signal masks, which belong to threads.

#![expect(unsafe_code, reason = "sigaction(2) and raise(3) have no safe binding")]

use super::errno::KeepErrno;
use super::signal_watchers::{self, Retired, SIGNALS_MAX, Slot, Watcher};
use crate::{Notify, Signal, SignalAction, SignalError};
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One watch; the signal's previous action comes back with the end of the last one.
#[derive(Debug)]
pub(crate) struct Watch {
    signal: Signal,
    watcher: Arc<Watcher>,
    slot: &'static Slot,
}

impl Watch {
    pub(crate) fn new(signal: Signal, notifier: Arc<dyn Notify>) -> Result<Self, SignalError> {
        let number = check(signal)?;
        if REFUSED.contains(&signal) {
            return Err(SignalError::Refused(signal));
        }
        // A forked child has to be told to forget the handlers of its parent's other threads.
        let _ = super::fork::fork_generation();
        let watcher = Arc::new(Watcher::new(notifier));
        let mut registry = registry();
        let slot = signal_watchers::admit(number, watcher.clone());
        match registry.add_watch(signal) {
            Ok(()) => Ok(Self { signal, watcher, slot }),
            Err(error) => {
                let freed = signal_watchers::evict(slot, &mut registry.retired);
                drop(registry);
                drop(freed);
                Err(error)
            }
        }
    }

    pub(crate) fn take(&self) -> bool {
        self.watcher.take()
    }

    pub(crate) fn set_unanswered_max(&self, arrivals: u32) {
        self.watcher.set_unanswered_max(arrivals);
    }

    pub(crate) fn signal(&self) -> Signal {
        self.signal
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut registry = registry();
        registry.end_watch(self.signal);
        let freed = signal_watchers::evict(self.slot, &mut registry.retired);
        drop(registry);
        drop(freed);
    }
}

/// What the system does now when `signal` arrives.
pub(crate) fn action(signal: Signal) -> Result<SignalAction, SignalError> {
    check(signal)?;
    let current = exchange(signal, None)?;
    Ok(match current.sa_sigaction {
        libc::SIG_DFL => SignalAction::Default,
        libc::SIG_IGN => SignalAction::Ignored,
        _ => SignalAction::Handler,
    })
}

/// Gives `signal` its default action and raises it on this thread, where it cannot stay pending.
pub(crate) fn raise_default(signal: Signal) -> Result<(), SignalError> {
    check(signal)?;
    // The system lets nobody set the action of these two, which is always the default.
    if signal != Signal::KILL && signal != Signal::STOP {
        exchange(signal, Some(&disposition(libc::SIG_DFL, 0)))?;
    }
    let mask = only(signal);
    // SAFETY: `mask` is a set, and the old mask is not asked for.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, ptr::null_mut()) };
    if error != 0 {
        return Err(SignalError::Os { signal, source: io::Error::from_raw_os_error(error) });
    }
    // SAFETY: has no precondition; the default action runs no code of this process.
    if unsafe { libc::raise(signal.as_raw()) } != 0 {
        return Err(SignalError::Os { signal, source: io::Error::last_os_error() });
    }
    Ok(())
}

/// Who is watched, and what was in force before.
struct Registry {
    watched: BTreeMap<Signal, Watched>,
    retired: Retired,
}

struct Watched {
    previous: libc::sigaction,
    watches: usize,
}

impl Registry {
    /// Counts a watch; the first one of a signal installs the handler.
    fn add_watch(&mut self, signal: Signal) -> Result<(), SignalError> {
        if let Some(watched) = self.watched.get_mut(&signal) {
            watched.watches += 1;
            return Ok(());
        }
        // SA_RESTART as asyncio's (`signal.siginterrupt(sig, False)`): system calls of others go on.
        let ours = disposition(on_signal as *const () as libc::sighandler_t, libc::SA_RESTART | libc::SA_ONSTACK);
        let previous = exchange(signal, Some(&ours))?;
        self.watched.insert(signal, Watched { previous, watches: 1 });
        Ok(())
    }

    /// Uncounts a watch; the last one of a signal restores what was in force before the first.
    fn end_watch(&mut self, signal: Signal) {
        let Some(watched) = self.watched.get_mut(&signal) else { return };
        watched.watches -= 1;
        if watched.watches > 0 {
            return;
        }
        // If somebody else has installed an action since, it is theirs to restore ours, and not ours to remove theirs.
        let ours = on_signal as *const () as libc::sighandler_t;
        if exchange(signal, None).is_ok_and(|current| current.sa_sigaction == ours) {
            // Cannot fail: the same call has succeeded when the watch began.
            let _ = exchange(signal, Some(&watched.previous));
        }
        self.watched.remove(&signal);
    }
}

fn registry() -> MutexGuard<'static, Registry> {
    // Nothing under the lock can panic half-way, except for want of memory.
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn on_signal(number: c_int) {
    let _errno = KeepErrno::new();
    if let Ok(index) = usize::try_from(number)
        && signal_watchers::tell_all(index)
    {
        // Whoever should act on the signal does not come to it. The one that is raised is blocked until the handler is left.
        let _ = exchange(Signal::from_raw(number), Some(&disposition(libc::SIG_DFL, 0)));
        // SAFETY: async-signal-safe, without a precondition; the default action runs no code of this process.
        unsafe { libc::raise(number) };
    }
}

/// The index of `signal` in the lists, if the system has a signal of this number.
fn check(signal: Signal) -> Result<usize, SignalError> {
    let invalid = SignalError::Invalid(signal.as_raw());
    match usize::try_from(signal.as_raw()) {
        Ok(number) if (1..SIGNALS_MAX).contains(&number) => match exchange(signal, None) {
            Ok(_) => Ok(number),
            Err(_) => Err(invalid),
        },
        _ => Err(invalid),
    }
}

/// Sets the action of `signal`, if one is given, and gives back the one that was in force.
fn exchange(signal: Signal, action: Option<&libc::sigaction>) -> Result<libc::sigaction, SignalError> {
    let mut previous = MaybeUninit::uninit();
    let action = action.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `action` is null or an action whose handler is async-signal-safe: `SIG_DFL`, `on_signal`, or one that this
    // function has given back; `previous` is a place for the answer.
    let outcome = unsafe { libc::sigaction(signal.as_raw(), action, previous.as_mut_ptr()) };
    if outcome != 0 {
        return Err(SignalError::Os { signal, source: io::Error::last_os_error() });
    }
    // SAFETY: written by the call, which has succeeded.
    Ok(unsafe { previous.assume_init() })
}

/// An action that blocks no further signal while it runs.
fn disposition(handler: libc::sighandler_t, flags: c_int) -> libc::sigaction {
    // SAFETY: all its fields are numbers, sets, and pointers that may be null.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    action.sa_mask = empty();
    action
}

fn empty() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `set` is a place for a set. Cannot fail.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: written by the call.
    unsafe { set.assume_init() }
}

fn only(signal: Signal) -> libc::sigset_t {
    let mut set = empty();
    // SAFETY: `set` is a set. Fails only for numbers that `check` has refused.
    unsafe { libc::sigaddset(&raw mut set, signal.as_raw()) };
    set
}

/// No handler may be installed for the first two; the others say that this very instruction has failed, and returning from
/// a handler that only takes a note would repeat it for ever.
const REFUSED: [Signal; 6] = [Signal::KILL, Signal::STOP, Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE];

static REGISTRY: Mutex<Registry> = Mutex::new(Registry { watched: BTreeMap::new(), retired: Retired::new() });

/// The numbers of the signals here.
pub(crate) mod numbers {
    pub(crate) use libc::{
        SIGABRT, SIGALRM, SIGBUS, SIGCHLD, SIGCONT, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGIO, SIGKILL, SIGPIPE, SIGPROF,
        SIGQUIT, SIGSEGV, SIGSTOP, SIGSYS, SIGTERM, SIGTRAP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGUSR1, SIGUSR2,
        SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
    };
}
