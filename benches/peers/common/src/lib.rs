//! What the benchmark programs of all peers share, so that they do the same work by construction.
//!
//! A peer says by [`Peer`] how it spawns, yields, sleeps and so on; [`taskbench`] is then its whole task benchmark.
//! Everything is generic and inlined: no virtual call stands between a workload and the peer. The echo servers share
//! the arguments and the listening socket ([`echo`]); their loops are each peer's own.

pub mod echo;
pub mod machine;
mod peer;
mod program;
mod workloads;

pub use peer::{Peer, YieldNow};
pub use program::{Clock, Outcome, Request, taskbench};
pub use workloads::random::Random;
