//! What a forked child sees of its parent's loop.
#![cfg(unix)]
#![expect(unsafe_code, reason = "fork(2) has no safe binding")]

use asyncio_loop::{EventLoop, get_event_loop, set_event_loop, try_get_running_loop};
use std::cell::Cell;
use std::rc::Rc;

/// Runs `check` in a forked child, and gives its answer.
fn in_child(check: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child is a copy of this one thread and ends by `_exit`. It may allocate: the C library's allocator is
    // usable after a fork.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let status = i32::from(!check());
        // SAFETY: has no precondition.
        unsafe { libc::_exit(status) };
    }
    let mut status = -1;
    // SAFETY: `status` is a place for the answer.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!(waited, child);
    status == 0
}

// sem. 25
#[test]
fn a_forked_child_has_no_running_and_no_current_loop() {
    let event_loop = EventLoop::builder().build().unwrap();
    set_event_loop(Some(&event_loop));
    let answers = Rc::new(Cell::new(None));
    let (inner, seen) = (event_loop.clone(), answers.clone());
    event_loop.call_soon(move || {
        let child_sees_none = in_child(|| try_get_running_loop().is_err() && get_event_loop().is_err());
        let parent_sees_it = try_get_running_loop().is_ok_and(|running| running.is_same(&inner));
        seen.set(Some((child_sees_none, parent_sees_it)));
    });
    event_loop.run_until_blocked().unwrap();
    assert_eq!(answers.get(), Some((true, true)));
    assert!(get_event_loop().unwrap().is_same(&event_loop));
    set_event_loop(None);
}

// sem. 25
#[test]
fn a_forked_child_may_run_a_loop_of_its_own_inside_the_parents() {
    let event_loop = EventLoop::builder().build().unwrap();
    let answer = Rc::new(Cell::new(false));
    let seen = answer.clone();
    event_loop.call_soon(move || {
        seen.set(in_child(|| {
            let own = EventLoop::builder().build().unwrap();
            let (ran, inner) = (Rc::new(Cell::new(false)), own.clone());
            let sets = ran.clone();
            own.call_later(0.001, move || {
                sets.set(try_get_running_loop().is_ok_and(|running| running.is_same(&inner)));
                inner.stop();
            });
            own.run_forever().is_ok() && ran.get() && own.close().is_ok()
        }));
    });
    event_loop.run_until_blocked().unwrap();
    assert!(answer.get());
}
