//! Panics and reports. On every driver.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/log.rs"]
mod log;

use asyncio_loop::{EventLoop, ExceptionContext};
use log::Log;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::rc::Rc;

/// Sends what is reported to a log: the message, the panic's message, and the line of origin.
fn reports(event_loop: &EventLoop) -> Log<(String, String, u32)> {
    let log = Log::new();
    let sink = log.clone();
    event_loop.set_exception_handler(move |_, report| {
        let panic = report.panic_message().unwrap_or_default().to_owned();
        sink.add((report.message().to_owned(), panic, report.location().map_or(0, std::panic::Location::line)));
    });
    log
}

drivers::on_each_driver! {
    // sem. 8
    fn a_panic_is_reported_with_its_origin_and_the_rest_runs(event_loop) {
        let (reports, log) = (reports(event_loop), Log::new());
        event_loop.call_soon(log.adds("before"));
        let line = line!() + 1;
        event_loop.call_soon(|| panic!("one"));
        event_loop.call_soon(log.adds("between"));
        event_loop.call_later(-1, || panic!("{}", "two"));
        event_loop.call_soon(log.adds("after"));
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert_eq!(log.take(), ["before", "between", "after"], "in the same iteration");
        let message = String::from("a callback panicked");
        let expected = [(message.clone(), "one".into(), line), (message, "two".into(), line + 2)];
        assert_eq!(reports.take(), expected);
    }

    // sem. 8
    fn only_panics_is_a_loop_that_runs_on(event_loop) {
        let reports = reports(event_loop);
        for _ in 0..1000 {
            event_loop.call_soon(|| std::panic::resume_unwind(Box::new("quiet")));
        }
        event_loop.run_until_blocked().unwrap();
        assert_eq!(reports.take().len(), 1000);
    }

    fn a_destructor_that_panics_after_its_callback_is_reported(event_loop) {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("dropped"));
            }
        }
        let (reports, log) = (reports(event_loop), Log::new());
        let bomb = Bomb;
        event_loop.call_soon(move || drop(bomb));
        let bomb = Bomb;
        let ran = log.adds("ran");
        event_loop.call_soon(move || {
            let _bomb = bomb;
            ran();
        });
        event_loop.run_until_blocked().unwrap();
        assert_eq!((reports.take().len(), log.take()), (2, vec!["ran"]));
    }

    fn a_destructor_that_panics_when_cancelled_panics_at_whoever_cancels(event_loop) {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                std::panic::resume_unwind(Box::new("dropped"));
            }
        }
        let (reports, log) = (reports(event_loop), Log::new());
        let bomb = Bomb;
        let handle = event_loop.call_soon(move || drop(bomb));
        assert!(catch_unwind(AssertUnwindSafe(|| handle.cancel())).is_err());
        handle.cancel();
        let bomb = Bomb;
        let timer = event_loop.call_later(1000, move || drop(bomb));
        event_loop.call_soon(move || timer.cancel());
        event_loop.call_soon(log.adds("after"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!((reports.take().len(), log.take(), event_loop.statistics().timers), (1, vec!["after"], 0));
    }

    // sem. 287
    fn a_handler_that_panics_does_not_stop_the_loop(event_loop) {
        let log = Log::new();
        event_loop.set_exception_handler(|_, _| panic!("the handler's own"));
        event_loop.call_soon(|| panic!("the callback's"));
        event_loop.call_soon(log.adds("after"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["after"]);
    }

    fn an_error_whose_text_panics_does_not_stop_the_loop(event_loop) {
        #[derive(Debug)]
        struct Speechless;
        impl std::fmt::Display for Speechless {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("no words")
            }
        }
        impl std::error::Error for Speechless {}
        let log = Log::new();
        let inner = event_loop.clone();
        event_loop.call_soon(move || inner.call_exception_handler(ExceptionContext::new("x").with_error(Speechless)));
        event_loop.call_soon(log.adds("after"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["after"]);
        // Also from outside of any callback.
        event_loop.call_exception_handler(ExceptionContext::new("x").with_error(Speechless));
    }

    fn a_handler_may_use_the_loop_and_replace_itself(event_loop) {
        let log = Log::new();
        let sink = log.clone();
        let held = Rc::new(());
        let captured = held.clone();
        event_loop.set_exception_handler(move |event_loop, _| {
            let _held = &captured;
            event_loop.call_soon(sink.adds("from the handler"));
            let second = sink.clone();
            event_loop.set_exception_handler(move |_, _| second.add("second handler"));
            event_loop.call_exception_handler(ExceptionContext::new("from inside"));
        });
        event_loop.call_soon(|| panic!("as expected"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), ["second handler", "from the handler"]);
        assert_eq!(Rc::strong_count(&held), 1);
        assert!(event_loop.get_exception_handler().is_some());
        event_loop.reset_exception_handler();
        assert!(event_loop.get_exception_handler().is_none());
    }

    fn a_report_is_delivered_once_with_all_that_it_was_given(event_loop) {
        let log = Log::new();
        let sink = log.clone();
        event_loop.set_exception_handler(move |_, report| sink.add(report.to_string()));
        let error = std::io::Error::other("cable cut");
        event_loop.call_exception_handler(ExceptionContext::new("it broke").with_error(error).with("transport", "tcp"));
        assert_eq!(log.take(), ["it broke\n  exception: cable cut\n  transport: tcp"]);
    }
}

/// Set in the child.
const CHILD: &str = "ASYNCIO_STDERR_CHILD";

// sem. 287: what the handler could not tell is written by the default one, and then why. In a process of its own, whose stderr is read.
#[test]
fn what_a_handler_that_panics_was_told_goes_to_stderr_with_its_panic() {
    if std::env::var_os(CHILD).is_some() {
        let event_loop = drivers::platform();
        event_loop.set_exception_handler(|_, _| panic!("the handler's own"));
        event_loop.call_exception_handler(ExceptionContext::new("it broke").with("transport", "tcp"));
        event_loop.reset_exception_handler();
        return event_loop.call_exception_handler(ExceptionContext::new("it broke again"));
    }
    let program = std::env::current_exe().unwrap();
    let name = "what_a_handler_that_panics_was_told_goes_to_stderr_with_its_panic";
    let child = Command::new(program).args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let text = String::from_utf8_lossy(&child.stderr);
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("no {part:?} in {text}"));
    let own = at("the exception handler panicked\n  exception: panic: the handler's own\n");
    assert!(at("it broke\n  transport: tcp\n") < own && own < at("it broke again\n"), "{text}");
}
