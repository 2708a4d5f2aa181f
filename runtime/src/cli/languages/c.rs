//! C: clang and a C library for WebAssembly; the project's Makefile has the command.

use std::path::Path;

use super::{Language, Tool, sdks, to_install};
use crate::cli::Failure;

pub(super) const LANGUAGE: Language = Language {
    name: "c",
    title: "C",
    parts: &[("", sdks::C), ("pattoo", sdks::C_SDK)],
    marker: "collector.c",
    test: "make test",
    build,
};

/// Installs all required packages on Debian.
const INSTALL: &str = "apt install make clang lld wasi-libc libclang-rt-dev-wasm32";

fn build(folder: &Path, output: &Path) -> Result<(), Failure> {
    Tool::new("wasm-ld", folder).args(["--version"]).output(INSTALL)?;
    let clang = |question: &str| Tool::new("clang", folder).args(["--target=wasm32-wasi", question]).output(INSTALL);
    for (question, package) in
        [("-print-file-name=libc.a", "wasi-libc"), ("-print-libgcc-file-name", "libclang-rt-dev-wasm32")]
    {
        // If clang does not find a file it prints its bare name, or where it should be.
        let found = clang(question)?;
        if !Path::new(&found).is_absolute() || !Path::new(&found).is_file() {
            return Err(to_install(format!("`{package}` is not installed"), INSTALL));
        }
    }
    let module = format!("MODULE={}", output.display());
    Tool::new("make", folder).args(["--always-make", "module", &module]).run(INSTALL)
}
