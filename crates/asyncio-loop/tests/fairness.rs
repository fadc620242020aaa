//! The bounds that the README states: how long busy callbacks may keep descriptors and timers waiting, and the reverse.

#[path = "support/log.rs"]
mod log;

use asyncio_driver::{
    Address, Capabilities, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest,
    ListenOptions, ListenerEndpoint, LoopTime, Mode, Notify, Source, StreamEndpoint, Token,
};
use asyncio_loop::EventLoop;
use asyncio_testing::{ScriptedDriver, VirtualClock};
use log::Log;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A driver on virtual time that, like those of the kernel, is not free to ask.
#[derive(Debug)]
struct Dear(ScriptedDriver);

impl Driver for Dear {
    fn now(&self) -> LoopTime {
        self.0.now()
    }
    fn wait(&mut self, deadline: Deadline, events: &mut Vec<Event>) -> io::Result<()> {
        self.0.wait(deadline, events)
    }
    fn register(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        self.0.register(source, token, interest, mode)
    }
    fn modify(&mut self, source: Source<'_>, token: Token, interest: Interest, mode: Mode) -> io::Result<()> {
        self.0.modify(source, token, interest, mode)
    }
    fn remove(&mut self, source: Source<'_>) -> io::Result<()> {
        self.0.remove(source)
    }
    fn notifier(&self) -> Arc<dyn Notify> {
        self.0.notifier()
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::minimal()
    }
    #[cfg(unix)]
    fn poll_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }
    fn connect(&mut self, remote: &Address, options: &ConnectOptions) -> io::Result<Box<dyn StreamEndpoint>> {
        self.0.connect(remote, options)
    }
    fn listen(&mut self, local: &Address, options: &ListenOptions) -> io::Result<Box<dyn ListenerEndpoint>> {
        self.0.listen(local, options)
    }
    fn datagram(
        &mut self,
        local: Option<&Address>,
        remote: Option<&Address>,
        options: &DatagramOptions,
    ) -> io::Result<Box<dyn DatagramEndpoint>> {
        self.0.datagram(local, remote, options)
    }
}

struct Busy {
    event_loop: EventLoop,
    clock: VirtualClock,
    left: Cell<usize>,
    each: Cell<Duration>,
}

impl Busy {
    fn new(strict_order: bool) -> Rc<Self> {
        let clock = VirtualClock::new();
        let driver = Box::new(Dear(ScriptedDriver::new(&clock)));
        let event_loop = EventLoop::builder().driver(driver).strict_order(strict_order).build().unwrap();
        Rc::new(Self { event_loop, clock, left: Cell::new(0), each: Cell::new(Duration::ZERO) })
    }

    /// A callback that schedules itself, and takes `each` of virtual time.
    fn run(self: &Rc<Self>, callbacks: usize, each: Duration) {
        self.left.set(callbacks);
        self.each.set(each);
        self.again();
        self.event_loop.run_forever().unwrap();
    }

    fn again(self: &Rc<Self>) {
        let this = self.clone();
        self.event_loop.call_soon(move || {
            this.clock.advance(this.each.get());
            this.left.set(this.left.get() - 1);
            if this.left.get() == 0 { this.event_loop.stop() } else { this.again() }
        });
    }

    /// How often the driver was asked while these callbacks ran.
    fn polls(self: &Rc<Self>, callbacks: usize, each: Duration) -> u64 {
        let before = self.event_loop.statistics().polls_total;
        self.run(callbacks, each);
        self.event_loop.statistics().polls_total - before
    }
}

// sem. 5: by its number, the driver is asked after 64 callbacks.
#[test]
fn short_callbacks_ask_the_driver_every_64() {
    let busy = Busy::new(false);
    busy.polls(64, Duration::ZERO);
    for _ in 0..5 {
        assert_eq!(busy.polls(6400, Duration::ZERO), 100);
    }
}

// sem. 5: and by time, after 0.1 ms, as soon as callbacks have turned out to be long.
#[test]
fn long_callbacks_ask_the_driver_each_time() {
    let busy = Busy::new(false);
    busy.polls(640, Duration::ZERO);
    let long = Duration::from_micros(100);
    assert!(busy.polls(64, long) >= 1, "the change is noticed within 64 callbacks");
    assert_eq!(busy.polls(100, long), 100);
    assert_eq!(busy.polls(100, Duration::from_secs(1)), 100);
    // And seldom again when they are short again.
    busy.polls(640, Duration::ZERO);
    assert_eq!(busy.polls(6400, Duration::ZERO), 100);
}

#[test]
fn callbacks_of_middling_length_ask_the_driver_every_tenth_of_a_millisecond() {
    let busy = Busy::new(false);
    let middling = Duration::from_micros(10);
    busy.polls(1000, middling);
    let polls = busy.polls(10_000, middling);
    // 100 ms, so 1000 times; the clock is looked at seldom enough to make it up to four times less.
    assert!((250..=1100).contains(&polls), "{polls} polls");
}

// sem. 5
#[test]
fn in_strict_order_every_iteration_asks_the_driver() {
    let busy = Busy::new(true);
    assert_eq!(busy.polls(1000, Duration::ZERO), 1000);
}

#[test]
fn a_large_batch_is_one_iteration_and_then_the_driver_is_asked() {
    let busy = Busy::new(false);
    let log = Log::new();
    for _ in 0..1000 {
        busy.event_loop.call_soon(|| ());
    }
    let (inner, late) = (busy.event_loop.clone(), log.clone());
    busy.event_loop.call_soon(move || drop(inner.call_soon(late.adds(inner.statistics().polls_total))));
    busy.event_loop.run_once(None).unwrap();
    let polls = busy.event_loop.statistics().polls_total;
    busy.event_loop.run_once(None).unwrap();
    assert_eq!(busy.event_loop.statistics().polls_total, polls + 1);
}

/// A timer that comes due while callbacks are busy fires within 64 callbacks, or 0.1 ms and one callback.
#[test]
fn busy_callbacks_do_not_starve_timers() {
    for each in [100, 1000, 10_000, 100_000, 1_000_000] {
        let each = Duration::from_nanos(each);
        let busy = Busy::new(false);
        busy.polls(1000, each);
        let log = Log::new();
        for millis in 1..20 {
            let (due, inner, sink) = (Duration::from_millis(millis), busy.event_loop.clone(), log.clone());
            let when = busy.event_loop.time() + due.as_secs_f64();
            busy.event_loop.call_later(due, move || sink.add(inner.time() - when));
        }
        let callbacks = Duration::from_millis(40).as_nanos() / each.as_nanos();
        busy.run(usize::try_from(callbacks).unwrap().max(40), each);
        let late = log.take();
        assert_eq!(late.len(), 19);
        let bound = (64 * each).min(Duration::from_micros(400) + 2 * each);
        let worst = late.into_iter().fold(0.0, f64::max);
        assert!(worst <= bound.as_secs_f64() + 1e-9, "{worst} s late with callbacks of {each:?}");
    }
}

/// A timer without a delay is due in the next iteration, however busy that is.
#[test]
fn a_timer_without_a_delay_runs_in_the_next_iteration() {
    for strict_order in [false, true] {
        let busy = Busy::new(strict_order);
        busy.run(10, Duration::from_micros(3));
        let log = Log::new();
        let (inner, sink) = (busy.event_loop.clone(), log.clone());
        busy.event_loop.call_soon(move || {
            inner.call_later(0, sink.adds("timer"));
            let (again, again_sink) = (inner.clone(), sink.clone());
            inner.call_soon(move || drop(again.call_soon(again_sink.adds("two iterations later"))));
        });
        busy.event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["timer", "two iterations later"]);
    }
}

// sem. 5, 20
#[cfg(unix)]
#[test]
fn a_hot_descriptor_busy_callbacks_and_timers_do_not_starve_one_another() {
    use std::io::Write as _;
    for strict_order in [false, true] {
        let event_loop = EventLoop::builder().strict_order(strict_order).build().unwrap();
        let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        theirs.write_all(b"never read").unwrap();
        let events = Rc::new(Cell::new(0));
        let count = events.clone();
        event_loop.add_reader(&ours, move || count.set(count.get() + 1)).unwrap();
        let timers = Rc::new(Cell::new(0));
        timer(&event_loop, &timers);
        chain(&event_loop, 64_000);
        event_loop.run_forever().unwrap();
        let statistics = event_loop.statistics();
        assert_eq!(events.get(), statistics.polls_total, "each time the driver is asked, the descriptor is called");
        assert!(statistics.polls_total >= 1000 && timers.get() > 100, "{statistics:?}, {} timers", timers.get());
        if strict_order {
            assert_eq!(statistics.polls_total, statistics.iterations_total);
        }
        event_loop.close().unwrap();
    }
}

/// A callback that schedules itself, and stops the loop in the end.
#[cfg(unix)]
fn chain(event_loop: &EventLoop, left: usize) {
    let inner = event_loop.clone();
    event_loop.call_soon(move || if left == 0 { inner.stop() } else { chain(&inner, left - 1) });
}

/// A timer that sets itself again, for at once.
#[cfg(unix)]
fn timer(event_loop: &EventLoop, count: &Rc<Cell<usize>>) {
    let (inner, again) = (event_loop.clone(), count.clone());
    event_loop.call_later(0, move || {
        again.set(again.get() + 1);
        timer(&inner, &again);
    });
}
