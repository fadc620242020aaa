//! A file of 1 GiB over a transport: memory stays flat. In a process of its own, for its memory is what is measured.
#![cfg(target_os = "linux")]

use asyncio_loop::EventLoop;
use asyncio_tasks::LoopTasksExt as _;
use asyncio_transports::{LoopSocketsExt as _, LoopTransportsExt as _, Protocol};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::thread;

const BYTES: u64 = 1 << 30;
const MARK: &[u8] = b"in the middle";

/// Only sends.
struct Silent;

impl Protocol for Silent {}

/// Memory that is the process's own, in KiB.
fn anonymous_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A sparse file without a name: it takes no place on the disk.
fn sparse_file() -> File {
    let path = std::env::temp_dir().join(format!("asyncio-sendfile-memory-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    file.set_len(BYTES).unwrap();
    file.write_all_at(MARK, BYTES / 2).unwrap();
    file
}

/// Reads to the end; gives how many bytes, and those that are not zero.
fn drain(mut from: UnixStream) -> (u64, Vec<u8>) {
    let (mut room, zeros) = (vec![0; 1 << 18], vec![0; 1 << 18]);
    let (mut total, mut marked) = (0, Vec::new());
    loop {
        let bytes = from.read(&mut room).unwrap();
        if bytes == 0 {
            return (total, marked);
        }
        total += bytes as u64;
        if room[..bytes] != zeros[..bytes] {
            marked.extend(room[..bytes].iter().filter(|byte| **byte != 0));
        }
    }
}

#[test]
fn memory_stays_flat_while_a_large_file_is_sent() {
    let event_loop = EventLoop::builder().build().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the peer is another program, as far as the loop is concerned")]
    let reading = thread::spawn(move || drain(theirs));
    let inner = event_loop.clone();
    let main = async move {
        let (transport, _) = inner.create_connection_on(|| Silent, ours).await.unwrap();
        let (file, before) = (sparse_file(), anonymous_kib());
        assert_eq!(inner.sendfile(&transport, &file).await.unwrap(), BYTES);
        let grown = anonymous_kib().saturating_sub(before);
        transport.close();
        grown
    };
    let grown = event_loop.run_until_complete(main).unwrap();
    event_loop.run_until_blocked().unwrap();
    assert_eq!(reading.join().unwrap(), (BYTES, MARK.to_vec()));
    assert!(grown < 4 * 1024, "{grown} KiB more than before");
}
