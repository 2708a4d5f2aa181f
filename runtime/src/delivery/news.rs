//! What is worth a line of the log about servers and what they take: what changes, and not each try.
//!
//! A server that is away is one line when that begins and one when it is over, whatever the number of agents. So is a server that
//! refuses some bodies and takes others: it is in trouble until it has taken something of each agent that it refused.

use std::collections::{HashMap, HashSet};

use super::{Lane, ServerUrl, lanes::End};

/// How many different reasons are said between two moments without trouble. A server may put something else into each answer.
const MOST_REASONS: usize = 8;

/// The trouble that there is, by server.
#[derive(Debug, Default)]
pub(super) struct News(HashMap<ServerUrl, Trouble>);

#[derive(Debug, Default)]
struct Trouble {
    /// Why it is not to be had at all.
    away: Option<String>,
    /// Whose bodies it does not take.
    held_up: HashSet<Lane>,
    /// What was said of it.
    reasons: Vec<String>,
}

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
    /// A lane had its turn: what is to be said.
    pub(super) fn of(&mut self, lane: &Lane, end: &End) -> Option<Line> {
        match end {
            End::Elsewhere => None,
            End::Empty | End::More => self.taken(lane),
            End::Refused { program, text, .. } => {
                let reason = format!("a body of {program} is not taken, and stays in the spool: {text}");
                self.held_up(lane, text, Line::Warning(reason))
            }
            End::Trouble { text } => {
                self.held_up(lane, text, Line::Warning(format!("not delivered, and kept in the spool: {text}")))
            }
            End::Away { text, .. } => {
                self.away(lane, text, Line::Warning(format!("not delivered, and kept in the spool: {text}")))
            }
            End::Unauthorised { text } => {
                self.away(lane, text, Line::Error(format!("its queue is held until its token is right: {text}")))
            }
        }
    }

    fn taken(&mut self, lane: &Lane) -> Option<Line> {
        let trouble = self.0.get_mut(&lane.server)?;
        trouble.held_up.remove(lane);
        let was_away = trouble.away.take();
        if trouble.held_up.is_empty() {
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
        // It answers.
        trouble.away = None;
        trouble.say(reason, line)
    }

    fn away(&mut self, lane: &Lane, reason: &str, line: Line) -> Option<Line> {
        let trouble = self.0.entry(lane.server.clone()).or_default();
        trouble.away = Some(reason.to_owned());
        trouble.say(reason, line)
    }
}

impl Trouble {
    fn say(&mut self, reason: &str, line: Line) -> Option<Line> {
        if self.reasons.len() >= MOST_REASONS || self.reasons.iter().any(|said| said == reason) {
            return None;
        }
        self.reasons.push(reason.to_owned());
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::{End, Lane, Line, News};

    fn lane(digit: char) -> Lane {
        Lane { server: "http://a".parse().unwrap(), agent: digit.to_string().repeat(64).parse().unwrap() }
    }

    fn refused(text: &str) -> End {
        End::Refused { program: "P".to_owned(), retry_after: None, text: text.to_owned() }
    }

    fn away(text: &str) -> End {
        End::Away { retry_after: None, text: text.to_owned() }
    }

    /// What was said of these turns.
    fn said(turns: &[(char, End)]) -> Vec<String> {
        let mut news = News::default();
        let lines = turns.iter().filter_map(|(digit, end)| news.of(&lane(*digit), end));
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
        let end = End::Unauthorised { text: "401".to_owned() };
        let line = News::default().of(&lane('a'), &end);
        assert_eq!(line, Some(Line::Error("its queue is held until its token is right: 401".to_owned())));
    }
}
