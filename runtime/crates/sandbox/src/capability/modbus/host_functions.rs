//! What a collector calls.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use futures_util::future::join_all;
use pattoo_base::{
    invariant::{Invariant as _, broken},
    text::one_line,
};
use pattoo_modbus::{Endpoint, ReadError, Span, Table, Words};

use super::{DEFAULT_UNIT, DeviceGrant, DeviceName, denied::denial_of_device, in_flight::InFlight, requested_devices};
use crate::capability::{Host, LimitReached, PeerCalls, bindings::pattoo::agent::modbus as wit};

/// What a span of a call takes in the host's memory beside its device's name and its values:
/// itself, its place in the plan, its result with the text of an error.
const PER_SPAN: usize = 512;

/// How many spans that take no time of their own are processed before others have their turn.
const PER_TURN: usize = 1_000;

/// How much of a device name that was not granted is shown, in bytes.
const MAX_SHOWN_NAME: usize = 128;

impl Host {
    /// Counts the spans of one call, or says that there were too many, or too much in them.
    fn count_spans(&mut self, wanted: &[wit::Span]) -> Result<(), wit::Error> {
        let limits = &self.context.assignment.limits;
        let bytes = wanted.iter().fold(0usize, |bytes, span| bytes.saturating_add(usize::from(span.count) * 2));
        let call_bytes = limits.call_bytes;
        if bytes > call_bytes {
            return self.quota(LimitReached::of_bytes("the values of one call", call_bytes, "call_bytes"));
        }
        let more = u32::try_from(wanted.len()).unwrap_or(u32::MAX);
        let limit = limits.modbus.spans;
        let spans = self.capabilities.modbus.spans.saturating_add(more);
        if spans > limit {
            let what = "Modbus spans of one collection";
            return self.quota(LimitReached { what, value: limit.to_string(), setting: "spans" });
        }
        self.capabilities.modbus.spans = spans;
        Ok(())
    }

    fn quota(&self, reached: LimitReached) -> Result<(), wit::Error> {
        Err(wit::Error::Quota(self.context.reached.say(reached).to_string()))
    }

    /// The place of the device in the grants and the span to read there, if both are granted.
    fn admit(&mut self, span: &wit::Span) -> Result<(usize, Span), wit::Error> {
        let Some(place) = self.context.assignment.resources.modbus.position(&span.device) else {
            let shown = one_line(&span.device, MAX_SHOWN_NAME);
            // Only what can be the name of a device is put into a line that an operator may paste.
            let name = (span.device.len() <= MAX_SHOWN_NAME).then(|| span.device.parse::<DeviceName>().ok()).flatten();
            if let (Some(recorder), Some(name)) = (&self.context.assignment.recorder, &name) {
                let unit = span.unit.unwrap_or(DEFAULT_UNIT);
                if let Ok(wanted) = Span::new(unit, span.table.into(), span.address, span.count) {
                    requested_devices::span(recorder, name, None, wanted, true);
                }
            }
            self.context.denials.add(denial_of_device(&shown, name.as_ref()));
            return Err(wit::Error::UnknownDevice);
        };
        let Some((grant, _)) = self.context.assignment.resources.modbus.granted.get(place) else {
            broken("a device that was found is granted");
            return Err(wit::Error::UnknownDevice);
        };
        let unit = span.unit.unwrap_or_else(|| grant.default_unit());
        let wanted = Span::new(unit, span.table.into(), span.address, span.count)
            .map_err(|error| wit::Error::Invalid(error.to_string()))?;
        let checked = grant.check(wanted);
        if let Some(recorder) = &self.context.assignment.recorder {
            requested_devices::span(recorder, &grant.name, Some(grant), wanted, checked.is_err());
        }
        if let Err(refusal) = checked {
            let denial = refusal.denial();
            let text = denial.what.clone();
            self.context.denials.add(denial);
            return Err(wit::Error::Denied(text));
        }
        Ok((place, wanted))
    }

    async fn read_spans(&mut self, spans: Vec<wit::Span>) -> wasmtime::Result<Vec<Result<wit::Words, wit::Error>>> {
        let names = spans.iter().map(|span| span.device.len()).fold(0, usize::saturating_add);
        let mut held = self.context.account.charge(names.saturating_add(spans.len().saturating_mul(PER_SPAN)))?;
        if let Err(quota) = self.count_spans(&spans) {
            return self.refuse_all(spans.len(), &quota).await;
        }
        let values = spans.iter().map(|span| usize::from(span.count) * 2).fold(0, usize::saturating_add);
        held.add(values)?;
        let results = self.read_counted(spans).await;
        self.hand_over(values.saturating_add(results.len().saturating_mul(PER_SPAN)))?;
        Ok(results)
    }

    /// The same error for each of so many spans.
    async fn refuse_all(
        &mut self,
        spans: usize,
        error: &wit::Error,
    ) -> wasmtime::Result<Vec<Result<wit::Words, wit::Error>>> {
        self.hand_over(spans.saturating_mul(PER_SPAN))?;
        let mut results = Vec::with_capacity(spans);
        for index in 1..=spans {
            results.push(Err(error.clone()));
            if index % PER_TURN == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(results)
    }

    /// Reads spans that were counted.
    async fn read_counted(&mut self, spans: Vec<wit::Span>) -> Vec<Result<wit::Words, wit::Error>> {
        let mut admitted = Vec::with_capacity(spans.len());
        for span in &spans {
            admitted.push(self.admit(span));
            if admitted.len().is_multiple_of(PER_TURN) {
                tokio::task::yield_now().await;
            }
        }
        let mut by_device: BTreeMap<usize, Vec<(usize, Span)>> = BTreeMap::new();
        for (index, admission) in admitted.iter().enumerate() {
            if let Ok((place, span)) = admission {
                by_device.entry(*place).or_default().push((index, *span));
            }
        }
        let began = Instant::now();
        let limit = self.context.assignment.limits.modbus.concurrent_spans;
        if spans.len() > limit as usize {
            let what = "Modbus spans at the same time";
            self.context.reached.note(&LimitReached { what, value: limit.to_string(), setting: "concurrent_spans" });
        }
        let in_flight = InFlight::new(limit, self.context.deadline);
        let devices = &self.context.assignment.resources.modbus.granted;
        let reads = by_device.into_iter().filter_map(|(place, wanted)| {
            let (grant, endpoint) = devices.get(place)?;
            let in_flight = &in_flight;
            Some(async move { (&grant.name, in_flight.read(grant, endpoint, wanted).await) })
        });
        let mut read: HashMap<usize, Result<Words, ReadError>> = HashMap::with_capacity(spans.len());
        for (name, results) in join_all(reads).await {
            let failed = results.iter().filter(|(_, result)| result.is_err()).count();
            let (requests, failures) = (results.len() as u64, failed as u64);
            let answered =
                results.iter().any(|(_, result)| result.as_ref().map_or_else(ReadError::is_of_device, |_| true));
            let calls = PeerCalls { requests, failures, ..PeerCalls::asked(answered) };
            self.capabilities.modbus.calls.count(name.to_string(), calls);
            read.extend(results);
        }
        self.capabilities.modbus.calls.time = self.capabilities.modbus.calls.time.saturating_add(began.elapsed());
        admitted
            .into_iter()
            .enumerate()
            .map(|(index, admission)| {
                admission?;
                match read.remove(&index) {
                    Some(Ok(words)) => Ok(words.into()),
                    Some(Err(error)) => Err(error.into()),
                    None => {
                        broken("each span that was read has a result");
                        Err(wit::Error::Other("the device task ended".to_owned()))
                    }
                }
            })
            .collect()
    }

    async fn read_one(&mut self, span: wit::Span) -> wasmtime::Result<Result<wit::Words, wit::Error>> {
        let result = self.read_spans(vec![span]).await?.pop();
        Ok(result.or_broken("one span has one result", Err(wit::Error::UnknownDevice)))
    }

    async fn read_bits(&mut self, span: wit::Span) -> wasmtime::Result<Result<Vec<bool>, wit::Error>> {
        Ok(self.read_one(span).await?.and_then(|words| match words {
            wit::Words::Bits(bits) => Ok(bits),
            wit::Words::Registers(_) => Err(wit::Error::Other("the device answered with registers".to_owned())),
        }))
    }

    async fn read_registers(&mut self, span: wit::Span) -> wasmtime::Result<Result<Vec<u16>, wit::Error>> {
        Ok(self.read_one(span).await?.and_then(|words| match words {
            wit::Words::Registers(registers) => Ok(registers),
            wit::Words::Bits(_) => Err(wit::Error::Other("the device answered with bits".to_owned())),
        }))
    }
}

impl wit::Host for Host {
    fn devices(&mut self) -> wasmtime::Result<Vec<wit::Device>> {
        let device = |(grant, _): &(DeviceGrant, Endpoint)| wit::Device {
            name: grant.name.to_string(),
            units: grant.all_units().to_vec(),
        };
        Ok(self.context.assignment.resources.modbus.granted.iter().map(device).collect())
    }

    async fn read_coils(
        &mut self,
        device: String,
        unit: Option<u8>,
        address: u16,
        count: u16,
    ) -> wasmtime::Result<Result<Vec<bool>, wit::Error>> {
        self.read_bits(wit::Span { device, unit, table: wit::Table::Coils, address, count }).await
    }

    async fn read_discrete_inputs(
        &mut self,
        device: String,
        unit: Option<u8>,
        address: u16,
        count: u16,
    ) -> wasmtime::Result<Result<Vec<bool>, wit::Error>> {
        self.read_bits(wit::Span { device, unit, table: wit::Table::DiscreteInputs, address, count }).await
    }

    async fn read_holding_registers(
        &mut self,
        device: String,
        unit: Option<u8>,
        address: u16,
        count: u16,
    ) -> wasmtime::Result<Result<Vec<u16>, wit::Error>> {
        self.read_registers(wit::Span { device, unit, table: wit::Table::HoldingRegisters, address, count }).await
    }

    async fn read_input_registers(
        &mut self,
        device: String,
        unit: Option<u8>,
        address: u16,
        count: u16,
    ) -> wasmtime::Result<Result<Vec<u16>, wit::Error>> {
        self.read_registers(wit::Span { device, unit, table: wit::Table::InputRegisters, address, count }).await
    }

    async fn read_many(&mut self, spans: Vec<wit::Span>) -> wasmtime::Result<Vec<Result<wit::Words, wit::Error>>> {
        self.read_spans(spans).await
    }
}

impl From<wit::Table> for Table {
    fn from(table: wit::Table) -> Self {
        match table {
            wit::Table::Coils => Self::Coils,
            wit::Table::DiscreteInputs => Self::DiscreteInputs,
            wit::Table::HoldingRegisters => Self::HoldingRegisters,
            wit::Table::InputRegisters => Self::InputRegisters,
        }
    }
}

impl From<Words> for wit::Words {
    fn from(words: Words) -> Self {
        match words {
            Words::Bits(bits) => Self::Bits(bits),
            Words::Registers(registers) => Self::Registers(registers),
        }
    }
}

impl From<ReadError> for wit::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Denied(_) => Self::Denied(error.to_string()),
            ReadError::Exception(code) => Self::Exception(code.0),
            ReadError::Timeout(_) | ReadError::Deadline => Self::Timeout,
            ReadError::Connection(what) | ReadError::Protocol(what) => Self::Connection(what),
            ReadError::NotSent(_) => Self::Other(error.to_string()),
        }
    }
}
