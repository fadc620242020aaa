//! `Session`: TLS as a state machine of bytes, without input and output, clock and callbacks.
//!
//! Ciphertext that has arrived is put into `room`; `read` decrypts it where it lies and gives plaintext; `write` and
//! `close_notify` make ciphertext of plaintext, in `outgoing`. All else (handshake, tickets, new keys, alerts) goes on inside.
//!
//! Invariants:
//! 1. Whatever has to be sent is in `outgoing`, in order; what was put there before the session began goes first, in the clear.
//! 2. Plaintext that had no room waits in `left`, and never for more than what was in `incoming` at one time.
//! 3. An error is final: it is told after the plaintext that came before it, each time it is asked again.
//!
//! Absent on purpose: when to read and to write. That is the endpoint's affair.

use super::buffer::Buffer;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{CommonState, Error};
use std::fmt;

/// One side of a TLS connection.
pub(super) struct Session {
    side: Side,
    incoming: Buffer,
    outgoing: Buffer,
    /// Plaintext for which there was no room.
    left: Buffer,
    failure: Option<Error>,
    is_peer_closed: bool,
    is_closed: bool,
}

enum Side {
    Client(Box<UnbufferedClientConnection>),
    Server(Box<UnbufferedServerConnection>),
}

/// What is wanted of a session beside its own affairs.
enum Wish<'a> {
    /// Plaintext, at the front of this, so many bytes of which are there already.
    Read(&'a mut [u8], usize),
    Write(&'a [u8]),
    Close,
}

/// How far one step has come.
#[derive(PartialEq, Eq)]
enum Progress {
    /// There may be more to do at once.
    More,
    /// More has to arrive.
    Blocked,
    /// What was to be written, is.
    Written,
    PeerClosed,
}

impl Session {
    pub(super) fn client(connection: UnbufferedClientConnection) -> Self {
        Self::new(Side::Client(Box::new(connection)))
    }

    pub(super) fn server(connection: UnbufferedServerConnection) -> Self {
        Self::new(Side::Server(Box::new(connection)))
    }

    fn new(side: Side) -> Self {
        let (incoming, outgoing, left) = Default::default();
        Self { side, incoming, outgoing, left, failure: None, is_peer_closed: false, is_closed: false }
    }

    /// What was agreed on.
    pub(super) fn common(&self) -> &CommonState {
        match &self.side {
            Side::Client(client) => client,
            Side::Server(server) => server,
        }
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.common().is_handshaking()
    }

    /// The peer has said that it is done.
    pub(super) const fn is_peer_closed(&self) -> bool {
        self.is_peer_closed
    }

    /// Whether `read` has something to say without that more arrives.
    pub(super) const fn has_news(&self) -> bool {
        !self.left.is_empty() || self.is_peer_closed || self.failure.is_some()
    }

    /// Where ciphertext is to be put. Grows only for a message of several records, which `rustls` bounds.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let least = if self.incoming.is_empty() { ROOM_BYTES } else { ROOM_BYTES / 4 };
        self.incoming.room(least)
    }

    /// So many bytes were put there.
    pub(super) fn arrived(&mut self, count: usize) {
        self.incoming.fill(count);
    }

    /// Has arrived before the session began.
    pub(super) fn push_arrived(&mut self, bytes: &[u8]) {
        self.incoming.push(bytes);
    }

    /// Is to be sent in the clear, before anything else.
    pub(super) fn push_clear(&mut self, bytes: &[u8]) {
        self.outgoing.push(bytes);
    }

    /// What is to be sent.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.outgoing.bytes()
    }

    /// So many bytes of it were sent.
    pub(super) fn sent(&mut self, count: usize) {
        self.outgoing.consume(count);
    }

    /// Gives back what memory is not in use.
    pub(super) fn trim(&mut self) {
        self.incoming.trim();
        self.outgoing.trim();
        self.left.trim();
    }

    /// Goes as far as what has arrived allows, and puts plaintext at the front of `out`: so many bytes. With `out` full, what
    /// comes of at least one record may be left for the next time.
    ///
    /// # Errors
    ///
    /// What was wrong with what has arrived, once there is no plaintext any more that came before. An alert for the peer is in
    /// `outgoing`.
    pub(super) fn read(&mut self, out: &mut [u8]) -> Result<usize, Error> {
        let filled = self.left.take(out);
        let mut wish = Wish::Read(out, filled);
        while self.failure.is_none() && self.left.is_empty() {
            match self.step(&mut wish) {
                Ok(Progress::Blocked) => break,
                Ok(_) => {}
                Err(error) => self.fail(error),
            }
        }
        match (&self.failure, wish) {
            (Some(error), Wish::Read(_, 0)) if self.left.is_empty() => Err(error.clone()),
            (_, Wish::Read(_, filled)) => Ok(filled),
            _ => Ok(0),
        }
    }

    /// Goes on, and forgets what plaintext comes.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        loop {
            self.read(&mut [])?;
            if self.left.is_empty() {
                return Ok(());
            }
            self.left.consume(self.left.len());
        }
    }

    /// Encrypts.
    ///
    /// # Errors
    ///
    /// The session has failed, or its keys are used up. The handshake has to be done before.
    pub(super) fn write(&mut self, plaintext: &[u8]) -> Result<(), Error> {
        self.fulfil(&mut Wish::Write(plaintext))
    }

    /// Says to the peer that nothing more will come. A second call does nothing.
    pub(super) fn close_notify(&mut self) -> Result<(), Error> {
        if self.is_closed {
            return Ok(());
        }
        self.is_closed = true;
        self.fulfil(&mut Wish::Close)
    }

    fn fulfil(&mut self, wish: &mut Wish<'_>) -> Result<(), Error> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        loop {
            match self.step(wish) {
                Ok(Progress::Written) => return Ok(()),
                Ok(Progress::Blocked) => return Err(Error::HandshakeNotComplete),
                Ok(_) => {}
                Err(error) => {
                    self.fail(error.clone());
                    return Err(error);
                }
            }
        }
    }

    fn step(&mut self, wish: &mut Wish<'_>) -> Result<Progress, Error> {
        let incoming = self.incoming.bytes_mut();
        let (discard, outcome) = match &mut self.side {
            Side::Client(client) => {
                handle(client.process_tls_records(incoming), wish, &mut self.left, &mut self.outgoing)
            }
            Side::Server(server) => {
                handle(server.process_tls_records(incoming), wish, &mut self.left, &mut self.outgoing)
            }
        };
        self.incoming.consume(discard);
        if matches!(outcome, Ok(Progress::PeerClosed)) {
            self.is_peer_closed = true;
        }
        outcome
    }

    /// The session has failed: takes the alert for the peer out of it. What has arrived must not be looked at any more, and is
    /// not: what is to be sent comes first.
    fn fail(&mut self, error: Error) {
        self.failure = Some(error);
        while self.common().wants_write() {
            if self.step(&mut Wish::Read(&mut [], 0)).is_err() {
                return;
            }
        }
    }
}

/// Does what the state of the connection asks for; gives how many bytes of what has arrived are done with.
fn handle<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    wish: &mut Wish<'_>,
    left: &mut Buffer,
    outgoing: &mut Buffer,
) -> (usize, Result<Progress, Error>) {
    let UnbufferedStatus { mut discard, state } = status;
    let progress = match state {
        Err(error) => Err(error),
        Ok(ConnectionState::ReadTraffic(mut records)) => loop {
            match records.next_record() {
                None => break Ok(Progress::More),
                Some(Err(error)) => break Err(error),
                Some(Ok(record)) => {
                    discard += record.discard;
                    keep(record.payload, wish, left);
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => encode(outgoing, |room| data.encode(room)),
        Ok(ConnectionState::TransmitTlsData(transmit)) => {
            // It is in `outgoing`, from where everything leaves in order.
            transmit.done();
            Ok(Progress::More)
        }
        Ok(ConnectionState::WriteTraffic(traffic)) => fulfil(traffic, wish, outgoing),
        Ok(ConnectionState::PeerClosed) => Ok(Progress::PeerClosed),
        Ok(ConnectionState::Closed) if matches!(wish, Wish::Close) => Ok(Progress::Written),
        Ok(_) => Ok(Progress::Blocked),
    };
    (discard, progress)
}

/// Puts plaintext where it is wanted, and the rest, or all of it if it is not, aside.
fn keep(payload: &[u8], wish: &mut Wish<'_>, left: &mut Buffer) {
    let mut rest = payload;
    if let (Wish::Read(out, filled), true) = (wish, left.is_empty()) {
        let (front, back) = payload.split_at(payload.len().min(out.len() - *filled));
        out[*filled..*filled + front.len()].copy_from_slice(front);
        *filled += front.len();
        rest = back;
    }
    left.push(rest);
}

fn encode(
    outgoing: &mut Buffer,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> Result<Progress, Error> {
    let mut wanted = ROOM_BYTES / 16;
    loop {
        match encode(outgoing.room(wanted)) {
            Ok(count) => {
                outgoing.fill(count);
                return Ok(Progress::More);
            }
            Err(EncodeError::InsufficientSize(error)) => wanted = error.required_size,
            Err(EncodeError::AlreadyEncoded) => return Ok(Progress::More),
        }
    }
}

fn fulfil<Data>(
    mut traffic: WriteTraffic<'_, Data>,
    wish: &Wish<'_>,
    outgoing: &mut Buffer,
) -> Result<Progress, Error> {
    let mut wanted = match wish {
        Wish::Read(..) => return Ok(Progress::Blocked),
        Wish::Write(plaintext) => plaintext.len() + (plaintext.len() / RECORD_BYTES + 1) * RECORD_OVERHEAD_BYTES,
        Wish::Close => RECORD_OVERHEAD_BYTES,
    };
    loop {
        let room = outgoing.room(wanted);
        let outcome = match wish {
            Wish::Write(plaintext) => traffic.encrypt(plaintext, room),
            _ => traffic.queue_close_notify(room),
        };
        match outcome {
            Ok(count) => {
                outgoing.fill(count);
                return Ok(Progress::Written);
            }
            Err(EncryptError::InsufficientSize(error)) => wanted = error.required_size,
            Err(EncryptError::EncryptExhausted) => return Err(Error::EncryptError),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("is_handshaking", &self.is_handshaking())
            .field("is_peer_closed", &self.is_peer_closed)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

/// For so much ciphertext there is room: several records, so that one receive gets many.
const ROOM_BYTES: usize = 64 * 1024;
/// What a record carries at most.
const RECORD_BYTES: usize = 16 * 1024;
/// More than what any record has beside its plaintext.
const RECORD_OVERHEAD_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::context::{Side as ContextSide, SslContext};
    use super::*;
    use proptest::prelude::*;
    use rustls::pki_types::ServerName;

    /// A client and a server that trust each other, and have not talked yet.
    fn pair() -> (Session, Session) {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (own.cert.pem().into_bytes(), own.signing_key.serialize_pem().into_bytes());
        let client = SslContext::client().root_certificates(certificate.clone()).build().unwrap();
        let server = SslContext::server(certificate, key).build().unwrap();
        let (ContextSide::Client(client), ContextSide::Server(server)) = (client.0, server.0) else { unreachable!() };
        let name = ServerName::try_from("localhost").unwrap();
        (
            Session::client(UnbufferedClientConnection::new(client, name).unwrap()),
            Session::server(UnbufferedServerConnection::new(server).unwrap()),
        )
    }

    /// Takes at most `count` bytes from one session to the other, and gives what plaintext comes of it, read in pieces of
    /// `piece` bytes; says whether anything was there to be taken.
    fn carry(from: &mut Session, to: &mut Session, count: usize, piece: usize) -> (bool, Vec<u8>) {
        let _ = from.read(&mut []).unwrap();
        let bytes = from.outgoing()[..count.min(from.outgoing().len())].to_vec();
        from.sent(bytes.len());
        to.room()[..bytes.len()].copy_from_slice(&bytes);
        to.arrived(bytes.len());
        let mut plaintext = Vec::new();
        loop {
            let mut room = vec![0; piece];
            let count = to.read(&mut room).unwrap();
            plaintext.extend_from_slice(&room[..count]);
            if count < piece {
                return (!bytes.is_empty(), plaintext);
            }
        }
    }

    fn shake_hands(client: &mut Session, server: &mut Session, count: usize) {
        while client.is_handshaking() || server.is_handshaking() {
            let there = carry(client, server, count, 1).0;
            assert!(there | carry(server, client, count, 1).0, "neither has anything to say");
        }
    }

    #[test]
    fn one_byte_at_a_time_is_enough() {
        let (mut client, mut server) = pair();
        shake_hands(&mut client, &mut server, 1);
        client.write(b"byte by byte").unwrap();
        client.close_notify().unwrap();
        client.close_notify().unwrap();
        let mut received = Vec::new();
        while !server.is_peer_closed() {
            received.extend(carry(&mut client, &mut server, 1, 1).1);
        }
        assert_eq!(received, b"byte by byte");
        assert!(server.has_news() && !client.is_peer_closed());
    }

    #[test]
    fn what_is_not_tls_is_an_error_each_time_and_an_alert_for_the_peer() {
        let (_, mut server) = pair();
        let request = b"GET / HTTP/1.1\r\n\r\n";
        server.push_arrived(request);
        let error = server.read(&mut [0; 16]).unwrap_err();
        assert_eq!(server.read(&mut [0; 16]), Err(error.clone()));
        assert_eq!((server.write(b"x"), server.skip()), (Err(error.clone()), Err(error)));
        assert_eq!(server.outgoing()[0], 21, "an alert");
    }

    #[test]
    fn a_changed_byte_is_an_error_after_what_came_before() {
        let (mut client, mut server) = pair();
        shake_hands(&mut client, &mut server, usize::MAX);
        let _tickets = carry(&mut server, &mut client, usize::MAX, 64);
        client.write(b"right").unwrap();
        let mut records = client.outgoing().to_vec();
        client.sent(records.len());
        client.write(b"wrong").unwrap();
        records.extend_from_slice(client.outgoing());
        *records.last_mut().unwrap() ^= 1;
        server.push_arrived(&records);
        let mut room = [0; 64];
        assert_eq!((server.read(&mut room), &room[..5]), (Ok(5), &b"right"[..]));
        assert!(server.has_news());
        assert_eq!(server.read(&mut room), Err(Error::DecryptError));
    }

    /// Carries what is there, with the byte at `place` of all that ever went this way changed; gives the plaintext that came.
    fn carry_wild(from: &mut Session, to: &mut Session, place: &mut Option<usize>, change: u8) -> (bool, Vec<u8>) {
        let _ = from.read(&mut []);
        let mut bytes = from.outgoing().to_vec();
        from.sent(bytes.len());
        if let Some(left) = *place {
            match bytes.get_mut(left) {
                Some(byte) => {
                    *byte ^= change;
                    *place = None;
                }
                None => *place = Some(left - bytes.len()),
            }
        }
        to.push_arrived(&bytes);
        let mut room = vec![0; 5000];
        let count = to.read(&mut room).unwrap_or(0);
        room.truncate(count);
        (!bytes.is_empty(), room)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever is changed on the way, in the handshake or after it, in whichever direction: nobody panics, an error stays
        /// one, and no byte comes out that was not written.
        #[test]
        fn a_changed_byte_is_never_taken_for_another(place in 0_usize..3000, change in 1_u8.., is_back in any::<bool>()) {
            let (mut client, mut server) = pair();
            let (mut there, mut back) = if is_back { (None, Some(place)) } else { (Some(place), None) };
            let sent = [3; 300];
            let (mut received, mut is_sent) = (Vec::new(), false);
            loop {
                let (more, bytes) = carry_wild(&mut client, &mut server, &mut there, change);
                received.extend(bytes);
                let more_back = carry_wild(&mut server, &mut client, &mut back, change).0;
                if !is_sent && !client.is_handshaking() && !server.is_handshaking() {
                    is_sent = true;
                    let _ = client.write(&sent);
                    let _ = server.write(&sent);
                    // Bad input after one's own leave is asserted against in `rustls`, in debug builds; `Exchange` has that.
                    if !is_back {
                        let _ = client.close_notify();
                    }
                } else if !more && !more_back {
                    break;
                }
            }
            prop_assert!(sent.starts_with(&received));
            for session in [&mut client, &mut server] {
                if let Err(error) = session.read(&mut [0; 16]) {
                    prop_assert_eq!(session.read(&mut [0; 16]), Err(error.clone()));
                    prop_assert_eq!(session.write(b"x"), Err(error));
                }
            }
        }

        /// Noise is an error or nothing yet, for either side, however it is cut; never a panic.
        #[test]
        fn noise_is_no_peer(noise in proptest::collection::vec(any::<u8>(), 0..600), cut in 1_usize..80, kind in 20_u8..24) {
            let (mut client, mut server) = pair();
            for session in [&mut client, &mut server] {
                // As if it were a record at least.
                let mut bytes = noise.clone();
                bytes.splice(0..0, [kind, 3, 3, 0, noise.len().min(200) as u8]);
                for chunk in bytes.chunks(cut) {
                    session.push_arrived(chunk);
                    let count = session.read(&mut [0; 64]).unwrap_or(0);
                    prop_assert_eq!(count, 0);
                }
                prop_assert!(session.is_handshaking());
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// However the bytes are cut, whoever writes when, and however little room the reader has: all arrives, in order.
        #[test]
        fn every_chunking_carries_everything(
            sizes in proptest::collection::vec((1_usize..40_000, any::<bool>()), 1..6),
            cuts in proptest::collection::vec(1_usize..9000, 1..20),
            piece in 1_usize..20_000,
        ) {
            let (mut client, mut server) = pair();
            shake_hands(&mut client, &mut server, cuts[0].min(700));
            let (mut sent, mut received) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
            let mut cuts = cuts.iter().cycle();
            for (n, (size, is_client)) in sizes.into_iter().enumerate() {
                let bytes: Vec<u8> = (0..size).map(|at| (at * 31 + n) as u8).collect();
                let (writer, log) = if is_client { (&mut client, &mut sent[0]) } else { (&mut server, &mut sent[1]) };
                writer.write(&bytes).unwrap();
                log.extend_from_slice(&bytes);
                received[0].extend(carry(&mut client, &mut server, *cuts.next().unwrap(), piece).1);
                received[1].extend(carry(&mut server, &mut client, *cuts.next().unwrap(), piece).1);
            }
            loop {
                let (more, bytes) = carry(&mut client, &mut server, *cuts.next().unwrap(), piece);
                received[0].extend(bytes);
                let (more_back, bytes) = carry(&mut server, &mut client, *cuts.next().unwrap(), piece);
                received[1].extend(bytes);
                if !more && !more_back {
                    break;
                }
            }
            prop_assert!(sent == received);
        }
    }
}
