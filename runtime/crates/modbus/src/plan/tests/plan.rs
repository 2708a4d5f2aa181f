#![expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::{Ranges, Unit};

const HOLDING: Table = Table::HoldingRegisters;

fn span(address: u16, count: u16) -> Span {
    Span::new(1, HOLDING, address, count).unwrap()
}

/// The same addresses of unit 1.
fn alike(other: Span) -> Span {
    span(other.address(), other.count())
}

fn plan_all(spans: &[Span], readable: &Readable, limits: RequestLimits) -> Vec<Request> {
    plan(&pieces(spans, limits), readable, limits, &Learned::default())
}

fn asked(spans: &[Span], limits: RequestLimits) -> Vec<(u16, u16)> {
    plan_all(spans, &Readable::everything(), limits)
        .iter()
        .map(|request| (request.span.address(), request.span.count()))
        .collect()
}

fn limits(gap: u16) -> RequestLimits {
    RequestLimits::new(125, 2000, gap)
}

#[test]
fn overlapping_adjacent_and_equal_spans_share_a_request() {
    let spans = [span(10, 5), span(0, 10), span(12, 8), span(0, 10)];
    assert_eq!(asked(&spans, limits(0)), [(0, 20)]);
}

#[test]
fn gap_is_crossed_only_if_it_is_narrow_enough() {
    let spans = [span(0, 1), span(4, 1)];
    assert_eq!(asked(&spans, limits(2)), [(0, 1), (4, 1)]);
    assert_eq!(asked(&spans, limits(3)), [(0, 5)]);
}

#[test]
fn gap_is_crossed_only_if_all_of_it_may_be_read() {
    let ranges: Ranges = "0-2,4".parse().unwrap();
    let readable = Readable::of([(HOLDING, ranges)]);
    let requests = plan_all(&[span(0, 1), span(4, 1)], &readable, limits(9));
    assert_eq!(requests.len(), 2);
}

#[test]
fn units_and_tables_are_never_mixed() {
    let spans = [
        Span::new(1, HOLDING, 0, 1).unwrap(),
        Span::new(2, HOLDING, 1, 1).unwrap(),
        Span::new(2, Table::InputRegisters, 2, 1).unwrap(),
    ];
    assert_eq!(asked(&spans, limits(9)), [(0, 1), (1, 1), (2, 1)]);
}

#[test]
fn span_of_the_maximum_is_one_piece_and_a_longer_one_is_cut_there() {
    assert_eq!(asked(&[span(7, 125)], limits(0)), [(7, 125)]);
    assert_eq!(asked(&[span(7, 126)], limits(0)), [(7, 125), (132, 1)]);
    let bits = Span::new(1, Table::Coils, 0, 4001).unwrap();
    assert_eq!(asked(&[bits], limits(0)), [(0, 2000), (2000, 2000), (4000, 1)]);
    let all = Span::new(1, HOLDING, 0, 65535).unwrap();
    assert_eq!(asked(&[all, span(65535, 1)], limits(0)).len(), 525);
}

#[test]
fn no_span_is_cut_to_fill_a_request() {
    assert_eq!(asked(&[span(0, 100), span(100, 50)], limits(0)), [(0, 100), (100, 50)]);
}

#[test]
fn halving_ends_with_single_ranges() {
    let request = |spans: &[Span]| plan_all(spans, &Readable::everything(), limits(0)).remove(0);
    assert_eq!(request(&[span(0, 4)]).halves(), None);
    assert_eq!(request(&[span(0, 4), span(0, 4)]).halves(), None);
    for spans in [
        vec![span(0, 4), span(0, 4), span(0, 1)],
        vec![span(0, 4), span(0, 1), span(0, 1), span(0, 1)],
        vec![span(0, 1), span(1, 1), span(1, 1), span(2, 1)],
    ] {
        let request = request(&spans);
        let (left, right) = request.halves().unwrap();
        assert!(!left.is_empty() && !right.is_empty());
        assert_ne!(left.last().unwrap().span, right.first().unwrap().span);
        assert_eq!([left, right].concat(), request.pieces);
    }
}

/// The last address of the small cases.
const END: u16 = 14;

/// Spans in a small address space with a small maximum, and the addresses that may be read.
fn small_cases() -> impl Strategy<Value = (Vec<Span>, Readable, RequestLimits)> {
    (prop::collection::vec((0..END - 4, 1..5_u16), 1..7), prop::collection::btree_set(0..END, 0..8), 1..6_u16, 0..4_u16)
        .prop_map(|(spans, denied, maximum, gap)| {
            let spans: Vec<_> = spans.iter().map(|&(address, count)| span(address, count)).collect();
            // All spans may be read; denied addresses are between them.
            let granted: Ranges = (0..END)
                .filter(|address| !denied.contains(address) || spans.iter().any(|span| covers(*span, *address)))
                .map(|address| address.to_string().parse::<Ranges>().unwrap())
                .collect();
            let readable = Readable::of([(HOLDING, granted)]);
            (spans, readable, RequestLimits::new(maximum, maximum, gap))
        })
}

fn covers(span: Span, address: u16) -> bool {
    (span.address()..=span.last()).contains(&address)
}

fn within(inner: Span, outer: Span) -> bool {
    covers(outer, inner.address()) && covers(outer, inner.last())
}

/// Every range that the rules allow as a request, found by exhaustive search.
fn possible_requests(spans: &[Span], readable: &Readable, limits: RequestLimits) -> Vec<Span> {
    let wanted = |address: u16| spans.iter().any(|span| covers(*span, address));
    let mut possible = Vec::new();
    for first in 0..END {
        for count in 1..=limits.maximum(HOLDING).min(END - first) {
            let run: Vec<_> = (first..first + count).collect();
            let gaps = run.split(|&address| wanted(address));
            let narrow = gaps.clone().all(|gap| gap.len() <= usize::from(limits.gap));
            // A request that starts or ends in a gap can be shortened.
            let anchored = wanted(first) && wanted(first + count - 1);
            let granted = run.iter().all(|&a| readable.ranges(HOLDING).contains_run(a, a));
            if narrow && anchored && granted {
                possible.push(span(first, count));
            }
        }
    }
    possible
}

/// Whether `depth` possible requests read all pieces.
fn served_by(pieces: &[Span], possible: &[Span], depth: usize) -> bool {
    let Some(piece) = pieces.first() else { return true };
    depth > 0
        && possible.iter().filter(|request| within(*piece, **request)).any(|request| {
            let rest: Vec<_> = pieces.iter().filter(|other| !within(**other, *request)).copied().collect();
            served_by(&rest, possible, depth - 1)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_possible_plan_has_fewer_requests((spans, readable, limits) in small_cases()) {
        let requests = plan_all(&spans, &readable, limits);
        let parts: Vec<_> = pieces(&spans, limits).iter().map(|piece| piece.span).collect();
        let possible = possible_requests(&spans, &readable, limits);
        prop_assert!(served_by(&parts, &possible, requests.len()));
        prop_assert!(!served_by(&parts, &possible, requests.len() - 1));
    }

    #[test]
    fn no_plan_that_respects_what_was_learned_has_fewer_requests(
        (spans, readable, limits) in small_cases(),
        bad in prop::collection::vec((0..END - 4, 1..4_u16), 0..4),
        too_long in 2..8_u16,
    ) {
        let now = tokio::time::Instant::now();
        let mut learned = Learned::default();
        learned.failed_together(span(0, too_long), now);
        for (address, count) in bad {
            learned.failed_alone(span(address, count), now);
        }
        let parts = pieces(&spans, limits);
        let requests = plan(&parts, &readable, limits, &learned);
        let (alone, shared): (Vec<_>, Vec<_>) = parts.iter().map(|piece| piece.span).partition(|span| learned.is_bad(*span));
        let alone: BTreeSet<_> = alone.iter().map(|span| (span.address(), span.count())).collect();
        let asked_for_bad: BTreeSet<_> =
            requests.iter().map(|request| request.span).filter(|span| learned.is_bad(*span)).map(|span| (span.address(), span.count())).collect();
        prop_assert_eq!(&asked_for_bad, &alone);
        let possible: Vec<_> = possible_requests(&shared, &readable, limits)
            .into_iter()
            .filter(|span| !learned.is_bad(*span))
            .filter(|span| span.count() <= learned.lengths(Unit::new(1).unwrap(), HOLDING).attempt || shared.contains(span))
            .collect();
        let left = requests.len() - alone.len();
        prop_assert!(served_by(&shared, &possible, left));
        prop_assert!(left == 0 || !served_by(&shared, &possible, left - 1));
    }

    #[test]
    fn units_with_learned_limits_have_each_the_fewest_requests(
        (spans, readable, limits) in small_cases(),
        units in prop::collection::vec(1..4_u8, 7),
        too_long in prop::array::uniform3(2..8_u16),
    ) {
        let now = tokio::time::Instant::now();
        let mut learned = Learned::default();
        for (unit, count) in (1..).zip(too_long) {
            learned.failed_together(Span::new(unit, HOLDING, 0, count).unwrap(), now);
        }
        let spans: Vec<_> = spans
            .iter()
            .zip(units)
            .map(|(span, unit)| Span::new(unit, HOLDING, span.address(), span.count()).unwrap())
            .collect();
        let parts = pieces(&spans, limits);
        let requests = plan(&parts, &readable, limits, &learned);
        for unit in 1..4 {
            let of_unit = |span: Span| (span.unit().get() == unit).then(|| alike(span));
            let parts: Vec<_> = parts.iter().filter_map(|piece| of_unit(piece.span)).collect();
            let found = requests.iter().filter_map(|request| of_unit(request.span)).count();
            let possible: Vec<_> = possible_requests(&parts, &readable, limits)
                .into_iter()
                .filter(|span| span.count() <= learned.lengths(Unit::new(unit.into()).unwrap(), HOLDING).attempt || parts.contains(span))
                .collect();
            prop_assert!(served_by(&parts, &possible, found), "unit {}", unit);
            prop_assert!(found == 0 || !served_by(&parts, &possible, found - 1), "unit {}", unit);
        }
    }

    #[test]
    fn every_request_follows_the_rules_and_every_piece_is_read_once((spans, readable, limits) in small_cases()) {
        let requests = plan_all(&spans, &readable, limits);
        let possible: BTreeSet<_> =
            possible_requests(&spans, &readable, limits).iter().map(|span| (span.address(), span.count())).collect();
        let mut served = Vec::new();
        for request in &requests {
            prop_assert!(possible.contains(&(request.span.address(), request.span.count())));
            for piece in &request.pieces {
                prop_assert!(within(piece.span, request.span));
                served.push((piece.index, piece.span.address(), piece.span.count()));
            }
        }
        served.sort_unstable();
        let mut expected = Vec::new();
        for (index, span) in spans.iter().enumerate() {
            let mut address = span.address();
            while address <= span.last() {
                let count = (span.last() - address + 1).min(limits.maximum(HOLDING));
                expected.push((index, address, count));
                address += count;
            }
        }
        expected.sort_unstable();
        prop_assert_eq!(served, expected);
    }

    #[test]
    fn halving_ends_and_loses_no_piece((spans, readable, limits) in small_cases()) {
        let mut open = plan_all(&spans, &readable, limits);
        let expected: usize = open.iter().map(|request| request.pieces.len()).sum();
        let mut alone = 0;
        let mut steps = 0;
        while let Some(request) = open.pop() {
            steps += 1;
            prop_assert!(steps < 1000);
            match request.halves() {
                None => alone += request.pieces.len(),
                Some((left, right)) => {
                    open.extend(plan(left, &readable, limits, &Learned::default()));
                    open.extend(plan(right, &readable, limits, &Learned::default()));
                }
            }
        }
        prop_assert_eq!(alone, expected);
    }
}
