//! A chat room: whoever connects says a name, and then everybody hears what everybody says.
//!
//! Run with `cargo run --release --example chat`. Twenty guests talk at once, and all must have heard the same, in the same order. With
//! `-- 127.0.0.1:8080` it serves until Ctrl-C: come in with `nc 127.0.0.1 8080`.

#![expect(clippy::print_stdout, reason = "an example is there to be read")]

use asyncio::{Barrier, Broadcast, Server, StreamReader, StreamWriter, TaskGroup, create_task};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

const GUESTS: usize = 20;
const LINES: usize = 10;

/// Opens a room. Whoever is slow to listen holds those who talk back, up to so many lines.
async fn open(host: &str) -> io::Result<Server> {
    let room = Broadcast::new(64);
    let handler = async move |reader, writer| welcome(&room, reader, writer).await;
    asyncio::start_server(handler, host).await
}

/// The stay of one guest.
async fn welcome(room: &Broadcast<Rc<str>>, mut reader: StreamReader, writer: StreamWriter) -> io::Result<()> {
    let name = text(&reader.readline().await?);
    let mut heard = room.subscribe();
    // Two things at once for one guest: this task tells him, the rest of the function hears him. Leaving ends both.
    let _telling = create_task(async move {
        while let Ok(line) = heard.get().await {
            if writer.write_all(&*line).await.is_err() {
                break;
            }
        }
    })
    .abort_on_drop();
    say(room, format!("* {name} is here\n")).await;
    let mut lines = reader.lines();
    while let Some(Ok(line)) = lines.next().await {
        say(room, format!("{name}: {}\n", text(&line))).await;
    }
    say(room, format!("* {name} has left\n")).await;
    Ok(())
}

async fn say(room: &Broadcast<Rc<str>>, line: String) {
    room.put(line.into()).await.expect("the room is never shut down");
}

fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end().to_owned()
}

/// Comes in, waits for the others, talks, and tells what was heard.
async fn visit(room: SocketAddr, n: usize, all_here: Rc<Barrier>) -> io::Result<Vec<String>> {
    let (mut reader, writer) = asyncio::open_connection(room).await?;
    writer.write_all(format!("guest {n}\n")).await?;
    while text(&reader.readline().await?) != format!("* guest {n} is here") {}
    all_here.wait().await?;
    for line in 0..LINES {
        writer.write_all(format!("line {line}\n")).await?;
    }
    let mut heard = Vec::new();
    while heard.len() < GUESTS * LINES {
        let line = text(&reader.readline().await?);
        if !line.starts_with('*') {
            heard.push(line);
        }
    }
    all_here.wait().await?;
    Ok(heard)
}

#[asyncio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(host) = std::env::args().nth(1) {
        let server = open(&host).await?;
        println!("the room is open at {:?}", server.local_addrs());
        server.serve_forever().await?;
    }
    let server = open("127.0.0.1:0").await?;
    let (address, all_here) = (server.local_addrs()[0], Rc::new(Barrier::new(GUESTS)));
    let heard = TaskGroup::scope(async |group| {
        let visits: Vec<_> = (0..GUESTS).map(|n| group.create_task(visit(address, n, all_here.clone()))).collect();
        let mut heard = Vec::new();
        for visit in visits {
            // An error is the group's, which cancels the others.
            if let Ok(Ok(lines)) = visit.await {
                heard.push(lines);
            }
        }
        Ok(heard)
    });
    let heard = heard.await?;
    println!("{} guests have heard {} lines each, such as {:?}", heard.len(), heard[0].len(), heard[0][0]);
    assert_eq!(heard.len(), GUESTS);
    assert!(heard.iter().all(|lines| *lines == heard[0]), "somebody has heard something else");
    for n in 0..GUESTS {
        let said = heard[0].iter().filter(|line| line.starts_with(&format!("guest {n}:"))).cloned();
        assert!(said.eq((0..LINES).map(|line| format!("guest {n}: line {line}"))), "lost, or out of order");
    }
    server.close();
    Ok(server.wait_closed().await?)
}
