//! From a module file to a collector that is ready to take another's place: read, checked against its pin, compiled once per
//! digest, instantiated, and not run.

use std::{
    collections::HashMap,
    fs::Metadata,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use pattoo_base::turns::Turns;
use pattoo_sandbox::{
    Collector, CompileLimits, Ending, LoadError, Module, Sandbox, Stop, TRIALS, capability::Assignment,
};

use super::collection::words_of;
use crate::config::Digest;

/// How many modules are read at the same time.
const READS: usize = 4;
/// How many are compiled at the same time of those that are quick, which have so much time and memory, and at most such a size; and
/// how many of the others.
const QUICK: usize = 2;
const QUICK_TIME: Duration = Duration::from_secs(2);
const QUICK_MEMORY: u64 = 512 << 20;
const QUICK_SIZE: u64 = 4 << 20;
const SLOW: usize = 1;
/// What one of the others has before it waits for those that have had less. A language's runtime needs half of it.
const LONGER_TIME: Duration = Duration::from_secs(20);
/// How long a start function may take before it waits for those that are quicker.
const QUICK_TRIAL: Duration = Duration::from_millis(250);

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
///
/// One that is slow holds up no other: a compilation begins with little time and memory among those that are quick, the smallest module
/// first. What needs more begins once more, one at a time, behind all that have not had as much yet; so a hundred that take the compiler to
/// its limit delay a language's runtime by what that takes itself, and a usual module not at all. To instantiate is the same
/// in small.
pub struct Loader {
    sandbox: Arc<Sandbox>,
    by_digest: Mutex<HashMap<String, Arc<Kept>>>,
    reads: Turns,
    quick: Turns,
    slow: Turns,
    quick_trials: Turns,
    slow_trials: Turns,
}

/// A module that was compiled, as long as somebody runs it. Whoever compiles it has the lock.
type Kept = tokio::sync::Mutex<Weak<Collector>>;

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

    /// Prepares one.
    pub async fn prepare(&self, wanted: Wanted) -> Prepared {
        let stamp = Stamp::of(&wanted.module);
        let code = self.load(&wanted).await;
        // What nobody runs any more need not be remembered.
        let is_used =
            |kept: &Arc<Kept>| Arc::strong_count(kept) > 1 || kept.try_lock().is_ok_and(|code| code.strong_count() > 0);
        self.by_digest().retain(|_, kept| is_used(kept));
        Prepared { wanted, stamp, code }
    }

    fn by_digest(&self) -> MutexGuard<'_, HashMap<String, Arc<Kept>>> {
        // Nothing that panics runs under this lock.
        self.by_digest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn load(&self, wanted: &Wanted) -> Result<Arc<Collector>, Trouble> {
        let (digest, size) = self.digest(wanted).await?;
        if let Some(pinned) = &wanted.pin
            && pinned.to_string() != digest
        {
            return Err(Trouble::Pin { module: wanted.module.clone(), found: digest, pinned: *pinned });
        }
        let kept = Arc::clone(self.by_digest().entry(digest.clone()).or_default());
        // No content is compiled twice.
        let mut kept = kept.lock().await;
        let code = match kept.upgrade() {
            Some(code) => code,
            None => Arc::new(self.compile(wanted, &digest, size).await?),
        };
        *kept = Arc::downgrade(&code);
        drop(kept);
        self.instantiate(wanted, &code).await?;
        Ok(code)
    }

    /// Reads the module for its digest and size. While it waits to be compiled it is not held.
    async fn digest(&self, wanted: &Wanted) -> Result<(String, u64), Trouble> {
        let _turn = self.reads.wait(0).await;
        let (path, limits) = (wanted.module.clone(), wanted.compile);
        let read =
            move || Module::read_within(&path, &limits).map(|module| (module.sha256().to_owned(), module.size()));
        Ok(blocking(wanted, read).await??)
    }

    /// The module's collector, out of the cache or compiled.
    async fn compile(&self, wanted: &Wanted, digest: &str, size: u64) -> Result<Collector, Trouble> {
        let limits = wanted.compile;
        let known = {
            let _turn = self.reads.wait(0).await;
            self.with_module(wanted, digest, move |sandbox, module| sandbox.known(module, &limits)).await?
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
                .with_module(wanted, digest, move |sandbox, module| sandbox.attempt(module, &limits, &attempt))
                .await?;
            if let Some(compiled) = compiled {
                return Ok(compiled);
            }
            tracing::info!(
                "{}: compiling {} takes longer than others and goes on behind them",
                wanted.assignment.agent.program,
                wanted.module.display()
            );
        }
        // The last attempt had all that it may have.
        Err(fault(wanted, "no attempt at compiling it came to an end"))
    }

    /// Does something with the module, which is read again: it must still be what it was.
    async fn with_module<T: Send + 'static>(
        &self,
        wanted: &Wanted,
        digest: &str,
        what: impl FnOnce(&Sandbox, &Module) -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (path, limits) = (wanted.module.clone(), wanted.compile);
        let (sandbox, digest) = (Arc::clone(&self.sandbox), digest.to_owned());
        let done = blocking(wanted, move || {
            let module = Module::read_within(&path, &limits)?;
            if module.sha256() != digest {
                let error = io::Error::new(ErrorKind::InvalidData, "it was changed while it was being loaded");
                return Err(LoadError::Unreadable { path, error });
            }
            what(&sandbox, &module)
        });
        Ok(done.await??)
    }

    /// Instantiates the collector as a collection would.
    async fn instantiate(&self, wanted: &Wanted, code: &Collector) -> Result<(), Trouble> {
        let timeout = wanted.assignment.limits.timeout;
        let quick = timeout.min(QUICK_TRIAL);
        let tried = {
            let _turn = self.quick_trials.wait(0).await;
            self.sandbox.instantiate_within(code, &wanted.assignment, quick).await
        };
        let tried = match tried {
            Err(Ending::Stopped(Stop::Deadline(_))) if quick < timeout => {
                let _turn = self.slow_trials.wait(0).await;
                self.sandbox.instantiate_within(code, &wanted.assignment, timeout).await
            }
            tried => tried,
        };
        tried.map_err(|ending| Trouble::Instantiate { module: wanted.module.clone(), words: words_of(&ending).1 })
    }
}

fn fault(wanted: &Wanted, what: impl ToString) -> Trouble {
    Trouble::Fault { module: wanted.module.clone(), what: what.to_string() }
}

/// Does what may block.
async fn blocking<T: Send + 'static>(wanted: &Wanted, what: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    tokio::task::spawn_blocking(what).await.map_err(|error| fault(wanted, error))
}
