//! Random modules that may import what a collector may, and export what it must, so that many are
//! componentized and run.

use arbitrary::{Result, Unstructured};
use wasm_smith::Config;

/// Every function of the contract, as a core module imports it, one a line.
pub const WORLD: &str = include_str!("../../hostile/imports.wat");

/// What a collector exports. (Of `cabi_realloc` the host only asks when it has something to
/// return.)
const EXPORTS: &str = r#"(module
  (memory (export "memory") 1)
  (func (export "collect") (result i32) unreachable)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable))"#;

/// A module out of these bytes: the same bytes, the same module.
///
/// # Errors
///
/// When the bytes do not suffice.
pub fn module(bytes: &[u8]) -> Result<Vec<u8>> {
    let text = |text: &str| wat::parse_str(text).expect("it is WebAssembly");
    let mut bytes = Unstructured::new(bytes);
    let config = Config {
        available_imports: Some(text(&format!("(module {WORLD})"))),
        exports: Some(text(EXPORTS)),
        max_instructions: 40,
        max_funcs: 6,
        max_types: 20,
        max_globals: 5,
        max_data_segments: 3,
        max_element_segments: 3,
        max_imports: 10,
        max_memories: 0,
        max_memory32_bytes: 2 << 20,
        max_table_elements: 1000,
        gc_enabled: false,
        exceptions_enabled: false,
        memory64_enabled: false,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    Ok(wasm_smith::Module::new(config, &mut bytes)?.to_bytes())
}
