//! Endpoints on pipes, FIFOs, terminals and sockets, and what becomes of descriptors that somebody else has, too.

#![cfg(unix)]

use asyncio_driver::{Driver, OsPipe, PipeEnd, PollingDriver, StreamEndpoint, new_driver};
use rustix::fs::{Mode, OFlags, fcntl_getfl};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

fn drivers() -> [Box<dyn Driver>; 2] {
    [new_driver().unwrap(), Box::new(PollingDriver::new().unwrap())]
}

fn adopt(driver: &mut dyn Driver, pipe: impl Into<OsPipe>, end: PipeEnd) -> Box<dyn StreamEndpoint> {
    let endpoint = driver.adopt_pipe(pipe.into(), end).unwrap();
    assert_eq!(endpoint.pipe_end(), Some(end));
    endpoint
}

fn kind<T>(outcome: io::Result<T>) -> Option<io::ErrorKind> {
    outcome.err().map(|error| error.kind())
}

fn is_non_blocking(fd: impl AsFd) -> bool {
    fcntl_getfl(fd).unwrap().contains(OFlags::NONBLOCK)
}

/// Writes until there is no room; gives how many bytes went in.
fn fill(endpoint: &mut dyn StreamEndpoint) -> usize {
    let mut sum = 0;
    loop {
        match endpoint.send(&[IoSlice::new(&[b'x'; 4096]), IoSlice::new(b"yz")]) {
            Ok(count) => sum += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                return sum;
            }
        }
    }
}

#[test]
fn bytes_come_out_and_then_the_end() {
    for mut driver in drivers() {
        let (out, mut into) = io::pipe().unwrap();
        let mut endpoint = adopt(&mut *driver, out, PipeEnd::Read);
        let mut scratch = [0; 16];
        assert_eq!(kind(endpoint.recv(&mut scratch)), Some(io::ErrorKind::WouldBlock));
        into.write_all(b"abc").unwrap();
        assert_eq!(endpoint.recv(&mut scratch).unwrap(), b"abc");
        drop(into);
        assert_eq!(endpoint.recv(&mut scratch).unwrap(), b"");
        assert_eq!(kind(endpoint.send(&[IoSlice::new(b"x")])), Some(io::ErrorKind::Unsupported));
    }
}

#[test]
fn a_writer_blocks_when_the_pipe_is_full_and_learns_that_its_reader_is_gone() {
    for mut driver in drivers() {
        let (mut out, into) = io::pipe().unwrap();
        let mut endpoint = adopt(&mut *driver, into, PipeEnd::Write);
        let bytes = fill(&mut *endpoint);
        let mut received = vec![0; bytes];
        out.read_exact(&mut received).unwrap();
        assert!(bytes >= 4098 && received.starts_with(&[b'x'; 4096]) && received[4096..].starts_with(b"yz"));
        assert_eq!(kind(endpoint.recv(&mut [0])), Some(io::ErrorKind::WouldBlock), "its reader is there");
        drop(out);
        assert_eq!(endpoint.recv(&mut [0]).unwrap(), b"");
        assert_eq!(kind(endpoint.send(&[IoSlice::new(b"x")])), Some(io::ErrorKind::BrokenPipe));
    }
}

#[test]
fn a_socket_is_a_pipe_and_is_never_touched() {
    for mut driver in drivers() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let shared = ours.try_clone().unwrap();
        let mut endpoint = adopt(&mut *driver, ours, PipeEnd::Write);
        fill(&mut *endpoint);
        (&theirs).write_all(b"not for the writer").unwrap();
        assert_eq!(kind(endpoint.recv(&mut [0; 64])), Some(io::ErrorKind::WouldBlock));
        let mut reader = adopt(&mut *driver, shared.try_clone().unwrap(), PipeEnd::Read);
        assert_eq!(reader.recv(&mut [0; 64]).unwrap(), b"not for the writer");
        assert_eq!(kind(reader.recv(&mut [0; 64])), Some(io::ErrorKind::WouldBlock));
        assert!(!is_non_blocking(&shared));
        drop(theirs);
        assert_eq!(endpoint.recv(&mut [0]).unwrap(), b"");
    }
}

#[test]
fn what_is_no_pipe_is_refused() {
    // sem. 219
    for mut driver in drivers() {
        for end in [PipeEnd::Read, PipeEnd::Write] {
            let error = driver.adopt_pipe(File::open("Cargo.toml").unwrap().into(), end).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("a regular file"), "{error}");
            assert_eq!(
                kind(driver.adopt_pipe(File::open("src").unwrap().into(), end)),
                Some(io::ErrorKind::InvalidInput)
            );
        }
    }
}

#[test]
fn whoever_shares_a_pipe_still_blocks() {
    for mut driver in drivers() {
        let (out, into) = io::pipe().unwrap();
        let (shared_out, shared_into) = (out.try_clone().unwrap(), into.try_clone().unwrap());
        let mut reader = adopt(&mut *driver, out, PipeEnd::Read);
        let mut writer = adopt(&mut *driver, into, PipeEnd::Write);
        assert_eq!(kind(reader.recv(&mut [0])), Some(io::ErrorKind::WouldBlock));
        fill(&mut *writer);
        if cfg!(target_os = "linux") {
            assert!(!is_non_blocking(&shared_out) && !is_non_blocking(&shared_into), "while the endpoints live");
        }
        drop((reader, writer));
        assert!(!is_non_blocking(&shared_out) && !is_non_blocking(&shared_into));
    }
}

#[test]
fn a_pipe_that_was_opened_again_tells_of_its_end() {
    // Its last writer has left before the endpoint is made.
    for mut driver in drivers() {
        let (out, mut into) = io::pipe().unwrap();
        into.write_all(b"last words").unwrap();
        drop(into);
        let mut reader = adopt(&mut *driver, out, PipeEnd::Read);
        assert_eq!(reader.recv(&mut [0; 64]).unwrap(), b"last words");
        assert_eq!(reader.recv(&mut [0; 64]).unwrap(), b"");
    }
}

/// A FIFO in the file system; removed when dropped.
struct Fifo(PathBuf);

impl Fifo {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("asyncio-pipes-{}-{name}", std::process::id()));
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::from(0o600), 0).unwrap();
        Self(path)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn a_fifo_is_given_back_as_it_came() {
    for (number, mut driver) in drivers().into_iter().enumerate() {
        let fifo = Fifo::new(&number.to_string());
        let nonblock = i32::try_from(OFlags::NONBLOCK.bits()).unwrap();
        let out = OpenOptions::new().read(true).custom_flags(nonblock).open(&fifo.0).unwrap();
        let into = OpenOptions::new().write(true).open(&fifo.0).unwrap();
        let (shared_out, shared_into) = (out.try_clone().unwrap(), into.try_clone().unwrap());
        let mut reader = adopt(&mut *driver, out, PipeEnd::Read);
        let mut writer = adopt(&mut *driver, into, PipeEnd::Write);
        let bytes = fill(&mut *writer);
        assert!(reader.recv(&mut vec![0; bytes + 1]).unwrap().len() <= bytes);
        drop((reader, writer));
        assert!(is_non_blocking(&shared_out), "it was non-blocking before");
        assert!(!is_non_blocking(&shared_into), "it was not");
    }
}

/// Both ends of a pseudo-terminal; what is written is not echoed.
fn terminal() -> (OwnedFd, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let user: File = rustix::fs::open(&*name, flags, Mode::empty()).unwrap().into();
    let mut modes = tcgetattr(&user).unwrap();
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&user, OptionalActions::Now, &modes).unwrap();
    (controller, user)
}

#[test]
fn a_terminal_is_read_line_by_line_and_stays_as_it_was() {
    for mut driver in drivers() {
        let (controller, user) = terminal();
        let mut keyboard = File::from(controller.try_clone().unwrap());
        let mut reader = adopt(&mut *driver, user.try_clone().unwrap(), PipeEnd::Read);
        let mut writer = adopt(&mut *driver, user.try_clone().unwrap(), PipeEnd::Write);
        assert_eq!(kind(reader.recv(&mut [0; 64])), Some(io::ErrorKind::WouldBlock));
        keyboard.write_all(b"one\ntwo\n").unwrap();
        assert_eq!(reader.recv(&mut [0; 64]).unwrap(), b"one\n");
        assert_eq!(kind(writer.recv(&mut [0; 64])), Some(io::ErrorKind::WouldBlock), "the writer takes no input away");
        assert_eq!(reader.recv(&mut [0; 64]).unwrap(), b"two\n");
        assert_eq!(writer.send(&[IoSlice::new(b"prompt")]).unwrap(), 6);
        let mut screen = [0; 6];
        keyboard.read_exact(&mut screen).unwrap();
        assert_eq!(&screen, b"prompt");
        if cfg!(target_os = "linux") {
            assert!(!is_non_blocking(&user), "while the endpoints live");
        }
        drop((reader, writer));
        assert!(!is_non_blocking(&user));
    }
}

#[test]
fn the_controlling_end_of_a_terminal_is_not_opened_again() {
    // Opening `/dev/ptmx` would make another terminal.
    for mut driver in drivers() {
        let (controller, mut user) = terminal();
        let shared = controller.try_clone().unwrap();
        let mut reader = adopt(&mut *driver, controller, PipeEnd::Read);
        user.write_all(b"hello").unwrap();
        assert_eq!(reader.recv(&mut [0; 64]).unwrap(), b"hello");
        drop(reader);
        assert!(!is_non_blocking(&shared));
    }
}
