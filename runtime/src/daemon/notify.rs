//! Telling the service manager how we are: the protocol of systemd's `sd_notify(3)`.
//!
//! A datagram of `NAME=VALUE` lines to the socket that `NOTIFY_SOCKET` names. Without one nothing is said, and nothing here can
//! fail a daemon: a manager that does not listen is no reason to stop collecting.

use std::{
    env, io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

/// What there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All collectors are loaded and scheduled; after a reload as well.
    Ready,
    /// A reload has begun.
    Reloading,
    /// The end has begun.
    Stopping,
    /// The schedule is alive.
    Alive,
}

/// The way to the service manager.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says.
    pub fn from_environment() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let socket = text("NOTIFY_SOCKET").and_then(|name| match Self::open(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!("the service manager cannot be told anything: {name}: {error}");
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
        // Its buffer is full when the manager does not read: then it misses a message, and we miss no collection.
        socket.set_nonblocking(true)?;
        Ok((socket, address))
    }

    /// How often [`State::Alive`] is to be said: twice as often as the manager asks for.
    pub fn alive_every(&self) -> Option<Duration> {
        self.watchdog.and_then(|watchdog| watchdog.checked_div(2))
    }

    /// Says it, with a line for people.
    pub fn say(&self, state: State, status: &str) {
        let Some((socket, address)) = &self.socket else { return };
        let status = pattoo_base::text::one_line(status, 200);
        let message = match state {
            State::Ready => format!("READY=1\nSTATUS={status}"),
            State::Reloading => {
                format!("RELOADING=1\nMONOTONIC_USEC={}\nSTATUS={status}", monotonic_micros())
            }
            State::Stopping => format!("STOPPING=1\nSTATUS={status}"),
            State::Alive => "WATCHDOG=1".to_owned(),
        };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::debug!("the service manager did not hear {state:?}: {error}");
        }
    }
}

/// `CLOCK_MONOTONIC`, by which systemd tells a reload from the one before.
fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(now.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000).saturating_add(nanos.checked_div(1000).unwrap_or_default())
}
