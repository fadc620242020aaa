//! `Resolver`: who looks names up. The system does by default, on threads of its own, so that a name server that does not
//! answer keeps no other job waiting.

use crate::addr_info::{AddrInfo, AddrInfoQuery, AddressFamily, IntoPort, SocketKind};
use crate::executor::{Executor, ExecutorShutDown};
use crate::loop_executor::{LoopExecutor, submit};
use asyncio_loop::{EventLoop, ExceptionContext, get_running_loop};
use asyncio_tasks::CancelledError;
use dns_lookup::{AddrInfoHints, LookupError};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;

/// A look-up that is under way.
pub type Lookup<T> = Pin<Box<dyn Future<Output = Result<T, ResolveError>>>>;

/// Looks names up. Install one by [`set_resolver`](crate::LoopExecutorExt::set_resolver).
///
/// It is not asked for addresses in digits with a port that is a number.
///
/// # asyncio
///
/// None: overriding `getaddrinfo` in a subclass of the loop.
pub trait Resolver {
    /// Looks addresses up. Never gives an empty list.
    fn getaddrinfo(&self, query: AddrInfoQuery) -> Lookup<Vec<AddrInfo>>;

    /// Looks up the names of an address's host and service; `flags` are the system's `NI_…`.
    fn getnameinfo(&self, address: SocketAddr, flags: i32) -> Lookup<(String, String)>;
}

/// A name was not resolved.
///
/// # asyncio
///
/// [`socket.gaierror`](https://docs.python.org/3/library/socket.html#socket.gaierror).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The resolver says why.
    #[error("the name was not resolved")]
    Failed {
        /// The system's `EAI_…`, if it was the system.
        code: Option<i32>,
        /// In words.
        #[source]
        source: io::Error,
    },
    /// The loop was closed, or its default executor shut down.
    #[error(transparent)]
    ShutDown(#[from] ExecutorShutDown),
    /// The look-up was dropped by its executor.
    #[error(transparent)]
    Cancelled(#[from] CancelledError),
}

impl From<LookupError> for ResolveError {
    fn from(error: LookupError) -> Self {
        let code = Some(error.error_num()).filter(|code| *code != 0);
        Self::Failed { code, source: error.into() }
    }
}

impl From<ResolveError> for io::Error {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Failed { source, .. } => source,
            ResolveError::ShutDown(error) => error.into(),
            ResolveError::Cancelled(error) => error.into(),
        }
    }
}

/// A look-up of addresses, with asyncio's parameters; what [`getaddrinfo`](crate::LoopExecutorExt::getaddrinfo) makes. Await
/// it.
///
/// # Cancel safety
///
/// Dropping it gives the look-up up; the thread that waits for the name server goes on to wait.
#[derive(Debug)]
#[must_use = "nothing is looked up unless it is awaited"]
pub struct GetAddrInfo {
    event_loop: EventLoop,
    query: AddrInfoQuery,
}

impl GetAddrInfo {
    pub(crate) fn new(event_loop: &EventLoop, host: Option<&str>, port: impl IntoPort) -> Self {
        let host = host.map(str::to_owned);
        let query = AddrInfoQuery { host, port: port.into_port(), ..AddrInfoQuery::default() };
        Self { event_loop: event_loop.clone(), query }
    }

    /// Which addresses are wanted. Default: any.
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.query.family = family;
        self
    }

    /// For which kind of socket; asyncio's `type`. Default: any.
    pub fn kind(mut self, kind: SocketKind) -> Self {
        self.query.kind = kind;
        self
    }

    /// For which protocol, by the system's number. Default: any.
    pub fn proto(mut self, proto: i32) -> Self {
        self.query.proto = proto;
        self
    }

    /// The system's `AI_…`. Default: none.
    pub fn flags(mut self, flags: i32) -> Self {
        self.query.flags = flags;
        self
    }

    /// The answer, if there is nothing to look up: the host is an address in digits, and the port a number.
    #[must_use]
    pub fn numeric(&self) -> Option<Vec<AddrInfo>> {
        self.query.numeric()
    }
}

impl IntoFuture for GetAddrInfo {
    type Output = Result<Vec<AddrInfo>, ResolveError>;
    type IntoFuture = Lookup<Vec<AddrInfo>>;

    fn into_future(self) -> Self::IntoFuture {
        if let Some(answer) = self.numeric() {
            return Box::pin(std::future::ready(Ok(answer)));
        }
        Box::pin(async move {
            let Self { event_loop, query } = self;
            let resolver = LoopExecutor::resolver_of(&event_loop)?;
            if !event_loop.get_debug() {
                return resolver.getaddrinfo(query).await;
            }
            let (begin, asked) = (event_loop.time(), format!("{query:?}"));
            let outcome = resolver.getaddrinfo(query).await;
            let took = event_loop.time() - begin;
            if took >= event_loop.slow_callback_duration().as_secs_f64() {
                let report = ExceptionContext::new(format!("getaddrinfo took {took:.3} seconds"));
                event_loop.call_exception_handler(report.with("query", asked));
            }
            outcome
        })
    }
}

/// The system's resolver, which blocks, on the threads of an executor.
pub struct SystemResolver {
    executor: Rc<dyn Executor>,
}

impl SystemResolver {
    /// On the threads of `executor`.
    #[must_use]
    pub fn new(executor: impl Executor + 'static) -> Self {
        Self::on(Rc::new(executor))
    }

    pub(crate) const fn on(executor: Rc<dyn Executor>) -> Self {
        Self { executor }
    }

    fn run<T: Send + 'static>(
        &self,
        lookup: impl FnOnce() -> Result<T, ResolveError> + Send + 'static,
        location: &'static Location<'static>,
    ) -> Lookup<T> {
        let executor = self.executor.clone();
        Box::pin(async move { submit(&get_running_loop(), &*executor, lookup, None, location)?.await? })
    }
}

impl Resolver for SystemResolver {
    fn getaddrinfo(&self, query: AddrInfoQuery) -> Lookup<Vec<AddrInfo>> {
        self.run(move || getaddrinfo(&query), Location::caller())
    }

    fn getnameinfo(&self, address: SocketAddr, flags: i32) -> Lookup<(String, String)> {
        self.run(move || Ok(dns_lookup::getnameinfo(&address, flags)?), Location::caller())
    }
}

impl fmt::Debug for SystemResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemResolver").finish_non_exhaustive()
    }
}

/// Asks the system, and blocks.
fn getaddrinfo(query: &AddrInfoQuery) -> Result<Vec<AddrInfo>, ResolveError> {
    let hints = AddrInfoHints {
        flags: query.flags,
        address: query.family.number(),
        socktype: query.kind.number(),
        protocol: query.proto,
    };
    let answers = dns_lookup::getaddrinfo(query.host.as_deref(), query.port.as_deref(), Some(hints))?;
    let answers = answers.map(|answer| {
        answer.map(|answer| {
            let kind = SocketKind::of_number(answer.socktype);
            AddrInfo { canonname: answer.canonname, ..AddrInfo::new(answer.sockaddr, kind, answer.protocol) }
        })
    });
    answers.collect::<io::Result<_>>().map_err(|source| ResolveError::Failed { code: None, source })
}
