//! What a collection asked of the world, granted or not: for its operator's eyes, and part of no decision.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pattoo_fetch::{Denied, OriginGrant, Reach, Reason, Visit};
use pattoo_modbus::{Span, Table};

use super::modbus::{DeviceGrant, DeviceName};

/// How many different requests of one collection are kept, and how many bytes of them. A guest can make up any number of them.
const MOST: usize = 10_000;
const MOST_BYTES: usize = 4 << 20;

/// Keeps what the collections of an assignment ask for. Clones are the same record.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Mutex<Asked>>);

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Web origins, as they are written in a grant.
    pub web: BTreeMap<String, OriginAsked>,
    /// Modbus devices by their names.
    pub devices: BTreeMap<String, DeviceAsked>,
    /// What no grant should allow, in words: addresses of cloud metadata services, and our own endpoints.
    pub beyond: BTreeSet<String>,
    /// How many requests were too many to be kept.
    pub left_out: usize,
    kept: usize,
    bytes: usize,
}

/// What was asked of one origin.
#[derive(Debug, Clone, Default)]
pub struct OriginAsked {
    /// The methods with which each path was asked for.
    pub paths: BTreeMap<String, BTreeSet<String>>,
    /// The grant that answered for it, if one did.
    pub granted: Option<OriginGrant>,
    /// What of it was denied, by method and path.
    pub denied: BTreeSet<(String, String)>,
    /// Whether its name leads to an address that takes `private: true`.
    pub private: bool,
}

/// What was asked of one device.
#[derive(Debug, Clone, Default)]
pub struct DeviceAsked {
    /// Its grant, if it has one.
    pub granted: Option<DeviceGrant>,
    /// The spans read, in the order of units and addresses: unit, table, first and last address.
    pub spans: BTreeSet<(u8, Table, u16, u16)>,
    /// Those of them that were denied.
    pub denied: BTreeSet<(u8, Table, u16, u16)>,
}

impl Recorder {
    /// What was asked for until now.
    pub fn asked(&self) -> Asked {
        self.lock().clone()
    }

    /// A hop of a request that a grant allows.
    pub(super) fn visit(&self, visit: &Visit<'_>) {
        let mut asked = self.lock();
        if asked.has_room(visit.path.len()) {
            let origin = asked.web.entry(visit.origin.to_string()).or_default();
            origin.ask(visit.method.as_str(), visit.path);
            // A request may be allowed by several grants of an origin; the one with headers says more.
            if origin.granted.as_ref().is_none_or(|known| known.attached().is_empty()) {
                origin.granted = Some(visit.grant.clone());
            }
            origin.private |= visit.private;
        }
    }

    /// A hop of a request that no grant allows.
    pub(super) fn denied(&self, denied: &Denied) {
        let mut asked = self.lock();
        if !asked.has_room(denied.path.len()) {
            return;
        }
        let class_of_literal = denied.origin.address().map(pattoo_fetch::AddressClass::of);
        let class = match &denied.reason {
            Reason::Address { class, .. } => Some(*class),
            _ => class_of_literal,
        };
        let out_of_reach = class.is_some_and(|class| class.reach() >= Reach::Literal);
        if denied.reason == Reason::Own || out_of_reach {
            let kind = class.filter(|_| out_of_reach).map_or_else(String::new, |class| format!(" ({class} address)"));
            asked.beyond.insert(format!("{} {}{}{kind}", denied.method, denied.origin, denied.path));
            return;
        }
        let origin = asked.web.entry(denied.origin.to_string()).or_default();
        origin.ask(denied.method.as_str(), &denied.path);
        origin.denied.insert((denied.method.to_string(), denied.path.clone()));
        origin.private |= matches!(denied.reason, Reason::Address { .. });
    }

    /// A span of a device that was granted, or denied.
    pub(super) fn span(&self, name: &DeviceName, grant: Option<&DeviceGrant>, span: Span, denied: bool) {
        let mut asked = self.lock();
        if asked.has_room(0) {
            let device = asked.devices.entry(name.to_string()).or_default();
            let asked_for = (span.unit().get(), span.table(), span.address(), span.last());
            device.granted = device.granted.take().or_else(|| grant.cloned());
            device.spans.insert(asked_for);
            if denied {
                device.denied.insert(asked_for);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// Whether there is room for one more with so many bytes of text.
    fn has_room(&mut self, bytes: usize) -> bool {
        let bytes = self.bytes.saturating_add(bytes);
        let room = self.kept < MOST && bytes <= MOST_BYTES;
        if room {
            self.bytes = bytes;
        }
        let counted = if room { &mut self.kept } else { &mut self.left_out };
        *counted = counted.saturating_add(1);
        room
    }

    /// Whether anything of it was denied.
    pub fn was_denied(&self) -> bool {
        self.web.values().any(|origin| !origin.denied.is_empty())
            || self.devices.values().any(|device| !device.denied.is_empty())
    }
}

impl OriginAsked {
    fn ask(&mut self, method: &str, path: &str) {
        self.paths.entry(path.to_owned()).or_default().insert(method.to_owned());
    }
}
