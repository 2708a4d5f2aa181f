//! The limits on a module and on its compilation.

use std::time::Duration;

/// What a module may be and what its compilation may use. Half a gigabyte and twenty seconds are what the largest language
/// runtimes need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of the module file. Python's are of 18 MB.
    pub module_bytes: u64,
    /// Functions that the module defines, those of all its core modules together. Python's has about 30 000.
    pub functions: u32,
    /// Processor time, all threads together.
    pub time: Duration,
    /// Address space, in bytes.
    pub memory: u64,
}

impl CompileLimits {
    /// The same, with at most so much time and memory.
    #[must_use]
    pub fn at_most(&self, time: Duration, memory: u64) -> Self {
        Self { time: self.time.min(time), memory: self.memory.min(memory), ..*self }
    }
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { module_bytes: 64 << 20, functions: 200_000, time: Duration::from_mins(2), memory: 1 << 30 }
    }
}
