//! Values that lie across several registers: integers and floats of 16, 32 and 64 bits in every word and byte order, bits, and
//! text.
//!
//! Modbus transmits registers of 16 bits and says nothing about anything wider, so each manufacturer chose an
//! [`Order`]. Manuals name it by what becomes of the four bytes `ABCD`, most significant first.
//!
//! ```
//! use pattoo_guest::decode::{Order, Registers};
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
//! # Ok(())
//! # }
//! ```

use core::fmt;

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

    /// The 16 bits of a register, the least significant first: `bits(0)?[3]` is the one of value 8.
    pub fn bits(&self, place: usize) -> Result<[bool; 16], OutOfRange> {
        let register = self.u16(place)?;
        Ok(core::array::from_fn(|bit| (register >> bit) & 1 == 1))
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

#[cfg(test)]
mod tests;
