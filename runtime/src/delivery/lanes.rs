//! When each agent's queue has its turn: a state machine that knows the time only from its caller.
//!
//! Trouble is kept where it belongs. A refusal holds up the lane of the body that was refused; a server that does not answer holds
//! up all lanes to it, and is asked by one of them at a time until it answers again, so that ten thousand agents don't
//! all knock at once.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::{Lane, ServerUrl};

/// Waiting doubles with each failure from here.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest that a server can ask to be left alone.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);
/// How long a server that does not know us is left alone: its answer changes when a person mends something.
const UNAUTHORISED_WAIT: Duration = Duration::from_mins(5);
/// How long a lane that another process works on is left alone.
const ELSEWHERE_WAIT: Duration = Duration::from_millis(500);

/// What came of a lane's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Its queue is empty.
    Empty,
    /// Something was delivered, and there is more.
    More,
    /// Another process works on it.
    Elsewhere,
    /// A body was refused and keeps its place.
    Refused { program: String, retry_after: Option<Duration>, text: String },
    /// The server is not to be had.
    Away { retry_after: Option<Duration>, text: String },
    /// The server does not know us.
    Unauthorised { text: String },
    /// The spool is in trouble.
    Trouble { text: String },
}

impl End {
    /// Why it did not go on, if that is trouble.
    pub(super) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Empty | Self::More | Self::Elsewhere => None,
            Self::Refused { text, .. }
            | Self::Away { text, .. }
            | Self::Unauthorised { text }
            | Self::Trouble { text } => Some(text),
        }
    }
}

/// A random number below 1, by which those who wait are spread out.
pub(super) type Jitter = fn() -> f64;

/// All lanes that have something, and when each may go.
#[derive(Debug)]
pub(super) struct Lanes {
    jitter: Jitter,
    longest_wait: Duration,
    ready: VecDeque<Lane>,
    delayed: BTreeSet<(Instant, Lane)>,
    known: HashMap<Lane, State>,
    gates: HashMap<ServerUrl, Gate>,
}

#[derive(Debug, Default)]
struct State {
    busy: bool,
    /// Something came while it was busy.
    again: bool,
    failures: u32,
}

/// What is between us and a server that does not answer.
#[derive(Debug)]
struct Gate {
    closed_until: Instant,
    failures: u32,
    /// A lane is out to ask whether it answers again.
    asking: bool,
    waiting: VecDeque<Lane>,
}

impl Lanes {
    /// Nobody is left alone for longer than `longest_wait`, unless a server asks for it.
    pub(super) fn new(jitter: Jitter, longest_wait: Duration) -> Self {
        Self {
            jitter,
            longest_wait,
            ready: VecDeque::new(),
            delayed: BTreeSet::new(),
            known: HashMap::new(),
            gates: HashMap::new(),
        }
    }

    /// A lane has got something.
    pub(super) fn offer(&mut self, lane: Lane) {
        if let Some(state) = self.known.get_mut(&lane) {
            state.again = true;
        } else {
            self.known.insert(lane.clone(), State::default());
            self.ready.push_back(lane);
        }
    }

    /// The lane whose turn it is. It is busy until [`ended`](Self::ended).
    pub(super) fn next(&mut self, now: Instant) -> Option<Lane> {
        while let Some((due, lane)) = self.delayed.pop_first() {
            if due > now {
                self.delayed.insert((due, lane));
                break;
            }
            self.ready.push_back(lane);
        }
        let asks = self.gates.values_mut().find_map(|gate| {
            let lane = (!gate.asking && gate.closed_until <= now).then(|| gate.waiting.pop_front()).flatten()?;
            gate.asking = true;
            Some(lane)
        });
        let lane = asks.or_else(|| {
            while let Some(lane) = self.ready.pop_front() {
                match self.gates.get_mut(&lane.server) {
                    None => return Some(lane),
                    Some(gate) if !gate.asking && gate.closed_until <= now => {
                        gate.asking = true;
                        return Some(lane);
                    }
                    Some(gate) => gate.waiting.push_back(lane),
                }
            }
            None
        })?;
        let state = self.known.entry(lane.clone()).or_default();
        (state.busy, state.again) = (true, false);
        Some(lane)
    }

    /// A lane had its turn.
    pub(super) fn ended(&mut self, lane: Lane, end: &End, now: Instant) {
        let (jitter, longest) = (self.jitter, self.longest_wait);
        let wait = |failures, retry_after| wait(failures, retry_after, longest, jitter);
        let state = self.known.entry(lane.clone()).or_default();
        state.busy = false;
        match end {
            End::Empty => {
                let again = state.again;
                self.known.remove(&lane);
                self.server_answers(&lane.server);
                if again {
                    self.offer(lane);
                }
            }
            End::More => {
                state.failures = 0;
                self.ready.push_back(lane.clone());
                self.server_answers(&lane.server);
            }
            End::Elsewhere => {
                self.delayed.insert((later(now, ELSEWHERE_WAIT), lane.clone()));
                self.server_answers(&lane.server);
            }
            End::Refused { retry_after, .. } => {
                state.failures = state.failures.saturating_add(1);
                let wait = wait(state.failures, *retry_after);
                self.delayed.insert((later(now, wait), lane.clone()));
                self.server_answers(&lane.server);
            }
            End::Trouble { .. } => {
                state.failures = state.failures.saturating_add(1);
                let wait = wait(state.failures, None);
                self.delayed.insert((later(now, wait), lane.clone()));
                self.server_answers(&lane.server);
            }
            End::Away { retry_after, .. } => {
                self.close(lane, now, |failures| wait(failures, *retry_after));
            }
            End::Unauthorised { .. } => self.close(lane, now, |_| UNAUTHORISED_WAIT),
        }
    }

    /// When [`next`](Self::next) may have something that it does not have now.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let gates =
            self.gates.values().filter(|gate| !gate.asking && !gate.waiting.is_empty()).map(|gate| gate.closed_until);
        self.delayed.first().map(|(due, _)| *due).into_iter().chain(gates).min()
    }

    /// Closes the gate of a lane's server, and puts the lane behind it.
    fn close(&mut self, lane: Lane, now: Instant, wait: impl Fn(u32) -> Duration) {
        let gate = self.gates.entry(lane.server.clone()).or_insert_with(|| Gate {
            closed_until: now,
            failures: 0,
            asking: true,
            waiting: VecDeque::new(),
        });
        // Of those that were under way together, the first closes it.
        if gate.asking {
            gate.asking = false;
            gate.failures = gate.failures.saturating_add(1);
            gate.closed_until = later(now, wait(gate.failures));
        }
        gate.waiting.push_back(lane);
    }

    fn server_answers(&mut self, server: &ServerUrl) {
        if let Some(gate) = self.gates.remove(server) {
            self.ready.extend(gate.waiting);
        }
    }
}

/// Full jitter: anything from nothing to a bound that doubles; but never less than the server asked for.
fn wait(failures: u32, retry_after: Option<Duration>, longest: Duration, jitter: Jitter) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let bound = FIRST_WAIT.saturating_mul(1u32 << doublings).min(longest);
    let wait = bound.mul_f64(jitter().clamp(0.0, 1.0)).max(Duration::from_millis(10));
    let asked = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
    // Behind what was asked for they are spread out too.
    if asked.is_zero() { wait } else { asked.saturating_add(wait.min(FIRST_WAIT)) }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{End, Lane, Lanes, UNAUTHORISED_WAIT};

    fn lane(digit: char, server: &str) -> Lane {
        Lane { server: server.parse().unwrap(), agent: digit.to_string().repeat(64).parse().unwrap() }
    }

    fn away(seconds: Option<u64>) -> End {
        End::Away { retry_after: seconds.map(Duration::from_secs), text: String::new() }
    }

    fn refused() -> End {
        End::Refused { program: String::new(), retry_after: None, text: String::new() }
    }

    const LONGEST: Duration = Duration::from_mins(5);
    const S: &str = "http://a";

    #[test]
    fn a_lane_has_one_turn_at_a_time_and_another_when_something_came_meanwhile() {
        let (mut lanes, now) = (Lanes::new(|| 0.5, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        lanes.offer(lane('a', S));
        assert_eq!(lanes.next(now), Some(lane('a', S)));
        assert_eq!(lanes.next(now), None);
        lanes.offer(lane('a', S));
        assert_eq!(lanes.next(now), None, "it is under way");
        lanes.ended(lane('a', S), &End::Empty, now);
        assert_eq!(lanes.next(now), Some(lane('a', S)));
        lanes.ended(lane('a', S), &End::Empty, now);
        assert_eq!((lanes.next(now), lanes.wake_at()), (None, None));
    }

    #[test]
    fn a_long_queue_does_not_keep_others_from_their_turn() {
        let (mut lanes, now) = (Lanes::new(|| 0.5, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        lanes.offer(lane('b', S));
        assert_eq!(lanes.next(now), Some(lane('a', S)));
        lanes.ended(lane('a', S), &End::More, now);
        assert_eq!(lanes.next(now), Some(lane('b', S)));
    }

    #[test]
    fn a_refusal_holds_up_its_own_lane_only() {
        let (mut lanes, now) = (Lanes::new(|| 0.5, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        lanes.offer(lane('b', S));
        assert_eq!(lanes.next(now), Some(lane('a', S)));
        lanes.ended(lane('a', S), &refused(), now);
        assert_eq!(lanes.next(now), Some(lane('b', S)));
        lanes.ended(lane('b', S), &End::Empty, now);
        assert_eq!(lanes.next(now), None);
        let due = lanes.wake_at().unwrap();
        assert_eq!(due, now + Duration::from_millis(500));
        assert_eq!(lanes.next(due), Some(lane('a', S)));
        lanes.ended(lane('a', S), &refused(), due);
        assert_eq!(lanes.wake_at(), Some(due + Duration::from_secs(1)), "twice as long");
    }

    #[test]
    fn a_server_that_is_away_is_asked_by_one_lane_at_a_time() {
        let (mut lanes, now) = (Lanes::new(|| 0.5, LONGEST), Instant::now());
        for digit in ['a', 'b', 'c', 'd'] {
            lanes.offer(lane(digit, S));
        }
        lanes.offer(lane('a', "http://b"));
        let (a, b) = (lanes.next(now).unwrap(), lanes.next(now).unwrap());
        lanes.ended(a, &away(None), now);
        lanes.ended(b, &away(None), now);
        assert_eq!(lanes.next(now), Some(lane('a', "http://b")), "another server is not concerned");
        assert_eq!(lanes.next(now), None);
        let due = lanes.wake_at().unwrap();
        assert_eq!(due, now + Duration::from_millis(500), "two that failed together count once");
        let asks = lanes.next(due).unwrap();
        assert_eq!((lanes.next(due), lanes.wake_at()), (None, None));
        lanes.ended(asks, &away(None), due);
        let due = lanes.wake_at().unwrap();
        let asks = lanes.next(due).unwrap();
        lanes.ended(asks, &End::Empty, due);
        assert_eq!(std::iter::from_fn(|| lanes.next(due)).count(), 3, "it answers: all may go");
    }

    #[test]
    fn a_server_is_left_alone_as_long_as_it_asked_for() {
        let (mut lanes, now) = (Lanes::new(|| 0.0, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        let a = lanes.next(now).unwrap();
        lanes.ended(a, &away(Some(120)), now);
        lanes.offer(lane('b', S));
        assert_eq!(lanes.next(now + Duration::from_millis(119_999)), None);
        assert!(lanes.wake_at().unwrap() >= now + Duration::from_mins(2));
        assert!(lanes.next(now + Duration::from_secs(121)).is_some());
        // A server cannot ask for ever.
        let b = lane('b', "http://b");
        lanes.offer(b.clone());
        let far = now + Duration::from_secs(121);
        assert_eq!(lanes.next(far), Some(b.clone()));
        lanes.ended(b, &away(Some(u64::MAX)), far);
        assert!(lanes.wake_at().unwrap() <= far + Duration::from_secs(3601));
    }

    #[test]
    fn the_queue_of_a_server_that_does_not_know_us_is_held() {
        let (mut lanes, now) = (Lanes::new(|| 0.0, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        let a = lanes.next(now).unwrap();
        lanes.ended(a, &End::Unauthorised { text: String::new() }, now);
        lanes.offer(lane('b', S));
        assert_eq!(lanes.next(now + Duration::from_secs(299)), None);
        assert!(lanes.next(now + UNAUTHORISED_WAIT).is_some());
    }

    #[test]
    fn waiting_grows_to_five_minutes_and_no_further() {
        let mut longest = Duration::ZERO;
        for failures in 1..100 {
            let wait = super::wait(failures, None, LONGEST, || 1.0);
            assert!(wait >= longest && wait <= Duration::from_mins(5));
            longest = wait;
        }
        assert_eq!(longest, Duration::from_mins(5));
    }
}
