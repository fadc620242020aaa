//! `Log`: what happened, in order.

use std::cell::RefCell;
use std::rc::Rc;

/// Shared by the callbacks of a test.
pub(crate) struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: 'static> Log<T> {
    pub(crate) fn new() -> Self {
        Self(Rc::default())
    }

    pub(crate) fn add(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    /// All entries since this was asked last.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.take()
    }
}
