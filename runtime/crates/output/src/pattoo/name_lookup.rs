//! The resolver of a server's name, which remembers the addresses for messages.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use pattoo_base::lock::lock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Resolves names like the system. Clones remember the same addresses.
#[derive(Debug, Clone, Default)]
pub(super) struct NameLookup(Arc<Mutex<Vec<SocketAddr>>>);

impl NameLookup {
    /// The addresses that were found last, for a message; empty if none were found.
    pub(super) fn describe(&self, port: u16) -> String {
        let mut addresses = lock(&self.0).clone();
        for address in &mut addresses {
            address.set_port(port);
        }
        // A name server may give them in another order each time.
        addresses.sort_unstable();
        addresses.dedup();
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        if addresses.is_empty() { String::new() } else { format!(" (addresses of the name: {})", addresses.join(", ")) }
    }
}

impl Resolve for NameLookup {
    fn resolve(&self, name: Name) -> Resolving {
        let last = Arc::clone(&self.0);
        Box::pin(async move {
            lock(&last).clear();
            // The port is that of the URL.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            lock(&last).clone_from(&found);
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
