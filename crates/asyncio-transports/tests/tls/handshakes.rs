//! What a handshake leads to: connections that know whom they talk to, or none.

use crate::certificates::{Authority, contexts, secured};
use crate::drivers;
use crate::recorder::{Recorder, end, reports};
use asyncio_loop::get_running_loop;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::{ExtraInfo, LoopTransportsExt as _, SslContext, SslError};
use std::io;

fn ssl_error(error: &io::Error) -> &SslError {
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    error.get_ref().and_then(|source| source.downcast_ref()).expect("an SslError")
}

drivers::on_each_driver! {
    // sem. 247
    async fn connection_made_comes_after_the_handshake_and_knows_the_peer() {
        let (client_context, server_context) = contexts();
        let client = Recorder::default().on("made", |it| {
            let agreed = it.ssl_object().expect("the handshake is done");
            assert_eq!((agreed.version, agreed.peer_certificates.len()), ("TLSv1.3", 1));
            it.write(b"hello");
        });
        let server = Recorder::default();
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        assert_eq!(client.record.events(), ["made"]);
        server.record.until_received(5).await;
        assert_eq!((server.record.events(), server.record.received()), (vec!["made".into(), "data".into()], b"hello".to_vec()));
        let agreed = transport.ssl_object().unwrap();
        assert_eq!(agreed.server_hostname.as_deref(), Some("127.0.0.1"));
        assert_eq!((agreed.cipher.name.starts_with("TLS_"), agreed.cipher.secret_bits), (true, 256));
        assert!(matches!(transport.get_extra_info("cipher"), Some(ExtraInfo::Cipher(cipher)) if cipher == agreed.cipher));
        let own = agreed.peer_certificates[0].clone();
        assert!(matches!(transport.get_extra_info("peercert"), Some(ExtraInfo::Certificate(certificate)) if certificate == own));
        assert!(matches!(transport.get_extra_info("ssl_object"), Some(ExtraInfo::SslObject(_))));
        assert!(transport.get_extra_info("peername").is_some() && transport.get_extra_info("compression").is_none());
        let serving = server.record.transport();
        assert!(serving.get_extra_info("peercert").is_none());
        assert_eq!(serving.ssl_object().unwrap().server_hostname, None);
        transport.close();
        end(listening).await;
    }

    async fn the_best_common_protocol_is_chosen() {
        let authority = Authority::new();
        let server_context = authority.server().alpn_protocols(["h2", "http/1.1"]).build().unwrap();
        let client_context = authority.client().alpn_protocols(["http/1.1", "h2"]).build().unwrap();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
        assert_eq!(transport.ssl_object().unwrap().alpn.as_deref(), Some(&b"h2"[..]));
        assert_eq!(server.record.transport().ssl_object().unwrap().alpn.as_deref(), Some(&b"h2"[..]));
        transport.close();
        let stranger = authority.client().alpn_protocols(["gopher"]).build().unwrap();
        let refused = get_running_loop().create_connection(Recorder::default, listening.local_addrs()[0]).ssl(&stranger);
        let error = refused.await.map(drop).unwrap_err();
        assert!(!ssl_error(&error).is_certificate_error(), "{error}");
        end(listening).await;
    }

    async fn a_server_that_is_not_trusted_is_refused_and_nobody_is_told_but_the_caller() {
        let told = reports(&get_running_loop());
        let (_, server_context) = contexts();
        let stranger = Authority::new().client().build().unwrap();
        let (client, server) = (Recorder::default(), Recorder::default());
        let (event_loop, factory) = (get_running_loop(), server.clone());
        let making = event_loop.create_server(move || factory.clone(), ("127.0.0.1", 0)).ssl(&server_context);
        let listening = making.await.unwrap();
        let connecting = event_loop.create_connection(|| client.clone(), listening.local_addrs()[0]).ssl(&stranger);
        let error = connecting.await.map(drop).unwrap_err();
        assert!(ssl_error(&error).is_certificate_error(), "{error}");
        listening.close();
        listening.wait_closed().await.unwrap();
        // sem. 231
        assert_eq!((client.record.events().len(), server.record.events().len(), told.borrow().len()), (0, 0, 0));
    }

    async fn a_failed_handshake_of_a_client_is_reported_in_debug_mode() {
        let (event_loop, (_, server_context)) = (get_running_loop(), contexts());
        let told = reports(&event_loop);
        event_loop.set_debug(true);
        let listening = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).ssl(&server_context).await.unwrap();
        let client = Recorder::default().on("made", |it| it.write(b"GET / HTTP/1.1\r\n\r\n"));
        event_loop.create_connection(|| client.clone(), listening.local_addrs()[0]).await.unwrap();
        client.record.until_event("lost").await;
        event_loop.set_debug(false);
        end(listening).await;
        assert_eq!(*told.borrow(), ["error on transport creation for incoming connection"]);
        // What the server says to that is an alert.
        assert_eq!(client.record.received()[0], 21);
    }

    async fn the_name_is_checked() {
        let authority = Authority::new();
        let identity = authority.issue(&["example.org"]);
        let server_context = SslContext::server(identity.certificate, identity.key).build().unwrap();
        let event_loop = get_running_loop();
        let listening = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).ssl(&server_context).await.unwrap();
        let address = listening.local_addrs()[0];
        let checking = authority.client().build().unwrap();
        let connect = |context: &SslContext| event_loop.create_connection(Recorder::default, address).ssl(context);
        let error = connect(&checking).await.map(drop).unwrap_err();
        assert!(ssl_error(&error).is_certificate_error(), "{error}");
        let (transport, _) = connect(&checking).server_hostname("example.org").await.unwrap();
        transport.abort();
        let any_name = authority.client().dangerous_accept_any_hostname().build().unwrap();
        connect(&any_name).await.unwrap().0.abort();
        let other = Authority::new().client().dangerous_accept_any_hostname().build().unwrap();
        assert!(ssl_error(&connect(&other).await.map(drop).unwrap_err()).is_certificate_error());
        let anybody = SslContext::client().dangerous_accept_any_certificate().build().unwrap();
        connect(&anybody).await.unwrap().0.abort();
        listening.abort_clients();
        end(listening).await;
    }

    async fn a_server_may_have_a_certificate_for_each_name() {
        let authority = Authority::new();
        let (first, second) = (authority.issue(&["one.example"]), authority.issue(&["two.example"]));
        let context = SslContext::server(first.certificate, first.key);
        let context = context.certificate_for("two.example", second.certificate, second.key).build().unwrap();
        let event_loop = get_running_loop();
        let listening = event_loop.create_server(Recorder::default, ("127.0.0.1", 0)).ssl(&context).await.unwrap();
        let checking = authority.client().build().unwrap();
        for name in ["one.example", "two.example"] {
            let connecting = event_loop.create_connection(Recorder::default, listening.local_addrs()[0]).ssl(&checking);
            connecting.server_hostname(name).await.unwrap().0.abort();
        }
        end(listening).await;
    }

    async fn a_server_may_want_to_know_its_clients() {
        let (authority, clients) = (Authority::new(), Authority::new());
        let identity = clients.issue(&["a client"]);
        let known = authority.client().certificate_chain(identity.certificate, identity.key).build().unwrap();
        let unknown = authority.client().build().unwrap();
        let wanting = authority.server().client_certificates(clients.pem()).build().unwrap();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&known, &wanting), &client, &server).await;
        assert_eq!(server.record.transport().ssl_object().unwrap().peer_certificates.len(), 1);
        transport.close();
        // In TLS 1.3 a client is done before it is refused: it hears of that as the first thing.
        let refused = Recorder::default();
        let address = listening.local_addrs()[0];
        get_running_loop().create_connection(|| refused.clone(), address).ssl(&unknown).await.unwrap();
        refused.record.until_event("lost").await;
        assert_eq!(refused.record.events(), ["made", "lost: received fatal alert: CertificateRequired"]);
        end(listening).await;
        let asking = authority.server().client_certificates(clients.pem()).client_certificates_are_optional();
        let (client, server) = (Recorder::default(), Recorder::default());
        let ((transport, _), listening) = secured((&unknown, &asking.build().unwrap()), &client, &server).await;
        assert_eq!(server.record.transport().ssl_object().unwrap().peer_certificates.len(), 0);
        transport.close();
        end(listening).await;
    }

    async fn a_later_connection_resumes() {
        for is_wanted in [true, false] {
            let authority = Authority::new();
            let server_context = authority.server().build().unwrap();
            let client_context = authority.client().session_resumption(is_wanted).build().unwrap();
            for is_second in [false, true] {
                let client = Recorder::default();
                let server = Recorder::default().on("made", |it| it.write(b"welcome"));
                let ((transport, _), listening) = secured((&client_context, &server_context), &client, &server).await;
                // The ticket comes with the first bytes of the server.
                client.record.until_received(7).await;
                assert_eq!(transport.ssl_object().unwrap().is_resumed, is_second && is_wanted);
                transport.close();
                end(listening).await;
            }
        }
    }

    async fn a_task_that_is_cancelled_while_it_shakes_hands_leaves_nothing() {
        let (client_context, _) = contexts();
        let event_loop = get_running_loop();
        // Never says a word.
        let server = Recorder::default();
        let factory = server.clone();
        let listening = event_loop.create_server(move || factory.clone(), ("127.0.0.1", 0)).await.unwrap();
        let (inner, address) = (event_loop.clone(), listening.local_addrs()[0]);
        let task = event_loop.create_task(async move {
            inner.create_connection(Recorder::default, address).ssl(&client_context).await.map(drop)
        });
        server.record.until_event("data").await;
        task.cancel();
        assert!(task.await.is_err());
        server.record.until_event("lost").await;
        end(listening).await;
    }
}
