//! YAML as a tree in which everything knows its place.
//!
//! serde forgets where a value stood by the time that it can be judged. So the files that an operator writes are read into this
//! tree first, and whatever is wrong with a value later is said with its line. Scalars mean what the core schema of YAML 1.2 says
//! (chapter 10.3), as in the settings that [`serde_yaml`] reads; keys may be merged in with `<<`, as `PyYAML` does.
//!
//! Nothing here can run away: depth, number of nodes and bytes of text are bounded, whatever aliases repeat included. A tag says what
//! a value is already, or is refused: `!!binary` is no text, and there are no bytes here.

mod scalar;

use std::{collections::HashMap, ops::Range, sync::Arc};

use pattoo_base::text::one_line;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

pub use self::scalar::Meaning;
use super::source::{Place, Problem, SourceFile};

/// How deep lists and mappings may be nested.
const MAX_DEPTH: usize = 64;
/// How many nodes a file may have, those that aliases repeat counted each time.
const MAX_NODES: usize = 500_000;
/// How many bytes of text all scalars and keys of a file may have together, those that aliases repeat counted each time.
const MAX_TEXT: usize = 16 << 20;
/// How many keys that are given twice are kept.
const MAX_DUPLICATES: usize = 100;
/// How much of a foreign text is shown in a message, in bytes.
const MAX_SHOWN: usize = 120;

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Bytes of the file. Of a list or mapping, its beginning.
    pub span: Range<usize>,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Value {
    /// A text, or what is written like one: `plain` scalars may mean a number, a boolean or nothing.
    Scalar {
        /// Its text, without quotes.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in its order.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The key's bytes in the file.
    pub key_span: Range<usize>,
    /// The value.
    pub node: Node,
}

/// A file as a tree.
#[derive(Debug)]
pub struct Document {
    /// Its root; a file without content has an empty scalar.
    pub root: Node,
    /// Keys that are given twice in a mapping; the last one counts, as in `PyYAML`.
    pub duplicates: Vec<Problem>,
}

/// Why a text is no tree.
#[derive(Debug)]
pub enum YamlRefusal {
    /// It is not YAML, or has a tag of its own: a value on the command line may be meant as text.
    Syntax(Problem),
    /// It is YAML, and too deep or too large, or has a tag of YAML's that cannot be here.
    Content(Problem),
}

impl From<Problem> for YamlRefusal {
    fn from(problem: Problem) -> Self {
        Self::Syntax(problem)
    }
}

impl From<YamlRefusal> for Problem {
    fn from(refusal: YamlRefusal) -> Self {
        match refusal {
            YamlRefusal::Syntax(problem) | YamlRefusal::Content(problem) => problem,
        }
    }
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it is not YAML, has more than one document or a tag that cannot be here, or is too deep or too large.
    pub fn parse(file: &Arc<SourceFile>) -> Result<Self, YamlRefusal> {
        let mut builder = Builder::new(file);
        let root = builder.document()?;
        Ok(Self { root, duplicates: builder.duplicates })
    }
}

impl Node {
    /// Whether it is nothing: no value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.meaning() == Some(Meaning::Null)
    }

    /// What it means, if it is a scalar.
    pub fn meaning(&self) -> Option<Meaning> {
        match &self.value {
            Value::Scalar { text, plain: true } => Some(Meaning::of(text)),
            Value::Scalar { plain: false, .. } => Some(Meaning::Text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Its text, if it is a scalar and not nothing: numbers and booleans as they are written.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// Its value, if it is a boolean.
    pub fn flag(&self) -> Option<bool> {
        if let Some(Meaning::Bool(truth)) = self.meaning() { Some(truth) } else { None }
    }

    /// Its members, if it is a list.
    pub fn list(&self) -> Option<&[Self]> {
        if let Value::List(nodes) = &self.value { Some(nodes) } else { None }
    }

    /// Its entries, if it is a mapping.
    pub fn map(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    /// The entry of this key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.map()?.iter().find(|entry| entry.key == key)
    }

    /// What it is, in words.
    pub fn kind(&self) -> &'static str {
        match self.meaning() {
            None if self.list().is_some() => "a list",
            None => "a map",
            Some(Meaning::Null) => "an empty value",
            Some(Meaning::Bool(_)) => "a boolean",
            Some(Meaning::Number(_) | Meaning::Unholdable) => "a number",
            Some(Meaning::Text) => "a string",
        }
    }

    /// It as JSON; else the node that JSON cannot hold.
    pub fn to_json(&self) -> Result<serde_json::Value, &Self> {
        use serde_json::Value as Json;
        Ok(match &self.value {
            Value::List(nodes) => Json::Array(nodes.iter().map(Self::to_json).collect::<Result<_, _>>()?),
            Value::Map(entries) => {
                let mut object = serde_json::Map::new();
                for entry in entries {
                    object.insert(entry.key.clone(), entry.node.to_json()?);
                }
                Json::Object(object)
            }
            Value::Scalar { text, .. } => match self.meaning() {
                Some(Meaning::Null) => Json::Null,
                Some(Meaning::Bool(truth)) => Json::Bool(truth),
                Some(Meaning::Number(number)) => Json::Number(number),
                Some(Meaning::Unholdable) => return Err(self),
                Some(Meaning::Text) | None => Json::String(text.clone()),
            },
        })
    }
}

/// Builds the tree out of the parser's events.
struct Builder<'a> {
    file: &'a Arc<SourceFile>,
    parser: Parser<'a, StrInput<'a>>,
    /// The byte at which each character begins, since the parser counts characters.
    bytes: Vec<usize>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    text: usize,
    duplicates: Vec<Problem>,
}

const SYNTAX_HELP: &str = "fix the YAML: indent with spaces, and put a string in quotes if it contains `: ` or ` #`, or starts with a bracket";

impl<'a> Builder<'a> {
    fn new(file: &'a Arc<SourceFile>) -> Self {
        Self {
            file,
            parser: Parser::new_from_str(&file.text),
            bytes: file.text.char_indices().map(|(byte, _)| byte).collect(),
            anchors: HashMap::new(),
            nodes: 0,
            text: 0,
            duplicates: Vec::new(),
        }
    }

    fn byte(&self, marker: Marker) -> usize {
        self.bytes.get(marker.index()).copied().unwrap_or(self.file.text.len())
    }

    /// The bytes of a span, as far as its first line goes.
    fn span(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start);
        let end = self.byte(span.end).max(start);
        let text = self.file.text.get(start..end).unwrap_or_default();
        let line = text.lines().next().unwrap_or_default().trim_end();
        start..start.saturating_add(line.len())
    }

    fn problem(&self, span: Range<usize>, what: impl Into<String>, help: &str) -> Problem {
        Problem::error(what, Place { file: Arc::clone(self.file), span }, help)
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                let span = self.span(span);
                Ok((event, span))
            }
            Some(Err(error)) => {
                let start = self.byte(*error.marker());
                let what = format!("invalid YAML: {}", one_line(error.info(), MAX_SHOWN));
                Err(self.problem(start..start, what, SYNTAX_HELP))
            }
            None => Ok((Event::StreamEnd, self.file.text.len()..self.file.text.len())),
        }
    }

    fn document(&mut self) -> Result<Node, YamlRefusal> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                event if root.is_none() => root = Some(self.node(event, span, 0)?),
                _ => {
                    let help = "keep one document: remove this `---` and everything after it";
                    return Err(self.problem(span, "a second document begins here: a file has only one", help).into());
                }
            }
        }
        let nothing = || Node { value: Value::Scalar { text: String::new(), plain: true }, span: 0..0 };
        Ok(root.unwrap_or_else(nothing))
    }

    fn node(&mut self, event: Event<'a>, span: Range<usize>, depth: usize) -> Result<Node, YamlRefusal> {
        if depth > MAX_DEPTH {
            let what = format!("the file has more than {MAX_DEPTH} levels of lists and maps");
            let problem = self.problem(span, what, "use fewer levels");
            return Err(YamlRefusal::Content(problem));
        }
        self.count(Size { nodes: 1, text: 0 }, &span)?;
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                // Counted before anything is copied.
                let known = self.anchors.get(&anchor).map(Size::of);
                self.count(known.unwrap_or_default(), &span)?;
                let Some(node) = self.anchors.get(&anchor) else {
                    let help = "define the anchor (`&name`) before the alias (`*name`)";
                    return Err(self.problem(span, "unknown anchor: no line before this defines it", help).into());
                };
                return Ok(Node { span, value: node.value.clone() });
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(Size { nodes: 0, text: text.len() }, &span)?;
                let plain = self.is_plain(&text, style, tag.as_deref(), &span)?;
                (Value::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", &span)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", &span)?;
                (self.mapping(depth)?, anchor)
            }
            _ => return Err(self.problem(span, "a value is missing here", SYNTAX_HELP).into()),
        };
        let node = Node { value, span };
        if anchor > 0 {
            // It is kept beside the tree.
            self.count(Size::of(&node), &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, more: Size, span: &Range<usize>) -> Result<(), YamlRefusal> {
        self.nodes = self.nodes.saturating_add(more.nodes);
        self.text = self.text.saturating_add(more.text);
        let what = if self.nodes > MAX_NODES {
            format!("the file is too large: it has more than {MAX_NODES} values")
        } else if self.text > MAX_TEXT {
            format!("the file is too large: it has more than {MAX_TEXT} bytes of text")
        } else {
            return Ok(());
        };
        let help = "split the file, or use fewer aliases: an alias counts as everything that it repeats";
        Err(YamlRefusal::Content(self.problem(span.clone(), what, help)))
    }

    /// Whether a scalar may mean something else than its text.
    fn is_plain(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: &Range<usize>,
    ) -> Result<bool, YamlRefusal> {
        let Some(tag) = tag else { return Ok(style == ScalarStyle::Plain) };
        let meaning = Meaning::of(text);
        let is_so = match tag.suffix.as_str() {
            _ if !tag.is_yaml_core_schema() => false,
            "str" => return Ok(false),
            "null" => meaning == Meaning::Null,
            "bool" => matches!(meaning, Meaning::Bool(_)),
            "int" => matches!(&meaning, Meaning::Number(number) if !number.is_f64()),
            "float" => matches!(meaning, Meaning::Number(_) | Meaning::Unholdable),
            _ => false,
        };
        if is_so { Ok(true) } else { Err(self.wrong_tag(tag, span)) }
    }

    /// Refuses a list or mapping that is said to be something else.
    fn check_tag(&self, tag: Option<&Tag>, kind: &str, span: &Range<usize>) -> Result<(), YamlRefusal> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == kind) => Err(self.wrong_tag(tag, span)),
            _ => Ok(()),
        }
    }

    fn wrong_tag(&self, tag: &Tag, span: &Range<usize>) -> YamlRefusal {
        if !tag.is_yaml_core_schema() {
            let shown = one_line(&format!("{tag}"), MAX_SHOWN);
            let what = format!("unsupported tag `{shown}`");
            return self.problem(span.clone(), what, "remove the tag").into();
        }
        let shown = one_line(&tag.suffix, MAX_SHOWN);
        let (what, help) = match shown.as_str() {
            "binary" => (
                "unsupported tag `!!binary`: a value is text and not bytes".to_owned(),
                "remove the tag, and write the value as a string in quotes",
            ),
            "str" | "null" | "bool" | "int" | "float" | "seq" | "map" => {
                (format!("the value does not match its tag `!!{shown}`"), "remove the tag, or correct the value")
            }
            _ => (format!("unsupported tag `!!{shown}`"), "remove the tag"),
        };
        YamlRefusal::Content(self.problem(span.clone(), what, help))
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlRefusal> {
        let mut nodes = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(nodes));
            }
            nodes.push(self.node(event, span, depth.saturating_add(1))?);
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, YamlRefusal> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, span, depth.saturating_add(1))?;
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth.saturating_add(1))?;
            match key.value {
                Value::Scalar { text, plain: true } if text == "<<" => merged.push(node),
                Value::Scalar { text, plain } if !(plain && text.is_empty()) => {
                    let entry = Entry { key: text, key_span: key.span, node };
                    if let Some(first) = places.get(&entry.key).and_then(|place| entries.get_mut(*place)) {
                        let first = std::mem::replace(first, entry.clone());
                        self.duplicate(&first, &entry);
                    } else {
                        places.insert(entry.key.clone(), entries.len());
                        entries.push(entry);
                    }
                }
                _ => {
                    let help = "give each entry a name: `name: value`";
                    let what = format!("invalid key: expected a name, found {}", describe(&key.value));
                    return Err(self.problem(key.span, what, help).into());
                }
            }
        }
        for node in merged {
            self.merge(&mut entries, &mut places, node)?;
        }
        Ok(Value::Map(entries))
    }

    fn duplicate(&mut self, first: &Entry, second: &Entry) {
        if self.duplicates.len() >= MAX_DUPLICATES {
            return;
        }
        let place = Place { file: Arc::clone(self.file), span: first.key_span.clone() };
        let what = format!("`{}` is given twice", one_line(&second.key, MAX_SHOWN));
        let help = format!("remove one of them; the other is in line {}", place.line_and_column().0);
        let problem = self.problem(second.key_span.clone(), what, &help);
        self.duplicates.push(problem);
    }

    /// Adds the entries of a mapping, or of each of a list of them, that are not there yet.
    fn merge(&self, entries: &mut Vec<Entry>, places: &mut HashMap<String, usize>, node: Node) -> Result<(), Problem> {
        let span = node.span;
        let more = match node.value {
            Value::Map(more) => more,
            Value::List(nodes) => {
                return nodes.into_iter().try_for_each(|node| match node.value {
                    Value::Map(_) => self.merge(entries, places, node),
                    _ => Err(self.not_mergeable(node.span)),
                });
            }
            Value::Scalar { .. } => return Err(self.not_mergeable(span)),
        };
        for entry in more {
            if !places.contains_key(&entry.key) {
                places.insert(entry.key.clone(), entries.len());
                entries.push(entry);
            }
        }
        Ok(())
    }

    fn not_mergeable(&self, span: Range<usize>) -> Problem {
        let help = "write `<<: *name`, where `&name` marks a map";
        self.problem(span, "invalid `<<`: expected a map or a list of maps", help)
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
        Value::Scalar { .. } => "nothing",
    }
}

/// How much a node is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    nodes: usize,
    /// Bytes of its scalars and keys.
    text: usize,
}

impl Size {
    /// A node with all that is below it.
    fn of(node: &Node) -> Self {
        let one = Self { nodes: 1, text: 0 };
        match &node.value {
            Value::Scalar { text, .. } => Self { text: text.len(), ..one },
            Value::List(nodes) => nodes.iter().map(Self::of).fold(one, Self::and),
            Value::Map(entries) => entries
                .iter()
                .map(|entry| Self::of(&entry.node).and(Self { nodes: 0, text: entry.key.len() }))
                .fold(one, Self::and),
        }
    }

    fn and(self, other: Self) -> Self {
        Self { nodes: self.nodes.saturating_add(other.nodes), text: self.text.saturating_add(other.text) }
    }
}

#[cfg(test)]
mod tests;
