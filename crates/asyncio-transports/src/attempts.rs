//! Several addresses, one connection: in order, or staggered as RFC 8305 ("happy eyeballs") has it.
//!
//! Attempt k+1 starts when attempt k has failed, or after the delay, whichever is first; the first success ends the others.
//!
//! Invariant: when this is back, or dropped, no attempt is left but the one that has won.

use crate::connecting::connect;
use asyncio_driver::{ConnectOptions, StreamEndpoint};
use asyncio_loop::{Delay, EventLoop};
use asyncio_tasks::sleep;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

type Pending<T> = Pin<Box<dyn Future<Output = T>>>;
type Attempted = (SocketAddr, io::Result<Box<dyn StreamEndpoint>>);

/// Connects to the first of `remotes` that can be connected to.
///
/// # Errors
///
/// [`ConnectError`] with what each attempt has failed with.
pub(crate) async fn connect_to_any(
    event_loop: &EventLoop,
    remotes: Vec<SocketAddr>,
    locals: &[SocketAddr],
    delay: Option<Delay>,
) -> Result<(Box<dyn StreamEndpoint>, SocketAddr), ConnectError> {
    let waiting = remotes.into_iter().map(|remote| attempt(event_loop.clone(), remote, locals.to_vec())).collect();
    let mut race = Race { waiting, delay, running: Vec::new(), timer: None, errors: Vec::new() };
    let winner = poll_fn(|cx| race.poll(cx)).await;
    winner.ok_or(ConnectError { attempts: race.errors })
}

struct Race {
    waiting: VecDeque<Pending<Attempted>>,
    running: Vec<Pending<Attempted>>,
    delay: Option<Delay>,
    timer: Option<Pending<()>>,
    errors: Vec<(SocketAddr, io::Error)>,
}

impl Race {
    /// `None` if all have failed.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Box<dyn StreamEndpoint>, SocketAddr)>> {
        loop {
            let mut has_failed = false;
            let mut index = 0;
            while let Some(running) = self.running.get_mut(index) {
                match running.as_mut().poll(cx) {
                    Poll::Pending => index += 1,
                    Poll::Ready((remote, Ok(endpoint))) => return Poll::Ready(Some((endpoint, remote))),
                    Poll::Ready((remote, Err(error))) => {
                        drop(self.running.remove(index));
                        self.errors.push((remote, error));
                        has_failed = true;
                    }
                }
            }
            let is_time = self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
            if !self.running.is_empty() && !has_failed && !is_time {
                return Poll::Pending;
            }
            let Some(next) = self.waiting.pop_front() else {
                self.timer = None;
                return if self.running.is_empty() { Poll::Ready(None) } else { Poll::Pending };
            };
            self.running.push(next);
            self.timer = match self.delay {
                Some(delay) if !self.waiting.is_empty() => Some(Box::pin(sleep(delay))),
                _ => None,
            };
        }
    }
}

/// Connects to `remote`, from the first of `locals` that can be bound.
fn attempt(event_loop: EventLoop, remote: SocketAddr, locals: Vec<SocketAddr>) -> Pending<Attempted> {
    Box::pin(async move {
        let outcome = connect_from(&event_loop, remote, &locals).await;
        (remote, outcome)
    })
}

async fn connect_from(
    event_loop: &EventLoop,
    remote: SocketAddr,
    locals: &[SocketAddr],
) -> io::Result<Box<dyn StreamEndpoint>> {
    let mut options = ConnectOptions::default();
    if locals.is_empty() {
        return connect(event_loop, &remote.into(), &options).await;
    }
    let family = if remote.is_ipv4() { "an IPv4" } else { "an IPv6" };
    let none = format!("no local address with which {family} address could be reached");
    let mut failure = io::Error::new(io::ErrorKind::AddrNotAvailable, none);
    for local in locals.iter().filter(|local| local.is_ipv4() == remote.is_ipv4()) {
        options.local = Some((*local).into());
        match connect(event_loop, &remote.into(), &options).await {
            Err(error) if is_about_local(&error) => {
                let message = format!("error while attempting to bind on address {local}: {error}");
                failure = io::Error::new(error.kind(), message);
            }
            outcome => return outcome,
        }
    }
    Err(failure)
}

fn is_about_local(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

/// Reorders addresses so that families alternate, after the first `first` of the first family, as RFC 8305 has it.
pub(crate) fn interleave(addresses: Vec<SocketAddr>, first: usize) -> Vec<SocketAddr> {
    let Some(leader) = addresses.first().map(SocketAddr::is_ipv4) else { return addresses };
    let (mut leading, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv4() == leader);
    let mut ordered: Vec<_> = leading.drain(..first.saturating_sub(1).min(leading.len())).collect();
    loop {
        let pair = [leading.pop_front(), other.pop_front()];
        if pair == [None, None] {
            return ordered;
        }
        ordered.extend(pair.into_iter().flatten());
    }
}

/// No connection was made: what each attempt has failed with, in the order of the failures.
///
/// Displayed as the one error if all say the same, or else as all of them.
///
/// # asyncio
///
/// The `OSError("Multiple exceptions: …")` of `create_connection`, and the `ExceptionGroup` that `all_errors=True` gives.
#[derive(Debug)]
pub struct ConnectError {
    attempts: Vec<(SocketAddr, io::Error)>,
}

impl ConnectError {
    /// Each address that was tried, and why it was not reached.
    #[must_use]
    pub fn attempts(&self) -> &[(SocketAddr, io::Error)] {
        &self.attempts
    }

    /// As an error of its kind: that of all attempts if they agree.
    pub(crate) fn into_io(self) -> io::Error {
        let kinds = |kind| self.attempts.iter().all(|(_, error)| error.kind() == kind);
        match self.attempts.first().map(|(_, error)| error.kind()) {
            Some(kind) if kinds(kind) => io::Error::new(kind, self),
            _ => io::Error::other(self),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.attempts[..] {
            [] => f.write_str("no address to connect to"),
            [(remote, error)] => write!(f, "connect to {remote} failed: {error}"),
            many => {
                f.write_str("connecting failed: ")?;
                for (index, (remote, error)) in many.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}[{remote}] {error}")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConnectError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(names: &[&str]) -> Vec<SocketAddr> {
        names.iter().map(|name| SocketAddr::new(name.parse().unwrap(), 80)).collect()
    }

    #[test]
    fn families_alternate() {
        // sem. 223
        let given = addresses(&["10.0.0.1", "10.0.0.2", "::2", "10.0.0.3", "::3"]);
        assert_eq!(interleave(given.clone(), 1), addresses(&["10.0.0.1", "::2", "10.0.0.2", "::3", "10.0.0.3"]));
        assert_eq!(interleave(given, 2), addresses(&["10.0.0.1", "10.0.0.2", "::2", "10.0.0.3", "::3"]));
        assert_eq!(interleave(addresses(&["::1", "1.1.1.1", "::2"]), 9), addresses(&["::1", "::2", "1.1.1.1"]));
        assert_eq!(interleave(Vec::new(), 1), []);
    }
}
