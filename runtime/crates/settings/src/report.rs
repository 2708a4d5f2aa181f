//! What is wrong with a file, collected while it is read.

use std::{cell::RefCell, ops::Range, sync::Arc};

use pattoo_base::text::one_line;

use super::source::{Place, Problem, SourceFile};

/// How much of a text of the file is shown in a message, in bytes.
const MAX_SHOWN: usize = 120;
/// How many problems of one file are kept; nobody fixes more before the next try.
const MAX_PROBLEMS: usize = 100;

/// What is wrong with a file, as it is found.
pub struct Report {
    file: Arc<SourceFile>,
    problems: RefCell<Vec<Problem>>,
}

/// Something was wrong, and is in the report.
#[derive(Debug, Clone, Copy)]
pub struct Reported;

impl Report {
    /// An empty report on a file.
    pub fn on(file: &Arc<SourceFile>) -> Self {
        Self { file: Arc::clone(file), problems: RefCell::default() }
    }

    /// Adds an error at a place.
    pub fn error(&self, span: Range<usize>, what: String, help: String) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_PROBLEMS {
            problems.push(Problem::error(what, Place { file: Arc::clone(&self.file), span }, help));
        }
    }

    /// The line of a place.
    pub fn line(&self, span: Range<usize>) -> usize {
        Place { file: Arc::clone(&self.file), span }.line_and_column().0
    }

    /// Adds what was found elsewhere.
    pub fn add(&self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// Everything that was wrong.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A text of a file, as it is shown in a message.
pub fn shown(text: &str) -> String {
    one_line(text, MAX_SHOWN)
}
