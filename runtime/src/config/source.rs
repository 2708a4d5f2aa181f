//! A file of the configuration as a tree, and paths to places in it.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use pattoo_base::files::{self, Exposure};
use pattoo_settings::{
    Place, Problem, SourceFile,
    yaml::{Document, Node},
};

/// The section of our files.
pub(crate) const OURS: PathStep = PathStep::Key("pattoo_wasm");
/// The name of our own file.
pub(super) const FILE: &str = "pattoo_wasm.yaml";
/// The status address of the daemon, unless the file names another one.
pub(super) const DEFAULT_STATUS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 20_203));

/// A file and its content.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: Arc<SourceFile>,
    pub(super) document: Document,
}

/// One step on the way to a place in a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PathStep {
    /// The value of this key.
    Key(&'static str),
    /// The item of a list with this index.
    Index(usize),
}

/// Why a file cannot be read as a tree.
#[derive(Debug)]
pub(super) enum SourceError {
    Unreadable(PathBuf, std::io::Error),
    /// Other users can change it.
    Exposed(Exposure),
    Malformed(Problem),
}

impl SourceError {
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable(_, error) if error.kind() == ErrorKind::NotFound)
    }

    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::Unreadable(path, error) => Problem::without_place(
                format!("{}: {error}", path.display()),
                "name a YAML file that this user can read",
            ),
            Self::Exposed(exposure) => Problem::without_place(exposure.to_string(), exposure.help()),
            Self::Malformed(problem) => problem,
        }
    }
}

impl Source {
    pub(super) fn read(path: &Path) -> Result<Self, SourceError> {
        let file = SourceFile::read(path).map_err(|error| SourceError::Unreadable(path.to_owned(), error))?;
        Self::of(file).map_err(SourceError::Malformed)
    }

    /// As [`read`](Self::read), for a file of the configuration, which other users must not be able
    /// to change.
    pub(super) fn read_trusted(path: &Path) -> Result<Self, SourceError> {
        let source = Self::read(path)?;
        files::refuse_exposed(path).map_err(SourceError::Exposed)?;
        Ok(source)
    }

    pub(super) fn of(file: Arc<SourceFile>) -> Result<Self, Problem> {
        let document = Document::parse(&file)?;
        Ok(Self { file, document })
    }

    /// The value that a path leads to.
    pub(super) fn node(&self, path: &[PathStep]) -> Option<&Node> {
        path.iter().try_fold(&self.document.root, |node, step| match step {
            PathStep::Key(key) => node.entry(key).map(|entry| &entry.node),
            PathStep::Index(index) => node.list().and_then(|nodes| nodes.get(*index)),
        })
    }

    pub(super) fn has(&self, path: &[PathStep]) -> bool {
        self.node(path).is_some_and(|node| !node.is_null())
    }

    /// The section about the daemon's own health, if there is one.
    pub(super) fn health(&self) -> Option<&Node> {
        self.node(&[OURS, PathStep::Key("health")])
    }

    /// The collectors in our own section; none of a section that cannot be read.
    pub(super) fn collectors(&self) -> &[Node] {
        self.node(&[OURS, PathStep::Key("collectors")]).and_then(Node::list).unwrap_or_default()
    }

    /// The place of these bytes of the file.
    pub(super) fn place_of(&self, span: &Range<usize>) -> Place {
        Place { file: Arc::clone(&self.file), span: span.clone() }
    }

    pub(super) fn place(&self, path: &[PathStep]) -> Place {
        let mut node = &self.document.root;
        let mut span = &node.span;
        for step in path {
            let next = match step {
                PathStep::Key(key) => node.entry(key).map(|entry| (&entry.key_span, &entry.node)),
                PathStep::Index(index) => {
                    node.list().and_then(|nodes| nodes.get(*index)).map(|node| (&node.span, node))
                }
            };
            let Some((name, below)) = next else { break };
            let scalar = below.map().is_none() && below.list().is_none();
            span = if scalar { &below.span } else { name };
            node = below;
        }
        self.place_of(span)
    }

    /// The folder that paths in the file are relative to.
    pub(super) fn folder(&self) -> &Path {
        self.file.path.parent().unwrap_or(Path::new(""))
    }
}
