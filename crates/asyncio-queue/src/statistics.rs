//! `QueueStatistics`: what a queue is doing.

/// A snapshot of a queue, for tests and for looking at a program that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStatistics {
    /// How many items are in it.
    pub qsize: usize,
    /// How many there may be; 0 if there is no bound.
    pub maxsize: usize,
    /// How many there were at most.
    pub peak_size: usize,
    /// How many items were put and not marked done.
    pub unfinished_tasks: usize,
    /// How many tasks wait for an item, those not counted that have been woken or cancelled.
    pub tasks_waiting_get: usize,
    /// How many tasks wait for room, those not counted that have been woken or cancelled.
    pub tasks_waiting_put: usize,
    /// Whether it was shut down.
    pub is_shut_down: bool,
}
