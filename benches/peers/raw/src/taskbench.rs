//! What no runtime can beat: a bare queue of boxed closures, and two bare channels between threads.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use peers_common::{Clock, Outcome, Request, machine};

/// Callbacks scheduled together.
const BATCH: u64 = 1000;

fn main() {
    let Request { name, n } = Request::from_env();
    let outcome = match name.as_str() {
        "callsoon" => callsoon(n),
        "blocking_rtt" => round_trips(n, None),
        "xthread" => round_trips(n, Some(1)),
        "xthread_same" => round_trips(n, Some(0)),
        _ => Outcome::Unsupported,
    };
    outcome.report()
}

/// What a callback schedules the next ones on.
#[derive(Default)]
struct Queue {
    ready: RefCell<VecDeque<Box<dyn FnOnce()>>>,
    counter: Cell<u64>,
}

impl Queue {
    fn call_soon(&self, callback: impl FnOnce() + 'static) {
        self.ready.borrow_mut().push_back(Box::new(callback));
    }
}

fn callsoon(n: u64) -> Outcome {
    let queue = Rc::new(Queue::default());
    let clock = Clock::start();
    schedule_batch(Rc::clone(&queue), n);
    loop {
        // The borrow ends before the callback runs.
        let Some(callback) = queue.ready.borrow_mut().pop_front() else { break };
        callback();
    }
    let outcome = clock.stop();
    assert_eq!(queue.counter.get(), n);
    outcome
}

fn schedule_batch(queue: Rc<Queue>, n: u64) {
    let batch = BATCH.min(n - queue.counter.get());
    for _ in 1..batch {
        let shared = Rc::clone(&queue);
        queue.call_soon(move || shared.counter.set(shared.counter.get() + 1));
    }
    let shared = Rc::clone(&queue);
    queue.call_soon(move || {
        shared.counter.set(shared.counter.get() + 1);
        if shared.counter.get() < n {
            schedule_batch(shared, n);
        }
    });
}

/// The foreign thread asks and this one answers, each blocking on its channel.
fn round_trips(n: u64, core: Option<usize>) -> Outcome {
    if core.is_some() {
        machine::pin_this_thread(0);
    }
    let (questions, questions_end) = mpsc::channel();
    let (answers, answers_end) = mpsc::channel();
    let clock = Clock::start();
    let foreign = thread::spawn(move || {
        if let Some(core) = core {
            machine::pin_this_thread(core);
        }
        for value in 0..n {
            questions.send(value).expect("the other thread listens");
            assert_eq!(answers_end.recv(), Ok(value));
        }
    });
    for value in questions_end {
        answers.send(value).expect("the other thread waits for it");
    }
    let outcome = clock.stop();
    foreign.join().expect("the thread does not panic");
    outcome
}
