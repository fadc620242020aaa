//! `Callback`: a closure to be called once, without an allocation when it is small.
//!
//! `Box<dyn FnOnce()>` would cost every `call_soon` an allocation, which is more than all the rest of it. A closure of up
//! to four words therefore lies inside the `Callback` itself; only larger ones are boxed.
//!
//! Invariants, on which the safety of this module rests:
//! 1. `payload` holds a valid `F`, or a valid `Box<F>`, exactly while `vtable` is `Some`, and `vtable` is the table of
//!    that very `F` in that very form.
//! 2. The payload is moved out at most once: by `call`, or by `Drop`. Both take `vtable` out first, so a panic of the
//!    closure, or of a destructor, cannot lead to a second use.
//! 3. A `Callback` is not `Send`; a [`RemoteCallback`] is only ever made of a closure that is.
//!
//! Absent on purpose: when callbacks run, and what becomes of their panics.

#![expect(unsafe_code, reason = "a closure of unknown type is kept in place; decision 0003 has the measurement")]

use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};

/// A closure to be called once, on this thread.
pub(crate) struct Callback {
    payload: Payload,
    vtable: Option<&'static VTable>,
    /// The closure may be bound to this thread (invariant 3); nothing else in here says so.
    not_send: PhantomData<*mut ()>,
}

type Payload = [MaybeUninit<usize>; WORDS];

/// How many words a closure may have to be kept in place.
const WORDS: usize = 4;

struct VTable {
    /// Moves the closure out of the payload and calls it.
    call: unsafe fn(*mut Payload),
    /// Drops the closure in the payload.
    drop: unsafe fn(*mut Payload),
}

impl Callback {
    /// No closure: calling it does nothing.
    pub(crate) const fn empty() -> Self {
        Self { payload: [MaybeUninit::uninit(); WORDS], vtable: None, not_send: PhantomData }
    }

    pub(crate) fn new<F: FnOnce() + 'static>(closure: F) -> Self {
        let mut callback = Self::empty();
        callback.fill(closure);
        callback
    }

    /// Writes a closure right into its place, which is empty. (One that is there is forgotten, not dropped.)
    #[inline]
    pub(crate) fn fill<F: FnOnce() + 'static>(&mut self, closure: F) {
        debug_assert!(self.vtable.is_none(), "a closure is there");
        let at = &raw mut self.payload;
        self.vtable = Some(if const { fits::<F>() } {
            // SAFETY: `F` fits into the payload in size and alignment, and the payload is ours.
            unsafe { at.cast::<F>().write(closure) };
            const { &VTable { call: call_inline::<F>, drop: drop_inline::<F> } }
        } else {
            // SAFETY: a box is one word, and the payload is ours.
            unsafe { at.cast::<Box<F>>().write(Box::new(closure)) };
            const { &VTable { call: call_boxed::<F>, drop: drop_inline::<Box<F>> } }
        });
    }

    /// Takes the closure out, and leaves the place empty.
    #[inline]
    pub(crate) fn take(&mut self) -> Self {
        Self { payload: self.payload, vtable: self.vtable.take(), not_send: PhantomData }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.vtable.is_none()
    }

    pub(crate) fn call(mut self) {
        if let Some(vtable) = self.vtable.take() {
            // SAFETY: by invariant 1 the payload fits the table, and by invariant 2 this is its only use.
            unsafe { (vtable.call)(&raw mut self.payload) };
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(vtable) = self.vtable.take() {
            // SAFETY: by invariant 1 the payload fits the table, and by invariant 2 this is its only use.
            unsafe { (vtable.drop)(&raw mut self.payload) };
        }
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// A [`Callback`] that may move to the thread on which it will be called.
#[derive(Debug)]
pub(crate) struct RemoteCallback(Callback);

impl RemoteCallback {
    pub(crate) fn new<F: FnOnce() + Send + 'static>(closure: F) -> Self {
        Self(Callback::new(closure))
    }

    /// Takes the closure out, and leaves nothing to be called.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_local(self) -> Callback {
        self.0
    }
}

// SAFETY: the payload is an `F` or a `Box<F>` with `F: Send` (invariant 3), and the table is static.
unsafe impl Send for RemoteCallback {}

/// Whether a closure of this type is kept in place.
const fn fits<F>() -> bool {
    mem::size_of::<F>() <= mem::size_of::<Payload>() && mem::align_of::<F>() <= mem::align_of::<Payload>()
}

/// # Safety
///
/// The payload holds a valid `F`, which is moved out.
unsafe fn call_inline<F: FnOnce()>(payload: *mut Payload) {
    // SAFETY: as promised by the caller.
    let closure = unsafe { payload.cast::<F>().read() };
    closure();
}

/// # Safety
///
/// The payload holds a valid `Box<F>`, which is moved out.
unsafe fn call_boxed<F: FnOnce()>(payload: *mut Payload) {
    // SAFETY: as promised by the caller.
    let closure = unsafe { payload.cast::<Box<F>>().read() };
    closure();
}

/// # Safety
///
/// The payload holds a valid `T`, which is dropped.
unsafe fn drop_inline<T>(payload: *mut Payload) {
    // SAFETY: as promised by the caller.
    unsafe { payload.cast::<T>().drop_in_place() };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    #[repr(align(32))]
    struct Aligned(u8);

    /// Counts how often it is dropped, whatever the size and alignment of the closure that holds it.
    struct Witness(Rc<Cell<u32>>);
    impl Drop for Witness {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }

    fn closures(drops: &Rc<Cell<u32>>, calls: &Rc<Cell<u32>>) -> Vec<Callback> {
        let (small, exact, large, aligned) =
            (Witness(drops.clone()), Witness(drops.clone()), Witness(drops.clone()), Witness(drops.clone()));
        let [a, b, c, d] = [calls.clone(), calls.clone(), calls.clone(), calls.clone()];
        let (two, four, over) = ([1_usize; 2], [2_usize; 4], Aligned(3));
        vec![
            Callback::new(move || a.set(a.get() + u32::from(Rc::strong_count(&small.0) > 0))),
            Callback::new(move || b.set(b.get() + u32::from(Rc::strong_count(&exact.0) > 0) * two[1] as u32)),
            Callback::new(move || c.set(c.get() + u32::from(Rc::strong_count(&large.0) > 0) * four[3] as u32)),
            Callback::new(move || {
                let whole = &over;
                assert_eq!((whole as *const Aligned).addr() % 32, 0);
                d.set(d.get() + u32::from(Rc::strong_count(&aligned.0) > 0) * u32::from(whole.0));
            }),
        ]
    }

    /// Has one implementation for everything, and two for what is `Send`: then naming `FOUND` is ambiguous.
    trait NotSend<Why> {
        const FOUND: bool = true;
    }
    impl<T: ?Sized> NotSend<()> for T {}
    impl<T: ?Sized + Send> NotSend<u8> for T {}

    /// Compiles only because `Callback` is not `Send`.
    const _: bool = <Callback as NotSend<_>>::FOUND;

    #[test]
    fn every_form_is_called_once_and_dropped_once() {
        let (drops, calls) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        closures(&drops, &calls).into_iter().for_each(Callback::call);
        assert_eq!((calls.get(), drops.get()), (1 + 1 + 2 + 3, 4));
        drop(closures(&drops, &calls));
        assert_eq!((calls.get(), drops.get()), (1 + 1 + 2 + 3, 8));
        assert_eq!((Rc::strong_count(&drops), Rc::strong_count(&calls)), (1, 1));
    }

    #[test]
    fn a_panicking_closure_is_dropped_once() {
        let drops = Rc::new(Cell::new(0));
        for words in [0, 8] {
            let (witness, ballast) = (Witness(drops.clone()), vec![0_u8; words]);
            let callback = Callback::new(move || {
                let _both = (&witness, &ballast);
                panic!("as expected");
            });
            assert!(catch_unwind(AssertUnwindSafe(|| callback.call())).is_err());
        }
        assert_eq!((drops.get(), Rc::strong_count(&drops)), (2, 1));
    }

    #[test]
    fn a_remote_callback_runs_on_the_thread_that_it_moved_to() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let callback = RemoteCallback::new(move || sender.send(std::thread::current().id()).unwrap());
        let there = std::thread::scope(|scope| {
            scope
                .spawn(move || {
                    callback.into_local().call();
                    std::thread::current().id()
                })
                .join()
        });
        assert_eq!(receiver.recv().unwrap(), there.unwrap());
    }
}
