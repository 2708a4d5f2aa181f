//! Reading of Modbus devices: functions 1 to 4 of the Modbus Application Protocol Specification V1.1b3. There is no
//! function that writes.
//!
//! A collector knows the *names* under which its operator granted devices, never where they are.
//!
//! Addresses are those of the wire, from 0: the register that a manual calls 40001 is address 0 of the holding registers,
//! 30386 is address 385 of the input registers. A read of at most 125 registers or 2 000 bits is one request, so that a value of
//! 32 or 64 bits never tears; a longer one is split there. [`decode`](crate::decode) turns registers into such values.
//!
//! ```
//! # use pattoo_guest::testing::Host;
//! use pattoo_guest::modbus::{self, Device, Span};
//!
//! # fn collect() -> pattoo_guest::Result {
//! // One read. With `?` a device that is down ends the collection.
//! let registers = Device::new("plc1").unit(7).holding(385, 2)?;
//! # assert_eq!(registers, [732, 727]);
//!
//! // Many reads, all devices at the same time; what fails costs only itself.
//! let spans = [Span::input("plc1", 0, 4).unit(7), Span::coils("plc2", 16, 8)];
//! for (span, result) in spans.iter().zip(modbus::read_many(&spans)) {
//!     match result {
//!         Ok(words) => pattoo_guest::info!("{span}: {words:?}"),
//!         Err(error) => pattoo_guest::warn!("{error}"),
//!     }
//! }
//! # Ok(())
//! # }
//! # let mut host = Host::new().modbus("plc1", |plc| plc.unit(7).holding(385, &[732, 727]).input(0, &[1, 2, 3, 4]));
//! # let collection = host.collect(collect);
//! # assert_eq!(collection.outcome, Ok(()));
//! # assert_eq!(collection.logs[0].message, "plc1, unit 7, 4 input registers from address 0: Registers([1, 2, 3, 4])");
//! # assert_eq!(collection.logs[1].message, "plc2, 8 coils from address 16: no device of that name is granted");
//! ```

mod error;

use core::fmt;

use serde::Deserialize;

pub use self::error::{Error, ErrorKind, Exception};
use crate::host;

/// The four tables of a device.
///
/// In settings they are written `coils`, `discrete`, `holding` and `input`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    /// Bits that can be written: function 1, Read Coils.
    Coils,
    /// Bits that can only be read: function 2, Read Discrete Inputs.
    Discrete,
    /// Registers of 16 bits that can be written: function 3, Read Holding Registers.
    Holding,
    /// Registers of 16 bits that can only be read: function 4, Read Input Registers.
    Input,
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Coils => "coils",
            Self::Discrete => "discrete inputs",
            Self::Holding => "holding registers",
            Self::Input => "input registers",
        })
    }
}

/// A device that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Letters, digits, `.`, `-`, `_` and `:`. Many operators use the address itself. Example: `plc1`.
    pub name: String,
    /// The units that may be read, the default one first.
    pub units: Vec<u8>,
}

/// The devices that were granted, in the order of the grant.
pub fn devices() -> Vec<Granted> {
    host::devices()
}

/// A device to read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    name: String,
    unit: Option<u8>,
}

impl Device {
    /// The device of that name in the grant, and the default unit of it.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), unit: None }
    }

    /// Another unit (server address) behind it, 0 to 255.
    #[must_use]
    pub fn unit(self, unit: u8) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Reads `count` coils from `address` on.
    ///
    /// # Errors
    /// See [`ErrorKind`]. The same holds for the three others.
    pub fn coils(&self, address: u16, count: u16) -> Result<Vec<bool>, Error> {
        let span = self.span(Table::Coils, address, count);
        host::read_coils(&span).map_err(|kind| Error { span, kind })
    }

    /// Reads `count` discrete inputs from `address` on.
    pub fn discrete(&self, address: u16, count: u16) -> Result<Vec<bool>, Error> {
        let span = self.span(Table::Discrete, address, count);
        host::read_discrete_inputs(&span).map_err(|kind| Error { span, kind })
    }

    /// Reads `count` holding registers from `address` on.
    pub fn holding(&self, address: u16, count: u16) -> Result<Vec<u16>, Error> {
        let span = self.span(Table::Holding, address, count);
        host::read_holding_registers(&span).map_err(|kind| Error { span, kind })
    }

    /// Reads `count` input registers from `address` on.
    pub fn input(&self, address: u16, count: u16) -> Result<Vec<u16>, Error> {
        let span = self.span(Table::Input, address, count);
        host::read_input_registers(&span).map_err(|kind| Error { span, kind })
    }

    fn span(&self, table: Table, address: u16, count: u16) -> Span {
        Span { device: self.name.clone(), unit: self.unit, table, address, count }
    }
}

/// One stretch of one table, for [`read_many`]. Displayed it reads `plc1, unit 7, 2 holding registers from address 385`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The name of a device in the grant.
    pub device: String,
    /// The unit (server address) behind it, 0 to 255; `None` is the default unit of the grant.
    pub unit: Option<u8>,
    /// The table.
    pub table: Table,
    /// The first address, from 0.
    pub address: u16,
    /// How many, 1 or more; `address` + `count` is at most 65 536.
    pub count: u16,
}

impl Span {
    /// Coils of a device's default unit.
    pub fn coils(device: impl Into<String>, address: u16, count: u16) -> Self {
        Self { device: device.into(), unit: None, table: Table::Coils, address, count }
    }

    /// Discrete inputs of a device's default unit.
    pub fn discrete(device: impl Into<String>, address: u16, count: u16) -> Self {
        Self { table: Table::Discrete, ..Self::coils(device, address, count) }
    }

    /// Holding registers of a device's default unit.
    pub fn holding(device: impl Into<String>, address: u16, count: u16) -> Self {
        Self { table: Table::Holding, ..Self::coils(device, address, count) }
    }

    /// Input registers of a device's default unit.
    pub fn input(device: impl Into<String>, address: u16, count: u16) -> Self {
        Self { table: Table::Input, ..Self::coils(device, address, count) }
    }

    /// The same stretch of another unit.
    #[must_use]
    pub fn unit(self, unit: u8) -> Self {
        Self { unit: Some(unit), ..self }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.device)?;
        if let Some(unit) = self.unit {
            write!(f, ", unit {unit}")?;
        }
        write!(f, ", {} {} from address {}", self.count, self.table, self.address)
    }
}

/// What was read of a [`Span`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// Of coils and discrete inputs.
    Bits(Vec<bool>),
    /// Of holding and input registers: 16 bits each, unsigned.
    Registers(Vec<u16>),
}

/// Reads many spans at once: all devices in parallel, each device's spans in the fewest requests that its limits allow.
///
/// There is one result for each span, in the same order. A dead device, or a register that does not exist, costs its own spans only.
pub fn read_many(spans: &[Span]) -> Vec<Result<Words, Error>> {
    let results = host::read_many(spans).into_iter();
    spans.iter().zip(results).map(|(span, result)| result.map_err(|kind| Error { span: span.clone(), kind })).collect()
}
