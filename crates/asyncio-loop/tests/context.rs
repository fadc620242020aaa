//! Context variables: what callbacks see, by copy. On every driver.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/log.rs"]
mod log;

use asyncio_loop::{Context, ContextVar, EventLoop, copy_context};
use log::Log;
use std::sync::Arc;

static USER: ContextVar<&str> = ContextVar::new("user");

drivers::on_each_driver! {
    fn a_callback_sees_the_values_of_when_it_was_scheduled(event_loop) {
        let log = Log::new();
        let token = USER.set("ann");
        for kind in ["soon", "timer"] {
            let sink = log.clone();
            let callback = move || {
                sink.add((kind, USER.get()));
                USER.set("inside");
            };
            if kind == "soon" { drop(event_loop.call_soon(callback)) } else { drop(event_loop.call_later(-1, callback)) }
        }
        USER.set("bob");
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), [("soon", Some("ann")), ("timer", Some("ann"))]);
        assert_eq!(USER.get(), Some("bob"), "what a callback sets stays in its copy");
        USER.reset(token);
        assert_eq!(USER.get(), None);
    }

    fn a_chain_of_callbacks_inherits(event_loop) {
        let log = Log::new();
        let (inner, sink) = (event_loop.clone(), log.clone());
        event_loop.call_soon(move || {
            USER.set("set by the parent");
            inner.call_soon(move || sink.add(USER.get()));
            USER.set("too late");
        });
        let sink = log.clone();
        event_loop.call_soon(move || sink.add(USER.get()));
        event_loop.run_until_blocked().unwrap();
        assert_eq!(log.take(), [None, Some("set by the parent")]);
    }

    fn a_given_context_keeps_what_is_set_in_it(event_loop) {
        let context = Context::new();
        drop(event_loop.call_soon(|| _ = USER.set("kept")).context(&context));
        let log = Log::new();
        let sink = log.clone();
        drop(event_loop.call_later(-1, move || sink.add(USER.get())).context(&context));
        event_loop.run_until_blocked().unwrap();
        assert_eq!((log.take(), context.get(&USER), USER.get()), (vec![Some("kept")], Some("kept"), None));
    }

    fn the_context_of_a_handle_is_the_one_that_its_callback_runs_in(event_loop) {
        let log = Log::new();
        let sink = log.clone();
        let handle = event_loop.call_soon(move || {
            sink.add(USER.get());
            USER.set("from the callback");
        });
        let context = handle.get_context().unwrap();
        context.run(|| USER.set("before"));
        event_loop.run_until_blocked().unwrap();
        assert_eq!((log.take(), context.get(&USER)), (vec![Some("before")], Some("from the callback")));
        assert!(handle.get_context().is_none());
    }

    fn a_panic_leaves_the_context(event_loop) {
        event_loop.set_exception_handler(|_, _| ());
        event_loop.call_soon(|| {
            USER.set("lost");
            panic!("as expected");
        });
        let log = Log::new();
        let sink = log.clone();
        event_loop.call_soon(move || sink.add(USER.get()));
        event_loop.run_until_blocked().unwrap();
        assert_eq!((log.take(), USER.get()), (vec![None], None));
    }

    fn a_watched_trigger_has_one_context_for_all_its_calls(event_loop) {
        static COUNT: ContextVar<u32> = ContextVar::new("count");
        let token = COUNT.set(10);
        let log = Log::new();
        let sink = log.clone();
        let trigger = event_loop.create_trigger(move || {
            let n = COUNT.get().unwrap() + 1;
            COUNT.set(n);
            sink.add(n);
        });
        COUNT.reset(token);
        for _ in 0..3 {
            trigger.fire();
            event_loop.run_until_blocked().unwrap();
        }
        assert_eq!((log.take(), COUNT.get()), (vec![11, 12, 13], None));
    }

    /// The last to hold a value may be a call that is told to use another context, or is cancelled.
    fn values_are_dropped_with_nothing_borrowed(event_loop) {
        struct Reenters;
        impl Drop for Reenters {
            fn drop(&mut self) {
                asyncio_loop::get_event_loop().unwrap().call_soon(|| ());
                USER.set("set by a destructor");
            }
        }
        static VALUE: ContextVar<Arc<Reenters>> = ContextVar::new("value");
        asyncio_loop::set_event_loop(Some(event_loop));
        let ways: [fn(&EventLoop); 3] = [
            |event_loop| drop(event_loop.call_soon(|| ()).context(&Context::new())),
            |event_loop| event_loop.call_soon(|| ()).cancel(),
            |event_loop| drop(event_loop.call_soon(|| ())),
        ];
        for way in ways {
            copy_context().run(|| {
                VALUE.set(Arc::new(Reenters));
                way(event_loop);
            });
            event_loop.run_until_blocked().unwrap();
            assert_eq!(event_loop.pending(), []);
        }
        asyncio_loop::set_event_loop(None);
    }
}

#[test]
fn a_value_may_set_variables_while_it_is_cloned() {
    struct Sets;
    impl Clone for Sets {
        fn clone(&self) -> Self {
            USER.set("set while cloning");
            Self
        }
    }
    static SETS: ContextVar<Sets> = ContextVar::new("sets");
    copy_context().run(|| {
        SETS.set(Sets);
        drop(SETS.get());
        assert_eq!(USER.get(), Some("set while cloning"));
    });
}
