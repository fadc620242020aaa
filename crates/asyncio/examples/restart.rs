//! A graceful restart: the next generation of workers takes over the port while the one before finishes its conversations. Nobody is refused.
//!
//! Run with `cargo run --release --example restart`. Both generations accept from one listening socket, which the program keeps: so no
//! connection is lost between them. Clients come all the time; each must get all of its answer, from one generation.

#![expect(clippy::print_stdout, reason = "an example is there to be read")]

use asyncio::{StreamReader, StreamWriter, TaskGroup, Worker, Workers};
use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;

const WORKERS: usize = 2;
const CLIENTS: usize = 20;
const LINES: usize = 5;

/// Starts workers that serve `listener`, and say of which generation they are.
async fn generation(number: usize, listener: &Arc<TcpListener>) -> io::Result<Workers<io::Error>> {
    let listener = listener.clone();
    let answer = async move |mut reader: StreamReader, writer: StreamWriter| {
        for _ in 0..LINES {
            let line = reader.readline().await?;
            writer.write_all(format!("{number} {}", String::from_utf8_lossy(&line))).await?;
        }
        io::Result::Ok(())
    };
    let main = async move |_: Worker| {
        let server = asyncio::start_server_on(answer, listener.try_clone()?).await?;
        // Stopping the workers cancels this: it accepts no more, and waits for the conversations that it has.
        server.serve_forever().await?;
        io::Result::Ok(())
    };
    Ok(asyncio::workers(WORKERS, main).thread_name(format!("generation_{number}")).start().await?)
}

/// One conversation after the other until there are enough; says how many each generation has had.
async fn converse(address: SocketAddr, is_over: Rc<Cell<bool>>) -> io::Result<[usize; 2]> {
    let mut had = [0; 2];
    while !is_over.get() {
        let (mut reader, writer) = asyncio::open_connection(address).await?;
        let mut generation = None;
        for line in 0..LINES {
            writer.write_all(format!("line {line}\n")).await?;
            let answer = reader.readline().await?;
            let answer = String::from_utf8_lossy(&answer);
            let (number, rest) = answer.split_once(' ').ok_or_else(|| io::Error::other("cut off"))?;
            assert_eq!(rest, format!("line {line}\n"));
            assert_eq!(*generation.get_or_insert(number.to_owned()), number, "a conversation has changed hands");
        }
        let generation = generation.expect("there are lines");
        had[usize::from(generation == "2")] += 1;
    }
    Ok(had)
}

#[asyncio::main]
async fn main() -> io::Result<()> {
    let listener = Arc::new(TcpListener::bind(("127.0.0.1", 0))?);
    let address = listener.local_addr()?;
    let mut old = generation(1, &listener).await?;
    let is_over = Rc::new(Cell::new(false));
    let had = TaskGroup::scope(async |group| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| group.create_task(converse(address, is_over.clone()))).collect();
        asyncio::sleep(0.1).await;

        let mut new = generation(2, &listener).await?;
        old.stop();
        old.wait().await?; // Everybody who talked to the old one has finished.

        asyncio::sleep(0.1).await;
        is_over.set(true);
        let mut had = [0; 2];
        for client in clients {
            // An error is the group's, which cancels the others.
            if let Ok(Ok(of_client)) = client.await {
                had = [had[0] + of_client[0], had[1] + of_client[1]];
            }
        }
        new.stop();
        new.wait().await?;
        Ok(had)
    });
    let had = had.await?;
    println!(
        "{} conversations with the old generation, {} with the new one, none was refused or cut off",
        had[0], had[1]
    );
    assert!(had.iter().all(|had| *had > 0), "a generation was given nothing to do");
    Ok(())
}
