//! Pipes that exist already, on Windows: handles.

use std::fs::File;
use std::os::windows::io::OwnedHandle;

/// One end of a pipe, for a driver to take over; see [`Driver::adopt_pipe`](crate::Driver::adopt_pipe). No driver here can wait
/// for pipes on Windows.
#[derive(Debug)]
pub struct OsPipe(OwnedHandle);

impl From<OwnedHandle> for OsPipe {
    fn from(handle: OwnedHandle) -> Self {
        Self(handle)
    }
}

impl From<File> for OsPipe {
    fn from(file: File) -> Self {
        Self(file.into())
    }
}
