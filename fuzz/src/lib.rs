//! What the targets share: a sandbox without a child process, a guest that does what an input says, and modules of our shape.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};

use pattoo_fetch::{Method, OriginGrant};
use pattoo_measurement::{Agent, PollingInterval};
use pattoo_modbus::EndpointSettings;
use pattoo_output::pattoo::PattooJson;
use pattoo_sandbox::{
    Collector, Compiler, Termination, Sandbox,
    capability::{Assignment, Grants, CollectionLimits, modbus::DeviceGrant},
};
use smith::WORLD;
use tokio::runtime::Runtime;

/// Some of WASI 0.1, which gets there through the adapter.
const WASI: &str = r#"
(import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
(import "wasi_snapshot_preview1" "environ_get" (func $environ_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
"#;

/// Where everything runs. What it grants answers at once: ports of loopback where nobody listens.
pub struct Machine {
    pub sandbox: Sandbox,
    runtime: Runtime,
    assignment: Mutex<Arc<Assignment>>,
}

impl Machine {
    pub fn new(timeout: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let entered = runtime.enter();
        let mut limits = CollectionLimits { timeout, memory: 2 << 20, call_bytes: 256 << 10, ..CollectionLimits::default() };
        (limits.modbus.spans, limits.http.count) = (100, 20);
        let origin =
            OriginGrant::new("http://127.0.0.1:1".parse().expect("an origin")).methods(vec![Method::GET, Method::POST]);
        let mut device = DeviceGrant::new("d".parse().expect("a name"), &"tcp://127.0.0.1:1".parse().expect("a URL"))
            .units(vec![1, 7]);
        let settings = EndpointSettings { first_backoff: Duration::from_secs(600), ..EndpointSettings::default() };
        device.settings = settings;
        let agent = Agent {
            program: "FUZZ".parse().expect("a program"),
            id: "ab".repeat(32).parse().expect("an id"),
            hostname: "gateway-7".parse().expect("a name"),
            polling_interval: PollingInterval::from_seconds(60).expect("an interval"),
        };
        let grants = Grants { modbus: vec![device], http: vec![origin], ..Grants::default() };
        let assignment = Assignment::builder(Arc::new(agent))
            .sinks(Arc::new(PattooJson))
            .grants(grants)
            .limits(limits)
            .build()
            .expect("nothing to refuse");
        drop(entered);
        tracing::subscriber::set_global_default(OneLine).expect("no subscriber yet");
        let sandbox = Sandbox::new(1, Compiler::unbounded(), None).expect("the engine starts");
        Self { sandbox, runtime, assignment: Mutex::new(Arc::new(assignment)) }
    }

    /// One collection, and what must hold for its outcome whatever the guest did.
    pub fn collect(&self, collector: &Collector, settings: &str) {
        let mut assignment = self.assignment.lock().expect("no collection panicked");
        let ours = Arc::get_mut(&mut assignment).expect("the collection before has ended");
        settings.clone_into(&mut ours.settings);
        let limits = ours.limits.clone();
        let outcome = self.runtime.block_on(self.sandbox.collect(collector, Arc::clone(&assignment)));
        // A loaded machine makes everything late; libFuzzer itself has a bound on what hangs.
        assert!(outcome.duration < limits.timeout + Duration::from_secs(20), "{:?}", outcome.duration);
        assert!(outcome.peak_memory <= limits.memory);
        assert!(outcome.emission.sink.datapoints() <= limits.datapoints.count);
        match &outcome.ending {
            Termination::Completed => {}
            Termination::Failed(text) => assert_one_line(text),
            Termination::Stopped(stop) => assert_one_line(&stop.to_string()),
        }
    }
}

fn assert_one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?} is more than a line of text");
}

/// Looks at every line that is logged.
struct OneLine;

impl tracing::Subscriber for OneLine {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("pattoo_") || metadata.target() == "guest"
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                let _ = write!(self.0, "{value:?} ");
            }
        }
        let mut text = Text(String::new());
        event.record(&mut text);
        assert_one_line(&text.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// A guest that calls what the input says. The input is its settings, two letters a byte, and stands in its memory from 0:
/// a byte of flags, then calls: a byte for the function, two for each argument. Arguments from 0xFC00 on are negative. With the
/// first flag set, `cabi_realloc` returns what the input says too.
pub fn interpreter() -> String {
    let imports: Vec<&str> = WORLD.lines().chain(WASI.lines()).filter(|line| line.starts_with("(import")).collect();
    let mut cases = String::new();
    for line in &imports {
        let name = line.split('$').nth(1).and_then(|rest| rest.split(' ').next()).expect("a name");
        let parameters = line.split("(param").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
        let result = line.contains("(result");
        let arguments: String = parameters
            .split_whitespace()
            .map(|kind| if kind == "i64" { "(i64.extend_i32_s (call $argument))" } else { "(call $argument)" })
            .collect();
        let call = format!("(call ${} {arguments})", name.trim_end_matches(')'));
        // One block is closed, and its call made, for each function.
        let call = if result { format!("(drop {call})") } else { call };
        let _ = writeln!(cases, ") {call} (br $again)");
    }
    let opened = "(block ".repeat(imports.len());
    let labels: String = (0..imports.len()).map(|label| format!("{label} ")).collect();
    format!(
        r#"(module
          {}
          (memory (export "memory") 4)
          (global $at (mut i32) (i32.const 1))
          (global $length (mut i32) (i32.const 0))
          (global $room (mut i32) (i32.const 196608))
          (func $argument (result i32) (local $value i32)
            (local.set $value (i32.load16_u (i32.and (global.get $at) (i32.const 0xffff))))
            (global.set $at (i32.add (global.get $at) (i32.const 2)))
            (if (i32.ge_u (local.get $value) (i32.const 0xfc00))
              (then (local.set $value (i32.or (local.get $value) (i32.const 0xffff0000)))))
            (local.get $value))
          (func (export "cabi_realloc") (param $old i32) (param $was i32) (param $align i32) (param $size i32) (result i32)
            (local $start i32)
            (if (i32.and (global.get $length) (i32.and (i32.load8_u (i32.const 0)) (i32.const 1))) (then (return (call $argument))))
            (local.set $start (i32.and (i32.add (global.get $room) (i32.const 15)) (i32.const -16)))
            (global.set $room (i32.add (local.get $start) (local.get $size)))
            (block $enough
              (br_if $enough (i32.le_u (global.get $room) (i32.mul (memory.size) (i32.const 65536))))
              (drop (memory.grow (i32.add (i32.div_u (local.get $size) (i32.const 65536)) (i32.const 1)))))
            (local.get $start))
          (func $read (local $from i32) (local $to i32) (local $left i32)
            (call $settings (i32.const 131072))
            (local.set $from (i32.load (i32.const 131072)))
            (local.set $left (i32.load (i32.const 131076)))
            (if (i32.gt_u (local.get $left) (i32.const 131072)) (then (local.set $left (i32.const 131072))))
            (block $done (loop $again
              (br_if $done (i32.lt_u (local.get $left) (i32.const 2)))
              (i32.store8 (local.get $to) (i32.or
                (i32.shl (i32.sub (i32.load8_u (local.get $from)) (i32.const 97)) (i32.const 4))
                (i32.sub (i32.load8_u offset=1 (local.get $from)) (i32.const 97))))
              (local.set $from (i32.add (local.get $from) (i32.const 2)))
              (local.set $to (i32.add (local.get $to) (i32.const 1)))
              (local.set $left (i32.sub (local.get $left) (i32.const 2)))
              (br $again)))
            (global.set $length (local.get $to)))
          (func (export "collect") (result i32) (local $function i32)
            (call $read)
            (block $done (loop $again
              (br_if $done (i32.ge_u (global.get $at) (global.get $length)))
              (local.set $function (i32.rem_u (i32.load8_u (global.get $at)) (i32.const {})))
              (global.set $at (i32.add (global.get $at) (i32.const 1)))
              {opened} (br_table {labels} (local.get $function))
              {cases}))
            (call $argument)))"#,
        imports.join("\n"),
        imports.len()
    )
}
