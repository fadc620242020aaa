//! Callbacks: one queue, in order; cancelled ones do not run.

use crate::{Done, say};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

const CALLBACKS: usize = 1_000_000;

pub(crate) fn tour() -> io::Result<Done> {
    let event_loop = asyncio::new_event_loop()?;
    let ran: Rc<RefCell<Vec<usize>>> = Rc::default();
    for n in 0..CALLBACKS {
        let ran = ran.clone();
        let handle = event_loop.call_soon(move || ran.borrow_mut().push(n));
        if n % 10 == 9 {
            handle.cancel();
        }
    }
    let stopper = event_loop.clone();
    event_loop.call_soon(move || stopper.stop());
    let begin = event_loop.time();
    event_loop.run_forever()?;
    let nanos = (event_loop.time() - begin) * 1e9 / CALLBACKS as f64;
    assert!(ran.borrow().iter().copied().eq((0..CALLBACKS).filter(|n| n % 10 != 9)), "out of order");
    say(format_args!(
        "{CALLBACKS} callbacks scheduled, every tenth cancelled, the rest ran in order: {nanos:.0} ns each"
    ));
    event_loop.close()?;
    assert!(event_loop.run_forever().is_err(), "a closed loop ran");
    Ok(Done::new(ran.borrow().len(), "callbacks ran in the order of scheduling"))
}
