//! A waker that is not ours may do anything when it is cloned: nothing is locked then.

mod support {
    pub(crate) mod gate;
}

use asyncio_executor::{Blocking, Executor as _, Job, LoopExecutorExt as _, ThreadPoolExecutor};
use asyncio_loop::get_running_loop;
use asyncio_tasks::run;
use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::ptr;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use support::gate::Gate;

thread_local! {
    /// What is done when the waker is cloned next.
    static ON_CLONE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

static CLONING: RawWakerVTable = RawWakerVTable::new(clone, |_| (), |_| (), |_| ());

fn clone(_: *const ()) -> RawWaker {
    if let Some(act) = ON_CLONE.take() {
        act();
    }
    RawWaker::new(ptr::null(), &CLONING)
}

/// Polls once, with a waker that does `act` when it is cloned.
#[expect(unsafe_code, reason = "only a waker with a table of its own can act when it is cloned")]
fn poll_cloning<F: Future + ?Sized>(future: std::pin::Pin<&mut F>, act: impl FnOnce() + 'static) -> Poll<F::Output> {
    ON_CLONE.set(Some(Box::new(act)));
    // SAFETY: the functions of the table use no pointer, and hold nothing.
    let waker = unsafe { Waker::new(ptr::null(), &CLONING) };
    let outcome = future.poll(&mut Context::from_waker(&waker));
    assert!(ON_CLONE.take().is_none(), "it was not cloned");
    outcome
}

#[test]
fn a_job_may_be_run_while_the_waker_of_its_handle_is_cloned() {
    let (job, handle) = Job::new(|| 7);
    assert_eq!(poll_cloning(pin!(handle), move || job.run()), Poll::Ready(Ok(7)));
}

#[test]
fn a_pool_may_be_looked_at_while_the_waker_of_its_shutdown_is_cloned() {
    run(async {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::default());
        let gate_ = gate.clone();
        let job = pool.submit(move || gate_.pass()).unwrap();
        gate.wait_for(1);
        let (mut over, seen) = (pool.shutdown(), pool.clone());
        assert!(poll_cloning(over.as_mut(), move || assert_eq!(seen.unfinished().len(), 1)).is_pending());
        gate.open();
        job.await.unwrap();
        over.await;
    });
}

#[test]
fn a_blocking_object_may_come_back_while_the_waker_of_the_next_call_is_cloned() {
    run(async {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::default());
        get_running_loop().set_default_executor(pool.clone());
        let (mut object, gate_) = (Blocking::new(7), gate.clone());
        {
            let call = pin!(object.call(move |_| gate_.pass()));
            assert!(call.poll(&mut Context::from_waker(Waker::noop())).is_pending());
            gate.wait_for(1);
        }
        let mut next = pin!(object.call(|object| *object));
        let (sender, receiver) = std::sync::mpsc::channel();
        pool.submit(move || sender.send(()).unwrap()).unwrap().detach();
        let come_back = move || {
            gate.open();
            receiver.recv().unwrap(); // The only thread has done all of the job before.
        };
        assert!(poll_cloning(next.as_mut(), come_back).is_pending(), "the call is on its way now");
        assert_eq!(next.await, 7);
    });
}
