//! Compilation of untrusted modules, in a child process.
//!
//! The compiler cannot be cancelled, and a hostile module can make it use minutes and gigabytes. So it runs in a child process (this
//! program, under a hidden command) that has limits on its processor time and memory, an empty environment, and no input
//! but the module; the system kills the child when it exceeds a limit. The child also componentizes core modules, because that reads
//! untrusted bytes too. Before it reads the module, it gives up every other privilege: see [`super::compiler_confinement`].
//!
//! The child's standard input stays open until its answer was read, and a thread of the child waits for its end. So the child
//! ends with the process that started it, even if that process is killed.

use std::{
    borrow::Cow,
    io::{self, Read, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, SystemTime},
};

use pattoo_base::{invariant::Invariant as _, text::one_line};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use wasmparser::{Parser, Payload};
use wasmtime::Engine;

use super::{
    compile_limits::CompileLimits,
    compiler_confinement::confine,
    componentize::componentize,
    failed_compilations::{CompileFailure, identity},
};
use crate::{
    address_space, control_group,
    engine::{MemoryLayout, compiler_config},
    process_memory::for_compilers,
};

/// The hidden command under which the child runs.
pub(super) const COMMAND: &str = "compile";
/// How large a compiled form may be at any rate, in bytes, and how many times as large as its module. Those of language runtimes
/// are two to five times as large. A few bytes of data, far apart, make sixteen MiB in every core module.
const MAX_COMPILED: u64 = 64 << 20;
const MAX_GROWTH: u64 = 8;
/// The largest fault text that a child is given room for, in bytes.
const MAX_FAULT: usize = 1000;
/// How many times its limit on processor time a child may take, and how long at least: on a machine that has little time for it.
const PATIENCE: u32 = 20;
const LEAST_PATIENCE: Duration = Duration::from_mins(2);
/// What the first byte of a child's answer says: whether it confined itself.
const CONFINED: u8 = b'+';
const NOT_CONFINED: u8 = b'-';
/// What the second byte says.
const COMPILED: u8 = b'C';
const NOT_A_COLLECTOR: u8 = b'L';
const INVALID: u8 = b'I';
const TOO_MANY_FUNCTIONS: u8 = b'F';
const OUT_OF_MEMORY: u8 = b'M';
const NO_MODULE: u8 = b'N';
/// What the runtime library and the system say when there is no memory for something, threads included.
const NO_MEMORY: [&str; 4] = ["memory allocation of ", "os error 11)", "os error 12)", "out of memory"];

/// How modules are compiled.
#[derive(Debug, Clone)]
pub struct Compiler {
    /// The program that has the hidden command; none compiles in this process.
    program: Option<PathBuf>,
    limits: CompileLimits,
    /// Identifies the program, so that a failure of an earlier version is not taken over.
    identity: String,
    /// How much data any compilation may have in memory, in bytes.
    ceiling: u64,
    /// What the code is for.
    layout: MemoryLayout,
}

/// Why a module was not compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A core module does not follow the contract.
    #[error("{0}")]
    NotACollector(String),
    /// The module is damaged, or uses what the engine does not offer.
    #[error("{0}")]
    Invalid(String),
    /// It took more processor time than it may.
    #[error(
        "compilation took more than {} of processor time (limit compile_time)",
        humantime::format_duration(*.0)
    )]
    OutOfTime(Duration),
    /// It needed more memory than it may use.
    #[error("compilation needed more than {} of memory (limit compile_memory)", bytesize::ByteSize(*.0).display().iec())]
    OutOfMemory(u64),
    /// It needed more memory than it may use, and that is less than its limit here.
    #[error(
        "compilation needed more memory than allowed: {} of data, which is what this machine or control group \
         has, and {} of address space (limit compile_memory)",
        bytesize::ByteSize(*.ceiling).display().iec(),
        bytesize::ByteSize(*.limit).display().iec()
    )]
    OverCeiling {
        /// How much data it might have.
        ceiling: u64,
        /// What its own limit allows.
        limit: u64,
    },
    /// The system killed it, before it had reached a limit of ours.
    #[error(
        "the system killed the compiler{}; it had not reached its limit of {} (limit compile_memory)",
        if *.for_memory { " because the control group had no memory left" } else { ", as it does when memory runs out" },
        bytesize::ByteSize(*.limit).display().iec()
    )]
    Killed {
        /// Whether the system said that this was for want of memory.
        for_memory: bool,
        /// What it may use.
        limit: u64,
    },
    /// It did not end.
    #[error("the compiler did not end within {}", humantime::format_duration(*.0))]
    Stuck(Duration),
    /// What it was compiled to is too large to be kept and loaded.
    #[error(
        "its compiled form is larger than {} ({} plus {MAX_GROWTH} times the module), and no setting raises this limit",
        bytesize::ByteSize(*.0).display().iec(),
        bytesize::ByteSize(MAX_COMPILED).display().iec()
    )]
    Outgrown(u64),
    /// It defines more functions than it may.
    #[error("it defines more than {0} functions (limit module_functions)")]
    TooManyFunctions(u32),
    /// The compiler failed, or the child is not our compiler.
    #[error("the compiler failed: {0}")]
    Fault(String),
    /// The same failed before, and is not tried again.
    #[error("{error}; this was {} ago, and the module is not compiled again with the same limits", humantime::format_duration(*.age))]
    Before {
        /// How it failed.
        error: Box<CompileError>,
        /// How long ago.
        age: Duration,
    },
    /// The child could not be started, or the pipes to it failed.
    #[error("cannot start the compiler: {0}")]
    Child(io::Error),
}

impl CompileError {
    /// Whether it might have gone well with more time or memory.
    fn is_of_limits(&self) -> bool {
        matches!(
            self,
            Self::OutOfTime(_) | Self::OutOfMemory(_) | Self::OverCeiling { .. } | Self::Killed { .. } | Self::Stuck(_)
        )
    }

    /// Whether a compilation under `tried` that ended so might end otherwise under `limits`.
    pub(super) fn is_worth_more(&self, tried: &CompileLimits, limits: &CompileLimits) -> bool {
        self.is_of_limits() && (tried.time < limits.time || tried.memory < limits.memory)
    }

    /// What to do about it.
    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::OutOfTime(_) | Self::OutOfMemory(_) => {
                "raise the limit if you trust the module: usually only broken or hostile modules cost so much"
            }
            Self::OverCeiling { .. } | Self::Killed { .. } => {
                "give this machine or control group more memory (`MemoryMax=` of the unit), or compile the module where there is more"
            }
            Self::Outgrown(_) => "use another build of the module: usually only broken or hostile modules grow so much",
            Self::TooManyFunctions(_) => {
                "raise `module_functions` under `limits:` (`--limit` of `run`) if you trust the module"
            }
            Self::NotACollector(_) | Self::Invalid(_) => {
                "build the module again; if it was copied, compare its size and digest"
            }
            Self::Fault(_) | Self::Stuck(_) => {
                "report this with the module: the compiler has a bug, or the module is hostile"
            }
            Self::Before { error, .. } => error.help(),
            Self::Child(_) => "check that this program can start itself, and that there is free memory",
        }
    }
}

/// What a child answered, and how it ended.
struct Ended {
    sent: io::Result<()>,
    answer: io::Result<Vec<u8>>,
    said: String,
    status: ExitStatus,
    was_killed_by_us: bool,
}

impl Compiler {
    /// A compiler that runs `program`, which must be this one.
    pub fn new(program: PathBuf, limits: CompileLimits) -> Self {
        Self {
            identity: identity(&program),
            program: Some(program),
            limits,
            ceiling: for_compilers(control_group::memory()).min(address_space::limit().unwrap_or(u64::MAX)),
            layout: MemoryLayout::Reserved,
        }
    }

    /// A compiler in this process, without limits. For tests and fuzzing, which load thousands of small modules.
    pub fn unbounded() -> Self {
        let (limits, identity, layout) = (CompileLimits::default(), String::new(), MemoryLayout::Reserved);
        Self { program: None, limits, identity, ceiling: u64::MAX, layout }
    }

    /// The same, for code with this layout of memories.
    pub(crate) fn with_layout(self, layout: MemoryLayout) -> Self {
        Self { layout, ..self }
    }

    /// The layout of memories that the code is for.
    pub(crate) fn layout(&self) -> MemoryLayout {
        self.layout
    }

    /// What is to be kept of a failure under these limits, if anything.
    pub(super) fn failure(&self, error: &CompileError, limits: &CompileLimits) -> Option<CompileFailure> {
        self.program.as_ref().and_then(|_| CompileFailure::of(error, &self.identity, limits, self.ceiling, now()))
    }

    /// The failure that a compilation under these limits would come to, by what is kept of one before.
    pub(super) fn known_failure(&self, failure: CompileFailure, limits: &CompileLimits) -> Option<CompileError> {
        failure.counts(&self.identity, limits, self.ceiling, now())
    }

    /// The default limits.
    pub(super) fn limits(&self) -> &CompileLimits {
        &self.limits
    }

    /// What to tell an operator of a system where the compiling child keeps more than it needs; nothing where it gives that up. Starts a
    /// child to learn it.
    pub fn unconfined(&self) -> Option<String> {
        let program = self.program.as_ref()?;
        let tried = child_on(program, &[], &self.limits, self.ceiling, self.layout, MAX_FAULT as u64);
        let why = match tried.and_then(|Ended { answer, said, status, .. }| {
            let answer = answer.map_err(CompileError::Child)?;
            match answer.split_first() {
                Some((&CONFINED, _)) => Ok(None),
                Some((&NOT_CONFINED, rest)) => Ok(Some(rest.get(1..).unwrap_or_default().to_vec())),
                _ => Err(CompileError::Fault(fault(status, &said))),
            }
        }) {
            Ok(None) => return None,
            Ok(Some(why)) => String::from_utf8_lossy(&why).into_owned(),
            Err(error) => error.to_string(),
        };
        let why = one_line(&why, MAX_FAULT);
        Some(format!(
            "modules are compiled without a filter of system calls (seccomp): {why}; a module that takes control of the compiler \
             could use files and the network with the rights of this user"
        ))
    }

    /// The compiled form of a component or core module: native code that only an engine of the same settings loads.
    ///
    /// # Errors
    ///
    /// When the module cannot be compiled within the limits.
    pub(super) fn compile(&self, module: &[u8], limits: &CompileLimits, ceiling: u64) -> Result<Vec<u8>, CompileError> {
        let Some(program) = &self.program else { return compile(module, self.layout) };
        let ceiling = ceiling.min(self.ceiling);
        let most = MAX_COMPILED.saturating_add((module.len() as u64).saturating_mul(MAX_GROWTH));
        let kills = control_group::kills();
        let Ended { sent, answer, said, status, was_killed_by_us } =
            child_on(program, module, limits, ceiling, self.layout, most)?;
        let out_of_memory = || {
            let limit = limits.memory;
            if ceiling < limit {
                CompileError::OverCeiling { ceiling, limit }
            } else {
                CompileError::OutOfMemory(limit)
            }
        };
        let had_no_memory = NO_MEMORY.iter().any(|words| said.contains(words));
        if answer.as_ref().is_ok_and(|answer| answer.len() as u64 > most.saturating_add(2)) {
            return Err(CompileError::Outgrown(most));
        }
        if was_killed_by_us {
            return Err(CompileError::Stuck(patience(limits)));
        }
        match status.signal() {
            None => {}
            Some(libc::SIGXCPU) => return Err(CompileError::OutOfTime(limits.time)),
            Some(libc::SIGKILL) => {
                let for_memory = control_group::kills().zip(kills).is_some_and(|(now, before)| now > before);
                return Err(CompileError::Killed { for_memory, limit: limits.memory.min(ceiling) });
            }
            Some(libc::SIGABRT) if had_no_memory => return Err(out_of_memory()),
            Some(_) => return Err(CompileError::Fault(fault(status, &said))),
        }
        let mut answer = answer.map_err(CompileError::Child)?;
        match answer.get(1) {
            Some(&COMPILED) if status.success() => {
                answer.drain(..2);
                sent.map_err(CompileError::Child)?;
                Ok(answer)
            }
            Some(&TOO_MANY_FUNCTIONS) => Err(CompileError::TooManyFunctions(limits.functions)),
            Some(&OUT_OF_MEMORY) => Err(out_of_memory()),
            Some(&kind @ (NOT_A_COLLECTOR | INVALID)) => {
                let text = String::from_utf8_lossy(answer.get(2..).unwrap_or_default());
                let text = one_line(&text, MAX_FAULT);
                Err(if kind == INVALID { CompileError::Invalid(text) } else { CompileError::NotACollector(text) })
            }
            // The runtime library could not have a thread or a stack.
            _ if had_no_memory => Err(out_of_memory()),
            _ => Err(CompileError::Fault(fault(status, &said))),
        }
    }
}

/// How a child ended that did not answer, in words.
fn fault(status: ExitStatus, said: &str) -> String {
    let said = said.trim();
    one_line(&if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }, MAX_FAULT)
}

/// The time since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// How long a child may take by the clock.
fn patience(limits: &CompileLimits) -> Duration {
    limits.time.saturating_mul(PATIENCE).max(LEAST_PATIENCE)
}

/// Has a child of `program` compile a module within these limits; `ceiling` is how many bytes of memory it may write to.
fn child_on(
    program: &Path,
    module: &[u8],
    limits: &CompileLimits,
    ceiling: u64,
    layout: MemoryLayout,
    most: u64,
) -> Result<Ended, CompileError> {
    let mut command = Command::new(program);
    let numbers = [limits.time.as_secs(), limits.memory, ceiling, limits.functions.into()];
    command.arg(COMMAND).args(numbers.map(|number| number.to_string()));
    if layout == MemoryLayout::Checked {
        command.arg("--checked");
    }
    run(command, module, limits, most)
}

/// Has a child answer to a module, with at most `most` bytes and one.
fn run(mut command: Command, module: &[u8], limits: &CompileLimits, most: u64) -> Result<Ended, CompileError> {
    let child = command
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(CompileError::Child)?;
    let handle =
        pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).map_err(|error| CompileError::Child(error.into()));
    let (ended, watched) = channel::<()>();
    thread::scope(|scope| {
        let handle = handle?;
        let watch = move || {
            let late = watched.recv_timeout(patience(limits)) == Err(RecvTimeoutError::Timeout);
            late && pidfd_send_signal(&handle, Signal::KILL).is_ok()
        };
        let watch = thread::Builder::new().spawn_scoped(scope, watch).map_err(CompileError::Child)?;
        let exchanged = exchange(child, module, most);
        drop(ended);
        let (sent, answer, said, status) = exchanged?;
        let was_killed_by_us = watch.join().ok().or_broken("the watch over a compiler does not panic", false);
        Ok(Ended { sent, answer, said, status, was_killed_by_us })
    })
}

type Exchange = (io::Result<()>, io::Result<Vec<u8>>, String, ExitStatus);

/// Sends the module, reads the answer and waits for the end.
fn exchange(mut child: Child, module: &[u8], most: u64) -> Result<Exchange, CompileError> {
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    // The child answers only when it has read everything, so the two directions can follow each other.
    let mut stdin = child.stdin.take();
    let sent = stdin.as_mut().map_or_else(
        || Err(gone()),
        |stdin| {
            stdin.write_all(&(module.len() as u64).to_le_bytes())?;
            stdin.write_all(module)
        },
    );
    let mut bytes = Vec::new();
    // A child that writes more than is read gets an error when it writes, and ends.
    let read = child
        .stdout
        .take()
        .map_or_else(|| Err(gone()), |stdout| stdout.take(most.saturating_add(3)).read_to_end(&mut bytes));
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        // What it says beside its answer is for people: none of it may be missing.
        let _ = stderr.take(MAX_FAULT as u64).read_to_end(&mut said);
    }
    let status = child.wait();
    drop(stdin);
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok((sent, read.map(|_| bytes), said, status.map_err(CompileError::Child)?))
}

/// The child's side: limits and confines itself (`data` is how many bytes of memory it may write to), reads a module from stdin, and
/// writes the answer to stdout: code for memories with this layout.
///
/// # Errors
///
/// When the limits cannot be set, or the pipes are gone.
pub fn serve(limits: CompileLimits, data: u64, layout: MemoryLayout) -> io::Result<()> {
    let confined = confine(&limits, data)?;
    let mut stdin = io::stdin().lock();
    let mut length = [0; 8];
    stdin.read_exact(&mut length)?;
    let mut module = Vec::new();
    let length = u64::from_le_bytes(length);
    if stdin.by_ref().take(length).read_to_end(&mut module)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    drop(stdin);
    // No more input comes; the wait ends when the process that reads the answer ends.
    thread::Builder::new().name("end".into()).spawn(|| {
        let _ = io::stdin().lock().read(&mut [0]);
        std::process::exit(1);
    })?;
    let (kind, answer) = if module.is_empty() {
        (NO_MODULE, confined.as_ref().err().cloned().unwrap_or_default().into_bytes())
    } else {
        match within(&module, limits.functions).and_then(|()| compile(&module, layout)) {
            Ok(code) => (COMPILED, code),
            Err(CompileError::NotACollector(text)) => (NOT_A_COLLECTOR, text.into_bytes()),
            Err(CompileError::TooManyFunctions(_)) => (TOO_MANY_FUNCTIONS, Vec::new()),
            Err(error) => {
                let text = error.to_string();
                let no_memory = NO_MEMORY.iter().any(|words| text.contains(words));
                if no_memory { (OUT_OF_MEMORY, Vec::new()) } else { (INVALID, text.into_bytes()) }
            }
        }
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(&[if confined.is_ok() { CONFINED } else { NOT_CONFINED }, kind])?;
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

fn compile(module: &[u8], layout: MemoryLayout) -> Result<Vec<u8>, CompileError> {
    let component = if is_core_module(module) {
        Cow::Owned(componentize(module).map_err(|error| CompileError::NotACollector(error.to_string()))?)
    } else {
        Cow::Borrowed(module)
    };
    let invalid = |error: wasmtime::Error| CompileError::Invalid(one_line(&format!("{error:#}"), MAX_FAULT));
    Engine::new(&compiler_config(layout)).and_then(|engine| engine.precompile_component(&component)).map_err(invalid)
}
