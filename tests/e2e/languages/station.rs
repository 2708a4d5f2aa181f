//! The station of `guests/station` in every language: for the same inputs all give the same
//! payload, the one that their page specifies.
//!
//! The inputs are random. `PATTOO_SEED` repeats one; every failure prints it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "helpers of tests may do what tests may do"
)]

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use pattoo_tests::{
    Cli, Finished, Running, STATIONS, modbus_device, pattoo_records, station, station_folder, weather_site,
};
use serde_json::{Value, json};

mod inputs;

pub(crate) use inputs::{Inputs, seed};

/// A new home with a device and a site for these inputs, and the modules under test.
pub(crate) struct StationSetup {
    cli: Cli,
    inputs: Inputs,
    device: Running,
    site: Running,
    /// The folder of the modules.
    modules: PathBuf,
    languages: Vec<&'static str>,
}

impl StationSetup {
    /// With the stations that were built.
    fn start(inputs: Inputs) -> Self {
        Self::with_modules(inputs, &station_folder(), languages())
    }

    /// With the stations in a folder.
    pub(crate) fn with_modules(inputs: Inputs, modules: &Path, languages: Vec<&'static str>) -> Self {
        let cli = Cli::new();
        std::fs::create_dir(cli.folder().join("site")).unwrap();
        cli.file("site/weather.json", inputs.document());
        let device = modbus_device(&inputs.tables());
        let site = weather_site(&cli.folder().join("site"));
        Self { cli, inputs, device, site, modules: modules.to_owned(), languages }
    }

    fn url(&self, file: &str) -> String {
        format!("http://{}/{file}", self.site.address())
    }

    fn settings(&self) -> Value {
        self.inputs.settings(&self.url("weather.json"))
    }

    /// One collection in this language, with these settings.
    fn collect(&self, language: &str, settings: &Value) -> Finished {
        self.cli.file("settings.json", settings.to_string());
        let module = self.modules.join(format!("station-{language}.wasm"));
        let granted = format!("{}=tcp://{}?unit={}", self.inputs.device, self.device.address(), self.inputs.unit);
        let site = self.url("");
        run_compiled(
            &self.cli,
            &module,
            &[
                "run",
                &module.display().to_string(),
                "--program",
                "station",
                "--hostname",
                "gateway-7",
                "--settings",
                "settings.json",
                "--modbus",
                &granted,
                "--http",
                site.trim_end_matches('/'),
                // The module may have to be compiled first, on a busy machine.
                "--timeout",
                "60s",
                "--memory",
                "256MiB",
            ],
        )
    }

    /// Removes the state of earlier collections, and keeps the agent id.
    fn forget(&self) {
        let state = self.cli.folder().join(".local/state/pattoo_wasm/state");
        if state.exists() {
            std::fs::remove_dir_all(state).unwrap();
        }
    }
}

/// Runs a station with one cache of compiled code for all tests and runs: only the first one in a
/// language waits for the compiler, which takes long for some.
fn run_compiled(cli: &Cli, module: &Path, arguments: &[&str]) -> Finished {
    static COMPILED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let _compiling = compiled.insert(module.to_owned()).then_some(compiled);
    let cache = station_folder().join("cache");
    cli.command(arguments).env("XDG_CACHE_HOME", cache).output().expect("the command starts").into()
}

/// The languages that were built. Where a tool is missing, `cargo xtask test` reports what is
/// skipped; with `CI=true` that is a failure.
fn languages() -> Vec<&'static str> {
    let (built, skipped): (Vec<&str>, Vec<&str>) = STATIONS.iter().partition(|language| station(language).is_some());
    if !skipped.is_empty() {
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "not built: {skipped:?}");
        eprintln!("skipped, since they are not built: {skipped:?}");
    }
    assert!(!built.is_empty(), "run `cargo xtask guests`");
    built
}

/// The records as pattoo itself reads them, without the timestamp, which must be the same in all
/// and lie within the run.
fn resolved(run: &Finished, earliest: u64) -> Vec<Value> {
    assert_eq!(run.code, Some(0), "{run:#?}");
    let mut records = pattoo_records(&run.body());
    let timestamps: Vec<u64> = records.iter().map(|record| record["timestamp"].as_u64().unwrap()).collect();
    assert!(timestamps.iter().all(|time| (earliest..=now()).contains(time)), "{timestamps:?}");
    assert!(timestamps.windows(2).all(|pair| pair[0] == pair[1]), "{timestamps:?}");
    for record in &mut records {
        record.as_object_mut().unwrap().remove("timestamp");
    }
    records
}

fn now() -> u64 {
    u64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// The part of records that follows from the inputs, without agent and checksums.
fn measured(records: &[Value]) -> Vec<Value> {
    let part = |record: &Value| {
        let of = |member: &str| record[member].clone();
        json!([of("agent_polled_target"), of("key"), of("value"), of("data_type"), of("metadata")])
    };
    records.iter().map(part).collect()
}

/// Runs every language in turn and compares each payload with the expected one and with the other
/// languages.
fn all_give(setup: &StationSetup, settings: &Value, collections: u64, expected: &[Value], words: &[&str]) {
    let mut first: Option<(&str, Vec<Value>)> = None;
    for language in &setup.languages {
        let about = format!("PATTOO_SEED={}, {language}", setup.inputs.seed);
        setup.forget();
        let mut records = Vec::new();
        for _ in 0..collections {
            let earliest = now();
            let run = setup.collect(language, settings);
            records = resolved(&run, earliest);
            for word in words {
                assert!(run.stderr.contains(word), "{about}: {word:?} was not logged: {run:#?}");
            }
        }
        let counted = json!(["collector", "collections", collections, 99, []]);
        assert_eq!(measured(&records), [expected, &[counted]].concat(), "{about}");
        match &first {
            None => first = Some((language, records)),
            Some((other, theirs)) => assert_eq!(&records, theirs, "{about} is not as {other}"),
        }
    }
}

#[test]
fn every_language_gives_the_same_expected_payload() {
    all_give_what_follows_from_the_inputs(&StationSetup::start(Inputs::choose(seed())));
}

/// Two collections in each language, with all that a station collects.
pub(crate) fn all_give_what_follows_from_the_inputs(setup: &StationSetup) {
    let expected = [setup.inputs.pump_points(), setup.inputs.meter_points(), setup.inputs.site_points()].concat();
    all_give(setup, &setup.settings(), 2, &expected, &["11 datapoints"]);
}

/// Languages on an engine whose whole numbers end at 2^53.
const OF_53_BITS: [&str; 2] = ["javascript", "typescript"];

#[test]
fn counter_of_64_bits_is_exact_or_omitted_with_a_log_line() {
    let setup = StationSetup::start(Inputs::choose(seed()).with_a_counter_of_64_bits());
    let expected = setup.inputs.meter_points().remove(1);
    for language in languages() {
        setup.forget();
        let run = setup.collect(language, &setup.settings());
        let energy: Vec<Value> =
            measured(&resolved(&run, 0)).into_iter().filter(|point| point[1] == expected[1]).collect();
        let about = format!("PATTOO_SEED={}, {language}: {run:#?}", setup.inputs.seed);
        if OF_53_BITS.contains(&language) {
            assert!(energy.is_empty() && run.stderr.contains("beyond 2^53"), "{about}");
            assert!(run.stderr.contains("10 datapoints"), "{about}");
        } else {
            assert_eq!(energy, std::slice::from_ref(&expected), "{about}");
        }
    }
}

#[test]
fn every_language_reports_a_modbus_exception_and_a_404_and_keeps_the_rest() {
    let setup = StationSetup::start(Inputs::choose(seed()));
    let mut settings = setup.settings();
    // The next register, which the device does not have.
    settings["pump"]["address"] = json!(setup.inputs.pump_address.checked_add(1));
    settings["url"] = json!(setup.url("elsewhere.json"));
    let exception = setup.inputs.of_device("pump", "exception", &json!(2), 99);
    let expected =
        [vec![exception], setup.inputs.meter_points(), vec![setup.inputs.of_site("status", &json!(404), 99)]];
    let words = ["pump: exception 2", &format!("{}: status 404", setup.inputs.site), "6 datapoints"];
    all_give(&setup, &settings, 1, &expected.concat(), &words);
}

#[test]
fn every_language_reads_a_document_behind_a_byte_order_mark() {
    let setup = StationSetup::start(Inputs::choose(seed()));
    setup.cli.file("site/weather.json", format!("\u{feff}{}", setup.inputs.document()));
    let expected = [setup.inputs.pump_points(), setup.inputs.meter_points(), setup.inputs.site_points()].concat();
    all_give(&setup, &setup.settings(), 1, &expected, &["11 datapoints"]);
}

#[test]
fn every_language_keeps_device_values_when_the_document_is_invalid() {
    let setup = StationSetup::start(Inputs::choose(seed()));
    let expected = [setup.inputs.pump_points(), setup.inputs.meter_points()].concat();
    setup.cli.file("site/weather.json", r#"{"temperature": 1.5, "humidity": "wet", "rain_total": 7, "name": "A"}"#);
    all_give(&setup, &setup.settings(), 1, &expected, &["7 datapoints"]);
    setup.cli.file("site/weather.json", r#"{"temperature": 1.5, "humidity": 5"#);
    all_give(&setup, &setup.settings(), 1, &expected, &["7 datapoints"]);
}

#[test]
fn every_language_names_a_missing_or_invalid_setting() {
    let setup = StationSetup::start(Inputs::choose(seed()));
    let without = |key: &str| {
        let mut settings = setup.settings();
        settings.as_object_mut().unwrap().remove(key);
        settings
    };
    let mut cases: Vec<(&str, Value)> =
        ["device", "unit", "pump", "meter", "url", "site"].map(|key| (key, without(key))).to_vec();
    for (path, key, value) in [
        ("/unit", "unit", json!("seven")),
        ("/meter/table", "table", json!("coils")),
        ("/pump/address", "address", json!(65536)),
    ] {
        let mut settings = setup.settings();
        *settings.pointer_mut(path).unwrap() = value;
        cases.push((key, settings));
    }
    for language in languages() {
        // Trying all cases in every run would take long in languages that start slowly.
        let (key, settings) = &cases[setup.inputs.choice(language, cases.len())];
        let run = setup.collect(language, settings);
        assert_eq!(run.code, Some(3), "PATTOO_SEED={}, {language}, {key}: {run:#?}", setup.inputs.seed);
        assert!(run.stderr.contains(key), "PATTOO_SEED={}, {language}, {key}: {run:#?}", setup.inputs.seed);
    }
}

#[test]
fn note_describes_a_datapoint_and_does_not_identify_it() {
    let setup = StationSetup::start(Inputs::choose(seed()));
    let checksums = |settings: &Value| -> Vec<Value> {
        let records = resolved(&setup.collect(STATIONS[0], settings), 0);
        records.iter().map(|record| record["checksum"].clone()).collect()
    };
    let mut settings = setup.settings();
    let before = checksums(&settings);
    settings["note"] = json!("another");
    assert_eq!(before, checksums(&settings));
    settings.as_object_mut().unwrap().remove("note");
    assert_eq!(before, checksums(&settings));
}
