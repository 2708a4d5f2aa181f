//! Both clocks of the machine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::schedule::Reading;

/// How long reading both clocks may take for the two to count as read together.
const TOGETHER: Duration = Duration::from_millis(5);

/// The clocks, the monotonic one counting from when this was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts counting.
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Reads both clocks. Where this thread was held up between the two it reads again, so that a busy machine is not taken for a
    /// wall clock that jumped.
    pub(super) fn read(&self) -> Reading {
        let mut reading = self.once();
        for _ in 0..10 {
            if reading.1 <= TOGETHER {
                break;
            }
            reading = self.once();
        }
        reading.0
    }

    fn once(&self) -> (Reading, Duration) {
        let before = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let monotonic = before.saturating_duration_since(self.start);
        (Reading { monotonic, wall }, before.elapsed())
    }

    /// The moment that the monotonic clock shows `monotonic` at.
    pub(super) fn moment(&self, monotonic: Duration) -> Instant {
        // It overflows some centuries after the longest interval.
        self.start.checked_add(monotonic).unwrap_or(self.start)
    }
}
