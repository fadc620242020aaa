//! How much is done in one turn: nobody keeps the loop for long.

use crate::drivers;
use crate::recorder::{Recorder, end};
use asyncio_loop::get_running_loop;
use asyncio_tasks::yield_now;
use asyncio_transports::{LoopTransportsExt as _, Protocol};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::TcpStream;
use std::rc::Rc;

/// What happened in each iteration of the loop.
type Turns = Rc<RefCell<BTreeMap<u64, Vec<usize>>>>;

fn note(turns: &Turns, what: usize) {
    let iteration = get_running_loop().statistics().iterations_total;
    turns.borrow_mut().entry(iteration).or_default().push(what);
}

struct Sizes(Turns);

impl Protocol for Sizes {
    fn data_received(&mut self, data: &[u8]) {
        note(&self.0, data.len());
    }
}

drivers::on_each_driver! {
    // sem. 212
    async fn a_connection_receives_once_in_each_turn() {
        let (event_loop, turns) = (get_running_loop(), Turns::default());
        let factory = turns.clone();
        let server = event_loop.create_server(move || Sizes(factory.clone()), ("127.0.0.1", 0)).await.unwrap();
        let client = Recorder::default();
        let (transport, _) = event_loop.create_connection(|| client, server.local_addrs()[0]).await.unwrap();
        transport.write(&vec![7; 3_000_000]);
        transport.close();
        let total = || turns.borrow().values().flatten().sum::<usize>();
        while total() < 3_000_000 { yield_now().await; }
        for sizes in turns.borrow().values() {
            assert!(sizes.len() == 1 && sizes[0] <= 256 * 1024, "{sizes:?}");
        }
        end(server).await;
    }
}

// sem. 229
#[test]
fn a_flood_of_connections_is_accepted_in_several_turns() {
    for (backlog, most) in [(300, 64), (63, 64), (10, 11)] {
        drivers::run_on(&drivers::platform(), async move {
            let (event_loop, turns) = (get_running_loop(), Turns::default());
            let noted = turns.clone();
            let factory = move || {
                note(&noted, 1);
                Recorder::default()
            };
            let server = event_loop.create_server(factory, ("127.0.0.1", 0)).backlog(backlog).await.unwrap();
            // As many as the system queues; the loop does not run meanwhile.
            let waiting = usize::min(200, backlog as usize + 1);
            let clients: Vec<_> = (0..waiting).map(|_| TcpStream::connect(server.local_addrs()[0]).unwrap()).collect();
            while server.client_count() < waiting {
                yield_now().await;
            }
            let batches: Vec<_> = turns.borrow().values().map(Vec::len).collect();
            assert_eq!((batches[0], batches.iter().sum::<usize>()), (most, waiting), "{batches:?}");
            assert!(batches.iter().all(|batch| *batch <= most), "{batches:?}");
            drop(clients);
            end(server).await;
        });
    }
}
