//! Addresses as manuals write them: 40001 is the first holding register.
//!
//! The notation comes from the Modicon controllers that Modbus was made for: the first digit names the table (0 coils,
//! 1 discrete inputs, 3 input registers, 4 holding registers), the others count from 1, four or five of them. On the
//! wire, and everywhere else here, addresses count from 0 and the function names the table (V1.1b3, section 4.4). Since
//! 40001 is a wire address too, this notation is read only where it is announced, as in `manual:40001-40100`.

use thiserror::Error;

use super::table::Table;

/// Why a text is no address of that table as manuals write it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManualError {
    /// Not five or six digits.
    #[error("`{0}` is not an address as manuals write it: five or six digits are, such as 40001 or 400001")]
    Text(String),
    /// The first digit names another table, or none.
    #[error("`{text}` is no address of {table} in a manual's notation: those begin with {}", digit(*.table))]
    OtherTable {
        /// The address as it was written.
        text: String,
        /// The table that it is given for.
        table: Table,
    },
    /// It counts from 1, or counts too far.
    #[error("`{0}` does not exist: behind the first digit manuals count from 1, and to 65536 at most")]
    Count(String),
}

/// The digit that names a table in manuals.
const fn digit(table: Table) -> char {
    match table {
        Table::Coils => '0',
        Table::DiscreteInputs => '1',
        Table::InputRegisters => '3',
        Table::HoldingRegisters => '4',
    }
}

/// The address on the wire, counted from 0, of what a manual writes as `40001` or `400001`.
///
/// # Errors
/// [`ManualError`] when the text is not of that form, or of another table.
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
    fn the_first_digit_names_the_table_and_the_rest_counts_from_one() {
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
    fn each_mistake_is_named_for_what_it_is() {
        let holding = |text| manual_address(Table::HoldingRegisters, text).unwrap_err();
        for text in ["4001", "4000001", "", "4000x", "+40001", "40 01"] {
            assert_eq!(holding(text), ManualError::Text(text.into()));
        }
        let other = ManualError::OtherTable { text: "30001".into(), table: Table::HoldingRegisters };
        assert!(other.to_string().ends_with("holding registers in a manual's notation: those begin with 4"));
        assert_eq!(holding("30001"), other);
        for text in ["40000", "465537"] {
            assert_eq!(holding(text), ManualError::Count(text.into()));
        }
    }
}
