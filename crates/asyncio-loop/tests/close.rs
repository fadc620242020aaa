//! Closing: what is dropped, what is refused, and destructors that come back. On every driver.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/log.rs"]
mod log;

use asyncio_loop::{EventLoop, Extension, RunError, Runnable};
use log::Log;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

/// What an upper floor keeps with the loop.
struct Kept<T>(T);

impl<T: 'static> Extension for Kept<T> {}

/// What an upper floor schedules.
struct Holds(#[expect(dead_code, reason = "it is there to be dropped")] Rc<()>);

impl Runnable for Holds {
    fn run(self: Rc<Self>) {}
}

drivers::on_each_driver! {
    // sem. 16
    fn a_closed_loop_does_not_run_and_schedules_nothing(event_loop) {
        let log = Log::new();
        let sink = log.clone();
        event_loop.set_exception_handler(move |_, report| sink.add(report.message().to_owned()));
        event_loop.close().unwrap();
        event_loop.close().unwrap();
        assert!(event_loop.is_closed() && !event_loop.is_running());
        for outcome in [
            event_loop.run_forever(),
            event_loop.run_once(Some(Duration::ZERO)),
            event_loop.run_until_blocked(),
        ] {
            assert!(matches!(outcome, Err(RunError::Closed)));
        }
        let held = Rc::new(());
        let (one, two, three) = (held.clone(), held.clone(), held.clone());
        event_loop.call_soon(move || drop(one));
        event_loop.call_later(1, move || drop(two));
        event_loop.call_at(1.0, move || drop(three));
        assert_eq!(Rc::strong_count(&held), 1);
        assert_eq!(log.take(), ["a callback was scheduled on an event loop that is closed"; 3]);
        assert!(event_loop.handle().post(|| ()).is_err());
        assert_eq!((event_loop.next_deadline(), event_loop.pending()), (None, vec![]));
        event_loop.stop();
        event_loop.interrupt();
    }

    // sem. 16
    fn closing_drops_everything_at_once(event_loop) {
        let held = Rc::new(());
        let captures = || {
            let captured = held.clone();
            move || {
                let _captured = &captured;
            }
        };
        event_loop.call_soon(captures());
        event_loop.call_later(1, captures());
        event_loop.call_later(1_000_000, captures());
        let trigger = event_loop.create_trigger(captures());
        let extension = held.clone();
        event_loop.extension(move |_| Kept(extension));
        event_loop.schedule(Rc::new(Holds(held.clone())));
        event_loop.schedule_at(event_loop.nanos() + 1_000_000_000, Rc::new(Holds(held.clone())));
        assert_eq!(Rc::strong_count(&held), 8);
        event_loop.close().unwrap();
        assert_eq!(Rc::strong_count(&held), 1);
        drop(trigger);
    }

    fn the_clock_of_a_closed_loop_stands_still(event_loop) {
        let before = event_loop.time();
        event_loop.close().unwrap();
        let at_close = event_loop.time();
        assert!(at_close >= before);
        assert_eq!((event_loop.time(), event_loop.nanos()), (at_close, event_loop.nanos()));
    }

    fn destructors_may_use_the_loop_that_is_being_closed(event_loop) {
        struct Comes(EventLoop, Log<&'static str>);
        impl Drop for Comes {
            fn drop(&mut self) {
                let Self(event_loop, log) = self;
                assert!(event_loop.is_closed());
                event_loop.call_soon(|| ());
                event_loop.call_later(1, || ()).cancel();
                event_loop.close().unwrap();
                event_loop.create_trigger(|| ()).fire();
                assert!(event_loop.run_forever().is_err());
                assert!(event_loop.handle().post(|| ()).is_err());
                assert!(event_loop.time() >= 0.0);
                log.add("dropped");
            }
        }
        event_loop.set_exception_handler(|_, _| ());
        let log = Log::new();
        let comes = || Comes(event_loop.clone(), log.clone());
        let (soon, timer, trigger, extension) = (comes(), comes(), comes(), comes());
        event_loop.call_soon(move || drop(soon));
        event_loop.call_later(1, move || drop(timer));
        let trigger = event_loop.create_trigger(move || {
            let _trigger = &trigger;
        });
        event_loop.extension(move |_| Kept(extension));
        event_loop.close().unwrap();
        assert_eq!(log.take(), ["dropped"; 4]);
        drop(trigger);
    }

    fn a_destructor_that_panics_while_closing_leaves_the_loop_closed(event_loop) {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("dropped"));
            }
        }
        let held = Rc::new(());
        let (bomb, one, two) = (Bomb, held.clone(), held.clone());
        event_loop.call_soon(move || drop(bomb));
        event_loop.call_soon(move || drop(one));
        event_loop.call_later(1, move || drop(two));
        assert!(catch_unwind(AssertUnwindSafe(|| event_loop.close())).is_err());
        assert!(event_loop.is_closed());
        assert_eq!(Rc::strong_count(&held), 1, "the rest is dropped all the same");
        event_loop.close().unwrap();
    }

    fn a_callback_that_drops_the_last_handle_does_not_end_its_loop_early(event_loop) {
        let log = Log::new();
        let own = event_loop.clone();
        let sink = log.clone();
        event_loop.call_soon(move || {
            drop(own);
            sink.add("first");
        });
        event_loop.call_soon(log.adds("second"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["first", "second"]);
    }

    fn extensions_are_made_once(event_loop) {
        let first = event_loop.extension(|_| Kept(7_u32));
        let second = event_loop.extension(|_| Kept(8_u32));
        assert!(Rc::ptr_eq(&first, &second));
        assert_eq!(second.0, 7);
        assert!(event_loop.find_extension::<Kept<u64>>().is_none());
    }
}
