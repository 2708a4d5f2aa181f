//! Which numbers name a unit behind an endpoint.
//!
//! A serial line has units 1 to 247; 0 is its broadcast address and 248 to 255 are reserved (Modbus over Serial Line
//! V1.02, section 2.2). A device that speaks TCP itself is told from others by its IP address alone: its unit
//! identifier carries no meaning, 255 is what the Modbus Messaging on TCP/IP Implementation Guide V1.0b asks for then,
//! and 0 is accepted too. So 0 to 247 and 255 can be asked for; 248 to 254 name nothing and are refused.

use thiserror::Error;

/// Checks that `number` can name a unit: 0 to 247, or 255.
///
/// # Errors
/// [`UnitError::Reserved`] for the reserved numbers 248 to 254 and for everything above 255.
///
/// ```
/// # use pattoo_modbus::check_unit;
/// assert_eq!(check_unit(7), Ok(7));
/// assert_eq!(check_unit(255), Ok(255));
/// assert!(check_unit(250).is_err());
/// ```
pub fn check_unit(number: u64) -> Result<u8, UnitError> {
    match u8::try_from(number) {
        Ok(unit @ (0..=247 | 255)) => Ok(unit),
        _ => Err(UnitError::Reserved(number)),
    }
}

/// A number that names no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnitError {
    /// It names none anywhere.
    #[error("unit {0} does not exist: units are 0 to 247, or 255 for a device that ignores the unit")]
    Reserved(u64),
    /// It names none on a serial line.
    #[error(
        "unit {0} cannot be read on a serial line: units there are 1 to 247 (0 is a broadcast, which nobody answers)"
    )]
    NotOnSerial(u8),
}
