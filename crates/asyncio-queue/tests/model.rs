//! A queue, of one thread or of several, against a `VecDeque`, with every wait dropped at any moment: no item is lost, doubled or
//! out of order.

use asyncio_queue::{LifoQueue, PriorityQueue, Queue, QueueShutDown, threadsafe};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// What is done next; numbers choose among those who wait.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put,
    PutNowait,
    Get,
    GetNowait,
    RunPutter(usize),
    RunGetter(usize),
    DropPutter(usize),
    DropGetter(usize),
    Shutdown,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        40 => Just(Step::Put),
        10 => Just(Step::PutNowait),
        40 => Just(Step::Get),
        10 => Just(Step::GetNowait),
        30 => any::<usize>().prop_map(Step::RunPutter),
        30 => any::<usize>().prop_map(Step::RunGetter),
        15 => any::<usize>().prop_map(Step::DropPutter),
        15 => any::<usize>().prop_map(Step::DropGetter),
        1 => Just(Step::Shutdown),
    ];
    prop::collection::vec(step, 0..120)
}

/// Who is to put or get.
struct Waiting<F> {
    future: Pin<Box<F>>,
    /// Whether he was woken.
    flag: Arc<Flag>,
    /// Whether he has looked in vain.
    is_waiting: bool,
    item: u32,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<F: Future> Waiting<F> {
    fn new(future: F, item: u32) -> Self {
        Self { future: Box::pin(future), flag: Arc::new(Flag(AtomicBool::new(false))), is_waiting: false, item }
    }

    fn run(&mut self) -> Option<F::Output> {
        self.flag.0.store(false, Ordering::Relaxed);
        match self.future.as_mut().poll(&mut Context::from_waker(&Waker::from(self.flag.clone()))) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => {
                self.is_waiting = true;
                None
            }
        }
    }

    /// Whether he would look if he ran now.
    fn looks(&self) -> bool {
        !self.is_waiting || self.is_woken()
    }

    fn is_woken(&self) -> bool {
        self.flag.0.load(Ordering::Relaxed)
    }

    fn sleeps(&self) -> bool {
        self.is_waiting && !self.is_woken()
    }
}

/// Where the items are, in the order in which they leave.
trait Order {
    fn push(&mut self, item: u32);
    fn pop(&mut self) -> Option<u32>;
    fn len(&self) -> usize;
}

impl Order for VecDeque<u32> {
    fn push(&mut self, item: u32) {
        self.push_back(item);
    }

    fn pop(&mut self) -> Option<u32> {
        self.pop_front()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl Order for Vec<u32> {
    fn push(&mut self, item: u32) {
        self.push(item);
    }

    fn pop(&mut self) -> Option<u32> {
        self.pop()
    }

    fn len(&self) -> usize {
        self.len()
    }
}

impl Order for BinaryHeap<Reverse<u32>> {
    fn push(&mut self, item: u32) {
        self.push(Reverse(item));
    }

    fn pop(&mut self) -> Option<u32> {
        self.pop().map(|Reverse(item)| item)
    }

    fn len(&self) -> usize {
        self.len()
    }
}

macro_rules! model {
    ($test:ident, $queue:ty, $order:ty) => {
        proptest! {
            #[test]
            fn $test(maxsize in 0_usize..4, steps in steps()) {
                let queue = <$queue>::new(maxsize);
                let mut model: Box<dyn Order> = Box::new(<$order>::new());
                let (mut putters, mut getters) = (Vec::new(), Vec::new());
                let mut next = 7_u32;
                let mut is_shut_down = false;
                for step in steps {
                    let has_room = maxsize == 0 || model.len() < maxsize;
                    next = next.wrapping_mul(1_103_515_245).wrapping_add(12_345); // All different, in no order.
                    match step {
                        Step::Put => putters.push(Waiting::new(queue.put(next), next)),
                        Step::Get => getters.push(Waiting::new(queue.get(), 0)),
                        Step::PutNowait => {
                            prop_assert_eq!(queue.put_nowait(next).is_ok(), has_room && !is_shut_down);
                            if has_room && !is_shut_down {
                                model.push(next);
                            }
                        }
                        Step::GetNowait => prop_assert_eq!(queue.get_nowait().ok(), model.pop()),
                        Step::RunPutter(n) => {
                            let Some(n) = n.checked_rem(putters.len()) else { continue };
                            let looks = putters[n].looks();
                            let outcome = putters[n].run();
                            prop_assert_eq!(outcome.is_some(), looks && (has_room || is_shut_down));
                            if let Some(outcome) = outcome {
                                let item = putters.remove(n).item;
                                if is_shut_down {
                                    prop_assert_eq!(outcome, Err(QueueShutDown(item)));
                                } else {
                                    model.push(item);
                                }
                            }
                        }
                        Step::RunGetter(n) => {
                            let Some(n) = n.checked_rem(getters.len()) else { continue };
                            let looks = getters[n].looks();
                            let outcome = getters[n].run();
                            prop_assert_eq!(outcome.is_some(), looks && (model.len() > 0 || is_shut_down));
                            if let Some(outcome) = outcome {
                                prop_assert_eq!(outcome.ok(), model.pop());
                                getters.remove(n);
                            }
                        }
                        Step::DropPutter(n) => {
                            if let Some(n) = n.checked_rem(putters.len()) {
                                putters.remove(n);
                            }
                        }
                        Step::DropGetter(n) => {
                            if let Some(n) = n.checked_rem(getters.len()) {
                                getters.remove(n);
                            }
                        }
                        Step::Shutdown => {
                            queue.shutdown(false);
                            is_shut_down = true;
                        }
                    }
                    prop_assert_eq!(queue.qsize(), model.len());
                    prop_assert_eq!(queue.full(), maxsize > 0 && model.len() >= maxsize);
                    // While there is something to be had, nobody sleeps unless another one is about to look.
                    let has_room = maxsize == 0 || model.len() < maxsize;
                    let (get_sleeps, put_sleeps) = (getters.iter().any(Waiting::sleeps), putters.iter().any(Waiting::sleeps));
                    prop_assert!(model.len() == 0 || !get_sleeps || getters.iter().any(Waiting::is_woken));
                    prop_assert!(!has_room || !put_sleeps || putters.iter().any(Waiting::is_woken));
                    prop_assert!(!is_shut_down || !(get_sleeps || put_sleeps));
                }
            }
        }
    };
}

model!(a_queue_is_a_deque, Queue<u32>, VecDeque<u32>);
model!(a_lifo_queue_is_a_stack, LifoQueue<u32>, Vec<u32>);
model!(a_priority_queue_is_a_heap, PriorityQueue<u32>, BinaryHeap<Reverse<u32>>);
model!(a_queue_of_several_threads_is_a_deque, threadsafe::Queue<u32>, VecDeque<u32>);
model!(a_lifo_queue_of_several_threads_is_a_stack, threadsafe::LifoQueue<u32>, Vec<u32>);
model!(a_priority_queue_of_several_threads_is_a_heap, threadsafe::PriorityQueue<u32>, BinaryHeap<Reverse<u32>>);
