//! What the modules of this crate call on the host instead of the runtime: the [`Run`] of this thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Host, LogLine, datapoints::Datapoints, http, modbus, state};
use crate::datapoints::{Datapoint, EmitErrorKind, Rejection};
use crate::http::{ErrorKind as HttpErrorKind, Request, Response};
use crate::log::Level;
use crate::modbus::{ErrorKind as ModbusErrorKind, Granted, Span, Words};
use crate::state::ErrorKind as StateErrorKind;

/// One collection under way.
pub(super) struct Run {
    host: Host,
    /// Milliseconds since the collection began.
    elapsed: u64,
    pub(super) datapoints: Datapoints,
    pub(super) rejected: Vec<Rejection>,
    pub(super) logs: Vec<LogLine>,
    pub(super) requests: Vec<Request>,
    pub(super) reads: Vec<Span>,
    pub(super) state: BTreeMap<String, Vec<u8>>,
}

impl Run {
    pub(super) fn new(host: &Host) -> Self {
        Self {
            host: host.clone(),
            elapsed: 0,
            datapoints: Datapoints::default(),
            rejected: Vec::new(),
            logs: Vec::new(),
            requests: Vec::new(),
            reads: Vec::new(),
            state: host.state.clone(),
        }
    }

    fn tick(&mut self) -> u64 {
        self.elapsed = self.elapsed.saturating_add(1);
        self.elapsed
    }

    fn read(&mut self, span: &Span) -> Result<Words, ModbusErrorKind> {
        self.reads.push(span.clone());
        modbus::read(&self.host.devices, span)
    }

    fn fetch(&mut self, request: &Request) -> Result<Response, HttpErrorKind> {
        self.requests.push(request.clone());
        http::fetch(&self.host.sites, request)
    }
}

thread_local! {
    static RUN: RefCell<Option<Run>> = const { RefCell::new(None) };
}

/// Calls a collector with a run in place, and gives back what became of it.
#[expect(clippy::expect_used, reason = "only this function takes the run away")]
pub(super) fn with<T>(run: Run, collect: impl FnOnce() -> T) -> (T, Run) {
    /// Puts back what was there, also when the collector panics.
    struct Restore(Option<Run>);
    impl Drop for Restore {
        fn drop(&mut self) {
            RUN.set(self.0.take());
        }
    }
    let restore = Restore(RUN.replace(Some(run)));
    let outcome = collect();
    let run = RUN.take().expect("the run is still in place");
    drop(restore);
    (outcome, run)
}

#[expect(clippy::panic, reason = "a test that forgot the host must fail")]
fn run<T>(call: impl FnOnce(&mut Run) -> T) -> T {
    RUN.with_borrow_mut(|run| match run {
        Some(run) => call(run),
        None => panic!(
            "there is no host here: outside of wasm, functions of pattoo_guest can be called only by what is given to `testing::Host::collect`"
        ),
    })
}

pub(crate) fn program() -> String {
    run(|run| run.host.program.clone())
}

pub(crate) fn polling_interval() -> u32 {
    run(|run| run.host.polling_interval)
}

pub(crate) fn collection_time() -> u64 {
    run(|run| run.host.collection_time.unix_millis())
}

pub(crate) fn settings() -> String {
    run(|run| run.host.settings.clone())
}

pub(crate) fn now() -> u64 {
    run(|run| run.host.collection_time.unix_millis().saturating_add(run.tick()))
}

pub(crate) fn monotonic() -> u64 {
    run(|run| run.tick().saturating_mul(1_000_000))
}

pub(crate) fn log(level: Level, message: &str) {
    run(|run| {
        let message = message.to_owned();
        run.logs.push(LogLine { level, message });
    });
}

pub(crate) fn emit(target: &str, datapoints: Vec<Datapoint>) -> Result<Vec<Rejection>, EmitErrorKind> {
    run(|run| {
        let now = run.host.collection_time.unix_millis().saturating_add(run.elapsed);
        let rejections = run.datapoints.emit(&run.host.program, now, target, datapoints)?;
        run.rejected.extend_from_slice(&rejections);
        Ok(rejections)
    })
}

pub(crate) fn devices() -> Vec<Granted> {
    run(|run| run.host.devices.iter().map(super::FakeDevice::granted).collect())
}

pub(crate) fn read_coils(span: &Span) -> Result<Vec<bool>, ModbusErrorKind> {
    run(|run| run.read(span)).map(bits)
}

pub(crate) fn read_discrete_inputs(span: &Span) -> Result<Vec<bool>, ModbusErrorKind> {
    run(|run| run.read(span)).map(bits)
}

pub(crate) fn read_holding_registers(span: &Span) -> Result<Vec<u16>, ModbusErrorKind> {
    run(|run| run.read(span)).map(registers)
}

pub(crate) fn read_input_registers(span: &Span) -> Result<Vec<u16>, ModbusErrorKind> {
    run(|run| run.read(span)).map(registers)
}

pub(crate) fn read_many(spans: &[Span]) -> Vec<Result<Words, ModbusErrorKind>> {
    run(|run| spans.iter().map(|span| run.read(span)).collect())
}

fn bits(words: Words) -> Vec<bool> {
    match words {
        Words::Bits(bits) => bits,
        Words::Registers(_) => unreachable!("coils and inputs are bits"),
    }
}

fn registers(words: Words) -> Vec<u16> {
    match words {
        Words::Registers(registers) => registers,
        Words::Bits(_) => unreachable!("registers are not bits"),
    }
}

pub(crate) fn fetch(request: &Request) -> Result<Response, HttpErrorKind> {
    run(|run| run.fetch(request))
}

pub(crate) fn fetch_all(requests: &[Request]) -> Vec<Result<Response, HttpErrorKind>> {
    run(|run| requests.iter().map(|request| run.fetch(request)).collect())
}

pub(crate) fn state_get(key: &str) -> Option<Vec<u8>> {
    run(|run| run.state.get(key).cloned())
}

pub(crate) fn state_set(key: &str, value: &[u8]) -> Result<(), StateErrorKind> {
    run(|run| state::set(&mut run.state, key, value))
}

pub(crate) fn state_remove(key: &str) {
    run(|run| run.state.remove(key));
}

pub(crate) fn state_keys() -> Vec<String> {
    run(|run| run.state.keys().cloned().collect())
}
