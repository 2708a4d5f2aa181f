//! Collects what pattoo's own agent for Modbus TCP, `pattoo_agent_modbustcpd`, collects: same file, same keys, values and metadata.

mod settings;

use std::collections::HashSet;

use pattoo_guest::modbus::{self, Error, Span, Table, Words};
use pattoo_guest::{Datapoint, Result, Value, agent, settings, target, warn};

use settings::{Register, Settings};

fn collect() -> Result {
    let Settings { pattoo_agent_modbustcpd: agent } = settings()?;
    let interval = agent::polling_interval().as_secs();
    if agent.polling_interval() != interval {
        warn!(
            "the file has a polling_interval of {} s, and a collector cannot choose it: this one is run every {interval} s",
            agent.polling_interval()
        );
    }
    let mut seen = HashSet::new();
    let (mut wanted, mut repeated) = (Vec::new(), 0_usize);
    for register in agent.registers() {
        if seen.insert((register.target.clone(), register.unit, register.table, register.number)) {
            wanted.push(register);
        } else {
            repeated = repeated.saturating_add(1);
        }
    }
    if repeated > 0 {
        warn!("{repeated} registers are listed more than once for a target and unit: the first of each counts");
    }
    if wanted.is_empty() {
        return Err("no group of the file names a register that can be read".into());
    }

    // A span for each register: the runtime makes the fewest requests of them, and one bad register costs only itself.
    let spans: Vec<Span> = wanted.iter().map(Register::span).collect();
    let results = modbus::read_many(&spans);

    let mut faults = Faults::default();
    let mut of_targets: Vec<(&str, Vec<Datapoint>)> = Vec::new();
    for (register, result) in wanted.iter().zip(results) {
        match result {
            Ok(Words::Registers(words)) => {
                let datapoints = words.into_iter().map(|word| register.datapoint(word));
                match of_targets.last_mut() {
                    Some((name, those)) if *name == register.target => those.extend(datapoints),
                    _ => of_targets.push((&register.target, datapoints.collect())),
                }
            }
            // Only registers were asked for.
            Ok(Words::Bits(_)) => {}
            Err(error) => faults.add(register, error),
        }
    }
    faults.tell();
    if of_targets.is_empty() {
        return Err("none of the registers could be read: the log says why".into());
    }
    for (name, datapoints) in of_targets {
        // The runtime logs what it refuses, and that is enough: another target loses nothing by it.
        target(name).emit_all(datapoints)?.ignore();
    }
    Ok(())
}

pattoo_guest::collector!(collect);

impl Register {
    fn span(&self) -> Span {
        Span { device: self.target.clone(), unit: Some(self.unit), table: self.table, address: self.address, count: 1 }
    }

    fn datapoint(&self, word: u16) -> Datapoint {
        let name = match self.table {
            Table::Holding => "holding_register",
            _ => "input_register",
        };
        let value = match self.multiplier {
            Some(multiplier) => Value::scaled(f64::from(word) * multiplier),
            None => Value::integer(word),
        };
        Datapoint::new(format!("{name}_{}", self.number), value).with("unit", format!("{:03}", self.unit))
    }
}

/// Reads that failed; neighbours that failed alike are one line in the log.
#[derive(Default)]
struct Faults(Vec<Error>);

impl Faults {
    fn add(&mut self, register: &Register, error: Error) {
        if let Some(last) = self.0.last_mut() {
            let next = last.span.address.checked_add(last.span.count);
            let span = Span { address: last.span.address, count: 1, ..error.span.clone() };
            let continues = next == Some(register.address) && Span { count: 1, ..last.span.clone() } == span;
            if continues && last.kind == error.kind {
                last.span.count = last.span.count.saturating_add(1);
                return;
            }
        }
        self.0.push(error);
    }

    fn tell(&self) {
        for error in &self.0 {
            warn!("{error}");
        }
    }
}

#[cfg(test)]
mod tests;
