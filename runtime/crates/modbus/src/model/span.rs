//! Spans, which say what to read, and the values that were read.

use std::fmt;

use thiserror::Error;

use super::{Table, Unit};

/// A range of addresses in one table of one unit: at least one address, the last one at most 65535.
///
/// Addresses are those on the wire, counted from 0: register 40001 in the notation of manuals is
/// address 0 of `HoldingRegisters` (see [`manual_address`](crate::manual_address)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    unit: Unit,
    table: Table,
    address: u16,
    count: u16,
}

impl Span {
    /// A span of `count` addresses, beginning at `address`.
    ///
    /// # Errors
    /// [`SpanError`] when the span is empty, and when it goes beyond 65535.
    pub fn new(unit: u8, table: Table, address: u16, count: u16) -> Result<Self, SpanError> {
        Self::of_unit(Unit::from(unit), table, address, count)
    }

    /// The same for a unit that was checked before.
    pub(crate) fn of_unit(unit: Unit, table: Table, address: u16, count: u16) -> Result<Self, SpanError> {
        if count == 0 {
            return Err(SpanError::Empty);
        }
        if address.checked_add(count.saturating_sub(1)).is_none() {
            return Err(SpanError::PastTheEnd { address, count });
        }
        Ok(Self { unit, table, address, count })
    }

    /// The unit.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The table.
    pub fn table(&self) -> Table {
        self.table
    }

    /// The first address, counted from 0.
    pub fn address(&self) -> u16 {
        self.address
    }

    /// The number of addresses: at least 1. A span that is too long for one request is read in
    /// several.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// Whether both spans are of one table of one unit.
    pub(crate) fn is_same_table(self, other: Self) -> bool {
        (self.unit, self.table) == (other.unit, other.table)
    }

    /// The last address of the span.
    pub fn last(&self) -> u16 {
        // Never saturates: the constructor checked that the last address exists.
        self.address.saturating_add(self.count.saturating_sub(1))
    }
}

/// `holding registers 10-19 of unit 1`
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.table, self.address)?;
        if self.count > 1 {
            write!(f, "-{}", self.last())?;
        }
        write!(f, " of unit {}", self.unit)
    }
}

/// Why there is no such span.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpanError {
    /// The count is 0.
    #[error("cannot read 0 addresses")]
    Empty,
    /// The span's last address would be above 65535.
    #[error("{count} addresses from {address} go beyond the last address, 65535")]
    PastTheEnd {
        /// The first address.
        address: u16,
        /// The number of addresses.
        count: u16,
    },
}

/// The values of a span: one for each address, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// Values of coils or discrete inputs.
    Bits(Vec<bool>),
    /// Values of holding or input registers.
    Registers(Vec<u16>),
}

impl Words {
    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::Bits(bits) => bits.len(),
            Self::Registers(registers) => registers.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As many values as the span has addresses, all 0, to be filled with [`Words::copy`].
    pub(crate) fn zeroed(span: Span) -> Self {
        let count = usize::from(span.count());
        if span.table().is_bits() { Self::Bits(vec![false; count]) } else { Self::Registers(vec![0; count]) }
    }

    /// Copies `count` values of `other`, beginning at `offset`, to position `at`. Returns whether
    /// both have these values and are of the same kind.
    pub(crate) fn copy(&mut self, at: usize, other: &Self, offset: usize, count: usize) -> bool {
        fn copy<T: Copy>(to: &mut [T], at: usize, from: &[T], offset: usize, count: usize) -> Option<()> {
            let from = from.get(offset..offset.checked_add(count)?)?;
            to.get_mut(at..at.checked_add(count)?)?.copy_from_slice(from);
            Some(())
        }
        match (self, other) {
            (Self::Bits(to), Self::Bits(from)) => copy(to, at, from, offset, count),
            (Self::Registers(to), Self::Registers(from)) => copy(to, at, from, offset, count),
            _ => None,
        }
        .is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_address_of_a_span_is_at_most_65535() {
        let table = Table::HoldingRegisters;
        assert_eq!(Span::new(1, table, 65535, 1).unwrap().last(), 65535);
        assert_eq!(Span::new(1, table, 0, 65535).unwrap().last(), 65534);
        assert_eq!(Span::new(1, table, 65535, 2), Err(SpanError::PastTheEnd { address: 65535, count: 2 }));
        assert_eq!(Span::new(1, table, 3, 0), Err(SpanError::Empty));
    }

    #[test]
    fn span_is_displayed_as_table_addresses_and_unit() {
        let span = |count| Span::new(7, Table::InputRegisters, 10, count).unwrap().to_string();
        assert_eq!(span(1), "input registers 10 of unit 7");
        assert_eq!(span(10), "input registers 10-19 of unit 7");
    }
}
