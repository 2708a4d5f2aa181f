//! JavaScript: npm calls the kit's own command, which calls esbuild and what makes components.

use std::path::Path;

use super::{Language, Tool, kits, to_install};
use crate::cli::Failure;

pub(super) const LANGUAGE: Language = Language {
    name: "javascript",
    title: "JavaScript",
    parts: &[("", kits::JAVASCRIPT), ("pattoo", kits::JAVASCRIPT_KIT)],
    marker: "collector.js",
    test: "npm install && npm test",
    build: |folder, output| build(folder, output, &["pattoo", "esbuild"]),
};

/// The first version that has all that the kit and the tools ask for.
const OLDEST: u32 = 20;
const INSTALL: &str = "apt install nodejs npm (or Node.js 20 or later from wherever you like)";

/// Has npm run the project's own `build`, once these packages are there.
pub(super) fn build(folder: &Path, output: &Path, packages: &[&str]) -> Result<(), Failure> {
    let version = Tool::new("node", folder).args(["--version"]).output(INSTALL)?;
    let major = version.strip_prefix('v').and_then(|rest| rest.split('.').next()?.parse().ok());
    if major.is_some_and(|major: u32| major < OLDEST) {
        return Err(to_install(format!("Node.js {version} is too old: it takes v{OLDEST} or later"), INSTALL));
    }
    // Node looks in the folders above, too.
    let is_there = |package: &str| folder.ancestors().any(|above| above.join("node_modules").join(package).exists());
    if let Some(missing) = packages.iter().find(|package| !is_there(package)) {
        return Err(Failure::usage(format!("the package `{missing}` is not installed"))
            .help(format!("install what package.json names, in {}: npm install", folder.display())));
    }
    let arguments = ["--no-update-notifier", "run", "build", "--", "--output"];
    Tool::new("npm", folder).args(arguments).args([output]).run(INSTALL)
}
