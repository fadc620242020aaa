//! Events of one thread.

#[path = "suite/event.rs"]
mod suite;
#[path = "support/run.rs"]
mod support;

use asyncio_sync::Event;
