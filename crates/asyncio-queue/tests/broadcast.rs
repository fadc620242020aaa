//! Broadcasts, lossless and lossy: who gets what, who waits for whom, and the end.

#[path = "support/run.rs"]
mod support;

use asyncio_queue::{
    Broadcast, BroadcastGetError, BroadcastGetNowaitError, PutError, QueueFull, QueueShutDown, Subscriber,
};
use asyncio_tasks::create_task;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use support::{Log, run, settle};

fn taken<T: Clone>(subscriber: &mut Subscriber<T>) -> Vec<T> {
    std::iter::from_fn(|| subscriber.get_nowait().ok()).collect()
}

#[test]
fn every_subscriber_gets_every_item_from_then_on() {
    let news = Broadcast::new(0);
    news.put_nowait(0).unwrap(); // Nobody subscribes.
    let mut first = news.subscribe();
    news.put_nowait(1).unwrap();
    let mut second = news.subscribe();
    news.put_nowait(2).unwrap();
    assert_eq!(first.get_nowait(), Ok(1));
    let mut clone = first.clone(); // Goes on where the first one is.
    news.put_nowait(3).unwrap();
    assert_eq!((taken(&mut first), taken(&mut second), taken(&mut clone)), (vec![2, 3], vec![2, 3], vec![2, 3]));
    let end = news.statistics();
    assert_eq!((end.qsize, end.subscribers, end.peak_size, end.lost), (0, 3, 2, 0));
}

#[test]
fn an_item_may_do_anything_with_its_broadcast_while_it_is_cloned() {
    /// Looks, puts another one, and subscribes.
    struct Busy(Option<Rc<Broadcast<Busy>>>);
    impl Clone for Busy {
        fn clone(&self) -> Self {
            let news = self.0.as_ref().unwrap();
            assert!(news.put_nowait(Self(None)).is_ok());
            drop(news.subscribe());
            Self(Some(news.clone()))
        }
    }
    // Of a lossy one with room for one item, what is being cloned is dropped meanwhile.
    for (news, left) in [(Broadcast::new(0), 2), (Broadcast::lossy(1), 1)] {
        let news = Rc::new(news);
        let (mut first, second) = (news.subscribe(), news.subscribe());
        assert!(news.put_nowait(Busy(Some(news.clone()))).is_ok());
        assert!(first.get_nowait().unwrap().0.is_some());
        assert_eq!((news.statistics().qsize, first.qsize(), second.qsize()), (left, 1, left));
        news.shutdown(true); // What is left holds the broadcast.
    }
}

#[test]
fn an_item_may_be_a_subscription() {
    #[derive(Clone)]
    struct Follow(Option<Box<Subscriber<Follow>>>);
    let news = Broadcast::new(0);
    let (mut first, mut second) = (news.subscribe(), news.subscribe());
    let follow = news.subscribe();
    assert!(news.put_nowait(Follow(Some(Box::new(follow)))).is_ok());
    for subscriber in [&mut first, &mut second] {
        let mut followed = subscriber.get_nowait().unwrap().0.unwrap();
        assert!(followed.get_nowait().unwrap().0.is_some());
    }
    news.shutdown(true); // What is left is for the subscriber in it.
}

#[test]
fn an_item_whose_clone_panics_counts_as_taken() {
    struct Fragile;
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            panic!("as expected");
        }
    }
    let news = Broadcast::new(0);
    let (mut first, mut second) = (news.subscribe(), news.subscribe());
    assert!(news.put_nowait(Fragile).is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| first.get_nowait().is_ok())).is_err());
    assert_eq!((first.qsize(), second.qsize()), (0, 1));
    assert!(second.get_nowait().is_ok(), "the last one gets the item itself");
    assert_eq!(news.statistics().qsize, 0);
}

#[test]
fn the_slowest_subscriber_holds_the_putters_up_in_order() {
    run(async {
        let (news, log) = (Broadcast::new(2), Log::new());
        let (mut quick, mut slow) = (news.subscribe(), news.subscribe());
        news.put_nowait(0).unwrap();
        news.put_nowait(1).unwrap();
        assert_eq!(news.put_nowait(9), Err(PutError::Full(QueueFull(9))));
        let _putters = [2, 3].map(|n| {
            let (news, log) = (news.clone(), log.clone());
            create_task(async move {
                news.put(n).await.unwrap();
                log.push(n);
            })
        });
        assert_eq!(taken(&mut quick), [0, 1]);
        settle().await;
        log.assert([]);
        assert_eq!(news.statistics().tasks_waiting_put, 2);
        assert_eq!(slow.get().await, Ok(0));
        settle().await;
        log.assert([2]);
        drop(slow); // Now the quick one is the slowest.
        settle().await;
        log.assert([2, 3]);
        assert_eq!(taken(&mut quick), [2, 3]);
    });
}

#[test]
fn a_lossy_one_waits_for_nobody_and_says_what_was_lost() {
    run(async {
        let news = Broadcast::lossy(2);
        let (mut quick, mut slow) = (news.subscribe(), news.subscribe());
        for n in 0..5 {
            news.put(n).await.unwrap();
            assert_eq!(quick.get().await, Ok(n));
        }
        assert_eq!(slow.qsize(), 2);
        let error = slow.get().await.unwrap_err();
        assert_eq!(error.to_string(), "the subscriber lags, and has lost 3 items");
        assert!(matches!(error, BroadcastGetError::Lagged(lagged) if lagged.lost == 3));
        assert_eq!(taken(&mut slow), [3, 4]);
        assert_eq!((news.statistics().lost, news.statistics().peak_size), (3, 2));
    });
}

#[test]
fn waiting_subscribers_are_all_woken_and_one_that_is_cancelled_loses_nothing() {
    run(async {
        let news = Broadcast::new(1);
        let mut patient = news.subscribe();
        let mut waiting = [(); 2].map(|()| {
            let mut subscriber = patient.clone();
            create_task(async move { (subscriber.next().await, subscriber.next().await) })
        });
        settle().await;
        assert_eq!(news.statistics().tasks_waiting_get, 2);
        news.put_nowait("a").unwrap();
        assert!(waiting[0].cancel());
        assert_eq!(patient.get().await, Ok("a"));
        news.put("b").await.unwrap();
        assert_eq!((&mut waiting[1]).await.unwrap(), (Some(Ok("a")), Some(Ok("b"))));
        assert_eq!((patient.get().await, news.statistics().subscribers), (Ok("b"), 1));
    });
}

#[test]
fn the_last_sender_ends_it_and_what_is_left_is_taken() {
    run(async {
        let news = Broadcast::new(0);
        let mut subscriber = news.subscribe();
        let other = news.clone();
        news.put_nowait(1).unwrap();
        drop(news);
        other.put_nowait(2).unwrap();
        drop(other);
        assert!(subscriber.statistics().is_shut_down);
        assert_eq!((subscriber.next().await, subscriber.next().await), (Some(Ok(1)), Some(Ok(2))));
        assert_eq!((subscriber.next().await, subscriber.next().await), (None, None));
    });
}

#[test]
fn an_immediate_shutdown_drops_what_is_left_and_ends_every_wait() {
    run(async {
        let news = Broadcast::new(1);
        let (mut slow, mut done) = (news.subscribe(), news.subscribe());
        let item = Rc::new(());
        news.put_nowait(item.clone()).unwrap();
        done.get().await.unwrap();
        let waiting = create_task(async move { done.get().await.is_err() });
        let (putting, late) = (news.clone(), item.clone());
        let blocked = create_task(async move { putting.put(late).await });
        settle().await;
        news.shutdown(true);
        assert_eq!(slow.get_nowait(), Err(BroadcastGetNowaitError::ShutDown(QueueShutDown(()))));
        assert!(waiting.await.unwrap());
        assert_eq!(blocked.await.unwrap().unwrap_err().into_inner(), item);
        assert_eq!(Rc::strong_count(&item), 1);
        assert_eq!((slow.qsize(), news.subscribe().qsize()), (0, 0));
        assert_eq!(news.put(item).await.unwrap_err().to_string(), "queue is shut down");
    });
}

#[test]
fn the_last_one_to_take_an_item_gets_it_itself() {
    struct Counted(Rc<std::cell::Cell<u32>>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0.set(self.0.get() + 1);
            Self(self.0.clone())
        }
    }
    let news = Broadcast::new(0);
    let mut subscribers = [(); 3].map(|()| news.subscribe());
    let clones = Rc::default();
    assert!(news.put_nowait(Counted(Rc::clone(&clones))).is_ok());
    subscribers.iter_mut().for_each(|subscriber| assert!(subscriber.get_nowait().is_ok()));
    assert_eq!(clones.get(), 2);
}

#[test]
fn all_putters_go_on_when_the_last_subscriber_has_left() {
    run(async {
        let news = Broadcast::new(1);
        let subscriber = news.subscribe();
        news.put_nowait(0).unwrap();
        let putters = [1, 2, 3].map(|n| {
            let news = news.clone();
            create_task(async move { news.put(n).await })
        });
        settle().await;
        drop(subscriber); // Makes room for one; what that one puts leaves at once.
        settle().await;
        assert!(putters.iter().all(|putter| putter.done()));
    });
}
