//! `LoopBuilder`: how a loop is made, and what it stands on.

use crate::event_loop::EventLoop;
use asyncio_driver::{Driver, new_driver};
use std::io;

/// Makes an [`EventLoop`].
///
/// # asyncio
///
/// The constructors `asyncio.SelectorEventLoop(selector)` and `asyncio.EventLoop()`. Differs: one type of loop, any driver.
#[derive(Debug, Default)]
#[must_use = "`build` makes the loop"]
pub struct LoopBuilder {
    driver: Option<Box<dyn Driver>>,
    strict_order: bool,
    debug: Option<bool>,
}

impl LoopBuilder {
    /// A loop on the best driver of the platform.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the loop on `driver`.
    pub fn driver(self, driver: Box<dyn Driver>) -> Self {
        Self { driver: Some(driver), ..self }
    }

    /// Asks the driver for events in every iteration, as asyncio does, also while callbacks are ready.
    ///
    /// Default: off. A busy loop then asks after 64 callbacks or 0.1 ms, whichever is first, at the end of the iteration.
    pub fn strict_order(self, strict_order: bool) -> Self {
        Self { strict_order, ..self }
    }

    /// Switches debug mode. Default: on if the environment variable `ASYNCIO_DEBUG` is set and not empty.
    pub fn debug(self, debug: bool) -> Self {
        Self { debug: Some(debug), ..self }
    }

    /// Makes the loop. It is not set as the current one of the thread.
    ///
    /// # Errors
    ///
    /// If the driver cannot be made: no descriptor or no memory is left.
    pub fn build(self) -> io::Result<EventLoop> {
        let driver = self.driver.map_or_else(new_driver, Ok)?;
        let debug =
            self.debug.unwrap_or_else(|| std::env::var_os("ASYNCIO_DEBUG").is_some_and(|value| !value.is_empty()));
        Ok(EventLoop::of_driver(driver, self.strict_order, debug))
    }
}

impl EventLoop {
    /// Starts to make a loop.
    pub fn builder() -> LoopBuilder {
        LoopBuilder::new()
    }
}
