//! How a device is granted in a file: `url`, units, what may be read, and how its endpoint is
//! treated.

use std::path::{Path, PathBuf};

use pattoo_modbus::{
    Deviation, DeviceUrl, EndpointAddress, EndpointSettings, MAX_BITS, MAX_CONNECTIONS, MAX_REGISTERS, Ranges,
    Readable, Table, TlsSettings, Tolerance, Unit,
};
use pattoo_settings::{
    Fields, Form, HOUR, Key, Kind, Quantity, Reported, all,
    convert::{duration, millis, narrow},
    quantity,
    yaml::{Entry, Node},
};

use super::DeviceGrant;
use crate::capability::definition::own;

const UNIT: Kind = Kind::Integer(0, 255);
const UNITS: Kind = Kind::List(&UNIT);
const ADDRESSES: Kind = Kind::List(&Kind::Addresses);
const DEVIATIONS: Kind = Kind::List(&Kind::Choice(&Deviation::NAMES));
const MINUTE: u64 = 60_000;

/// The settings of an endpoint.
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
        "unrequested addresses that are read as well to save a request",
        Count,
        0,
        MAX_BITS as u64,
        gap,
        u64::from,
        narrow
    ),
    quantity!(
        "retries",
        "how often a request is repeated after no reply or a wrong one; with 1 or more, a device that refuses a connection right after a reply is tried again until `connect_timeout` is over",
        Count,
        0,
        10,
        retries,
        u64::from,
        narrow
    ),
    quantity!(
        "busy_retries",
        "how often a request is repeated after exception 5 or 6",
        Count,
        0,
        100,
        busy_retries,
        u64::from,
        narrow
    ),
    quantity!("busy_delay", "time to wait before such a repetition", Time, 1, MINUTE, busy_delay, millis, duration),
    quantity!(
        "breaker_timeouts",
        "timeouts in a row after which the circuit breaker of a unit opens",
        Count,
        1,
        100,
        breaker_threshold,
        u64::from,
        narrow
    ),
    quantity!(
        "breaker_open",
        "time for which it stays open: reads fail at once, then one request tests the unit; 0s for never",
        Time,
        0,
        HOUR,
        breaker_duration,
        millis,
        duration
    ),
    quantity!(
        "connections",
        "connections at once; of all grants of the endpoint, the smallest value applies",
        Count,
        1,
        MAX_CONNECTIONS as u64,
        connections,
        u64::from,
        narrow
    ),
    quantity!(
        "min_gap",
        "pause between a reply and the next request; of all grants of the endpoint, the longest value applies",
        Time,
        0,
        MINUTE,
        min_gap,
        millis,
        duration
    ),
    quantity!(
        "pause_after_connect",
        "pause between connecting and the first request, in which what the device sends is discarded; of all grants of the endpoint, the longest value applies",
        Time,
        0,
        MINUTE,
        pause_after_connect,
        millis,
        duration
    ),
    quantity!(
        "idle_close",
        "time after which an unused connection is closed; of all grants of the endpoint, the shortest value applies",
        Time,
        0,
        24 * HOUR,
        idle_close,
        millis,
        duration
    ),
    quantity!(
        "first_backoff",
        "time to the next attempt after a connection failed, doubled with each further failure",
        Time,
        0,
        HOUR,
        first_backoff,
        millis,
        duration
    ),
    quantity!("max_backoff", "the longest time to the next attempt", Time, 0, HOUR, max_backoff, millis, duration),
];

/// The key under `grants:`.
pub(super) fn key() -> Key {
    Key::new(
        "modbus",
        Kind::Named(form),
        "Modbus devices by the names that the collector uses: 1 to 128 letters, digits, `.`, `-`, `_` or `:`",
        "{ plc1: { url: \"tcp://192.0.2.10:502\" } }",
    )
}

fn form() -> Form {
    let mut keys = vec![
        Key::new("url", Kind::Text, "the URL of the device", "\"tcp://192.0.2.10:502\"").required(),
        Key::new(
            "unit",
            UNIT,
            "the unit that is read if the collector names none: 0 to 255, on a serial line 1 to 247; by default the one in `url`, else the first of `units`, else 1",
            "7",
        ),
        Key::new("units", UNITS, "further units that may be read", "[1, 2, 7]"),
        Key::new(
            "coils",
            ADDRESSES,
            "the coils that may be read: addresses from 0, or numbers of a manual after `manual:`; without any of these four keys everything may be read, otherwise only what they list",
            "[\"0-99\", 200]",
        ),
        Key::new("discrete", ADDRESSES, "the discrete inputs that may be read", "[\"0-99\", 200]"),
        Key::new("holding", ADDRESSES, "the holding registers that may be read", "[\"0-99\", 200]"),
        Key::new("input", ADDRESSES, "the input registers that may be read", "[\"0-99\", 200]"),
        Key::new(
            "tolerate",
            DEVIATIONS,
            "what of its replies may differ from the specification: `wrong-unit`, `wrong-transaction`, `padding`, `echo`",
            "[wrong-unit]",
        ),
        Key::new(
            "tls",
            Kind::Form(tls_form),
            "how a device at a `tls://` URL is verified, and the certificate that it is shown",
            "{ ca_file: plant-ca.pem, certificate_file: agent.pem, key_file: agent-key.pem }",
        ),
        own(),
    ];
    keys.extend(Key::of_quantities(ENDPOINT, &EndpointSettings::default()).into_iter().map(|key| match key.name {
        // words: keep, the previous names
        "breaker_timeouts" => key.alias(&["set_aside_after"]),
        "breaker_open" => key.alias(&["set_aside"]), // words: keep
        _ => key,
    }));
    Form::new("a Modbus device", keys)
}

fn tls_form() -> Form {
    let keys = vec![
        Key::new(
            "ca_file",
            Kind::Path,
            "the authorities that may have signed the certificate of the device, in PEM format, and no others; by default those of the system",
            "plant-ca.pem",
        ),
        Key::new(
            "certificate_file",
            Kind::Path,
            "the certificate that is shown to the device, in PEM format, followed by those of intermediate authorities",
            "agent.pem",
        ),
        Key::new("key_file", Kind::Path, "the private key of this certificate, in PEM format", "agent-key.pem"),
        Key::new(
            "server_name",
            Kind::Text,
            "the name in the certificate of the device; by default the host of the URL",
            "meter-7.plant.example",
        ),
    ];
    Form::new("the TLS settings of a Modbus device", keys)
}

/// Reads the value of the key. Paths are relative to the folder.
pub(super) fn read(fields: Fields<'_>, folder: &Path) -> Result<Vec<DeviceGrant>, Reported> {
    let form = form();
    all(fields.map("modbus").iter().map(|entry| device(fields.of(&form, &entry.node), entry, folder)))
}

/// Reads a device: `fields` are those of its form, `entry` is the name and the mapping.
fn device(fields: Fields<'_>, entry: &Entry, folder: &Path) -> Result<DeviceGrant, Reported> {
    let name =
        entry.key.parse().map_err(|error| fields.wrong_key(entry, &error, "choose another name, for example `plc1`"));
    let url = fields.required::<DeviceUrl>("url");
    let units = units(fields, url.as_ref().ok());
    let readable = readable(fields);
    let tolerance = tolerance(fields, url.as_ref().ok());
    let tls = tls(fields, url.as_ref().ok(), folder);
    let own = fields.node("own").map_or(Some(false), Node::flag).ok_or(Reported)?;
    let mut settings = EndpointSettings::default();
    fields.quantities(ENDPOINT, &mut settings)?;
    let mut grant = DeviceGrant::new(name?, &url?).units(units?).readable(readable?);
    grant.settings = EndpointSettings { own, tolerance: tolerance?, tls: tls?, ..settings };
    Ok(grant)
}

/// The units, the default one first: `unit`, else the one in the URL, else the first of `units`.
fn units(fields: Fields<'_>, url: Option<&DeviceUrl>) -> Result<Vec<u8>, Reported> {
    let unit = |name: &str, node: &Node| {
        // A value that is not a byte was reported when the form was checked.
        let number: u8 = node.text().and_then(|text| text.parse().ok()).ok_or(Reported)?;
        let unit = Unit::from(number);
        let checked = url.map_or(Ok(unit), |url| url.endpoint().check_unit(unit));
        checked.map_err(|error| fields.wrong(name, node, error))
    };
    let default = fields.node("unit").map(|node| unit("unit", node)).transpose();
    let more = all(fields.list("units").iter().map(|node| unit("units", node)));
    let (default, in_url) = (default?, url.and_then(DeviceUrl::unit));
    if let (Some(node), Some(unit), Some(in_url)) = (fields.node("unit"), default, in_url)
        && unit != in_url
    {
        let what = format!("`unit` is {unit}, but `url` has unit {in_url}");
        return Err(fields.wrong_with(node, what, "remove one of them".to_owned()));
    }
    Ok(default.or(in_url).into_iter().chain(more?).map(Unit::get).collect())
}

/// In what its replies may differ from the specification.
fn tolerance(fields: Fields<'_>, url: Option<&DeviceUrl>) -> Result<Tolerance, Reported> {
    let is_udp = url.is_some_and(|url| matches!(url.endpoint(), EndpointAddress::Udp(_)));
    let deviations = fields.list("tolerate").iter().map(|node| {
        // A value that is not one of the names was reported when the form was checked.
        match node.text().and_then(Deviation::named).ok_or(Reported)? {
            Deviation::WrongTransaction if is_udp => {
                let what = "`wrong-transaction` cannot be tolerated over UDP: nothing else tells a late datagram from the reply";
                Err(fields.wrong_with(node, what, "leave it out, or use `tcp://` if the device has it".to_owned()))
            }
            deviation => Ok(deviation),
        }
    });
    Ok(all(deviations)?.into_iter().collect())
}

/// How the device is verified. The files are read once to report what is wrong with them.
fn tls(fields: Fields<'_>, url: Option<&DeviceUrl>, folder: &Path) -> Result<TlsSettings, Reported> {
    let Some(node) = fields.node("tls") else { return Ok(TlsSettings::default()) };
    let form = tls_form();
    let keys = fields.of(&form, node);
    let path = |name| Ok(keys.optional::<PathBuf>(name)?.map(|path| folder.join(path)));
    let (ca_file, certificate_file, key_file) = (path("ca_file"), path("certificate_file"), path("key_file"));
    let server_name = keys.optional("server_name");
    let tls = TlsSettings {
        ca_file: ca_file?,
        certificate_file: certificate_file?,
        key_file: key_file?,
        server_name: server_name?,
    };
    let url = url.ok_or(Reported)?;
    let (EndpointAddress::Tls(_), Some(host)) = (url.endpoint(), url.endpoint().host()) else {
        return Err(fields.wrong_with(
            node,
            "`tls` has no meaning for this URL",
            "write the URL as `tls://HOST`".to_owned(),
        ));
    };
    let checked = tls.client_config().and_then(|_| tls.name_of(&host.name()));
    checked.map_err(|error| fields.wrong("tls", node, error))?;
    Ok(tls)
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
        let ranges = fields.list(name).iter().map(|node| {
            // A value that is not a string was reported when the form was checked.
            let text = node.text().ok_or(Reported)?;
            Ranges::of_table(table, text).map_err(|error| fields.wrong(name, node, error))
        });
        Ok((table, all(ranges)?.into_iter().collect::<Ranges>()))
    });
    Ok(Readable::of(all(named)?))
}
