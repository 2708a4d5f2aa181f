//! Compilation of untrusted modules, in a process of its own.
//!
//! The compiler cannot be cancelled, and a module can be made to cost it minutes and gigabytes. So it runs in a child (this very
//! program, under a hidden command) that has limits on its processor time and memory, an empty environment, and nothing
//! but the module; what exceeds a limit is killed with the child. The child also lifts core modules, since that reads them.

use std::{
    borrow::Cow,
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmparser::{Parser, Payload};
use wasmtime::Engine;

use super::{engine::compiler_config, lift::lift};
use crate::text::one_line;

/// The hidden command under which the child runs.
pub(super) const COMMAND: &str = "compile";
/// How large a compiled form may be at any rate, in bytes, and how many times as large as its module. Those of language runtimes
/// are two to five times as large. A few bytes of data, far apart, make sixteen MiB in every core module.
const MAX_COMPILED: u64 = 64 << 20;
const MAX_GROWTH: u64 = 8;
/// The largest fault text that a child is given room for, in bytes.
const MAX_FAULT: usize = 1000;
/// What the first byte of a child's answer says.
const COMPILED: u8 = b'C';
const NOT_A_COLLECTOR: u8 = b'L';
const INVALID: u8 = b'I';
const TOO_MANY_FUNCTIONS: u8 = b'F';

/// How modules are compiled.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program that has the hidden command, ours; or none, to compile in this process.
    program: Option<PathBuf>,
    limits: CompileLimits,
}

/// What a module may be and what its compilation may use. Half a gigabyte and twenty seconds are what the largest language
/// runtimes need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompileLimits {
    /// Bytes of the module file. Python's are of 18 MB.
    pub module_bytes: u64,
    /// Functions that the module defines, those of all its core modules together. Python's has about 30 000.
    pub functions: u32,
    /// Processor time, all threads together.
    pub time: Duration,
    /// Address space, in bytes.
    pub memory: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        Self { module_bytes: 64 << 20, functions: 200_000, time: Duration::from_mins(2), memory: 4 << 30 }
    }
}

/// Why a module was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A core module is not what the contract says.
    #[error("{0}")]
    NotACollector(String),
    /// The module is damaged, or uses what the engine does not offer.
    #[error("{0}")]
    Invalid(String),
    /// It took more than it may.
    #[error(
        "the compiler was stopped ({how}); it may use {} (limit compile_time) and {} (limit compile_memory)",
        humantime::format_duration(limits.time),
        bytesize::ByteSize(limits.memory).display().iec()
    )]
    Stopped {
        /// How it ended.
        how: String,
        /// What it may use.
        limits: CompileLimits,
    },
    /// What it was compiled to is too large to be kept and loaded.
    #[error(
        "its compiled form has more than {}, which is {} and {MAX_GROWTH} times the module; no setting raises that",
        bytesize::ByteSize(*.0).display().iec(),
        bytesize::ByteSize(MAX_COMPILED).display().iec()
    )]
    Outgrown(u64),
    /// It defines more functions than it may.
    #[error("it defines more than {0} functions (limit module_functions)")]
    TooManyFunctions(u32),
    /// The child could not be started or talked to.
    #[error("the compiler does not run: {0}")]
    Child(std::io::Error),
}

impl Compiler {
    /// A compiler that runs `program`, which must be this one.
    pub fn new(program: PathBuf, limits: CompileLimits) -> Self {
        Self { program: Some(program), limits }
    }

    /// A compiler in this very process: nothing bounds it. For tests and fuzzing, which load thousands of small modules.
    pub fn unbounded() -> Self {
        Self { program: None, limits: CompileLimits::default() }
    }

    /// The limits that hold where no others are given.
    pub(super) fn limits(&self) -> &CompileLimits {
        &self.limits
    }

    /// The compiled form of a component or core module: native code that only an engine of the same settings loads.
    ///
    /// # Errors
    ///
    /// When the module cannot be compiled within the limits.
    pub(super) fn compile(&self, module: &[u8], limits: &CompileLimits) -> Result<Vec<u8>, CompileError> {
        let Some(program) = &self.program else { return compile(module) };
        let mut child = Command::new(program)
            .arg(COMMAND)
            .args([limits.time.as_secs().to_string(), limits.memory.to_string(), limits.functions.to_string()])
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(CompileError::Child)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        // The child answers only when it has read everything, so that one direction after the other is enough.
        let sent = stdin.map_or(Ok(()), |mut stdin| stdin.write_all(module));
        let mut answer = Vec::new();
        let most = MAX_COMPILED.saturating_add((module.len() as u64).saturating_mul(MAX_GROWTH));
        // A child that has more to say than is read notices that nobody listens, and ends.
        let received = stdout.map_or(Ok(0), |stdout| stdout.take(most.saturating_add(1)).read_to_end(&mut answer));
        let status = child.wait().map_err(CompileError::Child)?;
        if answer.len() as u64 > most {
            return Err(CompileError::Outgrown(most));
        }
        if let Some(signal) = status.signal() {
            let how = match signal {
                libc::SIGKILL | libc::SIGXCPU => "out of time".to_owned(),
                libc::SIGABRT | libc::SIGSEGV => "out of memory".to_owned(),
                other => format!("signal {other}"),
            };
            return Err(CompileError::Stopped { how, limits: *limits });
        }
        sent.and(received).map_err(CompileError::Child)?;
        match answer.first() {
            Some(&COMPILED) if status.success() => {
                answer.remove(0);
                Ok(answer)
            }
            Some(&TOO_MANY_FUNCTIONS) => Err(CompileError::TooManyFunctions(limits.functions)),
            Some(&kind @ (NOT_A_COLLECTOR | INVALID)) => {
                let text = String::from_utf8_lossy(answer.get(1..).unwrap_or_default());
                let text = one_line(&text, MAX_FAULT);
                Err(if kind == INVALID { CompileError::Invalid(text) } else { CompileError::NotACollector(text) })
            }
            // A panic: of the compiler, or of the runtime library when it could not have a thread or a stack.
            _ => Err(CompileError::Stopped { how: format!("out of memory, or by a fault: {status}"), limits: *limits }),
        }
    }
}

/// The child's side: limits itself, reads a module from stdin, and writes the answer to stdout.
///
/// # Errors
///
/// When the limits cannot be set, or the pipes are gone.
pub fn serve(limits: CompileLimits) -> std::io::Result<()> {
    let limit = |resource, value| setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) });
    limit(Resource::Cpu, limits.time.as_secs())?;
    limit(Resource::As, limits.memory)?;
    limit(Resource::Core, 0)?;
    let mut module = Vec::new();
    std::io::stdin().lock().read_to_end(&mut module)?;
    let (kind, answer) = match within(&module, limits.functions).and_then(|()| compile(&module)) {
        Ok(code) => (COMPILED, code),
        Err(CompileError::NotACollector(text)) => (NOT_A_COLLECTOR, text.into_bytes()),
        Err(CompileError::TooManyFunctions(_)) => (TOO_MANY_FUNCTIONS, Vec::new()),
        Err(error) => (INVALID, error.to_string().into_bytes()),
    };
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&[kind])?;
    stdout.write_all(&answer)?;
    stdout.flush()
}

/// An error if a module defines more functions than it may. What cannot be read is for the compiler to say.
fn within(module: &[u8], functions: u32) -> Result<(), CompileError> {
    let defined = Parser::new(0).parse_all(module).map_while(Result::ok).filter_map(|payload| match payload {
        Payload::FunctionSection(section) => Some(section.count()),
        _ => None,
    });
    if defined.fold(0, u32::saturating_add) > functions {
        return Err(CompileError::TooManyFunctions(functions));
    }
    Ok(())
}

/// Whether this is a core module, by its layer field, bytes 6 and 7: 0 is a core module, 1 a component (component-model binary
/// format).
pub(super) fn is_core_module(module: &[u8]) -> bool {
    matches!(module.get(6..8), Some([0, 0]))
}

fn compile(module: &[u8]) -> Result<Vec<u8>, CompileError> {
    let component = if is_core_module(module) {
        Cow::Owned(lift(module).map_err(|error| CompileError::NotACollector(error.to_string()))?)
    } else {
        Cow::Borrowed(module)
    };
    let invalid = |error: wasmtime::Error| CompileError::Invalid(one_line(&format!("{error:#}"), MAX_FAULT));
    Engine::new(&compiler_config()).and_then(|engine| engine.precompile_component(&component)).map_err(invalid)
}
