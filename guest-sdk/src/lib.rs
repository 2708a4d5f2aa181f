#![doc = include_str!("../README.md")]
//!
//! # Where things are
//!
//! | what | where |
//! |---|---|
//! | hand over measurements | [`target`], [`Target`], [`Datapoint`], [`Value`] |
//! | read devices | [`modbus`], and [`decode`] for what lies across several registers |
//! | fetch from the web | [`http`] |
//! | what the operator set | [`settings`], [`agent`] |
//! | fail | [`Error`], [`Result`], [`Context`] |
//! | tell the operator something | [`info!`], [`warn!`](crate::warn!) and their kind in [`log`] |
//! | measure time | [`clock`] |
//! | remember something until the next collection | [`state`] |
//! | test all of that | `testing`, which exists on the host only |
//!
//! Every module is a thin layer over the interface of the same name in the contract (`wit/`, package `pattoo:agent`),
//! and a guest imports only the interfaces it calls.

pub mod agent;
pub mod clock;
pub mod datapoints;
pub mod decode;
mod error;
pub mod http;
pub mod log;
pub mod modbus;
pub mod state;

pub use agent::settings;
pub use datapoints::{Datapoint, Target, Value, target};
pub use error::{Context, Error, Result};

// Under wasm the modules above call the runtime, on any other target a fake of it that tests control.
#[cfg(target_family = "wasm")]
mod host;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
#[cfg(not(target_family = "wasm"))]
use testing::host;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::arithmetic_side_effects,
    clippy::allow_attributes_without_reason,
    reason = "generated from wit/"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "collector",
        pub_export_macro: true,
        default_bindings_module: "pattoo_guest::bindings",
    });
}

/// Makes a function the one that the runtime calls for each collection.
///
/// The function is a `fn() -> pattoo_guest::Result`. It may be private, have any name, and live in any module; a guest
/// has exactly one `collector!`. An error that it returns is logged for the operator and counts as a failed collection;
/// what was emitted before it is kept.
///
/// ```
/// fn collect() -> pattoo_guest::Result {
///     pattoo_guest::target("SITE_A").emit("ABC", 123.456)?;
///     Ok(())
/// }
///
/// pattoo_guest::collector!(collect);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! collector {
    ($collect:path) => {
        const _: () = {
            const COLLECT: fn() -> $crate::Result = $collect;
            $crate::__export!(COLLECT);
        };
    };
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($collect:ident) => {
        struct Collector;

        impl $crate::bindings::Guest for Collector {
            fn collect() -> ::core::result::Result<(), ::std::string::String> {
                $collect().map_err(|error| ::std::string::ToString::to_string(&error))
            }
        }

        $crate::bindings::export!(Collector with_types_in $crate::bindings);
    };
}

// On the host nothing is exported; naming the function keeps it from being reported as unused.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($collect:ident) => {
        const _: fn() -> $crate::Result = $collect;
    };
}
