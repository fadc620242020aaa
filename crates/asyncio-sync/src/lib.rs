#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod event;

mod lock;

mod condition;

mod semaphore;

mod barrier;

pub mod threadsafe;

pub use barrier::{Barrier, BarrierStatistics, BrokenBarrierError};
pub use condition::{Condition, ConditionAcquire, ConditionGuard, ConditionStatistics, NotifyError};
pub use event::{Event, EventStatistics, EventWait};
pub use lock::{Lock, LockAcquire, LockGuard, LockStatistics, ReleaseError};
pub use semaphore::{
    BoundedSemaphore, OverReleaseError, Semaphore, SemaphoreAcquire, SemaphorePermit, SemaphoreStatistics,
};
