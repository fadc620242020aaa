//! `run` and `Runner`. The tests of `SIGINT` are children of this process, one for each.

#[path = "support/log.rs"]
mod log;

use asyncio_loop::{Context, ContextVar, EventLoop};
use asyncio_tasks::{
    LoopShutdown as _, Runner, RunnerError, all_tasks, catch_cancelled, create_task, current_task, run, sleep, try_run,
};
use asyncio_testing::{ScriptedDriver, VirtualClock};
use log::Log;

fn runner() -> Runner {
    let driver = ScriptedDriver::new(&VirtualClock::new());
    Runner::builder().loop_builder(EventLoop::builder().driver(Box::new(driver))).build().unwrap()
}

// sem. 281
#[test]
fn what_is_left_is_cancelled_together_and_awaited_before_the_hooks() {
    let log = Log::new();
    let mut runner = runner();
    let event_loop = runner.get_loop().unwrap();
    let sink = log.clone();
    event_loop.add_shutdown_hook(move || async move { sink.add(String::from("hook")) });
    let sink = log.clone();
    event_loop.set_exception_handler(move |_, report| {
        sink.add(format!("{}: {}", report.message(), report.panic_message().unwrap_or_default()));
    });
    let sink = log.clone();
    let main = async move {
        for n in [2_u32, 1] {
            let sink = sink.clone();
            create_task(async move {
                drop(catch_cancelled(sleep(60)).await);
                sleep(n).await;
                sink.add(format!("left {n}"));
            });
        }
        create_task(async {
            drop(catch_cancelled(sleep(60)).await);
            panic!("on the way out");
        });
        sleep(1).await;
        sink.add(String::from("main"));
    };
    runner.run(main).unwrap();
    assert_eq!(log.take(), ["main"]);
    runner.close();
    let report = "unhandled exception during asyncio.run() shutdown: on the way out";
    assert_eq!(log.take(), ["left 1", "left 2", report, "hook"]);
    assert!(event_loop.is_closed());
    assert!(matches!(runner.run(async {}), Err(RunnerError::Closed)));
    runner.close();
}

// sem. 282
#[test]
fn runs_share_a_context_that_does_not_leak() {
    static COUNT: ContextVar<u32> = ContextVar::new("count");
    let mut runner = runner();
    for n in 0..3 {
        let seen = runner.run(async move {
            let seen = COUNT.get();
            COUNT.set(n);
            seen
        });
        assert_eq!(seen.unwrap(), n.checked_sub(1));
    }
    assert_eq!(COUNT.get(), None);
    let context = Context::new();
    context.run(|| COUNT.set(9));
    assert_eq!(runner.run_in_context(&context, async { COUNT.get() }).unwrap(), Some(9));
}

// sem. 283
#[test]
fn the_loop_of_the_thread_is_not_touched() {
    let mine = EventLoop::builder().build().unwrap();
    asyncio_loop::set_event_loop(Some(&mine));
    runner().run(async {}).unwrap();
    assert!(asyncio_loop::get_event_loop().unwrap().is_same(&mine));
    asyncio_loop::set_event_loop(None);
    mine.close().unwrap();
}

// sem. 284
#[test]
fn after_a_run_there_is_no_loop() {
    run(async {});
    assert!(asyncio_loop::try_get_running_loop().is_err());
}

// sem. 285
#[test]
fn anything_that_is_a_future_can_be_run_but_not_inside_a_loop() {
    assert_eq!(run(std::future::ready(1)), 1);
    let inside = try_run(async { try_run(async {}).unwrap_err().to_string() });
    assert_eq!(inside.unwrap(), "cannot be called from a running event loop");
    let mut other = runner();
    let inside = run(async move { other.run(async {}).unwrap_err().to_string() });
    assert_eq!(inside, "cannot be called from a running event loop");
}

#[test]
fn a_main_task_that_ends_cancelled_or_panics_is_told() {
    let outcome = try_run(async { current_task().unwrap().cancel_with("why") });
    let Err(RunnerError::Cancelled(error)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(error.message(), Some("why"));
    let mut runner = runner();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runner.run(async { panic!("main") })));
    let Err(payload) = outcome else { panic!("it has a result") };
    assert_eq!(*payload.downcast::<&str>().unwrap(), "main");
    assert_eq!(runner.run(async { all_tasks().len() }).unwrap(), 1, "it can be used again");
}

#[test]
fn a_deadlock_is_told_whole_however_it_is_shown() {
    let stuck = || {
        let outcome = runner().run(async {
            create_task(std::future::pending::<()>()).set_name("stuck");
            std::future::pending::<()>().await;
        });
        outcome.unwrap_err()
    };
    for shown in [stuck().to_string(), format!("{:?}", stuck()), std::io::Error::from(stuck()).to_string()] {
        assert!(shown.contains("nothing can ever happen"), "{shown}");
        assert!(shown.lines().any(|line| line.contains("stuck")), "{shown}");
        assert!(!shown.contains("\\n"), "{shown}");
    }
}

#[cfg(unix)]
mod interrupts {
    use super::*;
    use asyncio_driver::{Signal, SignalAction, signal_action};
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Command, Output};

    /// Says which of the cases below this process is to be.
    const CASE: &str = "ASYNCIO_TEST_INTERRUPT";

    /// Runs one of the cases in a process of its own.
    fn child(case: &str) -> Output {
        let program = std::env::current_exe().unwrap();
        let arguments = ["--exact", "interrupts::the_case_of_the_child", "--nocapture", "--test-threads=1"];
        Command::new(program).args(arguments).env(CASE, case).output().unwrap()
    }

    fn raise() {
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
    }

    /// At this thread, so that it has arrived when this returns.
    #[expect(unsafe_code, reason = "raise(3) has no safe binding")]
    fn raise_here() {
        // SAFETY: has no precondition; the handler is that of the runner, or none.
        assert_eq!(unsafe { libc::raise(libc::SIGINT) }, 0);
    }

    fn say(what: &str) {
        use std::io::Write as _;
        let mut output = std::io::stdout().lock();
        output.write_all(format!("said: {what}\n").as_bytes()).unwrap();
    }

    fn said(output: &Output) -> Vec<String> {
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter_map(|line| line.split_once("said: ")).map(|(_, what)| what.to_owned()).collect()
    }

    /// Who starts the tests in the background of a script has interrupts ignored.
    #[expect(unsafe_code, reason = "signal(2) has no safe binding")]
    fn interrupts_are_not_ignored() {
        // SAFETY: the default action runs no code of this process.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
    }

    #[test]
    fn the_case_of_the_child() {
        if std::env::var_os(CASE).is_some() {
            interrupts_are_not_ignored();
        }
        match std::env::var(CASE).as_deref() {
            Ok("cleans up") => run(cleans_up()),
            Ok("second") => {
                let outcome = try_run(async {
                    raise();
                    drop(catch_cancelled(sleep(60)).await);
                    say("cleaning up");
                    raise();
                    sleep(60).await;
                    say("never");
                });
                say(&outcome.unwrap_err().to_string());
            }
            Ok("swallows") => {
                let value = run(async {
                    raise();
                    catch_cancelled(sleep(60)).await.is_err()
                });
                say(&value.to_string());
            }
            Ok("blocks") => run(async {
                for n in 1..=3 {
                    raise_here();
                    say(&n.to_string());
                }
            }),
            Ok("answers") => {
                let outcome = try_run(async {
                    raise_here();
                    drop(catch_cancelled(sleep(60)).await);
                    raise_here();
                    raise_here();
                    say("two since");
                    sleep(60).await;
                });
                say(&outcome.unwrap_err().to_string());
            }
            Ok("restores") => {
                let mut runner = Runner::new().unwrap();
                for _ in 0..2 {
                    let run = std::panic::AssertUnwindSafe(|| {
                        runner.run(async {
                            say(&format!("{:?}", signal_action(Signal::INT).unwrap()));
                            panic!("main");
                        })
                    });
                    assert!(std::panic::catch_unwind(run).is_err());
                    assert_eq!(signal_action(Signal::INT).unwrap(), SignalAction::Default);
                }
            }
            _ => {}
        }
    }

    async fn cleans_up() {
        raise();
        let error = catch_cancelled(sleep(60)).await.unwrap_err();
        sleep(0.001).await;
        say("cleaned up");
        error.reraise().await;
    }

    // sem. 278
    #[test]
    fn the_first_interrupt_cancels_main_and_the_process_ends_as_killed_by_it() {
        let output = child("cleans up");
        assert_eq!((said(&output), output.status.signal()), (vec!["cleaned up".into()], Some(2)));
    }

    // sem. 278
    #[test]
    fn the_second_interrupt_ends_the_run_at_once() {
        let output = child("second");
        assert_eq!(said(&output), ["cleaning up", "interrupted by SIGINT"]);
    }

    // sem. 278
    #[test]
    fn the_third_interrupt_that_a_step_does_not_let_the_loop_answer_ends_the_process() {
        let output = child("blocks");
        assert_eq!((said(&output), output.status.signal()), (vec!["1".into(), "2".into()], Some(2)));
        let output = child("answers");
        assert_eq!(said(&output), ["two since", "interrupted by SIGINT"]);
    }

    // sem. 279
    #[test]
    fn a_main_that_swallows_the_interrupt_has_its_value() {
        let output = child("swallows");
        assert_eq!((said(&output), output.status.success()), (vec!["true".into()], true));
    }

    // sem. 280
    #[test]
    fn the_handler_is_taken_back_also_after_a_panic() {
        let output = child("restores");
        assert_eq!((said(&output), output.status.success()), (vec!["Handler".into(); 2], true));
    }
}
