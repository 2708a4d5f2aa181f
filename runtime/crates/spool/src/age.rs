//! How old payloads are, without trust in the wall clock.
//!
//! The wall clock can be set by a person or a time server: 40 days ahead for two minutes would make every payload older
//! than any limit. So the age by which a payload expires is measured on the clock that counts from the start of the
//! machine (`CLOCK_BOOTTIME`), which cannot jump and continues while the machine is suspended:
//!
//! - What was stored while this process runs is as old as that clock says. Now and then a *mark* is kept: the newest
//!   number in the spool at a moment; everything up to a number is at least as old as its mark.
//! - Of what the spool contained before, only the wall clock of that time is known. It is compared with the time at which
//!   this process started, which is the earliest that any source allows: the wall clock whenever it was read, and the
//!   `Date` in answers of servers, each less the time that has passed since the start. So a clock that runs ahead and is
//!   set right expires nothing. And it has to hold for a day: a process expires nothing of what it found before it has
//!   run for that long.
//!
//! An error is always on the side of keeping. The limit of size holds in any case.

use std::{collections::VecDeque, time::Duration};

use crate::{StoredId, queue::unix_millis};

/// How long a process has to run before what it found can expire.
const PROBATION: i64 = 24 * 60 * 60 * 1000;
/// How many marks there are within the longest age.
const MARKS: i64 = 1000;
/// No mark is closer than this to the one before.
const MARK_EVERY: i64 = 60 * 1000;

/// Both clocks, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Since the machine was started.
    pub boot: i64,
    /// Since 1970.
    pub wall: i64,
}

impl Clocks {
    /// The clocks as they are.
    pub fn now() -> Self {
        Self { boot: Self::boot_millis(), wall: unix_millis() }
    }

    /// Milliseconds since the start of the machine, suspension included.
    pub fn boot_millis() -> i64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec.div_euclid(1_000_000))
    }

    /// How far the wall clock is ahead of another one, of which is known what it showed at the start of the machine.
    pub fn ahead_of(self, other_at_boot: i64) -> i64 {
        self.wall.saturating_sub(other_at_boot.saturating_add(self.boot))
    }

    /// The wall clock at the start of the machine.
    fn wall_at_boot(self) -> i64 {
        self.wall.saturating_sub(self.boot)
    }
}

/// Which payloads are too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// All up to this number.
    pub(crate) up_to: i64,
    /// And those up to this number
    pub(crate) found: i64,
    /// that were stored before this time, in Unix milliseconds.
    pub(crate) stored_before: i64,
}

impl Expired {
    /// Whether the payload with this number, which was stored at that time, is one of them.
    pub fn contains(self, id: StoredId, stored: i64) -> bool {
        id.0 <= self.up_to || (id.0 <= self.found && stored < self.stored_before)
    }
}

/// What a process knows of the ages of payloads.
#[derive(Debug)]
pub struct PayloadAges {
    limit: i64,
    /// When the process started, on the clock that cannot jump.
    start: i64,
    /// The newest number at that time.
    found: i64,
    /// The earliest that the wall clock can have been at the start of the machine.
    wall_at_boot: i64,
    /// The newest number at moments since, and those moments.
    marks: VecDeque<(i64, i64)>,
    /// Up to this number all are too old.
    expired: i64,
}

impl PayloadAges {
    /// A process starts, and finds payloads with numbers up to `newest`. Payloads older than `limit` expire.
    pub fn new(limit: Duration, now: Clocks, newest: i64) -> Self {
        let limit = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        let marks = VecDeque::from([(now.boot, newest)]);
        Self { limit, start: now.boot, found: newest, wall_at_boot: now.wall_at_boot(), marks, expired: 0 }
    }

    /// What is too old now. `newest` is the newest number in the spool, `server` what the clock of a server was at the
    /// start of the machine, if one sent its time.
    pub fn expired(&mut self, now: Clocks, newest: i64, server: Option<i64>) -> Expired {
        self.wall_at_boot = self.wall_at_boot.min(now.wall_at_boot()).min(server.unwrap_or(i64::MAX));
        let apart = self.limit.div_euclid(MARKS).max(MARK_EVERY);
        if self.marks.back().is_none_or(|(boot, _)| now.boot.saturating_sub(*boot) >= apart) {
            self.marks.push_back((now.boot, newest));
        }
        while let Some((boot, number)) = self.marks.front().copied() {
            if now.boot.saturating_sub(boot) < self.limit {
                break;
            }
            self.expired = number;
            self.marks.pop_front();
        }
        let has_run_for = now.boot.saturating_sub(self.start);
        let earliest_now = self.wall_at_boot.saturating_add(now.boot);
        let on_probation = has_run_for < PROBATION.min(self.limit);
        let before = if on_probation { i64::MIN } else { earliest_now.saturating_sub(self.limit) };
        Expired { up_to: self.expired, found: self.found, stored_before: before }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests; a panic fails the test, as it should")]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{Clocks, PayloadAges};
    use crate::StoredId;

    const HOUR: i64 = 60 * 60 * 1000;
    const DAY: i64 = 24 * HOUR;
    const LIMIT: i64 = 30 * DAY;

    #[derive(Debug, Clone)]
    enum Op {
        /// So much time passes, in which the process looks every so often.
        Pass(i64),
        /// The wall clock is set wrong by so much.
        Set(i64),
        /// It is set right.
        SetRight,
        Restart,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            6 => (0..5 * DAY).prop_map(Op::Pass),
            2 => prop_oneof![-400 * DAY..400 * DAY, Just(40 * DAY), Just(-40 * DAY)].prop_map(Op::Set),
            3 => Just(Op::SetRight),
            1 => Just(Op::Restart),
        ]
    }

    /// A payload: its number, when it was really stored, and the wall clock then.
    type Stored = (i64, i64, i64);

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn no_payload_expires_early_however_the_clock_jumps(
            ops in prop::collection::vec(op(), 1..60),
        ) {
            let (mut real, mut off) = (100 * DAY, 0);
            let at = |real: i64, off: i64| Clocks { boot: real, wall: 1_700_000_000_000 + real + off };
            let limit = Duration::from_millis(u64::try_from(LIMIT).unwrap());
            let mut ages = PayloadAges::new(limit, at(real, off), 0);
            let (mut started, mut found, mut was_right) = (real, 0, true);
            let mut payloads: Vec<Stored> = Vec::new();
            let mut newest = 0;
            for op in ops {
                match op {
                    Op::Set(by) => off = by,
                    Op::SetRight => off = 0,
                    Op::Restart => {
                        ages = PayloadAges::new(limit, at(real, off), newest);
                        (started, found, was_right) = (real, newest, false);
                    }
                    Op::Pass(time) => {
                        let end = real + time;
                        while real < end {
                            newest += 1;
                            payloads.push((newest, real, at(real, off).wall));
                            real += HOUR.min(end - real);
                            was_right |= off <= 0;
                            let old = ages.expired(at(real, off), newest, None);
                            payloads.retain(|(number, stored, stamp)| {
                                let dropped = old.contains(StoredId(*number), *stamp);
                                let age = real - stored;
                                if dropped && *number > found {
                                    assert!(age >= LIMIT, "{number} was dropped after {age}");
                                } else if dropped && age < LIMIT {
                                    assert!(real - started >= DAY, "{number} was dropped in the first day");
                                    let stamp_was_right = *stamp >= at(*stored, 0).wall;
                                    assert!(!was_right || !stamp_was_right, "{number} was dropped after {age}");
                                }
                                // Nothing is kept for ever.
                                assert!(dropped || *number <= found || age <= LIMIT + 3 * HOUR, "{number} is {age} old");
                                !dropped
                            });
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn date_of_a_server_corrects_a_clock_that_is_ahead_from_the_start() {
        let right = |boot| Clocks { boot, wall: 1_700_000_000_000 + boot };
        let ahead = |boot| Clocks { wall: right(boot).wall + 40 * DAY, ..right(boot) };
        let limit = Duration::from_millis(u64::try_from(LIMIT).unwrap());
        let stored = right(0).wall - DAY;
        for (server, dropped) in [(None, true), (Some(right(0).wall), false)] {
            let mut ages = PayloadAges::new(limit, ahead(0), 5);
            assert!(!ages.expired(ahead(DAY - 1), 5, server).contains(StoredId(5), stored), "not in the first day");
            assert_eq!(ages.expired(ahead(DAY), 5, server).contains(StoredId(5), stored), dropped);
        }
    }
}
