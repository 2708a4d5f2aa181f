//! The peers of a station of `guests/station`: a device and a web site with constant values, for
//! measurements over many collections.

use std::{fs, path::Path, process::Command, sync::Arc, time::Duration};

use pattoo_measurement::{Agent, AgentId, PollingInterval, Program};
use pattoo_output::pattoo::Batch;
use pattoo_sandbox::{
    Outcome, Termination,
    capability::{Assignment, CollectionLimits},
    state_store::StateStore,
};
use serde_json::{Value, json};

use crate::{ReadyLine, Running, assignment_with_grants, binary, weather_site};

const DEVICE: &str = "devices: [{ listen: '127.0.0.1:0', units: { 7: {
  holding: { 0: [1234, 0xFFF6, 0x0001, 0x0002] },
  input: { 100: [0xE979, 0x42F6, 0, 0, 0x0001, 0, 0x504D, 0x502D, 0x3700, 0] } } } }]";

/// A device and a web site, each in its own process, and a folder for files.
#[derive(Debug)]
pub struct StationPeers {
    folder: tempfile::TempDir,
    device: Running,
    site: Running,
}

impl StationPeers {
    /// Starts both.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |file: &str, text: &str| fs::write(folder.path().join(file), text).expect("a writable folder");
        fs::create_dir(folder.path().join("site")).expect("a new folder");
        let weather = json!({"temperature": -3.25, "humidity": 81, "rain_total": 5000, "name": "Old Mill"});
        write("site/weather.json", &weather.to_string());
        write("device.yaml", DEVICE);
        let mut simulate = Command::new(binary());
        simulate.arg("simulate").arg(folder.path().join("device.yaml")).env("NO_COLOR", "1");
        let device = Running::start(&mut simulate, ReadyLine::OnStderr, |line| {
            line.split_once("tcp://")?.1.split([',', '?', ' ']).next()?.parse().ok()
        });
        let site = weather_site(&folder.path().join("site"));
        Self { folder, device, site }
    }

    /// A folder that is removed on drop.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The assignment of the station in this language.
    pub fn assignment(&self, language: &str) -> Assignment {
        let origin = format!("http://{}", self.site.address());
        let settings = json!({
            "device": "plc1", "unit": 7, "site": "SITE_A", "url": format!("{origin}/weather.json"),
            "pump": {"table": "holding-registers", "address": 0}, "meter": {"table": "input-registers", "address": 100},
        });
        let program: Program = format!("station-{language}").parse().expect("a program");
        let agent = Agent {
            id: AgentId::load_or_create(self.folder(), &program).expect("a writable folder"),
            program,
            hostname: "gateway-7".parse().expect("a host name"),
            polling_interval: PollingInterval::from_seconds(60).expect("an interval"),
        };
        assignment_with_grants(Arc::new(agent), format!("{}?unit=7", self.device.address()), self.site.address())
            .settings(settings.to_string())
            .state(StateStore::at(&self.folder().join("state")))
            .limits(CollectionLimits {
                memory: 256 << 20,
                timeout: Duration::from_mins(1),
                ..CollectionLimits::default()
            })
            .build()
            .expect("nothing to refuse")
    }

    /// Checks that a collection completed with all its datapoints, stores its state, and returns
    /// the number that it counted.
    pub async fn counted(outcome: Outcome, about: &str) -> u64 {
        assert!(matches!(outcome.ending, Termination::Completed), "{about}: {:?}", outcome.ending);
        assert_eq!((outcome.emission.sink.datapoints(), outcome.emission.rejected), (11, 0), "{about}");
        outcome.state.expect("it ended well").keep().await.expect("a writable folder");
        let body = Batch::of(outcome.emission.sink).and_then(|batch| batch.into_body(0)).expect("it has datapoints");
        let body: Value = serde_json::from_slice(body.json()).expect("a body is JSON");
        let pattoo = |member: &str| body.pointer(&format!("/pattoo_datapoints/{member}"));
        // The last datapoint is the number of collections.
        let last = pattoo("datapoint_pairs").and_then(|points| points.as_array()?.last()?.as_array());
        let mut pairs = last.expect("datapoints").iter().filter_map(|pair| pattoo(&format!("key_value_pairs/{pair}")));
        let value = pairs.find(|pair| pair.get(0).is_some_and(|key| key == "pattoo_value"));
        value.and_then(|pair| pair.get(1)?.as_u64()).expect("a number")
    }
}
