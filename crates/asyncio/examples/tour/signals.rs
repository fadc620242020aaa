//! Signals: this process sends itself one, and its handler runs as a callback.

use crate::{Done, say};
use std::io;

#[cfg(unix)]
pub(crate) fn tour() -> io::Result<Done> {
    use asyncio::Signal;
    use std::cell::Cell;
    use std::process::Command;
    use std::rc::Rc;

    let event_loop = asyncio::new_event_loop()?;
    let arrived = Rc::new(Cell::new(0));
    let (count, stopper) = (arrived.clone(), event_loop.clone());
    event_loop.add_signal_handler(Signal::USR1, move || {
        count.set(count.get() + 1);
        stopper.stop();
    })?;
    for _ in 0..3 {
        let mut kill = Command::new("kill").args(["-USR1", &std::process::id().to_string()]).spawn()?;
        event_loop.run_forever()?;
        kill.wait()?;
    }
    assert!(event_loop.remove_signal_handler(Signal::USR1) && !event_loop.remove_signal_handler(Signal::USR1));
    assert!(event_loop.add_signal_handler(Signal::KILL, || ()).is_err(), "SIGKILL can be caught");
    say(format_args!("{} sent to this process {} times and handled by a callback", Signal::USR1, arrived.get()));
    event_loop.close()?;
    Ok(Done::new(arrived.get(), "signals handled as callbacks"))
}

#[cfg(not(unix))]
pub(crate) fn tour() -> io::Result<Done> {
    say(format_args!("this system has no signals"));
    Ok(Done::new(0, "signals: this system has none"))
}
