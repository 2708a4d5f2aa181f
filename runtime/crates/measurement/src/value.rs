//! Values as collectors emit them.

/// A measurement as a collector emits it. `Integer` and `Scaled` remain different kinds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A whole number. Every output keeps all 64 bits of it.
    Integer(i64),
    /// An integer of the device that was multiplied by a scale, so that it may have a fraction.
    Scaled(f64),
    /// A floating-point number.
    Float(f64),
    /// A counter that wraps at 2^32.
    Counter32(u32),
    /// A counter that wraps at 2^64.
    Counter64(u64),
    /// A text, with its white space.
    Text(String),
}
