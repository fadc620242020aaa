//! `Lookout`: a thread that speaks for a loop which hangs when a signal asks for a dump of its tasks.
//!
//! The signal is watched twice. The loop's own handler writes the full dump, as soon as it gets its turn. The lookout waits for the
//! same signal on a driver of its own, so it hears of it in any case; it gives the loop [`GRACE`], and if no dump has come by
//! then, it writes what can be known from outside: which step the loop is in, since when, and what the kernel says of its thread.
//!
//! Invariants:
//! 1. The lookout touches nothing of the loop's but its [`LoopProgress`], which is never locked while user code runs.
//! 2. Whenever it has said that the loop hangs, the loop's own dump still follows once the loop goes on.
//! 3. When a `Lookout` has been dropped, its thread and its watch of the signal are gone.

use asyncio_driver::{
    Deadline, Driver, LoopTime, Notify, Signal, SignalWatch, fork_generation, new_driver, watch_signal,
};
use asyncio_loop::{EventLoop, LoopProgress};
use std::fmt::{self, Write as _};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

/// How long a loop may take to begin with its dump before it is said to hang.
const GRACE: Duration = Duration::from_millis(200);

/// The thread; it ends when this is dropped.
pub(crate) struct Lookout {
    shared: Arc<Shared>,
    notifier: Arc<dyn Notify>,
    thread: Option<thread::JoinHandle<()>>,
    /// A forked child has no such thread to wait for.
    generation: u32,
}

/// What loop and lookout tell each other.
#[derive(Default)]
struct Shared {
    /// How many dumps the loop has written.
    dumps: AtomicU64,
    is_over: AtomicBool,
}

impl Lookout {
    /// Starts to look at the loop of this thread whenever `signal` comes in.
    pub(crate) fn start(event_loop: &EventLoop, signal: Signal) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (progress, kernel, inner) = (event_loop.progress(), KernelView::of_this_thread(), shared.clone());
        let (tell, told) = mpsc::sync_channel(1);
        let body = move || {
            // Drivers stay on their thread, so this one is made here.
            match Watcher::new(signal, inner, progress, kernel) {
                Ok(watcher) => {
                    // Nobody listens if the one who started this has panicked: then `is_over` is never set either.
                    if tell.send(Ok(watcher.driver.notifier())).is_ok() {
                        watcher.run();
                    }
                }
                Err(error) => drop(tell.send(Err(error))),
            }
        };
        let thread = thread::Builder::new().name(String::from("asyncio-lookout")).spawn(body)?;
        let notifier =
            told.recv().map_err(|_| io::Error::other("the thread that looks out for signals has died"))??;
        Ok(Self { shared, notifier, thread: Some(thread), generation: fork_generation() })
    }

    /// The loop has written its dump.
    pub(crate) fn dumped(&self) {
        // Release: pairs with the lookout's load.
        self.shared.dumps.fetch_add(1, Ordering::Release);
        self.notifier.notify();
    }
}

impl Drop for Lookout {
    fn drop(&mut self) {
        if self.generation != fork_generation() {
            return;
        }
        self.shared.is_over.store(true, Ordering::Release);
        self.notifier.notify();
        // It has only to notice; a panic of it has been printed.
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// What the thread has.
struct Watcher {
    driver: Box<dyn Driver>,
    watch: SignalWatch,
    shared: Arc<Shared>,
    progress: LoopProgress,
    kernel: KernelView,
}

impl Watcher {
    fn new(signal: Signal, shared: Arc<Shared>, progress: LoopProgress, kernel: KernelView) -> io::Result<Self> {
        let driver = new_driver()?;
        let watch = watch_signal(signal, driver.notifier())?;
        Ok(Self { driver, watch, shared, progress, kernel })
    }

    fn run(mut self) {
        let (mut events, mut debt) = (Vec::new(), Debt::default());
        loop {
            if let Err(error) = self.driver.wait(debt.deadline(), &mut events) {
                say(format_args!("no lookout for {} any more: {error}\n", self.watch.signal()));
                return;
            }
            if self.shared.is_over.load(Ordering::Acquire) {
                return;
            }
            // In this order: a dump that was written before the signal is seen here may be the answer to it.
            let is_asked = self.watch.take();
            let dumps = self.shared.dumps.load(Ordering::Acquire);
            let now = self.driver.now();
            if debt.is_overdue(is_asked, dumps, now) {
                say(format_args!("{}", self.report(now)));
            }
        }
    }

    /// What is known from outside of a loop that has not answered.
    fn report(&self, now: LoopTime) -> String {
        let mut text =
            format!("the event loop has not answered {} for {} ms\n", self.watch.signal(), GRACE.as_millis());
        let outcome = match self.progress.step() {
            Some(step) => {
                let millis = now.saturating_since(step.since).as_millis();
                match step.location {
                    Some(place) => writeln!(text, "    in one step for {millis} ms, of what was created at {place}"),
                    None => writeln!(text, "    in one iteration for {millis} ms"),
                }
            }
            None => writeln!(text, "    in no step: it waits for the system, or does not run"),
        };
        outcome.and_then(|()| writeln!(text, "{}", self.kernel)).expect("strings grow");
        text.push_str("    its tasks follow when it goes on\n");
        text
    }
}

/// Whether the loop owes a dump.
#[derive(Default)]
struct Debt {
    since: Option<LoopTime>,
    /// How many dumps had been written when it was looked last.
    dumps: u64,
}

impl Debt {
    /// When the loop is to be reported, unless something happens before.
    fn deadline(&self) -> Deadline {
        self.since.map_or(Deadline::Never, |since| Deadline::At(since + GRACE))
    }

    /// Takes note of what has happened since it was looked last: whether the signal has come in, and how many dumps there are now.
    /// `true`, once for each signal, if the loop has had its time and has not answered.
    fn is_overdue(&mut self, is_asked: bool, dumps: u64, now: LoopTime) -> bool {
        if is_asked {
            self.since.get_or_insert(now);
        }
        if self.dumps != dumps {
            self.dumps = dumps;
            self.since = None;
        }
        self.since.take_if(|since| now >= *since + GRACE).is_some()
    }
}

/// Writes to stderr, in one piece.
fn say(text: fmt::Arguments<'_>) {
    // Nobody is left to tell if stderr is closed.
    let _ = io::stderr().lock().write_all(text.to_string().as_bytes());
}

/// What the kernel says of a thread, where it has files about that: on Linux.
#[derive(Debug)]
struct KernelView {
    name: Option<String>,
    folder: Option<PathBuf>,
}

impl KernelView {
    fn of_this_thread() -> Self {
        let link = fs::read_link("/proc/thread-self").ok();
        Self {
            name: thread::current().name().map(String::from),
            folder: link.map(|link| Path::new("/proc").join(link)),
        }
    }

    /// One of the files of the thread, if the kernel has it and lets us see it.
    fn read(&self, file: &str) -> Option<String> {
        let content = fs::read_to_string(self.folder.as_ref()?.join(file)).ok()?;
        let content = content.trim();
        (!content.is_empty() && content != "0").then(|| content.to_owned())
    }
}

impl fmt::Display for KernelView {
    /// `    thread main (4711), sleeping, in system call 202, at futex_do_wait`, as much of it as is known.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    thread {}", self.name.as_deref().unwrap_or("without a name"))?;
        let number = self.folder.as_ref().and_then(|folder| folder.file_name());
        if let Some(number) = number.and_then(|number| number.to_str()) {
            write!(f, " ({number})")?;
        }
        // The name of the program stands before the state, in parentheses, and may contain anything.
        let state = self.read("stat").and_then(|stat| stat.rsplit_once(") ")?.1.chars().next());
        match state {
            Some('R') => f.write_str(", running")?,
            Some('S') => f.write_str(", sleeping")?,
            Some('D') => f.write_str(", waiting for a disk")?,
            Some('T' | 't') => f.write_str(", stopped")?,
            _ => {}
        }
        let call = self.read("syscall");
        let call = call.as_deref().and_then(|call| call.split_whitespace().next());
        if let Some(call) = call.filter(|call| call.bytes().all(|byte| byte.is_ascii_digit())) {
            write!(f, ", in system call {call}")?;
        }
        match self.read("wchan") {
            Some(place) => write!(f, ", at {place}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> LoopTime {
        LoopTime::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_loop_is_overdue_once_for_each_signal_when_its_time_is_over() {
        let mut debt = Debt::default();
        assert!(debt.deadline() == Deadline::Never && !debt.is_overdue(false, 0, at(0)));
        assert!(!debt.is_overdue(true, 0, at(100)));
        assert_eq!(debt.deadline(), Deadline::At(at(300)));
        // Another signal meanwhile gives no more time.
        assert!(!debt.is_overdue(true, 0, at(299)));
        assert!(debt.is_overdue(false, 0, at(300)));
        assert!(debt.deadline() == Deadline::Never && !debt.is_overdue(false, 0, at(900)));
        assert!(!debt.is_overdue(true, 0, at(1000)) && debt.is_overdue(false, 0, at(1200)));
    }

    #[test]
    fn a_dump_is_the_answer_whether_it_is_seen_after_the_signal_or_with_it() {
        let mut debt = Debt::default();
        assert!(!debt.is_overdue(true, 0, at(0)) && !debt.is_overdue(false, 1, at(200)));
        assert_eq!(debt.deadline(), Deadline::Never);
        assert!(!debt.is_overdue(true, 2, at(300)));
        assert_eq!(debt.deadline(), Deadline::Never);
        // One that comes late answers nothing that comes after it.
        assert!(!debt.is_overdue(true, 2, at(400)) && debt.is_overdue(false, 2, at(600)));
        assert!(!debt.is_overdue(false, 3, at(700)));
        assert!(!debt.is_overdue(true, 3, at(800)) && debt.is_overdue(false, 3, at(1000)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_is_asked_about_the_right_thread() {
        let text = KernelView::of_this_thread().to_string();
        assert!(text.starts_with("    thread lookout::tests::the_kernel_is_asked_about_the_right_thread ("), "{text}");
        assert!(text.contains(", running"), "{text}");
    }

    #[test]
    fn where_nothing_is_known_of_a_thread_nothing_is_said() {
        let unknown = KernelView { name: None, folder: None };
        assert_eq!(unknown.to_string(), "    thread without a name");
    }
}
