//! Log folding: a line that occurs again and again is logged once, then counted.
//!
//! A fault that lasts makes each *round* (a collection, an attempt to connect) report the same
//! lines. Here is decided which of them are logged:
//!
//! - The first line of a pattern (a text with `#` for each number) is logged at once, and so are a
//!   few lines of the same pattern with other numbers in them. Further ones are counted.
//! - While a pattern occurs, one of its lines is logged each hour, with the number of the others.
//! - When a round is complete and a pattern did not occur in it, the pattern is *over*, and one line
//!   says how often it occurred. All patterns that are over in one round share that line.
//! - A pattern that comes back soon is logged at once. It is over only after a time without it,
//!   which doubles each time that it comes back. So what comes and goes is logged rarely, too.
//! - Each kind of line has a budget of new lines. Lines beyond it are counted together.
//!
//! Nothing here logs, waits or looks at a clock. Time comes in as an argument.

mod budget;
mod fault;
mod pattern;

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    time::{Duration, Instant},
};

use self::budget::Budget;
pub use self::fault::{FaultLog, more};
use crate::text::{counted, one_line};

/// How often a line is logged while it lasts. A pattern that was over for this time is forgotten.
pub const REPEAT: Duration = Duration::from_hours(1);
/// How long a pattern that came back has to be absent to be over: the first time, and at most.
const FIRST_CALM: Duration = Duration::from_mins(1);
const LONGEST_CALM: Duration = REPEAT;
/// How many different lines of one pattern are logged.
const TEXTS: usize = 8;
/// How many patterns are remembered.
const PATTERNS: usize = 128;
/// How much of a line is shown again when it is over, in bytes.
const MAX_SHOWN: usize = 200;

/// Who reports a line, and what it is about. The kinds do not share a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// Information from code that is not ours.
    Information,
    /// A problem that code reports which is not ours.
    Problem,
    /// A problem that this program reports.
    Ours,
    /// That a round failed.
    Failure,
}

/// What to do with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineDecision {
    /// Log it.
    Log,
    /// Log it, and that so many like it were not logged in this time.
    LogAgain {
        /// How many.
        folded: u64,
        /// Since when.
        within: Duration,
    },
    /// Do not log it: it is counted.
    Fold,
    /// Do not log it: there were too many different lines, and so many of them were not logged until
    /// now. That is to be logged.
    Full(u64),
}

/// The lines of one source.
#[derive(Debug, Default)]
pub struct LogFolding {
    patterns: HashMap<u64, PatternState>,
    /// The lines beyond the budgets, as if they were one pattern.
    beyond: Option<PatternState>,
    hasher: RandomState,
    information: Budget,
    problems: Budget,
    ours: Budget,
    round: u64,
}

/// How long a fault has to be absent to be over: not at all the first time, and longer each time that
/// it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Calm(Duration);

impl Calm {
    /// The fault comes back.
    pub fn comes_back(&mut self) {
        self.0 = if self.0.is_zero() { FIRST_CALM } else { self.0.saturating_mul(2).min(LONGEST_CALM) };
    }

    /// Whether a fault is over that was absent for this time.
    pub fn is_enough(self, absent: Duration) -> bool {
        absent >= self.0
    }
}

/// A pattern that occurred.
#[derive(Debug)]
struct PatternState {
    kind: LineKind,
    /// Its first line.
    text: String,
    /// The hashes of its lines that were logged.
    texts: Vec<u64>,
    /// The round in which it occurred last, and when.
    round: u64,
    seen: Instant,
    /// When it began to occur, and how often it has occurred since then.
    began: Instant,
    times: u64,
    /// When it was logged, how many lines were not logged since then, and since it began.
    logged: Instant,
    folded: u64,
    all_folded: u64,
    calm: Calm,
    is_over: bool,
    /// Whether its next line is logged in any case.
    repeats: bool,
}

impl PatternState {
    fn new(kind: LineKind, text: &str, hash: u64, round: u64, now: Instant) -> Self {
        Self {
            kind,
            text: one_line(text, MAX_SHOWN),
            texts: vec![hash],
            round,
            seen: now,
            began: now,
            times: 1,
            logged: now,
            folded: 0,
            all_folded: 0,
            calm: Calm::default(),
            is_over: false,
            repeats: false,
        }
    }

    /// It occurs in this round.
    fn occurs(&mut self, round: u64, now: Instant) {
        (self.round, self.seen) = (round, now);
        self.times = self.times.saturating_add(1);
    }

    /// It occurs after it was over.
    fn comes_back(&mut self, round: u64, now: Instant) {
        self.calm.comes_back();
        (self.round, self.seen, self.began, self.times) = (round, now, now, 1);
        (self.logged, self.folded, self.all_folded) = (now, 0, 0);
        (self.is_over, self.repeats) = (false, false);
    }

    fn fold(&mut self) -> LineDecision {
        self.folded = self.folded.saturating_add(1);
        self.all_folded = self.all_folded.saturating_add(1);
        LineDecision::Fold
    }

    /// How many lines were not logged, if it is time to log it again.
    fn is_due(&mut self, now: Instant) -> Option<LineDecision> {
        let within = now.saturating_duration_since(self.logged);
        (within >= REPEAT || self.repeats).then(|| {
            (self.logged, self.repeats) = (now, false);
            LineDecision::LogAgain { folded: std::mem::take(&mut self.folded), within }
        })
    }

    /// Whether it is over after this round, in which it did not occur.
    fn ends(&self, is_complete: bool, now: Instant) -> bool {
        let absent = now.saturating_duration_since(self.seen);
        absent >= REPEAT || (is_complete && self.calm.is_enough(absent))
    }
}

impl LogFolding {
    /// Decides about a line.
    pub fn line(&mut self, now: Instant, kind: LineKind, text: &str) -> LineDecision {
        let hash = self.hasher.hash_one(text);
        let key = self.hasher.hash_one((kind, pattern::pattern(text)));
        let round = self.round;
        let budget = match kind {
            LineKind::Information => &mut self.information,
            LineKind::Problem => &mut self.problems,
            LineKind::Ours | LineKind::Failure => &mut self.ours,
        };
        let Some(state) = self.patterns.get_mut(&key) else {
            if !make_room(&mut self.patterns) || !budget.take(now) {
                return self.beyond(now);
            }
            self.patterns.insert(key, PatternState::new(kind, text, hash, round, now));
            return LineDecision::Log;
        };
        if state.is_over {
            state.comes_back(round, now);
            return if budget.take(now) { LineDecision::Log } else { state.fold() };
        }
        state.occurs(round, now);
        if let Some(again) = state.is_due(now) {
            return again;
        }
        let is_other = state.texts.len() < TEXTS && !state.texts.contains(&hash);
        if is_other && budget.take(now) {
            state.texts.push(hash);
            return LineDecision::Log;
        }
        state.fold()
    }

    /// A line that is one too many.
    fn beyond(&mut self, now: Instant) -> LineDecision {
        let Some(state) = &mut self.beyond else {
            let mut state = PatternState::new(LineKind::Ours, "", 0, self.round, now);
            state.fold();
            self.beyond = Some(state);
            return LineDecision::Full(1);
        };
        if state.is_over {
            state.comes_back(self.round, now);
            state.fold();
            return LineDecision::Full(1);
        }
        state.occurs(self.round, now);
        state.fold();
        state.is_due(now).map_or(LineDecision::Fold, |_| LineDecision::Full(state.all_folded))
    }

    /// A round has ended. Only one that is complete can show that a pattern no longer occurs: one
    /// that failed may have ended before.
    ///
    /// Returns what is over.
    pub fn round_ended(&mut self, now: Instant, is_complete: bool) -> Option<Over> {
        let round = self.round;
        self.round = round.wrapping_add(1);
        let ends = |state: &PatternState| !state.is_over && state.round != round && state.ends(is_complete, now);
        let mut over: Vec<&mut PatternState> = self.patterns.values_mut().filter(|state| ends(state)).collect();
        over.sort_by(|one, other| {
            let rank = |state: &PatternState| (std::cmp::Reverse((state.kind, state.times)), state.began);
            rank(one).cmp(&rank(other)).then_with(|| one.text.cmp(&other.text))
        });
        for state in &mut over {
            state.is_over = true;
        }
        // A line of information that is not repeated is no problem that is over.
        over.retain(|state| state.kind != LineKind::Information || state.all_folded > 0);
        let mut told = over.into_iter();
        let first = told.next().map(|state| OverLine {
            kind: state.kind,
            text: state.text.clone(),
            has_variants: state.texts.len() > 1,
            times: state.times,
            lasted: state.seen.saturating_duration_since(state.began),
        });
        let (others, other_times) = told
            .fold((0_u64, 0_u64), |(count, times), state| (count.saturating_add(1), times.saturating_add(state.times)));
        let beyond = self.beyond.as_mut().filter(|state| ends(state)).map_or(0, |state| {
            state.is_over = true;
            state.all_folded
        });
        let forgotten = |state: &PatternState| state.is_over && now.saturating_duration_since(state.seen) >= REPEAT;
        self.patterns.retain(|_, state| !forgotten(state));
        self.beyond.take_if(|state| forgotten(state));
        (first.is_some() || beyond > 0).then_some(Over { first, others, other_times, beyond })
    }

    /// Whether something occurs that was not reported to be over.
    pub fn is_open(&self) -> bool {
        self.patterns.values().chain(&self.beyond).any(|state| !state.is_over)
    }

    /// The next line of each pattern that occurs is logged, as if an hour had passed: an operator
    /// has changed something, and wants to see what came of it.
    pub fn repeat(&mut self) {
        for state in self.patterns.values_mut() {
            state.repeats = true;
        }
    }
}

/// Whether there is room for one more pattern. Of those that are over, the oldest makes room.
fn make_room(patterns: &mut HashMap<u64, PatternState>) -> bool {
    if patterns.len() < PATTERNS {
        return true;
    }
    let over = patterns.iter().filter(|(_, state)| state.is_over);
    let oldest = over.min_by_key(|(_, state)| state.seen).map(|(key, _)| *key);
    oldest.is_some_and(|key| patterns.remove(&key).is_some())
}

/// What is over since a round. It shows how often it occurred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// The pattern that matters most, unless only lines beyond the budget are over.
    pub first: Option<OverLine>,
    /// How many other patterns are over.
    pub others: u64,
    /// How often these occurred together.
    pub other_times: u64,
    /// How many lines beyond the budget were not logged, if their flood is over.
    pub beyond: u64,
}

/// A pattern that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverLine {
    /// Its kind.
    pub kind: LineKind,
    /// Its first line, shortened.
    pub text: String,
    /// Whether others had other numbers in them.
    pub has_variants: bool,
    /// How often it occurred.
    pub times: u64,
    /// From the first to the last time.
    pub lasted: Duration,
}

impl fmt::Display for OverLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alike = if self.has_variants { " and lines like it" } else { "" };
        let often = match self.times {
            1 => "once".to_owned(),
            times if self.lasted < Duration::from_millis(500) => format!("{times} times"),
            times => format!("{times} times in {}", rounded(self.lasted)),
        };
        write!(f, "\"{}\"{alike} ({often})", self.text)
    }
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.first.iter().map(ToString::to_string).collect();
        if self.others > 0 {
            let times = counted(self.other_times, "time", "times");
            parts.push(format!("{} ({times})", counted(self.others, "other line", "other lines")));
        }
        if self.beyond > 0 {
            parts.push(format!("{} beyond the limit of different lines", counted(self.beyond, "line", "lines")));
        }
        f.write_str(&parts.join(" and "))
    }
}

/// A duration for people, in whole seconds.
pub fn rounded(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_millis() >= 500));
    let (hours, minutes) = (seconds.div_euclid(3600), seconds.div_euclid(60).rem_euclid(60));
    match (hours, minutes, seconds.rem_euclid(60)) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests; a panic fails the test, as it should")]
mod tests;
