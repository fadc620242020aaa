//! Timers: setting and cancelling is cheap, firing is never early.

use crate::{Done, say};
use asyncio::TimerHandle;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

const TIMEOUTS: u32 = 100_000;

pub(crate) fn tour() -> io::Result<Done> {
    let event_loop = asyncio::new_event_loop()?;
    // What timeouts do: set, and cancelled long before they are due.
    let begin = event_loop.time();
    let timeouts: Vec<_> = (0..TIMEOUTS).map(|n| event_loop.call_later(30 + n % 60, || panic!("cancelled"))).collect();
    timeouts.iter().for_each(TimerHandle::cancel);
    let nanos = (event_loop.time() - begin) * 1e9 / f64::from(TIMEOUTS);
    assert_eq!(event_loop.statistics().timers, 0);
    say(format_args!("{TIMEOUTS} timers set and cancelled: {nanos:.0} ns each"));

    // A few that fire, below and above a millisecond, set in no order.
    let late: Rc<RefCell<Vec<f64>>> = Rc::default();
    for micros in [5_000, 250, 2_000, 100, 1_000, 500, 3_000, 50] {
        let (inner, late) = (event_loop.clone(), late.clone());
        let due = event_loop.time() + f64::from(micros) / 1e6;
        event_loop.call_at(due, move || late.borrow_mut().push(inner.time() - due));
    }
    let stopper = event_loop.clone();
    event_loop.call_later(Duration::from_millis(6), move || stopper.stop());
    event_loop.run_forever()?;
    let late = late.borrow();
    // Seconds as `f64` are exact to the nanosecond.
    assert!(late.len() == 8 && late.iter().all(|seconds| *seconds > -1e-9), "early: {late:?}");
    let worst = late.iter().copied().fold(0.0, f64::max);
    let mean = late.iter().sum::<f64>() / late.len() as f64;
    say(format_args!(
        "{} timers fired, none early; late by {:.0} us, {:.0} us at worst",
        late.len(),
        mean * 1e6,
        worst * 1e6
    ));
    event_loop.close()?;
    Ok(Done::new(TIMEOUTS as usize + late.len(), "timers set, nearly all cancelled, none early"))
}
