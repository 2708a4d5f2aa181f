//! What a collection asked of devices, and the grant that allows just that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::PathBuf,
};

use pattoo_modbus::{EndpointSettings, Ranges, Span, Table, TlsSettings, Tolerance, Unit};

use super::{DEFAULT_UNIT, DeviceGrant, DeviceName, grant_key, grant_keys::ENDPOINT};
use crate::capability::{
    Recorder, Request, RequestedAccess,
    requested_access::{list, quoted},
};

/// What was asked of one device.
#[derive(Debug, Clone, Default)]
pub struct DeviceRequested {
    /// Its grant, if it has one.
    pub granted: Option<DeviceGrant>,
    /// The spans read, in the order of units and addresses: unit, table, first and last address.
    pub spans: BTreeSet<(Unit, Table, u16, u16)>,
    /// Those of them that were denied.
    pub denied: BTreeSet<(Unit, Table, u16, u16)>,
}

/// What was asked of devices, by their names.
pub type DevicesRequested = BTreeMap<String, DeviceRequested>;

/// Records a span of a device that was granted, or denied.
pub(super) fn span(recorder: &Recorder, name: &DeviceName, grant: Option<&DeviceGrant>, span: Span, denied: bool) {
    recorder.record(0, |requested| {
        let device = requested.by_capability.modbus.entry(name.to_string()).or_default();
        let requested = (span.unit(), span.table(), span.address(), span.last());
        device.granted = device.granted.take().or_else(|| grant.cloned());
        device.spans.insert(requested);
        if denied {
            device.denied.insert(requested);
        }
    });
}

/// Everything that was asked for.
pub(super) fn requests(requested: &RequestedAccess) -> Vec<Request> {
    let devices = requested.by_capability.modbus.iter();
    let requests = devices.flat_map(|(name, device)| {
        device.spans.iter().map(move |span| {
            let (unit, table, first, last) = *span;
            let addresses = if first == last { first.to_string() } else { format!("{first}-{last}") };
            Request {
                what: format!("{name}, unit {unit}, {} {addresses}", grant_key(table)),
                granted: !device.denied.contains(span),
            }
        })
    });
    requests.collect()
}

/// The grant that allows what was asked for. Units of a device share its tables, so that a device
/// whose units were asked for different addresses gets all of them on each. A device without an
/// address has a placeholder.
pub(super) fn narrowest(requested: &RequestedAccess) -> String {
    let devices = &requested.by_capability.modbus;
    let mut text = String::from(if devices.is_empty() { "" } else { "modbus:\n" });
    for (name, requested) in devices {
        device_entry(&mut text, name, requested);
    }
    text
}

/// The addresses of a table that were asked for of these units.
fn ranges(requested: &DeviceRequested, table: Table, of: impl Fn(Unit) -> bool) -> Ranges {
    let spans = requested.spans.iter().filter(|span| span.1 == table && of(span.0));
    spans.map(|(_, _, first, last)| Ranges::run(*first, *last)).collect()
}

/// Whether different addresses were asked for of different units.
fn differ(requested: &DeviceRequested, units: &BTreeSet<Unit>) -> bool {
    let mut each = units.iter().map(|unit| Table::ALL.map(|table| ranges(requested, table, |of| of == *unit)));
    each.next().is_some_and(|first| each.any(|next| next != first))
}

/// The keys of TLS settings.
fn tls(settings: &TlsSettings) -> String {
    let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let keys = [
        ("ca_file", file(&settings.ca_file)),
        ("certificate_file", file(&settings.certificate_file)),
        ("key_file", file(&settings.key_file)),
        ("server_name", settings.server_name.clone()),
    ];
    let given = keys.into_iter().filter_map(|(key, value)| Some(format!("{key}: {}", quoted(&value?))));
    given.collect::<Vec<_>>().join(", ")
}

fn device_entry(text: &mut String, name: &str, requested: &DeviceRequested) {
    let _ = writeln!(text, "  {}:", quoted(name));
    match &requested.granted {
        Some(grant) => {
            let _ = writeln!(text, "    url: {}", quoted(&grant.endpoint.to_string()));
        }
        None => text.push_str("    url: \"tcp://HOST:502\"    # the address of the device\n"),
    }
    let default = requested.granted.as_ref().map_or(DEFAULT_UNIT, DeviceGrant::default_unit);
    let units: BTreeSet<Unit> = requested.spans.iter().map(|(unit, ..)| *unit).collect();
    // The first is the one that is read when the collector names none.
    let first = units.iter().copied().find(|unit| u8::from(*unit) == default);
    let ordered = first.into_iter().chain(units.iter().copied().filter(|unit| Some(*unit) != first));
    let _ = write!(text, "    units: {}", list(ordered, |unit| unit.to_string()));
    text.push_str(if differ(requested, &units) { "    # each of them gets all of the following\n" } else { "\n" });
    for table in Table::ALL {
        let ranges = ranges(requested, table, |_| true);
        if ranges != Ranges::none() {
            let _ = writeln!(text, "    {}: {}", grant_key(table), list(ranges.to_string().split(", "), quoted));
        }
    }
    let Some(grant) = &requested.granted else { return };
    if grant.settings.own {
        let _ = writeln!(text, "    own: true    # it may be pattoo-wasm itself, or its pattoo server");
    }
    if grant.settings.tolerance != Tolerance::NONE {
        let _ = writeln!(text, "    tolerate: {}", grant.settings.tolerance);
    }
    let usual = EndpointSettings::default();
    if grant.settings.tls != usual.tls {
        let _ = writeln!(text, "    tls: {{ {} }}", tls(&grant.settings.tls));
    }
    for quantity in ENDPOINT {
        let set = quantity.show(&grant.settings);
        if set != quantity.show(&usual) {
            let _ = writeln!(text, "    {}: {set}", quantity.name);
        }
    }
}
