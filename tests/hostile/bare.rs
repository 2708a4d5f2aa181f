//! Guests on an engine without our controls: every import exists, and no argument is checked.

use wasmtime::{Config, Engine, Linker, Module, Store};

/// A stack that no guest's recursion exhausts.
const STACK: usize = 256 << 20;

/// Instantiates and calls a core module. Each imported function accepts any arguments, does nothing
/// and returns 0.
pub(crate) fn run(text: &str) -> Result<(), String> {
    let text = text.to_owned();
    let thread = std::thread::Builder::new().stack_size(STACK.saturating_mul(2));
    let running =
        thread.spawn(move || call(&text).map_err(|error| format!("{error:#}"))).map_err(|error| error.to_string())?;
    running.join().map_err(|_| "the engine panicked".to_owned())?
}

fn call(text: &str) -> wasmtime::Result<()> {
    let mut config = Config::new();
    config.max_wasm_stack(STACK).async_stack_size(STACK.saturating_add(1 << 20));
    let engine = Engine::new(&config)?;
    let module = Module::new(&engine, wat::parse_str(text)?)?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_default_values(&mut store, &module)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let collect = instance.get_typed_func::<(), i32>(&mut store, "collect")?;
    collect.call(&mut store, ())?;
    Ok(())
}

/// Whether an engine that offers everything would take this module.
pub(crate) fn is_valid_elsewhere(text: &str) -> Result<(), String> {
    let module = wat::parse_str(text).map_err(|error| error.to_string())?;
    let mut validator = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all());
    validator.validate_all(&module).map(drop).map_err(|error| error.to_string())
}
