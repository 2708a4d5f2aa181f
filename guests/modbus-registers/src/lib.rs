//! Collects stretches of registers and bits from Modbus devices: one datapoint for each, named by its address.

use pattoo_guest::modbus::{self, Granted, Span, Table, Words};
use pattoo_guest::{Datapoint, Result, Value, settings, target, warn};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    spans: Vec<Wanted>,
}

/// A stretch of one table of one device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    device: String,
    /// Without one, the default unit of the grant.
    unit: Option<u8>,
    table: Table,
    /// The first address on the wire, from 0: not the 40001 of manuals.
    address: u16,
    count: u16,
    /// What each register is multiplied with, such as 0.1 for tenths of a degree. Bits have none.
    scale: Option<f64>,
}

impl Wanted {
    /// The same with its unit named in any case, since that is part of each datapoint.
    fn span(&self, granted: &[Granted]) -> Span {
        let device = granted.iter().find(|device| device.name == self.device);
        let default_unit = device.and_then(|device| device.units.first().copied());
        Span {
            device: self.device.clone(),
            unit: self.unit.or(default_unit),
            table: self.table,
            address: self.address,
            count: self.count,
        }
    }
}

fn collect() -> Result {
    let Settings { spans: wanted } = settings()?;
    if wanted.is_empty() {
        return Err("there is nothing to read: set `spans`, a list of {device, table, address, count} \
                    such as {device: plc1, table: holding, address: 0, count: 4}"
            .into());
    }

    // All at once: devices answer in parallel, and neighbouring spans may share a request.
    let granted = modbus::devices();
    let spans: Vec<Span> = wanted.iter().map(|wanted| wanted.span(&granted)).collect();
    let results = modbus::read_many(&spans);

    // A span that fails costs only itself, as devices in the field come and go; a collection without any is a failure.
    let mut any_read = false;
    for ((span, wanted), result) in spans.iter().zip(&wanted).zip(results) {
        match result {
            Ok(words) => {
                any_read = true;
                let rejections = target(&span.device).emit_all(datapoints(span, wanted.scale, words))?;
                // Spans that overlap give the same datapoint twice. The runtime logs the second one, and that is enough.
                rejections.ignore();
            }
            Err(error) => warn!("{error}"),
        }
    }
    if any_read { Ok(()) } else { Err("none of the spans could be read: the log has a line for each".into()) }
}

pattoo_guest::collector!(collect);

fn datapoints(span: &Span, scale: Option<f64>, words: Words) -> Vec<Datapoint> {
    let values: Vec<Value> = match words {
        Words::Bits(bits) => bits.into_iter().map(Value::integer).collect(),
        Words::Registers(registers) => match scale {
            Some(scale) => registers.into_iter().map(|register| Value::scaled(f64::from(register) * scale)).collect(),
            None => registers.into_iter().map(Value::integer).collect(),
        },
    };
    let name = match span.table {
        Table::Coils => "coil",
        Table::Discrete => "discrete_input",
        Table::Holding => "holding_register",
        Table::Input => "input_register",
    };
    // The unit identifies: without it, registers of two units behind one gateway would be the same series.
    let unit = format!("{:03}", span.unit.unwrap_or_default());
    (span.address..=u16::MAX)
        .zip(values)
        .map(|(address, value)| Datapoint::new(format!("{name}_{address}"), value).with("unit", &unit))
        .collect()
}

#[cfg(test)]
mod tests;
