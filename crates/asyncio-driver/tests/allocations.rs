//! What must not allocate: waiting, notifying, moving bytes, and telling the time.

use asyncio_driver::{Address, ConnectOptions, ListenOptions};
use asyncio_driver::{Deadline, Interest, Mode, Token, new_driver};
use asyncio_testing::{CountingAllocator, count_allocations};
use std::io::IoSlice;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn a_request_and_its_answer_allocate_nothing() {
    let mut driver = new_driver().unwrap();
    let mut listener = driver.listen(&Address::Ip(([127, 0, 0, 1], 0).into()), &ListenOptions::default()).unwrap();
    let mut client = driver.connect(&listener.local_addr().unwrap(), &ConnectOptions::default()).unwrap();
    let mut events = Vec::with_capacity(16);
    driver.register(listener.source(), Token::new(0, 0), Interest::READABLE, Mode::Level).unwrap();
    driver.wait(Deadline::Never, &mut events).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    driver.remove(listener.source()).unwrap();
    driver.register(server.source(), Token::new(1, 0), Interest::READABLE, Mode::Level).unwrap();
    let notifier = driver.notifier();

    let mut scratch = [0; 64];
    let ((), counts) = count_allocations(|| {
        for _ in 0..100 {
            events.clear();
            client.send(&[IoSlice::new(b"request")]).unwrap();
            driver.wait(Deadline::Never, &mut events).unwrap();
            assert_eq!(server.recv(&mut scratch).unwrap(), b"request");
            server.send(&[IoSlice::new(b"ans"), IoSlice::new(b"wer")]).unwrap();
            notifier.notify();
            let soon = driver.now();
            driver.wait(Deadline::At(soon), &mut events).unwrap();
        }
    });
    assert_eq!((counts.allocations, counts.deallocations), (0, 0));
}
