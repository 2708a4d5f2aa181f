//! The collectors of `guests/station`: the same one in every language.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{ReadyLine, Running, from_xtask, peer, python};

/// All of them, by the names of their folders.
pub const STATIONS: &[&str] =
    &["rust", "c", "cpp", "zig", "assemblyscript", "go", "python", "javascript", "typescript", "javascript-fetch"];

/// The folder of the built stations.
pub fn station_folder() -> PathBuf {
    from_xtask("PATTOO_STATIONS")
}

/// The station in a language, if it was built.
pub fn station(language: &str) -> Option<PathBuf> {
    let path = station_folder().join(format!("station-{language}.wasm"));
    path.exists().then_some(path)
}

/// A web site with the files in `folder` for clients that accept JSON; others get status 406.
pub fn weather_site(folder: &Path) -> Running {
    let mut command = Command::new(python());
    command.arg(peer("weather_site.py")).arg(folder);
    Running::start(&mut command, ReadyLine::OnStdout, |line| {
        line.split_once("(http://")?.1.split('/').next()?.parse().ok()
    })
}

/// A command of the tools installed with pip, such as `go`. Where it is missing, its language was
/// skipped.
pub fn python_tool(name: &str) -> Option<PathBuf> {
    let path = station_folder().join("../tools/python/bin").join(name);
    path.exists().then_some(path)
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
