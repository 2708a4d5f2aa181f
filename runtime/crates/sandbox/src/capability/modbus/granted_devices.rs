//! The devices that were granted, with their connections.

use pattoo_fetch::OwnEndpoints;
use pattoo_modbus::{Caller, Endpoint, EndpointAddress, Endpoints};

use super::{DeviceGrant, DeviceName};

/// The devices that a collector may read, each with the endpoint that serves it.
#[derive(Debug, Default)]
pub struct Devices {
    pub(super) granted: Vec<(DeviceGrant, Endpoint)>,
}

/// A grant of a device that is an endpoint of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the grant of `{name}` reaches pattoo-wasm itself or its pattoo server, {endpoint}, and has no `own: true`")]
pub struct OwnDevice {
    /// The name in the grant.
    pub name: DeviceName,
    /// Where it is.
    pub endpoint: EndpointAddress,
}

impl Devices {
    /// Gives `grants` their endpoints out of those that the process shares. Of two grants with one
    /// name the first counts.
    pub(super) fn new(grants: Vec<DeviceGrant>, endpoints: &Endpoints) -> Self {
        // However many devices behind one endpoint it is granted, it is one among those who share
        // it.
        let caller = Caller::new();
        let granted = grants
            .into_iter()
            .map(|grant| {
                let endpoint = endpoints.endpoint(&grant.endpoint, &grant.settings).used_by(caller);
                (grant, endpoint)
            })
            .collect();
        Self { granted }
    }

    /// Checks that no grant names an endpoint of ours by its address, unless it says `own: true`.
    /// What a name leads to is checked when it is connected to.
    ///
    /// # Errors
    ///
    /// The first grant that does.
    pub(super) fn check(grants: &[DeviceGrant], own: &OwnEndpoints) -> Result<(), OwnDevice> {
        let is_ours = |grant: &&DeviceGrant| {
            let Some(host) = grant.endpoint.host() else { return false };
            let is_ours = match host.ip() {
                Some(address) => own.has_address(address, host.port()),
                None => own.has_host(&host.host(), host.port()),
            };
            is_ours && !grant.settings.own
        };
        let refuse = |grant: &DeviceGrant| OwnDevice { name: grant.name.clone(), endpoint: grant.endpoint.clone() };
        grants.iter().find(is_ours).map_or(Ok(()), |grant| Err(refuse(grant)))
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.granted.iter().position(|(grant, _)| grant.name.as_str() == name)
    }
}
