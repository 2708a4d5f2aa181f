//! Log lines about the connections of an endpoint.
//!
//! Collectors see devices by name. Here an operator sees which address failed, and when it works
//! again, once for all collectors that use it.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use pattoo_base::{lock::lock, log_folding::FaultLog};

use crate::address::EndpointAddress;

/// What was logged about an endpoint. It outlives its connections.
#[derive(Debug, Default)]
pub(super) struct ConnectionLog {
    faults: Mutex<FaultLog>,
    /// Whether there was a fault whose end was not logged.
    is_open: AtomicBool,
}

impl ConnectionLog {
    /// No connection can be opened.
    pub(super) fn failed(&self, address: &EndpointAddress, why: &str) {
        self.is_open.store(true, Ordering::Relaxed);
        let line = lock(&self.faults).failed(Instant::now(), why);
        if let Some(line) = line {
            tracing::warn!("{address}: {line}");
        } else {
            tracing::debug!("{address}: {why}");
        }
    }

    /// The device replied.
    pub(super) fn works(&self, address: &EndpointAddress) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let mut faults = lock(&self.faults);
        let over = faults.works(Instant::now());
        self.is_open.store(faults.is_open(), Ordering::Relaxed);
        drop(faults);
        if let Some(over) = over {
            tracing::info!("{address}: connected again; over: {over}");
        }
    }
}
