//! The schedule, as claims about departures.

use std::{collections::HashMap, time::Duration};

use pattoo_measurement::{PollingInterval, Program};
use proptest::prelude::*;

use super::schedule::{Agenda, Departure, Reading, Timetable};

/// Two clocks that a test moves.
#[derive(Clone, Copy)]
struct Clocks(Reading);

impl Clocks {
    fn new() -> Self {
        Self(Reading { monotonic: Duration::from_secs(17), wall: Duration::from_millis(1_700_000_000_123) })
    }

    fn pass(&mut self, time: Duration) {
        self.0.monotonic += time;
        self.0.wall += time;
    }

    /// Lets time pass until the monotonic clock shows `moment`.
    fn pass_until(&mut self, moment: Duration) {
        self.pass(moment.saturating_sub(self.0.monotonic));
    }

    fn set(&mut self, forward: bool, by: Duration) {
        self.0.wall = if forward { self.0.wall + by } else { self.0.wall.saturating_sub(by) };
    }

    /// The wall clock when the monotonic clock shows `moment`.
    fn wall_at(&self, moment: Duration) -> Duration {
        self.0.wall + moment - self.0.monotonic
    }
}

fn program(name: &str) -> Program {
    name.parse().unwrap()
}

fn every(seconds: u32) -> PollingInterval {
    PollingInterval::from_seconds(seconds).unwrap()
}

fn agenda(clocks: Clocks, seconds: u32) -> (Agenda, Timetable) {
    let mut agenda = Agenda::new(clocks.0);
    let timetable = Timetable::new(&program("a"), every(seconds));
    agenda.enter(0, timetable, clocks.0);
    (agenda, timetable)
}

#[test]
fn a_year_of_departures_drifts_by_nothing() {
    let mut clocks = Clocks::new();
    let (mut agenda, _) = agenda(clocks, 20);
    let first = agenda.next().unwrap();
    for cycle in 0..1_576_800_u32 {
        clocks.pass_until(agenda.next().unwrap());
        // Served late, by something that differs each time.
        clocks.pass(Duration::from_micros(u64::from(cycle) * 7919 % 19_000_000));
        let departure = agenda.depart(clocks.0).unwrap();
        assert_eq!(departure, Departure { id: 0, due: first + Duration::from_secs(20) * cycle, missed: 0 });
        assert_eq!(agenda.depart(clocks.0), None);
    }
}

#[test]
fn a_program_has_the_same_offset_after_a_restart() {
    let mut clocks = Clocks::new();
    let (mut before, _) = agenda(clocks, 300);
    let due = clocks.wall_at(before.next().unwrap());
    clocks.pass(Duration::from_secs(7 * 300 + 11));
    let (mut after, _) = agenda(clocks, 300);
    let apart = clocks.wall_at(after.next().unwrap()) - due;
    assert_eq!(apart.as_nanos() % Duration::from_mins(5).as_nanos(), 0);
}

#[test]
fn a_thousand_programs_are_spread_over_their_interval() {
    let clocks = Clocks::new();
    let mut agenda = Agenda::new(clocks.0);
    for id in 0..1000 {
        agenda.enter(id, Timetable::new(&program(&format!("collector-{id}")), every(60)), clocks.0);
    }
    let mut by_second: HashMap<u64, u32> = HashMap::new();
    let later = Clocks(Reading {
        monotonic: clocks.0.monotonic + Duration::from_secs(59),
        wall: clocks.0.wall + Duration::from_secs(59),
    });
    while let Some(departure) = agenda.depart(later.0) {
        *by_second.entry((departure.due - clocks.0.monotonic).as_secs()).or_default() += 1;
    }
    assert!(by_second.len() >= 58, "{by_second:?}");
    assert!(by_second.values().all(|count| *count < 40), "{by_second:?}");
}

#[test]
fn what_was_missed_is_counted_and_not_made_up_for() {
    let mut clocks = Clocks::new();
    let (mut agenda, _) = agenda(clocks, 10);
    let first = agenda.next().unwrap();
    clocks.pass_until(first + Duration::from_secs(35));
    let departure = agenda.depart(clocks.0);
    assert_eq!(departure, Some(Departure { id: 0, due: first + Duration::from_secs(30), missed: 3 }));
    assert_eq!(agenda.depart(clocks.0), None);
    assert_eq!(agenda.next(), Some(first + Duration::from_secs(40)));
}

#[test]
fn who_was_taken_out_departs_no_more() {
    let mut clocks = Clocks::new();
    let (mut agenda, timetable) = agenda(clocks, 10);
    agenda.enter(1, timetable, clocks.0);
    agenda.remove(0);
    clocks.pass(Duration::from_secs(10));
    assert_eq!(agenda.depart(clocks.0).map(|departure| departure.id), Some(1));
    assert_eq!(agenda.depart(clocks.0), None);
}

#[test]
fn clocks_that_differ_by_the_time_of_a_reading_are_no_jump() {
    let mut clocks = Clocks::new();
    let (mut agenda, _) = agenda(clocks, 10);
    let before = agenda.next();
    clocks.set(false, Duration::from_millis(60));
    agenda.follow_the_clock(clocks.0);
    assert_eq!((agenda.next(), agenda.realignments()), (before, 0));
}

proptest! {
    /// However late the agenda is asked, each departure of the timetable is either handed out or counted as missed, in order.
    #[test]
    fn no_departure_is_handed_out_twice_or_forgotten(
        seconds in 1u32..4000,
        delays in prop::collection::vec(0u64..9_000_000, 1..60),
    ) {
        let mut clocks = Clocks::new();
        let (mut agenda, timetable) = agenda(clocks, seconds);
        let mut expected = agenda.next().unwrap();
        for delay in delays {
            clocks.pass(Duration::from_millis(delay));
            while let Some(departure) = agenda.depart(clocks.0) {
                let missed = u32::try_from(departure.missed).unwrap();
                prop_assert_eq!(departure.due, expected + timetable.interval() * missed);
                prop_assert!(departure.due <= clocks.0.monotonic);
                expected = departure.due + timetable.interval();
            }
            prop_assert!(expected > clocks.0.monotonic);
        }
    }

    /// Whichever way the wall clock jumps, two departures are half an interval to two intervals apart, and once the clock is
    /// left alone they are aligned to it again.
    #[test]
    fn a_clock_that_jumps_makes_no_burst_and_no_hole(
        seconds in 1u32..4000,
        // By up to two days, or forty.
        jumps in prop::collection::vec((any::<bool>(), prop_oneof![0u64..200_000_000, Just(3_456_000_000)], 0u32..100), 1..40),
    ) {
        let mut clocks = Clocks::new();
        let (mut agenda, timetable) = agenda(clocks, seconds);
        let interval = timetable.interval();
        let mut last = None;
        for (forward, by, part) in jumps {
            let next = agenda.next().unwrap();
            // The jump comes somewhere between two departures.
            clocks.pass(next.saturating_sub(clocks.0.monotonic) * part / 100);
            clocks.set(forward, Duration::from_millis(by));
            agenda.follow_the_clock(clocks.0);
            clocks.pass_until(agenda.next().unwrap());
            let departure = agenda.depart(clocks.0).unwrap();
            prop_assert_eq!(departure.missed, 0);
            if let Some(last) = last {
                let apart = departure.due - last;
                prop_assert!(apart >= interval / 2 && apart < interval * 2, "{apart:?} of {interval:?}");
            }
            prop_assert_eq!(agenda.depart(clocks.0), None);
            last = Some(departure.due);
        }
        let due = agenda.next().unwrap();
        let off = clocks.wall_at(due).as_millis() % interval.as_millis();
        let fresh = { let mut fresh = Agenda::new(clocks.0); fresh.enter(0, timetable, clocks.0); fresh.next().unwrap() };
        let aligned = clocks.wall_at(fresh).as_millis() % interval.as_millis();
        let apart = off.abs_diff(aligned);
        prop_assert!(apart.min(interval.as_millis() - apart) <= 100, "{off} against {aligned}");
    }
}
