//! The endpoints that are ours: no guest talks to them, whatever its grants say.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    time::Duration,
};

use reqwest::Url;

use super::address::{AddressClass, readings};
use super::origin::Origin;

/// The pattoo server, our status address and a `receive` of ours. A guest that reached the server could post datapoints
/// as another agent, since the server knows no authentication.
///
/// A host name is compared as a name. Where the addresses behind it are known, name them too: another name that resolves
/// to them is then refused as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnEndpoints {
    /// Origins, refused by host and port; the scheme does not matter.
    pub origins: Vec<Origin>,
    /// Addresses that we listen on or post to. The unspecified address stands for every address of this machine.
    pub addresses: Vec<SocketAddr>,
}

/// How long the addresses behind the server's name are looked for: whoever waits for them has more to do.
const LOOKUP: Duration = Duration::from_secs(5);

impl OwnEndpoints {
    /// The pattoo server at this URL, by its name and by the addresses behind it. A name that cannot be looked up now has no
    /// address here; posting will say so.
    pub async fn of_server(url: &Url) -> Self {
        let addresses = match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => {
                let host = host.trim_start_matches('[').trim_end_matches(']');
                let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((host, port))).await;
                found.ok().and_then(Result::ok).map(Iterator::collect).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        Self { origins: url.origin().ascii_serialization().parse().into_iter().collect(), addresses }
    }

    /// Whether this origin is ours by its name or literal address.
    pub(super) fn has_origin(&self, origin: &Origin) -> bool {
        self.origins.iter().any(|own| own.host() == origin.host() && own.port() == origin.port())
            || origin.address().is_some_and(|address| self.has_address(address, origin.port()))
    }

    /// Whether a connection to this address and port would end at us.
    pub(super) fn has_address(&self, address: IpAddr, port: u16) -> bool {
        let addresses = self.addresses.iter().copied();
        let literals = self.origins.iter().filter_map(|own| Some(SocketAddr::new(own.address()?, own.port())));
        let at_port = |own: &SocketAddr| own.port() == port;
        let meant = readings(address);
        let loopback = || meant.iter().any(|address| AddressClass::of(*address) == AddressClass::Loopback);
        addresses.chain(literals).filter(at_port).any(|own| {
            readings(own.ip()).iter().any(|own| meant.contains(own))
                || (own.ip().is_unspecified() && meant.iter().any(|address| is_of_this_machine(*address)))
        }) || self.origins.iter().any(|own| own.port() == port && own.is_localhost() && loopback())
    }
}

/// Whether an address is one of this machine's: only such an address can be bound.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_is_known_by_its_name_and_by_the_addresses_behind_it() {
        let own = OwnEndpoints::of_server(&"http://localhost:20201/pattoo".parse().unwrap()).await;
        assert_eq!(own.origins, ["http://localhost:20201".parse().unwrap()]);
        assert!(own.addresses.contains(&"127.0.0.1:20201".parse().unwrap()), "{own:?}");
        let literal = OwnEndpoints::of_server(&"http://[::1]:20201".parse().unwrap()).await;
        assert_eq!(literal.addresses, ["[::1]:20201".parse().unwrap()]);
    }
}
