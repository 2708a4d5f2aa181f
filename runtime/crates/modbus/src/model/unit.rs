//! The unit identifier: which device behind an endpoint a request is for.
//!
//! A serial line has units 1 to 247; 0 is its broadcast address and 248 to 255 are reserved (Modbus
//! over Serial Line V1.02, section 2.2). A device that speaks TCP itself is identified by its IP
//! address alone. Its unit identifier has no meaning: the Modbus Messaging on TCP/IP Implementation
//! Guide V1.0b asks for 255 in this case and accepts 0. So 0 to 247 and 255 are valid, and the
//! reserved numbers 248 to 254 are refused.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A Modbus unit identifier: 0 to 247, or 255.
///
/// ```
/// use pattoo_modbus::Unit;
///
/// assert_eq!(Unit::new(7).map(Unit::get), Ok(7));
/// assert_eq!("255".parse(), Unit::new(255));
/// assert_eq!(
///     Unit::new(250).unwrap_err().to_string(),
///     "unit 250 does not exist: units are 0 to 247, or 255 for a device that ignores the unit",
/// );
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(u8);

impl Unit {
    /// The unit with this number.
    ///
    /// # Errors
    /// [`UnitError::Reserved`] for the reserved numbers 248 to 254 and for everything above 255.
    pub fn new(number: u64) -> Result<Self, UnitError> {
        match u8::try_from(number) {
            Ok(unit @ (0..=247 | 255)) => Ok(Self(unit)),
            _ => Err(UnitError::Reserved(number)),
        }
    }

    /// The number, as it is sent: 0 to 247, or 255.
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

impl TryFrom<u8> for Unit {
    type Error = UnitError;

    fn try_from(number: u8) -> Result<Self, UnitError> {
        Self::new(number.into())
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
    /// No device can have this number.
    #[error("unit {0} does not exist: units are 0 to 247, or 255 for a device that ignores the unit")]
    Reserved(u64),
    /// No device on a serial line can have this number and answer a read.
    #[error(
        "unit {0} cannot be read on a serial line: units there are 1 to 247 (0 is the broadcast address, which no device answers)"
    )]
    NotOnSerial(u8),
    /// It is not a decimal number.
    #[error("`{0}` is not a unit: write a number from 0 to 247, or 255")]
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_numbers_and_numbers_above_255_are_no_units() {
        for number in (0..=247).chain([255]) {
            assert_eq!(Unit::new(number).map(|unit| unit.get().into()), Ok(number));
        }
        for number in (248..=254).chain([256, u64::MAX]) {
            assert_eq!(Unit::new(number), Err(UnitError::Reserved(number)));
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
