#![expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{
    ExceptionCode, ReadError, Readable, Words,
    error::RequestError,
    plan::{Reading, RequestLimits, runs::MAX_RUNS},
};

fn span(address: u16, count: u16) -> Span {
    Span::new(1, Table::HoldingRegisters, address, count).unwrap()
}

/// A device with bad registers, borders that no request may cross, and its own maximum.
#[derive(Debug, Clone, Default)]
struct Device {
    bad: BTreeSet<u16>,
    /// A request must not contain both this address and the one before it.
    borders: BTreeSet<u16>,
    maximum: u16,
    requests: Vec<Span>,
}

impl Device {
    fn answer(&mut self, span: Span) -> Result<Words, ReadError> {
        self.requests.push(span);
        let run = span.address()..=span.last();
        let crosses = self.borders.range(run.clone()).any(|border| *border > span.address());
        if span.count() > self.maximum || crosses || self.bad.range(run.clone()).next().is_some() {
            return Err(ReadError::Exception(ExceptionCode::ILLEGAL_DATA_ADDRESS));
        }
        Ok(Words::Registers(run.map(|address| address ^ 0x5555).collect()))
    }

    /// Whether the span can be read.
    fn has(&self, span: Span) -> bool {
        Self { requests: Vec::new(), ..self.clone() }.answer(span).is_ok()
    }

    /// Reads, and returns the number of requests.
    fn read(
        &mut self,
        spans: &[Span],
        gap: u16,
        learned: &mut Learned,
        now: Instant,
    ) -> (Vec<Result<Words, ReadError>>, usize) {
        let before = self.requests.len();
        let readable = Readable::everything();
        learned.forget_old(now);
        let mut reading = Reading::new(spans, &readable, RequestLimits::new(125, 2000, gap), learned, |_| false);
        loop {
            let requests = reading.requests();
            if requests.is_empty() {
                return (reading.finish(), self.requests.len() - before);
            }
            let answers: Vec<_> = requests.iter().map(|span| self.answer(*span).map_err(RequestError::from)).collect();
            reading.take(&answers, learned, now);
        }
    }
}

fn singles(addresses: std::ops::Range<u16>) -> Vec<Span> {
    addresses.map(|address| span(address, 1)).collect()
}

#[test]
fn bad_register_costs_one_request_from_the_second_read_on() {
    let mut device = Device { bad: [37].into(), maximum: 125, ..Device::default() };
    let mut learned = Learned::default();
    let now = Instant::now();
    let spans = singles(0..100);
    let (results, first) = device.read(&spans, 0, &mut learned, now);
    assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
    assert!(first > 10, "{first}");
    device.requests.clear();
    assert_eq!(device.read(&spans, 0, &mut learned, now), (results, 3));
    assert_eq!(device.requests, [span(0, 37), span(37, 1), span(38, 62)]);
}

#[test]
fn no_gap_contains_a_register_that_is_known_to_be_bad() {
    let mut device = Device { bad: [5].into(), maximum: 125, ..Device::default() };
    let mut learned = Learned::default();
    let now = Instant::now();
    let _ = device.read(&[span(5, 1)], 0, &mut learned, now);
    device.requests.clear();
    let (results, requests) = device.read(&[span(4, 1), span(6, 1)], 9, &mut learned, now);
    assert!(results.iter().all(Result::is_ok) && requests == 2);
}

#[test]
fn maximum_of_a_device_is_found_within_seven_reads_and_then_used() {
    for maximum in [1, 2, 30, 63, 64, 99, 100, 124] {
        let mut device = Device { maximum, ..Device::default() };
        let mut learned = Learned::default();
        let now = Instant::now();
        let spans = singles(0..1000);
        for _ in 0..7 {
            let (results, _) = device.read(&spans, 0, &mut learned, now);
            assert!(results.iter().all(Result::is_ok));
        }
        let (_, requests) = device.read(&spans, 0, &mut learned, now);
        assert_eq!(requests, usize::from(1000_u16.div_ceil(maximum)), "maximum {maximum}");
    }
}

#[test]
fn maximum_is_found_if_no_request_can_have_the_middle_length() {
    // After the first read, 5 registers are known to succeed and 8 to fail; these spans form
    // requests of 7 registers, but none of 6.
    let mut device = Device { maximum: 7, ..Device::default() };
    let mut learned = Learned::default();
    let now = Instant::now();
    let spans = [(52, 3), (47, 3), (43, 1), (43, 1), (44, 3), (49, 3)].map(|(address, count)| span(address, count));
    let _ = device.read(&spans, 0, &mut learned, now);
    device.requests.clear();
    assert_eq!(device.read(&spans, 0, &mut learned, now).1, 2);
    assert_eq!(device.requests, [span(43, 7), span(49, 6)]);
}

#[test]
fn border_is_not_a_maximum_once_a_longer_request_succeeded() {
    let mut device = Device { borders: [250].into(), maximum: 125, ..Device::default() };
    let mut learned = Learned::default();
    let now = Instant::now();
    // The border is inside the third request.
    let spans = singles(0..310);
    for _ in 0..4 {
        let (results, _) = device.read(&spans[5..], 0, &mut learned, now);
        assert!(results.iter().all(Result::is_ok));
    }
    assert_eq!(learned.lengths(Unit::new(1).unwrap(), Table::HoldingRegisters).attempt, u16::MAX);
    let (_, requests) = device.read(&spans[5..], 0, &mut learned, now);
    assert_eq!(requests, 3);
}

#[test]
fn register_that_works_again_is_no_longer_bad() {
    let mut device = Device { bad: [3].into(), maximum: 125, ..Device::default() };
    let mut learned = Learned::default();
    let now = Instant::now();
    let spans = singles(0..8);
    let _ = device.read(&spans, 0, &mut learned, now);
    device.bad.clear();
    assert_eq!(device.read(&spans, 0, &mut learned, now).1, 3);
    assert_eq!(device.read(&spans, 0, &mut learned, now).1, 1);
}

#[test]
fn failure_that_was_not_seen_again_is_forgotten_after_its_lifetime() {
    let mut device = Device { maximum: 50, ..Device::default() };
    let mut learned = Learned::default();
    let then = Instant::now();
    let _ = device.read(&singles(0..100), 0, &mut learned, then);
    let _ = device.read(&[span(200, 51)], 0, &mut learned, then);
    assert!(
        learned.is_bad(span(200, 51)) && learned.lengths(Unit::new(1).unwrap(), Table::HoldingRegisters).attempt < 100
    );
    learned.forget_old(then + LIFETIME);
    assert!(!learned.is_bad(span(200, 51)));
    assert_eq!(learned.lengths(Unit::new(1).unwrap(), Table::HoldingRegisters).attempt, u16::MAX);
}

#[test]
fn failed_ranges_are_bounded_and_the_oldest_is_forgotten_first() {
    let mut learned = Learned::default();
    let start = Instant::now();
    for index in 0..=u16::try_from(MAX_RUNS).unwrap() {
        learned.failed_alone(span(index * 2, 1), start + Duration::from_secs(index.into()));
    }
    assert!(!learned.is_bad(span(0, 1)));
    assert!(learned.is_bad(span(2, 1)) && learned.is_bad(span(u16::try_from(MAX_RUNS).unwrap() * 2, 1)));
}

proptest! {
    #[test]
    fn each_span_has_its_values_or_its_own_failure_whatever_was_learned(
        bad in prop::collection::btree_set(0..60_u16, 0..6),
        borders in prop::collection::btree_set(0..60_u16, 0..3),
        maximum in 3..30_u16,
        gap in 0..4_u16,
        reads in prop::collection::vec(prop::collection::vec((0..56_u16, 1..4_u16), 1..30), 1..6),
    ) {
        let mut device = Device { bad, borders, maximum, requests: Vec::new() };
        let mut learned = Learned::default();
        let now = Instant::now();
        for read in reads {
            let spans: Vec<_> = read.iter().map(|&(address, count)| span(address, count)).collect();
            let (results, _) = device.read(&spans, gap, &mut learned, now);
            for (span, result) in spans.iter().zip(results) {
                let expected = device.answer(*span);
                prop_assert_eq!(result, expected, "{}", span);
            }
        }
    }

    #[test]
    fn repeated_read_requests_bad_spans_alone_and_the_others_with_the_fewest_requests(
        bad in prop::collection::btree_set(0..60_u16, 0..6),
        maximum in 3..30_u16,
        wanted in prop::collection::vec((0..56_u16, 1..4_u16), 1..30),
    ) {
        let mut device = Device { bad, maximum, ..Device::default() };
        let mut learned = Learned::default();
        let now = Instant::now();
        let spans: Vec<_> = wanted.iter().map(|&(address, count)| span(address, count)).collect();
        for _ in 0..30 {
            let _ = device.read(&spans, 0, &mut learned, now);
        }
        let (_, requests) = device.read(&spans, 0, &mut learned, now);
        // The fewest requests for a planner that knows all this from the beginning.
        let intact: Vec<_> = spans.iter().filter(|span| device.has(**span)).copied().collect();
        let lost: BTreeSet<_> =
            spans.iter().filter(|span| !device.has(**span)).map(|span| (span.address(), span.count())).collect();
        let readable = Readable::everything();
        let limits = RequestLimits::new(maximum, maximum, 0);
        let told = Reading::new(&intact, &readable, limits, &Learned::default(), |_| false).requests().len();
        prop_assert!(requests <= told + lost.len(), "{} > {} + {}", requests, told, lost.len());
    }
}
