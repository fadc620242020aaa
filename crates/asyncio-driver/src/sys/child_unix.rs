//! Child processes on Unix: what the standard library does not have.
//!
//! Absent on purpose: starting a child and collecting its status, which `std::process` does, and all policy.

#![expect(unsafe_code, reason = "kill(2), and what only a child between fork and exec can do")]

use crate::Signal;
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// What a child is to do before it becomes another program, beyond what [`Command`] has. Asking for any of it makes the start
/// of the child slower: `fork` in place of `posix_spawn`.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct ChildSetup {
    /// Lead a session of its own, without a terminal (man 2 setsid).
    pub new_session: bool,
    /// Which permissions new files do not get (man 2 umask).
    pub umask: Option<u32>,
    /// Keep these descriptors open, under the numbers that they have here.
    pub pass_fds: Vec<OwnedFd>,
    /// Belong to exactly these groups beside the main one.
    pub extra_groups: Option<Vec<u32>>,
    /// Run as this user. To be given here, and not to [`Command::uid`](std::os::unix::process::CommandExt::uid), if there are
    /// `extra_groups`: they come first.
    pub user: Option<u32>,
    /// Run under this main group.
    pub group: Option<u32>,
}

impl ChildSetup {
    /// Lets every child of `command` do this. The descriptors are closed with `command`.
    pub fn apply(self, command: &mut Command) {
        let groups: Option<Vec<libc::gid_t>> = self.extra_groups;
        if groups.is_none() {
            // Then the standard library does the same, and removes the groups of root.
            self.user.map(|user| command.uid(user));
            self.group.map(|group| command.gid(group));
        }
        let ids = groups.as_ref().map(|_| (self.group, self.user));
        if !self.new_session && self.umask.is_none() && self.pass_fds.is_empty() && ids.is_none() {
            return;
        }
        let in_child = move || {
            if let Some(umask) = self.umask {
                // SAFETY: has no precondition.
                unsafe { libc::umask(umask as libc::mode_t) };
            }
            if self.new_session {
                // SAFETY: has no precondition.
                succeeded(unsafe { libc::setsid() })?;
            }
            if let Some(groups) = &groups {
                // SAFETY: the list has as many entries as are said, and lives in the memory that was copied by fork.
                succeeded(unsafe { libc::setgroups(groups.len() as _, groups.as_ptr()) })?;
            }
            if let Some((Some(group), _)) = ids {
                // SAFETY: has no precondition.
                succeeded(unsafe { libc::setgid(group) })?;
            }
            if let Some((_, Some(user))) = ids {
                // SAFETY: has no precondition.
                succeeded(unsafe { libc::setuid(user) })?;
            }
            for fd in &self.pass_fds {
                // SAFETY: the descriptor is open, for `self` owns it; the child has a table of its own.
                succeeded(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) })?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec the closure makes async-signal-safe system calls only (man 7 signal-safety; the
        // two that are not in that list, setgroups and umask, are plain system calls here too); it allocates nothing and takes
        // no lock, for the error of a call is a number.
        unsafe { command.pre_exec(in_child) };
    }
}

/// Sends `signal` to the process `pid`. Which process that is, is for the caller to know: one of its children that it has not
/// collected yet keeps its number.
///
/// # Errors
///
/// `NotFound` if there is no such process; `PermissionDenied` if it runs as somebody else.
pub fn send_signal(pid: u32, signal: Signal) -> io::Result<()> {
    let pid = process_id(pid)?;
    // SAFETY: has no precondition.
    succeeded(unsafe { libc::kill(pid, signal.as_raw()) }).map_err(gone)
}

/// Sends `signal` to all processes of the group `group_id`; otherwise as [`send_signal`].
///
/// # Errors
///
/// As [`send_signal`].
pub fn send_signal_to_group(group_id: u32, signal: Signal) -> io::Result<()> {
    let group_id = process_id(group_id)?;
    // SAFETY: has no precondition.
    succeeded(unsafe { libc::killpg(group_id, signal.as_raw()) }).map_err(gone)
}

/// Blocks this thread until the process `pid`, a child of this one, has ended. It is not collected: its status, and its number,
/// stay until somebody does.
///
/// # Errors
///
/// What the system reports: mostly that there is no such child, because somebody has collected it.
pub fn wait_for_child_blocking(pid: u32) -> io::Result<()> {
    let pid = process_id(pid)?;
    loop {
        // SAFETY: all bytes zero is a valid value of this plain structure.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let options = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: `info` is a place for the answer.
        match succeeded(unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &raw mut info, options) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}

/// Zero and negative numbers mean something else to kill(2).
fn process_id(pid: u32) -> io::Result<libc::pid_t> {
    libc::pid_t::try_from(pid).ok().filter(|pid| *pid > 1).ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{pid} is the number of no process that may be signalled"))
    })
}

/// The system's word for it has no kind.
fn gone(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(libc::ESRCH) {
        return io::Error::new(io::ErrorKind::NotFound, "there is no such process (any more)");
    }
    error
}

fn succeeded(outcome: c_int) -> io::Result<()> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
