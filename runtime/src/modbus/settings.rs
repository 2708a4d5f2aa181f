//! How long to wait for an endpoint, and how much to ask of it at once.

use std::time::Duration;

use super::plan::Limits;
use super::table::{MAX_BITS, MAX_REGISTERS};

/// How an endpoint is treated. Each caller brings its own; they hold for its own reads.
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
    /// How long a connection that nobody uses is kept. Default 30 s. Many devices have a handful of connections for all
    /// the world.
    pub idle_close: Duration,
    /// How long reads fail at once, without a try, after connecting failed for the first time; twice as long after each
    /// further failure. Default 0.5 s.
    pub first_backoff: Duration,
    /// The longest that reads fail without a try. Default 10 s: an endpoint that has come back is found within that.
    pub max_backoff: Duration,
}

impl Default for EndpointSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(1),
            max_registers: MAX_REGISTERS,
            max_bits: MAX_BITS,
            gap: 0,
            idle_close: Duration::from_secs(30),
            first_backoff: Duration::from_millis(500),
            max_backoff: Duration::from_secs(10),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_bound() {
        let settings = EndpointSettings::default();
        let backoffs: Vec<_> = [1, 2, 3, 5, 6, u32::MAX].map(|failures| settings.backoff(failures).as_millis()).into();
        assert_eq!(backoffs, [500, 1000, 2000, 8000, 10_000, 10_000]);
    }
}
