//! 100,000 jobs while those who wait are cancelled, pools are shut down, and loops come and go: none is lost, none runs
//! twice, and no thread is left. The one test of this process, because it counts the threads.

use asyncio_executor::{Executor as _, LoopExecutorExt as _, ThreadPoolExecutor, to_thread};
use asyncio_loop::get_running_loop;
use asyncio_tasks::{create_task, run, sleep};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

const ROUNDS: usize = 20;
const JOBS: usize = 5_000;

#[test]
fn no_job_is_lost_or_run_twice_and_no_thread_is_left() {
    let threads_before = threads();
    let runs: Arc<Vec<AtomicU8>> = Arc::new((0..ROUNDS * JOBS).map(|_| AtomicU8::new(0)).collect());
    let running = Arc::new(AtomicUsize::new(0));
    let highest = Arc::new(AtomicUsize::new(0));
    let mut kept = Vec::new();
    for round in 0..ROUNDS {
        let (runs, running, highest) = (runs.clone(), running.clone(), highest.clone());
        let kept_now = run(async move {
            let pool = ThreadPoolExecutor::new(4);
            let event_loop = get_running_loop();
            event_loop.set_default_executor(pool.clone());
            let mut kept = Vec::new();
            let mut tasks = Vec::new();
            for number in round * JOBS..(round + 1) * JOBS {
                let (runs, running, highest) = (runs.clone(), running.clone(), highest.clone());
                let job = move || {
                    highest.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    runs[number].fetch_add(1, Ordering::SeqCst);
                    running.fetch_sub(1, Ordering::SeqCst);
                    number
                };
                match number % 5 {
                    // Nobody waits, and it runs all the same.
                    0 => event_loop.run_in_executor(None, job).unwrap().detach(),
                    // Somebody waits for it to the end.
                    1 => {
                        tasks.push((number, create_task(to_thread(job))));
                    }
                    // Cancelled while it is queued, running, or done.
                    2 => {
                        let task = create_task(to_thread(job));
                        create_task(async move {
                            sleep(0).await;
                            task.cancel();
                        });
                    }
                    // Dropped at once.
                    3 => drop(event_loop.run_in_executor(None, job).unwrap()),
                    // Left to the runner, which cancels it.
                    _ => drop(create_task(to_thread(job))),
                }
                if number % 5 < 2 {
                    kept.push(number);
                }
                if number % 97 == 0 {
                    sleep(0).await;
                }
            }
            if round % 2 == 0 {
                // Shut down in the middle of it: what was taken still runs.
                for (number, task) in tasks.drain(..) {
                    assert_eq!(task.await.unwrap(), number);
                }
                event_loop.shutdown_default_executor(None::<f64>).await.unwrap();
                assert!(event_loop.run_in_executor(None, || ()).is_err());
                pool.shutdown().await;
            }
            for (number, task) in tasks {
                assert_eq!(task.await.unwrap(), number);
            }
            kept
        });
        kept.extend(kept_now);
        // A thread that was joined may be listed for a moment more.
        for _ in 0..100_000 {
            if threads() == threads_before {
                break;
            }
            std::thread::yield_now();
        }
        assert_eq!(threads(), threads_before, "after round {round}");
    }
    assert!(runs.iter().all(|runs| runs.load(Ordering::SeqCst) <= 1), "none runs twice");
    assert!(kept.iter().all(|number| runs[*number].load(Ordering::SeqCst) == 1), "none is lost");
    assert_eq!(kept.len(), ROUNDS * JOBS * 2 / 5);
    assert!(highest.load(Ordering::SeqCst) <= 4, "the cap is never exceeded");
}

/// How many threads this process has.
fn threads() -> usize {
    if cfg!(target_os = "linux") { std::fs::read_dir("/proc/self/task").unwrap().count() } else { 0 }
}
