//! Streams over pipes, each of one direction.

use crate::drivers;
use asyncio_loop::get_running_loop;
use asyncio_streams::{open_read_pipe, open_write_pipe};
use std::fs::File;
use std::io;
use std::io::Write as _;

fn run<F: Future<Output = ()> + 'static>(main: impl Fn() -> F) {
    for event_loop in [drivers::platform(), drivers::polling()] {
        drivers::run_on(&event_loop, main());
    }
}

#[test]
fn bytes_go_through_and_so_does_their_end() {
    run(async || {
        let (out, into) = io::pipe().unwrap();
        let mut reader = open_read_pipe(out).await.unwrap();
        let writer = open_write_pipe(into).await.unwrap();
        writer.write_all("a line\n").await.unwrap();
        assert_eq!(reader.readline().await.unwrap(), "a line\n");
        writer.write([b'x'; 300_000]);
        writer.write_eof().unwrap();
        assert_eq!(reader.read(-1).await.unwrap(), vec![b'x'; 300_000]);
        assert!(reader.at_eof());
        writer.wait_closed().await.unwrap();
    });
}

#[test]
fn dropping_a_reader_closes_the_pipe_and_its_writer_learns_that() {
    run(async || {
        let (out, into) = io::pipe().unwrap();
        let reader = open_read_pipe(out).await.unwrap();
        let writer = open_write_pipe(into).await.unwrap();
        drop(reader);
        writer.wait_closed().await.unwrap();
        assert_eq!(writer.write_all("x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_slow_reader_holds_its_writer_back() {
    run(async || {
        let (out, into) = io::pipe().unwrap();
        let mut reader = open_read_pipe(out).limit(1000).await.unwrap();
        assert_eq!(reader.limit(), 1000);
        let writer = open_write_pipe(into).await.unwrap();
        let feeding = asyncio_tasks::LoopTasksExt::create_task(&get_running_loop(), async move {
            for _ in 0..100 {
                writer.write_all([7; 10_000]).await.unwrap();
            }
        });
        let mut bytes = 0;
        while bytes < 1_000_000 {
            bytes += reader.read(4096).await.unwrap().len();
        }
        feeding.await.unwrap();
        assert_eq!(reader.read(1).await.unwrap(), "");
    });
}

#[test]
fn a_pipe_that_is_not_awaited_is_closed() {
    let (out, mut into) = io::pipe().unwrap();
    drop(open_read_pipe(out));
    assert_eq!(into.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_file_is_no_pipe() {
    // sem. 219
    run(async || {
        let error = open_read_pipe(File::open("Cargo.toml").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = open_write_pipe(File::open("Cargo.toml").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}
