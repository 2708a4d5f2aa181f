//! `cargo xtask guests`: the collectors of this repository, each built with its language's own tools into `target/guests`.
//!
//! A language is a file here and a line in [`LANGUAGES`]. What is there already and newer than what it is made of is not
//! built again.

mod assemblyscript;
mod c;
mod cpp;
mod go;
mod javascript;
mod python;
mod rust;
mod zig;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use crate::{
    result::Result,
    steps::Steps,
    tools::{self, Debian},
};

/// All languages, in the order in which they are built.
const LANGUAGES: &[Language] = &[
    rust::LANGUAGE,
    c::LANGUAGE,
    cpp::LANGUAGE,
    zig::LANGUAGE,
    assemblyscript::LANGUAGE,
    go::LANGUAGE,
    python::LANGUAGE,
    javascript::LANGUAGE,
    javascript::FETCH,
];

/// A language that collectors are written in.
pub(crate) struct Language {
    /// As it is named on the command line.
    name: &'static str,
    /// The folders in `guests/` that are collectors in it. `station/c` becomes `target/guests/station-c.wasm`.
    collectors: &'static [&'static str],
    /// What they are made of beside the files of their folder: paths from the root of the repository.
    inputs: &'static [&'static str],
    /// What has to be there to build them.
    tools: &'static [Tool],
    /// The commands that build one, in their order. They run at the root of the repository.
    build: fn(&Collector) -> Vec<Command>,
}

/// What installs the packages that a lock file names.
const NPM: Tool = Tool::Debian(Debian { shown_by: "npm", package: "npm" });

/// Something that is needed to build a collector, and where it comes from.
#[derive(Clone, Copy)]
pub(crate) enum Tool {
    /// From the distribution.
    Debian(Debian),
    /// A package for pip with its version, such as `ziglang==0.17.1`, in the virtual environment [`tools::python_tools`].
    Python(&'static str),
    /// All that a lock file of npm names, in the folder [`locked_tools`]: the path of the folder that has the file.
    Locked(&'static str),
}

/// One collector on its way from a folder to a file.
pub(crate) struct Collector {
    /// The folder of its source.
    pub(crate) source: PathBuf,
    /// The file that shall be made.
    pub(crate) output: PathBuf,
}

/// The folder of the tools that a lock file in such a folder names, with `node_modules` in it.
pub(crate) fn locked_tools(folder: &str) -> PathBuf {
    tools::target().join("tools").join(Path::new(folder).file_name().unwrap_or_default())
}

/// Builds the collectors of the languages named, or of all. A language whose tools are unavailable is skipped.
pub(crate) fn build(steps: &mut Steps, only: &[&str]) -> Result<()> {
    if let Some(unknown) = only.iter().find(|name| LANGUAGES.iter().all(|language| language.name != **name)) {
        let names: Vec<_> = LANGUAGES.iter().map(|language| language.name).collect();
        return Err(format!("unknown language: `{unknown}`\nhelp: use one of {}", names.join(", ")));
    }
    fs::create_dir_all(tools::stations()).map_err(|error| format!("{}: {error}", tools::stations().display()))?;
    for language in LANGUAGES.iter().filter(|language| only.is_empty() || only.contains(&language.name)) {
        language.build(steps)?;
    }
    Ok(())
}

impl Language {
    fn build(&self, steps: &mut Steps) -> Result<()> {
        let collectors = self.collectors.iter().map(|folder| Collector::of(folder));
        let stale: Vec<Collector> = collectors.filter(|collector| self.is_stale(collector)).collect();
        if stale.is_empty() {
            return Ok(());
        }
        let what = format!("collectors in {}", self.name);
        for tool in self.tools {
            if let Err(why) = tool.install(steps) {
                // A module of an earlier source must not be tested as one of this source.
                for collector in &stale {
                    let _ = fs::remove_file(&collector.output);
                }
                return steps.skip(&what, &why);
            }
        }
        for collector in stale {
            for mut command in (self.build)(&collector) {
                steps.run(&format!("{what}: {}", collector.name()), &mut command)?;
            }
        }
        Ok(())
    }

    fn is_stale(&self, collector: &Collector) -> bool {
        let Some(built) = modified(&collector.output) else { return true };
        let inputs = self.inputs.iter().map(|input| tools::root().join(input));
        // The commands are an input, too. The rest of this program is not: it changes more often than a collector builds.
        let inputs = inputs.chain([collector.source.clone(), tools::root().join("xtask/src/guests")]);
        inputs.filter_map(|input| newest(&input)).any(|changed| changed > built)
    }
}

impl Collector {
    /// The one in this folder of `guests/`.
    fn of(path: &str) -> Self {
        let output = tools::stations().join(path.replace('/', "-")).with_extension("wasm");
        Self { source: tools::root().join("guests").join(path), output }
    }

    fn name(&self) -> String {
        self.output.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Tool {
    /// Installs the tool unless it is there; if it is unavailable, returns why.
    fn install(&self, steps: &mut Steps) -> Result<()> {
        match self {
            Self::Debian(needed) => tools::install_debian(steps, "tools of languages", &[*needed]),
            Self::Python(package) => tools::install_python_tool(steps, package),
            Self::Locked(folder) => {
                let (locked, place) = (tools::root().join(folder), locked_tools(folder));
                let same = |name: &str| fs::read(locked.join(name)).ok() == fs::read(place.join(name)).ok();
                if same("package-lock.json") && place.join("installed").exists() {
                    return Ok(());
                }
                fs::create_dir_all(&place).map_err(|error| format!("{}: {error}", place.display()))?;
                for name in ["package.json", "package-lock.json"] {
                    fs::copy(locked.join(name), place.join(name)).map_err(|error| format!("{name}: {error}"))?;
                }
                let mut npm = Command::new("npm");
                // Not `npm ci`, which insists on the packages of all platforms, also of those that nobody publishes.
                npm.args(["install", "--no-save", "--no-fund", "--no-audit", "--loglevel", "error"])
                    .current_dir(&place);
                steps.run(&format!("what {folder} names"), &mut npm)?;
                tools::leave(&place.join("installed"))
            }
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}

/// When a file, or anything below a folder, was changed last.
fn newest(path: &Path) -> Option<SystemTime> {
    let below = fs::read_dir(path).into_iter().flatten().flatten().filter_map(|entry| newest(&entry.path()));
    below.chain(modified(path)).max()
}
