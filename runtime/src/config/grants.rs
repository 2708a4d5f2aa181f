//! What an operator grants to one collector: `grants:` in `pattoo_wasm.yaml`, and the whole of a `--grants` file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    capability::modbus::{DeviceGrant, DeviceName},
    http::{OriginGrant, PathPrefix, Secret},
    modbus::{DeviceUrl, Ranges, Readable, Table, check_unit},
};

/// What one collector may reach. The default is nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Web origins.
    pub http: Vec<OriginGrant>,
    /// Modbus devices.
    pub modbus: Vec<DeviceGrant>,
}

/// Why grants are not valid. Each names the place and what it should be.
#[derive(Debug, thiserror::Error)]
pub enum GrantsError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It is not YAML of the right shape: an unknown key, a missing one, a wrong type.
    #[error("{}: {detail}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        detail: String,
    },
    /// A value is not what it should be.
    #[error("{}: {place}: {detail}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Where in it: `modbus.plc1.url`.
        place: String,
        /// What is wrong with it.
        detail: String,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantsFile {
    #[serde(default)]
    http: Vec<OriginEntry>,
    #[serde(default)]
    modbus: BTreeMap<String, DeviceEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OriginEntry {
    origin: String,
    #[serde(default)]
    methods: Option<Vec<String>>,
    #[serde(default)]
    paths: Option<Vec<String>>,
    #[serde(default)]
    headers: BTreeMap<String, SecretEntry>,
    #[serde(default)]
    private: bool,
}

/// Where the value of an attached header comes from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretEntry {
    /// An environment variable.
    #[serde(default)]
    secret: Option<String>,
    /// A file.
    #[serde(default)]
    secret_file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeviceEntry {
    url: String,
    #[serde(default)]
    unit: Option<u64>,
    #[serde(default)]
    units: Vec<u64>,
    #[serde(default)]
    coils: Option<Vec<RangeEntry>>,
    #[serde(default)]
    discrete: Option<Vec<RangeEntry>>,
    #[serde(default)]
    holding: Option<Vec<RangeEntry>>,
    #[serde(default)]
    input: Option<Vec<RangeEntry>>,
}

/// `5` or `"0-99"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RangeEntry {
    Address(u64),
    Range(String),
}

impl Grants {
    /// Reads a grants file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or anything in it is not what it should be.
    pub fn read(path: &Path) -> Result<Self, GrantsError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| GrantsError::Unreadable { path: path.to_owned(), error })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, GrantsError> {
        let file: Option<GrantsFile> = serde_yaml::from_str(text)
            .map_err(|error| GrantsError::Malformed { path: path.to_owned(), detail: error.to_string() })?;
        let GrantsFile { http, modbus } = file.unwrap_or_default();
        let value = |(place, detail): (String, String)| GrantsError::Value { path: path.to_owned(), place, detail };
        let folder = path.parent().unwrap_or(Path::new("."));
        let http = http.into_iter().enumerate().map(|(index, entry)| {
            entry.grant(folder).map_err(|(key, detail)| (format!("http[{index}].{key}"), detail))
        });
        let modbus = modbus.into_iter().map(|(name, entry)| {
            let place = format!("modbus.{name}");
            entry.grant(&name).map_err(|(key, detail)| (format!("{place}.{key}"), detail))
        });
        Ok(Self {
            http: http.collect::<Result<_, _>>().map_err(value)?,
            modbus: modbus.collect::<Result<_, _>>().map_err(value)?,
        })
    }
}

/// A key and what is wrong with its value.
type Wrong = (&'static str, String);

/// Names the key beside an error.
fn wrong<E: ToString>(key: &'static str) -> impl Fn(E) -> Wrong {
    move |error| (key, error.to_string())
}

impl OriginEntry {
    /// The grant that it stands for; files of secrets are relative to `folder`.
    fn grant(self, folder: &Path) -> Result<OriginGrant, Wrong> {
        let origin = self.origin.parse().map_err(wrong("origin"))?;
        let mut grant = OriginGrant::new(origin).private(self.private);
        if let Some(methods) = self.methods {
            let methods = methods.iter().map(|method| method.parse().map_err(wrong("methods")));
            grant = grant.methods(methods.collect::<Result<_, _>>()?);
        }
        if let Some(paths) = self.paths {
            let paths = paths.iter().map(|path| path.parse::<PathPrefix>().map_err(wrong("paths")));
            grant = grant.paths(paths.collect::<Result<_, _>>()?);
        }
        for (name, source) in self.headers {
            let name = name.parse().map_err(wrong("headers"))?;
            let secret = match (source.secret, source.secret_file) {
                (Some(variable), None) => Secret::from_env(&variable),
                (None, Some(file)) => Secret::from_file(&folder.join(file)),
                _ => return Err(("headers", "write `{ secret: VARIABLE }` or `{ secret_file: PATH }`".to_owned())),
            };
            grant = grant.header(name, secret.map_err(wrong("headers"))?);
        }
        Ok(grant)
    }
}

impl DeviceEntry {
    /// The grant that it stands for.
    fn grant(self, name: &str) -> Result<DeviceGrant, Wrong> {
        let name: DeviceName = name.parse().map_err(wrong("name"))?;
        let url: DeviceUrl = self.url.parse().map_err(wrong("url"))?;
        let unit = self.unit.map(check_unit).transpose().map_err(wrong("unit"))?;
        let units = self.units.into_iter().map(check_unit).collect::<Result<Vec<_>, _>>().map_err(wrong("units"))?;
        if let (Some(unit), Some(in_url)) = (unit, url.unit())
            && unit != in_url
        {
            return Err(("unit", format!("it is {unit} here and {in_url} in the url")));
        }
        // The default unit comes first: `unit`, else the one in the URL, else the first of `units`.
        let all = unit.or(url.unit()).into_iter().chain(units).collect();
        let tables = [
            (Table::Coils, "coils", self.coils),
            (Table::DiscreteInputs, "discrete", self.discrete),
            (Table::HoldingRegisters, "holding", self.holding),
            (Table::InputRegisters, "input", self.input),
        ];
        let mut named = Vec::new();
        for (table, key, entries) in tables {
            if let Some(entries) = entries {
                let ranges = entries.iter().map(RangeEntry::ranges).collect::<Result<Ranges, _>>();
                named.push((table, ranges.map_err(wrong(key))?));
            }
        }
        Ok(DeviceGrant::new(name, &url).units(all).readable(Readable::of(named)))
    }
}

impl RangeEntry {
    fn ranges(&self) -> Result<Ranges, crate::modbus::RangesError> {
        match self {
            Self::Address(address) => address.to_string().parse(),
            Self::Range(text) => text.parse(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Grants;

    fn parse(text: &str) -> Result<Grants, String> {
        Grants::parse(Path::new("grants.yaml"), text).map_err(|error| error.to_string())
    }

    fn refusal(text: &str) -> String {
        parse(text).err().unwrap_or_else(|| panic!("accepted: {text}"))
    }

    #[test]
    fn no_file_content_is_no_grant() {
        for text in ["", "{}", "http: []\n", "modbus: {}\n"] {
            let grants = parse(text).unwrap();
            assert!(grants.http.is_empty() && grants.modbus.is_empty(), "{text}");
        }
    }

    #[test]
    fn a_device_has_its_default_unit_first() {
        let grants = parse(
            "modbus:\n  a: { url: 'tcp://192.0.2.1' }\n  b: { url: 'tcp://192.0.2.1?unit=7' }\n  \
             c: { url: 'tcp://192.0.2.1', unit: 9, units: [1, 9] }\n  d: { url: 'tcp://192.0.2.1', units: [4, 5] }\n",
        )
        .unwrap();
        let units: Vec<_> = grants.modbus.iter().map(super::DeviceGrant::all_units).collect();
        assert_eq!(units, [&[1][..], &[7], &[9, 1], &[4, 5]]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let place = refusal("modbus:\n  plc1: { url: 'http://192.0.2.1' }\n");
        assert!(place.starts_with("grants.yaml: modbus.plc1.url: "), "{place}");
        let place = refusal("modbus:\n  plc1: { url: 'tcp://192.0.2.1', holding: ['9-1'] }\n");
        assert!(place.starts_with("grants.yaml: modbus.plc1.holding: "), "{place}");
        let place = refusal("http:\n  - origin: 'https://a.example.org'\n  - origin: 'https://*.example.org'\n");
        assert!(place.starts_with("grants.yaml: http[1].origin: "), "{place}");
        let place = refusal(
            "http:\n  - origin: 'https://a.example.org'\n    headers: { authorization: { secret: PATTOO_NOT_SET_ANYWHERE } }\n",
        );
        assert!(place.contains("http[0].headers") && place.contains("PATTOO_NOT_SET_ANYWHERE"), "{place}");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        let error = refusal("http:\n  - origin: 'https://a.example.org'\n    method: [GET]\n");
        assert!(error.contains("unknown field `method`") && error.contains("line 3"), "{error}");
    }
}
