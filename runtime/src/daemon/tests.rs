//! Claims about scheduled runs.

use std::{collections::HashMap, time::Duration};

use pattoo_measurement::{PollingInterval, Program};
use proptest::prelude::*;

use super::schedule::{ClockReading, Interval, Schedule, ScheduledRun};

/// Two clocks that a test moves.
#[derive(Clone, Copy)]
struct Clocks(ClockReading);

impl Clocks {
    fn new() -> Self {
        Self(ClockReading { monotonic: Duration::from_secs(17), wall: Duration::from_millis(1_700_000_000_123) })
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

fn schedule_of(clocks: Clocks, seconds: u32) -> (Schedule, Interval) {
    let mut schedule = Schedule::new(clocks.0);
    let interval = Interval::new(&program("a"), every(seconds));
    schedule.set(0, interval, clocks.0);
    (schedule, interval)
}

#[test]
fn a_year_of_runs_does_not_drift() {
    let mut clocks = Clocks::new();
    let (mut schedule, _) = schedule_of(clocks, 20);
    let first = schedule.next_due().unwrap();
    for cycle in 0..1_576_800_u32 {
        clocks.pass_until(schedule.next_due().unwrap());
        // Late, by a different time in each cycle.
        clocks.pass(Duration::from_micros(u64::from(cycle) * 7919 % 19_000_000));
        let run = schedule.take_due(clocks.0).unwrap();
        assert_eq!(run, ScheduledRun { id: 0, due: first + Duration::from_secs(20) * cycle, missed: 0 });
        assert_eq!(schedule.take_due(clocks.0), None);
    }
}

#[test]
fn program_has_the_same_offset_after_a_restart() {
    let mut clocks = Clocks::new();
    let (mut before, _) = schedule_of(clocks, 300);
    let due = clocks.wall_at(before.next_due().unwrap());
    clocks.pass(Duration::from_secs(7 * 300 + 11));
    let (mut after, _) = schedule_of(clocks, 300);
    let apart = clocks.wall_at(after.next_due().unwrap()) - due;
    assert_eq!(apart.as_nanos() % Duration::from_mins(5).as_nanos(), 0);
}

#[test]
fn thousand_programs_are_spread_over_their_interval() {
    let clocks = Clocks::new();
    let mut schedule = Schedule::new(clocks.0);
    for id in 0..1000 {
        schedule.set(id, Interval::new(&program(&format!("collector-{id}")), every(60)), clocks.0);
    }
    let mut by_second: HashMap<u64, u32> = HashMap::new();
    let later = Clocks(ClockReading {
        monotonic: clocks.0.monotonic + Duration::from_secs(59),
        wall: clocks.0.wall + Duration::from_secs(59),
    });
    while let Some(run) = schedule.take_due(later.0) {
        *by_second.entry((run.due - clocks.0.monotonic).as_secs()).or_default() += 1;
    }
    assert!(by_second.len() >= 58, "{by_second:?}");
    assert!(by_second.values().all(|count| *count < 40), "{by_second:?}");
}

#[test]
fn missed_runs_are_counted_and_not_made_up_for() {
    let mut clocks = Clocks::new();
    let (mut schedule, _) = schedule_of(clocks, 10);
    let first = schedule.next_due().unwrap();
    clocks.pass_until(first + Duration::from_secs(35));
    let run = schedule.take_due(clocks.0);
    assert_eq!(run, Some(ScheduledRun { id: 0, due: first + Duration::from_secs(30), missed: 3 }));
    assert_eq!(schedule.take_due(clocks.0), None);
    assert_eq!(schedule.next_due(), Some(first + Duration::from_secs(40)));
}

#[test]
fn removed_collector_is_not_scheduled() {
    let mut clocks = Clocks::new();
    let (mut schedule, interval) = schedule_of(clocks, 10);
    schedule.set(1, interval, clocks.0);
    schedule.remove(0);
    clocks.pass(Duration::from_secs(10));
    assert_eq!(schedule.take_due(clocks.0).map(|run| run.id), Some(1));
    assert_eq!(schedule.take_due(clocks.0), None);
}

#[test]
fn small_difference_between_the_clocks_is_not_a_jump() {
    let mut clocks = Clocks::new();
    let (mut schedule, _) = schedule_of(clocks, 10);
    let before = schedule.next_due();
    clocks.set(false, Duration::from_millis(60));
    schedule.realign_if_clock_jumped(clocks.0);
    assert_eq!((schedule.next_due(), schedule.realignments()), (before, 0));
}

proptest! {
    /// However late the schedule is asked, each run is either taken or counted as missed, in order.
    #[test]
    fn no_run_is_taken_twice_or_forgotten(
        seconds in 1u32..4000,
        delays in prop::collection::vec(0u64..9_000_000, 1..60),
    ) {
        let mut clocks = Clocks::new();
        let (mut schedule, interval) = schedule_of(clocks, seconds);
        let mut expected = schedule.next_due().unwrap();
        for delay in delays {
            clocks.pass(Duration::from_millis(delay));
            while let Some(run) = schedule.take_due(clocks.0) {
                let missed = u32::try_from(run.missed).unwrap();
                prop_assert_eq!(run.due, expected + interval.period() * missed);
                prop_assert!(run.due <= clocks.0.monotonic);
                expected = run.due + interval.period();
            }
            prop_assert!(expected > clocks.0.monotonic);
        }
    }

    /// In whichever direction the wall clock jumps, two runs are half an interval to two intervals
    /// apart. Once the clock no longer jumps they are aligned to it again.
    #[test]
    fn clock_jump_causes_no_burst_and_no_gap(
        seconds in 1u32..4000,
        // By up to two days, or forty.
        jumps in prop::collection::vec((any::<bool>(), prop_oneof![0u64..200_000_000, Just(3_456_000_000)], 0u32..100), 1..40),
    ) {
        let mut clocks = Clocks::new();
        let (mut schedule, interval) = schedule_of(clocks, seconds);
        let period = interval.period();
        let mut last = None;
        for (forward, by, part) in jumps {
            let next = schedule.next_due().unwrap();
            // The jump happens between two runs.
            clocks.pass(next.saturating_sub(clocks.0.monotonic) * part / 100);
            clocks.set(forward, Duration::from_millis(by));
            schedule.realign_if_clock_jumped(clocks.0);
            clocks.pass_until(schedule.next_due().unwrap());
            let run = schedule.take_due(clocks.0).unwrap();
            prop_assert_eq!(run.missed, 0);
            if let Some(last) = last {
                let apart = run.due - last;
                prop_assert!(apart >= period / 2 && apart < period * 2, "{apart:?} of {period:?}");
            }
            prop_assert_eq!(schedule.take_due(clocks.0), None);
            last = Some(run.due);
        }
        let due = schedule.next_due().unwrap();
        let off = clocks.wall_at(due).as_millis() % period.as_millis();
        let fresh = { let mut fresh = Schedule::new(clocks.0); fresh.set(0, interval, clocks.0); fresh.next_due().unwrap() };
        let aligned = clocks.wall_at(fresh).as_millis() % period.as_millis();
        let apart = off.abs_diff(aligned);
        prop_assert!(apart.min(period.as_millis() - apart) <= 100, "{off} against {aligned}");
    }
}
