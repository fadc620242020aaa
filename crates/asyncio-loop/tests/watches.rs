//! Watched descriptors, on the drivers that have a kernel.
#![cfg(unix)]

#[path = "support/log.rs"]
mod log;

use asyncio_driver::PollingDriver;
use asyncio_loop::EventLoop;
use log::Log;
use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

fn loops() -> [EventLoop; 3] {
    let polling = Box::new(PollingDriver::new().unwrap());
    [
        EventLoop::builder().build().unwrap(),
        EventLoop::builder().strict_order(true).build().unwrap(),
        EventLoop::builder().driver(polling).build().unwrap(),
    ]
}

/// A pair of which the first has something to read.
fn readable() -> (UnixStream, UnixStream) {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    theirs.write_all(b"x").unwrap();
    (ours, theirs)
}

/// One iteration that asks the driver and does not wait.
fn iterate(event_loop: &EventLoop) {
    event_loop.stop();
    event_loop.run_forever().unwrap();
}

// sem. 3
#[test]
fn a_ready_descriptor_comes_after_what_was_ready_and_before_due_timers() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        event_loop.call_later(-1, log.adds("timer"));
        let reader = log.clone();
        event_loop.add_reader(&ours, move || reader.add("descriptor")).unwrap();
        event_loop.call_soon(log.adds("soon"));
        iterate(&event_loop);
        assert_eq!(log.take(), ["soon", "descriptor", "timer"]);
    }
}

// sem. 4
#[test]
fn the_reader_of_a_descriptor_comes_before_its_writer() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        let (reader, writer) = (log.clone(), log.clone());
        event_loop.add_writer(&ours, move || writer.add("writer")).unwrap();
        event_loop.add_reader(&ours, move || reader.add("reader")).unwrap();
        iterate(&event_loop);
        assert_eq!(log.take(), ["reader", "writer"]);
    }
}

// sem. 20
#[test]
fn an_unread_descriptor_calls_back_again_and_again() {
    for event_loop in loops() {
        let log = Log::new();
        let (mut ours, _theirs) = readable();
        let reader = log.clone();
        event_loop.add_reader(&ours, move || reader.add(())).unwrap();
        for _ in 0..3 {
            iterate(&event_loop);
        }
        assert_eq!(log.take().len(), 3);
        ours.read_exact(&mut [0]).unwrap();
        iterate(&event_loop);
        assert_eq!(log.take().len(), 0);
    }
}

// sem. 18
#[test]
fn watching_again_replaces_one_direction_and_leaves_the_other() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        let held = Rc::new(());
        let (old, writer, new) = (held.clone(), log.clone(), log.clone());
        event_loop.add_reader(&ours, move || drop(Rc::clone(&old))).unwrap();
        event_loop.add_writer(&ours, move || writer.add("writer")).unwrap();
        event_loop.add_reader(&ours, move || new.add("new reader")).unwrap();
        assert_eq!(Rc::strong_count(&held), 1, "the old callback is dropped at once");
        iterate(&event_loop);
        assert_eq!(log.take(), ["new reader", "writer"]);
        assert!(event_loop.remove_reader(&ours));
        assert!(!event_loop.remove_reader(&ours));
        iterate(&event_loop);
        assert_eq!(log.take(), ["writer"]);
        assert!(event_loop.remove_writer(&ours));
        iterate(&event_loop);
        assert_eq!((log.take().len(), event_loop.statistics().watches), (0, 0));
    }
}

// sem. 18: also if the replaced one is in the ready queue already.
#[test]
fn a_replaced_or_removed_callback_is_not_called_any_more() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        let ours = Rc::new(ours);
        let (inner, fd, outer) = (event_loop.clone(), ours.clone(), log.clone());
        event_loop
            .add_reader(&*ours, {
                move || {
                    outer.add("reader");
                    assert!(inner.remove_writer(&*fd));
                }
            })
            .unwrap();
        let writer = log.clone();
        event_loop.add_writer(&*ours, move || writer.add("writer")).unwrap();
        iterate(&event_loop);
        assert_eq!(log.take(), ["reader"], "the writer was ready, and removed by the reader");

        let (old, inner, fd, outer) = (log.clone(), event_loop.clone(), ours.clone(), log.clone());
        event_loop.add_writer(&*ours, move || old.add("old writer")).unwrap();
        event_loop
            .add_reader(&*ours, move || {
                let new = outer.clone();
                inner.add_writer(&*fd, move || new.add("new writer")).unwrap();
            })
            .unwrap();
        iterate(&event_loop);
        assert_eq!(log.take(), [""; 0], "the old writer was ready, and replaced by the reader");
        assert!(event_loop.remove_reader(&*ours));
        iterate(&event_loop);
        assert_eq!(log.take(), ["new writer"]);
        event_loop.close().unwrap();
    }
}

#[test]
fn a_callback_may_remove_itself() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        let ours = Rc::new(ours);
        let (inner, fd, reader) = (event_loop.clone(), ours.clone(), log.clone());
        event_loop
            .add_reader(&*ours, move || {
                assert!(inner.remove_reader(&*fd));
                reader.add("once");
            })
            .unwrap();
        iterate(&event_loop);
        iterate(&event_loop);
        assert_eq!((log.take().len(), Rc::strong_count(&ours)), (1, 1), "and what it held is dropped");
    }
}

#[test]
fn a_callback_may_replace_itself() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        let ours = Rc::new(ours);
        let (inner, fd, first) = (event_loop.clone(), ours.clone(), log.clone());
        event_loop
            .add_reader(&*ours, move || {
                let second = first.clone();
                inner.add_reader(&*fd, move || second.add("second")).unwrap();
                first.add("first");
            })
            .unwrap();
        iterate(&event_loop);
        iterate(&event_loop);
        assert_eq!(log.take(), ["first", "second"]);
        assert_eq!(Rc::strong_count(&ours), 1);
    }
}

#[test]
fn a_panicking_callback_stays() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        let (reader, reports) = (log.clone(), log.clone());
        event_loop.set_exception_handler(move |_, report| reports.add(report.panic_message().unwrap().to_owned()));
        event_loop
            .add_reader(&ours, move || {
                reader.add("called".to_owned());
                panic!("as expected");
            })
            .unwrap();
        iterate(&event_loop);
        iterate(&event_loop);
        assert_eq!(log.take(), ["called", "as expected", "called", "as expected"]);
    }
}

#[test]
fn a_destructor_may_watch_again() {
    struct Watches(EventLoop, Rc<UnixStream>, Log<&'static str>);
    impl Drop for Watches {
        fn drop(&mut self) {
            let log = self.2.clone();
            self.0.add_writer(&*self.1, move || log.add("from a destructor")).unwrap();
            self.0.remove_reader(&*self.1);
        }
    }
    for event_loop in loops() {
        let log = Log::new();
        let (ours, _theirs) = readable();
        let ours = Rc::new(ours);
        for way in ["removed", "replaced"] {
            let held = Watches(event_loop.clone(), ours.clone(), log.clone());
            event_loop
                .add_reader(&*ours, move || {
                    let _held = &held;
                })
                .unwrap();
            if way == "removed" {
                assert!(event_loop.remove_reader(&*ours));
            } else {
                event_loop.add_reader(&*ours, || panic!("removed by the destructor")).unwrap();
            }
            iterate(&event_loop);
            assert_eq!(log.take(), ["from a destructor"], "{way}");
            assert!(event_loop.remove_writer(&*ours));
        }
    }
}

#[test]
fn a_refused_descriptor_changes_nothing_and_says_why() {
    let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
    for event_loop in loops() {
        let held = Rc::new(());
        let captured = held.clone();
        let error = event_loop.add_reader(&file, move || drop(Rc::clone(&captured))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("regular files"), "{error}");
        assert_eq!((event_loop.statistics().watches, Rc::strong_count(&held)), (0, 1));
        assert!(!event_loop.remove_reader(&file));
    }
}

#[test]
fn a_number_that_is_used_again_is_another_descriptor() {
    for event_loop in loops() {
        let log = Log::new();
        let (old, _theirs) = readable();
        let (reader, writer) = (log.clone(), log.clone());
        event_loop.add_reader(&old, move || reader.add("old reader")).unwrap();
        event_loop.add_writer(&old, move || writer.add("old writer")).unwrap();
        let new = replaced(old); // A mistake: it should have been removed first.
        let reader = log.clone();
        event_loop.add_reader(&new, move || reader.add("new reader")).unwrap();
        iterate(&event_loop);
        assert_eq!(log.take(), [""; 0], "there is nothing to read, and nobody asked for writability");
        assert!(!event_loop.remove_writer(&new), "the new descriptor has the writer of the old one");
        assert_eq!(event_loop.pending().len(), 1);
        assert!(event_loop.remove_reader(&new));
    }
}

/// Closes a descriptor and gives its number to another file, in one step: other tests open descriptors, too.
fn replaced(old: UnixStream) -> OwnedFd {
    let mut number = OwnedFd::from(old);
    let (ours, theirs) = UnixStream::pair().unwrap();
    rustix::io::dup2(&ours, &mut number).unwrap();
    // The other end stays open for as long as the test runs.
    std::mem::forget(theirs);
    number
}

#[test]
fn an_event_from_before_a_removal_finds_nobody() {
    for event_loop in loops() {
        let log = Log::new();
        let pairs: Vec<_> = (0..2).map(|_| readable()).collect();
        let fds: Rc<[UnixStream]> = pairs.iter().map(|(ours, _)| ours.try_clone().unwrap()).collect();
        for n in 0..2 {
            let (inner, fds, log, other) = (event_loop.clone(), fds.clone(), log.clone(), 1 - n);
            event_loop
                .add_reader(&fds.clone()[n], move || {
                    inner.remove_reader(&fds[n]);
                    inner.remove_reader(&fds[other]);
                    let again = log.clone();
                    inner.add_reader(&fds[other], move || again.add("again")).unwrap();
                    log.add("first");
                })
                .unwrap();
        }
        iterate(&event_loop);
        assert_eq!(log.take(), ["first"], "the event of the other one is from before it was watched again");
        iterate(&event_loop);
        assert_eq!(log.take(), ["again"]);
    }
}

#[test]
fn end_of_file_and_reset_are_ready() {
    for event_loop in loops() {
        let log = Log::new();
        let (ours, theirs) = UnixStream::pair().unwrap();
        drop(theirs);
        let (reader, writer) = (log.clone(), log.clone());
        event_loop.add_reader(&ours, move || reader.add("reader")).unwrap();
        event_loop.add_writer(&ours, move || writer.add("writer")).unwrap();
        iterate(&event_loop);
        assert_eq!(log.take(), ["reader", "writer"]);
    }
}

// sem. 17
#[test]
fn a_closed_loop_has_no_watches() {
    for event_loop in loops() {
        let (ours, _theirs) = readable();
        event_loop.add_reader(&ours, || ()).unwrap();
        event_loop.close().unwrap();
        assert!(!event_loop.remove_reader(&ours) && !event_loop.remove_writer(&ours));
        for error in [event_loop.add_reader(&ours, || ()), event_loop.add_writer(&ours, || ())] {
            assert_eq!(error.unwrap_err().to_string(), "event loop is closed");
        }
    }
}

/// Megabytes over a TCP connection, by readers and writers only.
#[test]
fn bytes_flow_both_ways() {
    const TOTAL: usize = 4 << 20;
    for event_loop in loops() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let (done, sums) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new((0_u64, 0_u64))));
        for stream in [client, server] {
            stream.set_nonblocking(true).unwrap();
            let (stream, sums) = (Rc::new(stream), sums.clone());
            let (inner, fd, sent, mut left) = (event_loop.clone(), stream.clone(), sums.clone(), TOTAL);
            let chunk: Vec<u8> = (0..=255).cycle().take(64 << 10).collect();
            event_loop
                .add_writer(&*stream, move || {
                    let end = chunk.len().min(left);
                    let n = (&*fd).write(&chunk[..end]).unwrap();
                    sent.borrow_mut().0 += chunk[..n].iter().map(|byte| u64::from(*byte)).sum::<u64>();
                    left -= n;
                    if left == 0 {
                        inner.remove_writer(&*fd);
                        fd.shutdown(std::net::Shutdown::Write).unwrap();
                    }
                })
                .unwrap();
            let (inner, fd, done, mut buffer) = (event_loop.clone(), stream.clone(), done.clone(), vec![0; 64 << 10]);
            event_loop
                .add_reader(&*stream, move || {
                    let n = (&*fd).read(&mut buffer).unwrap();
                    sums.borrow_mut().1 += buffer[..n].iter().map(|byte| u64::from(*byte)).sum::<u64>();
                    if n == 0 {
                        inner.remove_reader(&*fd);
                        done.set(done.get() + 1);
                        if done.get() == 2 {
                            inner.stop();
                        }
                    }
                })
                .unwrap();
        }
        event_loop.run_forever().unwrap();
        let (sent, received) = *sums.borrow();
        assert_eq!((sent, received), (2 * (TOTAL as u64 / 256) * (255 * 256 / 2), sent));
        assert_eq!(event_loop.pending(), []);
    }
}

#[test]
fn many_descriptors_are_all_called() {
    for event_loop in loops() {
        let log = Log::new();
        let pairs: Vec<_> = (0..300).map(|_| readable()).collect();
        for (n, (ours, _)) in pairs.iter().enumerate() {
            let log = log.clone();
            event_loop.add_reader(&ours.as_fd(), move || log.add(n)).unwrap();
        }
        // More than a driver's buffer holds.
        let mut called = Vec::new();
        while called.len() < 600 {
            iterate(&event_loop);
            called.extend(log.take());
        }
        called.sort_unstable();
        called.dedup();
        assert_eq!(called, (0..300).collect::<Vec<_>>());
    }
}
