//! Who awaits whom: the call graph of tasks, and a dump of all that are unfinished.
//!
//! Nothing is recorded for this while a program runs: it is read off the waits, the callbacks and the groups that there are
//! anyway, at the moment when somebody asks. Asking costs time in proportion to the number of tasks.
//!
//! Absent on purpose: frames. A suspended coroutine is a value, not a stack; what is known of it is its type, where its task was
//! created, and what it waits for. And a loop that hangs inside a callback cannot look at itself: that is what `lookout` is for.

use crate::current::current;
use crate::lookout::Lookout;
use crate::loop_tasks::LoopTasks;
use crate::raw::{Header, TaskRef};
use crate::task::AnyTask;
use crate::task_state::Flags;
use crate::waits::{self, Awaited};
use asyncio_driver::Signal;
use asyncio_loop::{EventLoop, get_running_loop};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, Write as _};
use std::panic::Location;
use std::ptr::NonNull;

/// A task, who awaits it, who awaits those, and so on. A picture of the moment when it was taken.
///
/// Its `Display` is a tree of lines, as [`format_call_graph`] gives it.
///
/// # asyncio
///
/// [`asyncio.FutureCallGraph`](https://docs.python.org/3/library/asyncio-graph.html#asyncio.FutureCallGraph). Differs: in place of
/// frames it has the type of the coroutine and the place where the task was created.
#[derive(Clone, Debug)]
pub struct FutureCallGraph {
    task: AnyTask,
    awaited_by: Vec<Self>,
    is_cyclic: bool,
}

impl FutureCallGraph {
    /// The task.
    #[must_use]
    pub const fn task(&self) -> &AnyTask {
        &self.task
    }

    /// Those who await the task, oldest first: by awaiting it, by `gather`, `wait`, `shield`, or as the owner of its group.
    #[must_use]
    pub fn awaited_by(&self) -> &[Self] {
        &self.awaited_by
    }

    /// Whether the task is among those whom it awaits, so that the graph is cut here.
    #[must_use]
    pub const fn is_cyclic(&self) -> bool {
        self.is_cyclic
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        let task = &self.task;
        let cycle = if self.is_cyclic { ", which closes a cycle" } else { "" };
        writeln!(f, "{:indent$}* Task(name={:?}){cycle}", "", task.get_name())?;
        writeln!(f, "{:indent$}  + Coroutine:", "")?;
        writeln!(f, "{:indent$}  |   {}, created at {}", "", task.coroutine_name(), task.location())?;
        if !self.awaited_by.is_empty() {
            writeln!(f, "{:indent$}  + Awaited by:", "")?;
            for graph in &self.awaited_by {
                graph.write(f, indent + 5)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for FutureCallGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// The call graph of `task`, or of the task that is running; `None` in a plain callback.
///
/// # Panics
///
/// Without a task, if no loop is running in this thread.
///
/// # asyncio
///
/// [`asyncio.capture_call_graph`](https://docs.python.org/3/library/asyncio-graph.html#asyncio.capture_call_graph). Differs: of
/// tasks; a coroutine has no frames to limit.
#[must_use]
#[track_caller]
pub fn capture_call_graph(task: Option<&AnyTask>) -> Option<FutureCallGraph> {
    let task = match task {
        Some(task) => task.clone(),
        None => {
            let _must_run = get_running_loop();
            AnyTask { task: current()? }
        }
    };
    let mut edges = Edges::of(&task.task.state.tasks);
    let number = edges.number(&task.task);
    Some(edges.graph(number, &mut Vec::new()))
}

/// The call graph of `task`, or of the task that is running, as text; empty in a plain callback.
///
/// # Panics
///
/// As [`capture_call_graph`].
///
/// # asyncio
///
/// [`asyncio.format_call_graph`](https://docs.python.org/3/library/asyncio-graph.html#asyncio.format_call_graph).
#[must_use]
#[track_caller]
pub fn format_call_graph(task: Option<&AnyTask>) -> String {
    capture_call_graph(task).map(|graph| graph.to_string()).unwrap_or_default()
}

/// Writes the call graph of `task`, or of the task that is running, to the standard output.
///
/// # Panics
///
/// As [`capture_call_graph`].
///
/// # asyncio
///
/// [`asyncio.print_call_graph`](https://docs.python.org/3/library/asyncio-graph.html#asyncio.print_call_graph). Same; `file=` is
/// what [`format_call_graph`] is for.
#[track_caller]
pub fn print_call_graph(task: Option<&AnyTask>) {
    // Nobody is left to tell if stdout is closed.
    let _ = io::stdout().lock().write_all(format_call_graph(task).as_bytes());
}

/// What the unfinished tasks of the running loop are at, oldest first.
///
/// # Panics
///
/// If no loop is running in this thread; [`LoopTasksExt::dump_tasks`](crate::LoopTasksExt::dump_tasks) takes any.
///
/// # asyncio
///
/// None inside a process; `python -m asyncio ps` and `pstree` look at another one.
#[must_use]
#[track_caller]
pub fn dump_tasks() -> TaskDump {
    TaskDump::of(&LoopTasks::running())
}

/// Writes a dump of the tasks to stderr each time `signal` comes in, and word of a loop that hangs.
#[track_caller]
pub(crate) fn dump_on(event_loop: &EventLoop, signal: Signal) -> io::Result<()> {
    let lookout = Lookout::start(event_loop, signal)?;
    event_loop.add_signal_handler(signal, move || {
        // Nobody is left to tell if stderr is closed.
        let _ = write!(io::stderr().lock(), "{}", dump_tasks());
        lookout.dumped();
    })
}

/// The unfinished tasks of a loop, and what they are at; see [`dump_tasks`]. Its `Display` has some lines for each.
#[derive(Clone, Debug)]
pub struct TaskDump {
    tasks: Vec<DumpedTask>,
}

/// One task of a [`TaskDump`].
#[derive(Clone, Debug)]
pub struct DumpedTask {
    task: AnyTask,
    state: DumpedState,
    awaits: Vec<AnyTask>,
    awaited_by: Vec<AnyTask>,
    futures: Vec<&'static Location<'static>>,
    locks: Vec<AwaitedLock>,
    /// Waits for a queue (that of a condition, say) or for the time.
    others: usize,
}

/// A lock that a task of a [`TaskDump`] waits for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AwaitedLock {
    /// The unfinished task of the same loop that holds it, if it is one.
    pub holder: Option<AnyTask>,
    /// Where that task has acquired it.
    pub acquired_at: &'static Location<'static>,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DumpedState {
    /// One of its steps is running.
    Running,
    /// Its next step is in the ready queue.
    Ready,
    /// It waits.
    Waiting,
}

impl TaskDump {
    pub(crate) fn of(tasks: &LoopTasks) -> Self {
        let edges = Edges::of(tasks);
        Self { tasks: (0..edges.own).map(|number| edges.dumped(number)).collect() }
    }

    /// The tasks, oldest first.
    #[must_use]
    pub fn tasks(&self) -> &[DumpedTask] {
        &self.tasks
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Tasks that wait for one another in a circle, if there are any: each for the next, the last for the first.
    #[must_use]
    pub fn cycle(&self) -> Option<Vec<AnyTask>> {
        let numbers = self.tasks.iter().enumerate().map(|(number, dumped)| (dumped.task.task.address(), number));
        let numbers: BTreeMap<_, _> = numbers.collect();
        // A task that waits for several at once is stuck if it is stuck with the first.
        let next = |number: usize| {
            let DumpedTask { awaits, locks, .. } = &self.tasks[number];
            let awaited = awaits.first().or_else(|| locks.first()?.holder.as_ref())?;
            numbers.get(&awaited.task.address()).copied()
        };
        // Which walk has come by each task, so that none is walked twice.
        let mut walks = vec![None; self.tasks.len()];
        for walk in 0..self.tasks.len() {
            let mut at = Some(walk);
            while let Some(number) = at.filter(|number| walks[*number].is_none()) {
                walks[number] = Some(walk);
                at = next(number);
            }
            if let Some(start) = at.filter(|number| walks[*number] == Some(walk)) {
                let circle = std::iter::successors(next(start), |number| next(*number));
                let rest = circle.take_while(|number| *number != start);
                return Some(
                    std::iter::once(start).chain(rest).map(|number| self.tasks[number].task.clone()).collect(),
                );
            }
        }
        None
    }
}

impl DumpedTask {
    /// The task.
    #[must_use]
    pub const fn task(&self) -> &AnyTask {
        &self.task
    }

    /// What it is doing.
    #[must_use]
    pub const fn state(&self) -> DumpedState {
        self.state
    }

    /// The unfinished tasks that it waits for.
    #[must_use]
    pub fn awaits(&self) -> &[AnyTask] {
        &self.awaits
    }

    /// Those who wait for it.
    #[must_use]
    pub fn awaited_by(&self) -> &[AnyTask] {
        &self.awaited_by
    }

    /// The locks that it waits for. (Of those in other queues, a semaphore's say, nothing is known.)
    #[must_use]
    pub fn awaited_locks(&self) -> &[AwaitedLock] {
        &self.locks
    }

    /// Where the loop futures were created that it waits for.
    #[must_use]
    pub fn awaited_futures(&self) -> &[&'static Location<'static>] {
        &self.futures
    }
}

impl fmt::Display for DumpedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Waiting => "waiting",
        })
    }
}

impl fmt::Display for AwaitedLock {
    /// `a lock held by Task-1, acquired at src/main.rs:7:9`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a lock")?;
        if let Some(holder) = &self.holder {
            write!(f, " held by {}", holder.get_name())?;
        }
        write!(f, ", acquired at {}", self.acquired_at)
    }
}

impl fmt::Display for TaskDump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.tasks.len() == 1 { "" } else { "s" };
        writeln!(f, "{} unfinished task{plural}", self.tasks.len())?;
        for task in &self.tasks {
            write!(f, "{task}")?;
        }
        if let Some(cycle) = self.cycle() {
            writeln!(f, "these wait for one another in a circle:")?;
            for task in cycle {
                writeln!(f, "  {} created at {}", task.get_name(), task.location())?;
                let dumped =
                    self.tasks.iter().find(|dumped| dumped.task == task).filter(|dumped| dumped.awaits.is_empty());
                if let Some(lock) = dumped.and_then(|dumped| dumped.locks.first()) {
                    writeln!(f, "    waits for {lock}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for DumpedTask {
    /// Some lines: name, state and place; what it waits for; who waits for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let task = &self.task;
        let cancelling = if task.cancelling() > 0 { ", cancelling" } else { "" };
        writeln!(f, "{}: {}{cancelling}, created at {}", task.get_name(), self.state, task.location())?;
        writeln!(f, "    runs {}", task.coroutine_name())?;
        for awaited in &self.awaits {
            writeln!(f, "    waits for {}", awaited.get_name())?;
        }
        for location in &self.futures {
            writeln!(f, "    waits for a future created at {location}")?;
        }
        for lock in &self.locks {
            writeln!(f, "    waits for {lock}")?;
        }
        match self.others {
            0 => {}
            1 => writeln!(f, "    waits in a queue or for the time")?,
            others => writeln!(f, "    waits in {others} queues or for the time")?,
        }
        for waiter in &self.awaited_by {
            writeln!(f, "    awaited by {}", waiter.get_name())?;
        }
        Ok(())
    }
}

/// Who waits for whom, among the unfinished tasks of a loop. Tasks are numbers here: their indices.
struct Edges {
    tasks: Vec<Node>,
    numbers: BTreeMap<NonNull<Header>, usize>,
    seen: BTreeSet<(usize, usize)>,
    /// How many tasks of the loop there are; those after them are of another one.
    own: usize,
}

struct Node {
    task: TaskRef,
    awaits: Vec<usize>,
    awaited_by: Vec<usize>,
    futures: Vec<&'static Location<'static>>,
    locks: Vec<(Option<usize>, &'static Location<'static>)>,
    /// Waits of which nothing is known.
    others: usize,
}

impl Edges {
    fn of(tasks: &LoopTasks) -> Self {
        let tasks = tasks.unfinished();
        let mut edges = Self { tasks: Vec::new(), numbers: BTreeMap::new(), seen: BTreeSet::new(), own: tasks.len() };
        for task in &tasks {
            edges.number(task);
        }
        let mut known = BTreeSet::new();
        for (number, task) in tasks.iter().enumerate() {
            for (wait, waiter) in task.waiters() {
                known.insert(wait.slot());
                edges.add(&waiter, number);
            }
            if let Some(owner) = task.group_owner() {
                edges.add(&owner, number);
            }
        }
        for (holder, waiters) in waits::held() {
            let task = tasks.iter().position(|task| Some(task.state.number) == holder.task);
            for (wait, waiter) in waiters {
                known.insert(wait.slot());
                let waiter = edges.number(&waiter);
                edges.tasks[waiter].locks.push((task, holder.location));
            }
        }
        for (number, task) in tasks.iter().enumerate() {
            for (wait, awaited) in waits::of_task(task) {
                edges.tasks[number].others += usize::from(awaited.is_empty() && !known.contains(&wait.slot()));
                for awaited in awaited {
                    match awaited {
                        Awaited::Task(awaited) => {
                            let awaited = edges.number(&awaited);
                            edges.add(task, awaited);
                        }
                        Awaited::Future(location) => edges.tasks[number].futures.push(location),
                    }
                }
            }
        }
        edges
    }

    fn number(&mut self, task: &TaskRef) -> usize {
        let tasks = &mut self.tasks;
        *self.numbers.entry(task.address()).or_insert_with(|| {
            let task = task.clone();
            tasks.push(Node {
                task,
                awaits: Vec::new(),
                awaited_by: Vec::new(),
                futures: Vec::new(),
                locks: Vec::new(),
                others: 0,
            });
            tasks.len() - 1
        })
    }

    fn add(&mut self, waiter: &TaskRef, awaited: usize) {
        let waiter = self.number(waiter);
        if self.seen.insert((waiter, awaited)) {
            self.tasks[waiter].awaits.push(awaited);
            self.tasks[awaited].awaited_by.push(waiter);
        }
    }

    fn any(&self, number: usize) -> AnyTask {
        AnyTask { task: self.tasks[number].task.clone() }
    }

    /// The graph above a task; `path` is where the way up has come along.
    fn graph(&self, number: usize, path: &mut Vec<usize>) -> FutureCallGraph {
        let is_cyclic = path.contains(&number);
        let mut awaited_by = Vec::new();
        if !is_cyclic {
            path.push(number);
            awaited_by.extend(self.tasks[number].awaited_by.iter().map(|waiter| self.graph(*waiter, path)));
            path.pop();
        }
        FutureCallGraph { task: self.any(number), awaited_by, is_cyclic }
    }

    fn dumped(&self, number: usize) -> DumpedTask {
        let node = &self.tasks[number];
        let state = match () {
            () if node.task.state.is_polling() => DumpedState::Running,
            () if node.task.state.has(Flags::SCHEDULED) => DumpedState::Ready,
            () => DumpedState::Waiting,
        };
        DumpedTask {
            task: self.any(number),
            state,
            awaits: node.awaits.iter().map(|awaited| self.any(*awaited)).collect(),
            awaited_by: node.awaited_by.iter().map(|waiter| self.any(*waiter)).collect(),
            futures: node.futures.clone(),
            locks: node
                .locks
                .iter()
                .map(|&(holder, acquired_at)| AwaitedLock {
                    holder: holder.map(|number| self.any(number)),
                    acquired_at,
                })
                .collect(),
            others: node.others,
        }
    }
}
