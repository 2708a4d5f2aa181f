//! The endpoints that are ours: no guest talks to them, whatever its grants say.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use url::Url;

use super::{
    address_class::{AddressClass, readings},
    origin::Origin,
};

/// What this process listens on, and where it sends what was collected. A guest that reached the pattoo server could post datapoints as
/// another agent, since the server knows no authentication.
///
/// An endpoint on this machine is refused whatever local address leads to its port: what listens on `127.0.0.1` may listen on all others as
/// well, and neither the grant nor we can tell. An endpoint elsewhere is refused by its name, and by the addresses behind it where they
/// are known: another name that resolves to them is refused as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnEndpoints {
    /// Origins, refused by host and port; the scheme does not matter.
    pub origins: Vec<Origin>,
    /// Addresses that we listen on or post to. The unspecified address stands for every address of this machine.
    pub addresses: Vec<SocketAddr>,
}

/// How long the addresses behind the server's name are looked for: the caller has more to do.
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

    /// Several pattoo servers, and our own address.
    pub async fn of_all(servers: impl IntoIterator<Item = &Url>, status: Option<SocketAddr>) -> Self {
        let found = futures_util::future::join_all(servers.into_iter().map(Self::of_server)).await;
        let listening = Self { origins: Vec::new(), addresses: status.into_iter().collect() };
        found.into_iter().fold(listening, Self::and)
    }

    /// The same, and these others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.origins.extend(others.origins);
        self.addresses.extend(others.addresses);
        self
    }

    /// Whether this origin is ours by its name or literal address.
    pub(super) fn has_origin(&self, origin: &Origin) -> bool {
        self.origins.iter().any(|own| own.host() == origin.host() && own.port() == origin.port())
            || origin.address().is_some_and(|address| self.has_address(address, origin.port()))
            || (origin.is_localhost() && self.is_here(origin.port()))
    }

    /// Whether a host and port are ours by name or literal address, as [`has_address`](Self::has_address) has it for one that was looked up.
    pub fn has_host(&self, host: &str, port: u16) -> bool {
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("http://{host}:{port}").parse().is_ok_and(|origin: Origin| self.has_origin(&origin))
    }

    /// Whether a connection to this address and port would end at us.
    pub fn has_address(&self, address: IpAddr, port: u16) -> bool {
        let meant = readings(address);
        let same = |own: SocketAddr| own.port() == port && readings(own.ip()).iter().any(|own| meant.contains(own));
        self.all().any(same) || (self.is_here(port) && meant.iter().any(|address| is_of_this_machine(*address)))
    }

    /// Every address of ours that is known.
    fn all(&self) -> impl Iterator<Item = SocketAddr> {
        let literals = self.origins.iter().filter_map(|own| Some(SocketAddr::new(own.address()?, own.port())));
        self.addresses.iter().copied().chain(literals)
    }

    /// Whether something of ours is at this port of this machine.
    fn is_here(&self, port: u16) -> bool {
        self.all().any(|own| own.port() == port && readings(own.ip()).iter().any(|own| is_of_this_machine(*own)))
            || self.origins.iter().any(|own| own.port() == port && own.is_localhost())
    }
}

/// Whether an address is one of this machine's: only such an address can be bound. In doubt it is.
fn is_of_this_machine(address: IpAddr) -> bool {
    if AddressClass::of(address) == AddressClass::Loopback || address.is_unspecified() {
        return true;
    }
    match UdpSocket::bind((address, 0)) {
        Ok(_) if binds_anything() => leads_to_itself(address).unwrap_or(true),
        Ok(_) => true,
        // There is no IPv6 on this machine, for example.
        Err(error) => {
            let raw = error.raw_os_error();
            error.kind() != ErrorKind::AddrNotAvailable && raw != Some(libc::EAFNOSUPPORT)
        }
    }
}

/// Whether this machine binds addresses that are not its own (`net.ipv4.ip_nonlocal_bind`): one that no machine has (class E).
fn binds_anything() -> bool {
    UdpSocket::bind((Ipv4Addr::new(240, 0, 0, 1), 0)).is_ok()
}

/// Whether this machine would talk to an address from that very address. Nothing is sent.
fn leads_to_itself(address: IpAddr) -> io::Result<bool> {
    let anywhere: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((anywhere, 0))?;
    socket.connect((address, 9))?;
    Ok(socket.local_addr()?.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An address of this machine that is not loopback, if it has one. Nothing is sent.
    fn lan_address() -> Option<IpAddr> {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
        socket.connect(("192.0.2.1", 9)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
    }

    #[test]
    fn what_is_ours_on_this_machine_is_ours_at_every_local_address() {
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut local =
            ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"].map(at).to_vec();
        local.extend(lan_address());
        let own = |address: &str| OwnEndpoints { addresses: vec![address.parse().unwrap()], ..OwnEndpoints::default() };
        let named =
            OwnEndpoints { origins: vec!["http://localhost:20203".parse().unwrap()], ..OwnEndpoints::default() };
        let mut owns = vec![own("127.0.0.1:20203"), own("0.0.0.0:20203"), own("[::1]:20203"), own("[::]:20203"), named];
        owns.extend(lan_address().map(|address| own(&SocketAddr::new(address, 20203).to_string())));
        for own in owns {
            for address in &local {
                assert!(own.has_address(*address, 20203), "{own:?} {address}");
                assert!(!own.has_address(*address, 20204), "{own:?} {address}");
                assert!(own.has_host(&address.to_string(), 20203), "{own:?} {address}");
            }
            assert!(own.has_host("localhost", 20203) && own.has_host("LOCALHOST", 20203), "{own:?}");
            for elsewhere in ["192.0.2.9", "2001:db8::9", "::ffff:192.0.2.9"].map(at) {
                assert!(!own.has_address(elsewhere, 20203), "{own:?} {elsewhere}");
            }
        }
        // A server elsewhere is that address and no other; a server here at the same port is another one.
        let elsewhere = own("192.0.2.9:80");
        assert!(elsewhere.has_address(at("192.0.2.9"), 80) && elsewhere.has_address(at("::ffff:192.0.2.9"), 80));
        assert!(local.iter().all(|address| !elsewhere.has_address(*address, 80)));
    }

    #[tokio::test]
    async fn a_server_is_known_by_its_name_and_by_the_addresses_behind_it() {
        let own = OwnEndpoints::of_server(&"http://localhost:20201/pattoo".parse().unwrap()).await;
        assert_eq!(own.origins, ["http://localhost:20201".parse().unwrap()]);
        assert!(own.addresses.contains(&"127.0.0.1:20201".parse().unwrap()), "{own:?}");
        let literal = OwnEndpoints::of_server(&"http://[::1]:20201".parse().unwrap()).await;
        assert_eq!(literal.addresses, ["[::1]:20201".parse().unwrap()]);
    }
}
