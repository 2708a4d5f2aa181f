//! Faults that a simulated device shows on demand, and which requests they meet. Nothing here touches the network: for a
//! request it is said what shall happen, and `wire` makes it happen.

use std::{
    fmt,
    num::NonZeroU64,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use pattoo_modbus::{ExceptionCode, Ranges, Table};
use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor, value::MapAccessDeserializer},
};

use super::value::Period;

/// What a device does instead of answering as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Answers late. The only one that goes together with others.
    Delay(Duration),
    /// Answers with this exception.
    Exception(ExceptionCode),
    /// Does not answer.
    Silence,
    /// Answers with as many bytes as the reply has, and none of them right.
    Garbage,
    /// Answers under the transaction number after the right one (TCP only).
    WrongTransaction,
    /// Answers as the unit after the right one.
    WrongUnit,
    /// Answers with a wrong checksum (RTU only).
    WrongChecksum,
    /// Answers with a register, or eight bits, less than was asked for.
    ShortReply,
    /// Answers with a register, or eight bits, more than was asked for.
    LongReply,
    /// Sends the first half of the reply, and no more.
    CutReply,
    /// Closes the connection without an answer.
    Drop,
    /// Answers, then closes the connection.
    Close,
}

/// A fault, and the requests that it meets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    pub(super) fault: Fault,
    /// Of all units if there is no list.
    units: Option<Vec<u8>>,
    /// Of all tables.
    tables: Option<Vec<TableName>>,
    /// That touch any of these.
    #[serde(default = "Ranges::all", deserialize_with = "addresses")]
    addresses: Ranges,
    /// So many requests are spared first.
    #[serde(default)]
    after: u64,
    /// Of the others only each so-manieth is met.
    #[serde(default = "one")]
    every: NonZeroU64,
    /// When so many were met, the fault is over.
    times: Option<u64>,
}

fn one() -> NonZeroU64 {
    NonZeroU64::MIN
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum TableName {
    Coils,
    Discrete,
    Holding,
    Input,
}

impl TableName {
    fn table(self) -> Table {
        match self {
            Self::Coils => Table::Coils,
            Self::Discrete => Table::DiscreteInputs,
            Self::Holding => Table::HoldingRegisters,
            Self::Input => Table::InputRegisters,
        }
    }
}

/// The rules of a device that is running: each counts the requests that it could meet.
#[derive(Debug)]
pub(super) struct Faults(Vec<(Rule, AtomicU64)>);

/// What shall happen to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    /// Never [`Fault::Delay`].
    pub(super) fault: Option<Fault>,
}

impl Faults {
    pub(super) fn new(rules: Vec<Rule>) -> Self {
        Self(rules.into_iter().map(|rule| (rule, AtomicU64::new(0))).collect())
    }

    /// All delays that meet the request, and the first of the other faults. Each rule that fits counts the request.
    pub(super) fn judge(&self, unit: u8, pdu: &[u8]) -> Verdict {
        let mut verdict = Verdict::default();
        for (rule, asked) in &self.0 {
            if !rule.fits(unit, pdu) || !rule.meets(asked.fetch_add(1, Ordering::Relaxed)) {
                continue;
            }
            match rule.fault {
                Fault::Delay(delay) => verdict.delay = verdict.delay.saturating_add(delay),
                fault => verdict.fault = verdict.fault.or(Some(fault)),
            }
        }
        verdict
    }
}

impl Rule {
    fn fits(&self, unit: u8, pdu: &[u8]) -> bool {
        if self.units.as_ref().is_some_and(|units| !units.contains(&unit)) {
            return false;
        }
        let table = pdu.first().and_then(|function| Table::from_function(*function));
        if let Some(tables) = &self.tables
            && !tables.iter().any(|name| Some(name.table()) == table)
        {
            return false;
        }
        match *pdu {
            [_, first_high, first_low, count_high, count_low] if table.is_some() => {
                let first = u16::from_be_bytes([first_high, first_low]);
                let last = first.saturating_add(u16::from_be_bytes([count_high, count_low]).saturating_sub(1));
                (first..=last).any(|address| self.addresses.contains_run(address, address))
            }
            // No read: it has no addresses that a rule could name.
            _ => self.addresses == Ranges::all(),
        }
    }

    /// Whether a request is met before which the rule saw `earlier` others.
    fn meets(&self, earlier: u64) -> bool {
        let Some(nth) = earlier.checked_sub(self.after) else { return false };
        // The last of each `every`: 1 is all of them, 5 the fifth, the tenth …
        let turn = nth.checked_rem(self.every.get()) == self.every.get().checked_sub(1);
        let met = nth.checked_div(self.every.get()).unwrap_or(0);
        turn && self.times.is_none_or(|times| met < times)
    }
}

/// `{ delay: 300ms }`, `{ exception: 4 }`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WithValue {
    Delay(Period),
    #[serde(deserialize_with = "exception")]
    Exception(ExceptionCode),
}

pub(super) fn exception<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ExceptionCode, D::Error> {
    let code = u64::deserialize(deserializer)?;
    match u8::try_from(code) {
        Ok(code @ 1..=127) => Ok(ExceptionCode(code)),
        _ => Err(de::Error::invalid_value(Unexpected::Unsigned(code), &"an exception code, 1 to 127")),
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Kind;
        impl<'de> Visitor<'de> for Kind {
            type Value = Fault;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "one of `silence`, `garbage`, `wrong-transaction`, `wrong-unit`, `wrong-checksum`, `short-reply`, \
                     `long-reply`, `cut-reply`, `drop`, `close`, `{ delay: 300ms }`, `{ exception: 4 }`",
                )
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<Fault, E> {
                Ok(match name {
                    "silence" => Fault::Silence,
                    "garbage" => Fault::Garbage,
                    "wrong-transaction" => Fault::WrongTransaction,
                    "wrong-unit" => Fault::WrongUnit,
                    "wrong-checksum" => Fault::WrongChecksum,
                    "short-reply" => Fault::ShortReply,
                    "long-reply" => Fault::LongReply,
                    "cut-reply" => Fault::CutReply,
                    "drop" => Fault::Drop,
                    "close" => Fault::Close,
                    other => return Err(E::invalid_value(Unexpected::Str(other), &self)),
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Fault, A::Error> {
                Ok(match WithValue::deserialize(MapAccessDeserializer::new(map))? {
                    WithValue::Delay(delay) => Fault::Delay(delay.duration()),
                    WithValue::Exception(code) => Fault::Exception(code),
                })
            }
        }
        deserializer.deserialize_any(Kind)
    }
}

/// A list of addresses and of ranges such as `"10-19"`.
fn addresses<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ranges, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Ranges;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of addresses such as `[5, \"10-19\"]`")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ranges, A::Error> {
            #[derive(Deserialize)]
            #[serde(untagged)]
            enum One {
                Address(u16),
                Range(String),
            }
            let mut ranges = Vec::new();
            while let Some(one) = list.next_element()? {
                let text = match one {
                    One::Address(address) => address.to_string(),
                    One::Range(text) => text,
                };
                ranges.push(text.parse::<Ranges>().map_err(de::Error::custom)?);
            }
            Ok(ranges.into_iter().collect())
        }
    }
    deserializer.deserialize_seq(List)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Faults {
        Faults::new(serde_yaml::from_str(text).unwrap())
    }

    const READ_5_TO_9: [u8; 5] = [3, 0, 5, 0, 5];

    fn met(faults: &Faults, count: usize) -> Vec<usize> {
        (1..=count).filter(|_| faults.judge(1, &READ_5_TO_9).fault.is_some()).collect()
    }

    #[test]
    fn a_rule_meets_the_units_tables_and_addresses_that_it_names() {
        let rule = faults("[{ fault: silence, units: [1, 2], tables: [holding, coils], addresses: [3, '9-20'] }]");
        let fault = |unit, pdu: &[u8]| rule.judge(unit, pdu).fault;
        assert_eq!(fault(1, &READ_5_TO_9), Some(Fault::Silence));
        assert_eq!(fault(2, &[1, 0, 20, 0, 1]), Some(Fault::Silence));
        assert_eq!(fault(3, &READ_5_TO_9), None, "another unit");
        assert_eq!(fault(1, &[4, 0, 5, 0, 5]), None, "another table");
        assert_eq!(fault(1, &[3, 0, 4, 0, 5]), None, "another address");
        assert_eq!(fault(1, &[6, 0, 9, 0, 5]), None, "a write");
        assert_eq!(faults("[{ fault: silence }]").judge(1, &[6, 0, 9, 0, 5]).fault, Some(Fault::Silence));
    }

    #[test]
    fn after_every_and_times_choose_among_the_requests() {
        assert_eq!(met(&faults("[{ fault: drop, after: 2 }]"), 5), [3, 4, 5]);
        assert_eq!(met(&faults("[{ fault: drop, times: 2 }]"), 5), [1, 2]);
        assert_eq!(met(&faults("[{ fault: drop, every: 3 }]"), 9), [3, 6, 9]);
        assert_eq!(met(&faults("[{ fault: drop, after: 1, every: 2, times: 2 }]"), 9), [3, 5]);
    }

    #[test]
    fn delays_add_up_and_of_other_faults_the_first_is_shown() {
        let rules =
            "[{ fault: { delay: 1s } }, { fault: { exception: 4 } }, { fault: drop }, { fault: { delay: 20ms } }]";
        let verdict = faults(rules).judge(1, &READ_5_TO_9);
        assert_eq!(verdict.delay, Duration::from_millis(1020));
        assert_eq!(verdict.fault, Some(Fault::Exception(ExceptionCode(4))));
    }

    #[test]
    fn a_misspelt_fault_is_told_with_all_that_there_are() {
        let error = |text: &str| serde_yaml::from_str::<Vec<Rule>>(text).unwrap_err().to_string();
        assert!(error("[{ fault: silent }]").contains("`silence`, `garbage`"), "{}", error("[{ fault: silent }]"));
        for (text, part) in [
            ("[{ fault: { exception: 0 } }]", "an exception code, 1 to 127"),
            ("[{ fault: { delay: 0s } }]", "a duration above 0"),
            ("[{ fault: { silence: 1 } }]", "`delay` or `exception`"),
            ("[{ fault: drop, addresses: ['9-5'] }]", "9-5"),
            ("[{ fault: drop, every: 0 }]", "every"),
            ("[{ fault: drop, unit: 1 }]", "unknown field `unit`"),
        ] {
            assert!(error(text).contains(part), "{part:?} is not in {:?}", error(text));
        }
    }
}
