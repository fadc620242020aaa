//! Context variables: each callback sees the values of whoever scheduled it.

use crate::{Done, say};
use asyncio::{ContextVar, copy_context};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

static REQUEST: ContextVar<u32> = ContextVar::new("request");
const REQUESTS: u32 = 1_000;

pub(crate) fn tour() -> io::Result<Done> {
    let event_loop = asyncio::new_event_loop()?;
    let seen: Rc<RefCell<Vec<Option<u32>>>> = Rc::default();
    for request in 0..REQUESTS {
        let (inner, seen) = (event_loop.clone(), seen.clone());
        copy_context().run(|| {
            REQUEST.set(request);
            // A callback, a timer that it sets, and a call that it sends itself as another thread would.
            event_loop.call_soon(move || {
                let timer = inner.clone();
                inner.call_later(0, move || {
                    drop(timer.call_soon(move || seen.borrow_mut().push(REQUEST.get())));
                });
                REQUEST.set(u32::MAX - request);
            });
        });
    }
    event_loop.run_until_blocked()?;
    assert!(seen.borrow().iter().copied().eq((0..REQUESTS).map(Some)), "a callback saw another one's value");
    assert_eq!(REQUEST.get(), None, "a value has leaked");
    say(format_args!("{REQUESTS} chains of callbacks, each with a value of its own; none leaked"));
    event_loop.close()?;
    Ok(Done::new(seen.borrow().len(), "chains of callbacks kept their context"))
}
