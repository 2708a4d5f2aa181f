//! How long to wait for an endpoint, how much to ask of it at once, and how gently.

use std::time::Duration;

use super::{
    plan::Limits,
    table::{MAX_BITS, MAX_REGISTERS},
};

/// How an endpoint is treated.
///
/// Each caller brings its own. What is said of requests holds for the caller's own reads; what is said of connections holds
/// for all that share the endpoint, and there the gentlest of all callers' values is taken (see `Terms`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// How long resolving the name and connecting may take together. Default 2 s.
    pub connect_timeout: Duration,
    /// How long a reply may take, counted from the first byte of its request. Default 1 s: a full reply takes 0.3 s on a
    /// serial line of 9600 baud behind a gateway.
    pub request_timeout: Duration,
    /// The most registers that one request asks for: 1 to 125, the default. Some devices allow fewer. Values outside
    /// become the nearest of these.
    pub max_registers: u16,
    /// The most bits that one request asks for: 1 to 2000, the default.
    pub max_bits: u16,
    /// How many addresses in a row that nobody wants are read along to save a request; they are, only where they may be
    /// read. Default 0.
    pub gap: u16,
    /// How often a request is asked again that got no reply or a wrong one. Default 0. A noisy serial line wants 1 or 2.
    pub retries: u32,
    /// How often a request is asked again that was answered with exception 5 (acknowledge) or 6 (server device busy).
    /// Default 3. Other requests go on meanwhile.
    pub busy_retries: u32,
    /// How long after such an answer. Default 100 ms.
    pub busy_delay: Duration,
    /// After how many silences in a row (no reply, a lost connection, exception 11) a unit is set aside. Default 3; 0 is
    /// taken as 1.
    pub set_aside_after: u32,
    /// How long a unit stays set aside: reads of it fail at once, and others are not slowed. After that one request tries
    /// it. Default 10 s; 0 sets no unit aside.
    pub set_aside: Duration,
    /// For the connection: how many to this endpoint there may be at once; 1 to 16, values outside become the nearest of
    /// these. Default 1: many devices have a handful for all the world. A serial line is always one.
    pub connections: u16,
    /// For the connection: the pause between a reply and the next request. Default 0; on a serial line never less than
    /// its 3.5 characters.
    pub min_gap: Duration,
    /// For the connection: the pause between connecting and the first request. Default 0.
    pub pause_after_connect: Duration,
    /// For the connection: how long one that nobody uses is kept. Default 30 s.
    pub idle_close: Duration,
    /// How long reads fail at once, without a try, after connecting failed for the first time; twice as long after each
    /// further failure. Default 0.5 s.
    pub first_backoff: Duration,
    /// The longest that reads fail without a try. Default 10 s: an endpoint that has come back is found within that.
    pub max_backoff: Duration,
    /// Whether it may be at an address that [`Endpoints::refusing`](super::Endpoints::refusing) refuses. Default no. One that may and one
    /// that may not share no connection.
    pub own: bool,
}

/// The most connections to one endpoint.
pub const MAX_CONNECTIONS: u16 = 16;

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(1),
            max_registers: MAX_REGISTERS,
            max_bits: MAX_BITS,
            gap: 0,
            retries: 0,
            busy_retries: 3,
            busy_delay: Duration::from_millis(100),
            set_aside_after: 3,
            set_aside: Duration::from_secs(10),
            connections: 1,
            min_gap: Duration::ZERO,
            pause_after_connect: Duration::ZERO,
            idle_close: Duration::from_secs(30),
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
            own: false,
        }
    }
}

impl EndpointSettings {
    pub(super) fn limits(&self) -> Limits {
        Limits::new(self.max_registers, self.max_bits, self.gap)
    }

    /// How long to leave an endpoint alone after so many failed attempts in a row.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        self.first_backoff.saturating_mul(1_u32 << doublings).min(self.max_backoff)
    }
}

/// What holds for an endpoint's connections, whoever asks: of several callers' values the gentlest, so that what one
/// operator wrote to spare a device is not undone by another grant that says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) connections: u16,
    pub(super) min_gap: Duration,
    pub(super) pause_after_connect: Duration,
    pub(super) idle_close: Duration,
}

impl Terms {
    pub(super) fn of(settings: &EndpointSettings) -> Self {
        Self {
            connections: settings.connections.clamp(1, MAX_CONNECTIONS),
            min_gap: settings.min_gap,
            pause_after_connect: settings.pause_after_connect,
            idle_close: settings.idle_close,
        }
    }

    pub(super) fn gentlest(self, other: Self) -> Self {
        Self {
            connections: self.connections.min(other.connections),
            min_gap: self.min_gap.max(other.min_gap),
            pause_after_connect: self.pause_after_connect.max(other.pause_after_connect),
            idle_close: self.idle_close.min(other.idle_close),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_bound() {
        let settings = EndpointSettings::default();
        let backoffs: Vec<_> = [1, 2, 3, 5, 6, u32::MAX].map(|failures| settings.backoff(failures).as_millis()).into();
        assert_eq!(backoffs, [500, 1000, 2000, 8000, 10_000, 10_000]);
    }

    #[test]
    fn of_two_callers_terms_the_gentlest_hold_in_either_order() {
        let many = Terms::of(&EndpointSettings { connections: 40, ..EndpointSettings::default() });
        assert_eq!(many.connections, 16);
        let slow = Terms::of(&EndpointSettings { min_gap: Duration::from_millis(5), ..EndpointSettings::default() });
        assert_eq!(many.gentlest(slow), slow);
        assert_eq!(slow.gentlest(many), slow);
    }
}
