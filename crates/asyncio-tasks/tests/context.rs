//! Context variables in tasks.

#[path = "support/run.rs"]
mod run;

use asyncio_loop::{Context, ContextVar};
use asyncio_tasks::{create_task, current_task, yield_now};
use run::run;

static WHO: ContextVar<&str> = ContextVar::new("who");

// sem. 295
#[test]
fn a_task_has_a_copy_of_its_creator_for_all_of_its_steps() {
    run(async {
        WHO.set("creator");
        let task = create_task(async {
            let before = WHO.get();
            WHO.set("task");
            yield_now().await;
            (before, WHO.get())
        });
        WHO.set("too late");
        let handle = task.to_any();
        assert_eq!(task.await, Ok((Some("creator"), Some("task"))));
        assert_eq!(WHO.get(), Some("too late"));
        assert_eq!(handle.get_context().get(&WHO), Some("task"));
        assert_eq!(current_task().unwrap().get_context().get(&WHO), Some("too late"));
    });
}

// sem. 295
#[test]
fn a_given_context_is_the_one_that_the_steps_see() {
    run(async {
        let context = Context::new();
        context.run(|| WHO.set("given"));
        let task = create_task(async { WHO.get() }).context(&context);
        assert_eq!(task.await, Ok(Some("given")));
        let child = create_task(async {
            WHO.set("parent");
            create_task(async { WHO.get() }).await
        });
        assert_eq!((child.await.unwrap(), WHO.get()), (Ok(Some("parent")), None));
    });
}

#[test]
fn destructors_of_a_cancelled_task_see_its_context() {
    struct Looks(std::rc::Rc<std::cell::Cell<Option<&'static str>>>);
    impl Drop for Looks {
        fn drop(&mut self) {
            self.0.set(WHO.get());
        }
    }
    run(async {
        let seen = std::rc::Rc::default();
        let looks = Looks(std::rc::Rc::clone(&seen));
        let task = create_task(async move {
            let _looks = looks;
            WHO.set("inside");
            std::future::pending::<()>().await;
        });
        yield_now().await;
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!((seen.get(), WHO.get()), (Some("inside"), None));
    });
}
