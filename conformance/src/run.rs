//! Running a case: a fresh loop on a fresh clock, the main task, and the end of the run.
//!
//! The loop is stepped rather than run, so that a case that never ends is noticed without a look at any real clock.

use crate::case::{Case, ReadError};
use crate::control::Frame;
use crate::state::State;
use asyncio::prelude::*;
use asyncio::{AnyTask, EventLoop, RunError, Task};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Runs the case that is in a line, and gives its trace, or why there is none.
pub(crate) fn run(line: &Value) -> Value {
    let case = line.get("case").unwrap_or(line);
    let id = case.get("id").cloned().unwrap_or_default();
    match Case::read(case) {
        Err(ReadError::Unsupported(what)) => json!({ "id": id, "unsupported": what }),
        Err(ReadError::Invalid(what)) => json!({ "id": id, "error": what }),
        Ok(case) => {
            PANIC.take();
            let trace = catch_unwind(AssertUnwindSafe(|| run_case(case)));
            match (trace, PANIC.take()) {
                (Ok(Ok(mut trace)), None) => {
                    trace["id"] = id;
                    trace
                }
                (Ok(Err(error)), None) => json!({ "id": id, "error": error.to_string() }),
                (_, panic) => json!({ "id": id, "error": panic.unwrap_or_default() }),
            }
        }
    }
}

/// Lets panics be noted rather than printed: whatever panics while a case runs is a failure of the runner.
pub(crate) fn note_panics() {
    std::panic::set_hook(Box::new(|info| PANIC.set(Some(info.to_string()))));
}

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn run_case(case: Case) -> io::Result<Value> {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build()?;
    // Tasks that are left when the loop is closed are no news.
    event_loop.set_exception_handler(|_, _| {});
    let main = case.main.clone();
    let state = Rc::new(State::new(&event_loop, case));
    let trace = Run { state: state.clone(), steps: Cell::new(0) }.run(&main);
    state.trace.end();
    state.clear();
    event_loop.close()?;
    trace
}

struct Run {
    state: Rc<State>,
    steps: Cell<u32>,
}

impl Run {
    fn run(&self, main: &str) -> io::Result<Value> {
        let state = &self.state;
        let actor = state.trace.new_actor("main");
        let main =
            state.event_loop.create_task(Frame::new(state, &actor).act(state.coro(main))).name("main").keep_errors();
        state.bind_task("main", main.clone());
        if !self.run_until_done(&[main.to_any()])? {
            return Ok(self.trace(Value::Null, "deadlock", None));
        }
        let mut left = state.event_loop.all_tasks();
        left.retain(|task| !state.hidden_tasks.borrow().contains(task));
        for task in &left {
            task.cancel();
        }
        let (finish, time) = match self.run_until_done(&left)? {
            true => ("ok", Some(state.tick())),
            false => ("shutdown_deadlock", None),
        };
        Ok(self.trace(result(&main), finish, time))
    }

    /// Runs the loop until all of `tasks` are done, and whoever waits for them has been told; `false` after a deadlock.
    fn run_until_done(&self, tasks: &[AnyTask]) -> io::Result<bool> {
        let unfinished = Rc::new(Cell::new(tasks.len()));
        for task in tasks {
            let unfinished = unfinished.clone();
            task.add_done_callback(move |_| unfinished.set(unfinished.get() - 1));
        }
        while unfinished.get() > 0 {
            self.steps.set(self.steps.get() + 1);
            if self.steps.get() > STEPS_MAX {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("not over after {STEPS_MAX} iterations")));
            }
            match self.state.event_loop.run_once(None) {
                Ok(()) => {}
                Err(RunError::Driver(error)) if error.kind() == io::ErrorKind::Deadlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    fn trace(&self, result: Value, finish: &str, time: Option<i64>) -> Value {
        let trace = &self.state.trace;
        json!({
            "id": null,
            "result": result,
            "finish": finish,
            "time": time,
            "actors": trace.actors(),
            "order": trace.order(),
        })
    }
}

/// How the main task has ended.
fn result(main: &Task<crate::fault::Outcome>) -> Value {
    match main.result() {
        Ok(Ok(value)) => json!(["return", value]),
        Ok(Err(fault)) => json!(["raise", fault.to_json()]),
        Err(_) => json!(["cancelled"]),
    }
}

/// More than any case that ends.
const STEPS_MAX: u32 = 100_000;
