//! `HandOff`: the queue between those who submit and the workers of a pool, and how many workers there are.
//!
//! At most one worker is *on its way* at any time: woken, or being started. It takes one item, and if there are more it calls
//! the next worker before it begins to work. So a burst of small items costs one wake-up, and a burst of long ones still
//! has as many workers as are allowed.
//!
//! A worker that finds nothing to do counts as on its way for some microseconds more, before it blocks: whoever awaits
//! one small item after the other makes no system call for any of them.
//!
//! Invariants:
//! 1. If the queue is not empty and fewer than all allowed workers work, one is on its way.
//! 2. An item is taken by one worker, or given back by `push` or `worker_failed`.
//! 3. `workers`, those who may take items, is never above `workers_max`.
//! 4. After `close` no item is accepted, and a worker ends when the queue is empty.
//!
//! Checked by a loom model at the bottom. Absent on purpose: threads, and what an item is.

use std::collections::VecDeque;
use std::time::Duration;

#[cfg(all(test, asyncio_loom))]
use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};
#[cfg(not(all(test, asyncio_loom)))]
use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

/// What submitters and workers of one pool share.
#[derive(Debug)]
pub(crate) struct HandOff<T> {
    state: Mutex<State<T>>,
    work: Condvar,
    workers_max: usize,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    /// Those who may take items, or will do so when they have started.
    workers: usize,
    /// Those whose threads are not at their end yet.
    alive: usize,
    /// Those who wait for an item.
    idle: usize,
    /// One was woken, or is being started, and has not looked at the queue since.
    is_coming: bool,
    is_closed: bool,
}

/// What has become of an item that was pushed.
#[derive(Debug)]
pub(crate) enum Pushed<T> {
    Accepted,
    /// It was accepted, and the caller has to start a worker.
    StartWorker,
    /// The queue is closed.
    Rejected(T),
}

/// What a worker does next.
#[derive(Debug)]
pub(crate) enum Next<T> {
    Work(T),
    /// As `Work`, after it has started another worker.
    StartWorkerAndWork(T),
    /// It ends, by `worker_gone`.
    End,
}

/// How a worker comes to ask for an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asking {
    /// It has just been started.
    First,
    Again,
}

/// How many workers and items there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) workers: usize,
    pub(crate) idle: usize,
    pub(crate) queued: usize,
}

impl<T> HandOff<T> {
    pub(crate) fn new(workers_max: usize) -> Self {
        let state = State { queue: VecDeque::new(), workers: 0, alive: 0, idle: 0, is_coming: false, is_closed: false };
        Self { state: Mutex::new(state), work: Condvar::new(), workers_max }
    }

    pub(crate) fn push(&self, item: T) -> Pushed<T> {
        let mut state = self.lock();
        if state.is_closed {
            return Pushed::Rejected(item);
        }
        state.queue.push_back(item);
        match state.call_worker(self.workers_max) {
            Call::Nobody => Pushed::Accepted,
            Call::Start => Pushed::StartWorker,
            Call::Wake => {
                drop(state);
                self.work.notify_one();
                Pushed::Accepted
            }
        }
    }

    /// Waits for an item, for at most `patience`.
    pub(crate) fn next(&self, asking: Asking, patience: Duration) -> Next<T> {
        let mut state = self.lock();
        if asking == Asking::First {
            state.is_coming = false;
        }
        let mut has_waited_in_vain = false;
        loop {
            if let Some(item) = state.queue.pop_front() {
                return self.work(state, item);
            }
            if state.is_closed || has_waited_in_vain {
                state.workers -= 1;
                return Next::End;
            }
            if !state.is_coming {
                state.is_coming = true;
                state = self.linger(state);
                state.is_coming = false;
                if !state.queue.is_empty() || state.is_closed {
                    continue;
                }
            }
            state.idle += 1;
            (state, has_waited_in_vain) = self.wait(state, patience);
            state.idle -= 1;
            // Whoever comes looks at the queue, whether or not it was the one who had been called.
            state.is_coming = false;
        }
    }

    /// The worker begins to work, and calls the next one if there is more to do.
    fn work(&self, mut state: MutexGuard<'_, State<T>>, item: T) -> Next<T> {
        let call = if state.queue.is_empty() { Call::Nobody } else { state.call_worker(self.workers_max) };
        drop(state);
        match call {
            Call::Nobody => Next::Work(item),
            Call::Start => Next::StartWorkerAndWork(item),
            Call::Wake => {
                self.work.notify_one();
                Next::Work(item)
            }
        }
    }

    /// A worker could not be started. If there is none at all, the items come back: nobody would take them.
    pub(crate) fn worker_failed(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.is_coming = false;
        state.workers -= 1;
        state.alive -= 1;
        if state.workers == 0 { std::mem::take(&mut state.queue) } else { VecDeque::new() }
    }

    /// A worker that was told to end is at its end. `true` if the queue is closed and nobody is left.
    pub(crate) fn worker_gone(&self) -> bool {
        let mut state = self.lock();
        state.alive -= 1;
        state.is_over()
    }

    /// Accepts no more items; those that are there are still worked on.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.work.notify_all();
    }

    /// Whether it is closed and no worker is left.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().is_over()
    }

    /// Takes out all items that nobody works on.
    pub(crate) fn take_queued(&self) -> VecDeque<T> {
        std::mem::take(&mut self.lock().queue)
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts { workers: state.workers, idle: state.idle, queued: state.queue.len() }
    }

    pub(crate) fn map_queued<R>(&self, look: impl FnMut(&T) -> R) -> Vec<R> {
        self.lock().queue.iter().map(look).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing of the user's runs under the lock, so no panic can leave it half done.
        #[cfg(not(all(test, asyncio_loom)))]
        return self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        #[cfg(all(test, asyncio_loom))]
        return self.state.lock().unwrap();
    }

    /// Looks again a few times.
    fn linger<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        for _ in 0..LOOKS {
            drop(state);
            thread::yield_now();
            state = self.lock();
            if !state.queue.is_empty() || state.is_closed {
                break;
            }
        }
        state
    }

    /// Waits to be called; says whether `patience` was over instead.
    #[cfg(not(all(test, asyncio_loom)))]
    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>, patience: Duration) -> (MutexGuard<'a, State<T>>, bool) {
        let waited = self.work.wait_timeout(state, patience).unwrap_or_else(std::sync::PoisonError::into_inner);
        (waited.0, waited.1.timed_out())
    }

    #[cfg(all(test, asyncio_loom))]
    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>, _: Duration) -> (MutexGuard<'a, State<T>>, bool) {
        (self.work.wait(state).unwrap(), false)
    }
}

/// How often a worker looks again before it blocks: some microseconds.
const LOOKS: usize = if cfg!(all(test, asyncio_loom)) { 1 } else { 16 };

/// Who is called to work.
enum Call {
    Nobody,
    Wake,
    Start,
}

impl<T> State<T> {
    fn call_worker(&mut self, workers_max: usize) -> Call {
        if self.is_coming {
            Call::Nobody
        } else if self.idle > 0 {
            self.is_coming = true;
            Call::Wake
        } else if self.workers < workers_max {
            self.is_coming = true;
            self.workers += 1;
            self.alive += 1;
            Call::Start
        } else {
            Call::Nobody
        }
    }

    const fn is_over(&self) -> bool {
        self.is_closed && self.alive == 0
    }
}

#[cfg(all(test, asyncio_loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;

    /// Works until it is told to end; gives what it has worked on.
    fn work(hand_off: &Arc<HandOff<u32>>) -> Vec<u32> {
        let (mut asking, mut done, mut helpers) = (Asking::First, Vec::new(), Vec::new());
        loop {
            match hand_off.next(asking, Duration::MAX) {
                Next::Work(item) => done.push(item),
                Next::StartWorkerAndWork(item) => {
                    helpers.push(start(hand_off));
                    done.push(item);
                }
                Next::End => break,
            }
            asking = Asking::Again;
        }
        hand_off.worker_gone();
        done.extend(helpers.into_iter().flat_map(|helper| helper.join().unwrap()));
        done
    }

    fn start(hand_off: &Arc<HandOff<u32>>) -> thread::JoinHandle<Vec<u32>> {
        let hand_off = hand_off.clone();
        thread::spawn(move || work(&hand_off))
    }

    /// However pushes, the ends of workers and the close interleave, each item is worked on once, and all workers end.
    fn every_item_is_taken_once(workers_max: usize) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let hand_off = Arc::new(HandOff::new(workers_max));
            let mut workers = Vec::new();
            for item in 0..2 {
                match hand_off.push(item) {
                    Pushed::Accepted => {}
                    Pushed::StartWorker => workers.push(start(&hand_off)),
                    Pushed::Rejected(_) => unreachable!("nobody has closed it"),
                }
            }
            hand_off.close();
            assert!(matches!(hand_off.push(9), Pushed::Rejected(9)));
            let mut done: Vec<_> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
            done.sort_unstable();
            assert_eq!(done, [0, 1]);
            assert!(hand_off.is_over());
        });
    }

    #[test]
    fn every_item_is_taken_once_by_one_worker() {
        every_item_is_taken_once(1);
    }

    #[test]
    fn every_item_is_taken_once_by_two_workers() {
        every_item_is_taken_once(2);
    }
}
