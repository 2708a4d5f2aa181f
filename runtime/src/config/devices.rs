//! One Modbus device of a grant: `url`, units, what may be read, and how its endpoint is treated.

use super::{
    quantity::{
        HOUR, Quantity, Unit,
        convert::{duration, millis, narrow},
        quantity,
    },
    reader::{Fields, Reported, all},
    yaml::{Entry, Node},
};
use crate::{
    capability::modbus::DeviceGrant,
    modbus::{DeviceUrl, EndpointSettings, MAX_BITS, MAX_REGISTERS, Ranges, Readable, Table, check_unit},
};

const MINUTE: u64 = 60_000;

/// How an endpoint can be treated.
pub(super) static ENDPOINT: &[Quantity<EndpointSettings>] = &[
    quantity!(
        "connect_timeout",
        "time to resolve its name and connect",
        Time,
        1,
        10 * MINUTE,
        connect_timeout,
        millis,
        duration
    ),
    quantity!(
        "request_timeout",
        "time to reply to one request",
        Time,
        1,
        10 * MINUTE,
        request_timeout,
        millis,
        duration
    ),
    quantity!(
        "max_registers",
        "registers in one request",
        Count,
        1,
        MAX_REGISTERS as u64,
        max_registers,
        u64::from,
        narrow
    ),
    quantity!("max_bits", "bits in one request", Count, 1, MAX_BITS as u64, max_bits, u64::from, narrow),
    quantity!(
        "gap",
        "addresses that nobody asked for and that are read along to save a request",
        Count,
        0,
        MAX_BITS as u64,
        gap,
        u64::from,
        narrow
    ),
    quantity!(
        "idle_close",
        "time after which an unused connection is closed",
        Time,
        0,
        24 * HOUR,
        idle_close,
        millis,
        duration
    ),
    quantity!(
        "first_backoff",
        "time without another try after a connection failed, doubled with each further failure",
        Time,
        0,
        HOUR,
        first_backoff,
        millis,
        duration
    ),
    quantity!("max_backoff", "the longest time without another try", Time, 0, HOUR, max_backoff, millis, duration),
];

/// Reads a device: `fields` are those of its form, `entry` is the name and the mapping.
pub(super) fn device(fields: Fields<'_>, entry: &Entry) -> Result<DeviceGrant, Reported> {
    let name = entry.key.parse().map_err(|error| fields.wrong_key(entry, &error, "name it for example `plc1`"));
    let url = fields.required::<DeviceUrl>("url");
    let units = units(fields, url.as_ref().ok());
    let readable = readable(fields);
    let mut settings = EndpointSettings::default();
    fields.quantities(ENDPOINT, &mut settings)?;
    let mut grant = DeviceGrant::new(name?, &url?).units(units?).readable(readable?);
    grant.settings = settings;
    Ok(grant)
}

/// The units, the default one first: `unit`, else the one in the URL, else the first of `units`.
fn units(fields: Fields<'_>, url: Option<&DeviceUrl>) -> Result<Vec<u8>, Reported> {
    let unit = |name: &str, node: &Node| {
        let number = node.text().and_then(|text| text.parse().ok()).ok_or(Reported)?;
        check_unit(number).map_err(|error| fields.wrong(name, node, error))
    };
    let default = fields.node("unit").map(|node| unit("unit", node)).transpose();
    let more = all(fields.list("units").iter().map(|node| unit("units", node)));
    let (default, in_url) = (default?, url.and_then(DeviceUrl::unit));
    if let (Some(node), Some(unit), Some(in_url)) = (fields.node("unit"), default, in_url)
        && unit != in_url
    {
        let what = format!("the unit is {unit} here and {in_url} in the url");
        return Err(fields.wrong_with(node, what, "keep one of the two".to_owned()));
    }
    Ok(default.or(in_url).into_iter().chain(more?).collect())
}

/// What may be read.
fn readable(fields: Fields<'_>) -> Result<Readable, Reported> {
    let tables = [
        (Table::Coils, "coils"),
        (Table::DiscreteInputs, "discrete"),
        (Table::HoldingRegisters, "holding"),
        (Table::InputRegisters, "input"),
    ];
    let named = tables.into_iter().filter(|(_, name)| fields.node(name).is_some());
    let named = named.map(|(table, name)| {
        let ranges = fields.list(name).iter().map(|node| fields.parse_node::<Ranges>(name, node));
        Ok((table, all(ranges)?.into_iter().collect::<Ranges>()))
    });
    Ok(Readable::of(all(named)?))
}
