//! The interfaces that a collector may import, and in words what each lets it do.

use super::{CAPABILITIES, Power};

/// An interface that a collector may import.
#[derive(Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name without its version: `pattoo:agent/http`.
    pub name: &'static str,
    /// The version that is served.
    pub version: &'static str,
    /// What it leads to outside the sandbox. None of time, randomness, settings, and what is there
    /// and empty.
    pub power: Option<&'static Power>,
    /// What a collector can do with it.
    pub does: &'static str,
    /// Its WIT, if it is of our own contract.
    pub wit: Option<&'static str>,
}

/// The version of our own contract.
pub(super) const OURS: &str = "0.1.0";
/// The version of WASI; what was made for any 0.2 is served.
const WASI: &str = "0.2";

/// All interfaces of all capabilities.
pub fn interfaces() -> impl Iterator<Item = &'static Interface> {
    CAPABILITIES.iter().flat_map(|capability| capability.interfaces)
}

/// The interfaces of our own contract, by their full names.
pub fn our_interfaces() -> impl Iterator<Item = String> {
    interfaces().filter(|interface| interface.wit.is_some()).map(|interface| format!("{}@{OURS}", interface.name))
}

/// The interfaces that are served in a version that is not released, by their full names.
pub fn draft_interfaces() -> impl Iterator<Item = String> {
    let drafts = interfaces().filter(|interface| interface.wit.is_none() && interface.version != WASI);
    drafts.map(|interface| format!("{}@{}", interface.name, interface.version))
}

impl Interface {
    /// An interface of our own contract, with its WIT.
    pub(super) const fn ours(
        name: &'static str,
        power: Option<&'static Power>,
        does: &'static str,
        wit: &'static str,
    ) -> Self {
        Self { name, version: OURS, power, does, wit: Some(wit) }
    }

    /// An interface of WASI 0.2, served in any release of it.
    pub(super) const fn wasi(name: &'static str, power: Option<&'static Power>, does: &'static str) -> Self {
        Self::draft(name, WASI, power, does)
    }

    /// An interface of another standard that is served in this version alone.
    pub(super) const fn draft(
        name: &'static str,
        version: &'static str,
        power: Option<&'static Power>,
        does: &'static str,
    ) -> Self {
        Self { name, version, power, does, wit: None }
    }

    /// The interface that an import names, if it is served in that version: of WASI 0.2 any
    /// release, of all others this very one.
    pub fn of(import: &str) -> Option<&'static Self> {
        let (name, version) = import.split_once('@')?;
        let served = interfaces().find(|interface| interface.name == name)?;
        let fits = version.strip_prefix(served.version).is_some_and(|rest| match served.version {
            // The patch version, and nothing that says it is not released.
            WASI => rest.strip_prefix('.').is_some_and(|patch| patch.parse::<u32>().is_ok()),
            _ => rest.is_empty(),
        });
        fits.then_some(served)
    }

    /// Whether an import is part of WASI.
    pub fn is_of_wasi(import: &str) -> bool {
        import.starts_with("wasi:")
    }

    /// The name under which it is in a linker, where `wasi` is the release of WASI 0.2 that the
    /// library has.
    #[cfg(test)]
    pub(crate) fn linked_name(&self, wasi: &str) -> String {
        let version = if self.version == WASI { wasi } else { self.version };
        format!("{}@{version}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::Interface;
    use crate::capability::http;

    #[test]
    fn only_the_version_that_is_served_is_served() {
        for (import, served) in [
            ("pattoo:agent/http@0.1.0", true),
            ("pattoo:agent/http@0.1.1", false),
            ("pattoo:agent/http@0.2.0", false),
            ("pattoo:agent/http", false),
            ("wasi:io/poll@0.2.0", true),
            ("wasi:io/poll@0.2.12", true),
            ("wasi:io/poll@0.2.0-rc-2023-12-05", false),
            ("wasi:io/poll@0.3.0", false),
            ("wasi:io/poll@0.20.0", false),
            ("wasi:io/poll@0.2", false),
            ("wasi:io/polls@0.2.0", false),
            ("wasi:http/incoming-handler@0.2.0", false),
            ("wasi:keyvalue/store@0.2.0", false),
        ] {
            assert_eq!(Interface::of(import).is_some(), served, "{import}");
        }
        let power = Interface::of("wasi:http/outgoing-handler@0.2.3").and_then(|found| found.power);
        assert_eq!(power, Some(&http::POWER));
    }
}
