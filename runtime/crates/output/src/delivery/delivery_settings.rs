//! How payloads are delivered.

use std::{sync::Arc, time::Duration};

use pattoo_base::tls::Trust;

use super::DeliveryStatus;
use crate::{NamedOutput, output_type::ClientOptions};

/// How payloads are delivered.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// The outputs that are configured. What waits for another one is delivered if its name in the spool says where it is.
    pub outputs: Vec<NamedOutput>,
    /// What is known of the outputs is written here.
    pub status: Arc<DeliveryStatus>,
    /// How many queues of an output are sent from at the same time.
    pub parallel: usize,
    /// How long sending a payload may take, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// Whose certificates are trusted.
    pub trust: Trust,
    /// The longest wait between two attempts, whatever an output asks for.
    pub longest_wait: Duration,
    /// How many strikes put a payload into quarantine.
    pub strikes: u32,
    /// How long a payload is refused before the one behind it is tried, where no other queue shows what the output accepts.
    pub lonely_after: Duration,
    /// How long a payload is answered as by a server that is busy, before that puts it into quarantine.
    pub busy_for: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            outputs: Vec::new(),
            status: Arc::default(),
            parallel: 32,
            timeout: Duration::from_secs(30),
            trust: Trust::default(),
            longest_wait: Duration::from_mins(5),
            strikes: 5,
            lonely_after: Duration::from_hours(1),
            busy_for: Duration::from_mins(10),
        }
    }
}

impl DeliverySettings {
    /// What clients have in common.
    pub(super) fn client_options(&self) -> ClientOptions {
        ClientOptions { timeout: self.timeout, trust: self.trust.clone() }
    }
}
