//! JavaScript: npm calls the command of the SDK, which calls esbuild and the componentizer.

use std::path::Path;

use super::{Language, Tool, sdks, to_install};
use crate::cli::Failure;

pub(super) const LANGUAGE: Language = Language {
    name: "javascript",
    title: "JavaScript",
    parts: &[("", sdks::JAVASCRIPT), ("pattoo", sdks::JAVASCRIPT_SDK)],
    marker: "collector.js",
    test: "npm install && npm test",
    build: |folder, output| build(folder, output, &["pattoo", "esbuild"]),
};

/// The first version that the SDK and the tools support.
const OLDEST: u32 = 20;
const INSTALL: &str = "apt install nodejs npm (or Node.js 20 or later from another source)";

/// Runs the project's own `build` with npm, if these packages are installed.
pub(super) fn build(folder: &Path, output: &Path, packages: &[&str]) -> Result<(), Failure> {
    let version = Tool::new("node", folder).args(["--version"]).output(INSTALL)?;
    let major = version.strip_prefix('v').and_then(|rest| rest.split('.').next()?.parse().ok());
    if major.is_some_and(|major: u32| major < OLDEST) {
        return Err(to_install(format!("Node.js {version} is too old: v{OLDEST} or later is required"), INSTALL));
    }
    // Node also looks in the parent folders.
    let is_there = |package: &str| folder.ancestors().any(|above| above.join("node_modules").join(package).exists());
    if let Some(missing) = packages.iter().find(|package| !is_there(package)) {
        return Err(Failure::usage(format!("the package `{missing}` is not installed"))
            .help(format!("install what package.json names, in {}: npm install", folder.display())));
    }
    let arguments = ["--no-update-notifier", "run", "build", "--", "--output"];
    Tool::new("npm", folder).args(arguments).args([output]).run(INSTALL)
}
