//! Faults of a simulated device, and the requests that they apply to. Nothing here uses the
//! network: this module decides what happens to a request, and `wire` makes it happen.

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

/// What a device does instead of a correct reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Replies late. The only fault that is combined with others.
    Delay(Duration),
    /// Replies with this exception.
    Exception(ExceptionCode),
    /// Does not reply.
    Silence,
    /// Replies with as many bytes as the correct reply has, all of them wrong.
    Garbage,
    /// Replies with the next transaction number (TCP only).
    WrongTransaction,
    /// Replies as the next unit.
    WrongUnit,
    /// Replies with a wrong checksum (RTU only).
    WrongChecksum,
    /// Replies with a register, or eight bits, less than requested.
    ShortReply,
    /// Replies with a register, or eight bits, more than requested.
    LongReply,
    /// Sends only the first half of the reply.
    CutReply,
    /// Closes the connection without a reply.
    Drop,
    /// Replies, then closes the connection.
    Close,
}

/// A fault, and the requests that it applies to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultRule {
    pub(super) fault: Fault,
    /// Units; without a list all of them.
    units: Option<Vec<u8>>,
    /// Tables; without a list all of them.
    tables: Option<Vec<TableName>>,
    /// Addresses, of which a request contains at least one.
    #[serde(default = "Ranges::all", deserialize_with = "addresses")]
    addresses: Ranges,
    /// The number of requests before the first fault.
    #[serde(default)]
    after: u64,
    /// Of the other requests only every n-th has the fault.
    #[serde(default = "one")]
    every: NonZeroU64,
    /// After this many faults there are no more.
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

/// The rules of a running device. Each counts the requests that match it.
#[derive(Debug)]
pub(super) struct Faults(Vec<(FaultRule, AtomicU64)>);

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FaultInjection {
    pub(super) delay: Duration,
    /// Never [`Fault::Delay`].
    pub(super) fault: Option<Fault>,
}

impl Faults {
    pub(super) fn new(rules: Vec<FaultRule>) -> Self {
        Self(rules.into_iter().map(|rule| (rule, AtomicU64::new(0))).collect())
    }

    /// The sum of all delays for the request, and the first of the other faults. Each rule that
    /// matches counts the request.
    pub(super) fn inject(&self, unit: u8, pdu: &[u8]) -> FaultInjection {
        let mut injection = FaultInjection::default();
        for (rule, asked) in &self.0 {
            if !rule.matches(unit, pdu) || !rule.applies(asked.fetch_add(1, Ordering::Relaxed)) {
                continue;
            }
            match rule.fault {
                Fault::Delay(delay) => injection.delay = injection.delay.saturating_add(delay),
                fault => injection.fault = injection.fault.or(Some(fault)),
            }
        }
        injection
    }
}

impl FaultRule {
    fn matches(&self, unit: u8, pdu: &[u8]) -> bool {
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
            // Not a read, so it has no addresses.
            _ => self.addresses == Ranges::all(),
        }
    }

    /// Whether the fault applies to a request after `earlier` others.
    fn applies(&self, earlier: u64) -> bool {
        let Some(nth) = earlier.checked_sub(self.after) else { return false };
        // The last of each `every`: 1 means all, 5 the fifth, the tenth …
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
        (1..=count).filter(|_| faults.inject(1, &READ_5_TO_9).fault.is_some()).collect()
    }

    #[test]
    fn rule_applies_to_its_units_tables_and_addresses() {
        let rule = faults("[{ fault: silence, units: [1, 2], tables: [holding, coils], addresses: [3, '9-20'] }]");
        let fault = |unit, pdu: &[u8]| rule.inject(unit, pdu).fault;
        assert_eq!(fault(1, &READ_5_TO_9), Some(Fault::Silence));
        assert_eq!(fault(2, &[1, 0, 20, 0, 1]), Some(Fault::Silence));
        assert_eq!(fault(3, &READ_5_TO_9), None, "another unit");
        assert_eq!(fault(1, &[4, 0, 5, 0, 5]), None, "another table");
        assert_eq!(fault(1, &[3, 0, 4, 0, 5]), None, "another address");
        assert_eq!(fault(1, &[6, 0, 9, 0, 5]), None, "a write");
        assert_eq!(faults("[{ fault: silence }]").inject(1, &[6, 0, 9, 0, 5]).fault, Some(Fault::Silence));
    }

    #[test]
    fn after_every_and_times_select_requests() {
        assert_eq!(met(&faults("[{ fault: drop, after: 2 }]"), 5), [3, 4, 5]);
        assert_eq!(met(&faults("[{ fault: drop, times: 2 }]"), 5), [1, 2]);
        assert_eq!(met(&faults("[{ fault: drop, every: 3 }]"), 9), [3, 6, 9]);
        assert_eq!(met(&faults("[{ fault: drop, after: 1, every: 2, times: 2 }]"), 9), [3, 5]);
    }

    #[test]
    fn delays_are_added_and_the_first_other_fault_applies() {
        let rules =
            "[{ fault: { delay: 1s } }, { fault: { exception: 4 } }, { fault: drop }, { fault: { delay: 20ms } }]";
        let injection = faults(rules).inject(1, &READ_5_TO_9);
        assert_eq!(injection.delay, Duration::from_millis(1020));
        assert_eq!(injection.fault, Some(Fault::Exception(ExceptionCode(4))));
    }

    #[test]
    fn error_of_an_unknown_fault_lists_all_faults() {
        let error = |text: &str| serde_yaml::from_str::<Vec<FaultRule>>(text).unwrap_err().to_string();
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
