//! Claims about which lines are logged, on a clock that the tests move.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{FIRST_CALM, LineDecision, LineKind, LogFolding, Over, PATTERNS, REPEAT, TEXTS, budget::BURST};

const SECOND: Duration = Duration::from_secs(1);

/// A folding, and a clock.
struct Fixture {
    folding: LogFolding,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self { folding: LogFolding::default(), now: Instant::now() }
    }

    fn line(&mut self, text: &str) -> LineDecision {
        self.folding.line(self.now, LineKind::Problem, text)
    }

    /// A round of a second with these lines: whether each was logged, and what was over.
    fn round(&mut self, texts: &[&str], is_complete: bool) -> (Vec<bool>, Option<Over>) {
        let logged = texts.iter().map(|text| self.line(text) == LineDecision::Log).collect();
        let over = self.folding.round_ended(self.now, is_complete);
        self.now += SECOND;
        (logged, over)
    }
}

/// How often the pattern occurred that is over.
fn times(over: &Over) -> u64 {
    over.first.as_ref().map_or(0, |line| line.times)
}

#[test]
fn fault_that_lasts_is_one_line_and_its_end_is_one() {
    let mut fixture = Fixture::new();
    let lines = ["plc1: no connection", "plc1: span left out", "plc1: nothing read", "site: 503"];
    let mut logged = 0;
    for _ in 0..54 {
        let (each, over) = fixture.round(&lines, true);
        logged += each.into_iter().filter(|logged| *logged).count();
        assert_eq!(over, None);
    }
    assert_eq!(logged, 4);
    let (_, over) = fixture.round(&[], true);
    let over = over.map(|over| over.to_string()).unwrap_or_default();
    assert_eq!(over, "\"plc1: no connection\" (54 times in 53s) and 3 other lines (162 times)");
    assert_eq!(fixture.round(&[], true).1, None);
}

#[test]
fn changed_message_is_logged_at_once() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.round(&["connection refused"], true).0, [true]);
    assert_eq!(fixture.round(&["connection refused"], true).0, [false]);
    assert_eq!(fixture.round(&["connection refused", "no route to host"], true).0, [false, true]);
}

#[test]
fn lines_with_other_numbers_are_logged_a_few_times() {
    let mut fixture = Fixture::new();
    let decisions: Vec<LineDecision> =
        (0..1000).map(|number| fixture.line(&format!("no reply within {number} ms"))).collect();
    assert_eq!(decisions.iter().filter(|decision| **decision == LineDecision::Log).count(), TEXTS);
    assert!(decisions.iter().take(TEXTS).all(|decision| *decision == LineDecision::Log), "the first ones");
    fixture.round(&[], true);
    let over = fixture.round(&[], true).1.map(|over| over.to_string()).unwrap_or_default();
    assert_eq!(over, "\"no reply within 0 ms\" and lines like it (1000 times)");
}

#[test]
fn line_that_lasts_is_repeated_each_hour_with_the_number_of_the_others() {
    let mut fixture = Fixture::new();
    let mut again = Vec::new();
    for second in 0..=3 * 3600 {
        if let LineDecision::LogAgain { folded, within } = fixture.line("no connection") {
            again.push((second, folded, within));
        }
        fixture.round(&[], true);
    }
    assert_eq!(again, [(3600, 3599, REPEAT), (7200, 3599, REPEAT), (10_800, 3599, REPEAT)]);
}

#[test]
fn incomplete_round_does_not_end_a_fault_until_an_hour_has_passed() {
    let mut fixture = Fixture::new();
    fixture.round(&["no connection"], true);
    for _ in 0..3598 {
        assert_eq!(fixture.round(&[], false).1, None);
    }
    fixture.round(&[], false);
    assert!(fixture.round(&[], false).1.is_some());
}

#[test]
fn fault_that_comes_and_goes_each_second_is_a_few_lines_an_hour() {
    let mut fixture = Fixture::new();
    let mut lines = 0;
    for round in 0..3600 {
        let texts: &[&str] = if round % 2 == 0 { &["no connection"] } else { &[] };
        let (logged, over) = fixture.round(texts, true);
        lines += logged.into_iter().filter(|logged| *logged).count() + usize::from(over.is_some());
    }
    // It is logged, over, and logged again; from then on it is never absent for a minute.
    assert_eq!(lines, 3);
    // Its end is still one line.
    let quiet = (0..FIRST_CALM.as_secs() + 2).filter_map(|_| fixture.round(&[], true).1);
    let over: Vec<Over> = quiet.collect();
    assert_eq!(over.iter().map(times).collect::<Vec<_>>(), [1799]);
}

#[test]
fn pattern_that_was_over_for_an_hour_is_forgotten() {
    let mut fixture = Fixture::new();
    for _ in 0..3 {
        assert_eq!(fixture.round(&["no connection"], true).0, [true]);
        assert!(fixture.round(&[], true).1.is_some());
        fixture.now += REPEAT;
        fixture.round(&[], true);
    }
}

#[test]
fn information_that_is_not_repeated_is_never_over() {
    let mut fixture = Fixture::new();
    let info = |fixture: &mut Fixture| fixture.folding.line(fixture.now, LineKind::Information, "began");
    assert_eq!(info(&mut fixture), LineDecision::Log);
    fixture.round(&[], true);
    assert_eq!(fixture.round(&[], true).1, None);
    info(&mut fixture);
    fixture.round(&[], true);
    assert_eq!(info(&mut fixture), LineDecision::Fold);
    fixture.round(&[], true);
    fixture.now += REPEAT;
    assert_eq!(fixture.round(&[], true).1.as_ref().map(times), Some(2));
}

#[test]
fn failure_is_named_before_everything_else_that_is_over() {
    let mut fixture = Fixture::new();
    (0..9).for_each(|_| {
        fixture.line("no connection");
    });
    fixture.folding.line(fixture.now, LineKind::Failure, "the collector failed");
    fixture.round(&[], false);
    let over = fixture.round(&[], true).1.unwrap();
    assert_eq!((over.others, over.other_times), (1, 9));
    let first = over.first.unwrap();
    assert_eq!((first.kind, first.text.as_str()), (LineKind::Failure, "the collector failed"));
}

#[test]
fn different_words_in_each_line_are_bounded_and_counted_and_hide_no_failure() {
    let mut fixture = Fixture::new();
    let word = |number: u32| -> String {
        number.to_string().chars().map(|digit| (digit as u8 + b'g' - b'0') as char).collect()
    };
    let decisions: Vec<LineDecision> = (0..10_000).map(|number| fixture.line(&word(number))).collect();
    let count = |of: LineDecision| decisions.iter().filter(|decision| **decision == of).count();
    assert_eq!((count(LineDecision::Log), count(LineDecision::Full(1))), (BURST as usize, 1));
    assert_eq!(fixture.folding.line(fixture.now, LineKind::Failure, "the collector failed"), LineDecision::Log);
    fixture.round(&[], true);
    let over = fixture.round(&[], true).1.unwrap();
    assert_eq!((over.beyond, over.others), (10_000 - u64::from(BURST), u64::from(BURST)));
}

#[test]
fn repeat_logs_each_line_once_more() {
    let mut fixture = Fixture::new();
    fixture.round(&["no connection"], true);
    fixture.round(&["no connection"], true);
    fixture.folding.repeat();
    assert_eq!(fixture.line("no connection"), LineDecision::LogAgain { folded: 1, within: 2 * SECOND });
    assert_eq!(fixture.line("no connection"), LineDecision::Fold);
}

/// What happens in a round: its length in milliseconds, its lines (kind, word, number), and whether
/// it is complete.
type Round = (u64, Vec<(u8, u8, u8)>, bool);

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let line = (0..3_u8, any::<u8>(), any::<u8>());
    let round = (1..10_000_u64, prop::collection::vec(line, 0..40), prop::bool::weighted(0.8));
    prop::collection::vec(round, 1..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn lines_of_an_hour_are_bounded_whatever_comes_and_everything_is_forgotten_at_last(rounds in rounds()) {
        let mut folding = LogFolding::default();
        let began = Instant::now();
        let mut now = began;
        let mut logged = Vec::new();
        for (millis, lines, is_complete) in rounds {
            for (kind, word, number) in lines {
                let kind = [LineKind::Information, LineKind::Problem, LineKind::Failure][usize::from(kind)];
                let word: String = format!("{word:08b}").chars().map(|bit| if bit == '0' { 'x' } else { 'y' }).collect();
                match folding.line(now, kind, &format!("{word} {number}")) {
                    LineDecision::Fold => {}
                    LineDecision::Log | LineDecision::LogAgain { .. } | LineDecision::Full(_) => logged.push(now),
                }
            }
            if folding.round_ended(now, is_complete).is_some() {
                logged.push(now);
            }
            now += Duration::from_millis(millis);
        }
        // New lines of three kinds, one repetition of each pattern, one line for each round that ends some of them.
        for first in &logged {
            let hour = logged.iter().filter(|at| *at >= first && **at < *first + REPEAT).count();
            prop_assert!(hour <= 3 * (BURST as usize + 61) * 2 + PATTERNS + 2, "{hour}");
        }
        now += REPEAT;
        folding.round_ended(now, true);
        folding.round_ended(now, true);
        prop_assert!(folding.patterns.is_empty() && folding.beyond.is_none());
    }

    /// A fault of one pattern: what is over adds up to what occurred.
    #[test]
    fn number_of_lines_that_are_over_is_the_number_that_occurred(occurs in prop::collection::vec(0..4_u8, 1..300)) {
        let mut fixture = Fixture::new();
        let (mut all, mut told) = (0, 0);
        for count in occurs {
            for number in 0..count {
                all += 1;
                fixture.line(&format!("span {number}: no reply"));
            }
            told += fixture.round(&[], true).1.as_ref().map_or(0, times);
        }
        told += fixture.round(&[], true).1.as_ref().map_or(0, times);
        fixture.now += REPEAT;
        told += fixture.round(&[], true).1.as_ref().map_or(0, times);
        prop_assert_eq!(told, all);
    }
}
