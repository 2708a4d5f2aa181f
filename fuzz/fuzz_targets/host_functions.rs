//! A guest whose calls of host functions, their arguments and its memory come from the input.
#![no_main]

use std::{path::Path, sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use pattoo_fuzz::{Machine, interpreter};
use pattoo_sandbox::{Collector, Module};

static MACHINE: LazyLock<Machine> = LazyLock::new(|| Machine::new(Duration::from_millis(200)));
static GUEST: LazyLock<Collector> = LazyLock::new(|| {
    let module =
        Module::from_bytes(Path::new("interpreter.wat"), interpreter().into_bytes()).expect("it is WebAssembly");
    MACHINE.sandbox.load(&module).unwrap_or_else(|error| panic!("{error}"))
});

fuzz_target!(
    init: { LazyLock::force(&GUEST); },
    |bytes: &[u8]| {
        // Settings are text: a byte of the input is two letters.
        let settings: String = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|half| char::from(b'a' + half)).collect();
        MACHINE.collect(&GUEST, &settings);
    }
);
