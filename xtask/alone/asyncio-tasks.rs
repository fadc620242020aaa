//! Uses floor 2 and nothing else: a group, a timeout, and clean-up after a cancellation.

use asyncio_tasks::{TaskGroup, catch_cancelled, create_task, run, sleep, timeout};

fn main() {
    run(async {
        let outcome = TaskGroup::scope(async |group| {
            group.create_task(async {
                sleep(60).await;
                Ok(())
            });
            group.create_task(async { Err::<(), _>("no luck") });
            Ok(())
        })
        .await;
        assert_eq!(outcome.map_err(|errors| errors.into_errors()), Err(vec!["no luck"]));
        let worker = create_task(async {
            let outcome = catch_cancelled(sleep(60)).await;
            sleep(0.001).await;
            outcome.is_err()
        });
        assert!(timeout(0.001, sleep(60)).await.is_err());
        worker.cancel();
        assert_eq!(worker.await, Ok(true));
        println!("cancelled, cleaned up");
    });
}
