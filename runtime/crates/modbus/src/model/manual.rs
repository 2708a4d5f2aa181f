//! The notation of addresses in manuals: 40001 is the first holding register.
//!
//! The notation comes from the Modicon controllers that Modbus was made for. The first digit is the
//! table (0 coils, 1 discrete inputs, 3 input registers, 4 holding registers), the other four or
//! five digits count from 1. On the wire, and everywhere else in this crate, addresses count from 0
//! and the function code is the table (V1.1b3, section 4.4). 40001 is also a wire address, so this
//! notation is accepted only where it is marked, as in `manual:40001-40100`.

use thiserror::Error;

use super::Table;

/// Why a text is not an address of a table in the notation of manuals.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManualError {
    /// Not five or six digits.
    #[error("`{0}` is not an address in the notation of manuals: write five or six digits, such as 40001 or 400001")]
    Text(String),
    /// The first digit is that of another table, or of none.
    #[error("`{text}` is not an address of {table} in the notation of manuals: those begin with {}", digit(*.table))]
    OtherTable {
        /// The address as it was written.
        text: String,
        /// The table for which it was written.
        table: Table,
    },
    /// The digits after the first are 0, or above 65536.
    #[error("`{0}` does not exist: after the first digit manuals count from 1 to 65536")]
    Count(String),
}

/// The first digit of the addresses of a table.
const fn digit(table: Table) -> char {
    match table {
        Table::Coils => '0',
        Table::DiscreteInputs => '1',
        Table::InputRegisters => '3',
        Table::HoldingRegisters => '4',
    }
}

/// Converts an address in the notation of manuals, `40001` or `400001`, to the address on the wire,
/// counted from 0.
///
/// # Errors
/// [`ManualError`] when the text has another form, or is an address of another table.
///
/// ```
/// # use pattoo_modbus::{Table, manual_address};
/// assert_eq!(manual_address(Table::HoldingRegisters, "40001"), Ok(0));
/// assert_eq!(manual_address(Table::InputRegisters, "300386"), Ok(385));
/// assert!(manual_address(Table::HoldingRegisters, "30386").is_err());
/// ```
pub fn manual_address(table: Table, text: &str) -> Result<u16, ManualError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !(5..=6).contains(&text.len()) {
        return Err(ManualError::Text(text.to_owned()));
    }
    let Some(count) = text.strip_prefix(digit(table)) else {
        return Err(ManualError::OtherTable { text: text.to_owned(), table });
    };
    let address = count.parse::<u32>().ok().and_then(|count| count.checked_sub(1));
    address.and_then(|address| u16::try_from(address).ok()).ok_or_else(|| ManualError::Count(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_digit_is_the_table_and_the_rest_counts_from_one() {
        let cases = [
            (Table::Coils, "00001", 0),
            (Table::Coils, "065536", 65535),
            (Table::DiscreteInputs, "10017", 16),
            (Table::InputRegisters, "30386", 385),
            (Table::HoldingRegisters, "49999", 9998),
            (Table::HoldingRegisters, "465536", 65535),
        ];
        for (table, text, address) in cases {
            assert_eq!(manual_address(table, text), Ok(address), "{text}");
        }
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        let holding = |text| manual_address(Table::HoldingRegisters, text).unwrap_err();
        for text in ["4001", "4000001", "", "4000x", "+40001", "40 01"] {
            assert_eq!(holding(text), ManualError::Text(text.into()));
        }
        let other = ManualError::OtherTable { text: "30001".into(), table: Table::HoldingRegisters };
        assert!(other.to_string().ends_with("holding registers in the notation of manuals: those begin with 4"));
        assert_eq!(holding("30001"), other);
        for text in ["40000", "465537"] {
            assert_eq!(holding(text), ManualError::Count(text.into()));
        }
    }
}
