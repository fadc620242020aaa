//! Endpoints of pipes on Windows: none, for a pipe there has no readiness to wait for.

use crate::{OsPipe, PipeEnd, StreamEndpoint};
use std::io;

pub(super) fn adopt(pipe: OsPipe, _: PipeEnd) -> io::Result<Box<dyn StreamEndpoint>> {
    drop(pipe);
    Err(io::Error::new(io::ErrorKind::Unsupported, "this driver cannot wait for pipes on Windows"))
}
