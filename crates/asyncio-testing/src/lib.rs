#![doc = include_str!("../README.md")]

mod alloc;
mod clock;
pub mod driver_suite;
mod script;
mod scripted;
mod world;

pub use alloc::{AllocationCounts, CountingAllocator, count_allocations};
pub use clock::{ClockHold, VirtualClock};
pub use script::{Operation, Script, ScriptStatistics, ScriptedSource};
pub use scripted::ScriptedDriver;
