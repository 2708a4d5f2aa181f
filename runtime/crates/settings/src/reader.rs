//! Reading typed values out of a tree whose form was checked.

use std::{fmt::Display, str::FromStr, sync::Arc};

use pattoo_base::invariant::{Invariant as _, broken};

use super::{
    form::{Form, Key},
    quantity::{Quantity, Unit},
    report::{Report, Reported},
    source::{Problem, SourceFile},
    yaml::{Document, Entry, Node},
};

/// The keys of one mapping, to be read.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    /// Where what is wrong is reported.
    pub report: &'a Report,
    form: &'a Form,
    node: &'a Node,
}

/// Checks a file against its form and reads it.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn read<T>(
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
        Ok(value) if problems.is_empty() => return Ok(value),
        Err(Reported) if problems.is_empty() => broken("what is wrong with a file was reported"),
        _ => {}
    }
    Err(problems)
}

/// All of a list, or that something in it was wrong; everything in it is looked at either way.
pub fn all<T>(results: impl IntoIterator<Item = Result<T, Reported>>) -> Result<Vec<T>, Reported> {
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
    #[must_use]
    pub fn of(self, form: &'a Form, node: &'a Node) -> Self {
        Self { report: self.report, form, node }
    }

    /// The entry of a key; none if it is not there or has no value.
    pub fn entry(self, name: &str) -> Option<&'a Entry> {
        let entry = self.form.key(name).map_or_else(|| self.node.entry(name), |key| key.entry(self.node));
        entry.filter(|entry| !entry.node.is_null())
    }

    /// The value of a key; none if it is not there.
    pub fn node(self, name: &str) -> Option<&'a Node> {
        self.entry(name).map(|entry| &entry.node)
    }

    /// The members of the list that a key holds; none if it is not there or is no list.
    pub fn list(self, name: &str) -> &'a [Node] {
        self.node(name).and_then(Node::list).unwrap_or_default()
    }

    /// The entries of the mapping that a key holds; none if it is not there or is no mapping.
    pub fn map(self, name: &str) -> &'a [Entry] {
        self.node(name).and_then(Node::map).unwrap_or_default()
    }

    /// Reports that a value is wrong, with the help of its key.
    pub fn wrong(self, name: &str, node: &Node, what: impl Display) -> Reported {
        let help = self.form.key(name).map(Key::help).or_broken("a key that is read is in its form", String::new());
        self.report.error(node.span.clone(), what.to_string(), help);
        Reported
    }

    /// Reports that a value is wrong, with a help of its own.
    pub fn wrong_with(self, node: &Node, what: impl Display, help: String) -> Reported {
        self.report.error(node.span.clone(), what.to_string(), help);
        Reported
    }

    /// Reports that a key which the operator chose is wrong.
    pub fn wrong_key(self, entry: &Entry, what: impl Display, help: &str) -> Reported {
        self.report.error(entry.key_span.clone(), what.to_string(), help.to_owned());
        Reported
    }

    /// Reports that something is missing, at the first of these keys that is there.
    pub fn missing(self, names: &[&str], what: &str, help: &str) -> Reported {
        let entry = names.iter().find_map(|name| self.node.entry(name));
        let span = entry.map_or(&self.node.span, |entry| &entry.key_span);
        self.report.error(span.clone(), what.to_owned(), help.to_owned());
        Reported
    }

    /// A value as the type that it stands for.
    pub fn parse_node<T: FromStr<Err: Display>>(self, name: &str, node: &Node) -> Result<T, Reported> {
        // What is no text was reported when the form was checked.
        let text = node.text().ok_or(Reported)?;
        text.parse().map_err(|error| self.wrong(name, node, error))
    }

    /// The value of a key as the type that it stands for; none if it is not there.
    pub fn optional<T: FromStr<Err: Display>>(self, name: &str) -> Result<Option<T>, Reported> {
        self.node(name).map(|node| self.parse_node(name, node)).transpose()
    }

    /// The same for a key that must be there.
    pub fn required<T: FromStr<Err: Display>>(self, name: &str) -> Result<T, Reported> {
        self.optional(name)?.ok_or(Reported)
    }

    /// The value of a key that is a size, in bytes.
    pub fn size(self, name: &str) -> Result<Option<u64>, Reported> {
        // What is no size, or out of range, was reported when the form was checked.
        self.node(name).map(|node| node.text().and_then(|text| Unit::Size.parse(text)).ok_or(Reported)).transpose()
    }

    /// The value of a key that is a whole number.
    pub fn integer(self, name: &str) -> Result<Option<u64>, Reported> {
        // What is no number was reported when the form was checked.
        self.node(name).map(|node| node.text().and_then(|text| text.parse().ok()).ok_or(Reported)).transpose()
    }

    /// The members of a list, each as the type that it stands for; none if the key is not there.
    pub fn optional_list<T: FromStr<Err: Display>>(self, name: &str) -> Result<Option<Vec<T>>, Reported> {
        self.node(name)
            .map(|node| all(node.list().ok_or(Reported)?.iter().map(|node| self.parse_node(name, node))))
            .transpose()
    }

    /// Sets those quantities that are given.
    pub fn quantities<T>(self, quantities: &[Quantity<T>], owner: &mut T) -> Result<(), Reported> {
        for quantity in quantities {
            if let Some(node) = self.node(quantity.name) {
                // What is not in its unit or out of range was reported when the form was checked.
                quantity.set(owner, node.text().ok_or(Reported)?).map_err(|_| Reported)?;
            }
        }
        Ok(())
    }
}
