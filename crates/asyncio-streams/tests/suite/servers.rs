//! Handlers: what becomes of their errors, panics and connections.

use crate::drivers;
use crate::rig::{end, reports};
use asyncio_loop::get_running_loop;
use asyncio_streams::{StreamReader, StreamWriter, open_connection, start_server};
use asyncio_tasks::{all_tasks, yield_now};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Does what the first line says.
async fn obey(mut reader: StreamReader, writer: StreamWriter) -> Result<(), String> {
    let order = reader.readline().await.map_err(|error| error.to_string())?;
    writer.write("as you wish\n");
    match &order[..] {
        b"fail\n" => Err("as I was told".into()),
        b"panic\n" => panic!("as I was told"),
        _ => Ok(()),
    }
}

async fn serve(mut reader: StreamReader, mut writer: StreamWriter) -> io::Result<()> {
    // As a person writes it who thinks of other libraries.
    let (reader, writer) = (&mut reader, &mut writer);
    loop {
        let line = reader.readline().await?;
        if line.is_empty() {
            return Ok(());
        }
        writer.write_all(line).await?;
    }
}

drivers::on_each_driver! {
    // sem. 190
    async fn an_error_or_a_panic_is_reported_with_the_peer_and_closes_its_connection() {
        let reports = reports(&get_running_loop());
        let server = start_server(obey, ("127.0.0.1", 0)).await.unwrap();
        let address = server.local_addrs()[0];
        let (mut bystander, _other) = open_connection(address).await.unwrap();
        for order in ["fail\n", "panic\n"] {
            let (mut reader, writer) = open_connection(address).await.unwrap();
            writer.write(order);
            assert_eq!(reader.read(-1).await.unwrap(), "as you wish\n", "what was written is sent");
            let peer = writer.local_addr().unwrap().to_string();
            let report = ["unhandled exception in client_connected_cb", "as I was told", &peer];
            assert_eq!(reports.take(), [report.map(String::from)]);
        }
        assert_eq!(server.client_count(), 1, "the other one is there");
        _other.write("enough\n");
        assert_eq!(bystander.read(-1).await.unwrap(), "as you wish\n");
        drop((bystander, _other));
        end(server).await;
        assert_eq!(reports.take().len(), 0);
    }

    // sem. 190
    async fn a_handler_that_is_cancelled_closes_without_a_report_and_one_that_returns_does_not_close() {
        let reports = reports(&get_running_loop());
        let kept = Rc::new(RefCell::new(Vec::new()));
        let (keep, told) = (kept.clone(), Rc::new(asyncio_tasks::WaitQueue::new()));
        let tell = told.clone();
        let handler = async move |mut reader: StreamReader, writer: StreamWriter| {
            let order = reader.readline().await.unwrap();
            // Beyond the handler's end.
            keep.borrow_mut().push(writer);
            tell.wake_all();
            if order == "wait\n" {
                reader.read(-1).await.unwrap();
            }
        };
        let server = start_server(handler, ("127.0.0.1", 0)).await.unwrap();
        let (_reader, writer) = open_connection(server.local_addrs()[0]).await.unwrap();
        writer.write("return\n");
        told.wait().await;
        yield_now().await;
        assert_eq!((kept.borrow().len(), kept.borrow()[0].is_closing()), (1, false));
        let (mut reader, writer) = open_connection(server.local_addrs()[0]).await.unwrap();
        writer.write("wait\n");
        told.wait().await;
        assert!(!kept.borrow()[1].is_closing());
        let handlers: Vec<_> = all_tasks().into_iter().filter(|task| task.coroutine_name().contains("handler::serve")).collect();
        assert_eq!(handlers.len(), 1);
        handlers[0].cancel();
        assert_eq!(reader.read(-1).await.unwrap(), "");
        assert_eq!(reports.take().len(), 0);
        kept.take();
        drop((_reader, writer));
        end(server).await;
    }

    async fn handlers_may_be_functions_and_closures_that_return_nothing_or_a_result() {
        let server = start_server(serve, ("127.0.0.1", 0)).backlog(10).limit(100).await.unwrap();
        let silent = start_server(async |_, _| (), [("127.0.0.1", 0)]).await.unwrap();
        let greeting = "hello\n";
        let greet = start_server(
            move |_, writer: StreamWriter| async move { writer.write_all(greeting).await },
            ("127.0.0.1", 0),
        )
        .await
        .unwrap();
        let (mut reader, writer) = open_connection(server.local_addrs()[0]).await.unwrap();
        for line in ["one\n", "two\n"] {
            writer.write_all(line).await.unwrap();
            assert_eq!(reader.readline().await.unwrap(), line);
        }
        drop((reader, writer));
        let (mut reader, _writer) = open_connection(silent.local_addrs()[0]).await.unwrap();
        assert_eq!(reader.read(-1).await.unwrap(), "");
        let (mut reader, _writer) = open_connection(greet.local_addrs()[0]).await.unwrap();
        assert_eq!(reader.read(-1).await.unwrap(), greeting);
        drop(_writer);
        for server in [server, silent, greet] {
            end(server).await;
        }
    }

    async fn a_hundred_connections_are_served_side_by_side() {
        let server = start_server(serve, ("127.0.0.1", 0)).await.unwrap();
        let mut clients = Vec::new();
        for n in 0..100 {
            let (reader, writer) = open_connection(server.local_addrs()[0]).await.unwrap();
            writer.write(format!("{n}\n"));
            clients.push((reader, writer));
        }
        for (n, (reader, _)) in clients.iter_mut().enumerate() {
            assert_eq!(reader.readline().await.unwrap(), format!("{n}\n"));
        }
        assert_eq!(server.client_count(), 100);
        drop(clients);
        end(server).await;
    }
}
