//! WASI 0.1 for core modules: an adapter to what a component's world has.
//!
//! The module is `adapter.wat`, what it imports is `adapter.wit`. It is linked into every core module that imports WASI 0.1. Unlike
//! the general adapter, which has files and sockets to carry, it takes no memory of the module's: see the head of `adapter.wat`.

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const MODULE: &str = include_str!("adapter.wat");
const WORLD: &str = include_str!("adapter.wit");

/// The adapter with the description of its world, as the encoder wants it.
///
/// # Errors
///
/// Why its own source cannot be read, in words.
pub(super) fn adapter() -> Result<Vec<u8>, String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("adapter.wit", WORLD).map_err(|error| error.to_string())?;
    let world = resolve.select_world(&[package], Some("adapter")).map_err(|error| error.to_string())?;
    let mut module = wat::parse_str(MODULE).map_err(|error| error.to_string())?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(|error| error.to_string())?;
    Ok(module)
}
