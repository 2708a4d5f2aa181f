//! The YAML format of simulated devices.
//!
//! It parses text into a [`Simulation`] that can be bound, or returns an error with the place in
//! the text and what was expected there. Unknown keys are errors.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use pattoo_modbus::Unit as UnitNumber;
use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};
use thiserror::Error;

use super::{
    device::{DeviceLimits, Unit},
    fault::{Fault, FaultRule},
    value::{Bit, BitChange, Change, Register, Word},
};

/// Devices to simulate, as a file describes them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Simulation {
    pub(super) devices: Vec<Device>,
}

/// Why a file cannot be simulated.
#[derive(Debug, Error)]
pub enum SimulationError {
    /// The text is not YAML, or not in the format. The message names the place, and what is
    /// expected there.
    #[error("{0}")]
    Format(#[from] serde_yaml::Error),
    /// `devices:` is an empty list.
    #[error("`devices` lists no device")]
    NoDevices,
}

impl Simulation {
    /// Reads the format that the module's documentation describes.
    ///
    /// # Errors
    /// [`SimulationError::Format`] with path, line and column of what is wrong.
    pub fn from_yaml(text: &str) -> Result<Self, SimulationError> {
        let simulation: Self = serde_yaml::from_str(text)?;
        if simulation.devices.is_empty() {
            return Err(SimulationError::NoDevices);
        }
        Ok(simulation)
    }
}

/// One device: what is found at one address.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "DeviceEntry")]
pub(super) struct Device {
    /// Its name in messages.
    pub(super) name: Option<String>,
    pub(super) address: DeviceAddress,
    pub(super) limits: DeviceLimits,
    pub(super) faults: Vec<FaultRule>,
    pub(super) units: BTreeMap<u8, Unit>,
}

/// The address or line of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DeviceAddress {
    Tcp(SocketAddr),
    RtuOverTcp(SocketAddr),
    /// A pseudo-terminal, with a link to it or without.
    Pty(Option<PathBuf>),
}

/// A device as it is written in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceEntry {
    name: Option<String>,
    #[serde(default, deserialize_with = "listen")]
    listen: Option<DeviceAddress>,
    #[serde(default, deserialize_with = "pty")]
    pty: Option<DeviceAddress>,
    #[serde(default)]
    limits: DeviceLimits,
    #[serde(default)]
    faults: Vec<FaultRule>,
    #[serde(deserialize_with = "units")]
    units: BTreeMap<u8, Unit>,
}

impl TryFrom<DeviceEntry> for Device {
    type Error = String;

    fn try_from(entry: DeviceEntry) -> Result<Self, Self::Error> {
        let DeviceEntry { name, listen, pty, limits, faults, units } = entry;
        let wrong = |what: &str| match &name {
            Some(name) => format!("{name}: {what}"),
            None => what.to_owned(),
        };
        let ((Some(address), None) | (None, Some(address))) = (listen, pty) else {
            return Err(wrong("a device has either `listen` or `pty`"));
        };
        for rule in &faults {
            match (rule.fault, &address) {
                (Fault::WrongTransaction, DeviceAddress::RtuOverTcp(_) | DeviceAddress::Pty(_)) => {
                    return Err(wrong("RTU has no transactions, so `wrong-transaction` is not possible"));
                }
                (Fault::WrongChecksum, DeviceAddress::Tcp(_)) => {
                    return Err(wrong("Modbus TCP has no checksum, so `wrong-checksum` is not possible"));
                }
                (Fault::Drop | Fault::Close, DeviceAddress::Pty(_)) => {
                    return Err(wrong("a serial line has no connection to `drop` or `close`: use `silence`"));
                }
                _ => {}
            }
        }
        Ok(Self { name, address, limits, faults, units })
    }
}

/// An address with a port, or only a port on loopback.
fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeviceAddress>, D::Error> {
    struct Listen;
    impl Visitor<'_> for Listen {
        type Value = Option<DeviceAddress>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(
                "an IP address with a port such as `127.0.0.1:1502`, `rtu+tcp://127.0.0.1:1503`, or a port alone",
            )
        }
        fn visit_u64<E: de::Error>(self, port: u64) -> Result<Self::Value, E> {
            match u16::try_from(port) {
                Ok(port) => Ok(Some(DeviceAddress::Tcp((Ipv4Addr::LOCALHOST, port).into()))),
                Err(_) => Err(E::invalid_value(Unexpected::Unsigned(port), &self)),
            }
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let address = match text.strip_prefix("rtu+tcp://") {
                Some(address) => address.parse().map(DeviceAddress::RtuOverTcp),
                None => text.strip_prefix("tcp://").unwrap_or(text).parse().map(DeviceAddress::Tcp),
            };
            address.map(Some).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_any(Listen)
}

/// The path of a link to the pseudo-terminal, or `true`.
fn pty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DeviceAddress>, D::Error> {
    struct Line;
    impl Visitor<'_> for Line {
        type Value = Option<DeviceAddress>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the path of a link to create, or `true` for a line without one")
        }
        fn visit_bool<E: de::Error>(self, wanted: bool) -> Result<Self::Value, E> {
            if wanted {
                Ok(Some(DeviceAddress::Pty(None)))
            } else {
                Err(E::invalid_value(Unexpected::Bool(wanted), &self))
            }
        }
        fn visit_str<E: de::Error>(self, path: &str) -> Result<Self::Value, E> {
            Ok(Some(DeviceAddress::Pty(Some(path.into()))))
        }
    }
    deserializer.deserialize_any(Line)
}

fn units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u8, Unit>, D::Error> {
    struct Units;
    impl<'de> Visitor<'de> for Units {
        type Value = BTreeMap<u8, Unit>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("units by their number, such as `1: { holding: { 0: 732 } }`")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut units = BTreeMap::new();
            while let Some(number) = map.next_key::<u64>()? {
                let number = UnitNumber::new(number).map_err(de::Error::custom)?.get();
                if units.insert(number, map.next_value()?).is_some() {
                    return Err(de::Error::custom(format_args!("unit {number} is given twice")));
                }
            }
            Ok(units)
        }
    }
    deserializer.deserialize_map(Units)
}

/// The values of one table by address, one value for each address.
pub(super) fn table<'de, D, T>(deserializer: D) -> Result<BTreeMap<u16, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct TableVisitor<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
        type Value = BTreeMap<u16, T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("values by address, such as `0: 732`")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut cells = BTreeMap::new();
            while let Some(first) = map.next_key::<u64>()? {
                let OneOrMore(values) = map.next_value()?;
                for (value, address) in values.into_iter().zip(first..) {
                    let address = u16::try_from(address).map_err(|_| {
                        de::Error::custom(format_args!("address {address} does not exist: addresses are 0 to 65535"))
                    })?;
                    if cells.insert(address, value).is_some() {
                        return Err(de::Error::custom(format_args!("address {address} is given twice")));
                    }
                }
            }
            Ok(cells)
        }
    }
    deserializer.deserialize_map(TableVisitor(PhantomData))
}

/// A list of values, or a single value.
struct OneOrMore<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        /// Passes anything but a list to the format of the value, so that errors name the right
        /// alternatives.
        macro_rules! one {
            ($($method:ident($kind:ty),)*) => {$(
                fn $method<E: de::Error>(self, value: $kind) -> Result<Self::Value, E> {
                    T::deserialize(de::IntoDeserializer::into_deserializer(value)).map(|value| OneOrMore(vec![value]))
                }
            )*};
        }
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = OneOrMore<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(OneOrMore(values))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|value| OneOrMore(vec![value]))
            }
            one!(visit_bool(bool), visit_i64(i64), visit_u64(u64), visit_f64(f64), visit_str(&str),);
        }
        deserializer.deserialize_any(List(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Register {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cell;
        impl<'de> Visitor<'de> for Cell {
            type Value = Register;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a register's value, -32768 to 65535, or one of `ramp`, `counter`, `noise`")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Register, E> {
                Word::deserialize(de::IntoDeserializer::into_deserializer(value)).map(Register::Constant)
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Register, E> {
                self.visit_i64(i64::try_from(value).unwrap_or(i64::MAX))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Register, A::Error> {
                Change::deserialize(MapAccessDeserializer::new(map)).map(Register::Changing)
            }
        }
        deserializer.deserialize_any(Cell)
    }
}

impl<'de> Deserialize<'de> for Bit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Cell;
        impl<'de> Visitor<'de> for Cell {
            type Value = Bit;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or `blink`")
            }
            fn visit_bool<E: de::Error>(self, on: bool) -> Result<Bit, E> {
                Ok(Bit::Constant(on))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Bit, A::Error> {
                BitChange::deserialize(MapAccessDeserializer::new(map)).map(Bit::Changing)
            }
        }
        deserializer.deserialize_any(Cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{FAULTS_SAMPLE, SAMPLE};

    fn error(text: &str) -> String {
        Simulation::from_yaml(text).unwrap_err().to_string()
    }

    #[test]
    fn samples_are_valid_and_on_loopback() {
        for sample in [SAMPLE, FAULTS_SAMPLE] {
            let sample = Simulation::from_yaml(sample).unwrap();
            assert!(sample.devices.iter().all(|device| match &device.address {
                DeviceAddress::Tcp(address) | DeviceAddress::RtuOverTcp(address) => address.ip().is_loopback(),
                DeviceAddress::Pty(_) => true,
            }));
        }
    }

    #[test]
    fn single_port_is_on_loopback_and_an_address_is_used_as_written() {
        let listen = |text: &str| {
            let text = format!("devices: [{{ listen: {text}, units: {{}} }}]");
            Simulation::from_yaml(&text).unwrap().devices[0].address.clone()
        };
        let address = |text: &str| text.parse().unwrap();
        assert_eq!(listen("1502"), DeviceAddress::Tcp(address("127.0.0.1:1502")));
        assert_eq!(listen("0.0.0.0:502"), DeviceAddress::Tcp(address("0.0.0.0:502")));
        assert_eq!(listen("'[::1]:0'"), DeviceAddress::Tcp(address("[::1]:0")));
        assert_eq!(listen("'tcp://[::1]:0'"), DeviceAddress::Tcp(address("[::1]:0")));
        assert_eq!(listen("rtu+tcp://127.0.0.1:7"), DeviceAddress::RtuOverTcp(address("127.0.0.1:7")));
    }

    #[test]
    fn each_error_names_its_place_and_what_is_expected() {
        let unit = |text: &str| error(&format!("devices:\n- listen: 1502\n  units:\n    1:\n      {text}\n"));
        let cases = [
            (error("devices: []"), vec!["`devices` lists no device"]),
            (error("device: []"), vec!["unknown field `device`", "`devices`"]),
            (error("devices: [{listen: 1, unit: {}}]"), vec!["devices[0]", "unknown field `unit`", "`units`"]),
            (error("devices: [{listen: plc:1, units: {}}]"), vec!["devices[0].listen", "plc:1", "a port alone"]),
            (error("devices: [{units: {}}]"), vec!["devices: a device has either `listen` or `pty`", "line 1"]),
            (error("devices: [{name: plc, listen: 1, pty: true, units: {}}]"), vec!["plc: a device has either"]),
            (error("devices: [{pty: false, units: {}}]"), vec!["devices[0].pty", "the path of a link"]),
            (
                error("devices: [{pty: true, units: {}, faults: [{fault: drop}]}]"),
                vec!["a serial line has no connection"],
            ),
            (error("devices: [{listen: 1, units: {}, faults: [{fault: wrong-checksum}]}]"), vec!["no checksum"]),
            (error("devices: [{pty: true, units: {}, faults: [{fault: wrong-transaction}]}]"), vec!["no transactions"]),
            (
                error("devices: [{listen: 1, units: {}, faults: [{fault: dorp}]}]"),
                vec!["devices[0].faults[0].fault", "dorp"],
            ),
            (
                error("devices: [{listen: 1, units: {}, limits: {exception: 200}}]"),
                vec!["devices[0].limits", "1 to 127"],
            ),
            (error("devices: [{listen: 70000, units: {}}]"), vec!["devices[0].listen", "70000"]),
            (error("devices: [{listen: 1, units: {256: {}}}]"), vec!["unit 256 does not exist"]),
            (error("devices: [{listen: 1, units: {1: {}, 1: {}}}]"), vec!["unit 1 is given twice"]),
            (unit("holdings: {}"), vec!["line 5", "unknown field `holdings`", "`holding`"]),
            (unit("holding: {0: 65536}"), vec!["holding", "65536", "-32768 to 65535", "line 5"]),
            (unit("holding: {0: 1.5}"), vec!["1.5", "a register's value", "line 5"]),
            (unit("holding: {0: [1, 2], 1: 3}"), vec!["address 1 is given twice", "line 5"]),
            (unit("holding: {65535: [1, 2]}"), vec!["address 65536 does not exist"]),
            (unit("holding: {0: {rampe: {}}}"), vec!["unknown variant `rampe`", "`ramp`, `counter`, `noise`"]),
            (unit("holding: {0: {ramp: {from: 0, to: 1}}}"), vec!["missing field `period`"]),
            (unit("holding: {0: {ramp: {from: 0, to: 1, period: 0s}}}"), vec!["0s", "a duration above 0"]),
            (unit("holding: {0: {counter: {per_second: -1}}}"), vec!["a rate of 0 or more"]),
            (unit("holding: {0: {noise: {mean: 1, spread: 1}, ramp: {}}}"), vec!["line 5"]),
            (unit("coils: {0: 1}"), vec!["integer `1`", "`true`, `false` or `blink`"]),
            (unit("coils: {0: {blink: {}}}"), vec!["missing field `period`"]),
        ];
        for (message, parts) in cases {
            for part in parts {
                assert!(message.contains(part), "{part:?} is not in {message:?}");
            }
        }
    }
}
