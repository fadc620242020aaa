//! Streams, on every driver: virtual time, `polling`, and the platform's best.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/rig.rs"]
mod rig;
#[path = "support/script.rs"]
mod script;

#[path = "suite/frames.rs"]
mod frames;
#[path = "suite/futures_traits.rs"]
mod futures_traits;
#[cfg(feature = "hyper")]
#[path = "suite/hyper_traits.rs"]
mod hyper_traits;
#[path = "suite/opening.rs"]
mod opening;
#[cfg(unix)]
#[path = "suite/os_pipes.rs"]
mod os_pipes;
#[path = "suite/reading.rs"]
mod reading;
#[path = "suite/servers.rs"]
mod servers;
#[cfg(feature = "tokio")]
#[path = "suite/tokio_traits.rs"]
mod tokio_traits;
#[path = "suite/writing.rs"]
mod writing;
