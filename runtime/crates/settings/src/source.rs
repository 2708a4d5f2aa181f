//! Files that were read, places in them, and what is wrong there.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use pattoo_base::{files, text::one_line};

/// The largest configuration file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// A configuration file as it was read: what places in it refer to.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path, as it was found.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// A place in a file: bytes `span` of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<SourceFile>,
    /// Which bytes of its text; on character boundaries.
    pub span: Range<usize>,
}

/// How severe a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It will not work.
    Error,
    /// It may be meant so.
    Warning,
}

/// One problem: what is wrong, where, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence without its end.
    pub what: String,
    /// Where, if it is in a file that could be read.
    pub place: Option<Place>,
    /// How to fix it.
    pub help: String,
}

/// A configuration that cannot be used: everything that is wrong with it, in the order of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl SourceFile {
    /// Reads a regular file of UTF-8 text.
    ///
    /// # Errors
    ///
    /// What the system says; what is not a regular file, is too large or not UTF-8.
    pub fn read(path: &Path) -> std::io::Result<Arc<Self>> {
        Ok(Arc::new(Self { path: path.to_owned(), text: files::read_text(path, MAX_FILE)? }))
    }
}

impl Place {
    /// Line and column, both from 1, the column in characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = self.file.text.get(..self.span.start).unwrap_or(&self.file.text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        (line, column)
    }
}

impl fmt::Display for Place {
    /// `pattoo_wasm.yaml:12:7`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.line_and_column();
        write!(formatter, "{}:{line}:{column}", self.file.path.display())
    }
}

impl Problem {
    /// An error at a place.
    pub fn error(what: impl Into<String>, place: Place, help: impl Into<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), place: Some(place), help: help.into() }
    }

    /// An error that no place in a file can be named for, such as a file that is missing.
    pub fn without_place(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self { severity: Severity::Error, what: what.into(), place: None, help: help.into() }
    }

    /// Where it is in the order of all problems: those without a place first, then file by file.
    pub fn position(&self) -> Option<(&Path, usize)> {
        self.place.as_ref().map(|place| (place.file.path.as_path(), place.span.start))
    }

    /// The same as a warning.
    #[must_use]
    pub fn as_warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }
}

impl fmt::Display for Problem {
    /// On one line: `pattoo_wasm.yaml:12:7: what is wrong`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is wrong may be quoted, and a value of a file has as many lines as it likes.
        let what = one_line(&self.what, self.what.len());
        match &self.place {
            Some(place) => write!(formatter, "{place}: {what}"),
            None => formatter.write_str(&what),
        }
    }
}

impl ConfigError {
    /// All that is wrong.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Vec<Problem>> for ConfigError {
    /// Of at least one problem.
    fn from(mut problems: Vec<Problem>) -> Self {
        problems.sort_by(|one, other| one.position().cmp(&other.position()));
        // Several collectors may name a file that is wrong.
        problems.dedup();
        Self { problems }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigError {
    /// The problems, separated by `; `.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::Problem;

    #[test]
    fn a_problem_is_one_line_whatever_it_quotes() {
        let problem = Problem::without_place("`127\nERROR x\u{1b}[31m` is not the address of a server", "fix it");
        assert_eq!(problem.to_string(), r"`127\nERROR x\u{1b}[31m` is not the address of a server");
    }
}
