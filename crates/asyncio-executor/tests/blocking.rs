//! Objects and iterators that block.

mod support {
    pub(crate) mod gate;
    pub(crate) mod virtual_time;
}

use asyncio_executor::{Blocking, BlockingIter};
use asyncio_tasks::{LoopTasksExt as _, create_task, run};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use support::gate::Gate;
use support::virtual_time::virtual_loop;

#[test]
fn an_object_is_read_and_written_on_a_thread_and_comes_back() {
    run(async {
        let mut file = Blocking::new(Cursor::new(Vec::new()));
        file.write_all(b"one two".to_vec()).await.unwrap();
        file.flush().await.unwrap();
        file.call(|file| file.set_position(0)).await;
        assert_eq!(file.read(4).await.unwrap(), b"one ");
        assert_eq!(file.read_to_end().await.unwrap(), b"two");
        assert_eq!(file.read(4).await.unwrap(), b"");
        let name = file.call(|_| std::thread::current().name().map(String::from)).await;
        assert!(name.unwrap().starts_with("asyncio_"));
        assert_eq!(file.into_inner().await.into_inner(), b"one two");
    });
}

#[test]
fn an_object_is_not_lost_by_a_call_that_is_dropped_or_panics() {
    virtual_loop()
        .run_until_complete(async {
            let (gate, mut object) = (Gate::default(), Blocking::new(vec![1]));
            drop(object.call(|object| object.push(0))); // Has not begun, and never will.
            {
                let gate_ = gate.clone();
                let mut call = pin!(object.call(move |object: &mut Vec<u32>| {
                    gate_.pass();
                    object.push(2);
                }));
                assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                gate.wait_for(1); // Dropped while it runs.
            }
            let gate_ = gate.clone();
            let opener = create_task(async move { gate_.open() });
            // Waits for the end of the call that was dropped; no time passes meanwhile.
            assert_eq!(object.call(|object| object.clone()).await, [1, 2]);
            opener.await.unwrap();
            assert_eq!(asyncio_loop::get_running_loop().time(), 0.0);

            let panicked = PanicsOnce(Box::pin(object.call(|_| panic!("as expected")))).await;
            assert!(panicked);
            assert_eq!(object.into_inner().await, [1, 2]);
        })
        .unwrap();
}

/// Says that the future inside has panicked.
struct PanicsOnce<'a>(Pin<Box<dyn Future<Output = ()> + 'a>>);

impl Future for PanicsOnce<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            outcome => Poll::Ready(outcome.is_err()),
        }
    }
}

#[test]
fn an_iterator_gives_its_items_in_order_and_loses_none() {
    run(async {
        let gate = Gate::default();
        let gate_ = gate.clone();
        let numbers = (0..5).inspect(move |number| {
            if *number == 1 {
                gate_.pass();
            }
        });
        let mut items = BlockingIter::new(numbers);
        assert_eq!(items.next().await, Some(0));
        {
            let mut dropped = pin!(items.next());
            assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        gate.open();
        let mut rest = Vec::new();
        while let Some(item) = items.next().await {
            rest.push(item);
        }
        assert_eq!(rest, [1, 2, 3, 4]);
        assert_eq!(items.next().await, None);
    });
}
