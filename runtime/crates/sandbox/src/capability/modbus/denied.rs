//! Devices and spans that are not granted: what a collector is told, and what would allow them.

use pattoo_modbus::Span;

use super::{DeviceGrant, DeviceName, grant_key};
use crate::capability::Denial;

/// The report of a device that is not granted, as it is `shown`; `name` is set if it can be the name
/// of a device.
pub(super) fn denial_of_device(shown: &str, name: Option<&DeviceName>) -> Denial {
    Denial {
        what: format!("the Modbus device `{shown}` is not granted"),
        flag: name.map(|name| format!("--modbus {name}=tcp://HOST:502")),
        line: name.map(|name| format!("modbus: {{ {name}: {{ url: \"tcp://HOST:502\" }} }}")),
    }
}

/// A read that the grant of its device does not allow.
pub(super) struct SpanRefusal {
    /// What was asked for.
    what: String,
    /// What to write in the grants file. (A flag grants all tables of one unit: what falls short of
    /// that is beyond flags.)
    pub(super) line: String,
}

impl SpanRefusal {
    /// The grant does not list this unit.
    pub(super) fn of_unit(grant: &DeviceGrant, unit: u8) -> Self {
        let units: Vec<String> = grant.all_units().iter().chain([&unit]).map(u8::to_string).collect();
        Self {
            what: format!("unit {unit} of `{}`", grant.name),
            line: format!("`units: [{}]` under `{}`", units.join(", "), grant.name),
        }
    }

    /// The grant does not list all addresses of this span.
    pub(super) fn of_addresses(grant: &DeviceGrant, span: Span) -> Self {
        let table = grant_key(span.table());
        let (first, last) = (span.address(), span.last());
        Self {
            what: format!("{span} of `{}`", grant.name),
            line: format!("\"{first}-{last}\" in `{table}:` under `{}`", grant.name),
        }
    }

    /// The report of it.
    pub(super) fn denial(self) -> Denial {
        Denial { what: format!("{} is not granted", self.what), flag: None, line: Some(self.line) }
    }
}
