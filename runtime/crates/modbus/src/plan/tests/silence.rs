#![expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    Table,
    plan::{Reading, learned::SILENCE_RETRY},
};

const TIMEOUT: ReadError = ReadError::Timeout(std::time::Duration::from_secs(1));

fn span(address: u16, count: u16) -> Span {
    Span::new(1, Table::HoldingRegisters, address, count).unwrap()
}

fn singles(addresses: std::ops::Range<u16>) -> Vec<Span> {
    addresses.map(|address| span(address, 1)).collect()
}

/// A device that ignores requests with some registers, and requests that are too long.
#[derive(Debug, Clone)]
struct Device {
    holes: BTreeSet<u16>,
    /// A request with one of these gets an exception.
    bad: BTreeSet<u16>,
    /// A request that contains one of these and the address before it is ignored.
    borders: BTreeSet<u16>,
    maximum: u16,
    /// The number of requests after which it is dead.
    dies_after: usize,
    requests: Vec<Span>,
    silences: u32,
}

impl Default for Device {
    fn default() -> Self {
        let (holes, bad, borders) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { holes, bad, borders, maximum: 125, dies_after: usize::MAX, requests: Vec::new(), silences: 0 }
    }
}

impl Device {
    fn with_holes(holes: impl IntoIterator<Item = u16>) -> Self {
        Self { holes: holes.into_iter().collect(), ..Self::default() }
    }

    fn answer(&mut self, span: Span) -> Result<Words, RequestError> {
        self.requests.push(span);
        let has = |addresses: &BTreeSet<u16>| addresses.range(span.address()..=span.last()).next().is_some();
        let crosses = self.borders.range(span.address()..=span.last()).any(|border| *border > span.address());
        if self.requests.len() > self.dies_after || has(&self.holes) || crosses || span.count() > self.maximum {
            self.silences += 1;
            return Err(RequestError::NoReply(TIMEOUT));
        }
        if has(&self.bad) {
            return Err(ReadError::Exception(ExceptionCode::ILLEGAL_FUNCTION).into());
        }
        Ok(values(span))
    }

    /// Whether the span can be read alone.
    fn has(&self, span: Span) -> bool {
        self.clone().answer(span).is_ok()
    }

    /// Reads as an endpoint does: after a silence, the rest of a round is skipped. Returns the
    /// results and the number of requests without a reply.
    fn read(
        &mut self,
        spans: &[Span],
        gap: u16,
        learned: &mut Learned,
        now: Instant,
    ) -> (Vec<Result<Words, ReadError>>, u32) {
        let before = self.silences;
        let readable = Readable::everything();
        learned.forget_old(now);
        let mut reading = Reading::new(spans, &readable, RequestLimits::new(125, 2000, gap), learned, |_| false);
        loop {
            let requests = reading.requests();
            if requests.is_empty() {
                return (reading.finish(), self.silences - before);
            }
            let mut is_silent = false;
            let answers: Vec<_> = requests
                .iter()
                .map(|span| {
                    let answer = if is_silent { Err(RequestError::Skipped) } else { self.answer(*span) };
                    is_silent |= matches!(answer, Err(RequestError::NoReply(_)));
                    answer
                })
                .collect();
            reading.take(&answers, learned, now);
        }
    }
}

fn values(span: Span) -> Words {
    Words::Registers((span.address()..=span.last()).map(|address| address ^ 0x5555).collect())
}

fn not_sent(why: NotSent) -> Result<Words, ReadError> {
    Err(ReadError::NotSent(why))
}

#[test]
fn silent_register_costs_three_timeouts_once_and_only_itself() {
    for hole in [1, 37, 98] {
        let mut device = Device::with_holes([hole]);
        let mut learned = Learned::default();
        let now = Instant::now();
        let spans = singles(0..100);
        let (results, silences) = device.read(&spans, 0, &mut learned, now);
        // The whole, a tenth of it, and the register.
        assert_eq!(silences, 3);
        for (span, result) in spans.iter().zip(results) {
            assert_eq!(result, if span.address() == hole { Err(TIMEOUT) } else { Ok(values(*span)) });
        }
        device.requests.clear();
        let (results, silences) = device.read(&spans, 0, &mut learned, now);
        assert_eq!((silences, device.requests.len()), (0, 2));
        assert_eq!(results[usize::from(hole)], not_sent(NotSent::AddressSilent));
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 99);
    }
}

#[test]
fn silent_register_among_a_few_costs_two_timeouts() {
    let mut device = Device::with_holes([5]);
    let (results, silences) = device.read(&singles(0..10), 0, &mut Learned::default(), Instant::now());
    assert_eq!((silences, results.iter().filter(|result| result.is_ok()).count()), (2, 9));
}

#[test]
fn too_long_requests_cost_one_timeout_and_the_next_reads_none() {
    for maximum in [1, 12, 30, 60, 100, 124] {
        let mut device = Device { maximum, ..Device::default() };
        let mut learned = Learned::default();
        let now = Instant::now();
        let spans = singles(0..400);
        let (results, silences) = device.read(&spans, 0, &mut learned, now);
        assert!(results.iter().all(Result::is_ok), "maximum {maximum}");
        // If less than a quarter of the first request is allowed, others are too long as well.
        assert!(silences == 1 || maximum < 31 && silences <= 4, "maximum {maximum}: {silences}");
        let (results, silences) = device.read(&spans, 0, &mut learned, now);
        assert!(results.iter().all(Result::is_ok) && silences == 0, "maximum {maximum}: {silences}");
    }
}

#[test]
fn maximum_of_a_silent_device_is_searched_with_one_timeout_at_a_time() {
    let mut device = Device { maximum: 60, ..Device::default() };
    let mut learned = Learned::default();
    let mut now = Instant::now();
    let spans = singles(0..400);
    for _ in 0..8 {
        let silences: u32 = (0..8).map(|_| device.read(&spans, 0, &mut learned, now).1).sum();
        assert!(silences <= 1, "{silences}");
        now += SILENCE_RETRY;
    }
    device.requests.clear();
    let _ = device.read(&spans, 0, &mut learned, now - SILENCE_RETRY);
    assert_eq!(device.requests.len(), 7);
}

#[test]
fn dead_unit_costs_two_timeouts_and_then_one() {
    let mut device = Device { dies_after: 0, ..Device::default() };
    let mut learned = Learned::default();
    let now = Instant::now();
    let spans = singles(0..300);
    let (results, silences) = device.read(&spans, 0, &mut learned, now);
    assert_eq!(silences, 2);
    assert_eq!((&results[0], &results[299]), (&Err(TIMEOUT), &not_sent(NotSent::UnitSilent)));
    for _ in 0..5 {
        let (results, silences) = device.read(&spans, 0, &mut learned, now);
        assert_eq!((silences, results.iter().filter(|result| **result == Err(TIMEOUT)).count()), (1, 1));
    }
    // It is back: nothing was learned from its silence.
    device.dies_after = usize::MAX;
    device.requests.clear();
    let (results, _) = device.read(&spans, 0, &mut learned, now);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(device.requests.len(), 4);
}

#[test]
fn silent_span_that_is_requested_first_does_not_hide_the_others() {
    let mut device = Device::with_holes([0]);
    let spans = [span(0, 1), span(20, 1), span(40, 1)];
    let (results, silences) = device.read(&spans, 0, &mut Learned::default(), Instant::now());
    assert_eq!(results, [Err(TIMEOUT), Ok(values(spans[1])), Ok(values(spans[2]))]);
    assert_eq!(silences, 1);
}

#[test]
fn request_that_a_noisy_line_lost_once_is_sent_again_in_the_next_read() {
    let mut device = Device::default();
    let mut learned = Learned::default();
    let now = Instant::now();
    let spans = singles(0..100);
    let _ = device.read(&spans, 0, &mut learned, now);
    // Only the next request is lost.
    device.maximum = 99;
    let (results, silences) = device.read(&spans, 0, &mut learned, now);
    assert!(results.iter().all(Result::is_ok) && silences == 1);
    device.maximum = 125;
    device.requests.clear();
    let _ = device.read(&spans, 0, &mut learned, now);
    assert_eq!(device.requests, [span(0, 100)]);
}

#[test]
fn silent_register_is_requested_again_after_a_while() {
    let mut device = Device::with_holes([3, 7]);
    let mut learned = Learned::default();
    let mut now = Instant::now();
    let spans = singles(0..10);
    let _ = device.read(&spans, 0, &mut learned, now);
    now += SILENCE_RETRY;
    // One of them in each read, after all others.
    device.requests.clear();
    let (results, silences) = device.read(&spans, 0, &mut learned, now);
    assert_eq!((&results[3], &results[7]), (&Err(TIMEOUT), &not_sent(NotSent::AddressSilent)));
    assert_eq!((silences, device.requests[3]), (1, span(3, 1)));
    device.holes.clear();
    let (results, _) = device.read(&spans, 0, &mut learned, now);
    assert_eq!((&results[3], &results[7]), (&not_sent(NotSent::AddressSilent), &Ok(values(span(7, 1)))));
    now += SILENCE_RETRY;
    let (results, _) = device.read(&spans, 0, &mut learned, now);
    assert!(results.iter().all(Result::is_ok));
    device.requests.clear();
    let _ = device.read(&spans, 0, &mut learned, now);
    assert_eq!(device.requests, [span(0, 10)]);
}

#[test]
fn read_that_ran_out_of_timeouts_is_continued_by_the_next() {
    let mut device = Device::with_holes((0..125).filter(|address| address % 3 == 1));
    let mut learned = Learned::default();
    let now = Instant::now();
    let spans = singles(0..125);
    let (mut reads, mut silences) = (0, 0);
    loop {
        let (results, more) = device.read(&spans, 0, &mut learned, now);
        assert!(more <= MAX_SILENCES + 1, "{more}");
        reads += 1;
        silences += more;
        if more == 0 {
            assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 83);
            break;
        }
    }
    assert!(reads <= 6, "{reads} reads, {silences} timeouts");
}

#[test]
fn request_across_a_silent_border_is_sent_in_parts_after_two_timeouts() {
    let mut device = Device { borders: [50].into(), ..Device::default() };
    let mut learned = Learned::default();
    let now = Instant::now();
    // A longer request elsewhere shows that it is not the length.
    let spans = [singles(0..100), singles(200..325)].concat();
    for expected in [2, 1, 0, 0] {
        let (results, silences) = device.read(&spans, 0, &mut learned, now);
        assert!(results.iter().all(Result::is_ok) && silences == expected, "{silences} of {expected}");
    }
}

#[derive(Debug, Clone)]
struct Case {
    device: Device,
    spans: Vec<Span>,
    gap: u16,
}

fn cases() -> impl Strategy<Value = Case> {
    (
        prop::collection::btree_set(0..60_u16, 0..6),
        prop::collection::btree_set(0..60_u16, 0..4),
        prop_oneof![3 => Just(BTreeSet::new()), 1 => prop::collection::btree_set(0..60_u16, 1..3)],
        prop_oneof![Just(125_u16), 3..40_u16],
        prop::collection::vec((0..56_u16, 1..4_u16), 1..40),
        prop_oneof![3 => Just(0_u16), 1 => 1..6_u16],
    )
        .prop_map(|(holes, bad, borders, maximum, spans, gap)| Case {
            device: Device { holes, bad, borders, maximum, ..Device::default() },
            spans: spans.iter().map(|&(address, count)| span(address, count)).collect(),
            gap,
        })
}

/// Whether the unit was treated as dead, or too many requests got no reply.
fn is_stopped(results: &[Result<Words, ReadError>], learned: &Learned) -> bool {
    learned.silent_reads(Unit::new(1).unwrap()) > 0 || results.contains(&not_sent(NotSent::TooManySilences))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn each_readable_span_is_read_unless_the_reason_says_otherwise(case in cases()) {
        let Case { mut device, spans, gap } = case;
        let mut learned = Learned::default();
        let now = Instant::now();
        for _ in 0..4 {
            let (results, silences) = device.read(&spans, gap, &mut learned, now);
            prop_assert!(silences <= MAX_SILENCES + 1);
            let stopped = is_stopped(&results, &learned);
            for (span, result) in spans.iter().zip(results) {
                match result {
                    Ok(found) => prop_assert!(device.has(*span) && found == values(*span)),
                    Err(error) => prop_assert!(!device.has(*span) || stopped, "{}: {}", span, error),
                }
            }
        }
    }

    #[test]
    fn what_was_learned_ends_all_timeouts_and_leaves_each_readable_span_read(case in cases()) {
        let Case { mut device, spans, gap } = case;
        let mut learned = Learned::default();
        let now = Instant::now();
        if !spans.iter().any(|span| device.has(*span) || device.answer(*span) != Err(RequestError::NoReply(TIMEOUT))) {
            // To the reader it is dead.
            return Ok(());
        }
        // Each read that finds something out ends with fewer than this, and most with none.
        for _ in 0..20 {
            let (_, silences) = device.read(&spans, gap, &mut learned, now);
            prop_assert!(silences <= MAX_SILENCES + 1);
        }
        let (results, silences) = device.read(&spans, gap, &mut learned, now);
        prop_assert_eq!(silences, 0);
        for (span, result) in spans.iter().zip(results) {
            prop_assert_eq!(result.is_ok(), device.has(*span), "{}", span);
        }
    }

    #[test]
    fn reads_that_were_not_stopped_leave_no_timeouts_to_the_next(case in cases()) {
        let Case { mut device, spans, gap } = case;
        let mut learned = Learned::default();
        let now = Instant::now();
        let mut stopped = false;
        // In the second read, a span that was used for the check in the first is a part of a request.
        for _ in 0..2 {
            let (results, _) = device.read(&spans, gap, &mut learned, now);
            stopped |= is_stopped(&results, &learned);
        }
        // A request that crosses a border, or a silent register in a gap, is treated as lost once.
        if gap == 0 && device.borders.is_empty() && !stopped {
            prop_assert_eq!(device.read(&spans, gap, &mut learned, now).1, 0);
        }
    }

    #[test]
    fn unit_that_dies_during_a_read_costs_two_timeouts_more(case in cases(), dies_after in 0..40_usize) {
        let Case { mut device, spans, gap } = case;
        let mut alive = device.clone();
        device.dies_after = dies_after;
        let now = Instant::now();
        let (mut learned, mut learned_alive) = (Learned::default(), Learned::default());
        let (_, silences) = device.read(&spans, gap, &mut learned, now);
        let _ = alive.read(&spans, gap, &mut learned_alive, now);
        // The requests before its death are the same; those after it are the silent one and the check.
        let before: Vec<_> = alive.requests.iter().take(dies_after).copied().collect();
        prop_assert_eq!(&before, &device.requests[..before.len()]);
        prop_assert!(device.requests.len() <= dies_after + 2, "{} after {}", device.requests.len(), dies_after);
        prop_assert!(silences <= MAX_SILENCES + 1);
        // All the next reads cost one timeout.
        if device.requests.len() == dies_after + 2 {
            prop_assert_eq!(device.read(&spans, gap, &mut learned, now).1, 1);
        }
    }
}
