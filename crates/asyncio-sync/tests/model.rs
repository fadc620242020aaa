//! A lock and semaphores, of one thread and of several, against a list of waiters, with every wait dropped at any moment.

use asyncio_sync::{Lock, LockAcquire, LockGuard, Semaphore, SemaphoreAcquire, SemaphorePermit, threadsafe};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What is done next; numbers choose among those who wait, or hold something.
#[derive(Clone, Copy, Debug)]
enum Step {
    Acquire,
    TryAcquire,
    /// A waiter runs, woken or not.
    Poll(usize),
    /// A waiter is dropped.
    Drop(usize),
    /// A holder gives up what it has.
    Release(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Acquire),
        1 => Just(Step::TryAcquire),
        4 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Drop),
        4 => any::<usize>().prop_map(Step::Release),
    ];
    prop::collection::vec(step, 0..120)
}

fn poll<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// The model: who waits, in order, and whether he has been woken.
#[derive(Default)]
struct Waiters<F> {
    queue: VecDeque<(Pin<Box<F>>, bool)>,
}

impl<F> Waiters<F> {
    /// Wakes the first who has not been woken.
    fn wake_next(&mut self) -> bool {
        match self.queue.iter_mut().find(|(_, is_woken)| !is_woken) {
            Some((_, is_woken)) => {
                *is_woken = true;
                true
            }
            None => false,
        }
    }

    /// Wakes the first of all, unless he is woken.
    fn wake_head(&mut self) {
        if let Some((_, is_woken)) = self.queue.front_mut() {
            *is_woken = true;
        }
    }

    fn choose(&self, n: usize) -> Option<usize> {
        n.checked_rem(self.queue.len())
    }
}

proptest! {
    #[test]
    fn a_lock_is_a_list_of_waiters(steps in steps()) {
        let lock = Lock::default();
        let mut holder: Option<LockGuard<'_>> = None;
        let mut waiters: Waiters<LockAcquire<'_>> = Waiters { queue: VecDeque::new() };
        for step in steps {
            let is_free = holder.is_none() && waiters.queue.is_empty();
            match step {
                Step::Acquire => {
                    let mut future = Box::pin(lock.acquire());
                    let taken = poll(future.as_mut());
                    prop_assert_eq!(taken.is_some(), is_free);
                    match taken {
                        Some(guard) => holder = Some(guard),
                        None => waiters.queue.push_back((future, false)),
                    }
                }
                Step::TryAcquire => {
                    let taken = lock.try_acquire();
                    prop_assert_eq!(taken.is_some(), is_free);
                    holder = taken.or(holder);
                }
                Step::Poll(n) => {
                    let Some(n) = waiters.choose(n) else { continue };
                    let taken = poll(waiters.queue[n].0.as_mut());
                    prop_assert_eq!(taken.is_some(), waiters.queue[n].1);
                    if taken.is_some() {
                        prop_assert_eq!(n, 0);
                        prop_assert!(holder.is_none());
                        holder = taken;
                        waiters.queue.remove(n);
                    }
                }
                Step::Drop(n) => {
                    let Some(n) = waiters.choose(n) else { continue };
                    waiters.queue.remove(n);
                    if holder.is_none() {
                        waiters.wake_head();
                    }
                }
                Step::Release(_) => {
                    if holder.take().is_some() {
                        waiters.wake_head();
                    }
                }
            }
            prop_assert_eq!(lock.locked(), holder.is_some());
            let waiting = waiters.queue.iter().filter(|(_, is_woken)| !is_woken).count();
            prop_assert_eq!(lock.statistics().tasks_waiting, waiting);
            // Nobody sleeps before a free lock.
            prop_assert!(holder.is_some() || waiters.queue.front().is_none_or(|(_, is_woken)| *is_woken));
        }
    }

    #[test]
    fn a_semaphore_is_a_number_and_a_list_of_waiters(value in 0_usize..4, steps in steps()) {
        let semaphore = Semaphore::new(value);
        let (mut free, mut holders) = (value, Vec::<SemaphorePermit<'_>>::new());
        let mut waiters: Waiters<SemaphoreAcquire<'_>> = Waiters { queue: VecDeque::new() };
        for step in steps {
            let is_free = free > 0 && waiters.queue.is_empty();
            prop_assert_eq!(semaphore.locked(), !is_free);
            match step {
                Step::Acquire => {
                    let mut future = Box::pin(semaphore.acquire());
                    let taken = poll(future.as_mut());
                    prop_assert_eq!(taken.is_some(), is_free);
                    match taken {
                        Some(permit) => {
                            free -= 1;
                            holders.push(permit);
                        }
                        None => waiters.queue.push_back((future, false)),
                    }
                }
                Step::TryAcquire => {
                    let taken = semaphore.try_acquire();
                    prop_assert_eq!(taken.is_some(), is_free);
                    free -= usize::from(is_free);
                    holders.extend(taken);
                }
                Step::Poll(n) => {
                    let Some(n) = waiters.choose(n) else { continue };
                    let taken = poll(waiters.queue[n].0.as_mut());
                    prop_assert_eq!(taken.is_some(), waiters.queue[n].1);
                    if taken.is_some() {
                        waiters.queue.remove(n);
                        while free > 0 && waiters.wake_next() {
                            free -= 1;
                        }
                    }
                    holders.extend(taken);
                }
                Step::Drop(n) => {
                    let Some(n) = waiters.choose(n) else { continue };
                    free += usize::from(waiters.queue.remove(n).is_some_and(|(_, is_woken)| is_woken));
                    while free > 0 && waiters.wake_next() {
                        free -= 1;
                    }
                }
                Step::Release(n) => {
                    if let Some(n) = n.checked_rem(holders.len() + 1) && n < holders.len() {
                        drop(holders.swap_remove(n));
                    } else {
                        semaphore.release();
                    }
                    if !waiters.wake_next() {
                        free += 1;
                    }
                }
            }
            prop_assert_eq!(semaphore.statistics().value, free);
            let waiting = waiters.queue.iter().filter(|(_, is_woken)| !is_woken).count();
            prop_assert_eq!(semaphore.statistics().tasks_waiting, waiting);
            // Nobody sleeps while there is a permit, but for those who came while another one was about to run.
            prop_assert!(free == 0 || waiting == 0 || waiting < waiters.queue.len());
        }
    }

    /// Here a permit is handed over when it is released: nobody waits while there is one.
    #[test]
    fn a_semaphore_of_several_threads_is_a_number_and_a_list_of_waiters(value in 0_usize..4, steps in steps()) {
        let semaphore = threadsafe::Semaphore::new(value);
        let (mut free, mut holders) = (value, Vec::<threadsafe::SemaphorePermit<'_>>::new());
        let mut waiters: Waiters<threadsafe::SemaphoreAcquire<'_>> = Waiters { queue: VecDeque::new() };
        for step in steps {
            match step {
                Step::Acquire => {
                    let mut future = Box::pin(semaphore.acquire());
                    match poll(future.as_mut()) {
                        Some(permit) => {
                            prop_assert!(free > 0);
                            free -= 1;
                            holders.push(permit);
                        }
                        None => {
                            prop_assert_eq!(free, 0);
                            waiters.queue.push_back((future, false));
                        }
                    }
                }
                Step::TryAcquire => {
                    let taken = semaphore.try_acquire();
                    prop_assert_eq!(taken.is_some(), free > 0);
                    free -= usize::from(taken.is_some());
                    holders.extend(taken);
                }
                Step::Poll(n) => {
                    let Some(n) = waiters.choose(n) else { continue };
                    let taken = poll(waiters.queue[n].0.as_mut());
                    prop_assert_eq!(taken.is_some(), waiters.queue[n].1);
                    if taken.is_some() {
                        waiters.queue.remove(n);
                    }
                    holders.extend(taken);
                }
                Step::Drop(n) => {
                    let Some(n) = waiters.choose(n) else { continue };
                    if waiters.queue.remove(n).is_some_and(|(_, is_woken)| is_woken) && !waiters.wake_next() {
                        free += 1;
                    }
                }
                Step::Release(n) => {
                    if let Some(n) = n.checked_rem(holders.len() + 1) && n < holders.len() {
                        drop(holders.swap_remove(n));
                    } else {
                        semaphore.release();
                    }
                    if !waiters.wake_next() {
                        free += 1;
                    }
                }
            }
            prop_assert_eq!((semaphore.statistics().value, semaphore.locked()), (free, free == 0));
            let waiting = waiters.queue.iter().filter(|(_, is_woken)| !is_woken).count();
            prop_assert_eq!(semaphore.statistics().tasks_waiting, waiting);
            prop_assert!(free == 0 || waiting == 0);
        }
    }
}
