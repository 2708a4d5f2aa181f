//! From a module file to a collector that can replace another one: read, compared with its pinned
//! digest, compiled once per digest, instantiated, and not run.

use std::{
    collections::HashMap,
    fs::Metadata,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Weak},
    time::{Duration, SystemTime},
};

use pattoo_base::{lock::lock, turns::Turns};
use pattoo_sandbox::{
    Collector, CompileLimits, LoadError, Module, ModuleDigest, Sandbox, StopReason, TRIALS, Termination,
    capability::Assignment,
};

use super::{collection::termination_of, collector_log::CollectorLog};

/// How many modules are read at the same time.
const READS: usize = 4;
/// How many quick modules are compiled at the same time, the time and memory of such a compilation,
/// and the largest such module; and how many other modules are compiled at the same time.
const QUICK: usize = 2;
const QUICK_TIME: Duration = Duration::from_secs(2);
const QUICK_MEMORY: u64 = 512 << 20;
const QUICK_SIZE: u64 = 4 << 20;
const SLOW: usize = 1;
/// The time of another module's first compilation. After it, modules with less time go first. The
/// runtime of a language needs half of it.
const LONGER_TIME: Duration = Duration::from_secs(20);
/// The time of a first instantiation. After it, quicker modules go first.
const QUICK_TRIAL: Duration = Duration::from_millis(250);

/// A collector as it is configured.
#[derive(Debug, Clone)]
pub struct DesiredCollector {
    /// Its module.
    pub module: PathBuf,
    /// The only content that the module may have.
    pub pin: Option<ModuleDigest>,
    /// What the module may be and what its compilation may use.
    pub compile: CompileLimits,
    /// Its identity, grants and limits.
    pub assignment: Arc<Assignment>,
    /// Takes the lines about its collections.
    pub log: Arc<CollectorLog>,
}

/// Why a collector does not run as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum CollectorLoadError {
    /// The module cannot be loaded.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// Its digest is not the pinned one.
    #[error("{} has the SHA-256 digest {found}, but `sha256` is {pinned}", module.display())]
    Pin {
        /// The file.
        module: PathBuf,
        /// The digest of the file.
        found: ModuleDigest,
        /// The configured digest.
        pinned: ModuleDigest,
    },
    /// It cannot be instantiated.
    #[error("{} cannot be instantiated: {message}", module.display())]
    Instantiate {
        /// The file.
        module: PathBuf,
        /// How that ended.
        message: String,
    },
    /// An internal error.
    #[error("{}: internal error: {what}", module.display())]
    Internal {
        /// The file.
        module: PathBuf,
        /// What happened.
        what: String,
    },
}

impl CollectorLoadError {
    /// Whether a change of the file alone may resolve the error: the file was missing, or its
    /// content is verified by a pinned digest.
    pub fn is_resolved_by_another_file(&self, collector: &DesiredCollector) -> bool {
        collector.pin.is_some() || matches!(self, Self::Load(LoadError::Unreadable { .. }))
    }
}

/// Length and time of modification of a file, to notice a change without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl FileStamp {
    /// That of a file; none if there is no file.
    pub fn of(path: &Path) -> Option<Self> {
        let stamp = |metadata: Metadata| Self { length: metadata.len(), modified: metadata.modified().ok() };
        std::fs::metadata(path).ok().map(stamp)
    }
}

/// A collector whose loading ended.
pub struct PreparedCollector {
    /// The collector as it is configured.
    pub desired: DesiredCollector,
    /// The file at that time.
    pub stamp: Option<FileStamp>,
    /// The code, or why there is none.
    pub code: Result<Arc<Collector>, CollectorLoadError>,
}

/// Loads modules, each content once.
///
/// A slow module delays no other: each compilation begins with little time and memory, the smallest
/// module first. One that needs more begins again, one at a time, after all that have not had as
/// much time yet. So a hundred modules that take the compiler to its limit delay the runtime of a
/// language by the time that it takes itself, and a usual module not at all. Instantiation works
/// the same way on a smaller scale.
pub struct Loader {
    sandbox: Arc<Sandbox>,
    by_digest: Mutex<HashMap<ModuleDigest, Arc<SharedCode>>>,
    reads: Turns,
    quick: Turns,
    slow: Turns,
    quick_trials: Turns,
    slow_trials: Turns,
}

/// The code of a module, as long as a collector runs it. Held locked while it is compiled.
type SharedCode = tokio::sync::Mutex<Weak<Collector>>;

/// One attempt at a compilation.
struct Attempt<'a> {
    turns: &'a Turns,
    weight: u64,
    limits: CompileLimits,
}

impl Loader {
    /// A loader for this sandbox.
    pub fn new(sandbox: Arc<Sandbox>) -> Self {
        let turns = Turns::new;
        Self {
            sandbox,
            by_digest: Mutex::default(),
            reads: turns(READS),
            quick: turns(QUICK),
            slow: turns(SLOW),
            quick_trials: turns(TRIALS),
            slow_trials: turns(TRIALS),
        }
    }

    /// Loads a collector.
    pub async fn prepare(&self, desired: DesiredCollector) -> PreparedCollector {
        let stamp = FileStamp::of(&desired.module);
        let code = self.load(&desired).await;
        // Code that no collector runs is forgotten.
        let is_used = |code: &Arc<SharedCode>| {
            Arc::strong_count(code) > 1 || code.try_lock().is_ok_and(|code| code.strong_count() > 0)
        };
        lock(&self.by_digest).retain(|_, code| is_used(code));
        PreparedCollector { desired, stamp, code }
    }

    async fn load(&self, desired: &DesiredCollector) -> Result<Arc<Collector>, CollectorLoadError> {
        let (digest, size) = self.digest(desired).await?;
        if let Some(pinned) = &desired.pin
            && *pinned != digest
        {
            return Err(CollectorLoadError::Pin { module: desired.module.clone(), found: digest, pinned: *pinned });
        }
        let shared = Arc::clone(lock(&self.by_digest).entry(digest).or_default());
        // No content is compiled twice.
        let mut shared = shared.lock().await;
        let code = match shared.upgrade() {
            Some(code) => code,
            None => Arc::new(self.compile(desired, digest, size).await?),
        };
        *shared = Arc::downgrade(&code);
        drop(shared);
        self.instantiate(desired, &code).await?;
        Ok(code)
    }

    /// Reads the module for its digest and size. It is not kept in memory while it waits to be
    /// compiled.
    async fn digest(&self, desired: &DesiredCollector) -> Result<(ModuleDigest, u64), CollectorLoadError> {
        let _turn = self.reads.wait(0).await;
        let (path, limits) = (desired.module.clone(), desired.compile);
        let read = move || Module::read_within(&path, &limits).map(|module| (module.sha256(), module.size()));
        Ok(blocking(desired, read).await??)
    }

    /// The module's code, from the cache or compiled.
    async fn compile(
        &self,
        desired: &DesiredCollector,
        digest: ModuleDigest,
        size: u64,
    ) -> Result<Collector, CollectorLoadError> {
        let limits = desired.compile;
        let known = {
            let _turn = self.reads.wait(0).await;
            self.with_module(desired, digest, move |sandbox, module| sandbox.known(module, &limits)).await?
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let quick = Attempt { turns: &self.quick, weight: size, limits: limits.at_most(QUICK_TIME, QUICK_MEMORY) };
        let longer = Attempt { turns: &self.slow, weight: 0, limits: limits.at_most(LONGER_TIME, u64::MAX) };
        let longest = Attempt { turns: &self.slow, weight: 1, limits };
        let attempts = [quick, longer, longest].into_iter().skip(usize::from(size > QUICK_SIZE));
        let mut last = None;
        for Attempt { turns, weight, limits: attempt } in attempts {
            if last.replace(attempt) == Some(attempt) {
                continue;
            }
            let _turn = turns.wait(weight).await;
            let compiled = self
                .with_module(desired, digest, move |sandbox, module| sandbox.attempt(module, &limits, &attempt))
                .await?;
            if let Some(compiled) = compiled {
                return Ok(compiled);
            }
            tracing::info!(
                "{}: compiling {} takes long, so other modules are compiled first",
                desired.assignment.agent.program,
                desired.module.display()
            );
        }
        // The last attempt has the configured limits, and reports when it exceeds them.
        Err(internal(desired, "the module was not compiled"))
    }

    /// Reads the module again, which must not have changed, and passes it to `what`.
    async fn with_module<T: Send + 'static>(
        &self,
        desired: &DesiredCollector,
        digest: ModuleDigest,
        what: impl FnOnce(&Sandbox, &Module) -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, CollectorLoadError> {
        let (path, limits) = (desired.module.clone(), desired.compile);
        let sandbox = Arc::clone(&self.sandbox);
        let done = blocking(desired, move || {
            let module = Module::read_within(&path, &limits)?;
            if module.sha256() != digest {
                let error = io::Error::new(ErrorKind::InvalidData, "the file changed while it was loaded");
                return Err(LoadError::Unreadable { path, error });
            }
            what(&sandbox, &module)
        });
        Ok(done.await??)
    }

    /// Instantiates the collector as a collection would.
    async fn instantiate(&self, desired: &DesiredCollector, code: &Collector) -> Result<(), CollectorLoadError> {
        let timeout = desired.assignment.limits.timeout;
        let quick = timeout.min(QUICK_TRIAL);
        let tried = {
            let _turn = self.quick_trials.wait(0).await;
            self.sandbox.instantiate_within(code, &desired.assignment, quick).await
        };
        let tried = match tried {
            Err(Termination::Stopped(StopReason::Deadline(_))) if quick < timeout => {
                let _turn = self.slow_trials.wait(0).await;
                self.sandbox.instantiate_within(code, &desired.assignment, timeout).await
            }
            tried => tried,
        };
        tried.map_err(|ending| CollectorLoadError::Instantiate {
            module: desired.module.clone(),
            message: termination_of(&ending).1,
        })
    }
}

fn internal(desired: &DesiredCollector, what: impl ToString) -> CollectorLoadError {
    CollectorLoadError::Internal { module: desired.module.clone(), what: what.to_string() }
}

/// Runs `what` on a thread that may block.
async fn blocking<T: Send + 'static>(
    desired: &DesiredCollector,
    what: impl FnOnce() -> T + Send + 'static,
) -> Result<T, CollectorLoadError> {
    tokio::task::spawn_blocking(what).await.map_err(|error| internal(desired, error))
}
