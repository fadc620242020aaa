//! A task's life: scheduled, stepped, cancelled, done.
//!
//! A step polls the coroutine once. Before that, it delivers a cancellation that is due; after that, it looks whether one
//! has come in meanwhile. The rules are asyncio's, with "the exception is thrown in" replaced by "the scope is told".
//!
//! ```text
//!             cancel()                     cancel() accepted by a wait        all waits have ended
//!   idle ───────────────▶ MUST_CANCEL   ─────────────────────▶ IN_FLIGHT ─────────────────────────┐
//!    ▲                        │ next step                                                         │
//!    │                        ▼                                                                   ▼
//!    └──── a scope took it ◀── deliver: tell the innermost scope; none: drop the coroutine, done cancelled
//! ```
//!
//! Invariants:
//! 1. A task is in the ready queue at most once (`SCHEDULED`), save for one stale entry after an eager start.
//! 2. `DONE` is set once, when the coroutine is gone and the outcome stored; then, and only then, waiters and callbacks are
//!    told, each by an entry of the ready queue.
//! 3. `MUST_CANCEL` and a message in `pending` go together, and so do `IN_FLIGHT` and one in `accepted`.
//! 4. User code (the coroutine, destructors) runs inside `enter_task`, with nothing borrowed.

use crate::current::{current_scope, enter_task};
use crate::error::CancelledError;
use crate::raw::TaskRef;
use crate::scopes;
use crate::spans;
use crate::task_state::{DoneCallback, Extra, Flags, Outcome};
use crate::waits::{self, NO_SLOT, WaitId};
use asyncio_driver::Token;
use asyncio_loop::ContextSnapshot;
use std::panic::{AssertUnwindSafe, catch_unwind};

impl TaskRef {
    /// Puts a step of this task at the end of the ready queue, unless one is there.
    pub(crate) fn schedule(&self) {
        if !self.state.has(Flags::NOT_NEEDED) {
            self.state.set(Flags::SCHEDULED);
            self.state.tasks.event_loop().schedule(self.clone().into_step());
        }
    }

    /// Runs one step, which uses up the entry of the ready queue.
    pub(crate) fn run(self) {
        if self.state.has(Flags::NOT_PLAIN) || !ContextSnapshot::is_current_empty() {
            return self.run_not_plain();
        }
        self.state.begin_step();
        let polled = {
            let _current = enter_task(&self);
            catch_unwind(AssertUnwindSafe(|| spans::within(&self, || self.poll())))
        };
        let still_waits = matches!(polled, Ok(Some(false))) && !self.state.has(Flags::TO_DELIVER);
        if still_waits && ContextSnapshot::is_current_empty() {
            return;
        }
        if !ContextSnapshot::is_current_empty() {
            self.leave_context(ContextSnapshot::default());
        }
        self.polled(polled);
    }

    fn run_not_plain(self) {
        if self.state.has(Flags::UNUSUAL) {
            return self.run_unusual();
        }
        self.state.begin_step();
        self.poll_once();
    }

    /// Polls the coroutine right now, before its first step is due, if the loop is running. (If it were not, the coroutine could
    /// run it, and with it a step of this task, inside this poll.)
    pub(crate) fn start_eagerly(&self) {
        let is_new = !self.state.has(Flags::STARTED) && !self.state.has(Flags::UNUSUAL);
        if is_new && self.state.tasks.event_loop().is_running() {
            if self.state.has(Flags::SCHEDULED) {
                self.state.clear(Flags::SCHEDULED);
                self.state.set(Flags::STALE_STEP);
            }
            self.poll_once();
        }
    }

    /// Asks the task to end; see [`Task::cancel`](crate::Task::cancel).
    pub(crate) fn cancel(&self, error: CancelledError) -> bool {
        self.cancel_within(None, error)
    }

    /// As `cancel`, for what the task does inside one of its scopes: what else it does at the same time goes on.
    pub(crate) fn cancel_within(&self, scope: Option<Token>, error: CancelledError) -> bool {
        if self.state.is_done() {
            return false;
        }
        self.begin_request(scope);
        let accepted = !self.state.is_polling() && waits::cancel_all(self, scope, &error);
        self.end_request(accepted, error);
        true
    }

    /// As `cancel`, by a group that has errors: if the coroutine returns in this very step, without having waited since, what it
    /// returns is what has become of these errors, and is kept, also where its type does not say that it is an error.
    pub(crate) fn cancel_after_errors(&self) {
        self.cancel(CancelledError::default());
        self.state.with_extra(|extra| extra.keeps_value = self.state.has(Flags::MUST_CANCEL));
    }

    /// A request has come in: counts it.
    pub(crate) fn begin_request(&self, scope: Option<Token>) {
        self.state.add_request();
        let is_first = !self.state.has(Flags::MUST_CANCEL) && !self.state.has(Flags::IN_FLIGHT);
        let all = if is_first { scope } else { scopes::around_both(self.within(), scope) };
        if all.is_some() {
            self.state.with_extra(|extra| extra.within = all);
        } else {
            self.state.if_extra(|extra| extra.within = None);
        }
    }

    /// What the request is about which is pending or in flight.
    fn within(&self) -> Option<Token> {
        self.state.if_extra(|extra| extra.within).flatten()
    }

    /// What the task waits for was asked to end. If nothing has accepted that, the task is cancelled at its next step.
    pub(crate) fn end_request(&self, accepted: bool, error: CancelledError) {
        if accepted {
            self.state.set(Flags::IN_FLIGHT);
            return;
        }
        self.state.with_extra(|extra| extra.pending = Some(error));
        self.state.set(Flags::MUST_CANCEL);
        if !self.state.is_polling() {
            self.schedule();
        }
    }

    /// Takes back one request; the last one taken back withdraws a cancellation that was not delivered.
    pub(crate) fn uncancel(&self) -> u32 {
        let left = self.state.take_request();
        if left == 0 && self.state.has(Flags::MUST_CANCEL) {
            self.state.clear(Flags::MUST_CANCEL);
            self.state.if_extra(|extra| extra.pending = None);
        }
        left
    }

    /// Throws `error` in this very step, from where the coroutine is: the caller returns `Pending` right after.
    pub(crate) fn raise(&self, error: CancelledError) {
        if let Err(error) = scopes::tell_scope(current_scope(), error) {
            self.state.with_extra(|extra| extra.raised = Some(error));
        }
        self.state.set(Flags::RAISED);
    }

    /// Takes what was raised outside of any scope.
    fn take_raised(&self) -> Option<CancelledError> {
        self.state.if_extra(|extra| extra.raised.take()).flatten()
    }

    #[cold]
    fn run_unusual(self) {
        if self.state.has(Flags::STALE_STEP) {
            self.state.clear(Flags::STALE_STEP);
            return;
        }
        self.state.clear(Flags::SCHEDULED);
        if self.state.is_done() || self.state.is_polling() {
            return;
        }
        let mut due = None;
        if self.state.has(Flags::IN_FLIGHT) {
            let flight = waits::flight(&self);
            if flight.outstanding {
                // What is awaited has accepted the request and has not ended yet: it will schedule this task again.
                // Meanwhile, the branches that the request is not about go on.
                if self.within().is_some() {
                    self.poll_once();
                }
                return;
            }
            self.state.clear(Flags::IN_FLIGHT);
            if flight.cancelled {
                due = self.state.if_extra(|extra| extra.accepted.take()).flatten();
            }
        }
        if self.state.has(Flags::MUST_CANCEL) {
            self.state.clear(Flags::MUST_CANCEL);
            let pending = self.state.if_extra(|extra| {
                extra.keeps_value = false;
                extra.pending.take()
            });
            due = due.or(pending.flatten());
        }
        let is_over = due.is_some_and(|error| !self.deliver(error));
        if !is_over {
            self.poll_once();
        }
    }

    /// Delivers a cancellation. `false` if that was the end of the task; otherwise it must be polled.
    fn deliver(&self, error: CancelledError) -> bool {
        // A coroutine that has not begun has no scope, and none of it runs.
        match scopes::tell(self, self.within(), error) {
            Ok(()) => true,
            Err(error) => {
                self.end_cancelled(error);
                false
            }
        }
    }

    /// Ends the task because its loop is closed.
    pub(crate) fn destroy(&self) {
        if !self.state.is_done() && !self.state.is_polling() {
            self.end_cancelled(CancelledError::new(Some("the event loop was closed")));
        }
    }

    /// Drops the coroutine where it stands and ends the task as cancelled.
    fn end_cancelled(&self, error: CancelledError) {
        let dropped = self.with_user_code(|| self.drop_future());
        match dropped {
            Ok(()) => {
                self.put_outcome(Outcome::Cancelled);
                self.finish(Some(error));
            }
            Err(panic) => self.end_panicked(panic),
        }
    }

    fn end_panicked(&self, panic: Box<dyn std::any::Any + Send>) {
        // The rest of a coroutine whose poll has panicked; a second panic in there is one too many, and is dropped.
        let _ = self.with_user_code(|| self.drop_future());
        self.state.with_extra(|extra| extra.panic = Some(panic));
        self.put_outcome(Outcome::Panicked);
        self.finish(None);
    }

    /// Polls until the coroutine waits, is done, or is cancelled from inside.
    fn poll_once(&self) {
        self.state.set(Flags::STARTED);
        self.polled(self.with_user_code(|| self.poll()));
    }

    /// What follows a poll.
    fn polled(&self, mut polled: std::thread::Result<Option<bool>>) {
        loop {
            match polled {
                Err(panic) => return self.end_panicked(panic),
                // Polled from inside its own poll, by a nested run of the loop: it will be polled again.
                Ok(None) => return self.schedule(),
                Ok(Some(true)) => return self.returned(),
                Ok(Some(false)) if self.state.has(Flags::RAISED) => {
                    self.state.clear(Flags::RAISED);
                    if let Some(error) = self.take_raised() {
                        return self.end_cancelled(error);
                    }
                    // A scope has been told, and gets it when the coroutine is polled again.
                    polled = self.with_user_code(|| self.poll());
                }
                Ok(Some(false)) => break,
            }
        }
        if self.state.has(Flags::MUST_CANCEL) {
            self.cancel_new_wait();
        }
    }

    /// A request has come in while the coroutine ran: what it waits for now is cancelled at once.
    #[cold]
    fn cancel_new_wait(&self) {
        self.state.if_extra(|extra| extra.keeps_value = false);
        let error = self.state.if_extra(|extra| extra.pending.clone()).flatten().unwrap_or_default();
        if waits::cancel_all(self, self.within(), &error) {
            self.state.clear(Flags::MUST_CANCEL);
            self.state.if_extra(|extra| extra.pending = None);
            self.state.set(Flags::IN_FLIGHT);
        } else {
            // A bare yield, or something that is not ours: delivered at the next step.
            self.schedule();
        }
    }

    /// The coroutine has returned.
    fn returned(&self) {
        if self.state.has(Flags::MUST_CANCEL) && self.has_failed() {
            self.state.clear(Flags::MUST_CANCEL);
            self.state.if_extra(|extra| extra.pending = None);
        }
        let raised = if self.state.has(Flags::RAISED) { self.take_raised() } else { None };
        self.state.clear(Flags::RAISED);
        if self.state.has(Flags::MUST_CANCEL) || raised.is_some() {
            // Cancelled from inside and then not waiting any more: the value is lost, as in asyncio.
            let _ = self.with_user_code(|| self.drop_outcome());
            let pending = self.state.if_extra(|extra| extra.pending.take()).flatten();
            self.put_outcome(Outcome::Cancelled);
            return self.finish(Some(pending.or(raised).unwrap_or_default()));
        }
        self.finish(None);
    }

    /// Whether the value that was returned is an error, and errors are to be kept.
    fn has_failed(&self) -> bool {
        match self.state.if_extra(|extra| (extra.has_failed, extra.keeps_value)) {
            Some((Some(has_failed), _)) => has_failed(self),
            Some((None, keeps_value)) => keeps_value,
            None => false,
        }
    }

    /// Runs code of the task's: in its context, as the current task, with panics caught. This, and `run` for the plain case, are the
    /// places where this crate calls user code.
    fn with_user_code<R>(&self, code: impl FnOnce() -> R) -> std::thread::Result<R> {
        let _current = enter_task(self);
        let mut context = ContextSnapshot::default();
        // Most tasks have no context variables, and run where none is set.
        let is_plain = !self.state.has_extra() && ContextSnapshot::is_current_empty();
        if !is_plain {
            context = self.state.if_extra(|extra| std::mem::take(&mut extra.context)).unwrap_or_default();
            context.exchange();
        }
        let result = catch_unwind(AssertUnwindSafe(|| spans::within(self, code)));
        if !is_plain || !ContextSnapshot::is_current_empty() {
            self.leave_context(context);
        }
        result
    }

    /// Keeps the current context for the next step, and goes back to the one `outside`.
    fn leave_context(&self, mut outside: ContextSnapshot) {
        outside.exchange();
        if !outside.is_empty() {
            self.keep_context(outside);
        }
    }

    fn keep_context(&self, context: ContextSnapshot) {
        let previous = self.state.with_extra(|extra| std::mem::replace(&mut extra.context, context));
        drop(previous);
    }

    /// The task is done: tells everybody, in order.
    fn finish(&self, cancelled: Option<CancelledError>) {
        let state = &self.state;
        state.set(Flags::DONE);
        if let Some(error) = &cancelled {
            state.set(Flags::CANCELLED);
            state.with_extra(|extra| extra.accepted = Some(error.clone()));
        }
        self.disconnect_wakers();
        spans::end(self);
        let joiner = state.joiner.replace(NO_SLOT);
        if joiner != NO_SLOT {
            waits::settle_slot(joiner, cancelled.as_ref());
        }
        if state.has_extra() {
            self.tell_callbacks(cancelled.as_ref());
        }
        state.tasks.done(self);
    }

    fn tell_callbacks(&self, cancelled: Option<&CancelledError>) {
        let (callbacks, owner) = self
            .state
            .if_extra(|extra| (std::mem::take(&mut extra.callbacks), extra.group_owner.take()))
            .unwrap_or_default();
        drop(owner);
        for callback in callbacks {
            callback.tell(self.state.tasks.event_loop(), cancelled);
        }
    }

    /// How a task that is done was cancelled, with the message of the request.
    pub(crate) fn cancelled_error(&self) -> Option<CancelledError> {
        if !self.state.has(Flags::CANCELLED) {
            return None;
        }
        Some(self.state.if_extra(|extra: &mut Extra| extra.accepted.clone()).flatten().unwrap_or_default())
    }

    /// Registers a wait to be settled when the task is done.
    pub(crate) fn add_waiter(&self, wait: WaitId) {
        let state = &self.state;
        let is_first =
            state.joiner.get() == NO_SLOT && state.if_extra(|extra| extra.callbacks.is_empty()).unwrap_or(true);
        if is_first {
            state.joiner.set(wait.slot());
        } else {
            state.with_extra(|extra| extra.callbacks.push(DoneCallback::Wait(wait)));
        }
    }

    /// The waits that are registered, and the tasks that are suspended in them. For those who look on.
    pub(crate) fn waiters(&self) -> Vec<(WaitId, TaskRef)> {
        let mut slots = vec![self.state.joiner.get()];
        self.state.if_extra(|extra| {
            for callback in &extra.callbacks {
                if let DoneCallback::Wait(wait) = callback {
                    slots.push(wait.slot());
                }
            }
        });
        slots.into_iter().filter_map(waits::waiter_in).collect()
    }

    /// The owner of the task group that this task is in.
    pub(crate) fn group_owner(&self) -> Option<TaskRef> {
        self.state.if_extra(|extra| extra.group_owner.clone()).flatten()
    }

    /// Takes back what `add_waiter` has registered. The wait still exists.
    pub(crate) fn remove_waiter(&self, wait: WaitId) {
        let state = &self.state;
        if state.is_done() {
            return;
        }
        if state.joiner.get() == wait.slot() {
            state.joiner.set(NO_SLOT);
        } else {
            state.if_extra(|extra| {
                extra.callbacks.retain(|callback| !matches!(callback, DoneCallback::Wait(other) if *other == wait));
            });
        }
    }
}
