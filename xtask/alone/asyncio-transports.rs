//! Uses asyncio-transports and nothing else: protocols of both kinds, and what a host may be.

use asyncio_transports::{BufferedProtocol, IntoHost, IntoHosts, Protocol};

#[derive(Default)]
struct Count(usize);

impl Protocol for Count {
    fn data_received(&mut self, data: &[u8]) {
        self.0 += data.len();
    }
}

#[derive(Default)]
struct Room([u8; 8]);

impl BufferedProtocol for Room {
    fn get_buffer(&mut self) -> &mut [u8] {
        &mut self.0
    }
    fn buffer_updated(&mut self, _bytes: usize) {}
}

fn main() {
    let (mut count, mut room) = (Count::default(), Room::default());
    count.data_received(b"four");
    assert!(!count.eof_received() && !room.eof_received());
    room.get_buffer()[0] = 1;
    room.buffer_updated(1);
    assert_eq!("example.org:80".into_host(), ("example.org", 80).into_host());
    println!("counted {} bytes, {} hosts", count.0, (["a", "b"], 80).into_hosts().len());
}
