//! How endpoints are opened: bound, connected, both, neither; and what is refused.

use crate::drivers;
use crate::packets::{Logger, bound, close_all, connected};
use asyncio_driver::Address;
use asyncio_executor::AddressFamily;
use asyncio_loop::get_running_loop;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::{ExtraInfo, LoopTransportsExt as _};
use std::io;

drivers::on_each_driver! {
    // sem. 215
    async fn each_packet_is_one_call_and_names_its_sender() {
        let server = Logger::default();
        let (serving, address) = bound(&server).await;
        assert_eq!(server.log.events(), ["made"]);
        let client = Logger::default();
        let sending = connected(&client, address).await;
        for packet in [&b"one"[..], b"", b"three"] {
            sending.sendto(packet, None);
        }
        server.log.until_packets(3).await;
        let from = Address::Ip(sending.local_addr().unwrap());
        assert_eq!(server.log.packets(), [&b"one"[..], b"", b"three"].map(|packet| (packet.to_vec(), from.clone())));
        serving.sendto(b"answer", &from);
        client.log.until_packets(1).await;
        assert_eq!(client.log.packets(), [(b"answer".to_vec(), Address::Ip(address))]);
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    async fn a_transport_knows_its_addresses() {
        let server = Logger::default();
        let (serving, address) = bound(&server).await;
        let client = Logger::default();
        let sending = connected(&client, address).await;
        assert_eq!((sending.peer_addr().unwrap(), sending.peername()), (address, Some(address.into())));
        assert!(matches!(sending.get_extra_info("peername"), Some(ExtraInfo::Address(peer)) if peer == address.into()));
        assert!(matches!(serving.get_extra_info("sockname"), Some(ExtraInfo::Address(own)) if own == address.into()));
        assert!(serving.get_extra_info("peername").is_none() && serving.get_extra_info("nothing").is_none());
        assert_eq!(serving.peer_addr().unwrap_err().kind(), io::ErrorKind::NotConnected);
        assert_eq!(serving.socket().getsockname(), Some(address.into()));
        close_all([(&serving, &server), (&sending, &client)]).await;
        assert_eq!((sending.sockname(), sending.peername()), (None, Some(address.into())));
    }

    async fn an_endpoint_may_have_two_addresses() {
        let server = Logger::default();
        let (serving, address) = bound(&server).await;
        let client = Logger::default();
        let event_loop = get_running_loop();
        let made = event_loop.create_datagram_endpoint(|| client.clone()).local_addr(("127.0.0.1", 0)).remote_addr(address);
        let (sending, protocol) = made.await.unwrap();
        assert_eq!(protocol.borrow().log.events(), ["made"]);
        sending.sendto(b"hello", address);
        server.log.until_packets(1).await;
        assert_eq!(server.log.packets()[0].1, Address::Ip(sending.local_addr().unwrap()));
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    // sem. 216
    async fn a_connected_transport_refuses_another_address() {
        let server = Logger::default();
        let (serving, address) = bound(&server).await;
        let client = Logger::default();
        let sending = connected(&client, address).await;
        let other = sending.local_addr().unwrap();
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| sending.sendto(b"x", other)));
        let message = refused.unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert_eq!(*message, format!("the address {other} is not the remote address {address} of the endpoint"));
        sending.sendto(b"fine", Address::Ip(address));
        server.log.until_packets(1).await;
        assert_eq!(server.log.contents(), [b"fine"]);
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    // sem. 255
    async fn with_broadcast_a_remote_address_is_only_where_packets_go() {
        let (server, other, client) = (Logger::default(), Logger::default(), Logger::default());
        let ((serving, address), (third, _)) = (bound(&server).await, bound(&other).await);
        let made = get_running_loop().create_datagram_endpoint(|| client.clone()).allow_broadcast(true);
        let (sending, _) = made.remote_addr(address).local_addr(("127.0.0.1", 0)).await.unwrap();
        assert_eq!(sending.peername(), None);
        sending.sendto(b"to the one address", None);
        server.log.until_packets(1).await;
        third.sendto(b"from somebody else", sending.local_addr().unwrap());
        client.log.until_packets(1).await;
        assert_eq!(client.log.contents(), [b"from somebody else"]);
        close_all([(&serving, &server), (&third, &other), (&sending, &client)]).await;
    }

    async fn a_family_alone_is_enough() {
        let client = Logger::default();
        let event_loop = get_running_loop();
        let made = event_loop.create_datagram_endpoint(|| client.clone()).family(AddressFamily::Inet);
        let (sending, _) = made.await.unwrap();
        let server = Logger::default();
        let (serving, address) = bound(&server).await;
        sending.sendto(b"hello", address);
        server.log.until_packets(1).await;
        close_all([(&serving, &server), (&sending, &client)]).await;
    }

    async fn what_makes_no_sense_is_refused_before_anything_is_opened() {
        let event_loop = get_running_loop();
        let make = || event_loop.create_datagram_endpoint(Logger::default);
        let kind = |error: io::Error| (error.kind(), error.to_string());
        let nothing = make().await.map(drop).unwrap_err();
        let message = "unexpected address family: say a local address, a remote one, or a family";
        assert_eq!(kind(nothing), (io::ErrorKind::InvalidInput, message.into()));
        let families = make().local_addr(("127.0.0.1", 0)).remote_addr(("::1", 9)).await.map(drop).unwrap_err();
        let message = "the local and the remote address have no family in common";
        assert_eq!(kind(families), (io::ErrorKind::InvalidInput, message.into()));
        let kinds = make().local_path("/tmp/x").remote_addr(("::1", 9)).await.map(drop).unwrap_err();
        assert_eq!(kind(kinds).0, io::ErrorKind::InvalidInput);
        let malformed = make().local_addr("127.0.0.1").await.map(drop).unwrap_err();
        assert_eq!(kind(malformed).0, io::ErrorKind::InvalidInput);
    }

    async fn an_address_in_use_is_named() {
        let server = Logger::default();
        let (serving, address) = bound(&server).await;
        let event_loop = get_running_loop();
        let second = event_loop.create_datagram_endpoint(Logger::default).local_addr(address).await.map(drop);
        let error = second.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("error while attempting to bind on address {address}: ")));
        close_all([(&serving, &server)]).await;
    }

    async fn a_port_may_be_shared() {
        let (one, other) = (Logger::default(), Logger::default());
        let event_loop = get_running_loop();
        let shared = |logger: &Logger, address| {
            let logger = logger.clone();
            event_loop.create_datagram_endpoint(move || logger).local_addr(address).reuse_port(true)
        };
        let (first, _) = shared(&one, ([127, 0, 0, 1], 0).into()).await.unwrap();
        let (second, _) = shared(&other, first.local_addr().unwrap()).await.unwrap();
        assert_eq!(first.local_addr().unwrap(), second.local_addr().unwrap());
        close_all([(&first, &one), (&second, &other)]).await;
    }

    async fn dropping_the_opening_closes_what_was_opened() {
        let logger = Logger::default();
        let event_loop = get_running_loop();
        let (copy, inner) = (logger.clone(), event_loop.clone());
        let task = event_loop.create_task(async move {
            inner.create_datagram_endpoint(|| copy).local_addr(("127.0.0.1", 0)).await.map(drop)
        });
        // It has begun and waits for `connection_made`.
        event_loop.call_soon({
            let handle = task.cancel_handle();
            move || { handle.cancel(); }
        });
        assert!(task.await.is_err());
        logger.log.until_event("lost").await;
        assert_eq!(logger.log.events(), ["made", "lost: None"]);
    }
}
