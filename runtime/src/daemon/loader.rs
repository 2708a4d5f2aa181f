//! From a module file to a collector that is ready to take another's place: read, checked against its pin, compiled once per
//! digest, instantiated, and not run.

use std::{
    collections::HashMap,
    fs::Metadata,
    path::{Path, PathBuf},
    sync::{Arc, Weak},
    time::SystemTime,
};

use futures_util::{StreamExt as _, stream};
use tokio::sync::Mutex;

use super::collection::words_of;
use crate::{
    capability::Assignment,
    config::Digest,
    sandbox::{Collector, CompileLimits, LoadError, Module, Sandbox},
};

/// How many modules are read, compiled and instantiated at the same time.
const AT_ONCE: usize = 4;

/// A collector as its operator wants it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its module.
    pub module: PathBuf,
    /// The only content that the module may have.
    pub pin: Option<Digest>,
    /// What the module may be and what its compilation may use.
    pub compile: CompileLimits,
    /// Who it is, what it was granted and how much it may use.
    pub assignment: Arc<Assignment>,
}

/// Why a collector is not run as it is wanted.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The module cannot be loaded.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// It is not the module that was pinned.
    #[error("{} has the SHA-256 digest {found}, and `sha256` is {pinned}", module.display())]
    Pin {
        /// The file.
        module: PathBuf,
        /// What it has.
        found: String,
        /// What it must have.
        pinned: Digest,
    },
    /// It cannot be instantiated.
    #[error("{} cannot be instantiated: {words}", module.display())]
    Instantiate {
        /// The file.
        module: PathBuf,
        /// How that ended.
        words: String,
    },
    /// The loading itself ended.
    #[error("{}: the loading ended: {what}", module.display())]
    Fault {
        /// The file.
        module: PathBuf,
        /// What happened.
        what: String,
    },
}

impl Trouble {
    /// Whether another content of the file may mend it without anybody's say: a file that was not there, or one whose content
    /// is vouched for by its pin.
    pub fn mends_itself(&self, wanted: &Wanted) -> bool {
        wanted.pin.is_some() || matches!(self, Self::Load(LoadError::Unreadable { .. }))
    }
}

/// What tells one content of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    /// That of a file; none when it is not there.
    pub fn of(path: &Path) -> Option<Self> {
        let stamp = |metadata: Metadata| Self { length: metadata.len(), modified: metadata.modified().ok() };
        std::fs::metadata(path).ok().map(stamp)
    }
}

/// A collector that was tried, and what came of it.
pub struct Prepared {
    /// What was wanted.
    pub wanted: Wanted,
    /// The file as it was then.
    pub stamp: Option<Stamp>,
    /// The code, or why there is none.
    pub code: Result<Arc<Collector>, Trouble>,
}

/// Loads modules, each content once.
pub struct Loader {
    sandbox: Arc<Sandbox>,
    by_digest: Mutex<HashMap<String, Weak<Collector>>>,
}

impl Loader {
    /// A loader for this sandbox.
    pub fn new(sandbox: Arc<Sandbox>) -> Self {
        Self { sandbox, by_digest: Mutex::default() }
    }

    /// Prepares several collectors, some of them at the same time. One that fails costs no other.
    pub async fn prepare_all(&self, wanted: Vec<Wanted>) -> Vec<Prepared> {
        let prepared = stream::iter(wanted).map(|wanted| self.prepare(wanted)).buffered(AT_ONCE).collect().await;
        // What nobody runs any more need not be remembered.
        self.by_digest.lock().await.retain(|_, code| code.strong_count() > 0);
        prepared
    }

    /// Prepares one.
    pub async fn prepare(&self, wanted: Wanted) -> Prepared {
        let stamp = Stamp::of(&wanted.module);
        let code = self.load(&wanted).await;
        Prepared { wanted, stamp, code }
    }

    async fn load(&self, wanted: &Wanted) -> Result<Arc<Collector>, Trouble> {
        let fault =
            |what: tokio::task::JoinError| Trouble::Fault { module: wanted.module.clone(), what: what.to_string() };
        let (path, limits) = (wanted.module.clone(), wanted.compile);
        let read = tokio::task::spawn_blocking(move || Module::read_within(&path, &limits));
        let module = read.await.map_err(fault)??;
        let digest = module.sha256().to_owned();
        if let Some(pinned) = &wanted.pin
            && pinned.to_string() != digest
        {
            return Err(Trouble::Pin { module: wanted.module.clone(), found: digest, pinned: *pinned });
        }
        // One lock for all: compiling takes every core anyway, and no content is compiled twice.
        let mut by_digest = self.by_digest.lock().await;
        let code = if let Some(code) = by_digest.get(&digest).and_then(Weak::upgrade) {
            code
        } else {
            let sandbox = Arc::clone(&self.sandbox);
            let compiled =
                tokio::task::spawn_blocking(move || sandbox.load_within(&module, &limits)).await.map_err(fault)??;
            let code = Arc::new(compiled);
            by_digest.insert(digest, Arc::downgrade(&code));
            code
        };
        drop(by_digest);
        let instantiated = self.sandbox.instantiate(&code, &wanted.assignment).await;
        instantiated
            .map_err(|ending| Trouble::Instantiate { module: wanted.module.clone(), words: words_of(&ending).1 })?;
        Ok(code)
    }
}
