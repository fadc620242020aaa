//! Panics: a callback that panics is reported with its place, and the loop goes on.

use crate::{Done, say};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

pub(crate) fn tour() -> io::Result<Done> {
    let event_loop = asyncio::new_event_loop()?;
    let reports: Rc<RefCell<Vec<String>>> = Rc::default();
    let sink = reports.clone();
    event_loop.set_exception_handler(move |_, report| sink.borrow_mut().push(report.to_string()));
    let ran = Rc::new(Cell::new(0));
    for n in 0..6 {
        let ran = ran.clone();
        event_loop.call_soon(move || {
            // As a panic, but without the message that the runtime prints.
            if n % 2 == 0 {
                std::panic::resume_unwind(Box::new(format!("callback {n} gives up")));
            }
            ran.set(ran.get() + 1);
        });
    }
    event_loop.run_until_blocked()?;
    let reports = reports.borrow();
    assert_eq!((reports.len(), ran.get()), (3, 3));
    assert!(reports[0].contains("callback 0 gives up") && reports[0].contains("panics.rs:"), "{}", reports[0]);
    reports[0].lines().for_each(|line| say(format_args!("| {line}")));
    say(format_args!("{} callbacks panicked and were reported; the other {} ran", reports.len(), ran.get()));
    event_loop.close()?;
    Ok(Done::new(reports.len(), "panics reported, none of them ended the loop"))
}
