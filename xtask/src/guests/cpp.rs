//! C++: the same clang with its C++ library, and the SDK for C below that for C++.

use std::process::Command;

use super::{
    Collector, Language, Tool,
    c::{CLANG, FLAGS, LINK, SOURCES},
};
use crate::tools::{self, Debian};

pub(super) const LANGUAGE: Language =
    Language { name: "cpp", collectors: &["station/cpp"], inputs: &["guest-sdk/c"], tools: &TOOLS, build };

const TOOLS: [Tool; 6] = {
    let [clang, linker, library, builtins] = CLANG;
    let headers = Debian {
        shown_by: "printf '#include <vector>' | clang++ --target=wasm32-wasi -fsyntax-only -x c++ -",
        package: "libc++-dev-wasm32",
    };
    let runtime = Debian { shown_by: "/usr/lib/wasm32-wasi/libc++abi.a", package: "libc++abi-14-dev-wasm32" };
    [clang, linker, library, builtins, Tool::Debian(headers), Tool::Debian(runtime)]
};

/// As `docs/guests/cpp.md` says.
fn build(collector: &Collector) -> Vec<Command> {
    let sdk = tools::root().join("guest-sdk/c");
    let objects = tools::target().join("tools/cpp");
    let mut folder = Command::new("mkdir");
    folder.arg("-p").arg(&objects);
    let mut sdk_objects = Command::new("clang");
    sdk_objects.current_dir(&objects).args(FLAGS).arg("-c").args(SOURCES.map(|file| sdk.join(file)));
    let mut link = Command::new("clang++");
    link.current_dir(&objects).args(FLAGS).args(LINK).args(["-std=c++20", "-fno-exceptions"]);
    link.arg("-I").arg(&sdk);
    link.arg(collector.source.join("station.cpp")).args(SOURCES.map(|file| file.replace(".c", ".o")));
    link.arg("-o").arg(&collector.output);
    vec![folder, sdk_objects, link]
}
