//! Writing to connections: back-pressure, flushing, closing.

use crate::drivers;
use crate::rig::{Rig, end};
use asyncio_streams::{copy, open_connection};
use asyncio_tasks::{create_task, gather, timeout, yield_now};
use std::cell::Cell;
use std::io;
use std::rc::Rc;

/// More than any socket takes.
const LARGE: usize = 8_000_000;

drivers::on_each_driver! {
    // sem. 185
    async fn drain_waits_above_the_high_mark_and_all_go_on_together() {
        let mut rig = Rig::new(65_536).await;
        rig.writer.write([1; 1000]);
        rig.writer.drain().await.unwrap();
        rig.writer.write(vec![2; LARGE]);
        let writer = Rc::new(rig.writer);
        let drained = Rc::new(Cell::new(0));
        let drains: Vec<_> = (0..3)
            .map(|_| {
                let (writer, drained) = (writer.clone(), drained.clone());
                create_task(async move {
                    writer.drain().await.unwrap();
                    drained.set(drained.get() + 1);
                    // Whoever waits beside this one goes on all the same.
                    if drained.get() == 1 {
                        writer.write(vec![3; LARGE]);
                    }
                    writer.transport().get_write_buffer_size()
                })
            })
            .collect();
        yield_now().await;
        assert_eq!(drained.get(), 0);
        let (all, waiting) = futures_util::join!(rig.server_reader.readexactly(1000 + 2 * LARGE), gather(drains));
        assert_eq!(all.unwrap().len(), 1000 + 2 * LARGE);
        assert!(waiting.iter().all(|bytes| *bytes.as_ref().unwrap() > 0));
        assert_eq!(drained.get(), 3);
        drop((rig.reader, writer, rig.server_reader, rig.server_writer));
        end(rig.server).await;
    }

    // sem. 186
    async fn draining_what_is_closing_is_an_error_one_step_later() {
        let rig = Rig::new(64).await;
        rig.writer.close();
        assert!(rig.writer.is_closing());
        let error = rig.writer.drain().await.unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::ConnectionReset, "connection lost".into()));
        rig.end().await;
    }

    // sem. 187
    async fn whoever_waits_for_room_when_the_connection_is_aborted_goes_on() {
        let rig = Rig::new(64).await;
        rig.writer.write(vec![0; LARGE]);
        let aborting = async {
            yield_now().await;
            rig.writer.transport().abort();
        };
        let (drained, closed, ()) = futures_util::join!(rig.writer.drain(), rig.writer.wait_closed(), aborting);
        drained.unwrap();
        closed.unwrap();
        assert!(rig.writer.drain().await.is_err(), "but not who comes later");
        rig.end().await;
    }

    // sem. 188
    async fn close_does_not_wait_and_wait_closed_does() {
        let mut rig = Rig::new(64).await;
        rig.writer.write(vec![5; LARGE]);
        rig.writer.close();
        assert!(timeout(0.001, rig.writer.wait_closed()).await.is_err());
        let (all, closed) = futures_util::join!(rig.server_reader.read(-1), rig.writer.wait_closed());
        assert_eq!(all.unwrap().len(), LARGE);
        closed.unwrap();
        rig.writer.wait_closed().await.unwrap();
        rig.end().await;
    }

    // sem. 191
    async fn a_writer_that_is_dropped_closes_and_what_it_wrote_arrives() {
        let mut rig = Rig::new(64).await;
        rig.writer.write("last words");
        drop((rig.reader, rig.writer));
        assert_eq!(rig.server_reader.read(-1).await.unwrap(), "last words");
        drop((rig.server_reader, rig.server_writer));
        end(rig.server).await;
    }

    // sem. 193
    async fn each_side_may_finish_sending_and_go_on_reading() {
        let mut rig = Rig::new(64).await;
        assert!(rig.writer.can_write_eof());
        rig.writer.write("question");
        rig.writer.write_eof().unwrap();
        rig.writer.write_eof().unwrap();
        assert_eq!(rig.server_reader.read(-1).await.unwrap(), "question");
        assert!(!rig.server_writer.is_closing());
        rig.server_writer.write_all("answer").await.unwrap();
        rig.server_writer.close();
        assert_eq!(rig.reader.read(-1).await.unwrap(), "answer");
        rig.end().await;
    }

    async fn flush_waits_until_nothing_is_left_and_restores_the_marks() {
        let mut rig = Rig::new(65_536).await;
        rig.writer.transport().set_write_buffer_limits(Some(9000), Some(3000));
        rig.writer.write("small");
        assert_eq!(rig.writer.transport().get_write_buffer_size(), 5);
        rig.writer.flush().await.unwrap();
        assert_eq!(rig.writer.transport().get_write_buffer_size(), 0, "without waiting for the end of the step");
        rig.writer.write(vec![0; LARGE]);
        // One that is given up is of no account.
        assert!(timeout(0.001, rig.writer.flush()).await.is_err());
        assert_eq!(rig.writer.transport().get_write_buffer_limits(), (3000, 9000));
        let flush = async {
            let (one, two) = futures_util::join!(rig.writer.flush(), rig.writer.flush());
            one.unwrap();
            two.unwrap();
            rig.writer.transport().get_write_buffer_size()
        };
        let (all, left) = futures_util::join!(rig.server_reader.readexactly(LARGE + 5), flush);
        assert_eq!((all.unwrap().len(), left), (LARGE + 5, 0));
        assert_eq!(rig.writer.transport().get_write_buffer_limits(), (3000, 9000));
        rig.end().await;
    }

    async fn a_time_limit_is_for_each_wait_and_others_go_on_waiting() {
        let mut rig = Rig::new(65_536).await;
        rig.writer.set_timeout(0.01);
        rig.writer.write(vec![0; LARGE]);
        for outcome in [rig.writer.drain().await, rig.writer.flush().await, rig.writer.wait_closed().await] {
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        rig.writer.set_timeout(None::<u32>);
        let patient = rig.writer.drain();
        let impatient = async {
            rig.writer.set_timeout(0.01);
            rig.writer.wait_closed().await.unwrap_err();
            rig.server_reader.readexactly(LARGE).await.unwrap();
        };
        let (drained, ()) = futures_util::join!(patient, impatient);
        drained.unwrap();
        rig.end().await;
    }

    async fn what_several_tasks_write_at_once_stays_together() {
        let mut rig = Rig::new(65_536).await;
        let writer = Rc::new(rig.writer);
        let tasks: Vec<_> = (0..4_u8)
            .map(|n| {
                let writer = writer.clone();
                create_task(async move {
                    for _ in 0..10 {
                        writer.write_all(vec![n; 100_000]).await.unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..40 {
            let record = rig.server_reader.readexactly(100_000).await.unwrap();
            assert!(record.iter().all(|byte| *byte == record[0]));
        }
        gather(tasks).await;
        drop((rig.reader, writer, rig.server_reader, rig.server_writer));
        end(rig.server).await;
    }

    async fn copy_moves_everything_to_the_end() {
        let (mut from, mut to) = (Rig::new(4096).await, Rig::new(4096).await);
        from.writer.writelines([&b"head "[..], &vec![9; 1_000_000], b"", b" tail"]);
        from.writer.write_eof().unwrap();
        let copying = async {
            let copied = copy(&mut from.server_reader, &to.writer).await.unwrap();
            to.writer.write_eof().unwrap();
            copied
        };
        let (copied, all) = futures_util::join!(copying, to.server_reader.read(-1));
        let all = all.unwrap();
        assert_eq!((copied, all.len()), (1_000_010, 1_000_010));
        assert!(all.starts_with(b"head ") && all.ends_with(b" tail"));
        from.end().await;
        to.end().await;
    }

    async fn a_write_has_happened_when_it_is_polled_first() {
        let mut rig = Rig::new(65_536).await;
        rig.writer.write(vec![0; LARGE]);
        assert!(timeout(0.001, rig.writer.write_all("all of it")).await.is_err());
        drop(rig.writer.write_all("none of it"));
        rig.server_reader.readexactly(LARGE).await.unwrap();
        rig.writer.write_bytes("!");
        assert_eq!(rig.server_reader.readexactly(10).await.unwrap(), "all of it!");
        rig.end().await;
    }

    async fn who_is_where_is_known() {
        let rig = Rig::new(64).await;
        let address = rig.server.local_addrs()[0];
        assert_eq!((rig.writer.peer_addr().unwrap(), rig.server_writer.local_addr().unwrap()), (address, address));
        assert_eq!(rig.server_writer.peer_addr().unwrap(), rig.writer.local_addr().unwrap());
        assert!(rig.writer.get_extra_info("peername").is_some() && rig.writer.get_extra_info("tea").is_none());
        rig.writer.close();
        rig.writer.wait_closed().await.unwrap();
        assert_eq!(rig.writer.peer_addr().unwrap(), address, "also afterwards");
        assert_eq!(rig.writer.local_addr().unwrap_err().kind(), io::ErrorKind::NotConnected);
        rig.server.close();
        assert_eq!(open_connection(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        rig.end().await;
    }
}
