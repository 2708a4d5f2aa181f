//! The state of a collector, as metrics and status name it.

use super::collector_stats::{StatsSnapshot, TerminationReason};

/// The state of a collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectorState {
    /// Its last collection completed.
    Ok,
    /// The same, but requests to devices or origins failed.
    Partial,
    /// Its last collection did not complete.
    Failing,
    /// No module could be loaded.
    NotLoaded,
    /// Its first module is being loaded.
    Loading,
    /// It has not collected yet.
    New,
}

impl CollectorState {
    /// All states.
    pub(super) const ALL: [Self; 6] =
        [Self::Ok, Self::Partial, Self::Failing, Self::NotLoaded, Self::Loading, Self::New];

    /// The state of a collector with these statistics.
    pub fn of(stats: &StatsSnapshot) -> Self {
        match (&stats.sha256, &stats.last) {
            (None, _) if stats.loading && stats.load_error.is_none() => Self::Loading,
            (None, _) => Self::NotLoaded,
            (Some(_), None) => Self::New,
            (Some(_), Some(last)) => match last.reason {
                TerminationReason::Completed => Self::Ok,
                TerminationReason::Partial => Self::Partial,
                _ => Self::Failing,
            },
        }
    }

    /// Its name in metrics and status.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failing => "failing",
            Self::NotLoaded => "not_loaded",
            Self::Loading => "loading",
            Self::New => "new",
        }
    }
}
