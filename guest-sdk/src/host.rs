//! The runtime, as seen from inside the sandbox: each function calls the one of the same name in `wit/` and turns the plain
//! data of the contract into the types of this crate. Nothing is decided here.

use crate::bindings::pattoo::agent as wit;
use crate::datapoints::{Datapoint, EmitErrorKind, Reason, Rejection, Value};
use crate::http::{self, Request, Response};
use crate::log::Level;
use crate::modbus::{self, Exception, Granted, Span, Table, Words};
use crate::state;

pub(crate) use wit::agent::{collection_time, polling_interval, program, settings};
pub(crate) use wit::clock::{monotonic, now};
pub(crate) use wit::state::{get as state_get, keys as state_keys, remove as state_remove};

pub(crate) fn state_set(key: &str, value: &[u8]) -> Result<(), state::ErrorKind> {
    wit::state::set(key, value).map_err(|error| match error {
        wit::state::Error::Quota(text) => state::ErrorKind::Quota(text),
        wit::state::Error::Invalid(text) => state::ErrorKind::Invalid(text),
        wit::state::Error::Other(text) => state::ErrorKind::Other(text),
    })
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => wit::log::Level::Trace,
        Level::Debug => wit::log::Level::Debug,
        Level::Info => wit::log::Level::Info,
        Level::Warn => wit::log::Level::Warn,
        Level::Error => wit::log::Level::Error,
    };
    wit::log::log(level, message);
}

pub(crate) fn emit(target: &str, datapoints: Vec<Datapoint>) -> Result<Vec<Rejection>, EmitErrorKind> {
    let datapoints: Vec<_> = datapoints.into_iter().map(lower_datapoint).collect();
    let rejections = wit::datapoints::emit(target, &datapoints).map_err(|error| match error {
        wit::datapoints::Error::Target(text) => EmitErrorKind::Target(text),
        wit::datapoints::Error::Quota(text) => EmitErrorKind::Quota(text),
        wit::datapoints::Error::Other(text) => EmitErrorKind::Other(text),
    })?;
    let key_of = |index: usize| datapoints.get(index).map(|datapoint| datapoint.key.clone()).unwrap_or_default();
    Ok(rejections
        .into_iter()
        .map(|rejection| {
            let index = rejection.index as usize;
            Rejection { index, key: key_of(index), reason: lift_reason(rejection.reason) }
        })
        .collect())
}

fn lower_datapoint(datapoint: Datapoint) -> wit::types::Datapoint {
    let metadata = datapoint.metadata.into_iter().map(|metadatum| wit::types::Metadatum {
        key: metadatum.key,
        value: metadatum.value,
        identifying: metadatum.identifying,
    });
    wit::types::Datapoint {
        key: datapoint.key,
        value: match datapoint.value {
            Value::Integer(value) => wit::types::Value::Integer(value),
            Value::Scaled(value) => wit::types::Value::Scaled(value),
            Value::Float(value) => wit::types::Value::Float(value),
            Value::Counter32(value) => wit::types::Value::Counter32(value),
            Value::Counter64(value) => wit::types::Value::Counter64(value),
            Value::Text(value) => wit::types::Value::Text(value),
        },
        timestamp: datapoint.timestamp.map(crate::clock::Timestamp::unix_millis),
        metadata: metadata.collect(),
    }
}

fn lift_reason(reason: wit::datapoints::Reason) -> Reason {
    match reason {
        wit::datapoints::Reason::Key(text) => Reason::Key(text),
        wit::datapoints::Reason::Value(text) => Reason::Value(text),
        wit::datapoints::Reason::Metadata(text) => Reason::Metadata(text),
        wit::datapoints::Reason::Timestamp(text) => Reason::Timestamp(text),
        wit::datapoints::Reason::Duplicate => Reason::Duplicate,
        wit::datapoints::Reason::Other(text) => Reason::Other(text),
    }
}

pub(crate) fn devices() -> Vec<Granted> {
    let lift = |device: wit::modbus::Device| Granted { name: device.name, units: device.units };
    wit::modbus::devices().into_iter().map(lift).collect()
}

pub(crate) fn read_coils(span: &Span) -> Result<Vec<bool>, modbus::ErrorKind> {
    wit::modbus::read_coils(&span.device, span.unit, span.address, span.count).map_err(lift_modbus_error)
}

pub(crate) fn read_discrete_inputs(span: &Span) -> Result<Vec<bool>, modbus::ErrorKind> {
    wit::modbus::read_discrete_inputs(&span.device, span.unit, span.address, span.count).map_err(lift_modbus_error)
}

pub(crate) fn read_holding_registers(span: &Span) -> Result<Vec<u16>, modbus::ErrorKind> {
    wit::modbus::read_holding_registers(&span.device, span.unit, span.address, span.count).map_err(lift_modbus_error)
}

pub(crate) fn read_input_registers(span: &Span) -> Result<Vec<u16>, modbus::ErrorKind> {
    wit::modbus::read_input_registers(&span.device, span.unit, span.address, span.count).map_err(lift_modbus_error)
}

pub(crate) fn read_many(spans: &[Span]) -> Vec<Result<Words, modbus::ErrorKind>> {
    let spans: Vec<_> = spans
        .iter()
        .map(|span| wit::modbus::Span {
            device: span.device.clone(),
            unit: span.unit,
            table: match span.table {
                Table::Coils => wit::modbus::Table::Coils,
                Table::Discrete => wit::modbus::Table::DiscreteInputs,
                Table::Holding => wit::modbus::Table::HoldingRegisters,
                Table::Input => wit::modbus::Table::InputRegisters,
            },
            address: span.address,
            count: span.count,
        })
        .collect();
    let lift = |result: Result<wit::modbus::Words, wit::modbus::Error>| match result {
        Ok(wit::modbus::Words::Bits(bits)) => Ok(Words::Bits(bits)),
        Ok(wit::modbus::Words::Registers(registers)) => Ok(Words::Registers(registers)),
        Err(error) => Err(lift_modbus_error(error)),
    };
    wit::modbus::read_many(&spans).into_iter().map(lift).collect()
}

fn lift_modbus_error(error: wit::modbus::Error) -> modbus::ErrorKind {
    match error {
        wit::modbus::Error::Denied(text) => modbus::ErrorKind::Denied(text),
        wit::modbus::Error::UnknownDevice => modbus::ErrorKind::UnknownDevice,
        wit::modbus::Error::Exception(code) => modbus::ErrorKind::Exception(Exception(code)),
        wit::modbus::Error::Timeout => modbus::ErrorKind::Timeout,
        wit::modbus::Error::Connection(text) => modbus::ErrorKind::Connection(text),
        wit::modbus::Error::Invalid(text) => modbus::ErrorKind::Invalid(text),
        wit::modbus::Error::Quota(text) => modbus::ErrorKind::Quota(text),
        wit::modbus::Error::Other(text) => modbus::ErrorKind::Other(text),
    }
}

pub(crate) fn fetch(request: &Request) -> Result<Response, http::ErrorKind> {
    lift_response(wit::http::fetch(&lower_request(request)))
}

pub(crate) fn fetch_all(requests: &[Request]) -> Vec<Result<Response, http::ErrorKind>> {
    let requests: Vec<_> = requests.iter().map(lower_request).collect();
    wit::http::fetch_all(&requests).into_iter().map(lift_response).collect()
}

fn lower_request(request: &Request) -> wit::http::Request {
    let headers =
        request.headers.iter().map(|(name, value)| wit::http::Header { name: name.clone(), value: value.clone() });
    wit::http::Request {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: headers.collect(),
        body: request.body.clone(),
        // Rounded up, so that a part of a millisecond is not no time at all.
        timeout_ms: request.timeout.map(|timeout| timeout.as_micros().div_ceil(1000).try_into().unwrap_or(u32::MAX)),
    }
}

fn lift_response(result: Result<wit::http::Response, wit::http::Error>) -> Result<Response, http::ErrorKind> {
    match result {
        Ok(response) => {
            let headers = response.headers.into_iter().map(|header| (header.name, header.value)).collect();
            Ok(Response::from_parts(response.status, headers, response.body))
        }
        Err(error) => Err(match error {
            wit::http::Error::Denied(text) => http::ErrorKind::Denied(text),
            wit::http::Error::Invalid(text) => http::ErrorKind::Invalid(text),
            wit::http::Error::Timeout => http::ErrorKind::Timeout,
            wit::http::Error::Connection(text) => http::ErrorKind::Connection(text),
            wit::http::Error::Tls(text) => http::ErrorKind::Tls(text),
            wit::http::Error::TooLarge(limit) => http::ErrorKind::TooLarge(limit),
            wit::http::Error::Redirects(limit) => http::ErrorKind::Redirects(limit),
            wit::http::Error::Quota(text) => http::ErrorKind::Quota(text),
            wit::http::Error::Other(text) => http::ErrorKind::Other(text),
        }),
    }
}
