#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod broadcast;
mod error;
mod halves;
mod queue;
mod statistics;

mod core;
mod storage;

pub mod threadsafe;

pub use broadcast::{
    Broadcast, BroadcastGetError, BroadcastGetNowaitError, BroadcastNext, BroadcastStatistics, Lagged, Subscriber,
};
pub use error::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown, TaskDoneError};
pub use halves::{Receiver, Sender};
pub use queue::{LifoQueue, PriorityQueue, Queue};
pub use statistics::QueueStatistics;
