//! What is worth a line of the log about servers and what they take: what changes, and not each try.
//!
//! A server that is away is one line when that begins and one when it is over, whatever the number of agents. So is a server that
//! refuses some bodies and takes others: it is in trouble until it has taken something of each agent that it refused.

use std::collections::{HashMap, HashSet};

use super::{
    Lane, ServerUrl,
    lanes::{Doubt, End, Meant, Turn},
};

/// How many different reasons are said between two moments without trouble. A server may put something else into each answer.
const MOST_REASONS: usize = 8;

/// The trouble that there is, by server.
#[derive(Debug, Default)]
pub(super) struct News(HashMap<ServerUrl, Trouble>);

#[derive(Debug, Default)]
struct Trouble {
    /// Why it is not to be had at all.
    away: Option<Reason>,
    /// Whose bodies it does not take.
    held_up: HashSet<Lane>,
    /// What was said of it.
    reasons: Vec<Reason>,
}

/// Whether it concerned the server, and what was answered.
type Reason = (bool, String);

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// Something an operator has to mend.
    Error(String),
    /// Trouble.
    Warning(String),
    /// That it is over.
    Info(String),
}

impl News {
    /// A lane had its turn, and its last answer was meant for somebody: what is to be said.
    pub(super) fn of(&mut self, lane: &Lane, turn: &Turn, meant: Meant) -> Option<Line> {
        let of_body = |program: &str, text: &str| {
            Line::Warning(format!("a body of {program} is not taken, and stays in the spool: {text}"))
        };
        let kept = |text: &str| Line::Warning(format!("not delivered, and kept in the spool: {text}"));
        match &turn.end {
            End::Elsewhere => None,
            End::Empty | End::More => self.taken(lane, turn.accepted),
            End::Refused { program, text, .. } => self.held_up(lane, text, of_body(program, text)),
            End::Doubtful { program, text, .. } if meant == Meant::Body => {
                self.held_up(lane, text, of_body(program, text))
            }
            End::Doubtful { what: Doubt::Unauthorised, text, .. } => {
                self.away(lane, text, Line::Error(format!("its queue is held until its token is right: {text}")))
            }
            End::Doubtful { what: Doubt::Busy, text, .. } | End::Away { text } => self.away(lane, text, kept(text)),
            End::Trouble { text } => self.held_up(lane, text, kept(text)),
        }
    }

    fn taken(&mut self, lane: &Lane, accepted: bool) -> Option<Line> {
        let trouble = self.0.get_mut(&lane.server)?;
        trouble.held_up.remove(lane);
        let was_away = if accepted { trouble.away.take() } else { None };
        if trouble.held_up.is_empty() && trouble.away.is_none() {
            self.0.remove(&lane.server);
            return Some(Line::Info(format!("{} takes bodies again", lane.server)));
        }
        let was_away = was_away?;
        // Were it to go away again for the same reason, that would be news.
        trouble.reasons.retain(|reason| *reason != was_away);
        Some(Line::Info(format!("{} takes bodies again, but not of every agent", lane.server)))
    }

    fn held_up(&mut self, lane: &Lane, reason: &str, line: Line) -> Option<Line> {
        let trouble = self.0.entry(lane.server.clone()).or_default();
        trouble.held_up.insert(lane.clone());
        trouble.say((false, reason.to_owned()), line)
    }

    fn away(&mut self, lane: &Lane, reason: &str, line: Line) -> Option<Line> {
        let trouble = self.0.entry(lane.server.clone()).or_default();
        let reason = (true, reason.to_owned());
        trouble.away = Some(reason.clone());
        trouble.say(reason, line)
    }
}

impl Trouble {
    fn say(&mut self, reason: Reason, line: Line) -> Option<Line> {
        if self.reasons.len() >= MOST_REASONS || self.reasons.contains(&reason) {
            return None;
        }
        self.reasons.push(reason);
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::{Doubt, End, Lane, Line, Meant, News, Turn};

    fn lane(digit: char) -> Lane {
        Lane { server: "http://a".parse().unwrap(), agent: digit.to_string().repeat(64).parse().unwrap() }
    }

    fn refused(text: &str) -> End {
        End::Refused { program: "P".to_owned(), retry_after: None, text: text.to_owned() }
    }

    fn away(text: &str) -> End {
        End::Away { text: text.to_owned() }
    }

    fn turn(end: End) -> Turn {
        Turn { accepted: end == End::More, slow: None, end }
    }

    /// What was said of these turns.
    fn said(turns: &[(char, End)]) -> Vec<String> {
        let mut news = News::default();
        let lines = turns.iter().filter_map(|(digit, end)| news.of(&lane(*digit), &turn(end.clone()), Meant::Server));
        lines
            .map(|line| match line {
                Line::Error(text) | Line::Warning(text) | Line::Info(text) => text,
            })
            .collect()
    }

    const REFUSED: &str = "a body of P is not taken, and stays in the spool: 500";
    const AWAY: &str = "not delivered, and kept in the spool: 503";
    const AGAIN: &str = "http://a takes bodies again";

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
        assert_eq!(said(&turns), [REFUSED, AGAIN, REFUSED], "it is news again");
    }

    #[test]
    fn an_outage_is_one_line_however_many_agents_meet_it_and_its_end_is_one() {
        for (end, line) in [(away("503"), AWAY), (refused("500"), REFUSED)] {
            let mut turns: Vec<_> = "abcdabcd".chars().map(|digit| (digit, end.clone())).collect();
            turns.push(('a', End::Elsewhere));
            assert_eq!(said(&turns), [line]);
            turns.extend("abcdabcd".chars().map(|digit| (digit, End::More)));
            assert_eq!(said(&turns), [line, AGAIN]);
        }
    }

    #[test]
    fn a_server_that_comes_back_and_still_refuses_one_agent_says_both() {
        let turns =
            [('a', refused("500")), ('b', away("503")), ('b', End::More), ('a', refused("500")), ('a', away("503"))];
        assert_eq!(said(&turns), [REFUSED, AWAY, "http://a takes bodies again, but not of every agent", AWAY]);
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
        let line = News::default().of(&lane('a'), &turn(end), Meant::Server);
        assert_eq!(line, Some(Line::Error("its queue is held until its token is right: 401".to_owned())));
    }
}
