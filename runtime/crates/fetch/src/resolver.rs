//! From a host name to the addresses that may be connected to.
//!
//! The HTTP library asks the resolver here whenever it opens a connection and connects to what it answers, so there is no
//! gap between the address that was checked and the address that is used, whatever the name resolves to a moment later.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use futures_util::future::BoxFuture;
use hyper_util::client::legacy::connect::dns::Name;
use pattoo_base::lock::lock;
use thiserror::Error;
use tokio::sync::Semaphore;
use tower_service::Service;

use super::{
    address_class::{AddressClass, Reach},
    denied::Reason,
    origin::Origin,
    own_endpoints::OwnEndpoints,
};

/// The answer to a lookup, when it comes.
pub type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Something that resolves names. Ports in its answers are ignored.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// Looks a name up.
    fn lookup(&self, host: &str) -> Lookup;
}

/// The system's resolver: `getaddrinfo`, with what `/etc/hosts` and the rest of the system's configuration say.
///
/// A lookup cannot be cancelled, and a guest chooses when to drop it, so only a few may run at once; the others wait.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    free: Arc<Semaphore>,
}

/// Each is a thread of the runtime that waits for a name server.
const MOST_LOOKUPS: usize = 4;

impl Default for SystemResolver {
    fn default() -> Self {
        Self { free: Arc::new(Semaphore::new(MOST_LOOKUPS)) }
    }
}

impl Resolver for SystemResolver {
    fn lookup(&self, host: &str) -> Lookup {
        let host = host.to_owned();
        let free = Arc::clone(&self.free);
        Box::pin(async move {
            let permit = free.acquire_owned().await.map_err(io::Error::other)?;
            let look = move || {
                // Held by the thread, not by the future: a dropped fetch does not free a place that is still taken.
                let _permit = permit;
                Ok((host.as_str(), 0).to_socket_addrs()?.collect())
            };
            tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?
        })
    }
}

/// What may be connected to on behalf of one origin.
#[derive(Debug, Clone)]
pub(super) struct Reachable {
    pub(super) origin: Origin,
    pub(super) private: bool,
    pub(super) own: Arc<OwnEndpoints>,
}

impl Reachable {
    /// Whether a connection to this address is within the grant.
    pub(super) fn check(&self, address: IpAddr) -> Result<(), Reason> {
        if self.own.has_address(address, self.origin.port()) {
            return Err(Reason::Own);
        }
        let class = AddressClass::of(address);
        let literal = self.origin.address() == Some(address);
        let localhost = self.origin.is_localhost() && class == AddressClass::Loopback;
        let granted = match class.reach() {
            Reach::Granted => true,
            Reach::Private => literal || localhost || self.private,
            Reach::Literal => literal,
            Reach::Never => false,
        };
        if granted { Ok(()) } else { Err(Reason::Address { address, class }) }
    }
}

/// Why no address of a name may be connected to; it comes back through the HTTP library's error.
#[derive(Debug, Error)]
#[error("refused")]
pub(super) struct Refused(pub(super) Reason);

/// The resolver of one origin's connections: a lookup, then the check of each address.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) reachable: Arc<Reachable>,
    pub(super) resolved: Resolved,
}

/// The addresses that the name of an origin had last, of those that may be connected to. For the operator: a guest does not
/// learn them.
#[derive(Debug, Clone, Default)]
pub(super) struct Resolved(Arc<Mutex<Vec<SocketAddr>>>);

impl Resolved {
    /// In ascending order, however a name server mixes them.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        lock(&self.0).clone()
    }

    fn set(&self, mut addresses: Vec<SocketAddr>) {
        addresses.sort_unstable();
        *lock(&self.0) = addresses;
    }
}

/// Addresses of one name that are tried; no honest name has more.
const MOST_ADDRESSES: usize = 16;

impl Service<Name> for Checked {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let lookup = self.resolver.lookup(name.as_str());
        let (reachable, resolved) = (Arc::clone(&self.reachable), self.resolved.clone());
        Box::pin(async move {
            resolved.set(Vec::new());
            let mut fit = Vec::new();
            let mut refused = None;
            for found in lookup.await?.into_iter().take(MOST_ADDRESSES) {
                match reachable.check(found.ip()) {
                    Ok(()) => {
                        let mut to = found;
                        to.set_port(reachable.origin.port());
                        fit.push(to);
                    }
                    Err(reason) => {
                        tracing::debug!(origin = %reachable.origin, address = %found.ip(), "refused to connect: {reason}");
                        refused = Some(reason);
                    }
                }
            }
            resolved.set(fit.clone());
            match refused {
                Some(reason) if fit.is_empty() => Err(Refused(reason).into()),
                _ if fit.is_empty() => Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()),
                _ => Ok(fit.into_iter()),
            }
        })
    }
}
