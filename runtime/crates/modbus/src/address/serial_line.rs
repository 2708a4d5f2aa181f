//! A serial line: its device file and its parameters.
//!
//! The defaults are those of the Modbus over Serial Line Specification and Implementation Guide
//! V1.02: 19 200 baud (section 2.1) and even parity (section 2.5.1); a character always has 8 data
//! bits in RTU mode (section 2.5.1), and 7 in ASCII mode (section 2.5.2), where some devices have 8.
//! One stop bit is the default with and without parity: the
//! specification asks for two without parity, but devices in the field send one, and a receiver
//! that expects one accepts both.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use pattoo_base::invariant::Invariant as _;

/// A serial line with its parameters: `/dev/ttyUSB0?baud=19200&parity=even&stop=1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SerialLine {
    pub(super) path: PathBuf,
    pub(super) mode: LineMode,
    pub(super) data: DataBits,
    pub(super) baud: u32,
    pub(super) parity: Parity,
    pub(super) stop: StopBits,
}

/// The transmission mode of a line (V1.02, section 2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LineMode {
    /// Each byte is a character.
    Rtu,
    /// Each byte is two characters, its hexadecimal digits.
    Ascii,
}

/// The number of data bits of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataBits {
    /// Seven, in ASCII mode only.
    Seven,
    /// Eight.
    Eight,
}

/// The parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Parity {
    /// No parity bit.
    None,
    /// It makes the number of ones even.
    Even,
    /// It makes the number of ones odd.
    Odd,
}

/// The number of stop bits of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StopBits {
    /// One.
    One,
    /// Two.
    Two,
}

/// The lowest accepted speed, in baud.
pub(super) const MIN_BAUD: u32 = 50;
/// The highest accepted speed, in baud. Opening the line fails if the hardware does not support the
/// speed.
pub(super) const MAX_BAUD: u32 = 4_000_000;

impl SerialLine {
    /// The line at this path, with the default parameters.
    pub(super) fn at(path: PathBuf, mode: LineMode) -> Self {
        let data = match mode {
            LineMode::Rtu => DataBits::Eight,
            LineMode::Ascii => DataBits::Seven,
        };
        Self { path, mode, data, baud: 19_200, parity: Parity::Even, stop: StopBits::One }
    }

    /// The transmission mode.
    pub fn mode(&self) -> LineMode {
        self.mode
    }

    /// The data bits.
    pub fn data(&self) -> DataBits {
        self.data
    }

    /// The device file, such as `/dev/ttyUSB0`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The speed in baud.
    pub fn baud(&self) -> u32 {
        self.baud
    }

    /// The parity.
    pub fn parity(&self) -> Parity {
        self.parity
    }

    /// The stop bits.
    pub fn stop(&self) -> StopBits {
        self.stop
    }

    /// The silence between two frames: 3.5 characters, and 1.75 ms above 19 200 baud (V1.02,
    /// section 2.5.1.1).
    pub fn silence(&self) -> Duration {
        let fixed = Duration::from_micros(1750);
        if self.baud > 19_200 {
            return fixed;
        }
        // A start bit, data bits, parity and stop bits.
        let data = if self.data == DataBits::Seven { 7_u64 } else { 8 };
        let parity = u64::from(self.parity != Parity::None);
        let stop = if self.stop == StopBits::Two { 2 } else { 1 };
        let bits = data.saturating_add(1).saturating_add(parity).saturating_add(stop);
        let micros =
            bits.saturating_mul(3_500_000).checked_div(u64::from(self.baud)).or_broken("a speed is positive", 0);
        Duration::from_micros(micros).max(fixed)
    }
}

impl fmt::Display for SerialLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stop = if self.stop == StopBits::Two { 2 } else { 1 };
        write!(f, "{}?baud={}&parity={}&stop={stop}", self.path.display(), self.baud, self.parity)?;
        // In RTU mode there is no choice.
        if self.mode == LineMode::Ascii { write!(f, "&data={}", self.data) } else { Ok(()) }
    }
}

impl fmt::Display for DataBits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seven => "7",
            Self::Eight => "8",
        })
    }
}

impl fmt::Display for Parity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Even => "even",
            Self::Odd => "odd",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_between_frames_is_three_and_a_half_characters_and_at_least_1750_microseconds() {
        let silence =
            |baud| SerialLine { baud, ..SerialLine::at("/dev/x".into(), LineMode::Rtu) }.silence().as_micros();
        // 11 bits a character: a start bit, eight of data, parity, a stop bit.
        assert_eq!(silence(9600), 4010);
        assert_eq!(silence(19_200), 2005);
        assert_eq!([silence(38_400), silence(4_000_000)], [1750, 1750]);
    }
}
