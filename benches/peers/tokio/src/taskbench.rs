//! `taskbench` on a `LocalSet` in a current-thread runtime.

fn main() {
    peers_common::taskbench::<peer_tokio::Tokio<false>>();
}
