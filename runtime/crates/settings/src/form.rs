//! What may stand in a file: forms of keys, and the check that a tree has the right form.
//!
//! A form says of each key what it holds, what it is for, its default and an example. From the same forms come the reading, the help in every
//! message, the schema for editors, the tables of the reference page and the effective settings.

use std::borrow::Cow;

use super::{
    quantity::{Quantity, Unit},
    report::{Report, shown},
    yaml::{Entry, Node},
};

/// A mapping with known keys.
pub struct Form {
    /// What it describes: `a collector`.
    pub what: &'static str,
    /// The keys that may stand in it.
    pub keys: Vec<Key>,
    /// Whether other keys may stand beside them: they are other programs'.
    pub open: bool,
    /// Whether exactly one of the keys is given.
    pub one_of: bool,
    /// If there are some, the value of the first key says which of these forms it has beside that key.
    pub variants: &'static [Variant],
}

/// One of the forms that a mapping can have, by the value of one of its keys.
pub struct Variant {
    /// The value.
    pub name: &'static str,
    /// The form, without that key.
    pub form: fn() -> Form,
}

/// A key of a form.
#[derive(Clone)]
pub struct Key {
    /// As it is written in a file.
    pub name: &'static str,
    /// Previous names. A file may use them; help, schema and suggestions do not.
    pub aliases: &'static [&'static str],
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What holds without it, as it is written in a file; empty if that cannot be written so.
    pub default: Cow<'static, str>,
    /// What it is for: the end of a sentence that begins with the key.
    pub doc: &'static str,
    /// A value, as it is written in a file.
    pub example: Cow<'static, str>,
}

/// What a key holds.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A text, or anything that is written like one.
    Text,
    /// The path of a file, relative to the file that names it.
    Path,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// A whole number in this range.
    Integer(u64, u64),
    /// A number with its unit in this range.
    Quantity(Unit, u64, u64),
    /// `true` or `false`.
    Flag,
    /// An address, or a range of them: `5`, `"0-99"`.
    Addresses,
    /// Any mapping, which is handed on as JSON.
    Object,
    /// A list.
    List(&'static Kind),
    /// A mapping with known keys.
    Form(fn() -> Form),
    /// A mapping of names, which the operator chooses, to mappings with known keys.
    Named(fn() -> Form),
}

impl Key {
    /// A key that may be left out.
    pub fn new(name: &'static str, kind: Kind, doc: &'static str, example: &'static str) -> Self {
        Self { name, aliases: &[], kind, required: false, default: "".into(), doc, example: example.into() }
    }

    /// The same with a default.
    #[must_use]
    pub fn or(mut self, default: &'static str) -> Self {
        self.default = default.into();
        self
    }

    /// The same, but it must be there.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// A key for each quantity, with the value in `default` as its default.
    pub fn of_quantities<T>(quantities: &'static [Quantity<T>], default: &T) -> Vec<Self> {
        let key = |quantity: &'static Quantity<T>| Self {
            name: quantity.name,
            aliases: &[],
            kind: Kind::Quantity(quantity.unit, quantity.min, quantity.max),
            required: false,
            default: quantity.show(default).into(),
            doc: quantity.doc,
            example: quantity.show(default).into(),
        };
        quantities.iter().map(key).collect()
    }

    /// How to fix an invalid value.
    pub fn help(&self) -> String {
        format!("write for example `{}: {}` ({})", self.name, self.example, self.doc)
    }
}

impl Kind {
    /// What it is, in words: `a list of texts`.
    pub fn words(self) -> String {
        match self {
            Self::Text | Self::Path => "a string".to_owned(),
            Self::Choice(texts) => format!("one of {}", quoted(texts)),
            Self::Integer(least, most) | Self::Quantity(Unit::Count, least, most) => {
                format!("an integer from {least} to {most}")
            }
            Self::Quantity(unit, least, most) => {
                format!("{}, from {} to {}", unit.words(), unit.show(least), unit.show(most))
            }
            Self::Flag => "a boolean".to_owned(),
            Self::Addresses => "an address or a range such as \"0-99\"".to_owned(),
            Self::Object => "a map".to_owned(),
            Self::List(kind) => format!("a list, each item {}", kind.words()),
            Self::Form(form) => form().what.to_owned(),
            Self::Named(form) => format!("a map, each value {}", form().what),
        }
    }
}

/// What stands in a place where something else was expected: its text, or its kind.
fn found(node: &Node) -> String {
    node.text().map_or_else(|| node.kind().to_owned(), |text| format!("`{}`", shown(text)))
}

fn quoted(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(", ")
}

impl Form {
    /// A form in which every key is known.
    pub fn new(what: &'static str, keys: Vec<Key>) -> Self {
        Self { what, keys, open: false, one_of: false, variants: &[] }
    }

    /// A form whose other keys depend on the value of this one.
    pub fn tagged(what: &'static str, tag: Key, variants: &'static [Variant]) -> Self {
        Self { variants, ..Self::new(what, vec![tag.required()]) }
    }

    /// The form that a node has, if this one has variants; else this one. Without its tag it is the tag alone.
    #[must_use]
    pub fn resolved(self, node: &Node) -> Self {
        let variant = self.variant(node);
        match (variant, self.keys.first()) {
            (Some(variant), Some(tag)) => variant.with_tag(tag),
            _ => self,
        }
    }

    /// The forms of all variants, each with the tag and the only value that it has there.
    pub fn variants(&self) -> Vec<(&'static str, Self)> {
        let tag = self.keys.first();
        let with_tag = |variant: &Variant| Some((variant.name, variant.with_tag(tag?)));
        self.variants.iter().filter_map(with_tag).collect()
    }

    fn variant(&self, node: &Node) -> Option<&'static Variant> {
        let name = node.entry(self.keys.first()?.name)?.node.text()?;
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// The same, with keys of other programs beside.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// The same, with exactly one of its keys.
    #[must_use]
    pub fn one_of(mut self) -> Self {
        self.one_of = true;
        self
    }

    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.is_called(name))
    }

    /// Reports everything about `node` that is not of this form. `entry` is the entry whose value it is, if any: what is missing in
    /// it is reported there.
    pub fn check(&self, report: &Report, node: &Node, entry: Option<&Entry>) {
        if let (Some(variant), Some(tag)) = (self.variant(node), self.keys.first()) {
            return variant.with_tag(tag).check(report, node, entry);
        }
        let span = entry.map_or(&node.span, |entry| &entry.key_span);
        let nothing = Vec::new();
        let entries = match node.map() {
            Some(entries) => entries,
            None if node.is_null() => &nothing,
            None => {
                // Not the value itself: it may be a secret that was written in the wrong place.
                let what = match entry {
                    Some(entry) => format!("invalid `{}`: expected a map, found {}", shown(&entry.key), node.kind()),
                    None => format!("expected a map with the keys of {}, found {}", self.what, node.kind()),
                };
                report.error(node.span.clone(), what, format!("write the keys of {}: {}", self.what, self.names()));
                return;
            }
        };
        for (index, entry) in entries.iter().enumerate() {
            match self.key(&entry.key) {
                Some(key) => {
                    let before = entries.iter().take(index).find(|before| key.is_called(&before.key));
                    if let Some(before) = before.filter(|before| before.key != entry.key) {
                        let what = format!("`{}` and `{}` are the same key", shown(&before.key), shown(&entry.key));
                        report.error(
                            entry.key_span.clone(),
                            what,
                            format!("keep `{}`, and remove the other one", key.name),
                        );
                    }
                    key.check(report, entry);
                }
                // What it may be depends on a key that is missing, or wrong.
                None if self.open || !self.variants.is_empty() => {}
                None => report.error(
                    entry.key_span.clone(),
                    format!("`{}` is not a key of {}", shown(&entry.key), self.what),
                    self.suggestion(&entry.key),
                ),
            }
        }
        let given = |key: &&Key| entries.iter().any(|entry| key.is_called(&entry.key) && !entry.node.is_null());
        for key in self.keys.iter().filter(|key| key.required && !given(key)) {
            let help = format!("add `{}: {}` ({})", key.name, key.example, key.doc);
            report.error(span.clone(), format!("`{}` is missing in {}", key.name, self.what), help);
        }
        let count = self.keys.iter().filter(given).count();
        if self.one_of && count != 1 {
            let help = format!("write exactly one of {}", self.names());
            report.error(span.clone(), format!("expected one key in {}, found {count}", self.what), help);
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.keys.iter().map(|key| key.name).collect();
        quoted(&names)
    }

    /// What may have been meant by a key that is not known.
    pub fn suggestion(&self, unknown: &str) -> String {
        match closest(unknown, self.keys.iter().map(|key| key.name)) {
            Some(name) => format!("did you mean `{name}`? the keys here are {}", self.names()),
            None => format!("remove it; the keys here are {}", self.names()),
        }
    }
}

/// The name that may have been meant by one that is not known.
pub fn closest<'n>(unknown: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let unknown = unknown.to_lowercase().replace('-', "_");
    let likeness = |name: &str| strsim::jaro_winkler(name, &unknown);
    let closest = names.into_iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    closest.filter(|name| likeness(name) >= 0.8)
}

impl Variant {
    fn with_tag(&self, tag: &Key) -> Form {
        let mut form = (self.form)();
        form.keys.insert(0, tag.clone());
        form
    }
}

impl Key {
    /// The same with previous names.
    #[must_use]
    pub fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether this is its name, or a previous one.
    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    /// Its entry in a map, under its name or a previous one.
    pub fn entry<'n>(&self, node: &'n Node) -> Option<&'n Entry> {
        node.entry(self.name).or_else(|| self.aliases.iter().find_map(|alias| node.entry(alias)))
    }

    /// Reports what of an entry is not of its kind.
    fn check(&self, report: &Report, entry: &Entry) {
        // A key without a value is a key left out.
        if entry.node.is_null() {
            return;
        }
        self.check_kind(report, self.kind, &entry.node, Some(entry));
    }

    fn check_kind(&self, report: &Report, kind: Kind, node: &Node, entry: Option<&Entry>) {
        let fits = match kind {
            // What addresses they are is for the reader of the device to say.
            Kind::Text | Kind::Path | Kind::Addresses => node.text().is_some(),
            Kind::Choice(texts) => node.text().is_some_and(|text| texts.contains(&text.to_lowercase().as_str())),
            Kind::Integer(least, most) => {
                node.text().and_then(|text| text.parse().ok()).is_some_and(|number| (least..=most).contains(&number))
            }
            Kind::Quantity(unit, least, most) => {
                node.text().and_then(|text| unit.parse(text)).is_some_and(|value| (least..=most).contains(&value))
            }
            Kind::Flag => node.flag().is_some(),
            Kind::Object => match node.to_json() {
                Ok(_) if node.map().is_some() => true,
                Ok(_) => false,
                Err(number) => {
                    let text = shown(number.text().unwrap_or_default());
                    let what = format!("invalid number `{text}`: JSON cannot represent it");
                    report.error(number.span.clone(), what, "put it in quotes to make it a string".to_owned());
                    return;
                }
            },
            Kind::List(kind) => {
                node.list().into_iter().flatten().for_each(|node| self.check_kind(report, *kind, node, None));
                node.list().is_some()
            }
            Kind::Form(form) => {
                form().check(report, node, entry);
                true
            }
            Kind::Named(form) => {
                let entries = node.map().into_iter().flatten();
                entries.for_each(|entry| form().check(report, &entry.node, Some(entry)));
                node.map().is_some()
            }
        };
        if !fits {
            let what = format!("invalid `{}`: expected {}, found {}", self.name, kind.words(), found(node));
            report.error(node.span.clone(), what, self.help());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Form, Key, Kind};
    use crate::{ConfigError, SourceFile, read, yaml::Document};

    fn form() -> Form {
        Form::new("a pump", vec![Key::new("speed", Kind::Integer(0, 9), "how fast it runs", "3").alias(&["pace"])])
    }

    fn speed(text: &str) -> Result<Option<u64>, String> {
        let file = Arc::new(SourceFile { path: "pump.yaml".into(), text: text.to_owned() });
        let document = Document::parse(&file).unwrap();
        read(&file, &document, &form(), |fields| fields.integer("speed"))
            .map_err(|problems| ConfigError::from(problems).to_string())
    }

    #[test]
    fn previous_name_of_a_key_is_accepted_and_never_suggested() {
        assert_eq!(speed("speed: 3"), Ok(Some(3)));
        assert_eq!(speed("pace: 3"), Ok(Some(3)));
        assert!(speed("pace: 30").unwrap_err().contains("an integer from 0 to 9"));
        assert_eq!(speed("pace: 3\nspeed: 4").unwrap_err(), "pump.yaml:2:1: `pace` and `speed` are the same key");
        assert!(!form().suggestion("pase").contains("pace"));
    }
}
