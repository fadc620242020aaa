//! What stands in place of TLS where the feature `tls` is off: nothing can be asked for, so nothing is there.
//!
//! Absent on purpose: everything. The types have no value, or one without content.

use crate::connection::Connection;
use crate::extra_info::ExtraInfo;
use crate::flow_control::WriteLimits;
use crate::server::ServerClient;
use crate::ssl_object::SslObject;
use asyncio_driver::StreamEndpoint;
use asyncio_loop::EventLoop;
use std::io;
use std::rc::Rc;

/// Nothing was asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ssl(());

/// There are none.
#[derive(Clone, Debug)]
pub(crate) enum Terms {}

/// There is none.
#[derive(Debug)]
pub(crate) enum Layer {}

/// An endpoint, and the layer that it is.
type Secured = (Box<dyn StreamEndpoint>, Rc<Layer>);

impl Ssl {
    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with TLS")]
    pub(crate) fn for_client(self, _host: Option<String>) -> io::Result<Option<Terms>> {
        Ok(None)
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with TLS")]
    pub(crate) fn for_server(self) -> io::Result<Option<Terms>> {
        Ok(None)
    }

    #[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with TLS")]
    pub(crate) fn for_either(self) -> io::Result<Option<Terms>> {
        Ok(None)
    }
}

impl Terms {
    pub(crate) async fn secure(self, _: &EventLoop, _: Box<dyn StreamEndpoint>) -> io::Result<Secured> {
        match self {}
    }

    pub(crate) fn secure_accepted(
        &self,
        _: &EventLoop,
        _: Box<dyn StreamEndpoint>,
        _: ServerClient,
        _: impl FnOnce(io::Result<(Secured, ServerClient)>) + 'static,
    ) {
        match *self {}
    }
}

impl Layer {
    pub(crate) fn part(self: &Rc<Self>, _: &Rc<Connection>) {
        match **self {}
    }

    pub(crate) fn abandon(&self) {
        match *self {}
    }

    pub(crate) fn limits(&self) -> WriteLimits {
        match *self {}
    }

    pub(crate) fn ssl_object(&self) -> Option<SslObject> {
        match *self {}
    }

    pub(crate) fn extra_info(&self, _: &str) -> Option<ExtraInfo> {
        match *self {}
    }
}

pub(crate) fn abort_handshakes(_: &EventLoop, _: impl Fn(&ServerClient) -> bool) -> usize {
    0
}

pub(crate) fn connections(_: &EventLoop) -> Vec<Rc<Connection>> {
    Vec::new()
}
