//! Children as transports and protocols: what is told, and in which order.

#![cfg(unix)]

#[path = "support/children.rs"]
mod children;

use asyncio_driver::Signal;
use asyncio_loop::{EventLoop, get_running_loop};
use asyncio_subprocess::{DEVNULL, INHERIT, LoopSubprocessExt as _, PIPE, SubprocessProtocol, SubprocessTransport};
use asyncio_tasks::{LoopTasksExt as _, WaitQueue};
use children::run;
use std::cell::RefCell;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;

/// What happened, and who waits for more. Clones are the same record.
#[derive(Clone, Default)]
struct Record(Rc<State>);

#[derive(Default)]
struct State {
    events: RefCell<Vec<String>>,
    received: RefCell<[Vec<u8>; 3]>,
    news: WaitQueue,
}

impl Record {
    fn add(&self, event: String) {
        self.0.events.borrow_mut().push(event);
        self.0.news.wake_all();
    }

    fn events(&self) -> Vec<String> {
        self.0.events.borrow().clone()
    }

    async fn until(&self, event: &str) {
        while !self.0.events.borrow().iter().any(|seen| seen == event) {
            self.0.news.wait().await;
        }
    }
}

type Reaction = Box<dyn Fn(&SubprocessTransport)>;

/// Writes everything down; reacts to `connection_made` and to bytes.
#[derive(Default)]
struct Recorder {
    record: Record,
    transport: Option<SubprocessTransport>,
    on_made: Option<Reaction>,
    on_data: Option<Reaction>,
}

impl SubprocessProtocol for Recorder {
    fn connection_made(&mut self, transport: &SubprocessTransport) {
        self.record.add("made".into());
        self.transport = Some(transport.clone());
        if let Some(react) = &self.on_made {
            react(transport);
        }
    }

    fn pipe_data_received(&mut self, fd: i32, data: &[u8]) {
        let place = usize::try_from(fd).unwrap();
        self.record.0.received.borrow_mut()[place].extend_from_slice(data);
        if let (Some(react), Some(transport)) = (&self.on_data, &self.transport) {
            react(transport);
        }
    }

    fn pipe_connection_lost(&mut self, fd: i32, error: Option<io::Error>) {
        self.record.add(format!("pipe {fd} lost {:?}", error.map(|error| error.kind())));
    }

    fn process_exited(&mut self) {
        let status = self.transport.as_ref().unwrap().get_returncode().unwrap();
        self.record.add(format!("exited {:?} {:?}", status.code(), status.signal()));
    }

    fn connection_lost(&mut self, error: Option<io::Error>) {
        self.record.add(format!("lost {:?}", error.map(|error| error.kind())));
    }

    fn pause_writing(&mut self) {
        self.record.add("pause".into());
    }

    fn resume_writing(&mut self) {
        self.record.add("resume".into());
    }
}

/// Positions in the record of all but the first and the last event, which are checked.
#[track_caller]
fn check_ends(record: &Record) -> Vec<String> {
    let mut events = record.events();
    assert_eq!(events.remove(0), "made");
    assert_eq!(events.pop().as_deref(), Some("lost None"));
    events.sort();
    events
}

#[test]
fn made_is_first_and_lost_is_last() {
    // sem. 256, 257
    run(async {
        let (_, protocol) =
            get_running_loop().subprocess_shell(Recorder::default, "echo out; echo err >&2; exit 4").await.unwrap();
        let record = protocol.borrow().record.clone();
        assert_eq!(record.events()[0], "made", "it is told before the creation is back");
        record.until("lost None").await;
        let expected = ["exited Some(4) None", "pipe 0 lost None", "pipe 1 lost None", "pipe 2 lost None"];
        assert_eq!(check_ends(&record), expected);
        assert_eq!(&record.0.received.borrow()[1..], [b"out\n".to_vec(), b"err\n".to_vec()]);
    });
}

#[test]
fn pipes_are_transports() {
    run(async {
        let event_loop = get_running_loop();
        let (transport, protocol) =
            event_loop.subprocess_exec(Recorder::default, "cat", [] as [&str; 0]).stderr(INHERIT).await.unwrap();
        let record = protocol.borrow().record.clone();
        assert!(transport.get_pipe_transport(2).is_none() && transport.get_pipe_transport(3).is_none());
        assert!(transport.get_pipe_transport(-1).is_none() && transport.get_pipe_transport(1).is_some());
        assert!(transport.get_loop().is_same(&event_loop) && transport.get_pid() > 0);
        let stdin = transport.get_pipe_transport(0).unwrap();
        stdin.write(b"through the cat");
        stdin.write_eof().unwrap();
        record.until("lost None").await;
        assert_eq!(check_ends(&record), ["exited Some(0) None", "pipe 0 lost None", "pipe 1 lost None"]);
        assert_eq!(record.0.received.borrow()[1], b"through the cat");
        assert_eq!(transport.kill().unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_grandchild_delays_the_end_but_not_the_exit() {
    // sem. 258
    run(async {
        let script = "sleep 1000 <&- 2>&- & echo $!";
        let (_, protocol) = get_running_loop().subprocess_shell(Recorder::default, script).await.unwrap();
        let record = protocol.borrow().record.clone();
        record.until("exited Some(0) None").await;
        record.until("pipe 2 lost None").await;
        assert!(
            !record.events().contains(&"lost None".into()) && !record.events().contains(&"pipe 1 lost None".into())
        );
        let pid = String::from_utf8(record.0.received.borrow()[1].clone()).unwrap().trim().parse().unwrap();
        asyncio_driver::send_signal(pid, Signal::KILL).unwrap();
        record.until("lost None").await;
        check_ends(&record);
    });
}

#[test]
fn close_kills_the_child() {
    // sem. 264
    run(async {
        let (transport, protocol) =
            get_running_loop().subprocess_exec(Recorder::default, "sleep", ["1000"]).await.unwrap();
        let record = protocol.borrow().record.clone();
        assert!(!transport.is_closing());
        transport.close();
        transport.close();
        assert!(transport.is_closing());
        record.until("lost None").await;
        let expected = ["exited None Some(9)", "pipe 0 lost None", "pipe 1 lost None", "pipe 2 lost None"];
        assert_eq!(check_ends(&record), expected);
    });
}

#[test]
fn the_loop_owns_the_conversation_until_it_is_over() {
    run(async {
        let record = Record::default();
        let start = get_running_loop()
            .subprocess_shell(|| Recorder { record: record.clone(), ..Recorder::default() }, "echo on its own")
            .stdin(DEVNULL)
            .stderr(DEVNULL);
        drop(start.await.unwrap());
        record.until("lost None").await;
        assert_eq!(check_ends(&record), ["exited Some(0) None", "pipe 1 lost None"]);
        assert_eq!(record.0.received.borrow()[1], b"on its own\n");
    });
}

#[test]
fn writing_in_a_callback_pauses_after_it() {
    run(async {
        let write = |transport: &SubprocessTransport| {
            transport.get_pipe_transport(0).unwrap().write(&[b'x'; 1 << 20]);
            // `pause_writing` comes when this is back: the protocol is in use.
        };
        let recorder = Recorder { on_made: Some(Box::new(write)), ..Recorder::default() };
        let (transport, protocol) =
            get_running_loop().subprocess_shell(move || recorder, "exec wc -c").stdin(PIPE).await.unwrap();
        let record = protocol.borrow().record.clone();
        record.until("pause").await;
        record.until("resume").await;
        transport.get_pipe_transport(0).unwrap().close();
        record.until("lost None").await;
        assert_eq!(&record.events()[..3], ["made", "pause", "resume"]);
        assert_eq!(record.0.received.borrow()[1].trim_ascii(), b"1048576");
    });
}

#[test]
fn a_callback_may_close_its_own_transport_or_panic() {
    let event_loop = EventLoop::builder().build().unwrap();
    let reports = Rc::new(RefCell::new(Vec::new()));
    let heard = reports.clone();
    event_loop.set_exception_handler(move |_, context| heard.borrow_mut().push(context.message().to_owned()));
    event_loop
        .run_until_complete(async {
            let panics = |transport: &SubprocessTransport| {
                transport.close();
                panic!("in a callback");
            };
            let recorder = Recorder { on_data: Some(Box::new(panics)), ..Recorder::default() };
            let (_, protocol) =
                get_running_loop().subprocess_shell(move || recorder, "echo x; exec sleep 1000").await.unwrap();
            let record = protocol.borrow().record.clone();
            record.until("lost None").await;
            assert!(check_ends(&record).contains(&"exited None Some(9)".into()));
        })
        .unwrap();
    assert_eq!(*reports.borrow(), ["protocol.pipe_data_received() panicked"]);
    event_loop.close().unwrap();
}

#[test]
fn another_protocol_may_take_over() {
    run(async {
        let (transport, first) =
            get_running_loop().subprocess_exec(Recorder::default, "cat", [] as [&str; 0]).await.unwrap();
        let second = Rc::new(RefCell::new(Recorder { transport: Some(transport.clone()), ..Recorder::default() }));
        transport.set_protocol(&second);
        transport.get_pipe_transport(0).unwrap().close();
        let record = second.borrow().record.clone();
        record.until("lost None").await;
        assert_eq!(first.borrow().record.events(), ["made"]);
        assert_eq!(record.events().len(), 5);
    });
}

#[test]
fn a_start_that_fails_makes_no_child() {
    run(async {
        let start = get_running_loop().subprocess_exec(Recorder::default, "/no/such/program", [] as [&str; 0]);
        assert_eq!(start.await.err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
    });
}
