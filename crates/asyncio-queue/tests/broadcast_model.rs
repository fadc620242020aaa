//! A broadcast, in both of its modes, against a list of everything that was put and the positions of its subscribers; with every
//! `put` dropped at any moment.

use asyncio_queue::{Broadcast, BroadcastGetError, BroadcastGetNowaitError, PutError, QueueShutDown, Subscriber};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

/// What is done next; numbers choose among those who wait, or subscribe.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put,
    PutNowait,
    /// A putter runs, woken or not.
    PollPut(usize),
    DropPut(usize),
    Subscribe,
    Clone(usize),
    Unsubscribe(usize),
    GetNowait(usize),
    /// As a `get` that is given up if it has to wait.
    Get(usize),
    Shutdown(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Put),
        4 => Just(Step::PutNowait),
        4 => any::<usize>().prop_map(Step::PollPut),
        2 => any::<usize>().prop_map(Step::DropPut),
        3 => Just(Step::Subscribe),
        1 => any::<usize>().prop_map(Step::Clone),
        2 => any::<usize>().prop_map(Step::Unsubscribe),
        8 => any::<usize>().prop_map(Step::GetNowait),
        4 => any::<usize>().prop_map(Step::Get),
    ];
    let shutdown = prop::option::of(any::<bool>().prop_map(Step::Shutdown));
    (prop::collection::vec(step.clone(), 0..150), shutdown, prop::collection::vec(step, 0..30))
        .prop_map(|(before, shutdown, after)| before.into_iter().chain(shutdown).chain(after).collect())
}

type Putting<'a> = Pin<Box<dyn Future<Output = Result<(), QueueShutDown<u32>>> + 'a>>;

/// What should be.
#[derive(Default)]
struct Model {
    is_lossy: bool,
    maxsize: usize,
    /// Everything that anybody subscribed to.
    items: Vec<u32>,
    /// Items before this one were dropped, or were there before anybody subscribed.
    floor: usize,
    /// The position of each subscriber.
    next: Vec<usize>,
    lost: u64,
    end: Option<bool>,
}

impl Model {
    /// The position of the oldest item that is kept.
    fn oldest(&self) -> usize {
        self.next.iter().copied().min().unwrap_or(self.items.len()).max(self.floor)
    }

    fn kept(&self) -> usize {
        self.items.len() - self.oldest()
    }

    fn has_room(&self) -> bool {
        self.is_lossy || self.maxsize == 0 || self.kept() < self.maxsize
    }

    /// Says how many have left by that whom putters have waited for: the item itself, if nobody subscribes to it.
    fn put(&mut self, item: u32) -> usize {
        if self.next.is_empty() {
            return 1;
        }
        if self.maxsize > 0 && self.kept() == self.maxsize {
            self.floor = self.oldest() + 1;
            self.lost += 1;
        }
        self.items.push(item);
        0
    }

    fn get(&mut self, subscriber: usize) -> Result<u32, BroadcastGetNowaitError> {
        let oldest = self.oldest();
        let next = &mut self.next[subscriber];
        if *next < oldest && self.end != Some(true) {
            let lost = oldest - *next;
            *next = oldest;
            return Err(lagged(lost));
        }
        match self.items.get(*next).filter(|_| self.end != Some(true)) {
            Some(item) => {
                *next += 1;
                Ok(*item)
            }
            None if self.end.is_some() => Err(BroadcastGetNowaitError::ShutDown(QueueShutDown(()))),
            None => Err(BroadcastGetNowaitError::Empty(Default::default())),
        }
    }
}

/// `Lagged` cannot be made outside of its crate; a broadcast of one place makes one of any size.
fn lagged(lost: usize) -> BroadcastGetNowaitError {
    let news = Broadcast::lossy(1);
    let mut subscriber = news.subscribe();
    (0..=lost).for_each(|n| news.put_nowait(n).unwrap());
    subscriber.get_nowait().unwrap_err()
}

/// Putters who wait, in order, and whether they have been woken.
#[derive(Default)]
struct Putters<'a> {
    queue: VecDeque<(Putting<'a>, u32, bool)>,
}

impl Putters<'_> {
    fn wake(&mut self, count: usize) {
        for (_, _, is_woken) in self.queue.iter_mut().filter(|(_, _, is_woken)| !is_woken).take(count) {
            *is_woken = true;
        }
    }
}

proptest! {
    #[test]
    fn a_broadcast_is_a_list_and_positions(is_lossy: bool, maxsize in 0_usize..4, steps in steps()) {
        let news = if is_lossy { Broadcast::lossy(maxsize) } else { Broadcast::new(maxsize) };
        let mut model = Model { is_lossy, maxsize, ..Model::default() };
        let mut subscribers: Vec<Subscriber<u32>> = Vec::new();
        let mut putters = Putters::default();
        let cx = &mut Context::from_waker(Waker::noop());
        for (item, step) in (0_u32..).zip(steps) {
            let oldest = model.oldest();
            match step {
                Step::Put => {
                    let mut put: Putting<'_> = Box::pin(news.put(item));
                    let outcome = put.as_mut().poll(cx);
                    if model.end.is_some() {
                        prop_assert_eq!(outcome, Poll::Ready(Err(QueueShutDown(item))));
                    } else if model.has_room() {
                        prop_assert_eq!(outcome, Poll::Ready(Ok(())));
                        putters.wake(model.put(item));
                    } else {
                        prop_assert_eq!(outcome, Poll::Pending);
                        putters.queue.push_back((put, item, false));
                    }
                }
                Step::PutNowait => match news.put_nowait(item) {
                    Ok(()) => {
                        prop_assert!(model.end.is_none() && model.has_room());
                        putters.wake(model.put(item));
                    }
                    Err(PutError::ShutDown(error)) => prop_assert!(model.end.is_some() && error.into_inner() == item),
                    Err(error) => {
                        prop_assert!(model.end.is_none() && !model.has_room());
                        prop_assert_eq!(error.into_inner(), item);
                    }
                },
                Step::PollPut(n) => {
                    let Some(n) = n.checked_rem(putters.queue.len()) else { continue };
                    let outcome = putters.queue[n].0.as_mut().poll(cx);
                    let (_, item, is_woken) = putters.queue[n];
                    if !is_woken {
                        prop_assert_eq!(outcome, Poll::Pending);
                    } else if model.end.is_some() {
                        prop_assert_eq!(outcome, Poll::Ready(Err(QueueShutDown(item))));
                        putters.queue.remove(n);
                    } else if model.has_room() {
                        prop_assert_eq!(outcome, Poll::Ready(Ok(())));
                        putters.queue.remove(n);
                        putters.wake(model.put(item));
                    } else {
                        prop_assert_eq!(outcome, Poll::Pending);
                        let (put, ..) = putters.queue.remove(n).expect("it is there");
                        putters.queue.push_back((put, item, false));
                    }
                }
                Step::DropPut(n) => {
                    let Some(n) = n.checked_rem(putters.queue.len()) else { continue };
                    let (put, _, is_woken) = putters.queue.remove(n).expect("it is there");
                    drop(put);
                    if is_woken && model.has_room() {
                        putters.wake(1);
                    }
                }
                Step::Subscribe => {
                    model.next.push(model.items.len());
                    subscribers.push(news.subscribe());
                }
                Step::Clone(n) => {
                    let Some(n) = n.checked_rem(subscribers.len()) else { continue };
                    model.next.push(model.next[n]);
                    subscribers.push(subscribers[n].clone());
                }
                Step::Unsubscribe(n) => {
                    let Some(n) = n.checked_rem(subscribers.len()) else { continue };
                    model.next.swap_remove(n);
                    drop(subscribers.swap_remove(n));
                }
                Step::GetNowait(n) => {
                    let Some(n) = n.checked_rem(subscribers.len()) else { continue };
                    prop_assert_eq!(subscribers[n].get_nowait(), model.get(n));
                }
                Step::Get(n) => {
                    let Some(n) = n.checked_rem(subscribers.len()) else { continue };
                    let got = match pin!(subscribers[n].get()).poll(cx) {
                        Poll::Pending => Err(BroadcastGetNowaitError::Empty(Default::default())),
                        Poll::Ready(Ok(item)) => Ok(item),
                        Poll::Ready(Err(BroadcastGetError::Lagged(lagged))) => Err(lagged.into()),
                        Poll::Ready(Err(BroadcastGetError::ShutDown(error))) => Err(error.into()),
                        Poll::Ready(Err(error)) => panic!("{error}"),
                    };
                    prop_assert_eq!(got, model.get(n));
                }
                Step::Shutdown(immediate) => {
                    news.shutdown(immediate);
                    model.end = Some(immediate);
                    if immediate {
                        model.floor = model.items.len();
                    }
                    putters.wake(usize::MAX);
                }
            }
            if matches!(step, Step::GetNowait(_) | Step::Get(_) | Step::Unsubscribe(_)) {
                putters.wake(model.oldest() - oldest);
            }
            let now = news.statistics();
            prop_assert_eq!((now.qsize, now.subscribers, now.lost), (model.kept(), model.next.len(), model.lost));
            prop_assert!(maxsize == 0 || now.peak_size <= maxsize);
            let waiting = putters.queue.iter().filter(|(_, _, is_woken)| !is_woken).count();
            prop_assert_eq!(now.tasks_waiting_put, waiting);
            // Nobody sleeps while there is room, but for those who came while another one was about to run.
            prop_assert!(!model.has_room() || waiting == 0 || waiting < putters.queue.len());
        }
    }
}
