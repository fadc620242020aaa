//! `taskbench` on a `LocalRuntime`.

fn main() {
    peers_common::taskbench::<peer_tokio::Tokio<true>>();
}
