//! Somebody else's threads as an executor: a pool of rayon, for work that keeps processors busy.
//!
//! Run with `cargo run --release --example rayon_pool`. The loop counts primes on the pool and stays responsive meanwhile; every
//! thread-hungry thing that it does goes to the same pool, because that is its default executor. Exits with 0 only if the sums are
//! right.

#![expect(clippy::print_stdout, reason = "an example is there to be read")]

use asyncio::prelude::*;
use asyncio::{Executor, Job, RejectedJob};
use rayon::prelude::*;
use std::sync::Arc;

/// The whole adapter. Clones are the same pool.
#[derive(Clone)]
struct RayonPool(Arc<rayon::ThreadPool>);

impl Executor for RayonPool {
    fn submit(&self, job: Job) -> Result<(), RejectedJob> {
        // Whoever waits is told of the result, of a panic, or that the pool has dropped the closure: the job sees to it.
        self.0.spawn(|| job.run());
        Ok(())
    }
}

fn is_prime(n: u32) -> bool {
    n > 1 && (2..).take_while(|divisor| divisor * divisor <= n).all(|divisor| !n.is_multiple_of(divisor))
}

#[asyncio::main]
async fn main() {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(4).thread_name(|n| format!("rayon_{n}")).build();
    let pool = RayonPool(Arc::new(threads.expect("threads can be started")));
    let event_loop = asyncio::get_running_loop();

    // On the pool, one job; inside it rayon divides the work among all threads of the pool.
    let count = || (0..200_000_u32).into_par_iter().filter(|n| is_prime(*n)).count();
    let mut counting = event_loop.run_in_executor(Some(&pool), count).expect("the pool takes jobs");
    let mut ticks = 0;
    let primes = loop {
        match asyncio::wait_for(&mut counting, 0.01).await {
            Ok(outcome) => break outcome.expect("nobody cancels it"),
            Err(_) => ticks += 1,
        }
    };
    println!("{primes} primes below two hundred thousand; the loop ticked {ticks} times meanwhile");
    assert_eq!(primes, 17_984);

    // As the default executor, it is also where `to_thread` goes.
    event_loop.set_default_executor(pool);
    let name = || std::thread::current().name().unwrap_or_default().to_owned();
    let jobs: Vec<_> = (0..8).map(|_| asyncio::create_task(asyncio::to_thread(name))).collect();
    let names = asyncio::gather(jobs).await;
    println!("eight more jobs ran on {names:?}");
    assert!(names.iter().all(|name| name.as_ref().is_ok_and(|name| name.starts_with("rayon_"))));
}
