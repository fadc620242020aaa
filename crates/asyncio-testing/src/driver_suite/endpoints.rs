//! Checks of streams, listeners and datagrams.

#![expect(clippy::missing_panics_doc, reason = "a check panics if the driver breaks the contract, and only then")]

use super::Outcome;
use super::rig::{datagram, kind, loopback, pair_through, receive, send_all, stream_pair, wait_for, wait_until};
use asyncio_driver::{
    Address, ConnectOptions, DatagramOptions, Driver, Interest, ListenOptions, Mode, MulticastGroup, Packet, Packets,
    Readiness, Token,
};
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Shutdown};

const TOKEN: Token = Token::new(3, 1);

/// What is sent, in one piece or several, arrives in order; each end knows the other's address.
pub fn bytes_arrive_in_order(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut near, mut far) = stream_pair(&mut *driver);
    assert_eq!(near.peer_addr().expect("peer"), far.local_addr().expect("local"));
    assert_eq!(far.peer_addr().expect("peer"), near.local_addr().expect("local"));
    assert_eq!(kind(near.recv(&mut [0; 8])), Some(io::ErrorKind::WouldBlock));

    let pieces = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two "), IoSlice::new(b"three")];
    assert_eq!(near.send(&pieces).expect("send"), 13);
    send_all(&mut *near, b" four");
    assert_eq!(receive(&mut *driver, &mut *far, 18), b"one two three four");
    // More pieces than a system takes at one time: some of them are sent, in order.
    let many = vec![IoSlice::new(b"x"); 3000];
    let count = near.send(&many).expect("send");
    assert!((1..=3000).contains(&count));
    assert_eq!(receive(&mut *driver, &mut *far, count), vec![b'x'; count]);
    Outcome::Kept
}

/// Receiving into nothing takes nothing.
pub fn an_empty_scratch_takes_nothing(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut near, mut far) = stream_pair(&mut *driver);
    send_all(&mut *near, b"x");
    driver.register(far.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    assert_eq!(far.recv(&mut []).expect("receive"), b"");
    assert_eq!(far.recv(&mut [0; 8]).expect("receive"), b"x");
    Outcome::Kept
}

/// After `shutdown(Write)` the peer sees the end, and what the peer sends still arrives.
pub fn a_half_closed_stream_still_receives(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut near, mut far) = stream_pair(&mut *driver);
    send_all(&mut *near, b"question");
    near.shutdown(Shutdown::Write).expect("shutdown");
    assert_eq!(receive(&mut *driver, &mut *far, 100), b"question", "all before the end, then the end");
    send_all(&mut *far, b"answer");
    drop(far);
    assert_eq!(receive(&mut *driver, &mut *near, 100), b"answer");
    assert_eq!(kind(near.send(&[IoSlice::new(b"late")])), Some(io::ErrorKind::BrokenPipe));
    Outcome::Kept
}

/// Sending to a peer that is gone fails, sooner or later, without a signal.
pub fn a_dead_peer_is_an_error(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut near, far) = stream_pair(&mut *driver);
    drop(far);
    driver.register(near.source(), TOKEN, Interest::BOTH, Mode::Level).expect("register");
    let error = loop {
        wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);
        if let Err(error) = near.send(&[IoSlice::new(b"anybody there?")]) {
            break error.kind();
        }
    };
    assert!(matches!(error, io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{error:?}");
    Outcome::Kept
}

/// A stream whose peer does not read blocks, and is reported writable once the peer has read.
pub fn a_full_stream_blocks_until_there_is_room(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut near, mut far) = stream_pair(&mut *driver);
    let mode = if driver.capabilities().edge { Mode::Edge } else { Mode::Level };
    driver.register(near.source(), TOKEN, Interest::WRITABLE, mode).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);

    let chunk = vec![7; 1 << 20];
    let mut sent = 0;
    loop {
        match near.send(&[IoSlice::new(&chunk)]) {
            Ok(count) => sent += count,
            Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    let received = receive(&mut *driver, &mut *far, sent);
    assert_eq!((received.len(), received.iter().all(|&byte| byte == 7)), (sent, true));
    // `receive` has dropped the report that it met while it waited; in edge mode, asking again renews it.
    driver.modify(near.source(), TOKEN, Interest::WRITABLE, mode).expect("modify");
    wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);
    send_all(&mut *near, b"more");
    assert_eq!(receive(&mut *driver, &mut *far, 4), b"more");
    Outcome::Kept
}

/// A connect that nobody accepts is reported writable, and `finish_connect` says why, as often as it is asked.
pub fn a_refused_connect_is_reported(mut driver: Box<dyn Driver>) -> Outcome {
    let listener = driver.listen(&loopback(), &ListenOptions::default()).expect("listen");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let refused = match driver.connect(&address, &ConnectOptions::default()) {
        Ok(mut stream) => {
            driver.register(stream.source(), TOKEN, Interest::WRITABLE, Mode::Level).expect("register");
            wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);
            let first = kind(stream.finish_connect());
            assert_eq!(kind(stream.finish_connect()), first, "asked again");
            first
        }
        Err(error) => Some(error.kind()),
    };
    assert_eq!(refused, Some(io::ErrorKind::ConnectionRefused));
    Outcome::Kept
}

/// `accept` gives connections first come, first served, and blocks when there are no more.
pub fn a_listener_hands_out_connections_in_order(mut driver: Box<dyn Driver>) -> Outcome {
    let mut listener = driver.listen(&loopback(), &ListenOptions::default()).expect("listen");
    assert_eq!(kind(listener.accept()), Some(io::ErrorKind::WouldBlock));
    let address = listener.local_addr().expect("address");
    assert!(matches!(&address, Address::Ip(address) if address.port() != 0), "the port was chosen: {address}");
    driver.register(listener.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    for _ in 0..3 {
        let client = driver.connect(&address, &ConnectOptions::default()).expect("connect");
        wait_for(&mut *driver, TOKEN, Readiness::READABLE);
        let (server, peer) = listener.accept().expect("accept");
        assert_eq!(peer, client.local_addr().expect("local"));
        assert_eq!(server.local_addr().expect("local"), address);
    }
    assert_eq!(kind(listener.accept()), Some(io::ErrorKind::WouldBlock));
    Outcome::Kept
}

/// Two listeners have two addresses, unless both agree to share one.
pub fn an_address_in_use_is_refused(mut driver: Box<dyn Driver>) -> Outcome {
    let listener = driver.listen(&loopback(), &ListenOptions::default()).expect("listen");
    let address = listener.local_addr().expect("address");
    let second = driver.listen(&address, &ListenOptions::default());
    assert_eq!(kind(second), Some(io::ErrorKind::AddrInUse));
    drop(listener);
    if cfg!(unix) {
        let mut shared = ListenOptions::default();
        shared.reuse_port = true;
        let first = driver.listen(&loopback(), &shared).expect("listen");
        let _second = driver.listen(&first.local_addr().expect("address"), &shared).expect("share the address");
    }
    Outcome::Kept
}

/// `ConnectOptions::local` is where the connection comes from.
pub fn a_stream_leaves_from_the_address_it_was_given(mut driver: Box<dyn Driver>) -> Outcome {
    let mut listener = driver.listen(&loopback(), &ListenOptions::default()).expect("listen");
    let mut options = ConnectOptions::default();
    options.local = Some(loopback());
    let client = driver.connect(&listener.local_addr().expect("address"), &options).expect("connect");
    driver.register(listener.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    let (_server, peer) = listener.accept().expect("accept");
    assert_eq!(peer, client.local_addr().expect("local"));
    Outcome::Kept
}

/// Packets keep their bounds and name their sender; a connected endpoint needs no address.
pub fn packets_arrive_whole_with_their_sender(mut driver: Box<dyn Driver>) -> Outcome {
    let mut server = datagram(&mut *driver);
    let address = server.local_addr().expect("address");
    let mut client = driver.datagram(None, Some(&address), &DatagramOptions::default()).expect("datagram");
    assert_eq!(kind(server.recv_from(&mut [0; 8])), Some(io::ErrorKind::WouldBlock));
    driver.register(server.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    for packet in [&b"one"[..], b"", b"three"] {
        assert_eq!(client.send_to(packet, None).expect("send"), packet.len());
        wait_for(&mut *driver, TOKEN, Readiness::READABLE);
        let mut scratch = [0; 64];
        let (received, sender) = server.recv_from(&mut scratch).expect("receive");
        assert_eq!((received, &sender), (packet, &client.local_addr().expect("local")));
        assert_eq!(server.send_to(packet, Some(&sender)).expect("answer"), packet.len());
    }
    driver.register(client.source(), Token::new(4, 0), Interest::READABLE, Mode::Level).expect("register");
    wait_for(&mut *driver, Token::new(4, 0), Readiness::READABLE);
    assert_eq!(client.recv_from(&mut [0; 64]).expect("receive"), (&b"one"[..], address));
    Outcome::Kept
}

/// A packet that is longer than the scratch is cut, and its rest is gone.
pub fn a_long_packet_is_cut(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut one, mut other) = (datagram(&mut *driver), datagram(&mut *driver));
    let address = other.local_addr().expect("address");
    for packet in [&b"abcdef"[..], b"next"] {
        one.send_to(packet, Some(&address)).expect("send");
    }
    driver.register(other.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    for expected in [&b"abc"[..], b"nex"] {
        wait_for(&mut *driver, TOKEN, Readiness::READABLE);
        assert_eq!(other.recv_from(&mut [0; 3]).expect("receive").0, expected);
    }
    Outcome::Kept
}

/// Several packets are sent and received in few calls, each to and from whom it is, cut to its slot; what is left comes next.
pub fn packets_travel_together(mut driver: Box<dyn Driver>) -> Outcome {
    let (mut one, mut other) = (datagram(&mut *driver), datagram(&mut *driver));
    let (from, to) = (one.local_addr().expect("address"), other.local_addr().expect("address"));
    let sent: Vec<Vec<u8>> = (0..40).map(|size| vec![size; usize::from(size)]).collect();
    let packets: Vec<_> = sent.iter().map(|bytes| Packet::new(bytes, Some(&to))).collect();
    let mut left = &packets[..];
    while !left.is_empty() {
        let count = one.send_many(left).expect("send");
        assert!((1..=left.len()).contains(&count));
        left = &left[count..];
    }
    assert_eq!(one.send_many(&[]).expect("send nothing"), 0);
    driver.register(other.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    let (mut received, mut room) = (Vec::new(), Packets::new(7, 32));
    while received.len() < sent.len() {
        wait_for(&mut *driver, TOKEN, Readiness::READABLE);
        room.clear();
        other.recv_many(&mut room).expect("receive");
        assert!((1..=7).contains(&room.len()) && room.iter().all(|(_, sender)| *sender == from));
        received.extend(room.iter().map(|(packet, _)| packet.to_vec()));
    }
    assert!(received.iter().zip(&sent).all(|(received, sent)| *received == sent[..sent.len().min(32)]));
    room.clear();
    assert_eq!(kind(other.recv_many(&mut room)), Some(io::ErrorKind::WouldBlock));
    Outcome::Kept
}

/// A packet to a multicast group arrives at whoever has joined it, as long as they have.
pub fn a_group_gets_its_packets(mut driver: Box<dyn Driver>) -> Outcome {
    let group = MulticastGroup::V4([239, 255, 77, 1].into(), Ipv4Addr::LOCALHOST);
    let anywhere = Address::Ip((Ipv4Addr::UNSPECIFIED, 0).into());
    let mut member = driver.datagram(Some(&anywhere), None, &DatagramOptions::default()).expect("datagram");
    let Address::Ip(bound) = member.local_addr().expect("address") else { panic!("an IP address") };
    let to = Address::Ip((group.address(), bound.port()).into());
    // From the interface that the group is joined on: a route elsewhere would lead away from it.
    let mut sender = datagram(&mut *driver);
    assert!(member.set_membership(&group, false).is_err(), "not joined yet");
    member.set_membership(&group, true).expect("join");
    assert_eq!(kind(member.set_membership(&group, true)), Some(io::ErrorKind::AddrInUse));
    let unicast = MulticastGroup::V4([10, 0, 0, 1].into(), Ipv4Addr::LOCALHOST);
    assert!(member.set_membership(&unicast, true).is_err(), "no group");

    driver.register(member.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    sender.send_to(b"to all", Some(&to)).expect("send");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    let mut scratch = [0; 64];
    let (packet, from) = member.recv_from(&mut scratch).expect("receive");
    assert_eq!((packet, from), (&b"to all"[..], sender.local_addr().expect("address")));
    member.set_membership(&group, false).expect("leave");
    sender.send_to(b"to others", Some(&to)).expect("send");
    sender.send_to(b"to you", Some(&Address::Ip((Ipv4Addr::LOCALHOST, bound.port()).into()))).expect("send");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    assert_eq!(member.recv_from(&mut [0; 64]).expect("receive").0, b"to you");
    Outcome::Kept
}

/// A connected endpoint learns that nobody takes its packets.
pub fn a_packet_to_nobody_is_refused(mut driver: Box<dyn Driver>) -> Outcome {
    let gone = datagram(&mut *driver).local_addr().expect("address");
    let mut client = driver.datagram(None, Some(&gone), &DatagramOptions::default()).expect("datagram");
    driver.register(client.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    client.send_to(b"hello", None).expect("the first packet leaves");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    assert_eq!(kind(client.recv_from(&mut [0; 8])), Some(io::ErrorKind::ConnectionRefused));
    Outcome::Kept
}

/// Addresses that mean nothing to an operation are `InvalidInput`.
pub fn an_impossible_address_is_invalid(mut driver: Box<dyn Driver>) -> Outcome {
    let listener = driver.listen(&Address::Unnamed, &ListenOptions::default());
    assert_eq!(kind(listener), Some(io::ErrorKind::InvalidInput));
    let stream = driver.connect(&Address::Unnamed, &ConnectOptions::default());
    assert_eq!(kind(stream), Some(io::ErrorKind::InvalidInput));
    let packets = driver.datagram(None, None, &DatagramOptions::default());
    assert_eq!(kind(packets), Some(io::ErrorKind::InvalidInput));
    // What is possible still is.
    drop(pair_through(&mut *driver, &loopback()));
    Outcome::Kept
}

/// A listener that is only bound has its address, and connects nobody.
pub fn a_bound_listener_refuses_until_it_listens(mut driver: Box<dyn Driver>) -> Outcome {
    let mut options = ListenOptions::default();
    options.bind_only = true;
    let mut listener = driver.listen(&loopback(), &options).expect("bind");
    let address = listener.local_addr().expect("address");
    let refused = match driver.connect(&address, &ConnectOptions::default()) {
        Ok(mut stream) => {
            driver.register(stream.source(), TOKEN, Interest::WRITABLE, Mode::Level).expect("register");
            wait_for(&mut *driver, TOKEN, Readiness::WRITABLE);
            driver.remove(stream.source()).expect("remove");
            kind(stream.finish_connect())
        }
        Err(error) => Some(error.kind()),
    };
    assert_eq!(refused, Some(io::ErrorKind::ConnectionRefused));
    listener.listen(5).expect("listen");
    let _client = driver.connect(&address, &ConnectOptions::default()).expect("connect");
    driver.register(listener.source(), TOKEN, Interest::READABLE, Mode::Level).expect("register");
    wait_for(&mut *driver, TOKEN, Readiness::READABLE);
    listener.accept().expect("accept");
    Outcome::Kept
}

/// Where a driver reports the end of the input, it does so by an edge that comes with it or after it.
pub fn the_end_of_a_stream_comes_with_its_edge(mut driver: Box<dyn Driver>) -> Outcome {
    if !driver.capabilities().edge {
        return Outcome::Skipped("it reports levels only");
    }
    let (mut near, mut far) = stream_pair(&mut *driver);
    driver.register(far.source(), TOKEN, Interest::BOTH, Mode::Edge).expect("register");
    send_all(&mut *near, b"the last");
    near.shutdown(Shutdown::Write).expect("shutdown");
    let mut is_closed = false;
    let is_reported = driver.capabilities().reports_read_closed;
    let mut scratch = [0; 64];
    // Bytes and end may come by one edge or two; whoever reads as the docs say finds both.
    let mut received = 0;
    wait_until(&mut *driver, |event| {
        is_closed |= event.readiness.is_read_closed();
        while event.token == TOKEN && event.readiness.is_readable() {
            match far.recv(&mut scratch) {
                Ok([]) => return true,
                Ok(bytes) => received += bytes.len(),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
            if is_reported && !is_closed {
                break;
            }
        }
        false
    });
    assert_eq!((received, is_closed), (8, is_reported));
    Outcome::Kept
}
