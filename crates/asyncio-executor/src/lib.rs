#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod addr_info;
mod blocking;
mod executor;
mod hand_off;
mod job;
mod limiter;
mod loop_executor;
mod resolver;
mod thread_pool;
mod to_thread;
mod workers;

pub use addr_info::{AddrInfo, AddrInfoQuery, AddressFamily, IntoPort, SocketKind};
pub use blocking::{Blocking, BlockingIter};
pub use executor::{Executor, ExecutorShutDown, RejectedJob, UnfinishedJob};
pub use job::{CancelToken, Job, JobHandle, current_job};
pub use limiter::{AlreadyBorrowed, Borrower, CapacityAcquire, CapacityLimiter, CapacityStatistics, CapacityToken};
pub use loop_executor::{LoopExecutorExt, ShutdownDefaultExecutor, ShutdownTimeoutError};
pub use resolver::{GetAddrInfo, Lookup, ResolveError, Resolver, SystemResolver};
pub use thread_pool::{ThreadPoolBuilder, ThreadPoolExecutor, ThreadPoolStatistics};
pub use to_thread::{ToThread, to_thread};
pub use workers::{StartWorkers, Worker, WorkerError, Workers, WorkersError, WorkersHandle, workers};
