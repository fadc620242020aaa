//! What only sockets of the system have: sockets that exist, Unix sockets, descriptors.

#![cfg(unix)]

use crate::drivers::{platform, polling, run_on};
use crate::packets::{Logger, bound, close_all};
use asyncio_driver::Address;
use asyncio_loop::get_running_loop;
use asyncio_transports::LoopTransportsExt as _;
use std::env;
use std::fs;
use std::io;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process;

fn socket_path(name: &str) -> PathBuf {
    env::temp_dir().join(format!("asyncio-datagrams-{}-{name}", process::id()))
}

#[test]
fn a_socket_that_exists_is_adopted() {
    for event_loop in [platform(), polling()] {
        run_on(&event_loop, async {
            let event_loop = get_running_loop();
            let server = Logger::default();
            let (serving, address) = bound(&server).await;
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(address).unwrap();
            let client = Logger::default();
            let (sending, _) = event_loop.create_datagram_endpoint_on(|| client.clone(), socket).await.unwrap();
            assert_eq!(sending.peer_addr().unwrap(), address);
            sending.sendto(b"hello", None);
            server.log.until_packets(1).await;
            // The options of the duplicate are those of the transport's socket.
            let duplicate = UdpSocket::from(sending.socket().dup().unwrap());
            assert_eq!(duplicate.local_addr().unwrap(), sending.local_addr().unwrap());
            let refused =
                event_loop.create_datagram_endpoint_on(Logger::default, duplicate).local_addr(("127.0.0.1", 0));
            assert_eq!(refused.await.map(drop).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            let stream = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let wrong = event_loop.create_datagram_endpoint_on(Logger::default, stream).await.map(drop).unwrap_err();
            assert_eq!(wrong.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(
                sending.socket().shutdown(std::net::Shutdown::Both).unwrap_err().kind(),
                io::ErrorKind::Unsupported
            );
            close_all([(&serving, &server), (&sending, &client)]).await;
        });
    }
}

#[test]
fn unix_packets_travel_by_path() {
    for (n, event_loop) in [platform(), polling()].into_iter().enumerate() {
        let (here, there) = (socket_path(&format!("here{n}")), socket_path(&format!("there{n}")));
        // Left by somebody who is gone: it is replaced.
        drop(UnixDatagram::bind(&there).unwrap());
        let paths = (here.clone(), there.clone());
        run_on(&event_loop, async move {
            let (here, there) = paths;
            let event_loop = get_running_loop();
            let (server, client) = (Logger::default(), Logger::default());
            let (serving, _) = event_loop.create_datagram_endpoint(|| server.clone()).local_path(&there).await.unwrap();
            let alive = event_loop.create_datagram_endpoint(Logger::default).local_path(&there).await.map(drop);
            assert_eq!(alive.unwrap_err().kind(), io::ErrorKind::AddrInUse);
            let made = event_loop.create_datagram_endpoint(|| client.clone()).local_path(&here).remote_path(&there);
            let (sending, _) = made.await.unwrap();
            // Longer than any UDP packet, and still whole.
            let long = vec![7; 100_000];
            sending.sendto(&long, None);
            sending.sendto(b"", None);
            server.log.until_packets(2).await;
            let from = Address::Unix(here);
            assert!(server.log.packets() == [(long, from.clone()), (Vec::new(), from.clone())]);
            serving.sendto(b"answer", from);
            client.log.until_packets(1).await;
            assert_eq!(client.log.packets(), [(b"answer".to_vec(), Address::Unix(there))]);
            close_all([(&serving, &server), (&sending, &client)]).await;
        });
        for path in [here, there] {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_packet_that_is_too_long_is_an_error() {
    for event_loop in [platform(), polling()] {
        run_on(&event_loop, async {
            let (server, client) = (Logger::default(), Logger::default());
            let ((serving, address), (sending, _)) = (bound(&server).await, bound(&client).await);
            sending.sendto(&vec![0; 70_000], address);
            sending.sendto(b"short", address);
            server.log.until_packets(1).await;
            assert_eq!(server.log.contents(), [b"short"]);
            assert_eq!((client.log.events().len(), client.log.events()[1].starts_with("error: ")), (2, true));
            close_all([(&serving, &server), (&sending, &client)]).await;
        });
    }
}

#[test]
fn a_full_unix_socket_makes_the_sender_wait() {
    for (n, event_loop) in [platform(), polling()].into_iter().enumerate() {
        let path = socket_path(&format!("full{n}"));
        let receiver = UnixDatagram::bind(&path).unwrap();
        let to = path.clone();
        run_on(&event_loop, async move {
            let client = Logger::default();
            let made = get_running_loop().create_datagram_endpoint(|| client.clone()).remote_path(&to);
            let (sending, _) = made.await.unwrap();
            sending.set_write_buffer_limits(Some(2000), None);
            for n in 0..2000_u16 {
                sending.sendto(&n.to_be_bytes(), None);
            }
            assert!(sending.get_write_buffer_size() > 2000);
            assert_eq!(client.log.events(), ["made", "pause"]);
            let mut received = Vec::new();
            receiver.set_nonblocking(true).unwrap();
            while received.len() < 2000 {
                let mut packet = [0; 2];
                match receiver.recv(&mut packet) {
                    Ok(_) => received.push(u16::from_be_bytes(packet)),
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        asyncio_tasks::yield_now().await;
                    }
                }
            }
            assert!(received.into_iter().eq(0..2000));
            assert_eq!(client.log.events(), ["made", "pause", "resume"]);
            close_all([(&sending, &client)]).await;
        });
        fs::remove_file(path).unwrap();
    }
}
