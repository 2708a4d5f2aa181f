//! What of a device's replies may differ from the specification.
//!
//! The operator of a device names each deviation in its grant. Whatever is tolerated, a late reply
//! is never used for the next request: a connection has one request at a time, bytes that wait
//! before a request are not its reply, and a connection is closed after a fault.

use std::fmt;

/// One way in which the replies of a device differ from the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Deviation {
    /// Replies have another unit than their requests.
    WrongUnit = 1,
    /// Replies have transaction numbers of the device's own. Frames of a serial line have none.
    WrongTransaction = 1 << 1,
    /// Up to 16 bytes of 0x00 or 0xFF before or behind a reply.
    Padding = 1 << 2,
    /// The request comes back before the reply, as from a line whose adapter receives what it
    /// sends.
    Echo = 1 << 3,
}

impl Deviation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WrongUnit, Self::WrongTransaction, Self::Padding, Self::Echo];

    /// The name of each of [`Deviation::ALL`], as in grants.
    pub const NAMES: [&'static str; 4] = ["wrong-unit", "wrong-transaction", "padding", "echo"];

    /// Its name in grants.
    pub const fn name(self) -> &'static str {
        let [wrong_unit, wrong_transaction, padding, echo] = Self::NAMES;
        match self {
            Self::WrongUnit => wrong_unit,
            Self::WrongTransaction => wrong_transaction,
            Self::Padding => padding,
            Self::Echo => echo,
        }
    }

    /// The deviation with this name, in lower or upper case.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|deviation| deviation.name().eq_ignore_ascii_case(text))
    }
}

/// The deviations that are tolerated. The default is none.
///
/// ```
/// # use pattoo_modbus::{Deviation, Tolerance};
/// let tolerance: Tolerance = [Deviation::Padding, Deviation::WrongUnit].into_iter().collect();
/// assert!(tolerance.contains(Deviation::Padding) && !tolerance.contains(Deviation::Echo));
/// assert_eq!(tolerance.to_string(), "[wrong-unit, padding]");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerance(u8);

impl Tolerance {
    /// Nothing is tolerated.
    pub const NONE: Self = Self(0);

    /// Whether this deviation is tolerated.
    pub const fn contains(self, deviation: Deviation) -> bool {
        self.0 & deviation as u8 != 0
    }

    /// The same without this deviation.
    pub(crate) const fn without(self, deviation: Deviation) -> Self {
        Self(self.0 & !(deviation as u8))
    }

    /// The deviations, in the order of [`Deviation::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Deviation> {
        Deviation::ALL.into_iter().filter(move |deviation| self.contains(*deviation))
    }

    pub(crate) const fn to_bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }
}

impl FromIterator<Deviation> for Tolerance {
    fn from_iter<I: IntoIterator<Item = Deviation>>(deviations: I) -> Self {
        Self(deviations.into_iter().fold(0, |bits, deviation| bits | deviation as u8))
    }
}

/// As in grants: `[wrong-unit, padding]`.
impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Deviation::name).collect();
        write!(f, "[{}]", names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_that_of_its_deviation() {
        for (deviation, name) in Deviation::ALL.into_iter().zip(Deviation::NAMES) {
            assert_eq!((deviation.name(), Deviation::named(&name.to_uppercase())), (name, Some(deviation)));
        }
        assert_eq!(Deviation::named("late-reply"), None);
    }
}
