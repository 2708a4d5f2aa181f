//! When each queue has its turn.

use std::time::{Duration, Instant};

use pattoo_spool::QueueId;

use crate::delivery::{
    scheduler::{QueueScheduler, wait},
    turn::{Concern, Doubt, End, Turn},
};

fn queue(digit: char, server: &str) -> QueueId {
    QueueId { output: server.parse().unwrap(), agent: digit.to_string().repeat(64).parse().unwrap() }
}

fn unavailable() -> Turn {
    Turn::of(End::Unavailable { text: String::new() })
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
    Turn { accepted: true, slow: Some(false), end: End::More, help: None }
}

fn empty() -> Turn {
    Turn::of(End::Empty)
}

const LONGEST: Duration = Duration::from_mins(5);
const S: &str = "http://a";

#[test]
fn a_queue_has_one_turn_at_a_time_and_another_when_something_came_meanwhile() {
    let (mut scheduler, now) = (QueueScheduler::new(|| 0.5, LONGEST), Instant::now());
    scheduler.offer(queue('a', S));
    scheduler.offer(queue('a', S));
    assert_eq!(scheduler.next(now), Some(queue('a', S)));
    assert_eq!(scheduler.next(now), None);
    scheduler.offer(queue('a', S));
    assert_eq!(scheduler.next(now), None, "it is under way");
    scheduler.ended(queue('a', S), &empty(), now);
    assert_eq!(scheduler.next(now), Some(queue('a', S)));
    scheduler.ended(queue('a', S), &empty(), now);
    assert_eq!((scheduler.next(now), scheduler.wake_at()), (None, None));
}

#[test]
fn a_long_queue_does_not_keep_others_from_their_turn() {
    let (mut scheduler, now) = (QueueScheduler::new(|| 0.5, LONGEST), Instant::now());
    scheduler.offer(queue('a', S));
    scheduler.offer(queue('b', S));
    assert_eq!(scheduler.next(now), Some(queue('a', S)));
    scheduler.ended(queue('a', S), &taken(), now);
    assert_eq!(scheduler.next(now), Some(queue('b', S)));
}

#[test]
fn refusal_delays_its_own_queue_only() {
    let (mut scheduler, now) = (QueueScheduler::new(|| 0.5, LONGEST), Instant::now());
    scheduler.offer(queue('a', S));
    scheduler.offer(queue('b', S));
    assert_eq!(scheduler.next(now), Some(queue('a', S)));
    scheduler.ended(queue('a', S), &refused(), now);
    assert_eq!(scheduler.next(now), Some(queue('b', S)));
    scheduler.ended(queue('b', S), &empty(), now);
    assert_eq!(scheduler.next(now), None);
    let due = scheduler.wake_at().unwrap();
    assert_eq!(due, now + Duration::from_millis(500));
    assert_eq!(scheduler.next(due), Some(queue('a', S)));
    scheduler.ended(queue('a', S), &refused(), due);
    assert_eq!(scheduler.wake_at(), Some(due + Duration::from_secs(1)), "twice as long");
}

#[test]
fn unavailable_server_is_tried_by_one_queue_at_a_time() {
    let (mut scheduler, now) = (QueueScheduler::new(|| 0.5, LONGEST), Instant::now());
    for digit in ['a', 'b', 'c', 'd'] {
        scheduler.offer(queue(digit, S));
    }
    scheduler.offer(queue('a', "http://b"));
    let (a, b) = (scheduler.next(now).unwrap(), scheduler.next(now).unwrap());
    scheduler.ended(a, &unavailable(), now);
    scheduler.ended(b, &unavailable(), now);
    assert_eq!(scheduler.next(now), Some(queue('a', "http://b")), "another server is not concerned");
    assert_eq!(scheduler.next(now), None);
    let due = scheduler.wake_at().unwrap();
    assert_eq!(due, now + Duration::from_millis(500), "two that failed together count once");
    let asks = scheduler.next(due).unwrap();
    assert_eq!((scheduler.next(due), scheduler.wake_at()), (None, None));
    scheduler.ended(asks, &unavailable(), due);
    let due = scheduler.wake_at().unwrap();
    let asks = scheduler.next(due).unwrap();
    scheduler.ended(asks.clone(), &empty_after_taken(&asks), due);
    assert_eq!(std::iter::from_fn(|| scheduler.next(due)).count(), 3, "it answers: all may go");
}

/// Takes the turns of all scheduler that may go now, each of which ends as `answer` says. Returns whose they were.
fn turns(scheduler: &mut QueueScheduler, now: Instant, mut answer: impl FnMut(&QueueId) -> Turn) -> Vec<char> {
    let mut whose = Vec::new();
    while let Some(queue) = scheduler.next(now) {
        assert!(whose.len() < 1000, "it goes on without end");
        whose.push(queue.agent.as_str().chars().next().unwrap());
        let turn = answer(&queue);
        scheduler.ended(queue, &turn, now);
    }
    whose
}

#[test]
fn a_server_is_left_alone_as_long_as_it_asked_for() {
    let (mut scheduler, now) = (QueueScheduler::new(|| 0.0, LONGEST), Instant::now());
    scheduler.offer(queue('a', S));
    scheduler.offer(queue('b', S));
    let asked = turns(&mut scheduler, now, |_| busy(Some(120)));
    assert_eq!(asked, ['a', 'b'], "one answer does not tell");
    assert_eq!(scheduler.next(now + Duration::from_millis(119_999)), None);
    assert!(scheduler.wake_at().unwrap() >= now + Duration::from_mins(2));
    assert!(scheduler.next(now + Duration::from_secs(121)).is_some());
    // A queue without an answer tries again after ten seconds at the latest.
    scheduler.offer(queue('c', S));
    let almost = now + Duration::from_millis(9_999);
    let soon = now + Duration::from_secs(10);
    let mut scheduler = QueueScheduler::new(|| 0.0, LONGEST);
    "ab".chars().for_each(|digit| scheduler.offer(queue(digit, S)));
    turns(&mut scheduler, now, |_| busy(Some(u64::MAX)));
    scheduler.offer(queue('c', S));
    assert_eq!(scheduler.next(almost), None);
    assert_eq!(scheduler.next(soon), Some(queue('c', S)));
    // A server cannot ask for ever.
    let last = scheduler.ended(queue('c', S), &busy(Some(u64::MAX)), soon);
    assert_eq!(last, Concern::Output);
    assert!(scheduler.wake_at().unwrap() <= soon + Duration::from_secs(301));
}

#[test]
fn answer_to_one_agent_holds_up_no_other_whatever_it_asks_for() {
    for answer in [busy(None), busy(Some(u64::MAX)), doubtful(Doubt::Unauthorised, None)] {
        let (mut scheduler, now) = (QueueScheduler::new(|| 1.0, LONGEST), Instant::now());
        "abc".chars().for_each(|digit| scheduler.offer(queue(digit, S)));
        let turn_of = |queue: &QueueId| {
            if *queue == super::scheduler::queue('a', S) { answer.clone() } else { empty_after_taken(queue) }
        };
        assert_eq!(turns(&mut scheduler, now, turn_of), ['a', 'b', 'c']);
        // Alone, and with company again.
        for _ in 0..20 {
            let now = scheduler.wake_at().unwrap();
            scheduler.offer(queue('b', S));
            let mut whose = turns(&mut scheduler, now, turn_of);
            whose.sort_unstable();
            assert!(whose.contains(&'b'), "{whose:?}");
        }
    }
}

fn empty_after_taken(_: &QueueId) -> Turn {
    Turn { accepted: true, slow: Some(false), end: End::Empty, help: None }
}

#[test]
fn refused_agent_backs_off_further_each_time_while_others_are_taken() {
    let (mut scheduler, mut now) = (QueueScheduler::new(|| 1.0, LONGEST), Instant::now());
    scheduler.offer(queue('a', S));
    let mut waits = Vec::new();
    for _ in 0..12 {
        scheduler.offer(queue('b', S));
        turns(&mut scheduler, now, |queue| {
            if *queue == super::scheduler::queue('a', S) { busy(None) } else { empty_after_taken(queue) }
        });
        let due = scheduler.wake_at().unwrap();
        waits.push((due - now).as_secs());
        now = due;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
}

#[test]
fn agents_that_are_refused_all_day_delay_others_by_moments_however_many_they_are() {
    let (mut scheduler, mut now) = (QueueScheduler::new(|| 1.0, LONGEST), Instant::now());
    let bad: Vec<char> = "0123456789abcde".chars().collect();
    let mut posts = 0;
    for round in 0..2000u64 {
        // Each second time their body is a good one, so that they seem to be as good as any.
        for digit in &bad {
            scheduler.offer(queue(*digit, S));
        }
        let begun = now;
        if round % 10 == 0 {
            scheduler.offer(queue('f', S));
        }
        let mut good_waited = None;
        while now < begun + Duration::from_mins(1) {
            turns(&mut scheduler, now, |queue| {
                posts += 1;
                if queue.agent.as_str().starts_with('f') {
                    good_waited = Some(now - begun);
                    empty_after_taken(queue)
                } else if posts % 2 == 0 {
                    empty_after_taken(queue)
                } else {
                    busy(Some(100_000))
                }
            });
            now = scheduler.wake_at().unwrap_or(begun + Duration::from_mins(1)).max(now + Duration::from_millis(10));
        }
        if round % 10 == 0 {
            assert!(good_waited.is_some_and(|waited| waited <= Duration::from_secs(1)), "{round}: {good_waited:?}");
        }
    }
}

/// Delivers of so many agents, one body a second each, of which the bad ones are answered so (after so long); how late the good ones were at most.
fn latest_of_good_agents(bad: usize, good: usize, answer: &Turn, after: Duration) -> Duration {
    let of = |number: usize| QueueId { output: S.parse().unwrap(), agent: format!("{number:064x}").parse().unwrap() };
    let number = |queue: &QueueId| usize::from_str_radix(queue.agent.as_str(), 16).unwrap();
    let (mut scheduler, start) = (QueueScheduler::new(|| 0.5, LONGEST).with_slots(32), Instant::now());
    // A minute in which everything is taken comes before.
    for number in 0..bad + good {
        scheduler.offer(of(number));
    }
    while let Some(queue) = scheduler.next(start) {
        scheduler.ended(queue, &empty_after_taken(&of(0)), start);
    }
    let (mut now, mut latest) = (start, Duration::ZERO);
    let mut waits_since = vec![None; bad + good];
    let mut under_way: Vec<(Instant, QueueId)> = Vec::new();
    for second in 0..120u64 {
        let begun = start + Duration::from_secs(second);
        for (number, since) in waits_since.iter_mut().enumerate() {
            since.get_or_insert(begun);
            scheduler.offer(of(number));
        }
        while now < begun + Duration::from_secs(1) {
            while under_way.len() < 32
                && let Some(queue) = scheduler.next(now)
            {
                let takes = if number(&queue) < bad { after } else { Duration::from_millis(1) };
                under_way.push((now + takes, queue));
            }
            now += Duration::from_millis(1);
            let (ended, going) = under_way.drain(..).partition::<Vec<_>, _>(|(end, _)| *end <= now);
            under_way = going;
            for (_, queue) in ended {
                if number(&queue) < bad {
                    scheduler.ended(queue, answer, now);
                } else {
                    latest = latest.max(waits_since[number(&queue)].take().map_or(Duration::ZERO, |since| now - since));
                    scheduler.ended(queue.clone(), &empty_after_taken(&queue), now);
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
    let (mut scheduler, mut now) = (QueueScheduler::new(|| 0.5, LONGEST), Instant::now());
    let many: Vec<QueueId> = (0..10_000)
        .map(|number| QueueId { output: S.parse().unwrap(), agent: format!("{number:064x}").parse().unwrap() })
        .collect();
    for queue in &many {
        scheduler.offer(queue.clone());
    }
    let (end, mut posts) = (now + Duration::from_hours(1), 0);
    while now < end {
        while let Some(queue) = scheduler.next(now) {
            posts += 1;
            scheduler.ended(queue, &busy(None), now);
        }
        now = scheduler.wake_at().unwrap();
    }
    assert!(posts < 1000, "{posts} in an hour");
    // It is back: everybody has delivered within seconds.
    let begun = now;
    let mut left = many.len();
    while left > 0 {
        while let Some(queue) = scheduler.next(now) {
            left -= 1;
            scheduler.ended(queue.clone(), &empty_after_taken(&queue), now);
        }
        if let Some(at) = scheduler.wake_at() {
            now = at;
        }
    }
    assert!(now - begun < Duration::from_secs(2), "{:?}", now - begun);
}

#[test]
fn the_queue_of_a_server_that_does_not_know_us_is_held() {
    let (mut scheduler, mut now) = (QueueScheduler::new(|| 1.0, LONGEST), Instant::now());
    "abcdef".chars().for_each(|digit| scheduler.offer(queue(digit, S)));
    let (end, mut posts) = (now + Duration::from_hours(1), 0);
    while now < end {
        posts += turns(&mut scheduler, now, |_| doubtful(Doubt::Unauthorised, None)).len();
        // Once it is known here again, that shows within a minute.
        let next = scheduler.wake_at().unwrap();
        assert!(next - now <= Duration::from_mins(1), "{:?}", next - now);
        now = next;
    }
    assert!((60..90).contains(&posts), "{posts} in an hour");
}

#[test]
fn slow_or_failing_queues_leave_slots_to_the_others() {
    let (mut scheduler, now) = (QueueScheduler::new(|| 1.0, LONGEST).with_slots(8), Instant::now());
    let slow = Turn { accepted: true, slow: Some(true), end: End::More, help: None };
    let digits: Vec<char> = "0123456789".chars().collect();
    for digit in &digits {
        scheduler.offer(queue(*digit, S));
    }
    let begun: Vec<QueueId> = std::iter::from_fn(|| scheduler.next(now)).collect();
    assert_eq!(begun.len(), 10);
    for queue in begun {
        scheduler.ended(queue, &slow, now);
    }
    scheduler.offer(queue('a', S));
    let begun: Vec<QueueId> = std::iter::from_fn(|| scheduler.next(now)).collect();
    assert_eq!(begun.len(), 7, "six slow ones, and the one that is not");
    assert!(begun.contains(&queue('a', S)));
    // As one ends, another has its turn; none is forgotten.
    let mut seen: std::collections::BTreeSet<QueueId> = begun.iter().cloned().collect();
    for queue in begun {
        scheduler.ended(queue, &Turn { end: End::Empty, ..slow.clone() }, now);
        seen.extend(scheduler.next(now));
    }
    assert_eq!(seen.len(), 11);
}

#[test]
fn waiting_grows_to_five_minutes_and_no_further() {
    let mut longest = Duration::ZERO;
    for failures in 1..100 {
        let wait = wait(failures, None, LONGEST, || 1.0);
        assert!(wait >= longest && wait <= Duration::from_mins(5));
        longest = wait;
    }
    assert_eq!(longest, Duration::from_mins(5));
}
