//! The pool: how many threads, when they come and go, and what becomes of jobs that cannot run.

mod support {
    pub(crate) mod gate;
}

use asyncio_executor::{Executor as _, LoopExecutorExt as _, ThreadPoolExecutor};
use asyncio_loop::get_running_loop;
use asyncio_tasks::run;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::gate::Gate;

#[test]
fn no_thread_before_the_first_job_and_never_more_than_allowed() {
    run(async {
        let pool = ThreadPoolExecutor::new(3);
        assert_eq!(pool.statistics().threads, 0);
        let (running, highest, gate) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Gate::default());
        let jobs: Vec<_> = (0..20)
            .map(|_| {
                let (running, highest, gate) = (running.clone(), highest.clone(), gate.clone());
                pool.submit(move || {
                    highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    gate.pass();
                    running.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        gate.wait_for(3); // All that are allowed come, though only one is called at a time.
        assert_eq!((pool.statistics().threads, pool.statistics().queued), (3, 17));
        gate.open();
        for job in jobs {
            job.unwrap().await.unwrap();
        }
        assert_eq!(highest.load(Ordering::SeqCst), 3);
        assert_eq!(pool.statistics().max_workers, 3);
    });
}

#[test]
fn an_idle_thread_is_used_again_and_ends_after_a_while() {
    run(async {
        let pool = ThreadPoolExecutor::builder().max_workers(4).idle_timeout(Duration::from_millis(1)).build();
        for _ in 0..20 {
            pool.submit(|| ()).unwrap().await.unwrap();
        }
        while pool.statistics().threads > 0 {
            std::thread::yield_now();
        }
        pool.submit(|| ()).unwrap().await.unwrap();
        pool.shutdown().await;
    });
}

#[test]
fn jobs_start_in_order_and_run_after_shutdown_if_they_were_taken_before() {
    run(async {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::default());
        let gate_ = gate.clone();
        pool.submit(move || gate_.pass()).unwrap().detach();
        let (sender, receiver) = std::sync::mpsc::channel();
        for number in 0..5 {
            let sender = sender.clone();
            pool.submit(move || sender.send(number).unwrap()).unwrap().detach();
        }
        drop(sender);
        let over = pool.shutdown();
        assert!(pool.submit(|| ()).is_err());
        gate.open();
        over.await;
        assert_eq!(receiver.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!(pool.statistics().threads, 0);
    });
}

#[test]
fn the_initializer_runs_first_in_each_thread_and_its_panic_breaks_the_pool() {
    run(async {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let initializer = move || {
            counted.fetch_add(1, Ordering::Relaxed);
        };
        let pool = ThreadPoolExecutor::builder().max_workers(1).initializer(initializer).build();
        let seen = count.clone();
        assert_eq!(pool.submit(move || seen.load(Ordering::Relaxed)).unwrap().await, Ok(1));
        pool.submit(|| ()).unwrap().await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);

        let broken = ThreadPoolExecutor::builder().initializer(|| panic!("no database")).build();
        let job = get_running_loop().run_in_executor(Some(&broken), || ()).unwrap();
        assert!(job.await.is_err());
        assert!(broken.submit(|| ()).is_err());
    });
}

#[test]
fn a_panic_of_a_job_does_not_cost_a_thread() {
    run(async {
        let pool = ThreadPoolExecutor::new(1);
        for _ in 0..10 {
            pool.submit(|| panic!("as expected")).unwrap().detach();
        }
        let name = pool.submit(|| std::thread::current().name().map(String::from)).unwrap().await.unwrap();
        assert_eq!(name.as_deref(), Some("ThreadPoolExecutor_0"));
        assert_eq!(pool.statistics().threads, 1);
    });
}

/// A value whose destructor panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("as expected, of a destructor");
        }
    }
}

#[test]
fn a_destructor_that_panics_does_not_cost_a_thread() {
    run(async {
        let (pool, gate) = (ThreadPoolExecutor::new(1), Gate::default());
        let gate_ = gate.clone();
        pool.submit(move || gate_.pass()).unwrap().detach();
        // Dropped by the pool: the result of a job that nobody waits for, and the payload of a panic. (Not by whoever detaches,
        // for they are not there yet.)
        pool.submit(|| Bomb).unwrap().detach();
        pool.submit(|| std::panic::panic_any(Bomb)).unwrap().detach();
        gate.open();
        assert_eq!(pool.submit(|| 7).unwrap().await, Ok(7));
        assert_eq!(pool.statistics().threads, 1);
        pool.shutdown().await;
    });
}

#[test]
fn jobs_that_a_broken_pool_drops_may_hold_what_panics_when_it_is_dropped() {
    run(async {
        let gate = Gate::default();
        let gate_ = gate.clone();
        let initializer = move || {
            gate_.pass();
            panic!("as expected");
        };
        let pool = ThreadPoolExecutor::builder().max_workers(1).initializer(initializer).build();
        let bomb = Bomb;
        pool.submit(move || drop(bomb)).unwrap().detach();
        gate.open(); // The thread drops what was submitted, and not whoever detaches it.
        pool.shutdown().await;
        assert_eq!(pool.statistics().threads, 0);
    });
}

#[test]
#[should_panic(expected = "`prefix` contains a NUL")]
fn the_name_of_a_thread_has_no_nul() {
    let _ = ThreadPoolExecutor::builder().thread_name_prefix("a\0b");
}

#[test]
fn a_job_for_which_no_thread_can_be_started_is_dropped_and_the_pool_can_end() {
    run(async {
        let pool = ThreadPoolExecutor::builder().stack_bytes(usize::MAX).build();
        for _ in 0..2 {
            assert!(pool.submit(|| ()).unwrap().await.is_err());
        }
        assert_eq!(pool.statistics().threads, 0);
        pool.shutdown().await;
    });
}
