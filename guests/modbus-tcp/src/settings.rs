//! The configuration file of `pattoo_agent_modbustcpd`, read as that agent reads it.
//!
//! It is lenient: what it cannot use it leaves out without a word. Here the same is left out, and said.

use pattoo_guest::{modbus::Table, warn};
use serde::{Deserialize, de::IgnoredAny};

/// The file, which may hold more than this agent's part.
#[derive(Deserialize)]
pub(crate) struct Settings {
    pub(crate) pattoo_agent_modbustcpd: Agent,
}

#[derive(Deserialize)]
pub(crate) struct Agent {
    polling_interval: Option<Scalar>,
    polling_groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(rename = "group_name")]
    name: Option<Scalar>,
    ip_targets: Vec<String>,
    // Either may be there and blank.
    input_registers: Option<Vec<Point>>,
    holding_registers: Option<Vec<Point>>,
    #[serde(default = "zero")]
    unit: Scalar,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Point {
    Register {
        address: Scalar,
        multiplier: Option<Scalar>,
    },
    /// As the agent's own documentation has it in a sample, and its code does not read it: `- 30387`.
    Other(IgnoredAny),
}

/// What stands where a number is expected.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Integer(i64),
    Float(f64),
    Text(String),
    Other(IgnoredAny),
}

fn zero() -> Scalar {
    Scalar::Integer(0)
}

/// One register of one target.
#[derive(Clone)]
pub(crate) struct Register {
    pub(crate) target: String,
    pub(crate) unit: u8,
    pub(crate) table: Table,
    /// As the file has it, such as 30386; it is part of the key.
    pub(crate) number: u32,
    /// As the wire has it, from 0.
    pub(crate) address: u16,
    /// `None` where the file says 0: the agent then leaves the integer as it is.
    pub(crate) multiplier: Option<f64>,
}

impl Agent {
    /// Seconds; 300 if nothing (or 0) is said.
    pub(crate) fn polling_interval(&self) -> u64 {
        match self.polling_interval {
            Some(Scalar::Integer(seconds)) if seconds != 0 => seconds.unsigned_abs(),
            _ => 300,
        }
    }

    /// The registers in the order of the agent: by group, table (input first), target, multiplier and number.
    pub(crate) fn registers(&self) -> Vec<Register> {
        self.polling_groups.iter().flat_map(Group::registers).collect()
    }
}

impl Group {
    fn registers(&self) -> Vec<Register> {
        let name = match &self.name {
            Some(Scalar::Text(name)) => name.clone(),
            Some(Scalar::Integer(number)) => number.to_string(),
            _ => "without a name".to_owned(),
        };
        let Some(unit) = self.unit() else {
            warn!("group {name:?} is left out: its unit is not a number from 0 to 246");
            return Vec::new();
        };
        let tables = [(Table::Input, &self.input_registers), (Table::Holding, &self.holding_registers)];
        let mut registers = Vec::new();
        for (table, points) in tables {
            let mut found: Vec<_> = points.iter().flatten().filter_map(|point| point.parse(table, &name)).collect();
            found.sort_by(|one, other| one.sort.total_cmp(&other.sort).then(one.number.cmp(&other.number)));
            // The same register with the same multiplier is the same to the agent.
            found.dedup_by(|one, other| one.number == other.number && one.sort.total_cmp(&other.sort).is_eq());
            for target in &self.ip_targets {
                registers.extend(found.iter().map(|parsed| Register {
                    target: target.clone(),
                    unit,
                    table,
                    number: parsed.number,
                    address: parsed.address,
                    multiplier: parsed.multiplier,
                }));
            }
        }
        registers
    }

    fn unit(&self) -> Option<u8> {
        let unit = match self.unit {
            Scalar::Integer(unit) => u8::try_from(unit).ok(),
            // 7.0 and 7.9 are 7.
            Scalar::Float(unit) if (0.0..247.0).contains(&unit) => {
                (0..=246).rev().find(|whole| f64::from(*whole) <= unit)
            }
            _ => None,
        };
        unit.filter(|unit| *unit <= 246)
    }
}

struct Parsed {
    number: u32,
    address: u16,
    multiplier: Option<f64>,
    /// By what multipliers are sorted.
    sort: f64,
}

impl Point {
    fn parse(&self, table: Table, group: &str) -> Option<Parsed> {
        let Self::Register { address, multiplier } = self else {
            warn!("group {group:?}: a register is left out, since it is not written as `address: 30386`");
            return None;
        };
        let &Scalar::Integer(number) = address else {
            warn!("group {group:?}: a register is left out, since its address is not a whole number");
            return None;
        };
        let Some(address) = on_the_wire(table, number) else {
            warn!("group {group:?}: {number} is left out, since it is not the number of one of the {table}");
            return None;
        };
        let factor = match multiplier {
            None => 1.0,
            Some(multiplier) => multiplier.number().unwrap_or_else(|| {
                warn!("group {group:?}: the multiplier of {number} is taken for 1, since it is not a number");
                1.0
            }),
        };
        let multiplier = (factor != 0.0).then_some(factor);
        Some(Parsed { number: u32::try_from(number).ok()?, address, multiplier, sort: factor })
    }
}

impl Scalar {
    fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "as in Python, where it becomes a float too")]
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
            Self::Other(_) => None,
        }
    }
}

/// 30386 and 300386 are address 385 of the input registers, 40386 and 400386 of the holding registers.
fn on_the_wire(table: Table, number: i64) -> Option<u16> {
    let first = match (table, number) {
        (Table::Input, 30_001..=39_999) => 30_001,
        (Table::Input, 300_001..=365_536) => 300_001,
        (Table::Holding, 40_001..=49_999) => 40_001,
        (Table::Holding, 400_001..=465_536) => 400_001,
        _ => return None,
    };
    u16::try_from(number.checked_sub(first)?).ok()
}
