//! Counting allocations, in a program whose allocator counts.

use asyncio_testing::{CountingAllocator, count_allocations};
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn arithmetic_allocates_nothing() {
    let (sum, counts) = count_allocations(|| (0..100_u64).map(black_box).sum::<u64>());
    assert_eq!((sum, counts.allocations, counts.deallocations), (4950, 0, 0));
}

#[test]
fn growing_counts_as_allocating() {
    let (vec, counts) = count_allocations(|| {
        let mut vec: Vec<u8> = black_box(Vec::with_capacity(10));
        vec.reserve_exact(100);
        vec
    });
    assert_eq!((counts.allocations, counts.deallocations), (2, 0));
    assert_eq!(counts.allocated_bytes, 110);
    let ((), counts) = count_allocations(|| drop(vec));
    assert_eq!((counts.allocations, counts.deallocations), (0, 1));
}

#[test]
fn other_threads_are_not_counted() {
    let (ready, go) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            ready.wait();
            drop(black_box(vec![0_u8; 1000]));
            go.wait();
        });
        let ((), counts) = count_allocations(|| {
            ready.wait();
            go.wait();
        });
        assert_eq!(counts.allocations, 0);
    });
}
