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

/// As `docs/guests/c.md` says.
fn build(collector: &Collector) -> Vec<Command> {
    let sdk = tools::root().join("guest-sdk/c");
    let sources = ["pattoo.c", "pattoo_decode.c", "pattoo_json.c", "cJSON.c"].map(|file| sdk.join(file));
    let mut clang = tools::program("clang".as_ref());
    clang
        .args(["--target=wasm32-wasi", "-mexec-model=reactor", "-Os", "-Wall", "-Wextra", "-Werror"])
        .arg("-Wl,--strip-all,--stack-first,-z,stack-size=262144")
        .arg("-I")
        .arg(&sdk)
        .arg(collector.source.join("station.c"))
        .args(sources)
        .arg("-o")
        .arg(&collector.output);
    vec![clang]
}
