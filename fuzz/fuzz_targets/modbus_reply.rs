//! What a device answers: a reply is taken only as what was asked for, and as much.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pattoo_modbus::{Deviation, LineMode, MAX_BITS, MAX_REGISTERS, Span, Table, Words};
use pattoo_wasm::fuzzing::modbus_reply;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    runtime::Runtime,
};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"));

fuzz_target!(|bytes: &[u8]| {
    let [kind, count, unit, reply @ ..] = bytes else { return };
    let table = match kind & 3 {
        0 => Table::Coils,
        1 => Table::DiscreteInputs,
        2 => Table::HoldingRegisters,
        _ => Table::InputRegisters,
    };
    let maximum = if table.is_bits() { MAX_BITS } else { MAX_REGISTERS };
    let count = u16::from(*count) % maximum + 1;
    let Ok(span) = Span::new(*unit, table, 7, count) else { return };
    let line = match kind & 12 {
        4 => Some(LineMode::Rtu),
        8 => Some(LineMode::Ascii),
        _ => None,
    };
    let deviations = Deviation::ALL.into_iter().enumerate();
    let tolerance =
        deviations.filter(|(place, _)| kind >> (place + 4) & 1 == 1).map(|(_, deviation)| deviation).collect();
    let reply = reply.to_vec();
    let answer = RUNTIME.block_on(async move {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        let device = async move {
            let mut request = [0; 17];
            let length = match line {
                None => 12,
                Some(LineMode::Rtu) => 8,
                Some(LineMode::Ascii) => 17,
            };
            theirs.read_exact(&mut request[..length]).await.expect("a request");
            theirs.write_all(&reply).await.ok();
        };
        tokio::join!(modbus_reply(ours, line, tolerance, span), device).0
    });
    match answer {
        Ok(Ok(Words::Bits(bits))) => assert!(table.is_bits() && bits.len() == usize::from(count)),
        Ok(Ok(Words::Registers(registers))) => assert!(!table.is_bits() && registers.len() == usize::from(count)),
        Ok(Err(_)) => {}
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
