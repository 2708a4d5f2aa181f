//! One sandbox that runs all guests, with a hostile web site and a hostile device.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pattoo_fetch::{Method, OriginGrant};
use pattoo_modbus::EndpointSettings;
use pattoo_sandbox::{
    Cache, CompileLimits, Compiler, LoadError, Module, Outcome, Sandbox, Termination,
    capability::{Assignment, Grants, modbus::DeviceGrant},
};
use pattoo_tests::{agent, assignment_without_grants, binary};
use pattoo_wasm::config::CollectorLimits;
use tokio::runtime::Runtime;

use crate::peers::{SITE_PORT, counting_device, silent_device, site};

/// How late a test may see the end of a collection, with more threads than processors.
pub(crate) const SLACK: Duration = Duration::from_secs(2);

/// A good collector, which emits one datapoint.
const GOOD: &str = r#"(module
  (import "pattoo:agent/datapoints@0.1.0" "emit" (func $emit (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
  (data (i32.const 0) "\40\00\00\00\03\00\00\00") (data (i32.const 64) "key")
  (func (export "collect") (result i32)
    (call $emit (i32.const 64) (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 1024))
    i32.const 2048))"#;

/// The sandbox that they share.
pub(crate) struct Machine {
    sandbox: Sandbox,
    site: SocketAddr,
    devices: [(&'static str, SocketAddr); 2],
    _cache: Option<tempfile::TempDir>,
}

/// A thread that uses the sandbox.
pub(crate) struct Worker<'a> {
    machine: &'a Machine,
    runtime: Runtime,
}

/// The result of loading and running a guest.
pub(crate) enum Run {
    Refused(LoadError),
    Ended(Box<Outcome>, Vec<String>),
}

/// The devices that guests are granted, by name.
fn devices() -> [(&'static str, SocketAddr); 2] {
    [("silent", silent_device()), ("counting", counting_device())]
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let cache = Cache::open(&folder.path().join("compiled")).expect("a folder of our own");
        let compiler = Compiler::new(binary(), CompileLimits::default());
        let sandbox = Sandbox::new(8, compiler, Some(cache)).expect("the engine starts");
        Self { sandbox, site: site(), devices: devices(), _cache: Some(folder) }
    }

    /// A sandbox that compiles in this process, for thousands of small modules.
    pub(crate) fn without_child() -> Self {
        let sandbox = Sandbox::new(8, Compiler::unbounded(), None).expect("the engine starts");
        Self { sandbox, site: site(), devices: devices(), _cache: None }
    }

    pub(crate) fn worker(&self) -> Worker<'_> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Worker { machine: self, runtime }
    }
}

impl Worker<'_> {
    fn assignment(&self, limits: &CollectorLimits) -> Assignment {
        let site = |scheme: &str| {
            let origin = format!("{scheme}://{}", self.machine.site).parse().expect("an origin");
            OriginGrant::new(origin).methods(vec![Method::GET, Method::POST])
        };
        let device = |(name, address): &(&str, SocketAddr)| {
            let url = format!("tcp://{address}").parse().expect("a device");
            let mut device = DeviceGrant::new(name.parse().expect("a name"), &url);
            device.settings =
                EndpointSettings { request_timeout: Duration::from_hours(1), ..EndpointSettings::default() };
            device
        };
        let modbus = self.machine.devices.iter().map(device).collect();
        let _entered = self.runtime.enter();
        let grants = Grants { modbus, http: vec![site("http"), site("https")], ..Grants::default() };
        let assignment = assignment_without_grants(agent("HOSTILE")).grants(grants).limits(limits.collection.clone());
        assignment.build().expect("nothing to refuse")
    }

    /// Loads and runs a guest; interrupts it after `time_limit`.
    pub(crate) fn run(&self, text: &str, limits: &CollectorLimits, time_limit: Duration) -> Run {
        self.run_module(text.replace(SITE_PORT, &self.machine.site.port().to_string()).into_bytes(), limits, time_limit)
    }

    /// Like `run`, for a module's bytes.
    pub(crate) fn run_module(&self, module: Vec<u8>, limits: &CollectorLimits, time_limit: Duration) -> Run {
        let loaded = Module::from_bytes(Path::new("guest.wasm"), module);
        let collector = match loaded.and_then(|module| self.machine.sandbox.load(&module)) {
            Ok(collector) => collector,
            Err(error) => return Run::Refused(error),
        };
        let lines = Lines::default();
        let outcome = tracing::subscriber::with_default(lines.clone(), || {
            let assignment = Arc::new(self.assignment(limits));
            self.runtime.block_on(async {
                self.machine.sandbox.collect_until(&collector, assignment, tokio::time::sleep(time_limit)).await
            })
        });
        Run::Ended(Box::new(outcome), lines.take())
    }

    /// Runs a good collector, which must be unaffected by the guest before it.
    pub(crate) fn good_collection(&self) -> Result<(), String> {
        let began = Instant::now();
        match self.run(GOOD, &CollectorLimits::default(), Duration::from_mins(1)) {
            Run::Ended(outcome, _) => match (&outcome.ending, outcome.emission.sink.datapoints()) {
                (Termination::Completed, 1) if outcome.duration < SLACK => Ok(()),
                (ending, datapoints) => Err(format!(
                    "the good collector after it: {ending:?}, {datapoints} datapoints, {:?}",
                    began.elapsed()
                )),
            },
            Run::Refused(error) => Err(format!("the good collector after it: {error}")),
        }
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic while logging"))
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "guest" || metadata.target().starts_with("pattoo_")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Message(String);
        impl tracing::field::Visit for Message {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        let mut lines = self.0.lock().expect("no panic while logging");
        // A guest may log for as long as it runs.
        if lines.len() < 10_000 {
            lines.push(format!("{}|{}", event.metadata().target(), message.0));
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
