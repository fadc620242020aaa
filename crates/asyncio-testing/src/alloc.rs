//! `CountingAllocator`: how many allocations a piece of code makes, for tests that promise a number.
//!
//! Invariants:
//! 1. Counts belong to the thread that allocates, so tests that run at the same time do not disturb one another.
//! 2. Counting allocates nothing and never fails; a thread that is ending is not counted any more.
//!
//! Absent on purpose: sizes by type, call stacks, and anything else that a profiler does better.

#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count for each thread.
///
/// A test binary that wants to count declares it:
///
/// ```
/// use asyncio_testing::{CountingAllocator, count_allocations};
///
/// #[global_allocator]
/// static ALLOCATOR: CountingAllocator = CountingAllocator;
///
/// let (boxed, counts) = count_allocations(|| Box::new(7_u64));
/// assert_eq!((counts.allocations, counts.allocated_bytes), (1, 8));
/// let ((), counts) = count_allocations(|| drop(boxed));
/// assert_eq!((counts.allocations, counts.deallocations, counts.growth_bytes()), (0, 1, -8));
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "a unit struct, to be named in a `static`")]
pub struct CountingAllocator;

/// What one thread allocated and freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AllocationCounts {
    /// New blocks, and blocks that were moved or resized.
    pub allocations: u64,
    /// Blocks that were freed.
    pub deallocations: u64,
    /// Bytes of new blocks, and the new sizes of resized ones.
    pub allocated_bytes: u64,
    /// Bytes of freed blocks, and the old sizes of resized ones.
    pub deallocated_bytes: u64,
}

impl AllocationCounts {
    /// How many more bytes are in use than before; less than 0 if more were freed than allocated.
    #[must_use]
    pub const fn growth_bytes(self) -> i64 {
        self.allocated_bytes.cast_signed() - self.deallocated_bytes.cast_signed()
    }
}

/// Runs `operation` and says what this thread allocated and freed meanwhile.
///
/// All counts are 0 unless [`CountingAllocator`] is the program's global allocator.
pub fn count_allocations<R>(operation: impl FnOnce() -> R) -> (R, AllocationCounts) {
    let before = COUNTS.get();
    let result = operation();
    let after = COUNTS.get();
    let counts = AllocationCounts {
        allocations: after.allocations - before.allocations,
        deallocations: after.deallocations - before.deallocations,
        allocated_bytes: after.allocated_bytes - before.allocated_bytes,
        deallocated_bytes: after.deallocated_bytes - before.deallocated_bytes,
    };
    (result, counts)
}

// SAFETY: every method hands its arguments on to the system's allocator and its answer back.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout.size());
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count_allocation(layout.size());
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count_allocation(new_size);
        count(|counts| counts.deallocated_bytes += layout.size() as u64);
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(|counts| {
            counts.deallocations += 1;
            counts.deallocated_bytes += layout.size() as u64;
        });
        // SAFETY: the caller keeps the contract of this very method.
        unsafe { System.dealloc(block, layout) }
    }
}

fn count_allocation(bytes: usize) {
    count(|counts| {
        counts.allocations += 1;
        counts.allocated_bytes += bytes as u64;
    });
}

fn count(change: impl FnOnce(&mut AllocationCounts)) {
    // Fails only while the thread ends.
    let _ = COUNTS.try_with(|cell| {
        let mut counts = cell.get();
        change(&mut counts);
        cell.set(counts);
    });
}

thread_local! {
    // `const` and without a destructor: the first use allocates nothing.
    static COUNTS: Cell<AllocationCounts> =
        const { Cell::new(AllocationCounts { allocations: 0, deallocations: 0, allocated_bytes: 0, deallocated_bytes: 0 }) };
}
