//! Any bytes, as a module: they load or they do not, and what loads runs to an end.
#![no_main]

use std::{path::Path, sync::LazyLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use pattoo_fuzz::Machine;
use pattoo_sandbox::Module;

static MACHINE: LazyLock<Machine> = LazyLock::new(|| Machine::new(Duration::from_millis(50)));

fuzz_target!(
    init: { LazyLock::force(&MACHINE); },
    |bytes: &[u8]| {
        // The text format lets a line ask for gigabytes of data; the loader takes at most 64 MiB of file all the same.
        if let Ok(module) = Module::from_bytes(Path::new("fuzz.wasm"), bytes.to_vec()) {
            match MACHINE.sandbox.load(&module) {
                Ok(collector) => {
                    MACHINE.collect(&collector, "{}");
                }
                Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
            }
        }
    }
);
