//! Rust: cargo suffices.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Language, Tool, sdks};
use crate::cli::Failure;

pub(super) const LANGUAGE: Language = Language {
    name: "rust",
    title: "Rust",
    parts: &[
        ("", sdks::RUST),
        ("pattoo-guest", sdks::RUST_SDK_PAGE),
        ("pattoo-guest/src", sdks::RUST_SDK),
        ("pattoo-guest/wit", sdks::WIT),
    ],
    marker: "Cargo.toml",
    test: "cargo test",
    build,
};

const TARGET: &str = "wasm32-wasip2";
const RUSTUP: &str = "apt install rustup && rustup default stable";

fn build(folder: &Path, output: &Path) -> Result<(), Failure> {
    let cargo = || Tool::new("cargo", folder);
    let target_libraries = Tool::new("rustc", folder).args(["--print", "target-libdir", "--target", TARGET]);
    if !Path::new(&target_libraries.output(RUSTUP)?).is_dir() {
        return Err(Failure::usage(format!("Rust's libraries for {TARGET} are not installed"))
            .help(format!("install them: rustup target add {TARGET}")));
    }
    cargo().args(["build", "--release", "--target", TARGET]).run(RUSTUP)?;
    let metadata = cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output(RUSTUP)?;
    let Some((target, library)) = library(&metadata) else {
        return Err(Failure::usage(format!("{}: no library of type cdylib", folder.join("Cargo.toml").display()))
            .help("write under [lib]: crate-type = [\"cdylib\", \"rlib\"]"));
    };
    let built = Path::new(&target).join(TARGET).join("release").join(library).with_extension("wasm");
    fs::copy(&built, output)
        .map_err(|error| Failure::internal(format!("{} to {}: {error}", built.display(), output.display())))?;
    Ok(())
}

/// The folder that cargo builds into, and the name of the library that is a component.
fn library(metadata: &str) -> Option<(String, String)> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let is_component = |target: &&Value| {
        let types = target.get("crate_types").and_then(Value::as_array);
        types.is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
    };
    let packages = metadata.get("packages")?.as_array()?;
    let mut targets = packages.iter().filter_map(|package| package.get("targets")?.as_array()).flatten();
    let library = text(targets.find(is_component)?.get("name")?)?;
    Some((text(metadata.get("target_directory")?)?, library.replace('-', "_")))
}
