//! The station in every language, thousands of times in one process: nothing fails, and memory stays flat.
//!
//! `cargo xtask soak guests` runs it. `GUEST_COLLECTIONS` says how many (20 000 unless set; a tenth of that in languages that
//! bring an interpreter along), `GUEST_LANGUAGES` which, with commas between them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, as it should; a soak says its figures"
)]

use std::{fs, process::Command, sync::Arc, time::Instant};

use pattoo_tests::{Running, STATIONS, Said, binary, resident_kib, station, ungranted, weather_site};
use pattoo_wasm::{
    capability::{
        Assignment, Limits,
        modbus::{DeviceGrant, Devices},
    },
    http::{self, OriginGrant, OwnEndpoints},
    modbus::{DeviceUrl, Endpoints},
    pattoo::{Agent, AgentId, PollingInterval},
    sandbox::{Cache, Collector, CompileLimits, Compiler, Ending, Module, Sandbox},
    state::StateStore,
};
use serde_json::{Value, json};

/// Those that bring an interpreter along.
const SLOW: [&str; 3] = ["python", "javascript", "typescript"];

const DEVICE: &str = "devices: [{ listen: '127.0.0.1:0', units: { 7: {
  holding: { 0: [1234, 0xFFF6, 0x0001, 0x0002] },
  input: { 100: [0xE979, 0x42F6, 0, 0, 0x0001, 0, 0x504D, 0x502D, 0x3700, 0] } } } }]";

/// A device and a site, each a process of its own, and the folder for everything.
struct Field {
    folder: tempfile::TempDir,
    device: Running,
    site: Running,
}

impl Field {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("site")).unwrap();
        let weather = json!({"temperature": -3.25, "humidity": 81, "rain_total": 5000, "name": "Old Mill"});
        fs::write(folder.path().join("site/weather.json"), weather.to_string()).unwrap();
        fs::write(folder.path().join("device.yaml"), DEVICE).unwrap();
        let mut simulate = Command::new(binary());
        simulate.arg("simulate").arg(folder.path().join("device.yaml")).env("NO_COLOR", "1");
        let device = Running::start(&mut simulate, Said::OnStderr, |line| {
            line.split_once("tcp://")?.1.split([',', '?', ' ']).next()?.parse().ok()
        });
        let site = weather_site(&folder.path().join("site"));
        Self { folder, device, site }
    }

    /// All that is known of the station in this language beyond its code.
    fn assignment(&self, language: &str) -> Assignment {
        let origin = format!("http://{}", self.site.address());
        let settings = json!({
            "device": "plc1", "unit": 7, "site": "SITE_A", "url": format!("{origin}/weather.json"),
            "pump": {"table": "holding-registers", "address": 0}, "meter": {"table": "input-registers", "address": 100},
        });
        let url: DeviceUrl = format!("tcp://{}?unit=7", self.device.address()).parse().unwrap();
        let grants = vec![DeviceGrant::new("plc1".parse().unwrap(), &url)];
        let origins = vec![OriginGrant::new(origin.parse().unwrap())];
        let program: pattoo_wasm::pattoo::Program = format!("station-{language}").parse().unwrap();
        let agent = Agent {
            id: AgentId::load_or_create(self.folder.path(), &program).unwrap(),
            program,
            hostname: "gateway-7".parse().unwrap(),
            polling_interval: PollingInterval::from_seconds(60).unwrap(),
        };
        Assignment {
            settings: settings.to_string(),
            modbus: Devices::new(grants, &Endpoints::new()),
            http: http::Client::new(origins, http::Limits::default(), OwnEndpoints::default()).unwrap(),
            state: StateStore::at(&self.folder.path().join("state")),
            limits: Limits { memory: 256 << 20, timeout: std::time::Duration::from_mins(1), ..Limits::default() },
            ..ungranted(Arc::new(agent))
        }
    }
}

/// One collection, which must go well; what it counted of its kind.
async fn collect(sandbox: &Sandbox, collector: &Collector, assignment: &Arc<Assignment>, about: &str) -> u64 {
    let outcome = sandbox.collect(collector, Arc::clone(assignment)).await;
    assert!(matches!(outcome.ending, Ending::Completed), "{about}: {:?}", outcome.ending);
    assert_eq!((outcome.emission.batch.datapoints(), outcome.emission.rejected), (11, 0), "{about}");
    outcome.state.unwrap().keep().await.unwrap();
    let body = outcome.emission.batch.into_body(0).unwrap();
    let body: Value = serde_json::from_slice(body.json()).unwrap();
    let (pairs, datapoints) = (
        &body["pattoo_datapoints"]["key_value_pairs"],
        body["pattoo_datapoints"]["datapoint_pairs"].as_array().unwrap(),
    );
    // The last datapoint is the number of collections.
    let mut last = datapoints[10].as_array().unwrap().iter().map(|pair| &pairs[pair.to_string()]);
    last.find(|pair| pair[0] == "pattoo_value").unwrap()[1].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour long: `cargo xtask soak guests` runs it"]
async fn every_language_collects_thousands_of_times_in_the_same_memory() {
    let setting = |name: &str| std::env::var(name).ok();
    let many: u64 = setting("GUEST_COLLECTIONS").map_or(20_000, |text| text.parse().unwrap());
    let wanted = setting("GUEST_LANGUAGES");
    let wanted = |language: &str| wanted.as_ref().is_none_or(|names| names.split(',').any(|name| name == language));
    let field = Field::start();
    let cache = Cache::open(&field.folder.path().join("cache")).unwrap();
    let sandbox = Sandbox::new(1, Compiler::new(binary(), CompileLimits::default()), Some(cache)).unwrap();
    println!(
        "| language | collections | milliseconds each | resident MiB at the start | a quarter | half | three quarters | the end |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for language in STATIONS.iter().copied().filter(|language| wanted(language)) {
        let Some(path) = station(language) else {
            println!("| {language} | not built | | | | | | |");
            continue;
        };
        let collections = if SLOW.iter().any(|slow| language.starts_with(slow)) { many / 10 } else { many };
        let module = Module::read(&path).unwrap();
        let collector = sandbox.load(&module).unwrap();
        let assignment = Arc::new(field.assignment(language));
        let started = Instant::now();
        let mut marks = Vec::new();
        for number in 1..=collections {
            let counted = collect(&sandbox, &collector, &assignment, &format!("{language}, collection {number}")).await;
            assert_eq!(counted, number, "{language}");
            // What the first few leave behind (connections, the pool's pages, caches) is the start.
            if number == collections.div_ceil(20) || number % collections.div_ceil(4) == 0 || number == collections {
                marks.push(resident_kib(std::process::id()));
            }
        }
        let each = started.elapsed().as_secs_f64() * 1000.0 / f64::from(u32::try_from(collections).unwrap());
        let mib: Vec<String> =
            marks.iter().map(|kib| format!("{:.1}", f64::from(u32::try_from(*kib).unwrap()) / 1024.0)).collect();
        println!("| {language} | {collections} | {each:.2} | {} |", mib.join(" | "));
        let (early, late) = (marks[1], marks[marks.len() - 1]);
        assert!(late <= early + early / 20 + 2048, "{language}: memory grows: {marks:?} KiB");
    }
}
