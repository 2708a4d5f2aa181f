//! The grants of one collector: `grants:` in `pattoo_wasm.yaml`, and the whole of a `--grants`
//! file.

use std::path::Path;

use pattoo_base::secret::Secret;
use pattoo_fetch::{HeaderName, Method, OriginGrant};
use pattoo_sandbox::capability::modbus::DeviceGrant;
use pattoo_settings::{
    ConfigError, Fields, Reported, all, read, secret, shown,
    yaml::{Entry, Node},
};

use super::{
    devices::device,
    forms,
    source::{Source, SourceError},
};

/// What one collector may access. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Web origins.
    pub http: Vec<OriginGrant>,
    /// Modbus devices.
    pub modbus: Vec<DeviceGrant>,
}

impl Grants {
    /// Reads a grants file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its content is invalid.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Self::of(&Source::read(path).map_err(SourceError::into_problem)?)
    }

    pub(super) fn of(source: &Source) -> Result<Self, ConfigError> {
        let folder = source.folder();
        Ok(read(&source.file, &source.document, &forms::grants(), |fields| grants(fields, folder))?)
    }
}

/// Reads grants; files of secrets are relative to `folder`.
pub(super) fn grants(fields: Fields<'_>, folder: &Path) -> Result<Grants, Reported> {
    let (origin_form, device_form) = (forms::origin(), forms::device());
    let http = all(fields.list("http").iter().map(|node| origin(fields.of(&origin_form, node), folder)));
    let modbus = all(fields.map("modbus").iter().map(|entry| device(fields.of(&device_form, &entry.node), entry)));
    Ok(Grants { http: http?, modbus: modbus? })
}

fn origin(fields: Fields<'_>, folder: &Path) -> Result<OriginGrant, Reported> {
    let origin = fields.required("origin");
    let methods = fields.list("methods").iter().map(|node| method(fields, node));
    let methods = fields.node("methods").map(|_| all(methods)).transpose();
    let paths = fields.optional_list("paths");
    let headers = all(fields.map("headers").iter().map(|entry| header(fields, entry, folder)));
    let private = fields.node("private").map_or(Some(false), Node::flag).ok_or(Reported);
    let own = fields.node("own").map_or(Some(false), Node::flag).ok_or(Reported)?;
    let mut grant = OriginGrant::new(origin?).private(private?).own(own);
    if let Some(methods) = methods? {
        grant = grant.methods(methods);
    }
    if let Some(paths) = paths? {
        grant = grant.paths(paths);
    }
    Ok(headers?.into_iter().fold(grant, |grant, (name, value)| grant.header(name, value)))
}

fn method(fields: Fields<'_>, node: &Node) -> Result<Method, Reported> {
    let text = node.text().ok_or(Reported)?;
    text.parse().map_err(|_| fields.wrong("methods", node, format!("`{}` is not an HTTP method", shown(text))))
}

fn header(fields: Fields<'_>, entry: &Entry, folder: &Path) -> Result<(HeaderName, Secret), Reported> {
    let help = "name it for example `authorization`";
    let name = entry
        .key
        .parse()
        .map_err(|_| fields.wrong_key(entry, format!("`{}` is not the name of a header", shown(&entry.key)), help));
    let form = secret::form();
    let value = secret::read(fields.of(&form, &entry.node), folder);
    Ok((name?, value?))
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use pattoo_sandbox::capability::modbus::DeviceGrant;
    use pattoo_settings::SourceFile;

    use super::{Grants, Source};

    fn parse(text: &str) -> Result<Grants, String> {
        let file = Arc::new(SourceFile { path: Path::new("grants.yaml").to_owned(), text: text.to_owned() });
        let source = Source::of(file).map_err(|problem| problem.to_string())?;
        Grants::of(&source).map_err(|error| error.to_string())
    }

    #[test]
    fn no_file_content_is_no_grant() {
        for text in ["", "{}", "http: []\n", "modbus: {}\n", "http:\nmodbus:\n"] {
            assert_eq!(parse(text).unwrap(), Grants::default(), "{text}");
        }
    }

    #[test]
    fn a_device_has_its_default_unit_first() {
        let grants = parse(
            "modbus:\n  a: { url: 'tcp://192.0.2.1' }\n  b: { url: 'tcp://192.0.2.1?unit=7' }\n  \
             c: { url: 'tcp://192.0.2.1', unit: 9, units: [1, 9] }\n  d: { url: 'tcp://192.0.2.1', units: [4, 5] }\n",
        )
        .unwrap();
        let units: Vec<_> = grants.modbus.iter().map(DeviceGrant::all_units).collect();
        assert_eq!(units, [&[1][..], &[7], &[9, 1], &[4, 5]]);
    }

    #[test]
    fn a_device_on_a_serial_line_has_its_settings_and_addresses_out_of_its_manual() {
        let grants = parse(
            "modbus:\n  meter: { url: 'rtu:///dev/ttyUSB0?baud=9600', units: [3, 4], holding: ['manual:40001-40010'], \
             retries: 1, min_gap: 20ms }\n",
        )
        .unwrap();
        let meter = &grants.modbus[0];
        assert_eq!(meter.endpoint.to_string(), "rtu:///dev/ttyUSB0?baud=9600&parity=even&stop=1");
        assert_eq!(meter.readable.ranges(pattoo_modbus::Table::HoldingRegisters).to_string(), "0-9");
        assert_eq!((meter.settings.retries, meter.settings.min_gap.as_millis()), (1, 20));
        assert!(parse("modbus:\n  meter: { url: 'rtu:///dev/ttyUSB0', units: [0] }\n").is_err());
        assert!(parse("modbus:\n  meter: { url: 'tcp://192.0.2.1', input: ['manual:40001'] }\n").is_err());
    }

    #[test]
    fn how_an_endpoint_is_treated_can_be_set() {
        let grants =
            parse("modbus: { a: { url: 'tcp://192.0.2.1', gap: 8, request_timeout: 250ms, max_registers: 20 } }")
                .unwrap();
        let settings = &grants.modbus[0].settings;
        assert_eq!((settings.gap, settings.request_timeout.as_millis(), settings.max_registers), (8, 250, 20));
        assert_eq!(settings.max_bits, 2000);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_each_with_its_line() {
        let error = parse(
            "http:\n  - origin: https://*.example.org\n    method: [GET]\nmodbus:\n  plc1: { url: http://192.0.2.1 }\n",
        )
        .unwrap_err();
        for line in ["grants.yaml:2:13: ", "grants.yaml:3:5: `method` is not a key", "grants.yaml:5:16: "] {
            assert!(error.contains(line), "{line} in {error}");
        }
    }
}
