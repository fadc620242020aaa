//! Uses asyncio-loop and nothing else: callbacks and a timer, in order.

use std::cell::RefCell;
use std::rc::Rc;

fn main() -> std::io::Result<()> {
    let event_loop = asyncio_loop::new_event_loop()?;
    let seen = Rc::new(RefCell::new(Vec::new()));
    let (first, second, inner) = (seen.clone(), seen.clone(), event_loop.clone());
    event_loop.call_later(0.001, move || {
        second.borrow_mut().push("later");
        inner.stop();
    });
    event_loop.call_soon(move || first.borrow_mut().push("soon"));
    event_loop.run_forever()?;
    event_loop.close()?;
    assert_eq!(*seen.borrow(), ["soon", "later"]);
    println!("ran callbacks {:?}", seen.borrow());
    Ok(())
}
