//! Which addresses may be read.
//!
//! A grant has ranges for each table of a device. They limit two things: what a caller may read,
//! and which unrequested addresses between two spans may be read too, so that one request serves
//! both.
//!
//! Addresses count from 0, as on the wire. After `manual:` they are in the notation of manuals.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::{ManualError, Span, Table, manual_address};

/// A set of addresses of one table.
///
/// ```
/// # use pattoo_modbus::Ranges;
/// let ranges: Ranges = "0-99, 200".parse().unwrap();
/// assert_eq!(ranges.to_string(), "0-99, 200");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges {
    /// First and last address of each range; sorted, with at least one address between two ranges.
    runs: Vec<(u16, u16)>,
}

impl Ranges {
    /// Every address, 0 to 65535.
    pub fn all() -> Self {
        Self { runs: vec![(0, u16::MAX)] }
    }

    /// No address.
    pub fn none() -> Self {
        Self::default()
    }

    /// The addresses from `first` to `last`, both included; none if `last` is below `first`.
    pub fn run(first: u16, last: u16) -> Self {
        Self { runs: if first <= last { vec![(first, last)] } else { Vec::new() } }
    }

    /// Whether every address of the span is in the set. Ignores its table and unit.
    pub fn contains(&self, span: &Span) -> bool {
        self.contains_run(span.address(), span.last())
    }

    /// Whether every address from `first` to `last`, both included, is in the set.
    pub fn contains_run(&self, first: u16, last: u16) -> bool {
        let after = self.runs.partition_point(|&(start, _)| start <= first);
        after.checked_sub(1).and_then(|index| self.runs.get(index)).is_some_and(|&(_, end)| last <= end)
    }

    /// Parses addresses of a table: `0-99, 200` as on the wire, `manual:40001-40100` as in a
    /// manual, or both, separated by commas.
    ///
    /// # Errors
    /// [`RangesError`] for the first part that is not a range.
    ///
    /// ```
    /// # use pattoo_modbus::{Ranges, Table};
    /// let ranges = Ranges::of_table(Table::HoldingRegisters, "manual:40001-40100, 200");
    /// assert_eq!(ranges.unwrap().to_string(), "0-99, 200");
    /// ```
    pub fn of_table(table: Table, text: &str) -> Result<Self, RangesError> {
        let run = |part: &str| match part.trim().strip_prefix("manual:") {
            None => parse_run(part, |text| parse_address(text, part)),
            Some(run) => parse_run(run, |text| Ok(manual_address(table, text.trim())?)),
        };
        text.split(',').map(run).collect::<Result<_, _>>().map(Self::from_runs)
    }

    fn from_runs(mut runs: Vec<(u16, u16)>) -> Self {
        runs.sort_unstable();
        let mut merged: Vec<(u16, u16)> = Vec::with_capacity(runs.len());
        for (first, last) in runs {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self { runs: merged }
    }
}

/// The union of several sets, such as the ranges that a grant lists.
impl FromIterator<Ranges> for Ranges {
    fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
        Self::from_runs(sets.into_iter().flat_map(|set| set.runs).collect())
    }
}

/// Why a text is not a set of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RangesError {
    /// A part is neither an address nor of the form `first-last`.
    #[error(
        "`{0}` is not a range of addresses: write one address (`5`), first and last (`0-99`), or several of these with commas"
    )]
    Text(String),
    /// A number above 65535.
    #[error("address {0} does not exist: addresses are 0 to 65535")]
    Address(String),
    /// The first address is above the last.
    #[error("invalid range {first}-{last}: the first address is greater than the last")]
    Backwards {
        /// The first address.
        first: u16,
        /// The last, which is lower.
        last: u16,
    },
    /// A part after `manual:` is not an address in that notation.
    #[error(transparent)]
    Manual(#[from] ManualError),
}

/// Wire addresses only: `0-99, 200`.
impl FromStr for Ranges {
    type Err = RangesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',')
            .map(|part| parse_run(part, |text| parse_address(text, part)))
            .collect::<Result<_, _>>()
            .map(Self::from_runs)
    }
}

/// One address, or the first and the last with a dash in between.
fn parse_run(part: &str, address: impl Fn(&str) -> Result<u16, RangesError>) -> Result<(u16, u16), RangesError> {
    let (first, last) = part.split_once('-').unwrap_or((part, part));
    let (first, last) = (address(first)?, address(last)?);
    if first > last {
        return Err(RangesError::Backwards { first, last });
    }
    Ok((first, last))
}

fn parse_address(text: &str, part: &str) -> Result<u16, RangesError> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RangesError::Text(part.trim().to_owned()));
    }
    text.parse().map_err(|_| RangesError::Address(text.to_owned()))
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return f.write_str("none");
        }
        for (index, (first, last)) in self.runs.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

/// The addresses that may be read, for each table of a device. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readable {
    coils: Ranges,
    discrete_inputs: Ranges,
    holding_registers: Ranges,
    input_registers: Ranges,
}

impl Readable {
    /// All addresses of all four tables.
    pub fn everything() -> Self {
        Self::of([])
    }

    /// The addresses of a grant that lists these tables. An empty list allows all four tables;
    /// otherwise only the listed ranges may be read. Several entries for one table are added
    /// together.
    pub fn of(named: impl IntoIterator<Item = (Table, Ranges)>) -> Self {
        let named: Vec<_> = named.into_iter().collect();
        let of = |table| {
            if named.is_empty() {
                return Ranges::all();
            }
            let ranges = named.iter().filter(|(name, _)| *name == table);
            ranges.map(|(_, ranges)| ranges.clone()).collect()
        };
        Self {
            coils: of(Table::Coils),
            discrete_inputs: of(Table::DiscreteInputs),
            holding_registers: of(Table::HoldingRegisters),
            input_registers: of(Table::InputRegisters),
        }
    }

    /// The addresses that may be read in one table.
    pub fn ranges(&self, table: Table) -> &Ranges {
        match table {
            Table::Coils => &self.coils,
            Table::DiscreteInputs => &self.discrete_inputs,
            Table::HoldingRegisters => &self.holding_registers,
            Table::InputRegisters => &self.input_registers,
        }
    }

    /// Whether every address of the span may be read. Ignores its unit.
    pub fn contains(&self, span: &Span) -> bool {
        self.ranges(span.table()).contains(span)
    }
}

impl Default for Readable {
    fn default() -> Self {
        Self::everything()
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_are_addresses_and_ranges_separated_by_commas() {
        let ranges: Ranges = "10-19, 5,0-3, 18-25,26".parse().unwrap();
        assert_eq!(ranges.to_string(), "0-3, 5, 10-26");
        assert_eq!("0-65535".parse(), Ok(Ranges::all()));
        assert!(!Ranges::none().contains_run(0, 0));
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        let error = |text: &str| text.parse::<Ranges>().unwrap_err();
        assert_eq!(error("ten"), RangesError::Text("ten".into()));
        assert_eq!(error(""), RangesError::Text(String::new()));
        assert_eq!(error("1-"), RangesError::Text("1-".into()));
        assert_eq!(error("1-2-3"), RangesError::Text("1-2-3".into()));
        assert_eq!(error("5, +6"), RangesError::Text("+6".into()));
        assert_eq!(error("65536"), RangesError::Address("65536".into()));
        assert_eq!(error("9-3"), RangesError::Backwards { first: 9, last: 3 });
    }

    #[test]
    fn notation_of_manuals_is_accepted_only_after_its_marker() {
        let holding = |text: &str| Ranges::of_table(Table::HoldingRegisters, text);
        assert_eq!(holding("manual:40001-40100").unwrap().to_string(), "0-99");
        assert_eq!(holding("40001-40100").unwrap().to_string(), "40001-40100");
        assert_eq!(holding("manual: 40386, manual:400001 - 400002,7").unwrap().to_string(), "0-1, 7, 385");
        assert_eq!(Ranges::of_table(Table::Coils, "manual:00001").unwrap().to_string(), "0");
        assert!(matches!(holding("manual:30001"), Err(RangesError::Manual(ManualError::OtherTable { .. }))));
        assert!(matches!(holding("manual:40001-30002"), Err(RangesError::Manual(ManualError::OtherTable { .. }))));
        assert_eq!(holding("manual:40002-40001"), Err(RangesError::Backwards { first: 1, last: 0 }));
        assert_eq!("manual:40001".parse::<Ranges>(), Err(RangesError::Text("manual:40001".into())));
    }

    #[test]
    fn listing_one_table_excludes_the_others() {
        let span = |table, address, count| Span::new(1, table, address, count).unwrap();
        let readable = Readable::of([(Table::HoldingRegisters, "0-99".parse().unwrap())]);
        assert!(readable.contains(&span(Table::HoldingRegisters, 90, 10)));
        assert!(!readable.contains(&span(Table::HoldingRegisters, 90, 11)));
        assert!(!readable.contains(&span(Table::Coils, 0, 1)));
        for table in Table::ALL {
            assert!(Readable::everything().contains(&span(table, 0, 65535)));
        }
    }

    proptest! {
        #[test]
        fn set_of_ranges_agrees_with_a_set_of_numbers(
            runs in prop::collection::vec((0..60_u16, 0..6_u16), 0..8), first in 0..64_u16, more in 0..6_u16,
        ) {
            let plain: BTreeSet<u16> = runs.iter().flat_map(|&(start, more)| start..=start + more).collect();
            let set: Ranges = runs
                .iter()
                .map(|&(start, more)| format!("{start}-{}", start + more).parse::<Ranges>().unwrap())
                .collect();
            let expected = (first..=first + more).all(|address| plain.contains(&address));
            prop_assert_eq!(set.contains_run(first, first + more), expected);
            if !plain.is_empty() {
                prop_assert_eq!(set.to_string().parse::<Ranges>().unwrap(), set);
            }
        }
    }
}
