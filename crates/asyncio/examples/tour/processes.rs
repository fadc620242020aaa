//! Child processes: megabytes through a pipeline, many at once, and one that does not want to end.

use crate::{Done, say};
use asyncio::prelude::*;
use asyncio::subprocess::PIPE;
use asyncio::{SubprocessProtocol, SubprocessTransport};
use std::cell::RefCell;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::rc::Rc;

const MEBIBYTES: usize = 16;
const AT_ONCE: u32 = 100;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        through_a_child().await?;
        many_at_once().await?;
        one_that_is_cancelled().await?;
        by_callbacks().await?;
        Ok(Done::new(AT_ONCE as usize + 4, "child processes, none of them left"))
    })
}

async fn through_a_child() -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let begin = event_loop.time();
    let mut cat = asyncio::create_subprocess_exec("cat", [] as [&str; 0]).stdin(PIPE).stdout(PIPE).await?;
    let input: Vec<u8> = (0..MEBIBYTES << 20).map(|place| (place % 251) as u8).collect();
    let output = cat.communicate(Some(&input)).await?;
    assert!(output.status.success() && output.stdout == input, "not all bytes came back, or not in order");
    let seconds = event_loop.time() - begin;
    say(format_args!("{MEBIBYTES} MiB through `cat` and back: {:.0} MiB/s", MEBIBYTES as f64 / seconds));
    Ok(())
}

async fn many_at_once() -> io::Result<()> {
    let children = (0..AT_ONCE).map(|number| async move {
        let script = format!("read line; echo \"$line, child {number}\"");
        asyncio::run_process("sh", ["-c", &script]).input("hello\n").capture_output(true).await
    });
    for (number, output) in asyncio::gather(children.collect::<Vec<_>>()).await.into_iter().enumerate() {
        assert_eq!(output?.stdout, format!("hello, child {number}\n"));
    }
    say(format_args!("{AT_ONCE} children at once, and every answer is the right one"));
    Ok(())
}

/// Asked to end, it does not; so it is killed, and the cancellation goes on only then.
async fn one_that_is_cancelled() -> io::Result<()> {
    let (out, into) = io::pipe()?;
    let script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    let stubborn = asyncio::run_process("sh", ["-c", script]).stdout(into).process_group(0).grace(0.05);
    let task = asyncio::create_task(async move { stubborn.await });
    let mut said = asyncio::open_read_pipe(out).await?;
    assert_eq!(said.readline().await.map_err(io::Error::from)?, "ready\n");
    assert!(task.cancel() && task.await.is_err());
    assert_eq!(said.read(-1).await?, "", "the pipe ends with the last of its writers");
    say(format_args!("a child that ignores TERM is killed when its task is cancelled"));
    Ok(())
}

struct Listener {
    heard: Vec<u8>,
    status: Option<std::process::ExitStatus>,
    transport: Option<SubprocessTransport>,
    over: asyncio::Future<()>,
}

impl SubprocessProtocol for Listener {
    fn connection_made(&mut self, transport: &SubprocessTransport) {
        self.transport = Some(transport.clone());
    }
    fn pipe_data_received(&mut self, _fd: i32, data: &[u8]) {
        self.heard.extend_from_slice(data);
        if let Some(transport) = &self.transport {
            transport.terminate().expect("it has just spoken");
        }
    }
    fn process_exited(&mut self) {
        self.status = self.transport.as_ref().and_then(SubprocessTransport::get_returncode);
    }
    fn connection_lost(&mut self, _: Option<io::Error>) {
        self.over.set_result(()).expect("told once");
    }
}

async fn by_callbacks() -> io::Result<()> {
    let event_loop = asyncio::get_running_loop();
    let over = event_loop.create_future();
    let listener = || Listener { heard: Vec::new(), status: None, transport: None, over: over.clone() };
    let start = event_loop.subprocess_shell(listener, "echo here I am; exec sleep 60");
    let (_, protocol): (_, Rc<RefCell<Listener>>) = start.await?;
    over.await?;
    let protocol = protocol.borrow();
    assert_eq!((&protocol.heard[..], protocol.status.and_then(|it| it.signal())), (&b"here I am\n"[..], Some(15)));
    say(format_args!("a child and its pipes, by callbacks in asyncio's order"));
    Ok(())
}
