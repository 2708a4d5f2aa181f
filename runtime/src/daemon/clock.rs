//! Both clocks of the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::schedule::ClockReading;

/// The longest time between the readings of both clocks for which they count as read together.
const TOGETHER: Duration = Duration::from_millis(5);

/// The clocks. The monotonic one counts from the creation of this value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks. Reads again if this thread was suspended between the two, so that a busy
    /// machine does not look like a wall clock that jumped.
    pub(super) fn read(&self) -> ClockReading {
        let mut reading = self.once();
        for _ in 0..10 {
            if reading.1 <= TOGETHER {
                break;
            }
            reading = self.once();
        }
        reading.0
    }

    fn once(&self) -> (ClockReading, Duration) {
        let before = Instant::now();
        // A wall clock before 1970 counts as 1970.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let monotonic = before.saturating_duration_since(self.start);
        (ClockReading { monotonic, wall }, before.elapsed())
    }

    /// The moment at which the monotonic clock shows `monotonic`.
    pub(super) fn moment(&self, monotonic: Duration) -> Instant {
        // It overflows some centuries after the longest interval.
        self.start.checked_add(monotonic).unwrap_or(self.start)
    }
}
