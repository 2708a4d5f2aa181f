//! The languages of `new` and `build`, a file for each.

mod c;
mod go;
mod javascript;
mod python;
mod rust;
mod sdks;
mod typescript;

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::Failure;

/// Paths and the texts of their files.
pub(super) type Files = &'static [(&'static str, &'static str)];

/// A language with an SDK.
#[derive(Debug)]
pub(super) struct Language {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// Its name in messages.
    pub(super) title: &'static str,
    /// The files of a new project, by the folder that they go to.
    pub(super) parts: &'static [(&'static str, Files)],
    /// The file by which a project in this language is recognised.
    pub(super) marker: &'static str,
    /// The command that runs the tests of a project.
    pub(super) test: &'static str,
    /// Builds the project in a folder, and writes the module to a path.
    pub(super) build: fn(folder: &Path, output: &Path) -> Result<(), Failure>,
}

/// All of them.
pub(super) const LANGUAGES: &[&Language] =
    &[&rust::LANGUAGE, &python::LANGUAGE, &c::LANGUAGE, &go::LANGUAGE, &javascript::LANGUAGE, &typescript::LANGUAGE];

impl Language {
    /// The language with this name.
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| language.name == name).copied()
    }

    /// The language of the project in a folder.
    pub(super) fn of(folder: &Path) -> Option<&'static Self> {
        LANGUAGES.iter().find(|language| folder.join(language.marker).is_file()).copied()
    }
}

/// The failure for a tool that is missing or too old, with the command that installs it.
fn to_install(what: String, install: impl fmt::Display) -> Failure {
    Failure::usage(what).help(format!("install it: {install}"))
}

/// A command of a language's tools that is being put together.
struct Tool {
    program: PathBuf,
    command: Command,
    /// The command as a person would type it.
    shown: String,
}

impl Tool {
    fn new(program: impl Into<PathBuf>, folder: &Path) -> Self {
        let program = program.into();
        let mut command = Command::new(&program);
        command.current_dir(folder).stdin(Stdio::null());
        Self { shown: program.display().to_string(), command, program }
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self.shown = format!("{name}={value} {}", self.shown);
        self
    }

    fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        for argument in arguments {
            let argument = argument.as_ref();
            let text = argument.to_string_lossy();
            self.shown.push(' ');
            let plain = |character: char| character.is_ascii_alphanumeric() || "-_=./+:@,".contains(character);
            if !text.is_empty() && text.chars().all(plain) {
                self.shown.push_str(&text);
            } else {
                self.shown.extend(["'", &text, "'"]);
            }
            self.command.arg(argument);
        }
        self
    }

    /// Runs the command and shows its output. If there is no such program, the help of the failure
    /// says how to install it.
    fn run(mut self, install: impl fmt::Display) -> Result<(), Failure> {
        tracing::info!("{}", self.shown);
        let status = self.command.status().map_err(|error| self.missing(&error, install))?;
        if status.success() {
            Ok(())
        } else {
            Err(Failure::usage(format!("`{}` failed ({status})", self.shown)).help("correct what it reports above"))
        }
    }

    /// Runs the command silently and returns its output.
    fn output(mut self, install: impl fmt::Display) -> Result<String, Failure> {
        let output = self.command.stderr(Stdio::piped()).output().map_err(|error| self.missing(&error, install))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Failure::usage(format!("`{}` failed ({}): {said}", self.shown, output.status)))
        }
    }

    fn missing(&self, error: &std::io::Error, install: impl fmt::Display) -> Failure {
        let name = self.program.display();
        if error.kind() == std::io::ErrorKind::NotFound {
            to_install(format!("`{name}` is not installed"), install)
        } else {
            Failure::internal(format!("{name}: {error}"))
        }
    }
}
