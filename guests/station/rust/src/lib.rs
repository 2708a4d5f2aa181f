//! A pumping station: two spans of registers from a Modbus device, and one JSON document from a web site.
//!
//! `../README.md` says what it does, in any language.

use pattoo_guest::decode::{Order, Registers};
use pattoo_guest::http::Request;
use pattoo_guest::modbus::{self, ErrorKind, Span, Table, Words};
use pattoo_guest::{Context, Datapoint, Result, Value, agent, info, settings, state, target, warn};
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    device: String,
    unit: u8,
    pump: Place,
    meter: Place,
    url: String,
    site: String,
    #[serde(default)]
    note: String,
}

/// Where a span begins.
#[derive(Deserialize)]
struct Place {
    table: RegisterTable,
    address: u16,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RegisterTable {
    HoldingRegisters,
    InputRegisters,
}

/// What the site says.
#[derive(Deserialize)]
struct Weather {
    temperature: f64,
    humidity: i64,
    rain_total: u64,
    name: String,
}

fn collect() -> Result {
    let settings: Settings = settings()?;
    let spans = [span(&settings, &settings.pump, 4), span(&settings, &settings.meter, 10)];
    let mut registers = modbus::read_many(&spans).into_iter();
    let weather = weather(&settings);
    let collections = count()?;

    let mut device = Vec::new();
    for (name, decode) in [("pump", pump as Decode), ("meter", meter)] {
        let Some(read) = registers.next() else { break };
        let values = match read.map_err(|error| error.kind) {
            Ok(Words::Registers(registers)) => decode(&registers)?,
            Ok(Words::Bits(_)) => return Err("registers were asked for, and bits came".into()),
            Err(ErrorKind::Exception(exception)) => {
                warn!("{name}: {exception}");
                vec![("exception", Value::integer(exception.0))]
            }
            Err(error) => {
                warn!("{name}: {error:?}");
                Vec::new()
            }
        };
        device.extend(values.into_iter().map(|(key, value)| {
            Datapoint::new(key, value).with("unit", settings.unit).with("span", name).note("note", &settings.note)
        }));
    }
    let described = |(key, value)| Datapoint::new(key, value).note("note", &settings.note);
    let taken = [
        emit(&settings.device, device)?,
        emit(&settings.site, weather.into_iter().map(described).collect())?,
        emit("collector", vec![Datapoint::new("collections", collections)])?,
    ];
    info!("{} datapoints", taken.iter().sum::<usize>());
    Ok(())
}

pattoo_guest::collector!(collect);

fn span(settings: &Settings, place: &Place, count: u16) -> Span {
    let table = match place.table {
        RegisterTable::HoldingRegisters => Table::Holding,
        RegisterTable::InputRegisters => Table::Input,
    };
    Span { device: settings.device.clone(), unit: Some(settings.unit), table, address: place.address, count }
}

/// Keys and values, out of registers.
type Decode = fn(&[u16]) -> Result<Vec<(&'static str, Value)>>;

fn pump(registers: &[u16]) -> Result<Vec<(&'static str, Value)>> {
    let registers = Registers::new(registers, Order::Abcd);
    Ok(vec![
        ("level", Value::integer(registers.u16(0)?)),
        ("temperature", Value::scaled(f64::from(registers.i16(1)?) * 0.1)),
        ("revolutions", Value::counter32(registers.u32(2)?)),
    ])
}

fn meter(registers: &[u16]) -> Result<Vec<(&'static str, Value)>> {
    let registers = Registers::new(registers, Order::Abcd);
    Ok(vec![
        ("power", Value::float(registers.in_order(Order::Cdab).f32(0)?)),
        ("energy", Value::counter64(registers.u64(2)?)),
        ("serial", Value::text(registers.text(6, 4)?)),
    ])
}

/// What the site has to say, with a line for the operator if that is little.
fn weather(settings: &Settings) -> Vec<(&'static str, Value)> {
    match fetch_weather(&settings.url) {
        Ok(Answer::Weather(weather)) => vec![
            ("outdoor_temperature", Value::float(weather.temperature)),
            ("humidity", Value::integer(weather.humidity)),
            ("rain_total", Value::counter64(weather.rain_total)),
            ("station_name", Value::text(weather.name)),
        ],
        Ok(Answer::Status(status)) => {
            warn!("{}: status {status}", settings.site);
            vec![("status", Value::integer(status))]
        }
        Err(error) => {
            warn!("{}: {error}", settings.site);
            Vec::new()
        }
    }
}

enum Answer {
    Weather(Weather),
    Status(u16),
}

fn fetch_weather(url: &str) -> Result<Answer> {
    let response = Request::get(url).header("accept", "application/json").send()?;
    Ok(match response.status() {
        200 => Answer::Weather(response.json()?),
        status => Answer::Status(status),
    })
}

/// The number of this collection.
fn count() -> Result<i64> {
    const KEY: &str = "collections";
    let before: i64 = match state::get(KEY) {
        Some(bytes) => String::from_utf8(bytes)?.parse().context("what was kept of `collections`")?,
        None => 0,
    };
    let collections = before.saturating_add(1);
    state::set(KEY, collections.to_string())?;
    Ok(collections)
}

/// Emits datapoints of a target as of now; returns how many were taken.
fn emit(name: &str, datapoints: Vec<Datapoint>) -> Result<usize> {
    let given = datapoints.len();
    let time = agent::collection_time();
    let rejections = target(name).emit_all(datapoints.into_iter().map(|datapoint| datapoint.at(time)))?;
    for rejection in &rejections {
        warn!("{name}: {rejection}");
    }
    Ok(given.saturating_sub(rejections.iter().count()))
}

#[cfg(test)]
mod tests;
