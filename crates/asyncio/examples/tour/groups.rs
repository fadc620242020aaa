//! Groups: the first failure cancels the siblings, and no child outlives the block.

use crate::{Done, say};
use asyncio::{TaskGroup, catch_cancelled, sleep};
use std::cell::Cell;
use std::io;
use std::rc::Rc;

const CHILDREN: usize = 1_000;
const CULPRIT: usize = 500;

pub(crate) fn tour() -> io::Result<Done> {
    asyncio::run(async {
        let sum = TaskGroup::scope(async |group| {
            let squares: Vec<_> =
                (0..CHILDREN).map(|n| group.create_task(async move { Ok::<_, String>(n * n) })).collect();
            let mut sum = 0;
            for square in squares {
                sum += square.await.expect("nobody cancels it").expect("none fails");
            }
            Ok(sum)
        });
        assert_eq!(sum.await.expect("none fails"), (0..CHILDREN).map(|n| n * n).sum());

        let told = Rc::new(Cell::new(0));
        let outcome = TaskGroup::scope(async |group| {
            for n in 0..CHILDREN {
                let told = told.clone();
                group.create_task(async move {
                    if n == CULPRIT {
                        sleep(0.001).await;
                        return Err(format!("child {n} failed"));
                    }
                    let cancelled = catch_cancelled(sleep(60)).await;
                    told.set(told.get() + usize::from(cancelled.is_err()));
                    Ok(())
                });
            }
            Ok(())
        });
        let errors = outcome.await.expect_err("one child fails");
        assert_eq!(errors.errors(), [&format!("child {CULPRIT} failed")]);
        assert_eq!(told.get(), CHILDREN - 1, "not each sibling was told");
        errors.to_string().lines().for_each(|line| say(format_args!("| {line}")));
        say(format_args!("one of {CHILDREN} children failed: {} siblings were cancelled and awaited", told.get()));
        Ok(Done::new(2 * CHILDREN, "children of groups, none outlived its block"))
    })
}
