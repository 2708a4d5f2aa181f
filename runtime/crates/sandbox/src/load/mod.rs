//! Loading: makes a collector that can be run of a module file, or says why that is not possible.

mod cache;
mod compile;
mod compile_limits;
mod compiler_confinement;
mod componentize;
mod contract_hints;
mod failed_compilations;
mod module;
mod module_digest;
mod preview1;

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::atomic::AtomicUsize,
    time::{Duration, Instant},
};

use pattoo_base::text::one_line;
use wasmtime::component::Component;

use self::module::MAX_TEXT;
pub use self::{
    cache::Cache,
    compile::{CompileError, Compiler, serve},
    compile_limits::CompileLimits,
    module::{Kind, Module},
    module_digest::{DigestError, ModuleDigest},
};
use crate::{
    Sandbox,
    capability::{CollectorPre, Interface, draft_interfaces, our_interfaces},
    collection::Cell,
};

/// How much of a foreign message is shown, in bytes.
const MAX_DETAIL: usize = 1000;

/// A collector that is compiled and whose imports are all available.
pub struct Collector {
    pub(super) pre: CollectorPre<Cell>,
    sha256: ModuleDigest,
    compilation: Compilation,
    /// The most memory, its own and the host's, that its last collection had.
    pub(super) last_peak: AtomicUsize,
}

/// Where the compiled code of a module came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compilation {
    /// Whether it was taken from the cache.
    pub cached: bool,
    /// How long that took, or compiling did.
    pub time: Duration,
}

/// Why a module cannot be run. Each names the file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is larger than any module is taken to be.
    #[error("{} is larger than {limit} bytes (limit module_bytes)", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// How many bytes it may have.
        limit: u64,
    },
    /// The file is text, and more of it than is read.
    #[error(
        "{} is text of more than {}, and no setting raises this limit",
        path.display(),
        bytesize::ByteSize(MAX_TEXT as u64).display().iec()
    )]
    TooMuchText {
        /// The file.
        path: PathBuf,
    },
    /// The file is neither WebAssembly nor its text format.
    #[error("{} is not WebAssembly: {detail}", path.display())]
    NotWasm {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        detail: String,
    },
    /// A core module that cannot be made a component with our contract.
    #[error("{} is a core module but not a collector: {detail}", path.display())]
    CoreModule {
        /// The file.
        path: PathBuf,
        /// What about it is not so.
        detail: String,
    },
    /// The module was not compiled.
    #[error("{}: {error}", path.display())]
    NotCompiled {
        /// The file.
        path: PathBuf,
        /// Why.
        error: CompileError,
    },
    /// The file is damaged, cut off, or uses what this engine does not offer.
    #[error("{} does not compile: {detail}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What the compiler said, on one line.
        detail: String,
    },
    /// It imports a function or interface that does not exist here.
    #[error("{} imports `{import}`, which this runtime does not provide", path.display())]
    UnknownImport {
        /// The file.
        path: PathBuf,
        /// The full name of the import.
        import: String,
    },
    /// It is made for another world.
    #[error("{} does not export `collect`; it exports {}", path.display(), list(exports))]
    NoCollect {
        /// The file.
        path: PathBuf,
        /// What it exports.
        exports: Vec<String>,
    },
    /// An import or export has the right name and the wrong type.
    #[error("{} does not fit the world `pattoo:agent/collector`: {detail}", path.display())]
    WrongType {
        /// The file.
        path: PathBuf,
        /// Which one and how, on one line.
        detail: String,
    },
}

impl LoadError {
    /// What to do about it.
    pub fn help(&self) -> Cow<'static, str> {
        match self {
            Self::Unreadable { .. } => "give the path of a .wasm or .wat file that this user can read".into(),
            Self::TooLarge { .. } => {
                "build it without debug information (`wasm-tools strip`), or raise `module_bytes` under `limits:`"
                    .into()
            }
            Self::TooMuchText { .. } => "convert it to its binary form (`wasm-tools parse`)".into(),
            Self::NotWasm { .. } => {
                "give a WebAssembly component or core module (.wasm), or the text format of either (.wat)".into()
            }
            Self::CoreModule { .. } => {
                "see docs/guests/abi.md for what a core module imports and exports, or build a component".into()
            }
            Self::NotCompiled { error, .. } => error.help().into(),
            Self::Invalid { .. } => "build the module again; if it was copied, compare its size and digest".into(),
            Self::UnknownImport { import, .. } if Interface::is_of_wasi(import) => {
                let drafts = draft_interfaces().collect::<Vec<_>>().join(", ");
                format!(
                    "build it for WASI 0.2 (0.2.0 and later, not 0.3); provided are wasi:cli, clocks, filesystem, http (outgoing only), \
                     io, random and sockets, and {drafts}"
                )
                .into()
            }
            Self::UnknownImport { .. } => {
                let served: Vec<_> = our_interfaces().filter(|name| !name.contains("/types@")).collect();
                format!("build it against `pattoo:agent@0.1.0`; provided are {} and WASI 0.2", served.join(", ")).into()
            }
            Self::NoCollect { .. } => {
                "build it for the world `pattoo:agent/collector`, which exports `collect: func() -> result<_, string>`"
                    .into()
            }
            Self::WrongType { .. } => "build it against the wit/ folder of this version".into(),
        }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".to_owned();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Collector {
    /// The digest of the module it was made from.
    pub fn sha256(&self) -> ModuleDigest {
        self.sha256
    }

    /// The full names of the interfaces that it imports: `pattoo:agent/http@0.1.0`.
    pub fn imports(&self) -> Vec<String> {
        let pre = self.pre.instance_pre();
        let world = pre.component().component_type();
        world.imports(pre.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// The names of what it exports.
    pub fn exports(&self) -> Vec<String> {
        let pre = self.pre.instance_pre();
        let world = pre.component().component_type();
        world.exports(pre.engine()).map(|(name, _)| name.to_owned()).collect()
    }

    /// Where its compiled code came from.
    pub fn compilation(&self) -> Compilation {
        self.compilation
    }
}

impl Sandbox {
    /// Compiles a module and checks that everything it imports is available.
    ///
    /// # Errors
    ///
    /// When it does not compile, or is not a collector of the world that `wit/` describes.
    pub fn load(&self, module: &Module) -> Result<Collector, LoadError> {
        self.load_within(module, self.compiler.limits())
    }

    /// The same, compiled under other limits than the usual ones, if it was not compiled before.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_within(&self, module: &Module, limits: &CompileLimits) -> Result<Collector, LoadError> {
        match self.known(module, limits)? {
            Some(collector) => Ok(collector),
            None => self.compile(module, limits),
        }
    }

    /// The collector that was compiled before, if there is one. Costs no compilation.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load), also where compiling it under these limits failed before.
    pub fn known(&self, module: &Module, limits: &CompileLimits) -> Result<Option<Collector>, LoadError> {
        let Some(cache) = &self.cache else { return Ok(None) };
        let began = Instant::now();
        if let Some(entry) = cache.get(&self.engine, &module.sha256()) {
            let component = entry.load(&self.engine);
            let compilation = Compilation { cached: true, time: began.elapsed() };
            return self.collector(module, component, compilation).map(Some);
        }
        let failure = cache.failure(&self.engine, &module.sha256());
        match failure.and_then(|failure| self.compiler.known_failure(failure, limits)) {
            Some(error) => Err(not_compiled(module, error)),
            None => Ok(None),
        }
    }

    /// Compiles a module that is not [`known`](Self::known), with what `attempt` allows of its `limits`: nothing if it needed more than
    /// that.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn attempt(
        &self,
        module: &Module,
        limits: &CompileLimits,
        attempt: &CompileLimits,
    ) -> Result<Option<Collector>, LoadError> {
        let began = Instant::now();
        let bytes = module.bytes()?;
        let room = self.memory.room_for_compiler(attempt.memory);
        let compiled = self.compiler.compile(&bytes, attempt, room.bytes());
        drop(room);
        let code = match compiled {
            Err(error) if error.is_worth_more(attempt, limits) => return Ok(None),
            Err(error) => {
                self.keep_failure(module, &error, limits);
                return Err(not_compiled(module, error));
            }
            Ok(code) => code,
        };
        let compilation = || Compilation { cached: false, time: began.elapsed() };
        if let Some(cache) = &self.cache {
            match cache.put(&self.engine, &module.sha256(), &code) {
                Err(error) => {
                    tracing::warn!("{}: cannot cache the compiled module: {error}", module.path().display());
                }
                // What is mapped from the file takes no memory that the system could not have back.
                Ok(()) => {
                    if let Some(entry) = cache.get(&self.engine, &module.sha256()) {
                        drop(code);
                        let component = entry.load(&self.engine);
                        return self.collector(module, component, compilation()).map(Some);
                    }
                }
            }
        }
        #[expect(unsafe_code, reason = "loading native code is what this is about")]
        // SAFETY: our own compiler made it, in our own child process.
        let component = unsafe { Component::deserialize(&self.engine, code) };
        self.collector(module, component, compilation()).map(Some)
    }

    /// Compiles a module that is not [`known`](Self::known).
    fn compile(&self, module: &Module, limits: &CompileLimits) -> Result<Collector, LoadError> {
        let compiled = self.attempt(module, limits, limits)?;
        // No limit is above those of the attempt.
        compiled.ok_or_else(|| not_compiled(module, CompileError::OutOfTime(limits.time)))
    }

    fn keep_failure(&self, module: &Module, error: &CompileError, limits: &CompileLimits) {
        if let Some(cache) = &self.cache
            && let Some(failure) = self.compiler.failure(error, limits)
            && let Err(error) = cache.put_failure(&self.engine, &module.sha256(), &failure)
        {
            tracing::warn!("{}: cannot store that its compilation failed: {error}", module.path().display());
        }
    }

    /// The collector that a component is, if everything it imports is there.
    fn collector(
        &self,
        module: &Module,
        component: wasmtime::Result<Component>,
        compilation: Compilation,
    ) -> Result<Collector, LoadError> {
        let path = module.path();
        let component = component.map_err(|error| LoadError::Invalid {
            path: path.to_owned(),
            detail: one_line(&format!("{error:#}"), MAX_DETAIL),
        })?;
        let wrong_type = |error: wasmtime::Error| {
            let mut detail = format!("{error:#}");
            if let Some(expected) = contract_hints::should_be(&detail) {
                detail = format!("{detail}; {expected}");
            }
            LoadError::WrongType { path: path.to_owned(), detail: one_line(&detail, MAX_DETAIL) }
        };
        self.check_world(path, &component)?;
        let pre = self.linker.instantiate_pre(&component).map_err(wrong_type)?;
        let pre = CollectorPre::new(pre).map_err(wrong_type)?;
        Ok(Collector { pre, sha256: module.sha256(), compilation, last_peak: AtomicUsize::new(0) })
    }

    /// Names the first import that does not exist here, or the export that is missing.
    fn check_world(&self, path: &Path, component: &Component) -> Result<(), LoadError> {
        let world = component.component_type();
        for (name, _) in world.imports(&self.engine) {
            if Interface::of(name).is_none() {
                return Err(LoadError::UnknownImport { path: path.to_owned(), import: one_line(name, MAX_DETAIL) });
            }
        }
        let collect = world.get_export(&self.engine, "collect");
        if collect.is_none() {
            let exports = world.exports(&self.engine).map(|(name, _)| one_line(name, 200)).take(20).collect();
            return Err(LoadError::NoCollect { path: path.to_owned(), exports });
        }
        Ok(())
    }
}

/// What `fuzz/` calls: makes a component of a core module, or says why it is no collector.
#[cfg(fuzzing)]
pub fn componentized(module: &[u8]) -> Result<Vec<u8>, String> {
    componentize::componentize(module).map_err(|error| error.to_string())
}

/// What a failure of the compiler means for a module.
fn not_compiled(module: &Module, error: CompileError) -> LoadError {
    let path = module.path().to_owned();
    match error {
        CompileError::NotACollector(detail) => LoadError::CoreModule { path, detail },
        CompileError::Invalid(detail) => LoadError::Invalid { path, detail },
        error => LoadError::NotCompiled { path, error },
    }
}
