//! Notifications to the service manager, by the protocol of systemd's `sd_notify(3)`.
//!
//! Each is a datagram of `NAME=VALUE` lines to the socket that `NOTIFY_SOCKET` names. Without that
//! variable nothing is sent. Nothing here fails or delays the daemon: a service manager that does
//! not read its socket misses a message.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use pattoo_base::invariant::Invariant as _;

/// A state of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// All collectors are loaded and scheduled, also after a reload.
    Ready,
    /// A reload began.
    Reloading,
    /// The daemon stops.
    Stopping,
    /// The scheduling task is alive.
    Alive,
}

/// The connection to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// From the variables `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID`.
    pub fn from_environment() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let socket = text("NOTIFY_SOCKET").and_then(|name| match Self::open(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!("cannot notify the service manager: {name}: {error}");
                None
            }
        });
        let for_us = text("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string());
        let watchdog = text("WATCHDOG_USEC")
            .filter(|_| for_us)
            .and_then(|microseconds| microseconds.parse().ok())
            .filter(|microseconds| *microseconds > 0)
            .map(Duration::from_micros);
        Self { socket, watchdog }
    }

    fn open(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        // If the manager does not read, the buffer is full. Then a message is dropped, and no
        // collection is delayed.
        socket.set_nonblocking(true)?;
        Ok((socket, address))
    }

    /// The interval of [`ServiceState::Alive`]: half of what the manager asks for.
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.and_then(|watchdog| watchdog.checked_div(2))
    }

    /// Sends a state, with a line for people.
    pub fn send(&self, state: ServiceState, status: &str) {
        let Some((socket, address)) = &self.socket else { return };
        let status = pattoo_base::text::one_line(status, 200);
        let message = match state {
            ServiceState::Ready => format!("READY=1\nSTATUS={status}"),
            ServiceState::Reloading => {
                format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS={status}", monotonic_micros())
            }
            ServiceState::Stopping => format!("STOPPING=1\nSTATUS={status}"),
            ServiceState::Alive => "WATCHDOG=1".to_owned(),
        };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::debug!("cannot notify the service manager of {state:?}: {error}");
        }
    }
}

/// `CLOCK_MONOTONIC`, by which systemd distinguishes a reload from the previous one.
fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).or_broken("the monotonic clock is never negative", 0);
    let nanos = u64::try_from(now.tv_nsec).or_broken("the monotonic clock is never negative", 0);
    seconds.saturating_mul(1_000_000).saturating_add(nanos.div_euclid(1000))
}
