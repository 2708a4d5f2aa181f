//! What registers mean: integers and floats of 16, 32 and 64 bits in every word and byte order, BCD, bits, and text.
//!
//! Modbus transmits registers of 16 bits and says nothing about anything wider, so each manufacturer chose an
//! [`Order`]. Manuals name it by what becomes of the four bytes `ABCD`, most significant first.
//!
//! ```
//! use pattoo_guest::decode::{Linear, Order, Registers};
//!
//! # fn main() -> pattoo_guest::Result {
//! // As they come from `modbus::Device::holding`: 123.456 is 0x42F6E979 as a float of 32 bits.
//! let registers = [0xE979, 0x42F6, 0xFFFF, 0x5341, 0x4200];
//!
//! let registers = Registers::new(&registers, Order::Cdab);
//! assert_eq!(registers.f32(0)?, 123.456);
//! assert_eq!(registers.i16(2)?, -1);
//!
//! // The first argument is the place among what was read, from 0: not the address in the device.
//! let error = registers.f64(3).unwrap_err();
//! assert_eq!(error.to_string(), "a value of 4 registers at place 3 does not fit into the 5 that were read");
//!
//! // Another part of the same device may have another order.
//! assert_eq!(registers.in_order(Order::Abcd).text(3, 2)?, "SAB");
//!
//! // A temperature in tenths of a degree above -40 °C.
//! let celsius = Linear { scale: 0.1, offset: -40.0 };
//! assert_eq!(celsius.apply(Registers::new(&[615], Order::Abcd).u16(0)?), 21.5);
//! # Ok(())
//! # }
//! ```
//!
//! `vectors/decode.json` in the folder of this crate has registers and what they mean, for every function here, type and
//! order; `vectors/README.md` describes it. A decoder in any other language can be held against it.

use core::fmt;
use core::ops::RangeInclusive;

use serde::Deserialize;

/// How the bytes of a value are spread over registers. `A` is the most significant byte, and a register transmits its
/// high byte first.
///
/// The order holds for each width: values of 64 bits are the same with eight bytes, values of 16 bits have no word order
/// and differ only in whether their two bytes are swapped. In settings it is written `ABCD`, `CDAB`, `BADC` or `DCBA`; the names
/// with eight letters are understood, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum Order {
    /// `ABCD`, `ABCDEFGH`: big-endian, the order of Modbus itself and the most common.
    #[default]
    #[serde(rename = "ABCD", alias = "ABCDEFGH")]
    Abcd,
    /// `CDAB`, `GHEFCDAB`: the least significant register first, known as word-swapped.
    #[serde(rename = "CDAB", alias = "GHEFCDAB")]
    Cdab,
    /// `BADC`, `BADCFEHG`: the two bytes of each register swapped.
    #[serde(rename = "BADC", alias = "BADCFEHG")]
    Badc,
    /// `DCBA`, `HGFEDCBA`: both, which is little-endian.
    #[serde(rename = "DCBA", alias = "HGFEDCBA")]
    Dcba,
}

impl Order {
    fn low_word_first(self) -> bool {
        matches!(self, Self::Cdab | Self::Dcba)
    }

    fn bytes_swapped(self) -> bool {
        matches!(self, Self::Badc | Self::Dcba)
    }

    /// The two bytes of a register, the one that comes first in the value first.
    fn bytes_of(self, register: u16) -> [u8; 2] {
        if self.bytes_swapped() { register.to_le_bytes() } else { register.to_be_bytes() }
    }
}

/// Registers that were read, and the order of their device.
///
/// Every reading function takes the place of the value's first register among them, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers<'a> {
    registers: &'a [u16],
    order: Order,
}

impl<'a> Registers<'a> {
    /// Registers whose values lie in that order.
    pub fn new(registers: &'a [u16], order: Order) -> Self {
        Self { registers, order }
    }

    /// The same registers, read in another order.
    #[must_use]
    pub fn in_order(self, order: Order) -> Self {
        Self { order, ..self }
    }

    /// One register, unsigned.
    ///
    /// # Errors
    /// There are not enough registers. The same holds for all others.
    pub fn u16(&self, place: usize) -> Result<u16, OutOfRange> {
        self.bytes(place).map(u16::from_be_bytes)
    }

    /// One register in two's complement.
    pub fn i16(&self, place: usize) -> Result<i16, OutOfRange> {
        self.bytes(place).map(i16::from_be_bytes)
    }

    /// Two registers, unsigned.
    pub fn u32(&self, place: usize) -> Result<u32, OutOfRange> {
        self.bytes(place).map(u32::from_be_bytes)
    }

    /// Two registers in two's complement.
    pub fn i32(&self, place: usize) -> Result<i32, OutOfRange> {
        self.bytes(place).map(i32::from_be_bytes)
    }

    /// Four registers, unsigned.
    pub fn u64(&self, place: usize) -> Result<u64, OutOfRange> {
        self.bytes(place).map(u64::from_be_bytes)
    }

    /// Four registers in two's complement.
    pub fn i64(&self, place: usize) -> Result<i64, OutOfRange> {
        self.bytes(place).map(i64::from_be_bytes)
    }

    /// Two registers as IEEE 754 binary32. It may be infinite or not a number, which pattoo refuses.
    pub fn f32(&self, place: usize) -> Result<f32, OutOfRange> {
        self.bytes(place).map(f32::from_be_bytes)
    }

    /// Four registers as IEEE 754 binary64. It may be infinite or not a number, which pattoo refuses.
    pub fn f64(&self, place: usize) -> Result<f64, OutOfRange> {
        self.bytes(place).map(f64::from_be_bytes)
    }

    /// One register as IEEE 754 binary16, which has eleven significant bits. It may be infinite or not a number, which
    /// pattoo refuses.
    pub fn f16(&self, place: usize) -> Result<f32, OutOfRange> {
        self.u16(place).map(half)
    }

    /// One register of packed BCD: four decimal digits, so that 0x1234 is 1234.
    ///
    /// # Errors
    /// As for the others, or a digit is above 9. The same holds for the two below.
    pub fn bcd16(&self, place: usize) -> Result<u16, BcdError> {
        // At most 9 999.
        self.bcd::<2>(place).map(|value| u16::try_from(value).unwrap_or(u16::MAX))
    }

    /// Two registers of packed BCD: eight decimal digits.
    pub fn bcd32(&self, place: usize) -> Result<u32, BcdError> {
        // At most 99 999 999.
        self.bcd::<4>(place).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
    }

    /// Four registers of packed BCD: 16 decimal digits.
    pub fn bcd64(&self, place: usize) -> Result<u64, BcdError> {
        self.bcd::<8>(place)
    }

    /// The 16 bits of a register, the least significant first: `bits(0)?[3]` is the one of value 8.
    pub fn bits(&self, place: usize) -> Result<[bool; 16], OutOfRange> {
        let register = self.u16(place)?;
        Ok(core::array::from_fn(|bit| (register >> bit) & 1 == 1))
    }

    /// The number that some bits of a register make, counted from 0 for the least significant: `field(0, 4..=6)` of
    /// `0b0101_0000` is 5. Bits beyond the 15th are 0, and so is an empty range.
    pub fn field(&self, place: usize, bits: RangeInclusive<u8>) -> Result<u16, OutOfRange> {
        let register = self.u16(place)?;
        let mask = bits.clone().filter(|bit| *bit < 16).fold(0, |mask, bit| mask | 1_u16 << bit);
        Ok((register & mask).checked_shr(u32::from(*bits.start())).unwrap_or(0))
    }

    /// `count` registers of two ASCII characters each, up to the first NUL and without white space around it. The
    /// first register comes first in any order; a byte that is not ASCII becomes `U+FFFD`.
    pub fn text(&self, place: usize, count: usize) -> Result<String, OutOfRange> {
        let bytes = self.window(place, count)?.iter().flat_map(|register| self.order.bytes_of(*register));
        let text: String = bytes
            .take_while(|byte| *byte != 0)
            .map(|byte| if byte.is_ascii() { char::from(byte) } else { char::REPLACEMENT_CHARACTER })
            .collect();
        Ok(text.trim().to_owned())
    }

    /// `N` / 2 registers as bytes, the most significant first.
    fn bytes<const N: usize>(&self, place: usize) -> Result<[u8; N], OutOfRange> {
        let window = self.window(place, N / 2)?;
        let mut bytes = [0; N];
        for (pair, nth) in bytes.chunks_exact_mut(2).zip(0..) {
            let register = if self.order.low_word_first() { window.iter().nth_back(nth) } else { window.get(nth) };
            pair.copy_from_slice(&self.order.bytes_of(register.copied().unwrap_or_default()));
        }
        Ok(bytes)
    }

    fn bcd<const N: usize>(&self, place: usize) -> Result<u64, BcdError> {
        let bytes = self.bytes::<N>(place)?;
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
        digits.zip(0..).try_fold(0_u64, |value, (digit, nth)| match digit {
            // Sixteen digits are far from overflowing.
            0..=9 => Ok(value.saturating_mul(10).saturating_add(digit.into())),
            _ => Err(BcdError::Digit { place, digit, nth }),
        })
    }

    fn window(&self, place: usize, count: usize) -> Result<&'a [u16], OutOfRange> {
        let end = place.checked_add(count);
        end.and_then(|end| self.registers.get(place..end)).ok_or(OutOfRange {
            place,
            count,
            read: self.registers.len(),
        })
    }
}

/// A value lies, in part or whole, beyond the registers that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutOfRange {
    /// The place of its first register.
    pub place: usize,
    /// How many registers it takes.
    pub count: usize,
    /// How many were read.
    pub read: usize,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, count, read } = self;
        write!(f, "a value of {count} registers at place {place} does not fit into the {read} that were read")
    }
}

impl core::error::Error for OutOfRange {}

/// Registers are not packed BCD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BcdError {
    /// They were not read.
    OutOfRange(OutOfRange),
    /// One of the digits is none. As a rule the order is another one, or the value is not in BCD.
    Digit {
        /// The place of the value's first register.
        place: usize,
        /// The digit, 10 to 15.
        digit: u8,
        /// Which one, from 0 for the most significant.
        nth: usize,
    },
}

impl From<OutOfRange> for BcdError {
    fn from(error: OutOfRange) -> Self {
        Self::OutOfRange(error)
    }
}

impl fmt::Display for BcdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange(error) => error.fmt(f),
            Self::Digit { place, digit, nth } => {
                write!(f, "the value at place {place} is not in BCD: digit {nth} of it is {digit:#X}")
            }
        }
    }
}

impl core::error::Error for BcdError {}

/// From the number in registers to what it stands for: times `scale`, plus `offset`.
///
/// In settings it is `{scale: 0.1, offset: -40}`; either may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Linear {
    /// What the number is multiplied with; 1 unless given.
    pub scale: f64,
    /// What is added then; 0 unless given.
    pub offset: f64,
}

impl Default for Linear {
    fn default() -> Self {
        Self { scale: 1.0, offset: 0.0 }
    }
}

impl Linear {
    /// What the number stands for. Numbers of 64 bits are decoded by `as f64` first, which keeps 53 of them.
    pub fn apply(self, number: impl Into<f64>) -> f64 {
        number.into() * self.scale + self.offset
    }
}

/// IEEE 754 binary16: sign, five bits of exponent with a bias of 15, ten bits of fraction. Every one of them is a binary32.
fn half(bits: u16) -> f32 {
    let (exponent, fraction) = (bits >> 10 & 0x1F, f32::from(bits & 0x3FF));
    let magnitude = match exponent {
        0 => fraction * 2_f32.powi(-24),
        0x1F if fraction == 0.0 => f32::INFINITY,
        0x1F => f32::NAN,
        _ => (fraction + 1024.0) * 2_f32.powi(i32::from(exponent).saturating_sub(25)),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests;
