//! The values of registers and bits, and their state at a moment, which is an argument.

use std::time::Duration;

use serde::{
    Deserialize,
    de::{self, Deserializer, Unexpected},
};

/// A moment of a simulation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Since the simulation was bound.
    pub(super) elapsed: Duration,
    /// Since the beginning of 1970.
    pub(super) clock: Duration,
}

/// A register: 16 bits, unsigned or in two's complement.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Register {
    Constant(Word),
    Changing(Change),
}

/// A value of a register as people write it: -32768 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(i32);

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    Ramp(Ramp),
    Counter(Counter),
    Noise(Noise),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ramp {
    from: Word,
    to: Word,
    period: Period,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Counter {
    #[serde(default)]
    start: u16,
    per_second: Rate,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Noise {
    mean: Word,
    spread: u16,
}

/// A coil or a discrete input.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bit {
    Constant(bool),
    Changing(BitChange),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BitChange {
    Blink(Blink),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Blink {
    period: Period,
}

/// A duration above 0, written like `60s` or `1m 30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(Duration);

/// Per second; 0 or more, and finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rate(f64);

impl Register {
    /// The 16 bits at a moment. `seed` makes the noise of each register different.
    pub(super) fn at(&self, moment: Moment, seed: u64) -> u16 {
        match self {
            Self::Constant(word) => word.bits(),
            Self::Changing(Change::Ramp(ramp)) => {
                let (from, to) = (f64::from(ramp.from.0), f64::from(ramp.to.0));
                near_word(from + (to - from) * ramp.period.phase(moment.clock)).bits()
            }
            Self::Changing(Change::Counter(counter)) => {
                let seconds = moment.elapsed.as_secs_f64();
                wrapping_word(f64::from(counter.start) + seconds * counter.per_second.0)
            }
            Self::Changing(Change::Noise(noise)) => {
                let tenth = u64::from(moment.clock.subsec_millis() / 100);
                let step = moment.clock.as_secs().wrapping_mul(10).wrapping_add(tenth);
                let random = scatter(seed ^ scatter(step));
                let width = u64::from(noise.spread).saturating_mul(2).saturating_add(1);
                let offset = random.checked_rem(width).unwrap_or(0);
                let value = i64::from(noise.mean.0).saturating_sub(noise.spread.into()).saturating_add_unsigned(offset);
                Word::nearest(value).bits()
            }
        }
    }
}

impl Bit {
    /// On or off at a moment.
    pub(super) fn at(&self, moment: Moment) -> bool {
        match self {
            Self::Constant(on) => *on,
            Self::Changing(BitChange::Blink(blink)) => blink.period.phase(moment.clock) < 0.5,
        }
    }
}

impl Word {
    const MIN: i64 = -0x8000;
    const MAX: i64 = 0xFFFF;

    fn new(value: i64) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&value).then(|| Self::nearest(value))
    }

    #[expect(clippy::cast_possible_truncation, reason = "clamped to what 32 bits hold")]
    fn nearest(value: i64) -> Self {
        Self(value.clamp(Self::MIN, Self::MAX) as i32)
    }

    /// The bits in the register.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "two's complement")]
    fn bits(self) -> u16 {
        self.0 as u16
    }
}

/// The nearest integer that a register can hold.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, and the word is clamped")]
fn near_word(value: f64) -> Word {
    Word::nearest(value.round() as i64)
}

/// The lower 16 bits of the integer part of a value that is not negative.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the remainder fits")]
fn wrapping_word(value: f64) -> u16 {
    (value.floor() % 65536.0) as u16
}

/// Spreads a number over all 64 bits (the finaliser of SplitMix64): the same for the same number,
/// without a visible pattern otherwise.
pub(super) fn scatter(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Period {
    pub(super) fn duration(self) -> Duration {
        self.0
    }

    /// How much of the current period has passed at `clock`: 0 up to, but not including, 1.
    fn phase(self, clock: Duration) -> f64 {
        let nanos = self.0.as_nanos();
        let passed = clock.as_nanos().checked_rem(nanos).unwrap_or(0);
        Duration::from_nanos_u128(passed).div_duration_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        Self::new(value)
            .ok_or_else(|| de::Error::invalid_value(Unexpected::Signed(value), &"a register's value, -32768 to 65535"))
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match humantime::parse_duration(&text) {
            Ok(duration) if !duration.is_zero() => Ok(Self(duration)),
            _ => Err(de::Error::invalid_value(Unexpected::Str(&text), &"a duration above 0 such as `60s` or `1m 30s`")),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rate = f64::deserialize(deserializer)?;
        if rate.is_finite() && rate >= 0.0 {
            Ok(Self(rate))
        } else {
            Err(de::Error::invalid_value(Unexpected::Float(rate), &"a rate of 0 or more"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(text: &str) -> Register {
        serde_yaml::from_str(text).unwrap()
    }

    fn seconds(seconds: f64) -> Moment {
        let time = Duration::from_secs_f64(seconds);
        Moment { elapsed: time, clock: time }
    }

    #[test]
    fn ramp_changes_from_one_end_to_the_other_and_starts_again() {
        let up = register("ramp: { from: 0, to: 100, period: 60s }");
        assert_eq!([0.0, 30.0, 59.9, 60.0].map(|time| up.at(seconds(time), 0)), [0, 50, 100, 0]);
        let down = register("ramp: { from: 10, to: -10, period: 1m }");
        assert_eq!([0.0, 30.0, 45.0].map(|time| down.at(seconds(time), 0)), [10, 0, 0xFFFB]);
    }

    #[test]
    fn counter_continues_at_0_after_65535() {
        let counter = register("counter: { start: 65530, per_second: 3 }");
        assert_eq!([0.0, 1.0, 2.0, 3.0].map(|time| counter.at(seconds(time), 0)), [65530, 65533, 0, 3]);
    }

    #[test]
    fn noise_stays_within_its_spread_and_reaches_both_ends() {
        let noise = register("noise: { mean: 0, spread: 2 }");
        let mut seen: Vec<_> =
            (0..1000).map(|step| noise.at(seconds(f64::from(step) / 10.0), 7).cast_signed()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [-2, -1, 0, 1, 2]);
    }

    #[test]
    fn blinking_bit_is_on_for_the_first_half() {
        let bit: Bit = serde_yaml::from_str("blink: { period: 10s }").unwrap();
        assert_eq!([0.0, 4.9, 5.0, 9.9, 10.0].map(|time| bit.at(seconds(time))), [true, true, false, false, true]);
    }
}
