//! Connecting to one of the addresses of a host, by the algorithm of RFC 8305 ("Happy Eyeballs").
//!
//! Addresses of both families are resolved at the same time and tried in turn, IPv6 first. An
//! attempt does not wait for the end of the one before: a dead address, or a name server that does
//! not answer for one family, delays a connection by a fraction of a second.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use dns_lookup::AddrInfoHints;
use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

use super::timeout::after;
use crate::address::HostPort;

/// How long addresses of IPv4 wait for those of IPv6 (section 3).
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// The time between the beginnings of two attempts (section 5).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V6,
    V4,
}

/// Connects to one of the addresses of a host.
///
/// # Errors
/// That of the last attempt, or of the resolver if there was none.
pub(super) async fn connect<T, C>(host: &HostPort, attempt: impl Fn(SocketAddr) -> C) -> io::Result<T>
where
    C: Future<Output = io::Result<T>>,
{
    let Some(address) = host.ip() else { return race(|family| lookup(host.clone(), family), attempt).await };
    if host.zone().is_none() {
        return attempt(SocketAddr::new(address, host.port())).await;
    }
    // The resolver finds the number of the interface.
    let Some(address) = lookup(host.clone(), Family::V6).await.unwrap_or_default().pop() else {
        let why = "this machine has no network interface of the name behind the `%` of the address";
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    };
    attempt(address).await
}

/// The addresses of a host in one family.
async fn lookup(host: HostPort, family: Family) -> io::Result<Vec<SocketAddr>> {
    let address = match family {
        Family::V6 => libc::AF_INET6,
        Family::V4 => libc::AF_INET,
    };
    let hints = AddrInfoHints { address, socktype: libc::SOCK_STREAM, ..AddrInfoHints::default() };
    let (name, port) = (host.host(), host.port());
    let resolve = move || dns_lookup::getaddrinfo(Some(&name), None, Some(hints))?.collect::<io::Result<Vec<_>>>();
    let found = tokio::task::spawn_blocking(resolve).await.map_err(io::Error::other)??;
    let addresses = found.into_iter().map(|info| {
        let mut address = info.sockaddr;
        address.set_port(port);
        address
    });
    Ok(addresses.collect())
}

/// The addresses that were not tried so far.
#[derive(Debug, Default)]
struct Untried {
    v6: VecDeque<SocketAddr>,
    v4: VecDeque<SocketAddr>,
    last: Option<Family>,
}

impl Untried {
    fn is_empty(&self) -> bool {
        self.v6.is_empty() && self.v4.is_empty()
    }

    fn add(&mut self, addresses: Vec<SocketAddr>) {
        for address in addresses {
            if address.is_ipv6() { self.v6.push_back(address) } else { self.v4.push_back(address) }
        }
    }

    /// The next address, of the other family than the last one if there is one.
    fn next(&mut self) -> Option<SocketAddr> {
        let (first, second) =
            if self.last == Some(Family::V6) { (&mut self.v4, &mut self.v6) } else { (&mut self.v6, &mut self.v4) };
        let address = first.pop_front().or_else(|| second.pop_front())?;
        self.last = Some(if address.is_ipv6() { Family::V6 } else { Family::V4 });
        Some(address)
    }
}

async fn race<T, L, C>(lookup: impl Fn(Family) -> L, attempt: impl Fn(SocketAddr) -> C) -> io::Result<T>
where
    L: Future<Output = io::Result<Vec<SocketAddr>>>,
    C: Future<Output = io::Result<T>>,
{
    let mut lookups: FuturesUnordered<_> =
        [Family::V6, Family::V4].map(|family| lookup(family).map(move |found| (family, found))).into_iter().collect();
    let mut attempts = FuturesUnordered::new();
    let mut untried = Untried::default();
    let mut has_tried = false;
    let mut next_at = Instant::now();
    let (mut no_address, mut no_connection) = (None, None);
    loop {
        if next_at <= Instant::now()
            && let Some(address) = untried.next()
        {
            attempts.push(attempt(address));
            has_tried = true;
            next_at = after(Instant::now(), ATTEMPT_DELAY);
        }
        if untried.is_empty() && attempts.is_empty() && lookups.is_empty() {
            let nothing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            return Err(no_connection.or(no_address).unwrap_or_else(nothing));
        }
        tokio::select! {
            Some((family, found)) = lookups.next(), if !lookups.is_empty() => {
                match found {
                    Ok(addresses) => untried.add(addresses),
                    Err(error) => no_address = Some(error),
                }
                if !has_tried {
                    let delay = if family == Family::V4 && !lookups.is_empty() { RESOLUTION_DELAY } else { Duration::ZERO };
                    next_at = after(Instant::now(), delay);
                }
            }
            Some(connected) = attempts.next(), if !attempts.is_empty() => match connected {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    no_connection = Some(error);
                    next_at = Instant::now();
                }
            },
            () = sleep_until(next_at), if !untried.is_empty() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{Ready, pending, ready},
        net::IpAddr,
        sync::Mutex,
    };

    use super::*;

    /// Long enough for a busy machine, and shorter than the timeout for connecting.
    const SOON: Duration = Duration::from_millis(1500);

    fn v6(last: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]), 502)
    }

    fn v4(last: u8) -> SocketAddr {
        SocketAddr::new(IpAddr::from([192, 0, 2, last]), 502)
    }

    fn found(family: Family, of_v6: &[SocketAddr], of_v4: &[SocketAddr]) -> Ready<io::Result<Vec<SocketAddr>>> {
        ready(Ok(if family == Family::V6 { of_v6.to_vec() } else { of_v4.to_vec() }))
    }

    /// The address that was connected to first, of those that are alive, and all that were tried.
    async fn raced(of_v6: &[SocketAddr], of_v4: &[SocketAddr], alive: &[SocketAddr]) -> (SocketAddr, Vec<SocketAddr>) {
        let tried = Mutex::new(Vec::new());
        let connected = race(
            |family| found(family, of_v6, of_v4),
            |address| {
                tried.lock().unwrap().push(address);
                async move { if alive.contains(&address) { Ok(address) } else { pending().await } }
            },
        );
        let connected = tokio::time::timeout(SOON, connected).await.expect("a dead address is waited for").unwrap();
        (connected, tried.into_inner().unwrap())
    }

    #[tokio::test]
    async fn dead_address_does_not_keep_the_next_one_from_being_tried() {
        assert_eq!(raced(&[v6(1)], &[v4(1)], &[v4(1)]).await, (v4(1), vec![v6(1), v4(1)]));
        assert_eq!(raced(&[], &[v4(1), v4(2)], &[v4(2)]).await, (v4(2), vec![v4(1), v4(2)]));
    }

    #[tokio::test]
    async fn families_alternate_and_the_first_address_of_version_6_is_first() {
        let (connected, tried) = raced(&[v6(1), v6(2)], &[v4(1), v4(2)], &[v4(2)]).await;
        assert_eq!((connected, tried), (v4(2), vec![v6(1), v4(1), v6(2), v4(2)]));
        // An address that connects at once is the only one that is tried.
        assert_eq!(raced(&[v6(1)], &[v4(1)], &[v6(1), v4(1)]).await, (v6(1), vec![v6(1)]));
    }

    #[tokio::test]
    async fn name_server_that_does_not_answer_for_one_family_delays_the_other_a_little() {
        for silent in [Family::V6, Family::V4] {
            let connected = race(
                async |family| if family == silent { pending().await } else { found(family, &[v6(1)], &[v4(1)]).await },
                async |address| Ok(address),
            );
            let expected = if silent == Family::V6 { v4(1) } else { v6(1) };
            let connected = tokio::time::timeout(SOON, connected).await.expect("the other family is waited for");
            assert_eq!(connected.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn address_that_fails_at_once_is_followed_by_the_next_at_once() {
        let started = Instant::now();
        let connected = race(
            async |family| found(family, &[v6(1), v6(2), v6(3)], &[v4(1)]).await,
            async |address| if address == v6(3) { Ok(address) } else { Err(io::ErrorKind::ConnectionRefused.into()) },
        );
        assert_eq!(connected.await.unwrap(), v6(3));
        assert!(started.elapsed() < ATTEMPT_DELAY, "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn error_is_that_of_the_connection_rather_than_of_the_name() {
        let no_address = async |family| match family {
            Family::V6 => Err(io::ErrorKind::NotFound.into()),
            Family::V4 => Ok(vec![v4(1)]),
        };
        let refuse = async |_| Err::<(), _>(io::ErrorKind::ConnectionRefused.into());
        assert_eq!(race(no_address, refuse).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let nothing = async |_| Ok(Vec::new());
        assert_eq!(race(nothing, refuse).await.unwrap_err().to_string(), "the name has no address");
    }
}
