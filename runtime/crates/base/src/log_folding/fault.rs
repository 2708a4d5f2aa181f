//! A fault that each attempt at something meets, or does not.

use std::time::{Duration, Instant};

use super::{LineDecision, LineKind, LogFolding, Over, rounded};

/// The log of something that is attempted again and again.
#[derive(Debug, Default)]
pub struct FaultLog(LogFolding);

impl FaultLog {
    /// An attempt failed. Returns the line to log; without one, it is counted.
    pub fn failed(&mut self, now: Instant, text: &str) -> Option<String> {
        let decision = self.0.line(now, LineKind::Failure, text);
        self.0.round_ended(now, false);
        match decision {
            LineDecision::Log | LineDecision::LogAgain { folded: 0, .. } => Some(text.to_owned()),
            LineDecision::LogAgain { folded, within } => Some(format!("{text}{}", more(folded, within))),
            LineDecision::Full(count) => Some(format!("{text} (and {count} other lines that were not logged)")),
            LineDecision::Fold => None,
        }
    }

    /// An attempt succeeded. Returns what is over, to be logged.
    pub fn works(&mut self, now: Instant) -> Option<Over> {
        if self.is_open() { self.0.round_ended(now, true) } else { None }
    }

    /// Whether there was a fault whose end was not returned.
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// The next line is logged in any case.
    pub fn repeat(&mut self) {
        self.0.repeat();
    }
}

/// That lines like the one before were not logged.
pub fn more(folded: u64, within: Duration) -> String {
    format!(" (and {folded} more like this in {})", rounded(within))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::FaultLog;

    #[test]
    fn fault_is_one_line_and_its_end_is_one_also_when_it_comes_and_goes() {
        let (mut log, mut now) = (FaultLog::default(), Instant::now());
        let mut lines = Vec::new();
        for second in 0..3600 {
            now += Duration::from_secs(1);
            if second % 20 < 10 {
                lines.extend(log.failed(now, "no space left"));
            } else {
                lines.extend(log.works(now).map(|over| over.to_string()));
            }
        }
        assert_eq!(lines, ["no space left", "\"no space left\" (10 times in 9s)", "no space left"]);
        now += Duration::from_mins(2);
        assert_eq!(
            log.works(now).map(|over| over.to_string()).as_deref(),
            Some("\"no space left\" (1790 times in 59m 29s)")
        );
        assert!(!log.is_open() && log.works(now).is_none());
    }
}
