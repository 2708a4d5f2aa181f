//! Settings of an endpoint: timeouts, request sizes, retries and pauses.

use std::time::Duration;

use pattoo_base::backoff::doubled;

use crate::{
    model::{MAX_BITS, MAX_REGISTERS},
    plan::RequestLimits,
    tls::TlsSettings,
    tolerance::Tolerance,
};

/// The settings of a caller for an endpoint.
///
/// Each caller has its own. Settings of requests apply to the reads of the caller. Settings of the
/// connection apply to all callers that share the endpoint, and the most careful value of all
/// callers is used: the fewest connections and the longest pauses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointSettings {
    /// Timeout for resolving the name and connecting. Default 2 s.
    pub connect_timeout: Duration,
    /// Timeout for a reply, counted from the first byte of its request. Default 1 s: a reply of
    /// maximum length takes 0.3 s on a serial line of 9600 baud behind a gateway.
    pub request_timeout: Duration,
    /// Maximum number of registers in one request: 1 to 125. Default 125; some devices allow fewer.
    /// Values outside are clamped.
    pub max_registers: u16,
    /// Maximum number of bits in one request: 1 to 2000. Default 2000. Values outside are clamped.
    pub max_bits: u16,
    /// Maximum number of consecutive unrequested addresses that a request may contain, so that one
    /// request reads the spans on both sides; only where they may be read. Default 0.
    pub gap: u16,
    /// How often a request is sent again after no reply or a wrong one. Default 0. A noisy serial
    /// line needs 1 or 2. With at least 1, a device that refuses a connection after a reply on the
    /// last one is tried again, at growing intervals, until `connect_timeout` is over.
    pub retries: u32,
    /// How often a request is sent again after exception 5 (acknowledge) or 6 (server device busy).
    /// Default 3. Other requests are sent meanwhile.
    pub busy_retries: u32,
    /// Delay before such a request is sent again. Default 100 ms.
    pub busy_delay: Duration,
    /// Number of requests in a row without a reply (timeout, lost connection, exception of a gateway) after
    /// which the circuit breaker of a unit opens. Default 3; 0 means 1.
    pub breaker_threshold: u32,
    /// How long the circuit breaker of a unit stays open: reads of the unit fail at once, and
    /// others are not delayed. After that, one request probes the unit. Default 10 s; 0 disables
    /// circuit breakers.
    pub breaker_duration: Duration,
    /// Connection: maximum number of connections to the endpoint, 1 to [`MAX_CONNECTIONS`]; values
    /// outside are clamped. Default 1: many devices accept only a few in total. A serial line
    /// always has one.
    pub connections: u16,
    /// Connection: pause between a reply and the next request. Default 0; on a serial line at least
    /// 3.5 characters.
    pub min_gap: Duration,
    /// Connection: pause between connecting and the first request. What the device sends meanwhile
    /// is discarded. Default 0.
    pub pause_after_connect: Duration,
    /// Connection: how long an idle connection stays open. Default 30 s.
    pub idle_close: Duration,
    /// How long reads fail without an attempt to connect after the first failed attempt; doubled
    /// after each further failure. Default 0.5 s.
    pub first_backoff: Duration,
    /// The maximum of this time. Default 10 s: an endpoint that recovers is used again within this
    /// time.
    pub max_backoff: Duration,
    /// Whether the endpoint may be at an address that
    /// [`Endpoints::deny_addresses`](crate::Endpoints::deny_addresses) denies. Default no.
    /// Endpoints with and without it share no connection.
    pub own: bool,
    /// In what the replies may differ from the specification. Default nothing.
    pub tolerance: Tolerance,
    /// How a device at a `tls` endpoint is verified. Endpoints with different settings share no
    /// connection.
    pub tls: TlsSettings,
}

/// The maximum number of connections to one endpoint.
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
            breaker_threshold: 3,
            breaker_duration: Duration::from_secs(10),
            connections: 1,
            min_gap: Duration::ZERO,
            pause_after_connect: Duration::ZERO,
            idle_close: Duration::from_secs(30),
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
            own: false,
            tolerance: Tolerance::NONE,
            tls: TlsSettings::default(),
        }
    }
}

impl EndpointSettings {
    pub(crate) fn limits(&self) -> RequestLimits {
        RequestLimits::new(self.max_registers, self.max_bits, self.gap)
    }

    /// The backoff after a number of failed attempts to connect in a row.
    pub(crate) fn backoff(&self, failures: u32) -> Duration {
        doubled(self.first_backoff, failures, self.max_backoff)
    }
}

/// The settings of an endpoint's connections: the most careful values of all callers, so that a
/// grant without a setting does not override the one that another grant has to protect the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionSettings {
    pub(crate) connections: u16,
    pub(crate) min_gap: Duration,
    pub(crate) pause_after_connect: Duration,
    pub(crate) idle_close: Duration,
}

impl ConnectionSettings {
    pub(crate) fn of(settings: &EndpointSettings) -> Self {
        Self {
            connections: settings.connections.clamp(1, MAX_CONNECTIONS),
            min_gap: settings.min_gap,
            pause_after_connect: settings.pause_after_connect,
            idle_close: settings.idle_close,
        }
    }

    pub(crate) fn combined_with(self, other: Self) -> Self {
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
    fn backoff_doubles_up_to_its_maximum() {
        let settings = EndpointSettings::default();
        let backoffs: Vec<_> = [1, 2, 3, 5, 6, u32::MAX].map(|failures| settings.backoff(failures).as_millis()).into();
        assert_eq!(backoffs, [500, 1000, 2000, 8000, 10_000, 10_000]);
    }

    #[test]
    fn most_careful_settings_of_two_callers_hold_in_either_order() {
        let many = ConnectionSettings::of(&EndpointSettings { connections: 40, ..EndpointSettings::default() });
        assert_eq!(many.connections, 16);
        let slow = ConnectionSettings::of(&EndpointSettings {
            min_gap: Duration::from_millis(5),
            ..EndpointSettings::default()
        });
        assert_eq!(many.combined_with(slow), slow);
        assert_eq!(slow.combined_with(many), slow);
    }
}
