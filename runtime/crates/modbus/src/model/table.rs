//! The four tables of a Modbus device, and the exceptions it answers with.
//!
//! Numbers and names are those of the MODBUS Application Protocol Specification V1.1b3.

use std::fmt;

/// One of the four tables of a device (V1.1b3, section 4.3), each with its own addresses 0 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Bits that can be written too; read with function 1 (section 6.1).
    Coils = 1,
    /// Bits that can only be read; function 2 (section 6.2).
    DiscreteInputs = 2,
    /// 16-bit registers that can be written too; function 3 (section 6.3).
    HoldingRegisters = 3,
    /// 16-bit registers that can only be read; function 4 (section 6.4).
    InputRegisters = 4,
}

/// The most bits that one request may ask for: 0x7D0 (V1.1b3, sections 6.1 and 6.2).
pub const MAX_BITS: u16 = 2000;

/// The most registers that one request may ask for: 0x7D (V1.1b3, sections 6.3 and 6.4).
pub const MAX_REGISTERS: u16 = 125;

impl Table {
    /// All four, by function code.
    pub const ALL: [Self; 4] = [Self::Coils, Self::DiscreteInputs, Self::HoldingRegisters, Self::InputRegisters];

    /// The function code that reads this table: 1 to 4.
    pub const fn function(self) -> u8 {
        self as u8
    }

    /// The table that the function code reads; none for functions that are no plain reads.
    pub const fn from_function(function: u8) -> Option<Self> {
        match function {
            1 => Some(Self::Coils),
            2 => Some(Self::DiscreteInputs),
            3 => Some(Self::HoldingRegisters),
            4 => Some(Self::InputRegisters),
            _ => None,
        }
    }

    /// Whether the table holds bits; otherwise it holds registers.
    pub const fn is_bits(self) -> bool {
        matches!(self, Self::Coils | Self::DiscreteInputs)
    }

    /// The most addresses that one request may ask for: 2000 bits or 125 registers.
    pub const fn maximum(self) -> u16 {
        if self.is_bits() { MAX_BITS } else { MAX_REGISTERS }
    }

    /// The table's name in words: `coils`, `discrete inputs`, `holding registers`, `input registers`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coils => "coils",
            Self::DiscreteInputs => "discrete inputs",
            Self::HoldingRegisters => "holding registers",
            Self::InputRegisters => "input registers",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The code of an exception answer (V1.1b3, section 7). Devices send codes that the specification does not know, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExceptionCode(pub u8);

impl ExceptionCode {
    /// The device does not know the function: as a rule, it has no such table.
    pub const ILLEGAL_FUNCTION: Self = Self(0x01);
    /// The device does not have (all of) these addresses.
    pub const ILLEGAL_DATA_ADDRESS: Self = Self(0x02);
    /// The count does not suit the device.
    pub const ILLEGAL_DATA_VALUE: Self = Self(0x03);
    /// The device failed while it answered; some answer so for registers that they cannot read.
    pub const SERVER_DEVICE_FAILURE: Self = Self(0x04);
    /// The device has accepted the request and needs long for it.
    pub const ACKNOWLEDGE: Self = Self(0x05);
    /// The device is busy with something that takes long.
    pub const SERVER_DEVICE_BUSY: Self = Self(0x06);
    /// A gateway got no answer from the unit behind it.
    pub const GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND: Self = Self(0x0B);

    /// The specification's name for the code, in lower case; none for a code that it does not have.
    pub const fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            0x01 => "illegal function",
            0x02 => "illegal data address",
            0x03 => "illegal data value",
            0x04 => "server device failure",
            0x05 => "acknowledge",
            0x06 => "server device busy",
            0x08 => "memory parity error",
            0x0A => "gateway path unavailable",
            0x0B => "gateway target device failed to respond",
            _ => return None,
        })
    }

    /// Whether the exception can be the fault of some of the addresses asked for, so that asking for fewer may help:
    /// codes 2, 3 and 4.
    pub const fn blames_addresses(self) -> bool {
        matches!(self, Self::ILLEGAL_DATA_ADDRESS | Self::ILLEGAL_DATA_VALUE | Self::SERVER_DEVICE_FAILURE)
    }
}

impl fmt::Display for ExceptionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "exception {} ({name})", self.0),
            None => write!(f, "exception {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_found_by_its_function() {
        for table in Table::ALL {
            assert_eq!(Table::from_function(table.function()), Some(table));
        }
        assert_eq!(Table::from_function(0), None);
        assert_eq!(Table::from_function(5), None);
    }

    #[test]
    fn an_exception_is_shown_with_its_number_and_its_name() {
        assert_eq!(ExceptionCode(2).to_string(), "exception 2 (illegal data address)");
        assert_eq!(ExceptionCode(0x63).to_string(), "exception 99");
    }
}
