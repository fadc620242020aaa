//! TLS with peers that nobody here wrote: `openssl s_client` and `s_server`, and Python's `ssl` and asyncio, on either side.
//!
//! `.ci/run` installs both programs, and where `CI` is set a missing one fails; elsewhere it is said and passed over.
#![expect(clippy::print_stderr, reason = "a test that is skipped has to say so")]

use crate::certificates::{Authority, Identity};
use crate::drivers::{platform, polling, run_on};
use crate::recorder::{Recorder, end};
use asyncio_loop::get_running_loop;
use asyncio_transports::{LoopTlsExt as _, LoopTransportsExt as _};
use std::cell::RefCell;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::rc::Rc;

/// Files of one test, gone with it: certificates, and what programs read and write.
struct Files(PathBuf);

impl Files {
    fn new(name: &str, authority: &Authority, identity: &Identity) -> Self {
        let dir = env::temp_dir().join(format!("asyncio-interop-{}-{name}", process::id()));
        fs::create_dir_all(&dir).unwrap();
        let files = Self(dir);
        fs::write(files.path("authority.pem"), authority.pem()).unwrap();
        fs::write(files.path("certificate.pem"), &identity.certificate).unwrap();
        fs::write(files.path("key.pem"), &identity.key).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Whether a program is here. Where it has to be, it is.
fn has(program: &str, version: &str) -> bool {
    let found = Command::new(program).arg(version).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return true;
    }
    assert!(env::var_os("CI").is_none(), "{program} has to be there where CI runs");
    eprintln!("SKIPPED: no interop with {program}, which is not here");
    false
}

/// Ends with the test, whatever happens.
struct Program(Child);

impl Program {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    /// Waits for the end.
    #[track_caller]
    fn succeeded(mut self) {
        let status = self.0.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 12_345_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| next()).collect()
}

const MANY: usize = 2_000_000;

#[test]
fn openssl_s_client_talks_to_our_server() {
    if !has("openssl", "version") {
        return;
    }
    for (n, version) in ["-tls1_2", "-tls1_3"].into_iter().enumerate() {
        for (m, event_loop) in [platform(), polling()].into_iter().enumerate() {
            let authority = Authority::new();
            let clients = Authority::new();
            let files = Files::new(&format!("s_client{n}{m}"), &authority, &clients.issue(&["a client"]));
            fs::write(files.path("in"), noise(MANY)).unwrap();
            let context =
                authority.server().alpn_protocols(["echo"]).client_certificates(clients.pem()).build().unwrap();
            run_on(&event_loop, async move {
                let sent = noise(MANY);
                let recorder = Recorder::default();
                let record = recorder.record.clone();
                let (counted, expected) = (record.clone(), sent.clone());
                let server = recorder.on("data", move |it| {
                    if counted.received().len() == MANY {
                        it.write(&expected);
                        it.close();
                    }
                });
                let listening = get_running_loop()
                    .create_server(move || server.clone(), ("127.0.0.1", 0))
                    .ssl(&context)
                    .await
                    .unwrap();
                let client = Program::start(
                    Command::new("openssl")
                        .args([
                            "s_client",
                            "-quiet",
                            "-verify_return_error",
                            "-servername",
                            "localhost",
                            "-alpn",
                            "echo",
                        ])
                        .args(["-verify_hostname", "localhost", version, "-connect"])
                        .arg(listening.local_addrs()[0].to_string())
                        .arg("-CAfile")
                        .arg(files.path("authority.pem"))
                        .arg("-cert")
                        .arg(files.path("certificate.pem"))
                        .arg("-key")
                        .arg(files.path("key.pem"))
                        .stdin(File::open(files.path("in")).unwrap())
                        .stdout(File::create(files.path("out")).unwrap())
                        .stderr(File::create(files.path("err")).unwrap()),
                );
                record.until_event("made").await;
                let agreed = record.transport().ssl_object().unwrap();
                assert_eq!(agreed.version, if n == 0 { "TLSv1.2" } else { "TLSv1.3" });
                assert_eq!((agreed.alpn.as_deref(), agreed.peer_certificates.len()), (Some(&b"echo"[..]), 1));
                record.until_event("lost").await;
                assert!(record.received() == sent);
                client.succeeded();
                assert!(fs::read(files.path("out")).unwrap() == sent);
                assert_eq!(record.events().iter().filter(|event| event.starts_with("lost")).count(), 1);
                end(listening).await;
            });
        }
    }
}

/// Starts a server that tells its port in the first line that has one, behind the last colon.
fn serving(command: &mut Command) -> (Program, SocketAddr, BufReader<process::ChildStdout>) {
    let mut program = Program::start(command.stdout(Stdio::piped()));
    let mut lines = BufReader::new(program.0.stdout.take().unwrap());
    loop {
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0, "the server tells its port");
        if let Some(port) = line.trim().strip_prefix("ACCEPT").and_then(|line| line.rsplit(':').next()?.parse().ok()) {
            return (program, ([127, 0, 0, 1], port).into(), lines);
        }
    }
}

#[test]
fn our_client_talks_to_openssl_s_server() {
    if !has("openssl", "version") {
        return;
    }
    for (n, version) in ["-tls1_2", "-tls1_3"].into_iter().enumerate() {
        for (m, event_loop) in [platform(), polling()].into_iter().enumerate() {
            let authority = Authority::new();
            let files = Files::new(&format!("s_server{n}{m}"), &authority, &authority.issue(&["localhost"]));
            let context = authority.client().alpn_protocols(["lines"]).build().unwrap();
            run_on(&event_loop, async move {
                let mut command = Command::new("openssl");
                command.args([
                    "s_server",
                    "-accept",
                    "127.0.0.1:0",
                    "-naccept",
                    "1",
                    "-rev",
                    "-alpn",
                    "lines",
                    version,
                ]);
                command.arg("-cert").arg(files.path("certificate.pem")).arg("-key").arg(files.path("key.pem"));
                command.stdin(Stdio::null()).stderr(File::create(files.path("err")).unwrap());
                let (server, address, _lines) = serving(&mut command);
                let client = Recorder::default();
                let connecting = get_running_loop().create_connection(|| client.clone(), address).ssl(&context);
                let (transport, _) = connecting.server_hostname("localhost").await.unwrap();
                let agreed = transport.ssl_object().unwrap();
                assert_eq!((agreed.version, agreed.alpn.as_deref()), (["TLSv1.2", "TLSv1.3"][n], Some(&b"lines"[..])));
                for _ in 0..100 {
                    transport.write(b"forwards\n");
                }
                client.record.until_received(900).await;
                assert_eq!(client.record.received(), b"sdrawrof\n".repeat(100));
                transport.close();
                client.record.until_event("lost").await;
                let told = client.record.events();
                assert_eq!(told.last().map(String::as_str), Some("lost"), "{told:?}");
                server.succeeded();
            });
        }
    }
}

/// Python's `ssl`: echoes what it gets until the leave, takes it, and says how much it was.
const PYTHON_SERVER: &str = r#"
import socket, ssl, sys
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(sys.argv[1] + "/certificate.pem", sys.argv[1] + "/key.pem")
listener = socket.create_server(("127.0.0.1", 0))
print("ACCEPT 127.0.0.1:%d" % listener.getsockname()[1], flush=True)
raw, _ = listener.accept()
with context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False) as connection:
    total = 0
    while data := connection.recv(65536):
        connection.sendall(data)
        total += len(data)
    connection.unwrap().close()
print("took", total, flush=True)
"#;

#[test]
fn our_client_talks_to_pythons_ssl() {
    if !has("python3", "--version") {
        return;
    }
    for (m, event_loop) in [platform(), polling()].into_iter().enumerate() {
        let authority = Authority::new();
        let files = Files::new(&format!("python{m}"), &authority, &authority.issue(&["localhost"]));
        let context = authority.client().build().unwrap();
        run_on(&event_loop, async move {
            let mut command = Command::new("python3");
            let (server, address, mut lines) = serving(command.args(["-c", PYTHON_SERVER]).arg(&files.0));
            let client = Recorder::default();
            let connecting = get_running_loop().create_connection(|| client.clone(), address).ssl(&context);
            let (transport, _) = connecting.server_hostname("localhost").await.unwrap();
            let sent = noise(MANY);
            for chunk in sent.chunks(100_001) {
                transport.write(chunk);
            }
            client.record.until_received(MANY).await;
            assert!(client.record.received() == sent);
            transport.close();
            client.record.until_event("lost").await;
            let told = client.record.events();
            assert_eq!(told[told.len() - 2..], ["eof", "lost"]);
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, format!("took {MANY}\n"));
            server.succeeded();
        });
    }
}

/// Python's asyncio: begins in the clear, encrypts in the middle, sends a file, and gets it back.
const PYTHON_CLIENT: &str = r#"
import asyncio, ssl, sys
async def main(folder, port):
    context = ssl.create_default_context(cafile=folder + "/authority.pem")
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    class Talk(asyncio.Protocol):
        received = b""
        def connection_made(self, transport):
            transport.write(b"STARTTLS\n")
        def data_received(self, data):
            self.received += data
            if self.received == b"go ahead\n":
                self.received = b""
                loop.create_task(self.upgrade())
            if len(self.received) == len(sent):
                self.transport.close()
        async def upgrade(self):
            self.transport = await loop.start_tls(transport, self, context, server_hostname="localhost")
            self.transport.write(sent)
        def connection_lost(self, error):
            done.set_result(error)
    sent = open(folder + "/in", "rb").read()
    transport, protocol = await loop.create_connection(Talk, "127.0.0.1", port)
    error = await done
    assert error is None, error
    assert protocol.received == sent
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"#;

#[test]
fn pythons_asyncio_starts_tls_with_our_server() {
    if !has("python3", "--version") {
        return;
    }
    for (m, event_loop) in [platform(), polling()].into_iter().enumerate() {
        let authority = Authority::new();
        let files = Files::new(&format!("asyncio{m}"), &authority, &authority.issue(&["unused"]));
        fs::write(files.path("in"), noise(MANY)).unwrap();
        let context = authority.server().build().unwrap();
        run_on(&event_loop, async move {
            let event_loop = get_running_loop();
            let plain = Recorder::default();
            let factory = plain.clone();
            let listening = event_loop.create_server(move || factory.clone(), ("127.0.0.1", 0)).await.unwrap();
            let client = python_client(&files.0, listening.local_addrs()[0]);
            plain.record.until_received(9).await;
            assert_eq!(plain.record.received(), b"STARTTLS\n");
            let transport = plain.record.transport();
            transport.write(b"go ahead\n");
            let secret = Recorder::default();
            let record = secret.record.clone();
            event_loop.start_tls(&transport, &Rc::new(RefCell::new(secret)), &context).await.unwrap();
            record.until_received(MANY).await;
            transport.write(&record.received());
            record.until_event("lost").await;
            let told = record.events();
            assert_eq!(told[told.len() - 2..], ["eof", "lost"]);
            client.succeeded();
            end(listening).await;
        });
    }
}

fn python_client(folder: &Path, address: SocketAddr) -> Program {
    let mut command = Command::new("python3");
    Program::start(command.args(["-c", PYTHON_CLIENT]).arg(folder).arg(address.port().to_string()).stdin(Stdio::null()))
}
