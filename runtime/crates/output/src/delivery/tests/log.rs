//! What is logged about outputs.

use std::time::{Duration, Instant};

use pattoo_base::log_folding::REPEAT;
use pattoo_spool::QueueId;

use crate::delivery::{
    log_throttling::{Line, LogThrottle},
    turn::{Concern, Doubt, End, Turn},
};

fn queue(digit: char) -> QueueId {
    QueueId { output: "http://a".parse().unwrap(), agent: digit.to_string().repeat(64).parse().unwrap() }
}

fn refused(text: &str) -> End {
    End::Refused { program: "P".to_owned(), retry_after: None, text: text.to_owned() }
}

fn unavailable(text: &str) -> End {
    End::Unavailable { text: text.to_owned() }
}

fn turn(end: End) -> Turn {
    Turn { accepted: end == End::More, slow: None, end, help: None }
}

/// What was said of these turns.
fn said(turns: &[(char, End)]) -> Vec<String> {
    let (mut throttle, now) = (LogThrottle::default(), Instant::now());
    let lines =
        turns.iter().filter_map(|(digit, end)| throttle.of(now, &queue(*digit), &turn(end.clone()), Concern::Output));
    lines
        .map(|line| match line {
            Line::Error(text) | Line::Warning(text) | Line::Info(text) => text,
        })
        .collect()
}

const REFUSED: &str = "a payload of P is not accepted, and stays in the spool: 500";
const AWAY: &str = "not delivered, and kept in the spool: 503";
const AGAIN: &str = "delivery to http://a resumed after 0s";

#[test]
fn one_agent_that_is_refused_among_others_that_are_taken_is_said_once_and_its_end_once() {
    let mut turns = Vec::new();
    for _ in 0..50 {
        turns.extend([('a', refused("500")), ('b', End::More), ('c', End::Empty)]);
    }
    assert_eq!(said(&turns), [REFUSED]);
    turns.extend([('a', End::More), ('a', End::Empty), ('b', End::Empty)]);
    assert_eq!(said(&turns), [REFUSED, AGAIN]);
    turns.push(('a', refused("500")));
    assert_eq!(said(&turns), [REFUSED, AGAIN, REFUSED], "it is logged again");
}

#[test]
fn an_outage_is_one_line_however_many_agents_meet_it_and_its_end_is_one() {
    for (end, line) in [(unavailable("503"), AWAY), (refused("500"), REFUSED)] {
        let mut turns: Vec<_> = "abcdabcd".chars().map(|digit| (digit, end.clone())).collect();
        turns.push(('a', End::Locked));
        assert_eq!(said(&turns), [line]);
        turns.extend("abcdabcd".chars().map(|digit| (digit, End::More)));
        assert_eq!(said(&turns), [line, AGAIN]);
    }
}

#[test]
fn a_server_that_comes_back_and_still_refuses_one_agent_says_both() {
    let turns = [
        ('a', refused("500")),
        ('b', unavailable("503")),
        ('b', End::More),
        ('a', refused("500")),
        ('a', unavailable("503")),
    ];
    assert_eq!(said(&turns), [REFUSED, AWAY, "delivery to http://a resumed, but not for every agent", AWAY]);
}

#[test]
fn a_server_that_gives_another_reason_each_time_is_not_repeated_for_ever() {
    let turns: Vec<_> = (0..100).map(|number| ('a', refused(&number.to_string()))).collect();
    assert_eq!(said(&turns).len(), 8);
}

#[test]
fn a_token_that_is_wrong_is_an_error() {
    let (what, program) = (Doubt::Unauthorised, "P".to_owned());
    let end = End::Doubtful { what, program, retry_after: None, text: "401".to_owned() };
    let line = LogThrottle::default().of(Instant::now(), &queue('a'), &turn(end), Concern::Output);
    assert_eq!(
        line,
        Some(Line::Error("not delivered, and the queue waits until the token is corrected: 401".to_owned()))
    );
}

#[test]
fn outage_that_lasts_is_logged_each_hour_and_its_end_says_how_long_it_was() {
    let (mut throttle, began) = (LogThrottle::default(), Instant::now());
    let away = turn(unavailable("503"));
    let lines = (0..=7200).filter_map(|second| {
        let now = began + Duration::from_secs(second);
        throttle.of(now, &queue('a'), &away, Concern::Output).map(|_| second)
    });
    assert_eq!(lines.collect::<Vec<_>>(), [0, 3600, 7200]);
    let over = throttle.of(began + REPEAT * 2, &queue('a'), &turn(End::More), Concern::Output);
    assert_eq!(over, Some(Line::Info("delivery to http://a resumed after 2h 0m".to_owned())));
}

#[test]
fn output_that_comes_and_goes_each_second_is_a_few_lines_an_hour() {
    for held_up in [false, true] {
        let (mut throttle, began) = (LogThrottle::default(), Instant::now());
        if held_up {
            throttle.of(began, &queue('b'), &turn(refused("500")), Concern::Output);
        }
        let lines = (0..3600).filter_map(|second| {
            let end = if second % 2 == 0 { unavailable("503") } else { End::More };
            throttle.of(began + Duration::from_secs(second), &queue('a'), &turn(end), Concern::Output)
        });
        assert_eq!(lines.count(), 3, "it is unavailable, not any more, and again");
        let later = began + REPEAT + Duration::from_mins(2);
        let over = throttle.of(later, &queue('a'), &turn(End::More), Concern::Output);
        assert_eq!(over.is_some(), !held_up, "its end is a line: {over:?}");
    }
}
