//! Counting forks, so that what belongs to the parent's threads is recognised in a child.

#![expect(unsafe_code, reason = "pthread_atfork(3) has no safe binding")]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many forks lie between this process and the one that called this function first: a number that grows by one in
/// each child.
///
/// A thread-local or a static that remembers this number can tell that it was made by a parent process, whose loop,
/// descriptors and other threads are not here. Only `fork` counts; a process that begins with `exec` starts at 0.
///
/// Costs a load; the first call also asks the C library to be told of forks.
///
/// # Panics
///
/// If the system has no memory left for that.
#[must_use]
pub fn fork_generation() -> u32 {
    static TOLD_OF_FORKS: Once = Once::new();
    TOLD_OF_FORKS.call_once(|| {
        // SAFETY: the handler is a static function that only does what an async-signal-safe function may do.
        let error = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        assert_eq!(error, 0, "no memory to be told of forks");
    });
    // Relaxed: written only before the child has a second thread, and starting a thread orders it.
    GENERATION.load(Ordering::Relaxed)
}

extern "C" fn in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    super::signal_watchers::forget_other_threads();
}

static GENERATION: AtomicU32 = AtomicU32::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_one_generation_further() {
        let ours = fork_generation();
        // SAFETY: the child calls nothing but `fork_generation`, which only loads here, and `_exit`.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let status = i32::from(fork_generation() != ours + 1);
            // SAFETY: has no precondition.
            unsafe { libc::_exit(status) };
        }
        let mut status = -1;
        // SAFETY: `status` is a place for the answer.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!((waited, status), (child, 0));
        assert_eq!(fork_generation(), ours, "the parent stays what it is");
    }
}
