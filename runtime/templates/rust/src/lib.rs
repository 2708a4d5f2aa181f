//! {{name}}: counts its collections, and reads the temperature of a Modbus device if one is set.

use pattoo_guest::decode::{Order, Registers};
use pattoo_guest::modbus::Device;
use pattoo_guest::{Context, Datapoint, Result, info, settings, state, target};
use serde::Deserialize;

/// The settings of the operator.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The name under which a device was granted.
    device: Option<String>,
}

fn collect() -> Result {
    let Settings { device } = settings()?;

    let collections = count()?;
    target("{{name}}").emit("collections", collections)?;

    let Some(device) = device else {
        info!("no device is set, so none is read: see README.md");
        return Ok(());
    };
    // Registers 0 and 1 hold a float of 32 bits, as the manual of such a device says.
    let registers = Device::new(&device).holding(0, 2)?;
    let celsius = Registers::new(&registers, Order::Abcd).f32(0)?;
    let temperature = Datapoint::new("temperature", celsius).with("sensor", "indoor").note("unit", "Cel");
    target(&device).emit_datapoint(temperature)?;
    Ok(())
}

pattoo_guest::collector!(collect);

/// The number of this collection. Statics start with their initial values each time; `state` is stored.
fn count() -> Result<i64> {
    let before: i64 = match state::get("collections") {
        Some(bytes) => String::from_utf8(bytes)?.parse().context("what was kept of `collections`")?,
        None => 0,
    };
    state::set("collections", (before + 1).to_string())?;
    Ok(before + 1)
}

#[cfg(test)]
mod tests;
