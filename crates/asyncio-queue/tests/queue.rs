//! Queues of one thread.

#[path = "suite/queue.rs"]
mod suite;
#[path = "support/run.rs"]
mod support;

use asyncio_queue::{LifoQueue, PriorityQueue, Queue};
use asyncio_tasks::create_task;
use std::rc::Rc;
use support::{run, settle};

#[test]
fn who_was_woken_or_cancelled_does_not_count_as_waiting() {
    run(async {
        let queue = Rc::new(Queue::new(1));
        let tasks = [(); 3].map(|()| {
            let queue = queue.clone();
            create_task(async move { queue.get().await })
        });
        settle().await;
        assert_eq!(queue.statistics().tasks_waiting_get, 3);
        queue.put_nowait(1).unwrap();
        tasks[1].cancel();
        assert_eq!(queue.statistics().tasks_waiting_get, 1);
        queue.shutdown(true);
        settle().await;
        assert!(tasks.iter().all(|task| task.done()));
    });
}
