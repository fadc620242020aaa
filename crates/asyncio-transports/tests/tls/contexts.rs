//! What makes no sense is refused before anything is done; what is malformed is named.

use crate::certificates::{Authority, contexts};
use crate::drivers::{run_on, scripted};
use crate::recorder::Recorder;
use asyncio_loop::get_running_loop;
use asyncio_transports::{LoopTransportsExt as _, SslContext};
use std::io;

fn refusal<T>(outcome: io::Result<T>) -> String {
    let error = outcome.map(drop).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    error.to_string()
}

// sem. 248, 254
#[test]
fn options_that_make_no_sense_are_refused_before_any_input_and_output() {
    run_on(&scripted(), async {
        let (client, server) = contexts();
        let event_loop = get_running_loop();
        // Nobody listens there: whatever tried to connect would be refused by that.
        let connect = || event_loop.create_connection(Recorder::default, ("127.0.0.1", 9));
        let only = |what: &str| format!("`{what}` is only meaningful with `ssl`");
        assert_eq!(refusal(connect().server_hostname("x").await), only("server_hostname"));
        assert_eq!(refusal(connect().ssl_handshake_timeout(1).await), only("ssl_handshake_timeout"));
        assert_eq!(refusal(connect().ssl_shutdown_timeout(1).await), only("ssl_shutdown_timeout"));
        let positive = |what: &str| format!("`{what}` should be a positive number");
        assert_eq!(refusal(connect().ssl(&client).ssl_handshake_timeout(0).await), positive("ssl_handshake_timeout"));
        assert_eq!(refusal(connect().ssl(&client).ssl_shutdown_timeout(-1).await), positive("ssl_shutdown_timeout"));
        let role = "`ssl` of a client needs a context made by `SslContext::client`";
        assert_eq!(refusal(connect().ssl(&server).await), role);
        assert!(
            refusal(connect().ssl(&client).server_hostname("").await).contains("neither a DNS name nor an IP address")
        );
        let unix = event_loop.create_unix_connection(Recorder::default, "/nowhere").ssl(&client).await;
        assert_eq!(refusal(unix), "you must set `server_hostname` when using `ssl` without a host");
        let serve = || event_loop.create_server(Recorder::default, ("127.0.0.1", 0));
        assert_eq!(
            refusal(serve().ssl(&client).await),
            "`ssl` of a server needs a context made by `SslContext::server`"
        );
        assert_eq!(refusal(serve().ssl_handshake_timeout(1).await), only("ssl_handshake_timeout"));
        assert_eq!(refusal(serve().ssl(&server).ssl_shutdown_timeout(0).await), positive("ssl_shutdown_timeout"));
        let unix = event_loop.create_unix_server(Recorder::default, "/nowhere").ssl(&client).await;
        assert_eq!(refusal(unix), "`ssl` of a server needs a context made by `SslContext::server`");
    });
}

#[test]
fn what_is_malformed_is_named() {
    let identity = Authority::new().issue(&["localhost"]);
    let other = Authority::new().issue(&["localhost"]);
    let (certificate, key) = (identity.certificate.clone(), identity.key.clone());
    let none = SslContext::server(key.clone(), key.clone()).build();
    assert_eq!(refusal(none), "no certificate in the bytes that were given");
    assert!(
        refusal(SslContext::server(certificate.clone(), certificate.clone()).build()).starts_with("no private key (")
    );
    let missing = SslContext::server("/nowhere/certificate.pem", key).build().map(drop).unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(missing.to_string().starts_with("reading /nowhere/certificate.pem failed: "), "{missing}");
    let mismatch = SslContext::server(certificate, other.key).build().map(drop).unwrap_err();
    assert_eq!(mismatch.kind(), io::ErrorKind::InvalidData);
    assert!(refusal(SslContext::client().root_certificates(&b"nothing"[..]).build()).starts_with("no certificate"));
}

#[test]
fn a_context_says_nothing_of_its_keys() {
    let identity = Authority::new().issue(&["localhost"]);
    let builder = SslContext::server(identity.certificate, identity.key);
    let text = format!("{builder:?} {:?}", builder.clone().build().unwrap());
    assert!(text.contains("Pem(..)") && text.ends_with("SslContext(Server)"), "{text}");
}
