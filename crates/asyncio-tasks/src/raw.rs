//! The task cell: one allocation that holds a coroutine, then what became of it.
//!
//! A cell belongs to the thread of its loop. It is counted without atomics, and nothing of it is ever touched by another
//! thread: what other threads hold is a [`RemoteWaker`](crate::waker::RemoteWaker), which knows the cell's address but
//! looks there on the owner's thread only. So the soundness of this module is that of an `Rc`, plus the three rules below.
//!
//! Invariants:
//! 1. `refs` counts the [`TaskRef`]s and [`Step`]s of the cell. The cell is freed when it reaches zero, and not before.
//! 2. `stage` says what the cell holds: a future that has never been moved since it was put there, an outcome, or nothing.
//!    Every transition sets it before user code (a destructor) can run.
//! 3. The future is borrowed only while `RUNNING` is set, and no step begins while it is.
//!
//! Absent on purpose: when tasks run and what cancellation means. That is `task_core`, in safe code on top of this.

#![expect(
    unsafe_code,
    reason = "a cell of unknown future type behind one thin pointer; decision 0004 has the measurement"
)]

use crate::loop_tasks::LoopTasks;
use crate::task_state::{Flags, Outcome, Stage, TaskState};
use crate::waker::RemoteWaker;
use asyncio_loop::{Step, StepData, StepVTable};
use std::any::type_name;
use std::cell::{Cell, UnsafeCell};
use std::fmt;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

/// What every cell begins with, whatever its future. What a step touches is last, next to the future.
#[repr(C)]
pub(crate) struct Header {
    /// Neighbours in the list of the loop's unfinished tasks.
    previous: Cell<Option<NonNull<Header>>>,
    next: Cell<Option<NonNull<Header>>>,
    /// An `Arc` made by the first clone of a waker; null before. Set at most once.
    remote: AtomicPtr<RemoteWaker>,
    vtable: &'static VTable,
    pub(crate) state: TaskState,
}

/// The unfinished tasks of a loop, oldest first. Holds a reference to each.
#[derive(Debug, Default)]
pub(crate) struct TaskList {
    first: Cell<Option<NonNull<Header>>>,
    last: Cell<Option<NonNull<Header>>>,
    len: Cell<usize>,
}

/// The functions that know the type of the future.
struct VTable {
    /// Polls the future; stores the outcome and gives `true` when it is done.
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> bool,
    /// Drops the future.
    drop_future: unsafe fn(NonNull<Header>),
    /// Drops the outcome.
    drop_outcome: unsafe fn(NonNull<Header>),
    /// Puts an outcome without a value into an empty cell.
    put_outcome: unsafe fn(NonNull<Header>, Outcome<()>),
    /// Where the content lies.
    content: unsafe fn(NonNull<Header>) -> *mut (),
    /// Frees the cell, which is empty.
    free: unsafe fn(NonNull<Header>),
    type_name: fn() -> &'static str,
}

#[repr(C)]
struct TaskCell<F: Future> {
    header: Header,
    content: UnsafeCell<Content<F>>,
}

/// `repr(C)`: all fields begin where the union does.
#[repr(C)]
union Content<F: Future> {
    future: ManuallyDrop<F>,
    outcome: ManuallyDrop<Outcome<F::Output>>,
}

/// A counted reference to a task cell, on its own thread.
pub(crate) struct TaskRef(NonNull<Header>);

impl TaskRef {
    /// Makes a cell that holds `future`.
    pub(crate) fn new<F>(future: F, tasks: Rc<LoopTasks>, location: &'static Location<'static>) -> Self
    where
        F: Future + 'static,
    {
        let cell = Box::new(TaskCell {
            header: Header {
                vtable: const {
                    &VTable {
                        poll: poll::<F>,
                        drop_future: drop_future::<F>,
                        drop_outcome: drop_outcome::<F>,
                        put_outcome: put_outcome::<F>,
                        content: content::<F>,
                        free: free::<F>,
                        type_name: type_name::<F>,
                    }
                },
                remote: AtomicPtr::new(ptr::null_mut()),
                previous: Cell::new(None),
                next: Cell::new(None),
                state: TaskState::new(tasks, location),
            },
            content: UnsafeCell::new(Content { future: ManuallyDrop::new(future) }),
        });
        Self(NonNull::from(Box::leak(cell)).cast())
    }

    /// One more reference to the cell at `header`.
    ///
    /// # Safety
    ///
    /// The cell is alive, and this is its thread.
    pub(crate) unsafe fn from_address(header: NonNull<Header>) -> Self {
        // SAFETY: as promised by the caller.
        let refs = unsafe { &header.as_ref().state.refs };
        // As an `Rc`: whoever forgets four thousand million handles must not make the count wrap.
        if refs.get() == u32::MAX {
            std::process::abort();
        }
        refs.set(refs.get() + 1);
        Self(header)
    }

    /// The cell at `header`, without a reference of its own.
    ///
    /// # Safety
    ///
    /// The cell is alive for as long as the result is used, and this is its thread.
    pub(crate) const unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Self> {
        ManuallyDrop::new(Self(header))
    }

    /// A step of this task, for the ready queue; uses up the reference.
    pub(crate) fn into_step(self) -> Step {
        let data = self.0.cast();
        mem::forget(self);
        // SAFETY: the step stands for the reference that was forgotten, and steps stay on their thread.
        unsafe { Step::from_raw(data, &STEP) }
    }

    /// Drops the reference, unless it is the last one: then dropping it runs user code, and it comes back.
    #[inline]
    pub(crate) fn release(self) -> Option<Self> {
        let refs = self.state.refs.get();
        if refs == 1 {
            return Some(self);
        }
        self.state.refs.set(refs - 1);
        mem::forget(self);
        None
    }

    /// Polls the future with the task's own waker; `None` if it is not there, else whether it is done now.
    ///
    /// # Panics
    ///
    /// With the panic of the future, which is then dropped by [`drop_future`](Self::drop_future).
    pub(crate) fn poll(&self) -> Option<bool> {
        if self.state.stage.get() != Stage::Future || self.state.is_polling() {
            return None;
        }
        let waker = self.borrowed_waker();
        let _polling = Polling::begin(&self.state);
        // SAFETY: the future is there, and by invariant 3 nobody else borrows it: `is_polling` was just asked.
        Some(unsafe { (self.vtable.poll)(self.0, &mut Context::from_waker(&waker)) })
    }

    /// Drops the future, if it is there.
    pub(crate) fn drop_future(&self) {
        if self.state.stage.get() == Stage::Future && !self.state.is_polling() {
            self.state.stage.set(Stage::Empty);
            // SAFETY: the future is there, not borrowed, and by the line above this is its last use.
            unsafe { (self.vtable.drop_future)(self.0) };
        }
    }

    /// Stores how a task without a value has ended. The future must have been dropped.
    pub(crate) fn put_outcome(&self, outcome: Outcome<()>) {
        if self.state.stage.get() == Stage::Empty {
            // SAFETY: the cell is empty.
            unsafe { (self.vtable.put_outcome)(self.0, outcome) };
            self.state.stage.set(Stage::Outcome);
        }
    }

    /// Drops the outcome, if it is there.
    pub(crate) fn drop_outcome(&self) {
        if self.state.stage.get() == Stage::Outcome {
            self.state.stage.set(Stage::Empty);
            // SAFETY: the outcome is there, and by the line above this is its last use.
            unsafe { (self.vtable.drop_outcome)(self.0) };
        }
    }

    /// A copy of the outcome, if it is there.
    ///
    /// # Safety
    ///
    /// `T` is the output type of the future.
    pub(crate) unsafe fn clone_outcome<T>(&self, clone: fn(&T) -> T) -> Option<Outcome<T>> {
        if self.state.stage.get() != Stage::Outcome {
            return None;
        }
        /// Puts the outcome back, also if the copy fails.
        struct PutBack<'a>(&'a TaskState);
        impl Drop for PutBack<'_> {
            fn drop(&mut self) {
                self.0.stage.set(Stage::Outcome);
            }
        }
        // The cell is empty while `clone` runs, which may be any code and must find nothing to take.
        self.state.stage.set(Stage::Empty);
        let _put_back = PutBack(&self.state);
        // SAFETY: the cell is alive.
        let outcome = unsafe { (self.vtable.content)(self.0) }.cast::<Outcome<T>>();
        // SAFETY: the outcome is there, of this type, and by the lines above nobody else reaches it.
        Some(unsafe { &*outcome }.clone_with(clone))
    }

    /// Whether the outcome is there, is a value, and passes `test`.
    ///
    /// # Safety
    ///
    /// `T` is the output type of the future, and `test` is not user code.
    pub(crate) unsafe fn outcome_is<T>(&self, test: fn(&T) -> bool) -> bool {
        if self.state.stage.get() != Stage::Outcome {
            return false;
        }
        // SAFETY: the cell is alive.
        let outcome = unsafe { (self.vtable.content)(self.0) }.cast::<Outcome<T>>();
        // SAFETY: the outcome is there, of this type, and `test` does not reach it in any other way.
        matches!(unsafe { &*outcome }, Outcome::Returned(value) if test(value))
    }

    /// Takes the outcome out, if it is there.
    ///
    /// # Safety
    ///
    /// `T` is the output type of the future.
    pub(crate) unsafe fn take_outcome<T>(&self) -> Option<Outcome<T>> {
        (self.state.stage.get() == Stage::Outcome).then(|| {
            self.state.stage.set(Stage::Empty);
            // SAFETY: the cell is alive.
            let outcome = unsafe { (self.vtable.content)(self.0) }.cast::<Outcome<T>>();
            // SAFETY: the outcome was there, of this type, and by the first line this is its last use.
            unsafe { outcome.read() }
        })
    }

    pub(crate) fn type_name(&self) -> &'static str {
        (self.vtable.type_name)()
    }

    /// Whether `waker` is the task's own, so that waking it is scheduling this task.
    #[inline]
    pub(crate) fn owns_waker(&self, waker: &Waker) -> bool {
        let data = waker.data();
        data == self.0.as_ptr().cast_const().cast() || {
            let remote = self.remote.load(Ordering::Relaxed);
            !remote.is_null() && data == remote.cast_const().cast()
        }
    }

    pub(crate) fn address(&self) -> NonNull<Header> {
        self.0
    }

    /// Cuts the waker that other threads may hold off from this cell, which is done.
    pub(crate) fn disconnect_wakers(&self) {
        // SAFETY: a pointer in `remote` is an `Arc`'s, and the cell holds a count of it until it is freed.
        if let Some(remote) = unsafe { self.remote.load(Ordering::Acquire).as_ref() } {
            remote.disconnect();
        }
    }

    /// The waker to poll with: it borrows the cell, or the `Arc` that the cell holds.
    fn borrowed_waker(&self) -> ManuallyDrop<Waker> {
        let remote = self.remote.load(Ordering::Acquire);
        if remote.is_null() {
            let raw = RawWaker::new(self.0.as_ptr().cast_const().cast(), &LOCAL);
            // SAFETY: the table fulfils its contract for a cell that is alive, and this one is for as long as it is polled;
            // the waker is never dropped, and a clone of it is of another kind.
            ManuallyDrop::new(unsafe { Waker::from_raw(raw) })
        } else {
            // SAFETY: the cell holds a count of the `Arc`; it is not given away, for the waker is never dropped.
            ManuallyDrop::new(Waker::from(unsafe { Arc::from_raw(remote) }))
        }
    }
}

/// Sets `POLLING` until it is dropped, also by a panic.
struct Polling<'a>(&'a TaskState);

impl<'a> Polling<'a> {
    fn begin(state: &'a TaskState) -> Self {
        state.set(Flags::POLLING);
        Self(state)
    }
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        self.0.clear(Flags::POLLING);
    }
}

impl Deref for TaskRef {
    type Target = Header;

    fn deref(&self) -> &Header {
        // SAFETY: the cell is alive for as long as it is referred to (invariant 1).
        unsafe { self.0.as_ref() }
    }
}

impl Clone for TaskRef {
    #[inline]
    fn clone(&self) -> Self {
        // SAFETY: the cell is alive, and a `TaskRef` stays on its thread.
        unsafe { Self::from_address(self.0) }
    }
}

impl Drop for TaskRef {
    #[inline]
    fn drop(&mut self) {
        let refs = self.state.refs.get();
        if refs > 1 {
            self.state.refs.set(refs - 1);
        } else {
            self.drop_last();
        }
    }
}

impl TaskRef {
    /// Drops the last reference, and with it the cell.
    #[inline(never)]
    fn drop_last(&mut self) {
        // The count stays at one while the content is dropped, whose destructors may clone and drop references.
        self.drop_future();
        self.report_unseen_panic();
        self.drop_outcome();
        let refs = self.state.refs.get();
        if refs > 1 {
            self.state.refs.set(refs - 1);
            return;
        }
        let remote = self.remote.load(Ordering::Acquire);
        // SAFETY: the cell is empty, and this was the last reference to it.
        unsafe { (self.vtable.free)(self.0) };
        if !remote.is_null() {
            // SAFETY: this is the count that the cell held.
            drop(unsafe { Arc::from_raw(remote) });
        }
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl fmt::Debug for TaskRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.state.fmt(f)
    }
}

impl TaskList {
    /// Adds a task, which is in no list.
    pub(crate) fn push(&self, task: &TaskRef) {
        let node = task.0;
        mem::forget(task.clone());
        task.previous.set(self.last.replace(Some(node)));
        match task.previous.get() {
            // SAFETY: a task in the list is alive, for the list holds a reference to it.
            Some(previous) => unsafe { previous.as_ref() }.next.set(Some(node)),
            None => self.first.set(Some(node)),
        }
        self.len.set(self.len.get() + 1);
    }

    /// Removes a task, which is in this list.
    pub(crate) fn remove(&self, task: &TaskRef) {
        let (previous, next) = (task.previous.take(), task.next.take());
        match previous {
            // SAFETY: as in `push`.
            Some(previous) => unsafe { previous.as_ref() }.next.set(next),
            None => self.first.set(next),
        }
        match next {
            // SAFETY: as in `push`.
            Some(next) => unsafe { next.as_ref() }.previous.set(previous),
            None => self.last.set(previous),
        }
        self.len.set(self.len.get() - 1);
        drop(TaskRef(task.0)); // The reference of the list; the caller has one of its own.
    }

    /// All tasks, oldest first.
    pub(crate) fn to_vec(&self) -> Vec<TaskRef> {
        let mut tasks = Vec::with_capacity(self.len.get());
        let mut at = self.first.get();
        while let Some(node) = at {
            // SAFETY: as in `push`; the list does not change meanwhile, for no user code runs.
            let task = unsafe { TaskRef::from_address(node) };
            at = task.next.get();
            tasks.push(task);
        }
        tasks
    }

    pub(crate) const fn len(&self) -> usize {
        self.len.get()
    }
}

impl Header {
    /// The `Arc` that stands for this task on other threads; made at first use. Callable from any thread, as long as the
    /// cell is alive.
    ///
    /// # Safety
    ///
    /// `this` is the address of a whole cell, not only of its header, and the cell is alive.
    unsafe fn remote(this: NonNull<Self>) -> Arc<RemoteWaker> {
        // SAFETY: as promised by the caller.
        let header = unsafe { this.as_ref() };
        let mut remote = header.remote.load(Ordering::Acquire);
        if remote.is_null() {
            let new = Arc::into_raw(Arc::new(header.state.remote_waker(this))).cast_mut();
            // Release: pairs with the loads, which then see what `new` points to.
            match header.remote.compare_exchange(ptr::null_mut(), new, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => remote = new,
                Err(other) => {
                    remote = other;
                    // SAFETY: nobody has seen `new`, so its only count is ours.
                    drop(unsafe { Arc::from_raw(new.cast_const()) });
                }
            }
        }
        // SAFETY: the pointer is an `Arc`'s, of which the cell holds a count.
        unsafe { Arc::increment_strong_count(remote.cast_const()) };
        // SAFETY: this is the count of the line above.
        unsafe { Arc::from_raw(remote.cast_const()) }
    }
}

/// The waker of a poll: data is the address of the cell, which is alive for as long as the waker is borrowed.
static LOCAL: RawWakerVTable = RawWakerVTable::new(clone_local, wake_local, wake_local, |_| {});

unsafe fn clone_local(data: *const ()) -> RawWaker {
    // SAFETY: the waker is borrowed, so its poll is under way and the cell is alive; the address is that of the cell.
    let remote = unsafe { Header::remote(cell(data.cast_mut().cast())) };
    let waker = ManuallyDrop::new(Waker::from(remote));
    RawWaker::new(waker.data(), waker.vtable())
}

/// Wakes by reference; an owned waker is never of this kind.
unsafe fn wake_local(data: *const ()) {
    let header = cell(data.cast_mut().cast());
    // SAFETY: the waker is borrowed, so its poll is under way and the cell is alive.
    if unsafe { header.as_ref() }.state.is_own_thread() {
        // SAFETY: the cell is alive, and this is its thread.
        unsafe { TaskRef::borrowed(header) }.schedule();
    } else {
        // SAFETY: the cell is alive, and this is its address.
        unsafe { Header::remote(header) }.wake_from_elsewhere();
    }
}

/// The cell that a step is about.
fn cell(data: StepData) -> NonNull<Header> {
    NonNull::new(data.cast()).expect("a step of a task has its address")
}

static STEP: StepVTable = StepVTable { run: run_step, drop: drop_step, location: step_location };

unsafe fn run_step(data: StepData) {
    // SAFETY: the step stands for one reference, which is used up.
    let task = TaskRef(cell(data));
    task.run();
}

unsafe fn drop_step(data: StepData) {
    // SAFETY: the step stands for one reference, which is used up.
    drop(TaskRef(cell(data)));
}

unsafe fn step_location(data: StepData) -> Option<&'static Location<'static>> {
    let header = cell(data);
    // SAFETY: the step holds a reference, so the cell is alive.
    Some(unsafe { header.as_ref() }.state.location)
}

/// # Safety
///
/// The cell holds a future of type `F`, which nobody else borrows.
unsafe fn poll<F: Future>(header: NonNull<Header>, cx: &mut Context<'_>) -> bool {
    let cell = header.cast::<TaskCell<F>>();
    // SAFETY: the cell is alive; its content is an `UnsafeCell` of its own.
    let content = unsafe { cell.as_ref() }.content.get();
    // SAFETY: nobody else borrows the content.
    let borrowed = unsafe { &mut *content };
    // SAFETY: the future is there.
    let future = unsafe { &mut borrowed.future };
    // SAFETY: it is never moved until it is dropped (invariant 2).
    let future = unsafe { Pin::new_unchecked(&mut **future) };
    let Poll::Ready(value) = future.poll(cx) else { return false };
    // SAFETY: the cell is alive.
    let stage = unsafe { &header.as_ref().state.stage };
    stage.set(Stage::Empty);
    /// Stores the value also if the future's destructor panics: the coroutine has ended with it.
    struct Store<F: Future>(*mut Content<F>, NonNull<Header>, Option<F::Output>);
    impl<F: Future> Drop for Store<F> {
        fn drop(&mut self) {
            if let Some(value) = self.2.take() {
                // SAFETY: the content is empty; the future was dropped.
                unsafe { self.0.write(Content { outcome: ManuallyDrop::new(Outcome::Returned(value)) }) };
                // SAFETY: the cell is alive.
                unsafe { self.1.as_ref() }.state.stage.set(Stage::Outcome);
            }
        }
    }
    let _store = Store::<F>(content, header, Some(value));
    // SAFETY: nobody else borrows the content.
    let borrowed = unsafe { &mut *content };
    // SAFETY: the future is there.
    let future = unsafe { &mut borrowed.future };
    // SAFETY: `stage` says that it is no more.
    unsafe { ManuallyDrop::drop(future) };
    true
}

/// # Safety
///
/// The cell holds a future of type `F`, for the last time.
unsafe fn drop_future<F: Future>(header: NonNull<Header>) {
    // SAFETY: the cell is alive; its content is an `UnsafeCell` of its own.
    let content = unsafe { header.cast::<TaskCell<F>>().as_ref() }.content.get();
    // SAFETY: nobody else borrows the content.
    let content = unsafe { &mut *content };
    // SAFETY: as promised by the caller, it is there.
    let future = unsafe { &mut content.future };
    // SAFETY: as promised by the caller, for the last time.
    unsafe { ManuallyDrop::drop(future) };
}

/// # Safety
///
/// The cell holds an outcome, for the last time.
unsafe fn drop_outcome<F: Future>(header: NonNull<Header>) {
    // SAFETY: the cell is alive; its content is an `UnsafeCell` of its own.
    let content = unsafe { header.cast::<TaskCell<F>>().as_ref() }.content.get();
    // SAFETY: nobody else borrows the content.
    let content = unsafe { &mut *content };
    // SAFETY: as promised by the caller, it is there.
    let outcome = unsafe { &mut content.outcome };
    // SAFETY: as promised by the caller, for the last time.
    unsafe { ManuallyDrop::drop(outcome) };
}

/// # Safety
///
/// The cell is empty.
unsafe fn put_outcome<F: Future>(header: NonNull<Header>, outcome: Outcome<()>) {
    // SAFETY: the cell is alive; its content is an `UnsafeCell` of its own.
    let content = unsafe { header.cast::<TaskCell<F>>().as_ref() }.content.get();
    let outcome = match outcome {
        Outcome::Panicked => Outcome::Panicked,
        Outcome::Returned(()) | Outcome::Cancelled => Outcome::Cancelled,
    };
    // SAFETY: there is nothing to overwrite.
    unsafe { content.write(Content { outcome: ManuallyDrop::new(outcome) }) };
}

/// # Safety
///
/// The cell is alive, and its future of type `F`.
unsafe fn content<F: Future>(header: NonNull<Header>) -> *mut () {
    // SAFETY: as promised by the caller.
    unsafe { header.cast::<TaskCell<F>>().as_ref() }.content.get().cast()
}

/// # Safety
///
/// The cell is empty and nobody refers to it.
unsafe fn free<F: Future>(header: NonNull<Header>) {
    // SAFETY: the cell was made by `Box::new` in `TaskRef::new`. Its content is a union, which drops nothing.
    drop(unsafe { Box::from_raw(header.cast::<TaskCell<F>>().as_ptr()) });
}
