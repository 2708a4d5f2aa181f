//! What an operator grants of the field: named devices, their units, and what may be read of them.

use std::{fmt, str::FromStr};

use pattoo_base::invariant::Invariant as _;
use pattoo_modbus::{DeviceUrl, EndpointAddress, EndpointSettings, Readable, Span, Unit};

use super::denied::SpanRefusal;

/// The unit of a device whose grant names none.
pub const DEFAULT_UNIT: u8 = 1;
/// The longest name of a device, in bytes.
const MAX_NAME: usize = 128;

/// The name under which a collector knows a device: letters, digits, `.`, `-`, `_` and `:`. An
/// address is a fine name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceName(String);

/// Why a text is no name of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid device name `{0}`: expected 1 to {MAX_NAME} letters, digits, `.`, `-`, `_` or `:`")]
pub struct DeviceNameError(String);

impl FromStr for DeviceName {
    type Err = DeviceNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
        if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(DeviceNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl DeviceName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One device that a collector may read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceGrant {
    /// Its name towards the collector.
    pub name: DeviceName,
    /// Where it is.
    pub endpoint: EndpointAddress,
    /// The units that may be read, at least one, the default one first.
    units: Vec<u8>,
    /// What may be read of each of them.
    pub readable: Readable,
    /// How the endpoint is treated.
    pub settings: EndpointSettings,
}

impl DeviceGrant {
    /// A grant of everything that can be read from one unit: the one in the URL, else
    /// [`DEFAULT_UNIT`].
    pub fn new(name: DeviceName, url: &DeviceUrl) -> Self {
        Self {
            name,
            endpoint: url.endpoint().clone(),
            units: vec![url.unit().map_or(DEFAULT_UNIT, Unit::get)],
            readable: Readable::everything(),
            settings: EndpointSettings::default(),
        }
    }

    /// The same for other units, the first one being the default; an empty list changes nothing.
    #[must_use]
    pub fn units(mut self, mut units: Vec<u8>) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        units.retain(|unit| seen.insert(*unit));
        if !units.is_empty() {
            self.units = units;
        }
        self
    }

    /// The same, restricted to what is `readable`.
    #[must_use]
    pub fn readable(mut self, readable: Readable) -> Self {
        self.readable = readable;
        self
    }

    /// The units that may be read, the default one first.
    pub fn all_units(&self) -> &[u8] {
        &self.units
    }

    /// The unit that is read when a guest names none.
    pub fn default_unit(&self) -> u8 {
        self.units.first().copied().or_broken("a grant has a unit", DEFAULT_UNIT)
    }

    /// Whether `span` may be read; if not, what the grant would have to say.
    pub(super) fn check(&self, span: Span) -> Result<(), SpanRefusal> {
        let unit = span.unit().get();
        if !self.units.contains(&unit) {
            Err(SpanRefusal::of_unit(self, unit))
        } else if !self.readable.contains(&span) {
            Err(SpanRefusal::of_addresses(self, span))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use pattoo_modbus::{Readable, Span, Table};

    use super::{DeviceGrant, DeviceName};

    fn grant(url: &str) -> DeviceGrant {
        DeviceGrant::new("plc1".parse().unwrap(), &url.parse().unwrap())
    }

    fn holding(unit: u8, address: u16, count: u16) -> Span {
        Span::new(unit, Table::HoldingRegisters, address, count).unwrap()
    }

    #[test]
    fn an_address_is_a_fine_name_and_a_path_is_none() {
        for name in ["plc1", "192.0.2.10", "2001:db8::1", "PLC_1-a"] {
            assert!(name.parse::<DeviceName>().is_ok(), "{name}");
        }
        for name in ["", "a b", "../x", "a/b", "ä", "a\n", &"x".repeat(129)] {
            assert!(name.parse::<DeviceName>().is_err(), "{name}");
        }
    }

    #[test]
    fn only_the_units_that_were_named_are_read() {
        let one = grant("tcp://192.0.2.1?unit=7");
        assert!(one.check(holding(7, 0, 1)).is_ok());
        assert!(one.check(holding(1, 0, 1)).is_err());
        let several = grant("tcp://192.0.2.1").units(vec![2, 7, 2]);
        assert_eq!((several.all_units(), several.default_unit()), (&[2, 7][..], 2));
        assert!(several.check(holding(1, 0, 1)).is_err());
    }

    #[test]
    fn a_span_must_lie_wholly_within_what_is_readable() {
        let readable = Readable::of([(Table::HoldingRegisters, "0-99".parse().unwrap())]);
        let some = grant("tcp://192.0.2.1").readable(readable);
        assert!(some.check(holding(1, 0, 100)).is_ok());
        let refusal = some.check(holding(1, 99, 2)).err().unwrap();
        assert_eq!(refusal.line, "\"99-100\" in `holding:` under `plc1`");
        assert!(some.check(Span::new(1, Table::Coils, 0, 1).unwrap()).is_err());
    }
}
