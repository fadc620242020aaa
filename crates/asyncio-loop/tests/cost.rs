//! What things cost, by counting: allocations, waits, notifications. System calls are counted in `syscalls.rs`.

use asyncio_loop::{EventLoop, Runnable, TimerHandle};
use asyncio_testing::{AllocationCounts, CountingAllocator, ScriptedDriver, VirtualClock, count_allocations};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const ROUNDS: usize = 10_000;

/// What `ROUNDS` of `round` cost, after a few have warmed the loop up.
fn cost(mut round: impl FnMut()) -> AllocationCounts {
    (0..100).for_each(|_| round());
    count_allocations(|| (0..ROUNDS).for_each(|_| round())).1
}

fn iterate(event_loop: &EventLoop) {
    event_loop.run_once(Some(Duration::ZERO)).unwrap();
}

fn event_loop() -> EventLoop {
    EventLoop::builder().build().unwrap()
}

#[test]
fn call_soon_of_a_small_closure_allocates_nothing() {
    let event_loop = event_loop();
    let ran = Rc::new(Cell::new(0));
    let counts = cost(|| {
        for n in [1, 2, 3] {
            let (ran, two, three) = (ran.clone(), n, n);
            event_loop.call_soon(move || ran.set(ran.get() + (n + two + three) / n));
        }
        iterate(&event_loop);
    });
    assert_eq!((counts.allocations, counts.deallocations), (0, 0));
    assert_eq!(ran.get(), (ROUNDS + 100) * 9);
    // A closure of more than four words is boxed, and that is all.
    let counts = cost(|| {
        let large = [ran.get(); 5];
        event_loop.call_soon(move || assert_eq!(large[4], large[0]));
        iterate(&event_loop);
    });
    assert_eq!((counts.allocations, counts.deallocations), (ROUNDS as u64, ROUNDS as u64));
}

#[test]
fn a_chain_of_callbacks_allocates_nothing() {
    fn again(event_loop: EventLoop) {
        let next = event_loop.clone();
        event_loop.call_soon(move || again(next));
    }
    let event_loop = event_loop();
    again(event_loop.clone());
    assert_eq!(cost(|| iterate(&event_loop)).allocations, 0);
    event_loop.close().unwrap();
}

#[test]
fn a_cancelled_callback_allocates_nothing() {
    let event_loop = event_loop();
    let counts = cost(|| {
        event_loop.call_soon(|| ()).cancel();
        iterate(&event_loop);
    });
    assert_eq!(counts.allocations, 0);
}

#[test]
fn a_remote_call_that_was_cancelled_leaves_nothing_behind() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let counts = cost(|| {
        assert!(handle.call_soon_threadsafe(|| ()).unwrap().cancel());
        iterate(&event_loop);
    });
    assert_eq!(counts.allocations, 0);
    assert_eq!(event_loop.statistics().callbacks_total, 0, "nor is it run as one that does nothing");
}

#[test]
fn a_timer_that_is_set_again_and_again_allocates_nothing() {
    let event_loop = event_loop();
    for live in [0, 10_000] {
        let others: Vec<_> = (0..live).map(|n| event_loop.call_later(1000 + n, || ())).collect();
        let mut delay = 0;
        let mut timeout = event_loop.call_later(60, || ());
        let counts = cost(|| {
            delay = (delay * 7 + 1) % 100_000;
            timeout.cancel();
            timeout = event_loop.call_later(delay, || ());
        });
        assert_eq!(counts.allocations, 0, "beside {live} live timers");
        timeout.cancel();
        others.iter().for_each(TimerHandle::cancel);
    }
}

#[test]
fn a_timer_that_fires_allocates_nothing() {
    let event_loop = event_loop();
    let fired = Rc::new(Cell::new(0));
    let counts = cost(|| {
        let count = fired.clone();
        event_loop.call_later(-1, move || count.set(count.get() + 1));
        iterate(&event_loop);
    });
    assert_eq!((counts.allocations, fired.get()), (0, ROUNDS + 100));
    // And one that is waited for.
    let count = fired.clone();
    let (_, counts) = count_allocations(|| {
        for _ in 0..20 {
            let count = count.clone();
            event_loop.call_later(Duration::from_micros(50), move || count.set(count.get() + 1));
            while event_loop.statistics().timers > 0 {
                event_loop.run_once(None).unwrap();
            }
        }
    });
    assert_eq!((counts.allocations, fired.get()), (0, ROUNDS + 120));
}

#[test]
fn a_step_allocates_nothing() {
    struct Steps(Cell<usize>);
    impl Runnable for Steps {
        fn run(self: Rc<Self>) {
            self.0.set(self.0.get() + 1);
        }
    }
    let event_loop = event_loop();
    let steps = Rc::new(Steps(Cell::new(0)));
    let counts = cost(|| {
        event_loop.schedule(steps.clone());
        let key = event_loop.schedule_at(event_loop.nanos() + 1_000_000_000, steps.clone());
        assert!(event_loop.unschedule(key));
        event_loop.schedule_at(0, steps.clone());
        iterate(&event_loop);
    });
    assert_eq!((counts.allocations, steps.0.get()), (0, 2 * (ROUNDS + 100)));
}

#[cfg(unix)]
#[test]
fn a_ready_descriptor_allocates_nothing() {
    use std::io::Write as _;
    let event_loop = event_loop();
    let pairs: Vec<_> = (0..10).map(|_| std::os::unix::net::UnixStream::pair().unwrap()).collect();
    let calls = Rc::new(Cell::new(0));
    for (ours, theirs) in &pairs {
        let mut theirs = theirs;
        theirs.write_all(b"x").unwrap();
        let count = calls.clone();
        event_loop.add_reader(ours, move || count.set(count.get() + 1)).unwrap();
    }
    assert_eq!(cost(|| iterate(&event_loop)).allocations, 0);
    assert_eq!(calls.get(), 10 * (ROUNDS + 100));
    // Changing the other direction costs a system call, but no memory.
    let ours = &pairs[0].0;
    event_loop.add_writer(ours, || ()).unwrap();
    assert!(event_loop.remove_writer(ours));
    let ((), counts) = count_allocations(|| event_loop.add_writer(ours, || ()).unwrap());
    assert!(counts.allocations <= 2, "the watcher and nothing else: {counts:?}");
}

#[test]
fn a_post_allocates_nothing_on_the_loops_side_and_blocks_of_a_queue_on_the_other() {
    let event_loop = event_loop();
    let handle = event_loop.handle();
    let (mut there, mut here) = (0, 0);
    for _ in 0..10 {
        let posting = std::thread::scope(|scope| {
            let post = || (0..1000).for_each(|n: usize| handle.post(move || assert!(n < 1000)).unwrap());
            scope.spawn(move || count_allocations(post).1).join().unwrap()
        });
        there += posting.allocations;
        // Once to warm up the ready queue for so many.
        let before = event_loop.statistics().callbacks_total;
        let ((), counts) = count_allocations(|| event_loop.run_until_blocked().unwrap());
        assert_eq!(event_loop.statistics().callbacks_total - before, 1000);
        here = counts.allocations;
    }
    assert_eq!(here, 0);
    assert!(there <= 10_000 / 31 + 10, "{there} allocations for 10,000 posts");
}

#[test]
fn a_trigger_allocates_nothing() {
    let event_loop = event_loop();
    let trigger = event_loop.create_trigger(|| ());
    let counts = cost(|| {
        trigger.fire();
        iterate(&event_loop);
    });
    assert_eq!(counts.allocations, 0);
}

#[test]
fn a_blocking_iteration_waits_once() {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    let script = driver.script();
    let event_loop = EventLoop::builder().driver(Box::new(driver)).build().unwrap();
    for n in 1..=100 {
        event_loop.call_later(n, || ());
    }
    for n in 1..=100 {
        event_loop.run_once(None).unwrap();
        let statistics = event_loop.statistics();
        let expected = (n, n, n, n);
        let found = (
            script.statistics().waits,
            statistics.polls_total,
            statistics.iterations_total,
            statistics.timers_fired_total,
        );
        assert_eq!(found, expected);
    }
    assert_eq!(script.statistics().notifications, 0);
}

/// A million timers, of which nearly all are cancelled: what timeouts do.
#[test]
fn the_memory_of_a_million_timers_comes_back() {
    const ARMED: u32 = 1_000_000;
    let driver = Box::new(ScriptedDriver::new(&VirtualClock::new()));
    let event_loop = EventLoop::builder().driver(driver).build().unwrap();
    let fired: Rc<Cell<(u32, u32)>> = Rc::default();
    let round = || {
        let mut handles = Vec::new();
        for n in 0..ARMED {
            // Spread over 1000 seconds in a scrambled order, many on one deadline.
            let delay = n.wrapping_mul(2_654_435_761) % 1000;
            let (seen, inner) = (fired.clone(), event_loop.clone());
            let callback = move || {
                let (count, last) = seen.get();
                assert!(delay >= last, "after {last} s came {delay} s");
                seen.set((count + 1, delay));
                if count + 1 == ARMED / 100 {
                    inner.stop();
                }
            };
            handles.push(event_loop.call_later(delay, callback));
        }
        assert_eq!(event_loop.statistics().timers, ARMED as usize);
        for (n, handle) in handles.iter().enumerate() {
            if n % 100 != 0 {
                handle.cancel();
            }
        }
        drop(handles);
        assert_eq!(event_loop.statistics().timers, ARMED as usize / 100);
        event_loop.run_forever().unwrap();
        assert_eq!(fired.replace((0, 0)).0, ARMED / 100);
        // Idle, it gives the memory of the peak back.
        event_loop.run_once(Some(Duration::from_secs(1))).unwrap();
    };
    let ((), counts) = count_allocations(round);
    assert!(counts.allocated_bytes > 100_000_000 / 2, "{counts:?}");
    assert!(counts.growth_bytes() < 100_000, "{} bytes did not come back", counts.growth_bytes());
    let ((), counts) = count_allocations(round);
    assert!(counts.growth_bytes().abs() < 10_000, "{} bytes grew", counts.growth_bytes());
}
