//! When each agent's queue has its turn: a state machine that knows the time only from its caller.
//!
//! *Whose fault is it?* An answer that is no success can be meant for the body or for everybody: a firewall answers 403 to a text that it
//! dislikes, a proxy answers 502 when a body makes the server behind it fail, a server that is busy answers 503 to all. One answer does not
//! tell, so the next one is asked: when a server gives a doubtful answer it is *in doubt*, and the queues to it have their turns one at a
//! time. As soon as it takes a body of another agent the doubt is over, and the agents that it refused back off by themselves. While the
//! others get the same answer, the server is left alone for longer and longer. Where no connection can be made there is no doubt: nothing
//! of a body was seen. Where an answer does not come within a second, the next one is asked beside.
//!
//! Those that got a doubtful answer since the server last took something are the *accused*: they wait for as long as the server is left
//! alone, at most [`Lanes::longest_wait`]. The others are asked first, in the order in which they last had trouble, so that whoever has had
//! none comes before those that have it often. They wait only when enough agents agree, and never long ([`FRESH_LONGEST`]). So whatever
//! some agents are answered, and whatever `Retry-After` comes with it, agents that have no trouble are held up for moments.
//!
//! *Slots.* A queue has one turn at a time, and a turn ends after some bodies or seconds. Queues that are slow, or that have trouble, leave
//! a part of the turns at the same time to the others.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use super::{Lane, ServerUrl};

/// Waiting doubles with each failure from here.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest that a server which does not know us is left alone: its answer changes when a person puts something right.
const UNAUTHORISED_LONGEST: Duration = Duration::from_mins(1);
/// The longest that agents which were answered nothing yet wait for a server that others were refused by.
const FRESH_LONGEST: Duration = Duration::from_secs(10);
/// How long an agent's trouble is remembered.
const RECORD: Duration = Duration::from_hours(1);
/// What an accused agent weighs that had no trouble in [`RECORD`]. Another one weighs 1.
const CLEAN: u32 = 4;
/// How many agents without earlier trouble it takes at least, and at most, for an answer to count as the server's: half of those that it took
/// something of in [`RECENT`] or that have something for it. Of fewer, some agents could agree to have all others wait.
const LEAST_ACCUSED: usize = 2;
const MOST_ACCUSED: usize = 32;
const RECENT: Duration = Duration::from_mins(10);
/// How many agents may ask a server in doubt at the same time, when the one that asked last has no answer for so long.
const MOST_ASKING: usize = 8;
const SLOW_ANSWER: Duration = Duration::from_secs(1);
/// How long a lane that another process works on is left alone.
const ELSEWHERE_WAIT: Duration = Duration::from_millis(500);

/// What came of a lane's turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    /// The server took a body.
    pub(super) accepted: bool,
    /// Whether the server took long for a body, if one was posted.
    pub(super) slow: Option<bool>,
    /// Why it ended.
    pub(super) end: End,
}

impl Turn {
    /// A turn in which nothing was taken.
    pub(super) fn of(end: End) -> Self {
        Self { accepted: false, slow: None, end }
    }
}

/// Why a lane's turn ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// Its queue is empty.
    Empty,
    /// There may be more.
    More,
    /// Another process works on it.
    Elsewhere,
    /// A body was refused and keeps its place.
    Refused { program: String, retry_after: Option<Duration>, text: String },
    /// A body was answered what can be meant for it or for everybody. It keeps its place.
    Doubtful { what: Doubt, program: String, retry_after: Option<Duration>, text: String },
    /// The server cannot be reached.
    Away { text: String },
    /// The spool is in trouble.
    Trouble { text: String },
}

/// What a doubtful answer would mean if it was meant for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The server is busy, or what is behind it is away.
    Busy,
    /// It does not know us.
    Unauthorised,
}

impl End {
    /// Why it did not go on, if that is trouble.
    pub(super) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Empty | Self::More | Self::Elsewhere => None,
            Self::Refused { text, .. } | Self::Doubtful { text, .. } | Self::Away { text } | Self::Trouble { text } => {
                Some(text)
            }
        }
    }
}

/// Whom an answer was meant for, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// The body, or it is not known yet.
    Body,
    /// Everybody: others got it as well, or there are no others.
    Server,
}

/// A random number below 1, by which those who wait are spread out.
pub(super) type Jitter = fn() -> f64;

/// All lanes that have something, and when each may go.
#[derive(Debug)]
pub(super) struct Lanes {
    jitter: Jitter,
    longest_wait: Duration,
    /// How many turns of slow lanes there may be at a time.
    slow_slots: usize,
    slow_turns: usize,
    ready: VecDeque<Lane>,
    /// Slow ones that wait for a turn of another slow one to end.
    held_back: VecDeque<Lane>,
    delayed: BTreeSet<(Instant, Lane)>,
    known: HashMap<Lane, State>,
    /// Those for whose last bodies the server took long.
    slow: HashSet<Lane>,
    /// When lanes last had a doubtful answer.
    records: HashMap<Lane, Instant>,
    /// When something of lanes was last taken.
    taken: HashMap<Lane, Instant>,
    doubts: HashMap<ServerUrl, InDoubt>,
    tickets: u64,
}

#[derive(Debug, Default)]
struct State {
    busy: bool,
    /// Something came while it was busy.
    again: bool,
    /// In a row, while others were taken.
    failures: u32,
    /// Its turn counts as one of a slow lane.
    takes_slow_slot: bool,
}

/// What is between us and a server that gave a doubtful answer, or none, and has taken nothing since.
#[derive(Debug)]
struct InDoubt {
    /// The lanes that are out to ask, and when the last one went.
    asking: HashSet<Lane>,
    asked_at: Instant,
    /// It cannot be reached.
    unreachable: bool,
    accused: HashSet<Lane>,
    weight: u32,
    /// How often the accused asked without success, and when one of them may ask again.
    rounds: u32,
    accused_at: Instant,
    waiting: VecDeque<Lane>,
    /// The same for the others, who come in the order of their last trouble.
    fresh_rounds: u32,
    fresh_at: Instant,
    fresh: BTreeSet<(Option<Instant>, u64, Lane)>,
}

impl InDoubt {
    fn new(now: Instant) -> Self {
        Self {
            asking: HashSet::new(),
            asked_at: now,
            unreachable: false,
            accused: HashSet::new(),
            weight: 0,
            rounds: 0,
            accused_at: now,
            waiting: VecDeque::new(),
            fresh_rounds: 0,
            fresh_at: now,
            fresh: BTreeSet::new(),
        }
    }

    /// Whether what was answered counts as the server's, if so much weight is enough.
    fn is_servers(&self, enough: u32) -> bool {
        self.unreachable || self.weight >= enough
    }

    /// When another lane may ask beside those that are out.
    fn may_ask_beside(&self) -> Option<Instant> {
        let more = !self.unreachable && self.asking.len() < MOST_ASKING;
        more.then(|| later(self.asked_at, SLOW_ANSWER))
    }

    /// The lane that may ask now. Beside another one that waits for its answer only those ask that were answered nothing yet.
    fn next(&mut self, now: Instant) -> Option<Lane> {
        let beside = !self.asking.is_empty();
        if beside && self.may_ask_beside().is_none_or(|at| at > now) {
            return None;
        }
        let fresh = (self.fresh_at <= now).then(|| self.fresh.pop_first()).flatten().map(|(_, _, lane)| lane);
        let accused = || (!beside && self.accused_at <= now).then(|| self.waiting.pop_front()).flatten();
        let asks = fresh.or_else(accused)?;
        self.asking.insert(asks.clone());
        self.asked_at = now;
        Some(asks)
    }

    /// When [`next`](Self::next) may have something.
    fn wake_at(&self) -> Option<Instant> {
        let fresh = (!self.fresh.is_empty()).then_some(self.fresh_at);
        if !self.asking.is_empty() {
            return fresh.zip(self.may_ask_beside()).map(|(fresh, beside)| fresh.max(beside));
        }
        let accused = (!self.waiting.is_empty()).then_some(self.accused_at);
        fresh.into_iter().chain(accused).min()
    }
}

impl Lanes {
    /// Nobody is left alone for longer than `longest_wait`, whatever a server asks for.
    pub(super) fn new(jitter: Jitter, longest_wait: Duration) -> Self {
        Self {
            jitter,
            longest_wait,
            slow_slots: usize::MAX,
            slow_turns: 0,
            ready: VecDeque::new(),
            held_back: VecDeque::new(),
            delayed: BTreeSet::new(),
            known: HashMap::new(),
            slow: HashSet::new(),
            records: HashMap::new(),
            taken: HashMap::new(),
            doubts: HashMap::new(),
            tickets: 0,
        }
    }

    /// Where there are so many turns at a time: a quarter of them is for lanes that are neither slow nor in trouble.
    pub(super) fn with_slots(mut self, slots: usize) -> Self {
        self.slow_slots = slots.saturating_sub(slots.div_euclid(4)).max(1);
        self
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
        let lane = self.asks(now).or_else(|| self.free()).or_else(|| self.asks(now))?;
        let takes_slow_slot = self.is_slow(&lane);
        self.slow_turns = self.slow_turns.saturating_add(usize::from(takes_slow_slot));
        let again = false;
        let state = self.known.entry(lane.clone()).or_default();
        *state = State { busy: true, again, takes_slow_slot, failures: state.failures };
        Some(lane)
    }

    /// Whether its turn may be a long one.
    fn is_slow(&self, lane: &Lane) -> bool {
        self.slow.contains(lane) || self.known.get(lane).is_some_and(|state| state.failures > 0)
    }

    /// The lane that asks a server in doubt.
    fn asks(&mut self, now: Instant) -> Option<Lane> {
        self.doubts.values_mut().find_map(|doubt| doubt.next(now))
    }

    /// The next lane to a server that is not in doubt. Lanes to the others are put to those that wait for these.
    fn free(&mut self) -> Option<Lane> {
        while let Some(lane) = self.ready.pop_front() {
            if let Some(doubt) = self.doubts.get_mut(&lane.server) {
                if doubt.accused.contains(&lane) {
                    doubt.waiting.push_back(lane);
                } else {
                    self.tickets = self.tickets.saturating_add(1);
                    doubt.fresh.insert((self.records.get(&lane).copied(), self.tickets, lane));
                }
                continue;
            }
            if self.slow_turns >= self.slow_slots && self.is_slow(&lane) {
                self.held_back.push_back(lane);
                continue;
            }
            return Some(lane);
        }
        None
    }

    /// A lane had its turn. Returns whom its last answer was meant for.
    pub(super) fn ended(&mut self, lane: Lane, turn: &Turn, now: Instant) -> Meant {
        let (jitter, longest) = (self.jitter, self.longest_wait);
        let wait = |failures, retry_after| wait(failures, retry_after, longest, jitter);
        let state = self.known.entry(lane.clone()).or_default();
        state.busy = false;
        if std::mem::take(&mut state.takes_slow_slot) {
            self.slow_turns = self.slow_turns.saturating_sub(1);
            self.ready.extend(self.held_back.pop_front());
        }
        if turn.accepted {
            state.failures = 0;
        }
        match turn.slow {
            Some(true) => _ = self.slow.insert(lane.clone()),
            Some(false) => _ = self.slow.remove(&lane),
            None => {}
        }
        if turn.accepted || matches!(turn.end, End::Refused { .. }) {
            self.server_answers(&lane, now);
        } else if let Some(doubt) = self.doubts.get_mut(&lane.server)
            && !matches!(turn.end, End::Doubtful { .. } | End::Away { .. })
        {
            // If it was to ask, it asked nothing.
            doubt.asking.remove(&lane);
        }
        let state = self.known.entry(lane.clone()).or_default();
        match &turn.end {
            End::Empty => {
                let again = state.again;
                self.known.remove(&lane);
                if again {
                    self.offer(lane);
                }
            }
            End::More => self.ready.push_back(lane),
            End::Elsewhere => {
                self.delayed.insert((later(now, ELSEWHERE_WAIT), lane));
            }
            End::Refused { retry_after, .. } => {
                state.failures = state.failures.saturating_add(1);
                let wait = wait(state.failures, *retry_after);
                self.delayed.insert((later(now, wait), lane));
            }
            End::Trouble { .. } => {
                state.failures = state.failures.saturating_add(1);
                let wait = wait(state.failures, None);
                self.delayed.insert((later(now, wait), lane));
            }
            End::Away { .. } => {
                self.accuse(&lane, None, None, now);
                if let Some(doubt) = self.doubts.get_mut(&lane.server) {
                    doubt.waiting.push_back(lane);
                }
                return Meant::Server;
            }
            End::Doubtful { what, retry_after, .. } => {
                let wait = wait(state.failures.saturating_add(1), *retry_after);
                self.accuse(&lane, Some(*what), *retry_after, now);
                self.delayed.insert((later(now, wait), lane.clone()));
                let enough = self.enough(&lane.server, now);
                let alone = !self.known.keys().any(|other| other.server == lane.server && *other != lane);
                let servers = self.doubts.get(&lane.server).is_some_and(|doubt| doubt.is_servers(enough));
                return if servers || alone { Meant::Server } else { Meant::Body };
            }
        }
        Meant::Body
    }

    /// When [`next`](Self::next) may have something that it does not have now.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let doubts = self.doubts.values().filter_map(InDoubt::wake_at);
        self.delayed.first().map(|(due, _)| *due).into_iter().chain(doubts).min()
    }

    /// A server gave a lane a doubtful answer; none for one that cannot be reached.
    fn accuse(&mut self, lane: &Lane, what: Option<Doubt>, retry_after: Option<Duration>, now: Instant) {
        let enough = self.enough(&lane.server, now);
        let doubt = self.doubts.entry(lane.server.clone()).or_insert_with(|| InDoubt::new(now));
        let asked = doubt.asking.remove(lane);
        doubt.unreachable |= what.is_none();
        let is_fresh = doubt.accused.insert(lane.clone());
        if is_fresh {
            let clean = self.records.get(lane).is_none_or(|last| now.saturating_duration_since(*last) > RECORD);
            doubt.weight = doubt.weight.saturating_add(if clean { CLEAN } else { 1 });
        }
        if what.is_some() {
            self.records.insert(lane.clone(), now);
        }
        let longest = match what {
            Some(Doubt::Unauthorised) => self.longest_wait.min(UNAUTHORISED_LONGEST),
            Some(Doubt::Busy) | None => self.longest_wait,
        };
        // Of those that were under way together, the first counts.
        if asked || doubt.rounds == 0 {
            doubt.rounds = doubt.rounds.saturating_add(1);
            doubt.accused_at = later(now, wait(doubt.rounds, retry_after, longest, self.jitter));
        }
        if doubt.unreachable {
            doubt.fresh_at = doubt.accused_at;
        } else if doubt.is_servers(enough) && is_fresh && (asked || doubt.fresh_rounds == 0) {
            doubt.fresh_rounds = doubt.fresh_rounds.saturating_add(1);
            let wait = wait(doubt.fresh_rounds, retry_after, longest, self.jitter).min(FRESH_LONGEST);
            doubt.fresh_at = later(now, wait);
        }
    }

    /// How much the accused have to weigh for an answer to count as the server's.
    fn enough(&self, server: &ServerUrl, now: Instant) -> u32 {
        let is_recent =
            |(lane, at): &(&Lane, &Instant)| lane.server == *server && now.saturating_duration_since(**at) <= RECENT;
        let known = self.known.keys().filter(|lane| lane.server == *server).count();
        let agents = self.taken.iter().filter(is_recent).count().max(known);
        let accused = agents.div_euclid(2).clamp(LEAST_ACCUSED, MOST_ACCUSED);
        u32::try_from(accused).unwrap_or(u32::MAX).saturating_mul(CLEAN)
    }

    /// A server took a body of this lane, or refused that one in particular: the doubt is over.
    fn server_answers(&mut self, by: &Lane, now: Instant) {
        match self.taken.get_mut(by) {
            Some(at) => *at = now,
            None => _ = self.taken.insert(by.clone(), now),
        }
        let Some(doubt) = self.doubts.remove(&by.server) else { return };
        self.records.retain(|_, last| now.saturating_duration_since(*last) <= RECORD);
        self.taken.retain(|_, last| now.saturating_duration_since(*last) <= RECENT);
        for lane in doubt.accused.iter().filter(|lane| *lane != by) {
            // What others were taken with, these were refused with.
            if let Some(state) = self.known.get_mut(lane).filter(|_| !doubt.unreachable) {
                state.failures = state.failures.saturating_add(1);
            }
        }
        self.ready.extend(doubt.fresh.into_iter().map(|(_, _, lane)| lane));
        // These have backed off already.
        self.ready.extend(doubt.waiting);
    }
}

/// Full jitter: anything from nothing to a bound that doubles; but never less than the server asked for, within the longest wait.
fn wait(failures: u32, retry_after: Option<Duration>, longest: Duration, jitter: Jitter) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let bound = FIRST_WAIT.saturating_mul(1u32 << doublings).min(longest);
    let wait = bound.mul_f64(jitter().clamp(0.0, 1.0)).max(Duration::from_millis(10));
    let asked = retry_after.unwrap_or_default().min(longest);
    // Behind what was asked for they are spread out too.
    if asked.is_zero() { wait } else { asked.saturating_add(wait.min(FIRST_WAIT)) }
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait).unwrap_or(now)
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests; a panic fails the test, as it should")]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Doubt, End, Lane, Lanes, Meant, Turn};

    fn lane(digit: char, server: &str) -> Lane {
        Lane { server: server.parse().unwrap(), agent: digit.to_string().repeat(64).parse().unwrap() }
    }

    fn away() -> Turn {
        Turn::of(End::Away { text: String::new() })
    }

    fn busy(seconds: Option<u64>) -> Turn {
        doubtful(Doubt::Busy, seconds)
    }

    fn doubtful(what: Doubt, seconds: Option<u64>) -> Turn {
        let retry_after = seconds.map(Duration::from_secs);
        Turn::of(End::Doubtful { what, program: String::new(), retry_after, text: String::new() })
    }

    fn refused() -> Turn {
        Turn::of(End::Refused { program: String::new(), retry_after: None, text: String::new() })
    }

    /// A body was taken, and it was the last.
    fn taken() -> Turn {
        Turn { accepted: true, slow: Some(false), end: End::More }
    }

    fn empty() -> Turn {
        Turn::of(End::Empty)
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
        lanes.ended(lane('a', S), &empty(), now);
        assert_eq!(lanes.next(now), Some(lane('a', S)));
        lanes.ended(lane('a', S), &empty(), now);
        assert_eq!((lanes.next(now), lanes.wake_at()), (None, None));
    }

    #[test]
    fn a_long_queue_does_not_keep_others_from_their_turn() {
        let (mut lanes, now) = (Lanes::new(|| 0.5, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        lanes.offer(lane('b', S));
        assert_eq!(lanes.next(now), Some(lane('a', S)));
        lanes.ended(lane('a', S), &taken(), now);
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
        lanes.ended(lane('b', S), &empty(), now);
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
        lanes.ended(a, &away(), now);
        lanes.ended(b, &away(), now);
        assert_eq!(lanes.next(now), Some(lane('a', "http://b")), "another server is not concerned");
        assert_eq!(lanes.next(now), None);
        let due = lanes.wake_at().unwrap();
        assert_eq!(due, now + Duration::from_millis(500), "two that failed together count once");
        let asks = lanes.next(due).unwrap();
        assert_eq!((lanes.next(due), lanes.wake_at()), (None, None));
        lanes.ended(asks, &away(), due);
        let due = lanes.wake_at().unwrap();
        let asks = lanes.next(due).unwrap();
        lanes.ended(asks.clone(), &empty_after_taken(&asks), due);
        assert_eq!(std::iter::from_fn(|| lanes.next(due)).count(), 3, "it answers: all may go");
    }

    /// Takes the turns of all lanes that may go now, each of which ends as `answer` says. Returns whose they were.
    fn turns(lanes: &mut Lanes, now: Instant, mut answer: impl FnMut(&Lane) -> Turn) -> Vec<char> {
        let mut whose = Vec::new();
        while let Some(lane) = lanes.next(now) {
            assert!(whose.len() < 1000, "it goes on without end");
            whose.push(lane.agent.as_str().chars().next().unwrap());
            let turn = answer(&lane);
            lanes.ended(lane, &turn, now);
        }
        whose
    }

    #[test]
    fn a_server_is_left_alone_as_long_as_it_asked_for() {
        let (mut lanes, now) = (Lanes::new(|| 0.0, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        lanes.offer(lane('b', S));
        let asked = turns(&mut lanes, now, |_| busy(Some(120)));
        assert_eq!(asked, ['a', 'b'], "one answer does not tell");
        assert_eq!(lanes.next(now + Duration::from_millis(119_999)), None);
        assert!(lanes.wake_at().unwrap() >= now + Duration::from_mins(2));
        assert!(lanes.next(now + Duration::from_secs(121)).is_some());
        // Whoever was not answered yet looks after ten seconds at the latest.
        lanes.offer(lane('c', S));
        let almost = now + Duration::from_millis(9_999);
        let soon = now + Duration::from_secs(10);
        let mut lanes = Lanes::new(|| 0.0, LONGEST);
        "ab".chars().for_each(|digit| lanes.offer(lane(digit, S)));
        turns(&mut lanes, now, |_| busy(Some(u64::MAX)));
        lanes.offer(lane('c', S));
        assert_eq!(lanes.next(almost), None);
        assert_eq!(lanes.next(soon), Some(lane('c', S)));
        // A server cannot ask for ever.
        let last = lanes.ended(lane('c', S), &busy(Some(u64::MAX)), soon);
        assert_eq!(last, Meant::Server);
        assert!(lanes.wake_at().unwrap() <= soon + Duration::from_secs(301));
    }

    #[test]
    fn answer_to_one_agent_holds_up_no_other_whatever_it_asks_for() {
        for answer in [busy(None), busy(Some(u64::MAX)), doubtful(Doubt::Unauthorised, None)] {
            let (mut lanes, now) = (Lanes::new(|| 1.0, LONGEST), Instant::now());
            "abc".chars().for_each(|digit| lanes.offer(lane(digit, S)));
            let turn_of = |lane: &Lane| {
                if *lane == super::tests::lane('a', S) { answer.clone() } else { empty_after_taken(lane) }
            };
            assert_eq!(turns(&mut lanes, now, turn_of), ['a', 'b', 'c']);
            // Alone, and with company again.
            for _ in 0..20 {
                let now = lanes.wake_at().unwrap();
                lanes.offer(lane('b', S));
                let mut whose = turns(&mut lanes, now, turn_of);
                whose.sort_unstable();
                assert!(whose.contains(&'b'), "{whose:?}");
            }
        }
    }

    fn empty_after_taken(_: &Lane) -> Turn {
        Turn { accepted: true, slow: Some(false), end: End::Empty }
    }

    #[test]
    fn refused_agent_backs_off_further_each_time_while_others_are_taken() {
        let (mut lanes, mut now) = (Lanes::new(|| 1.0, LONGEST), Instant::now());
        lanes.offer(lane('a', S));
        let mut waits = Vec::new();
        for _ in 0..12 {
            lanes.offer(lane('b', S));
            turns(&mut lanes, now, |lane| {
                if *lane == super::tests::lane('a', S) { busy(None) } else { empty_after_taken(lane) }
            });
            let due = lanes.wake_at().unwrap();
            waits.push((due - now).as_secs());
            now = due;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    }

    #[test]
    fn agents_that_are_refused_all_day_delay_others_by_moments_however_many_they_are() {
        let (mut lanes, mut now) = (Lanes::new(|| 1.0, LONGEST), Instant::now());
        let bad: Vec<char> = "0123456789abcde".chars().collect();
        let mut posts = 0;
        for round in 0..2000u64 {
            // Each second time their body is a good one, so that they seem to be as good as any.
            for digit in &bad {
                lanes.offer(lane(*digit, S));
            }
            let begun = now;
            if round % 10 == 0 {
                lanes.offer(lane('f', S));
            }
            let mut good_waited = None;
            while now < begun + Duration::from_mins(1) {
                turns(&mut lanes, now, |lane| {
                    posts += 1;
                    if lane.agent.as_str().starts_with('f') {
                        good_waited = Some(now - begun);
                        empty_after_taken(lane)
                    } else if posts % 2 == 0 {
                        empty_after_taken(lane)
                    } else {
                        busy(Some(100_000))
                    }
                });
                now = lanes.wake_at().unwrap_or(begun + Duration::from_mins(1)).max(now + Duration::from_millis(10));
            }
            if round % 10 == 0 {
                assert!(good_waited.is_some_and(|waited| waited <= Duration::from_secs(1)), "{round}: {good_waited:?}");
            }
        }
    }

    /// Delivers of so many agents, one body a second each, of which the bad ones are answered so (after so long); how late the good ones were at most.
    fn latest_of_good_agents(bad: usize, good: usize, answer: &Turn, after: Duration) -> Duration {
        let of = |number: usize| Lane { server: S.parse().unwrap(), agent: format!("{number:064x}").parse().unwrap() };
        let number = |lane: &Lane| usize::from_str_radix(lane.agent.as_str(), 16).unwrap();
        let (mut lanes, start) = (Lanes::new(|| 0.5, LONGEST).with_slots(32), Instant::now());
        // A minute in which everything is taken comes before.
        for number in 0..bad + good {
            lanes.offer(of(number));
        }
        while let Some(lane) = lanes.next(start) {
            lanes.ended(lane, &empty_after_taken(&of(0)), start);
        }
        let (mut now, mut latest) = (start, Duration::ZERO);
        let mut waits_since = vec![None; bad + good];
        let mut under_way: Vec<(Instant, Lane)> = Vec::new();
        for second in 0..120u64 {
            let begun = start + Duration::from_secs(second);
            for (number, since) in waits_since.iter_mut().enumerate() {
                since.get_or_insert(begun);
                lanes.offer(of(number));
            }
            while now < begun + Duration::from_secs(1) {
                while under_way.len() < 32
                    && let Some(lane) = lanes.next(now)
                {
                    let takes = if number(&lane) < bad { after } else { Duration::from_millis(1) };
                    under_way.push((now + takes, lane));
                }
                now += Duration::from_millis(1);
                let (ended, going) = under_way.drain(..).partition::<Vec<_>, _>(|(end, _)| *end <= now);
                under_way = going;
                for (_, lane) in ended {
                    if number(&lane) < bad {
                        lanes.ended(lane, answer, now);
                    } else {
                        latest =
                            latest.max(waits_since[number(&lane)].take().map_or(Duration::ZERO, |since| now - since));
                        lanes.ended(lane.clone(), &empty_after_taken(&lane), now);
                    }
                }
            }
        }
        waits_since.drain(bad..).flatten().fold(latest, |latest, since| latest.max(now - since))
    }

    #[test]
    fn many_agents_that_are_refused_together_delay_others_by_seconds_at_most() {
        for (bad, good) in [(1, 2), (5, 15), (10, 10), (20, 20)] {
            for answer in [busy(Some(1_000_000)), busy(None), doubtful(Doubt::Unauthorised, None)] {
                let latest = latest_of_good_agents(bad, good, &answer, Duration::from_millis(1));
                assert!(latest <= Duration::from_secs(11), "{bad} beside {good}: {latest:?}, {answer:?}");
            }
            let latest = latest_of_good_agents(bad, good, &busy(None), Duration::from_secs(30));
            assert!(latest <= Duration::from_secs(31), "{bad} beside {good} without an answer: {latest:?}");
        }
    }

    #[test]
    fn ten_thousand_agents_do_not_all_ask_a_server_that_is_busy() {
        let (mut lanes, mut now) = (Lanes::new(|| 0.5, LONGEST), Instant::now());
        let many: Vec<Lane> = (0..10_000)
            .map(|number| Lane { server: S.parse().unwrap(), agent: format!("{number:064x}").parse().unwrap() })
            .collect();
        for lane in &many {
            lanes.offer(lane.clone());
        }
        let (end, mut posts) = (now + Duration::from_hours(1), 0);
        while now < end {
            while let Some(lane) = lanes.next(now) {
                posts += 1;
                lanes.ended(lane, &busy(None), now);
            }
            now = lanes.wake_at().unwrap();
        }
        assert!(posts < 1000, "{posts} in an hour");
        // It is back: everybody has delivered within seconds.
        let begun = now;
        let mut left = many.len();
        while left > 0 {
            while let Some(lane) = lanes.next(now) {
                left -= 1;
                lanes.ended(lane.clone(), &empty_after_taken(&lane), now);
            }
            if let Some(at) = lanes.wake_at() {
                now = at;
            }
        }
        assert!(now - begun < Duration::from_secs(2), "{:?}", now - begun);
    }

    #[test]
    fn the_queue_of_a_server_that_does_not_know_us_is_held() {
        let (mut lanes, mut now) = (Lanes::new(|| 1.0, LONGEST), Instant::now());
        "abcdef".chars().for_each(|digit| lanes.offer(lane(digit, S)));
        let (end, mut posts) = (now + Duration::from_hours(1), 0);
        while now < end {
            posts += turns(&mut lanes, now, |_| doubtful(Doubt::Unauthorised, None)).len();
            // Once it is known here again, that shows within a minute.
            let next = lanes.wake_at().unwrap();
            assert!(next - now <= Duration::from_mins(1), "{:?}", next - now);
            now = next;
        }
        assert!((60..90).contains(&posts), "{posts} in an hour");
    }

    #[test]
    fn lanes_that_are_slow_or_in_trouble_leave_slots_to_the_others() {
        let (mut lanes, now) = (Lanes::new(|| 1.0, LONGEST).with_slots(8), Instant::now());
        let slow = Turn { accepted: true, slow: Some(true), end: End::More };
        let digits: Vec<char> = "0123456789".chars().collect();
        for digit in &digits {
            lanes.offer(lane(*digit, S));
        }
        let begun: Vec<Lane> = std::iter::from_fn(|| lanes.next(now)).collect();
        assert_eq!(begun.len(), 10);
        for lane in begun {
            lanes.ended(lane, &slow, now);
        }
        lanes.offer(lane('a', S));
        let begun: Vec<Lane> = std::iter::from_fn(|| lanes.next(now)).collect();
        assert_eq!(begun.len(), 7, "six slow ones, and the one that is not");
        assert!(begun.contains(&lane('a', S)));
        // As one ends, another has its turn; none is forgotten.
        let mut seen: std::collections::BTreeSet<Lane> = begun.iter().cloned().collect();
        for lane in begun {
            lanes.ended(lane, &Turn { end: End::Empty, ..slow.clone() }, now);
            seen.extend(lanes.next(now));
        }
        assert_eq!(seen.len(), 11);
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
