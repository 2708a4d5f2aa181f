//! Settings that are a number with a unit and a range.
//!
//! A table of [`Quantity`] says all of them: the reader, the schema for editors, the reference page and the effective settings
//! come from it, so that none of them can know a setting that another does not.

use bytesize::ByteSize;

/// What a quantity counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A duration: `5s`, `250ms`, `2m`. Kept in milliseconds.
    Time,
    /// A size: `64MiB`, `4096`. Kept in bytes.
    Size,
    /// A plain number.
    Count,
}

/// One field of a `T` that can be set.
#[derive(Debug)]
pub struct Quantity<T> {
    /// The key that sets it.
    pub name: &'static str,
    /// What it is.
    pub doc: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// The least it can be, in its unit.
    pub min: u64,
    /// The most it can be, in its unit.
    pub max: u64,
    /// Reads the field as a number in the quantity's unit.
    pub get: fn(&T) -> u64,
    /// Sets the field to a number in the quantity's unit.
    pub set: fn(&mut T, u64),
}

/// Why a quantity cannot be set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// It is not written in its unit.
    #[error("expected {}, found `{text}`", unit.words())]
    NotInUnit {
        /// What was written.
        text: String,
        /// What it should be.
        unit: Unit,
    },
    /// It is out of range.
    #[error("invalid `{name}`: expected {min} to {max}, found {text}")]
    OutOfRange {
        /// Its name.
        name: &'static str,
        /// What was written.
        text: String,
        /// The least, with its unit.
        min: String,
        /// The most, with its unit.
        max: String,
    },
}

/// Conversions between fields and numbers, for the tables.
pub mod convert {
    use std::time::Duration;

    /// A duration of so many milliseconds.
    pub fn duration(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A duration in milliseconds.
    pub fn millis(duration: Duration) -> u64 {
        u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
    }

    /// The number itself.
    pub fn same(number: u64) -> u64 {
        number
    }

    /// A count as a number.
    pub fn widen(number: usize) -> u64 {
        number as u64
    }

    /// A number as a smaller type; the range of the quantity keeps it from being cut.
    pub fn narrow<N: TryFrom<u64> + Bounded>(number: u64) -> N {
        N::try_from(number).unwrap_or(N::MOST)
    }

    /// The largest number of a type. The range of a quantity keeps it from being needed.
    pub trait Bounded {
        /// That number.
        const MOST: Self;
    }

    impl Bounded for usize {
        const MOST: Self = Self::MAX;
    }

    impl Bounded for u32 {
        const MOST: Self = Self::MAX;
    }

    impl Bounded for u16 {
        const MOST: Self = Self::MAX;
    }
}

/// Bytes.
pub const KIB: u64 = 1 << 10;
/// Bytes.
pub const MIB: u64 = 1 << 20;
/// Bytes.
pub const GIB: u64 = 1 << 30;
/// Milliseconds.
pub const SECOND: u64 = 1000;
/// Milliseconds.
pub const HOUR: u64 = 3600 * SECOND;

/// A quantity over a field: its name, what it is, its unit, its range, the field, and the conversions to and from a number.
#[macro_export]
macro_rules! quantity {
    ($name:literal, $doc:literal, $unit:ident, $min:expr, $max:expr, $($field:ident).+, $to:expr, $from:expr) => {
        $crate::Quantity {
            name: $name,
            doc: $doc,
            unit: $crate::Unit::$unit,
            min: $min,
            max: $max,
            get: |owner| $to(owner.$($field).+),
            set: |owner, value| owner.$($field).+ = $from(value),
        }
    };
}
impl Unit {
    /// What a value of it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Time => "a duration such as 5s, 250ms or 2m",
            Self::Size => "a size such as 64MiB, 16KiB or a number of bytes",
            Self::Count => "an integer",
        }
    }

    /// Reads a value, in milliseconds, bytes or as it is.
    pub fn parse(self, text: &str) -> Option<u64> {
        let whole = |text: &str| text.parse::<u64>().ok();
        match self {
            Self::Time => humantime::parse_duration(text).ok().map(convert::millis),
            Self::Size => whole(text).or_else(|| text.parse::<ByteSize>().ok().map(|size| size.as_u64())),
            Self::Count => whole(text),
        }
    }

    /// A value as it is written in a configuration.
    pub fn show(self, value: u64) -> String {
        match self {
            Self::Time => [(24 * HOUR, "d"), (HOUR, "h"), (60 * SECOND, "m"), (SECOND, "s")]
                .into_iter()
                .find(|(unit, _)| value == 0 || value.is_multiple_of(*unit))
                .and_then(|(unit, name)| Some(format!("{}{name}", value.checked_div(unit)?)))
                .map_or_else(|| format!("{value}ms"), |text| if value == 0 { "0s".to_owned() } else { text }),
            Self::Size => [(GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")]
                .into_iter()
                .find(|(unit, _)| value > 0 && value.is_multiple_of(*unit))
                .and_then(|(unit, name)| Some(format!("{}{name}", value.checked_div(unit)?)))
                .unwrap_or_else(|| value.to_string()),
            Self::Count => value.to_string(),
        }
    }
}

impl<T> Quantity<T> {
    /// Its value, as it is written in a configuration.
    pub fn show(&self, owner: &T) -> String {
        self.unit.show((self.get)(owner))
    }

    /// Sets it to what is written.
    ///
    /// # Errors
    ///
    /// When that is not in its unit, or out of range.
    pub fn set(&self, owner: &mut T, text: &str) -> Result<(), QuantityError> {
        let value =
            self.unit.parse(text).ok_or_else(|| QuantityError::NotInUnit { text: text.to_owned(), unit: self.unit })?;
        if !(self.min..=self.max).contains(&value) {
            return Err(QuantityError::OutOfRange {
                name: self.name,
                text: text.to_owned(),
                min: self.unit.show(self.min),
                max: self.unit.show(self.max),
            });
        }
        (self.set)(owner, value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn units_are_read_as_people_write_them() {
        for (unit, text, value) in [
            (Unit::Time, "5s", Some(5000)),
            (Unit::Time, "250ms", Some(250)),
            (Unit::Time, "1m 30s", Some(90_000)),
            (Unit::Time, "5", None),
            (Unit::Size, "64MiB", Some(64 << 20)),
            (Unit::Size, "64 KiB", Some(64 << 10)),
            (Unit::Size, "4096", Some(4096)),
            (Unit::Size, "much", None),
            (Unit::Count, "16", Some(16)),
            (Unit::Count, "-1", None),
            (Unit::Count, "1.5", None),
        ] {
            assert_eq!(unit.parse(text), value, "{text}");
        }
    }
}
