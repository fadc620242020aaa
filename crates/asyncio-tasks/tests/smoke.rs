//! scratch
use asyncio_loop::*;
use asyncio_tasks::*;
use std::cell::RefCell;
use std::rc::Rc;
fn run<T: 'static>(f: impl std::future::Future<Output = T> + 'static) -> T {
    let l = new_event_loop().unwrap();
    let r = l.run_until_complete(f).unwrap();
    l.close().unwrap();
    r
}
#[test]
fn basics() {
    let log = Rc::new(RefCell::new(vec![]));
    let l2 = log.clone();
    run(async move {
        let t = create_task(async {
            sleep(0.001).await;
            7
        })
        .name("nine");
        assert_eq!(t.get_name(), "nine");
        assert_eq!(t.await, Ok(7));
        let l3 = l2.clone();
        let w = create_task(async move {
            let r: Result<(), CancelledError> = catch_cancelled(async { sleep(60).await }).await;
            l3.borrow_mut().push(r.is_err());
            sleep(0.001).await;
            l3.borrow_mut().push(true);
            r
        });
        sleep(0).await;
        assert!(w.cancel());
        assert!(w.await.unwrap().is_err());
        let inner = create_task(async { sleep(60).await });
        let i2 = inner.clone();
        let outer = create_task(async move { inner.await.unwrap() });
        sleep(0).await;
        sleep(0).await;
        assert!(outer.cancel_with("why"));
        assert!(!i2.done());
        let r = outer.await;
        assert_eq!(r.unwrap_err().message(), Some("why"));
        assert!(i2.cancelled());
        let f = Future::<u32>::new();
        let f2 = f.clone();
        let t = create_task(async move { f2.await });
        sleep(0).await;
        f.set_result(4).unwrap();
        assert_eq!(t.await, Ok(Ok(4)));
        // thread waker
        let (tx, rx) = std::sync::mpsc::channel::<std::task::Waker>();
        let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let fl = flag.clone();
        let th = std::thread::spawn(move || {
            let w = rx.recv().unwrap();
            fl.store(true, std::sync::atomic::Ordering::SeqCst);
            w.wake();
        });
        std::future::poll_fn(|cx| {
            if flag.load(std::sync::atomic::Ordering::SeqCst) {
                std::task::Poll::Ready(())
            } else {
                let _ = tx.send(cx.waker().clone());
                std::task::Poll::Pending
            }
        })
        .await;
        th.join().unwrap();
    });
    assert_eq!(*log.borrow(), [true, true]);
}
