//! The current loop and the policy. In a process of its own, because the policy belongs to the process.

use asyncio_loop::{
    EventLoop, EventLoopPolicy, NoLoopError, get_event_loop, get_event_loop_policy, get_running_loop, new_event_loop,
    set_event_loop, set_event_loop_policy, try_get_running_loop,
};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// One line puts every loop of the program on virtual time.
#[derive(Debug)]
struct Virtual(VirtualClock);

impl EventLoopPolicy for Virtual {
    fn new_event_loop(&self) -> io::Result<EventLoop> {
        EventLoop::builder().driver(Box::new(ScriptedDriver::new(&self.0))).build()
    }
}

#[derive(Debug)]
struct Refuses;

impl EventLoopPolicy for Refuses {
    fn new_event_loop(&self) -> io::Result<EventLoop> {
        Err(io::Error::other("no loops today"))
    }
}

#[test]
fn the_policy_decides_what_loops_stand_on() {
    let clock = VirtualClock::new();
    set_event_loop_policy(Some(Arc::new(Virtual(clock.clone()))));
    let event_loop = new_event_loop().unwrap();
    let stopper = event_loop.clone();
    event_loop.call_later(86_400, move || stopper.stop());
    event_loop.run_forever().unwrap();
    assert_eq!(clock.elapsed().as_secs(), 86_400);

    set_event_loop_policy(Some(Arc::new(Refuses)));
    assert_eq!(new_event_loop().unwrap_err().to_string(), "no loops today");
    set_event_loop_policy(None);
    assert!(format!("{:?}", get_event_loop_policy()).contains("DefaultEventLoopPolicy"));
    assert!(new_event_loop().is_ok());
}

#[test]
fn no_loop_is_made_implicitly() {
    assert!(matches!(get_event_loop(), Err(NoLoopError::NotSet)));
    assert!(matches!(try_get_running_loop(), Err(NoLoopError::NotRunning)));
}

#[test]
#[should_panic(expected = "no running event loop")]
fn asking_for_a_running_loop_outside_of_one_panics() {
    let _ = get_running_loop();
}

#[test]
fn the_set_loop_is_the_current_one_while_none_runs() {
    let [set, running] = [(); 2].map(|()| EventLoop::builder().build().unwrap());
    set_event_loop(Some(&set));
    assert!(get_event_loop().unwrap().is_same(&set));
    assert!(try_get_running_loop().is_err(), "set is not running");
    let seen = Rc::new(Cell::new(false));
    let (sees, inner) = (seen.clone(), running.clone());
    running
        .call_soon(move || sees.set(get_event_loop().unwrap().is_same(&inner) && get_running_loop().is_same(&inner)));
    running.run_until_blocked().unwrap();
    assert!(seen.get());
    // Every thread has its own.
    std::thread::scope(|scope| scope.spawn(|| assert!(get_event_loop().is_err())).join().unwrap());
    set_event_loop(None);
    assert!(get_event_loop().is_err());
    running.close().unwrap();
}

/// A loop that is set and never closed goes with its thread, and what its callbacks hold may ask for it then.
#[test]
fn a_destructor_at_the_end_of_the_thread_finds_no_loop() {
    struct Asks(Arc<std::sync::atomic::AtomicBool>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let none = get_event_loop().is_err() && try_get_running_loop().is_err();
            self.0.store(none, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let none = Arc::new(std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let event_loop = EventLoop::builder().build().unwrap();
            let asks = Asks(none.clone());
            event_loop.call_soon(move || drop(asks));
            set_event_loop(Some(&event_loop));
        });
    });
    // `scope` waits for the thread's function, not for its thread-locals.
    while Arc::strong_count(&none) > 1 {
        std::thread::yield_now();
    }
    assert!(none.load(std::sync::atomic::Ordering::Relaxed));
}
