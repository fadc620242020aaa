//! A runner: several runs on one loop, and an end in order: what is left is cancelled, and its clean-up awaited.

use crate::{Done, say};
use asyncio::prelude::*;
use asyncio::{Runner, catch_cancelled, create_task, sleep};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

pub(crate) fn tour() -> io::Result<Done> {
    let log: Rc<RefCell<Vec<String>>> = Rc::default();
    let mut runner = Runner::new()?;
    for n in 1..=2 {
        let log = log.clone();
        let main = async move {
            let sink = log.clone();
            create_task(async move {
                let _ = catch_cancelled(sleep(60)).await;
                sleep(0.001 * f64::from(n)).await;
                sink.borrow_mut().push(format!("leftover {n}"));
            });
            sleep(0).await;
            log.borrow_mut().push(format!("main {n}"));
            n
        };
        assert_eq!(runner.run(main)?, n);
    }
    let event_loop = runner.get_loop()?;
    assert_eq!(event_loop.all_tasks().len(), 2, "a run has ended what it does not own");
    runner.close();
    assert_eq!(*log.borrow(), ["main 1", "main 2", "leftover 1", "leftover 2"]);
    assert!(event_loop.is_closed() && runner.run(async {}).is_err(), "a runner that was closed has run");
    say(format_args!("{}", log.borrow().join(", ")));
    let nested = asyncio::run(async { asyncio::try_run(async {}).is_err() });
    assert!(nested, "a loop ran inside another one");
    Ok(Done::new(log.borrow().len(), "ends, each in its place"))
}
