#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use asyncio_driver::{Signal, SignalError};
pub use asyncio_executor::{
    AddrInfo, AddrInfoQuery, AddressFamily, AlreadyBorrowed, Blocking, BlockingIter, Borrower, CancelToken,
    CapacityLimiter, CapacityStatistics, CapacityToken, Executor, ExecutorShutDown, GetAddrInfo, IntoPort, Job,
    JobHandle, Lookup, RejectedJob, ResolveError, Resolver, ShutdownTimeoutError, SocketKind, StartWorkers,
    SystemResolver, ThreadPoolBuilder, ThreadPoolExecutor, ThreadPoolStatistics, UnfinishedJob, Worker, WorkerError,
    Workers, WorkersError, WorkersHandle, current_job, to_thread, workers,
};
pub use asyncio_loop::{
    ClosedError, Context, ContextToken, ContextVar, DefaultEventLoopPolicy, Delay, EventLoop, EventLoopPolicy,
    ExceptionContext, Handle, IntoDeadline, IntoDelay, IntoTimeout, LoopBuilder, LoopHandle, LoopProgress,
    LoopStatistics, NoLoopError, RemoteCallHandle, RunError, StepUnderWay, TimerHandle, Trigger, copy_context,
    get_event_loop, get_event_loop_policy, get_running_loop, new_event_loop, set_event_loop, set_event_loop_policy,
    try_get_running_loop,
};
pub use asyncio_macros::{main, test};
pub use asyncio_queue::{
    Broadcast, BroadcastGetError, BroadcastGetNowaitError, BroadcastNext, BroadcastStatistics, GetError, Lagged,
    LifoQueue, PriorityQueue, PutError, Queue, QueueEmpty, QueueFull, QueueShutDown, QueueStatistics, Receiver, Sender,
    Subscriber, TaskDoneError,
};
pub use asyncio_streams::{
    FrameError, Frames, Framing, HandlerOutcome, IncompleteReadError, LimitOverrunError, Lines, OpenConnection,
    OpenReadPipe, ReadExactlyError, ReadLineError, ReadSize, ReadUntilError, Separators, StartServer, StartUnixServer,
    StreamFeeder, StreamPair, StreamReader, StreamReaderProtocol, StreamWriter, copy, open_connection,
    open_connection_on, open_read_pipe, open_unix_connection, open_write_pipe, start_server, start_server_on,
    start_unix_server,
};
#[cfg(unix)]
pub use asyncio_subprocess::{
    CalledProcessError, CompletedProcess, RunProcessError, SubprocessProtocol, SubprocessTransport,
    create_subprocess_exec, create_subprocess_shell, run_process,
};
pub use asyncio_sync::{
    Barrier, BarrierStatistics, BoundedSemaphore, BrokenBarrierError, Condition, ConditionAcquire, ConditionGuard,
    ConditionStatistics, Event, EventStatistics, EventWait, Lock, LockAcquire, LockGuard, LockStatistics, NotifyError,
    OverReleaseError, ReleaseError, Semaphore, SemaphoreAcquire, SemaphorePermit, SemaphoreStatistics,
};
pub use asyncio_tasks::{
    ALL_COMPLETED, AbortOnDrop, AllCompleted, AnyFuture, AnyTask, AsCompleted, AwaitedLock, CallbackKey, CancelHandle,
    CancelScope, CancelledError, DumpedState, DumpedTask, ErrorGroup, FIRST_COMPLETED, FIRST_EXCEPTION, FirstCompleted,
    FirstException, Future, FutureCallGraph, InvalidStateError, Ready, RescheduleError, ResultError,
    RunUntilCompleteError, Runner, RunnerBuilder, RunnerError, SetResultError, StartError, Task, TaskDump, TaskFactory,
    TaskGroup, TaskGroupError, ThreadFuture, ThreadFutureError, Timeout, TimeoutError, all_tasks, as_completed,
    capture_call_graph, catch_cancelled, create_task, current_task, dump_tasks, effective_deadline, ensure_future,
    fail_after, fail_at, first_ok, format_call_graph, gather, move_on_after, move_on_at, print_call_graph, race, run,
    shield, sleep, timeout, timeout_at, try_gather, try_run, wait, wait_for, yield_now,
};
pub use asyncio_transports::{
    Buffered, BufferedProtocol, ConnectError, Connected, CreateConnection, CreateDatagramEndpoint, CreateServer,
    CreateUnixServer, DatagramProtocol, DatagramTransport, ExtraInfo, Host, IntoDestination, IntoHost, IntoHosts,
    IntoProtocol, IntoSockAddress, IntoUnixAddress, OpenedDatagram, Protocol, ProtocolRef, SendFile,
    SendfileNotAvailableError, ServeForeverError, Server, SockAddress, SockSendFile, Socket, SslCipher, SslObject,
    Streaming, Transport, TransportSocket,
};
#[cfg(feature = "tls")]
pub use asyncio_transports::{IntoPem, Pem, SslClientBuilder, SslContext, SslError, SslServerBuilder, StartTls};

/// The extension traits that give a loop and its handle the methods of all floors. Nothing else.
pub mod prelude {
    pub use asyncio_executor::LoopExecutorExt;
    #[cfg(unix)]
    pub use asyncio_subprocess::LoopSubprocessExt;
    pub use asyncio_tasks::{LoopHandleExt, LoopTasksExt};
    #[cfg(feature = "tls")]
    pub use asyncio_transports::LoopTlsExt;
    pub use asyncio_transports::{LoopSocketsExt, LoopTransportsExt};
}

/// Primitives that several threads use at once: their tasks by `.await`, and plain threads by blocking.
pub mod threadsafe {
    pub use asyncio_queue::threadsafe::{LifoQueue, PriorityQueue, Queue};
    pub use asyncio_sync::threadsafe::{Event, EventWait, Semaphore, SemaphoreAcquire, SemaphorePermit};
}

/// Child processes: what they are started with, and what they are then.
#[cfg(unix)]
pub mod subprocess {
    pub use asyncio_subprocess::{
        Connected, CreateSubprocess, DEVNULL, INHERIT, PIPE, Process, STDOUT, Stdio, ToCompletion, WithProtocol,
        WithStreams,
    };
}

/// What a loop stands on: for those who choose a driver, or write one.
pub mod driver {
    #[cfg(target_os = "linux")]
    pub use asyncio_driver::EpollDriver;
    #[cfg(unix)]
    pub use asyncio_driver::PeerCredentials;
    pub use asyncio_driver::{
        Address, Capabilities, ConnectOptions, DatagramEndpoint, DatagramOptions, Deadline, Driver, Event, Interest,
        ListenOptions, ListenerEndpoint, LoopTime, Mode, MulticastGroup, Notify, OsPipe, OsSocket, Packet, Packets,
        PipeEnd, PollingDriver, RawSocket, Readiness, Source, StreamEndpoint, Token, new_driver,
        take_inherited_sockets,
    };
}
