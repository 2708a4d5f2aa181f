//! The units of a device: from the bytes of a request to the bytes of a reply.
//!
//! The order of the checks is that of the specification (MODBUS Application Protocol V1.1b3, the
//! diagrams of sections 6.1 to 6.4): function, then count, then addresses.

use std::collections::BTreeMap;

use pattoo_base::invariant::Invariant as _;
use pattoo_modbus::{ExceptionCode, Table};
use serde::Deserialize;

use super::{
    fault::exception,
    file::table,
    value::{Bit, Moment, Register},
};

/// The four tables of a unit. An address without a value does not exist.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Unit {
    #[serde(deserialize_with = "table")]
    coils: BTreeMap<u16, Bit>,
    #[serde(deserialize_with = "table")]
    discrete: BTreeMap<u16, Bit>,
    #[serde(deserialize_with = "table")]
    holding: BTreeMap<u16, Register>,
    #[serde(deserialize_with = "table")]
    input: BTreeMap<u16, Register>,
}

/// What a device accepts at once.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct DeviceLimits {
    /// Registers of one request: 125 by the specification, and less in many devices.
    registers: u16,
    /// Bits of one request: 2000 by the specification.
    bits: u16,
    /// The exception for a request beyond these limits: 3 by the specification, 2 in some devices.
    #[serde(deserialize_with = "exception")]
    exception: ExceptionCode,
    /// Connections; a further one is closed as soon as it is accepted.
    pub(super) connections: usize,
}

impl Default for DeviceLimits {
    fn default() -> Self {
        Self {
            registers: Table::HoldingRegisters.maximum(),
            bits: Table::Coils.maximum(),
            exception: ExceptionCode::ILLEGAL_DATA_VALUE,
            connections: 64,
        }
    }
}

impl DeviceLimits {
    fn of(self, table: Table) -> u16 {
        let limit = match table {
            Table::Coils | Table::DiscreteInputs => self.bits,
            Table::HoldingRegisters | Table::InputRegisters => self.registers,
        };
        limit.min(table.maximum())
    }
}

/// The reply to a request's PDU (function code and data): again a PDU.
///
/// For a unit that does not exist the reply is exception 11, as that of a gateway. (Many devices do
/// not reply instead.)
pub(super) fn reply(
    units: &BTreeMap<u8, Unit>,
    limits: DeviceLimits,
    unit: u8,
    request: &[u8],
    moment: Moment,
) -> Vec<u8> {
    // The caller passes no empty PDU; there is no function 0.
    let function = request.first().copied().unwrap_or(0);
    let data = match units.get(&unit) {
        Some(found) => found.read(limits, unit, request, moment),
        None => Err(ExceptionCode::GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND),
    };
    match data {
        // At most 250 bytes, by the maxima of the tables.
        Ok(data) => {
            let length = u8::try_from(data.len()).or_broken("a reply has at most 250 bytes", u8::MAX);
            [&[function, length], data.as_slice()].concat()
        }
        Err(exception) => vec![function | 0x80, exception.0],
    }
}

impl Unit {
    fn read(&self, limits: DeviceLimits, unit: u8, request: &[u8], moment: Moment) -> Result<Vec<u8>, ExceptionCode> {
        let [function, data @ ..] = request else {
            return Err(ExceptionCode::ILLEGAL_FUNCTION);
        };
        let table = Table::from_function(*function).ok_or(ExceptionCode::ILLEGAL_FUNCTION)?;
        let &[address_high, address_low, count_high, count_low] = data else {
            return Err(ExceptionCode::ILLEGAL_DATA_VALUE);
        };
        let first = u16::from_be_bytes([address_high, address_low]);
        let count = u16::from_be_bytes([count_high, count_low]);
        if count == 0 || count > table.maximum() {
            return Err(ExceptionCode::ILLEGAL_DATA_VALUE);
        }
        if count > limits.of(table) {
            return Err(limits.exception);
        }
        match table {
            Table::Coils => bits(&self.coils, first, count, moment),
            Table::DiscreteInputs => bits(&self.discrete, first, count, moment),
            Table::HoldingRegisters => registers(&self.holding, first, count, moment, noise_seed(unit, table)),
            Table::InputRegisters => registers(&self.input, first, count, moment, noise_seed(unit, table)),
        }
    }
}

/// A number that is unique for the table of a unit. With an address it is unique for a register.
fn noise_seed(unit: u8, table: Table) -> u64 {
    u64::from(unit) << 24 | u64::from(table.function()) << 16
}

/// The `count` cells from `first` on, each with its address, or an exception if one of them does
/// not exist.
fn cells<T>(
    table: &BTreeMap<u16, T>,
    first: u16,
    count: u16,
) -> Result<impl Iterator<Item = (&u16, &T)>, ExceptionCode> {
    let last = first.checked_add(count.saturating_sub(1));
    let cells = last.map(|last| table.range(first..=last));
    match cells {
        Some(cells) if cells.clone().count() == usize::from(count) => Ok(cells),
        _ => Err(ExceptionCode::ILLEGAL_DATA_ADDRESS),
    }
}

fn registers(
    table: &BTreeMap<u16, Register>,
    first: u16,
    count: u16,
    moment: Moment,
    seed: u64,
) -> Result<Vec<u8>, ExceptionCode> {
    let cells = cells(table, first, count)?;
    Ok(cells.flat_map(|(address, register)| register.at(moment, seed | u64::from(*address)).to_be_bytes()).collect())
}

/// The first bit is the lowest of the first byte (V1.1b3, section 6.1).
fn bits(table: &BTreeMap<u16, Bit>, first: u16, count: u16, moment: Moment) -> Result<Vec<u8>, ExceptionCode> {
    let bits: Vec<_> = cells(table, first, count)?.map(|(_, bit)| bit.at(moment)).collect();
    let pack = |bits: &[bool]| bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
    Ok(bits.chunks(8).map(pack).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reply_to(request: &[u8]) -> Vec<u8> {
        let unit = "
            holding: { 0: [1, -2], 65535: 9 }
            coils: { 0: [true, false, true, true, false, false, false, false, true] }
        ";
        let units = BTreeMap::from([(1, serde_yaml::from_str(unit).unwrap())]);
        let moment = Moment { elapsed: Duration::ZERO, clock: Duration::ZERO };
        let (unit, request) = request.split_first().unwrap();
        reply(&units, DeviceLimits::default(), *unit, request, moment)
    }

    #[test]
    fn registers_are_sent_high_byte_first_and_bits_lowest_first() {
        assert_eq!(reply_to(&[1, 3, 0, 0, 0, 2]), [3, 4, 0, 1, 0xFF, 0xFE]);
        assert_eq!(reply_to(&[1, 1, 0, 0, 0, 9]), [1, 2, 0b1101, 1]);
        assert_eq!(reply_to(&[1, 1, 0, 1, 0, 3]), [1, 1, 0b110]);
    }

    #[test]
    fn invalid_requests_get_the_right_exception() {
        let cases: [(&[u8], u8, &str); 10] = [
            (&[1, 3, 0, 1, 0, 2], 2, "an address that does not exist among others"),
            (&[1, 3, 0xFF, 0xFF, 0, 1], 0, "the last address"),
            (&[1, 3, 0xFF, 0xFF, 0, 2], 2, "past the last address"),
            (&[1, 4, 0, 0, 0, 1], 2, "a table without values"),
            (&[1, 3, 0, 0, 0, 0], 3, "no registers at all"),
            (&[1, 3, 0, 0, 0, 126], 3, "more than 125 registers"),
            (&[1, 3, 0, 0, 0], 3, "a request that is too short"),
            (&[1, 6, 0, 0, 0, 7], 1, "a write"),
            (&[1], 1, "no function"),
            (&[2, 3, 0, 0, 0, 1], 0x0B, "another unit"),
        ];
        for (request, exception, what) in cases {
            let reply = reply_to(request);
            if exception == 0 {
                assert_eq!(reply, [3, 2, 0, 9], "{what}");
            } else {
                let function = request.get(1).copied().unwrap_or(0);
                assert_eq!(reply, [function | 0x80, exception], "{what}");
            }
        }
    }
}
