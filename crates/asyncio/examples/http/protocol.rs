//! A small HTTP/1.1 server as a protocol: `GET` and `HEAD` of `/`, and `POST`, which gives the body back. Requests may be cut
//! anywhere and come one after the other on one connection.

use asyncio::{Protocol, Transport};

/// One connection.
#[derive(Debug, Default)]
pub(crate) struct Http {
    transport: Option<Transport>,
    /// What has arrived and was not answered yet.
    received: Vec<u8>,
}

/// The head of a request.
struct Head<'a> {
    method: &'a str,
    path: &'a str,
    body_bytes: usize,
    closes: bool,
}

/// Longer heads are refused.
const HEAD_MAX: usize = 16 * 1024;
/// Longer bodies are refused.
const BODY_MAX: usize = 64 * 1024 * 1024;

impl<'a> Head<'a> {
    /// `None` if it makes no sense.
    fn parse(head: &'a [u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let mut request = lines.next()?.split(' ');
        let (method, path, version) = (request.next()?, request.next()?, request.next()?);
        if request.next().is_some() || !version.starts_with("HTTP/1.") {
            return None;
        }
        let mut parsed = Head { method, path, body_bytes: 0, closes: version == "HTTP/1.0" };
        for line in lines {
            let (name, value) = line.split_once(':')?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => parsed.body_bytes = value.trim().parse().ok().filter(|bytes| *bytes <= BODY_MAX)?,
                "connection" => parsed.closes = value.trim().eq_ignore_ascii_case("close"),
                // Not needed here, and not to be misunderstood.
                "transfer-encoding" => return None,
                _ => {}
            }
        }
        Some(parsed)
    }
}

impl Http {
    /// Answers the first request, if it is complete; gives its length.
    fn answer(&self, transport: &Transport) -> Option<usize> {
        let refuse = || {
            transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            transport.close();
        };
        let Some(end) = self.received.windows(4).take(HEAD_MAX).position(|bytes| bytes == b"\r\n\r\n") else {
            if self.received.len() >= HEAD_MAX {
                refuse();
            }
            return None;
        };
        let Some(head) = Head::parse(&self.received[..end]) else {
            refuse();
            return None;
        };
        let body = self.received[end + 4..].get(..head.body_bytes)?;
        let (status, answer): (_, &[u8]) = match (head.method, head.path) {
            ("GET" | "HEAD", "/") => ("200 OK", b"Hello from a protocol.\n"),
            ("POST", _) => ("200 OK", body),
            _ => ("404 Not Found", b""),
        };
        // Two writes, one system call.
        transport.write(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len()).as_bytes());
        if head.method != "HEAD" {
            transport.write(answer);
        }
        if head.closes {
            transport.close();
        }
        Some(end + 4 + head.body_bytes)
    }
}

impl Protocol for Http {
    fn connection_made(&mut self, transport: &Transport) {
        self.transport = Some(transport.clone());
    }

    fn data_received(&mut self, data: &[u8]) {
        let Some(transport) = self.transport.clone() else { return };
        self.received.extend_from_slice(data);
        while !self.received.is_empty() && !transport.is_closing() {
            match self.answer(&transport) {
                Some(bytes) => drop(self.received.drain(..bytes)),
                None => break,
            }
        }
    }
}
