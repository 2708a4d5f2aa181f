//! The grants of one collector: `grants:` in `pattoo_wasm.yaml`, and the whole of a `--grants`
//! file.

use std::path::Path;

use pattoo_sandbox::capability::{CAPABILITIES, Grants};
use pattoo_settings::{ConfigError, Fields, Reported, all, read};

use super::{
    forms,
    source::{Source, SourceError},
};

/// Reads a grants file.
///
/// # Errors
///
/// When it cannot be read, or anything in it is not what it should be.
pub fn read_grants(path: &Path) -> Result<Grants, ConfigError> {
    grants_in(&Source::read(path).map_err(SourceError::into_problem)?)
}

fn grants_in(source: &Source) -> Result<Grants, ConfigError> {
    let folder = source.folder();
    Ok(read(&source.file, &source.document, &forms::grants(), |fields| grants(fields, folder))?)
}

/// Reads grants; files of secrets are relative to `folder`.
pub(super) fn grants(fields: Fields<'_>, folder: &Path) -> Result<Grants, Reported> {
    let mut grants = Grants::default();
    let capabilities = CAPABILITIES.iter().filter_map(|capability| capability.grant);
    all(capabilities.map(|grant| (grant.read)(fields, folder, &mut grants)))?;
    Ok(grants)
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use pattoo_sandbox::capability::modbus::DeviceGrant;
    use pattoo_settings::SourceFile;

    use super::{Grants, Source, grants_in};

    fn parse(text: &str) -> Result<Grants, String> {
        let file = Arc::new(SourceFile { path: Path::new("grants.yaml").to_owned(), text: text.to_owned() });
        let source = Source::of(file).map_err(|problem| problem.to_string())?;
        grants_in(&source).map_err(|error| error.to_string())
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
