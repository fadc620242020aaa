//! A gate that jobs wait at, on their threads, until the test opens it.

use std::sync::{Arc, Condvar, Mutex};

#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<Doors>, Condvar)>);

#[derive(Default)]
struct Doors {
    waiting: usize,
    is_open: bool,
}

impl Gate {
    /// Blocks this thread until the gate is open.
    pub(crate) fn pass(&self) {
        let (doors, changed) = &*self.0;
        let mut doors = doors.lock().unwrap();
        doors.waiting += 1;
        changed.notify_all();
        drop(changed.wait_while(doors, |doors| !doors.is_open).unwrap());
    }

    /// Blocks this thread until `count` threads have come to the gate.
    pub(crate) fn wait_for(&self, count: usize) {
        let (doors, changed) = &*self.0;
        drop(changed.wait_while(doors.lock().unwrap(), |doors| doors.waiting < count).unwrap());
    }

    pub(crate) fn open(&self) {
        let (doors, changed) = &*self.0;
        doors.lock().unwrap().is_open = true;
        changed.notify_all();
    }
}
