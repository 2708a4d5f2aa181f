//! Core modules: raw bytes, and modules that wasm-smith makes with our imports and exports. The result is a component or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pattoo_wasm::fuzzing::componentize;

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, rest)) = bytes.split_first() else { return };
    let module = if kind & 1 == 0 {
        [b"\0asm\x01\0\0\0", rest].concat()
    } else {
        let Ok(module) = smith::module(rest) else { return };
        module
    };
    match componentize(&module) {
        // Bytes 6 and 7: a component.
        Ok(component) => assert_eq!(component.get(6..8), Some(&[1, 0][..])),
        Err(error) => assert!(!error.contains('\n'), "{error}"),
    }
});
