//! Reading typed values out of a tree whose form was checked.

use std::{cell::RefCell, fmt::Display, ops::Range, str::FromStr, sync::Arc};

use super::{
    form::{Form, Key},
    quantity::{Quantity, Unit},
    source::{Place, Problem, SourceFile},
    yaml::{Document, Entry, Node},
};
use crate::{pattoo::PollingInterval, text::one_line};

/// How much of a text of the file is shown in a message, in bytes.
const MAX_SHOWN: usize = 120;
/// How many problems of one file are kept. Nobody mends more before the next try.
const MAX_PROBLEMS: usize = 100;

/// What is wrong with a file, as it is found.
pub(super) struct Report {
    file: Arc<SourceFile>,
    problems: RefCell<Vec<Problem>>,
}

/// Something was wrong, and is in the report.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported;

/// The keys of one mapping, to be read.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    pub(super) report: &'a Report,
    form: &'a Form,
    node: &'a Node,
}

impl Report {
    pub(super) fn on(file: &Arc<SourceFile>) -> Self {
        Self { file: Arc::clone(file), problems: RefCell::default() }
    }

    /// Adds an error at a place.
    pub(super) fn error(&self, span: Range<usize>, what: String, help: String) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < MAX_PROBLEMS {
            problems.push(Problem::error(what, Place { file: Arc::clone(&self.file), span }, help));
        }
    }

    /// The line of a place.
    pub(super) fn line(&self, span: Range<usize>) -> usize {
        Place { file: Arc::clone(&self.file), span }.line_and_column().0
    }

    /// Adds what was found elsewhere.
    pub(super) fn add(&self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.borrow_mut().extend(problems);
    }

    /// Everything that was wrong.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A text of a file, as it is shown in a message.
pub(super) fn shown(text: &str) -> String {
    one_line(text, MAX_SHOWN)
}

/// Checks a file against its form and reads it.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(super) fn read<T>(
    file: &Arc<SourceFile>,
    document: &Document,
    form: &Form,
    read: impl FnOnce(Fields<'_>) -> Result<T, Reported>,
) -> Result<T, Vec<Problem>> {
    let report = Report::on(file);
    if !form.open {
        report.add(document.duplicates.iter().cloned());
    }
    form.check(&report, &document.root, None);
    let result = read(Fields { report: &report, form, node: &document.root });
    let problems = report.into_problems();
    match result {
        Ok(value) if problems.is_empty() => Ok(value),
        _ => Err(problems),
    }
}

/// All of a list, or that something in it was wrong; everything in it is looked at either way.
pub(super) fn all<T>(results: impl IntoIterator<Item = Result<T, Reported>>) -> Result<Vec<T>, Reported> {
    let mut values = Vec::new();
    let mut sound = true;
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(Reported) => sound = false,
        }
    }
    if sound { Ok(values) } else { Err(Reported) }
}

impl<'a> Fields<'a> {
    /// The fields of a mapping of another form below this one.
    pub(super) fn of(self, form: &'a Form, node: &'a Node) -> Self {
        Self { report: self.report, form, node }
    }

    /// The entry of a key; none if it is not there or has no value.
    pub(super) fn entry(self, name: &str) -> Option<&'a Entry> {
        self.node.entry(name).filter(|entry| !entry.node.is_null())
    }

    /// The value of a key; none if it is not there.
    pub(super) fn node(self, name: &str) -> Option<&'a Node> {
        self.entry(name).map(|entry| &entry.node)
    }

    /// The members of the list that a key holds; none if it is not there or is no list.
    pub(super) fn list(self, name: &str) -> &'a [Node] {
        self.node(name).and_then(Node::list).unwrap_or_default()
    }

    /// The entries of the mapping that a key holds; none if it is not there or is no mapping.
    pub(super) fn map(self, name: &str) -> &'a [Entry] {
        self.node(name).and_then(Node::map).unwrap_or_default()
    }

    /// Reports that a value is wrong, with the help of its key.
    pub(super) fn wrong(self, name: &str, node: &Node, what: impl Display) -> Reported {
        let help = self.form.key(name).map(Key::help).unwrap_or_default();
        self.report.error(node.span.clone(), what.to_string(), help);
        Reported
    }

    /// Reports that a value is wrong, with a help of its own.
    pub(super) fn wrong_with(self, node: &Node, what: impl Display, help: String) -> Reported {
        self.report.error(node.span.clone(), what.to_string(), help);
        Reported
    }

    /// Reports that a key which the operator chose is wrong.
    pub(super) fn wrong_key(self, entry: &Entry, what: impl Display, help: &str) -> Reported {
        self.report.error(entry.key_span.clone(), what.to_string(), help.to_owned());
        Reported
    }

    /// Reports that something is missing, at the first of these keys that is there.
    pub(super) fn missing(self, names: &[&str], what: &str, help: &str) -> Reported {
        let entry = names.iter().find_map(|name| self.node.entry(name));
        let span = entry.map_or(&self.node.span, |entry| &entry.key_span);
        self.report.error(span.clone(), what.to_owned(), help.to_owned());
        Reported
    }

    /// A value as the type that it stands for.
    pub(super) fn parse_node<T: FromStr<Err: Display>>(self, name: &str, node: &Node) -> Result<T, Reported> {
        // What is no text was reported when the form was checked.
        let text = node.text().ok_or(Reported)?;
        text.parse().map_err(|error| self.wrong(name, node, error))
    }

    /// The value of a key as the type that it stands for; none if it is not there.
    pub(super) fn optional<T: FromStr<Err: Display>>(self, name: &str) -> Result<Option<T>, Reported> {
        self.node(name).map(|node| self.parse_node(name, node)).transpose()
    }

    /// The same for a key that must be there.
    pub(super) fn required<T: FromStr<Err: Display>>(self, name: &str) -> Result<T, Reported> {
        self.optional(name)?.ok_or(Reported)
    }

    /// The value of a key that is a size, in bytes.
    pub(super) fn size(self, name: &str) -> Result<Option<u64>, Reported> {
        // What is no size, or out of range, was reported when the form was checked.
        self.node(name).map(|node| node.text().and_then(|text| Unit::Size.parse(text)).ok_or(Reported)).transpose()
    }

    /// The value of a key that is a whole number.
    pub(super) fn integer(self, name: &str) -> Result<Option<u64>, Reported> {
        // What is no number was reported when the form was checked.
        self.node(name).map(|node| node.text().and_then(|text| text.parse().ok()).ok_or(Reported)).transpose()
    }

    /// The value of a key that is a number of seconds.
    pub(super) fn interval(self, name: &str) -> Result<Option<PollingInterval>, Reported> {
        let seconds = self.integer(name)?.map(u32::try_from).transpose().map_err(|_| Reported)?;
        seconds.map(PollingInterval::from_seconds).transpose().map_err(|_| Reported)
    }

    /// The members of a list, each as the type that it stands for; none if the key is not there.
    pub(super) fn optional_list<T: FromStr<Err: Display>>(self, name: &str) -> Result<Option<Vec<T>>, Reported> {
        self.node(name)
            .map(|node| all(node.list().ok_or(Reported)?.iter().map(|node| self.parse_node(name, node))))
            .transpose()
    }

    /// Sets those quantities that are given.
    pub(super) fn quantities<T>(self, quantities: &[Quantity<T>], owner: &mut T) -> Result<(), Reported> {
        for quantity in quantities {
            if let Some(node) = self.node(quantity.name) {
                // What is not in its unit or out of range was reported when the form was checked.
                quantity.set(owner, node.text().ok_or(Reported)?).map_err(|_| Reported)?;
            }
        }
        Ok(())
    }
}
