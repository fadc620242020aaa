//! Places that are borrowed by name.

mod support {
    pub(crate) mod virtual_time;
}

use asyncio_executor::CapacityLimiter;
use asyncio_tasks::{LoopTasksExt as _, catch_cancelled, create_task, sleep};
use std::pin::pin;
use std::rc::Rc;
use support::virtual_time::virtual_loop;

fn run(main: impl Future<Output = ()> + 'static) {
    virtual_loop().run_until_complete(main).unwrap();
}

#[test]
fn statistics_name_those_who_have_a_place_and_those_who_wait() {
    run(async {
        let limiter = Rc::new(CapacityLimiter::new(1));
        let first = limiter.acquire_on_behalf_of("first").await.unwrap();
        assert_eq!(first.borrower().to_string(), "first");
        let limiter_ = limiter.clone();
        let second = create_task(async move {
            let _place = limiter_.acquire().await.unwrap();
            limiter_.statistics().holders
        })
        .name("second");
        sleep(0).await;
        let seen = limiter.statistics();
        assert_eq!((seen.total, seen.holders, seen.waiting), (1, vec!["first".into()], vec!["second".into()]));
        drop(first);
        assert_eq!(second.await.unwrap(), ["second"]);
        assert!(limiter.statistics().holders.is_empty());
    });
}

#[test]
fn borrowing_twice_is_an_error() {
    run(async {
        let limiter = CapacityLimiter::new(2);
        let place = limiter.acquire().await.unwrap();
        assert!(limiter.acquire().await.is_err());
        let other = limiter.acquire_on_behalf_of("other").await.unwrap();
        assert!(limiter.acquire_on_behalf_of("other").await.is_err());
        drop((place, other));
        drop(limiter.acquire().await.unwrap());
    });
}

#[test]
fn places_go_round_in_order_and_a_cancelled_borrower_passes_his_on() {
    run(async {
        let limiter = Rc::new(CapacityLimiter::new(1));
        let place = limiter.acquire().await.unwrap();
        let waiting = |name: &'static str| {
            let limiter = limiter.clone();
            create_task(async move {
                let _place = limiter.acquire_on_behalf_of(name).await.unwrap();
                sleep(1).await;
                limiter.statistics().holders
            })
        };
        let (first, second, third) = (waiting("first"), waiting("second"), waiting("third"));
        sleep(0).await;
        drop(place); // Promised to the first,
        first.cancel(); // who does not live to take it.
        assert_eq!(
            limiter.acquire().await.unwrap().borrower().to_string(),
            asyncio_tasks::current_task().unwrap().get_name()
        );
        assert!(first.await.is_err());
        assert_eq!((second.await.unwrap(), third.await.unwrap()), (vec!["second".into()], vec!["third".into()]));
        assert_eq!(limiter.statistics().waiting, Vec::<String>::new());
    });
}

#[test]
fn the_total_can_be_changed_while_it_is_in_use() {
    run(async {
        let limiter = Rc::new(CapacityLimiter::new(0));
        let tasks: Vec<_> = ["a", "b", "c"]
            .map(|name| {
                let limiter = limiter.clone();
                create_task(async move {
                    let _place = limiter.acquire_on_behalf_of(name).await.unwrap();
                    sleep(1).await;
                })
            })
            .into();
        sleep(0.5).await;
        assert_eq!(limiter.statistics().waiting.len(), 3);
        limiter.set_total(2);
        sleep(0.5).await;
        assert_eq!(limiter.statistics().holders, ["a", "b"]);
        limiter.set_total(1);
        sleep(0.25).await;
        assert_eq!(limiter.statistics().holders, ["a", "b"], "who has a place keeps it");
        sleep(0.5).await;
        assert_eq!((limiter.statistics().holders, limiter.total()), (vec!["c".into()], 1));
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn an_acquire_that_is_kept_beyond_a_cancellation_waits_anew() {
    run(async {
        let limiter = Rc::new(CapacityLimiter::new(1));
        let place = limiter.acquire_on_behalf_of("first").await.unwrap();
        let borrowing = limiter.clone();
        let stubborn = create_task(async move {
            let mut acquire = pin!(borrowing.acquire_on_behalf_of("stubborn"));
            assert!(catch_cancelled(acquire.as_mut()).await.is_err());
            acquire.await.unwrap().borrower().to_string()
        });
        sleep(0).await;
        stubborn.cancel();
        sleep(1).await;
        assert_eq!(limiter.statistics().waiting, ["stubborn"]);
        drop(place);
        assert_eq!(stubborn.await.unwrap(), "stubborn");
        assert!(limiter.statistics().holders.is_empty());
    });
}
