//! `LoopSubprocessExt`: the methods of a loop that start children.

use crate::create::{CreateSubprocess, Start};
use crate::protocol::SubprocessProtocol;
use crate::with_protocol::WithProtocol;
use asyncio_loop::EventLoop;
use std::ffi::OsStr;

mod sealed {
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Sealed {}
    impl Sealed for asyncio_loop::EventLoop {}
}

/// What floor 6 adds to [`EventLoop`]. Sealed: only `EventLoop` has it.
pub trait LoopSubprocessExt: sealed::Sealed {
    /// Starts `program` with `args`, for a protocol. Await it: when it is back, the pipes are connected and `connection_made`
    /// has been called. All three standard streams are pipes, unless [`CreateSubprocess`] is told otherwise.
    ///
    /// # Errors
    ///
    /// What the system says to the start: `NotFound`, `PermissionDenied`; the message names the program.
    ///
    /// # asyncio
    ///
    /// [`loop.subprocess_exec`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.subprocess_exec). Same; the
    /// options that make Python's `Popen` decode text do not exist here.
    fn subprocess_exec<'a, P: SubprocessProtocol, A: AsRef<OsStr>>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> CreateSubprocess<WithProtocol<'a, P>>;

    /// Runs `command` by the shell (`/bin/sh -c`); otherwise as [`subprocess_exec`](Self::subprocess_exec). Quoting is for the
    /// caller: whatever comes from outside belongs into an argument of `subprocess_exec`, or into a variable of the
    /// environment.
    ///
    /// # Errors
    ///
    /// As [`subprocess_exec`](Self::subprocess_exec), of the shell; a command that the shell does not find is exit status 127.
    ///
    /// # asyncio
    ///
    /// [`loop.subprocess_shell`](https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.subprocess_shell). Same.
    fn subprocess_shell<'a, P: SubprocessProtocol>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        command: impl AsRef<OsStr>,
    ) -> CreateSubprocess<WithProtocol<'a, P>>;
}

impl LoopSubprocessExt for EventLoop {
    fn subprocess_exec<'a, P: SubprocessProtocol, A: AsRef<OsStr>>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> CreateSubprocess<WithProtocol<'a, P>> {
        CreateSubprocess::with_protocol(self, factory, Start::exec(program, args))
    }

    fn subprocess_shell<'a, P: SubprocessProtocol>(
        &self,
        factory: impl FnOnce() -> P + 'a,
        command: impl AsRef<OsStr>,
    ) -> CreateSubprocess<WithProtocol<'a, P>> {
        CreateSubprocess::with_protocol(self, factory, Start::shell(command))
    }
}
