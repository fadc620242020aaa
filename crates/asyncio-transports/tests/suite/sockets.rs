//! `sock_*`: sockets call by call. On each driver that has sockets of the system.

use crate::drivers;
use asyncio_driver::Address;
use asyncio_loop::get_running_loop;
use asyncio_tasks::{LoopTasksExt as _, create_task, yield_now};
use asyncio_transports::{LoopSocketsExt as _, Socket};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::rc::Rc;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn listener() -> Socket {
    Socket::new(TcpListener::bind(ANY).unwrap()).unwrap()
}

/// Two ends of a connection, the one that was accepted last.
async fn pair() -> (Rc<Socket>, Rc<Socket>) {
    let (event_loop, listening) = (get_running_loop(), listener());
    let ours = Socket::stream_for(ANY).unwrap();
    event_loop.sock_connect(&ours, listening.local_addr().unwrap()).await.unwrap();
    let (theirs, peer) = event_loop.sock_accept(&listening).await.unwrap();
    assert_eq!(peer, ours.local_addr().unwrap());
    assert_eq!(theirs.local_addr().unwrap(), ours.peer_addr().unwrap());
    (Rc::new(ours), Rc::new(theirs))
}

/// Lets everybody else go on until nothing can.
async fn settle() {
    for _ in 0..5 {
        yield_now().await;
    }
}

drivers::on_each_driver! { with sockets:
    // sem. 241
    async fn what_need_not_wait_does_not() {
        let (event_loop, (ours, theirs)) = (get_running_loop(), pair().await);
        event_loop.sock_sendall(&ours, b"hello").await.unwrap();
        event_loop.sock_sendall(&ours, b"").await.unwrap();
        let mut room = [0; 3];
        assert_eq!(event_loop.sock_recv_into(&theirs, &mut room).await.unwrap(), 3);
        let before = event_loop.statistics().iterations_total;
        assert_eq!((&room, &*event_loop.sock_recv(&theirs, 100).await.unwrap()), (b"hel", b"lo".as_slice()));
        assert_eq!(event_loop.statistics().iterations_total, before, "it was there");
        ours.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(event_loop.sock_recv(&theirs, 100).await.unwrap().is_empty());
        assert!(event_loop.sock_recv(&theirs, 100).await.unwrap().is_empty(), "the end is there for ever");
        event_loop.sock_sendall(&theirs, b"half-closed").await.unwrap();
        assert_eq!(event_loop.sock_recv(&ours, 100).await.unwrap(), b"half-closed".as_slice());
    }

    // sem. 241
    async fn a_receive_that_is_given_up_loses_nothing() {
        let (event_loop, (ours, theirs)) = (get_running_loop(), pair().await);
        for _ in 0..3 {
            let (inner, sock) = (event_loop.clone(), theirs.clone());
            let receiving = create_task(async move { inner.sock_recv(&sock, 100).await });
            settle().await;
            receiving.cancel();
            assert!(receiving.await.is_err());
        }
        let polls = event_loop.statistics().polls_total;
        settle().await;
        assert!(event_loop.statistics().polls_total <= polls + 5, "nobody is woken for nothing");
        event_loop.sock_sendall(&ours, b"for the next one").await.unwrap();
        assert_eq!(event_loop.sock_recv(&theirs, 100).await.unwrap(), b"for the next one".as_slice());
    }

    // sem. 242
    async fn two_may_wait_for_one_socket() {
        let (event_loop, (ours, theirs)) = (get_running_loop(), pair().await);
        let receive = || {
            let (inner, sock) = (event_loop.clone(), theirs.clone());
            async move { inner.sock_recv(&sock, 1).await.unwrap() }
        };
        let (first, second) = (create_task(receive()), create_task(receive()));
        settle().await;
        assert!(!first.done() && !second.done());
        event_loop.sock_sendall(&ours, b"12").await.unwrap();
        let (first, second) = (first.await.unwrap(), second.await.unwrap());
        assert_eq!([&first[..], &second[..]].concat(), b"12", "first come, first served");
    }

    async fn more_than_the_buffers_hold_arrives_as_it_was() {
        let (event_loop, (ours, theirs)) = (get_running_loop(), pair().await);
        let data: Rc<Vec<u8>> = Rc::new((0..10_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
        let sending = {
            let (inner, data) = (event_loop.clone(), data.clone());
            create_task(async move {
                inner.sock_sendall(&ours, &data).await.unwrap();
            })
        };
        let (mut received, mut room) = (Vec::new(), vec![0; 300_000]);
        loop {
            let bytes = event_loop.sock_recv_into(&theirs, &mut room).await.unwrap();
            if bytes == 0 {
                break;
            }
            received.extend_from_slice(&room[..bytes]);
        }
        sending.await.unwrap();
        assert!(received == **data, "{} bytes", received.len());
    }

    async fn a_refused_connection_says_so() {
        let event_loop = get_running_loop();
        let gone = listener().local_addr().unwrap();
        let sock = Socket::stream_for(ANY).unwrap();
        let refused = event_loop.sock_connect(&sock, gone).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        let mistaken = Socket::stream_for(Address::Unnamed).unwrap_err();
        assert_eq!(mistaken.kind(), io::ErrorKind::InvalidInput);
    }

    async fn a_name_is_looked_up_for_the_family_of_the_socket() {
        let (event_loop, listening) = (get_running_loop(), listener());
        let Address::Ip(address) = listening.local_addr().unwrap() else { panic!("it is an IP socket") };
        let sock = Socket::stream_for(ANY).unwrap();
        event_loop.sock_connect(&sock, ("localhost", address.port())).await.unwrap();
        assert_eq!(sock.peer_addr().unwrap(), Address::Ip(address));
    }

    async fn an_accept_that_is_given_up_loses_no_connection() {
        let (event_loop, listening) = (get_running_loop(), Rc::new(listener()));
        let (inner, sock) = (event_loop.clone(), listening.clone());
        let accepting = create_task(async move { inner.sock_accept(&sock).await.map(drop) });
        settle().await;
        accepting.cancel();
        assert!(accepting.await.is_err());
        let clients: Vec<_> = (0..3).map(|_| Socket::stream_for(ANY).unwrap()).collect();
        let address = listening.local_addr().unwrap();
        for client in &clients {
            event_loop.sock_connect(client, address.clone()).await.unwrap();
        }
        for client in &clients {
            let (_, peer) = event_loop.sock_accept(&listening).await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    }

    async fn packets_have_senders() {
        let event_loop = get_running_loop();
        let (one, other) = (Socket::datagram_for(ANY).unwrap(), Socket::new(UdpSocket::bind(ANY).unwrap()).unwrap());
        one.bind(ANY).unwrap();
        let (here, there) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        assert_eq!(event_loop.sock_sendto(&one, b"packet", there.clone()).await.unwrap(), 6);
        let mut room = [0; 4];
        assert_eq!(event_loop.sock_recvfrom_into(&other, &mut room).await.unwrap(), (4, here.clone()));
        assert_eq!(&room, b"pack", "the rest is lost");
        let (inner, sender) = (event_loop.clone(), here.clone());
        let sending = create_task(async move {
            settle().await;
            inner.sock_sendto(&other, b"", sender).await.unwrap();
        });
        let received = event_loop.sock_recvfrom(&one, 100).await.unwrap();
        sending.await.unwrap();
        assert!(received.0.is_empty() && received.1 == there);
    }

    async fn an_echo_of_single_bytes_waits_again_and_again() {
        let (event_loop, (ours, theirs)) = (get_running_loop(), pair().await);
        let inner = event_loop.clone();
        let echo = create_task(async move {
            let mut room = [0; 64];
            loop {
                match inner.sock_recv_into(&theirs, &mut room).await.unwrap() {
                    0 => break,
                    bytes => inner.sock_sendall(&theirs, &room[..bytes]).await.unwrap(),
                }
            }
        });
        for n in 0..200_u8 {
            event_loop.sock_sendall(&ours, &[n]).await.unwrap();
            assert_eq!(event_loop.sock_recv(&ours, 10).await.unwrap(), [n].as_slice());
        }
        drop(ours);
        echo.await.unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_socket_belongs_to_the_loop_that_waits_for_it() {
    use std::io::{Read as _, Write as _};
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let sock = Rc::new(Socket::new(ours).unwrap());
    for round in 0..4_u8 {
        // Another loop each time, and sometimes the last one is still there.
        let event_loop = drivers::platform();
        let (inner, shared) = (event_loop.clone(), sock.clone());
        let receiving = event_loop.create_task(async move { inner.sock_recv(&shared, 10).await.unwrap() });
        event_loop.run_until_blocked().unwrap();
        assert!(!receiving.done());
        assert_eq!(event_loop.add_reader(&*sock, || ()).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        theirs.write_all(&[round]).unwrap();
        let received = event_loop.run_until_complete(async move { receiving.await.unwrap() }).unwrap();
        assert_eq!(received, [round].as_slice());
        if round % 2 == 0 {
            event_loop.close().unwrap();
        }
    }
    drop(sock);
    assert_eq!(theirs.read(&mut [0]).unwrap(), 0, "it is closed");
}
