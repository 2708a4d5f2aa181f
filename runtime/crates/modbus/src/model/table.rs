//! The four tables of a Modbus device, and the exception codes of its replies.
//!
//! Numbers and names are those of the MODBUS Application Protocol Specification V1.1b3.

use std::fmt;

/// One of the four tables of a device (V1.1b3, section 4.3), each with its own addresses 0 to
/// 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Table {
    /// Bits, readable and writable; read with function 1 (section 6.1).
    Coils = 1,
    /// Bits, readable only; read with function 2 (section 6.2).
    DiscreteInputs = 2,
    /// 16-bit registers, readable and writable; read with function 3 (section 6.3).
    HoldingRegisters = 3,
    /// 16-bit registers, readable only; read with function 4 (section 6.4).
    InputRegisters = 4,
}

/// The maximum number of bits in one request: 0x7D0 (V1.1b3, sections 6.1 and 6.2).
pub const MAX_BITS: u16 = 2000;

/// The maximum number of registers in one request: 0x7D (V1.1b3, sections 6.3 and 6.4).
pub const MAX_REGISTERS: u16 = 125;

impl Table {
    /// All four, by function code.
    pub const ALL: [Self; 4] = [Self::Coils, Self::DiscreteInputs, Self::HoldingRegisters, Self::InputRegisters];

    /// The function code that reads this table: 1 to 4.
    pub const fn function(self) -> u8 {
        self as u8
    }

    /// The table that the function code reads; `None` for all functions but the four plain reads.
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

    /// The maximum number of addresses in one request: 2000 bits or 125 registers.
    pub const fn maximum(self) -> u16 {
        if self.is_bits() { MAX_BITS } else { MAX_REGISTERS }
    }

    /// The name of the table: `coils`, `discrete inputs`, `holding registers`, `input registers`.
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

/// The code of an exception response (V1.1b3, section 7). Devices also send codes that are not in
/// the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExceptionCode(pub u8);

impl ExceptionCode {
    /// The device does not support the function: usually it does not have this table.
    pub const ILLEGAL_FUNCTION: Self = Self(0x01);
    /// The device does not have these addresses, or not all of them.
    pub const ILLEGAL_DATA_ADDRESS: Self = Self(0x02);
    /// The device does not accept the count.
    pub const ILLEGAL_DATA_VALUE: Self = Self(0x03);
    /// The device failed to process the request; some devices send it for registers that they
    /// cannot read.
    pub const SERVER_DEVICE_FAILURE: Self = Self(0x04);
    /// The device has accepted the request and needs a long time to process it.
    pub const ACKNOWLEDGE: Self = Self(0x05);
    /// The device is busy with a long operation.
    pub const SERVER_DEVICE_BUSY: Self = Self(0x06);
    /// A gateway has no path to the unit, or is overloaded.
    pub const GATEWAY_PATH_UNAVAILABLE: Self = Self(0x0A);
    /// A gateway got no reply from the unit behind it.
    pub const GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND: Self = Self(0x0B);

    /// The name of the code in the specification, in lower case; `None` for other codes.
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

    /// Whether a gateway says that it got no reply, or no valid one, from the unit behind it, so that
    /// the exception is not a reply of the unit: codes 10 and 11, and 0xE0 to 0xEF, which are not in the
    /// specification and which gateways with the libraries eModbus and esp32ModbusRTU send.
    pub const fn says_unit_is_silent(self) -> bool {
        matches!(
            self,
            Self::GATEWAY_PATH_UNAVAILABLE | Self::GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND | Self(0xE0..=0xEF)
        )
    }

    /// Whether some of the requested addresses may have caused the exception, so that a request for
    /// fewer addresses may succeed: codes 1 to 4. Some devices send code 1 for registers that they do
    /// not have.
    pub const fn blames_addresses(self) -> bool {
        matches!(
            self,
            Self::ILLEGAL_FUNCTION
                | Self::ILLEGAL_DATA_ADDRESS
                | Self::ILLEGAL_DATA_VALUE
                | Self::SERVER_DEVICE_FAILURE
        )
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
    fn table_is_found_by_its_function_code() {
        for table in Table::ALL {
            assert_eq!(Table::from_function(table.function()), Some(table));
        }
        assert_eq!(Table::from_function(0), None);
        assert_eq!(Table::from_function(5), None);
    }

    #[test]
    fn exception_says_either_that_the_unit_is_silent_or_that_addresses_are_bad() {
        let silent: Vec<_> = (0..=255).filter(|code| ExceptionCode(*code).says_unit_is_silent()).collect();
        assert_eq!(silent, [vec![10, 11], (0xE0..=0xEF).collect()].concat());
        let addresses: Vec<_> = (0..=255).filter(|code| ExceptionCode(*code).blames_addresses()).collect();
        assert_eq!(addresses, [1, 2, 3, 4]);
    }

    #[test]
    fn exception_is_displayed_with_its_number_and_name() {
        assert_eq!(ExceptionCode(2).to_string(), "exception 2 (illegal data address)");
        assert_eq!(ExceptionCode(0x63).to_string(), "exception 99");
    }
}
