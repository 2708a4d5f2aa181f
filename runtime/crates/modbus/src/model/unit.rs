//! The unit identifier: which device behind an endpoint a request is for.
//!
//! A serial line has units 1 to 247; 0 is its broadcast address and 248 to 255 are reserved (Modbus
//! over Serial Line V1.02, section 2.2). Over TCP a unit identifier is a byte like any other: the
//! Modbus Messaging on TCP/IP Implementation Guide V1.0b recommends 255 for a device with an address
//! of its own and accepts 0, and devices in the field have 248 to 254 as well. So every byte is a
//! unit, and [`EndpointAddress::check_unit`](crate::EndpointAddress::check_unit) says which of them
//! a line can have.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A Modbus unit identifier: 0 to 255; on a serial line 1 to 247.
///
/// ```
/// use pattoo_modbus::Unit;
///
/// assert_eq!(Unit::new(7).map(Unit::get), Ok(7));
/// assert_eq!("255".parse(), Unit::new(255));
/// assert_eq!(
///     Unit::new(256).unwrap_err().to_string(),
///     "unit 256 does not exist: units are 0 to 255, on a serial line 1 to 247",
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(u8);

impl Unit {
    /// The unit with this number.
    ///
    /// # Errors
    /// [`UnitError::TooLarge`] for everything above 255.
    pub fn new(number: u64) -> Result<Self, UnitError> {
        u8::try_from(number).map(Self).map_err(|_| UnitError::TooLarge(number))
    }

    /// The number, as it is sent: 0 to 255.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether a device on a serial line can have this number and answer a read: 1 to 247.
    pub(crate) const fn is_on_serial(self) -> bool {
        matches!(self.0, 1..=247)
    }
}

impl From<Unit> for u8 {
    fn from(unit: Unit) -> Self {
        unit.0
    }
}

impl From<u8> for Unit {
    fn from(number: u8) -> Self {
        Self(number)
    }
}

/// A decimal number: digits only, no sign.
impl FromStr for Unit {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(number) if digits => Self::new(number),
            _ => Err(UnitError::Text(text.to_owned())),
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a number or a text is not a unit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitError {
    /// It is not a byte.
    #[error("unit {0} does not exist: units are 0 to 255, on a serial line 1 to 247")]
    TooLarge(u64),
    /// No device on a serial line can have this number and answer a read.
    #[error(
        "unit {0} cannot be read on a serial line: units there are 1 to 247 (0 is the broadcast address, which no device answers; \
         248 to 255 are reserved)"
    )]
    NotOnSerial(u8),
    /// It is not a decimal number.
    #[error("`{0}` is not a unit: write a number from 0 to 255")]
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_unit_and_nothing_above() {
        for number in 0..=255 {
            assert_eq!(Unit::new(number).map(|unit| unit.get().into()), Ok(number));
        }
        for number in [256, u64::MAX] {
            assert_eq!(Unit::new(number), Err(UnitError::TooLarge(number)));
        }
    }

    #[test]
    fn text_of_a_unit_is_digits_only() {
        assert_eq!("007".parse::<Unit>(), Unit::new(7));
        for text in ["", "+7", "-1", "0x7", "seven", " 7"] {
            assert_eq!(text.parse::<Unit>(), Err(UnitError::Text(text.to_owned())));
        }
    }
}
