//! C: Debian's clang and its C library for WebAssembly. The SDK is compiled together with each collector.

use std::process::Command;

use super::{Collector, Language, Tool};
use crate::tools::{self, Debian};

pub(super) const LANGUAGE: Language =
    Language { name: "c", collectors: &["station/c"], inputs: &["guest-sdk/c"], tools: &CLANG, build };

/// What compiles C for WebAssembly.
pub(super) const CLANG: [Tool; 4] = [
    Tool::Debian(Debian { shown_by: "clang", package: "clang" }),
    Tool::Debian(Debian { shown_by: "wasm-ld", package: "lld" }),
    Tool::Debian(Debian { shown_by: "/usr/include/wasm32-wasi/stdio.h", package: "wasi-libc" }),
    Tool::Debian(Debian {
        shown_by: "test -e \"$(clang --target=wasm32-wasi -print-libgcc-file-name)\"",
        package: "libclang-rt-dev-wasm32",
    }),
];

/// The files of the SDK.
pub(super) const SOURCES: [&str; 4] = ["pattoo.c", "pattoo_decode.c", "pattoo_json.c", "cJSON.c"];
/// What every compilation gets.
pub(super) const FLAGS: [&str; 5] = ["--target=wasm32-wasi", "-Os", "-Wall", "-Wextra", "-Werror"];
/// How a collector is linked: without names, and with the stack where it cannot run into data.
pub(super) const LINK: [&str; 2] = ["-mexec-model=reactor", "-Wl,--strip-all,--stack-first,-z,stack-size=262144"];

/// As `docs/guests/c.md` says.
fn build(collector: &Collector) -> Vec<Command> {
    let sdk = tools::root().join("guest-sdk/c");
    let mut clang = tools::program("clang".as_ref());
    clang
        .args(FLAGS)
        .args(LINK)
        .arg("-I")
        .arg(&sdk)
        .arg(collector.source.join("station.c"))
        .args(SOURCES.map(|file| sdk.join(file)))
        .arg("-o")
        .arg(&collector.output);
    vec![clang]
}
