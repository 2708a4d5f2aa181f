//! What is read: a run of addresses in one table of one unit, and what it holds.

use std::fmt;

use thiserror::Error;

use super::{
    table::Table,
    unit::{UnitError, check_unit},
};

/// A run of addresses in one table of one unit. It holds at least one address and ends at 65535 or before.
///
/// Addresses are those on the wire, counted from 0: what is written as register 40001 in the old notation is
/// `HoldingRegisters` address 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    unit: u8,
    table: Table,
    address: u16,
    count: u16,
}

impl Span {
    /// A span of `count` addresses from `address` on.
    ///
    /// # Errors
    /// [`SpanError`] when the unit is a reserved number, when the span is empty, and when it runs past 65535.
    pub fn new(unit: u8, table: Table, address: u16, count: u16) -> Result<Self, SpanError> {
        let unit = check_unit(unit.into())?;
        if count == 0 {
            return Err(SpanError::Empty);
        }
        if address.checked_add(count.saturating_sub(1)).is_none() {
            return Err(SpanError::PastTheEnd { address, count });
        }
        Ok(Self { unit, table, address, count })
    }

    /// The unit: 0 to 247, or 255.
    pub fn unit(&self) -> u8 {
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

    /// How many addresses: at least 1. More than one request can ask for are read in pieces.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The last address that belongs to the span.
    pub fn last(&self) -> u16 {
        // The constructor saw to it that this saturates nowhere.
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

/// Why no such span exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpanError {
    /// The count is 0.
    #[error("a read of 0 addresses asks for nothing")]
    Empty,
    /// The span's last address would be above 65535.
    #[error("{count} addresses from {address} on run past the last address, 65535")]
    PastTheEnd {
        /// The first address.
        address: u16,
        /// The count that does not fit behind it.
        count: u16,
    },
    /// The unit is a reserved number.
    #[error(transparent)]
    Unit(#[from] UnitError),
}

/// What a span holds: one value per address, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// From coils and discrete inputs.
    Bits(Vec<bool>),
    /// From holding and input registers.
    Registers(Vec<u16>),
}

impl Words {
    /// How many values these are.
    pub fn len(&self) -> usize {
        match self {
            Self::Bits(bits) => bits.len(),
            Self::Registers(registers) => registers.len(),
        }
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As many values as the span has addresses, all 0, to be filled with [`Words::copy`].
    pub(super) fn blank(span: Span) -> Self {
        let count = usize::from(span.count());
        if span.table().is_bits() { Self::Bits(vec![false; count]) } else { Self::Registers(vec![0; count]) }
    }

    /// Copies `count` values of `other` from `offset` on to the place `at`; says whether both have these and are of
    /// one kind.
    pub(super) fn copy(&mut self, at: usize, other: &Self, offset: usize, count: usize) -> bool {
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
    fn a_span_ends_at_the_last_address_or_before() {
        let table = Table::HoldingRegisters;
        assert_eq!(Span::new(1, table, 65535, 1).unwrap().last(), 65535);
        assert_eq!(Span::new(1, table, 0, 65535).unwrap().last(), 65534);
        assert_eq!(Span::new(1, table, 65535, 2), Err(SpanError::PastTheEnd { address: 65535, count: 2 }));
        assert_eq!(Span::new(1, table, 3, 0), Err(SpanError::Empty));
        assert_eq!(Span::new(248, table, 0, 1), Err(SpanError::Unit(UnitError::Reserved(248))));
    }

    #[test]
    fn a_span_reads_as_a_person_would_say_it() {
        let span = |count| Span::new(7, Table::InputRegisters, 10, count).unwrap().to_string();
        assert_eq!(span(1), "input registers 10 of unit 7");
        assert_eq!(span(10), "input registers 10-19 of unit 7");
    }
}
