//! Transports, connections and servers, on every driver: virtual time, `polling`, and the platform's best.

#[path = "support/drivers.rs"]
mod drivers;
#[path = "support/recorder.rs"]
mod recorder;

#[path = "suite/connecting.rs"]
mod connecting;
#[path = "suite/echo.rs"]
mod echo;
#[path = "suite/in_memory.rs"]
mod in_memory;
#[path = "suite/life.rs"]
mod life;
#[cfg(unix)]
#[path = "suite/os_pipes.rs"]
mod os_pipes;
#[cfg(unix)]
#[path = "suite/os_sockets.rs"]
mod os_sockets;
#[cfg(unix)]
#[path = "suite/sendfile.rs"]
mod sendfile;
#[path = "suite/servers.rs"]
mod servers;
#[path = "suite/sockets.rs"]
mod sockets;
#[path = "suite/turns.rs"]
mod turns;
#[path = "suite/writing.rs"]
mod writing;
