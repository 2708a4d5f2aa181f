//! What the compiling child gives up before it reads a module.
//!
//! A compiler reads bytes from one pipe, computes, and writes bytes to two others. The child gives up every other privilege,
//! permanently and for all its threads: a filter of system calls (seccomp) allows memory, threads, time and those three
//! pipes, and answers everything else with EPERM. So a module that takes over the compiler gets no file, no socket, no other process
//! and no new executable memory. The filter needs no privilege and works beneath another one, such as that of the systemd unit.

use std::collections::BTreeMap;

use rustix::process::{Resource, Rlimit, getrlimit, setpriority_process, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter_all_threads,
};

use super::CompileLimits;

/// How much later than by `SIGXCPU` a child that uses too much processor time is killed, in seconds.
const CPU_GRACE: u64 = 5;
/// The priority of the child, as `nice` counts: collections go first.
const NICE: i32 = 5;
/// Of all processes of a control group that has no memory left, the kernel kills the one with the highest score.
const OOM_SCORE: &str = "1000";

/// Gives up the privileges of this process that a compiler does not need; `data` is how many bytes of memory it may write to. An error says why the filter of system calls is not there; all else is.
///
/// # Errors
///
/// The outer one when a limit cannot be set, without which nothing may be compiled.
pub(super) fn confine(limits: &CompileLimits, data: u64) -> std::io::Result<Result<(), String>> {
    let limit = |resource, soft: u64, hard: u64| {
        // Only root could raise what this process inherited, such as `ulimit -v`.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        setrlimit(resource, Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) })
    };
    // Without these two, the child competes with collections for time and memory; it is as safe.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let _ = setpriority_process(None, NICE);
    close_inherited();
    let seconds = limits.time.as_secs();
    // Two limits, so that its end says whether it was the time.
    limit(Resource::Cpu, seconds, seconds.saturating_add(CPU_GRACE))?;
    limit(Resource::As, limits.memory, limits.memory)?;
    limit(Resource::Data, data, data)?;
    limit(Resource::Core, 0, 0)?;
    limit(Resource::Fsize, 0, 0)?;
    limit(Resource::Nofile, 3, 3)?;
    Ok(filter())
}

/// Closes descriptors that the parent inherited, beside the three pipes. An older kernel cannot; the filter allows no
/// call on it.
fn close_inherited() {
    const FIRST: libc::c_long = 3;
    #[expect(unsafe_code, reason = "no library closes what it does not own")]
    // SAFETY: this process has opened nothing so far, so that nobody in it owns a descriptor above the three.
    unsafe {
        libc::syscall(libc::SYS_close_range, FIRST, libc::c_long::from(u32::MAX), 0);
    }
}

/// Puts the filters of system calls in place.
fn filter() -> Result<(), String> {
    for program in filters()? {
        apply_filter_all_threads(&program).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn filters() -> Result<[BpfProgram; 2], String> {
    let words = |error: seccompiler::BackendError| error.to_string();
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(words)?;
    let errno = |code: i32| SeccompAction::Errno(code.unsigned_abs());
    let compiled = |rules, otherwise, matched| -> Result<BpfProgram, String> {
        SeccompFilter::new(rules, otherwise, matched, arch).and_then(BpfProgram::try_from).map_err(words)
    };
    // What this call would do stands in memory, where a filter does not see it. The C library falls back to the older one.
    let clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok([
        compiled(clone3, SeccompAction::Allow, errno(libc::ENOSYS))?,
        compiled(allowed().map_err(words)?, errno(libc::EPERM), SeccompAction::Allow)?,
    ])
}

/// The system calls that stay, each with what its arguments must be.
fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    use SeccompCmpOp::{Eq, MaskedEq};
    let is = |argument, value| SeccompCondition::new(argument, Dword, Eq, value);
    let has = |argument, mask: i32, value: i32| {
        let bits = |flags: i32| u64::from(flags.unsigned_abs());
        SeccompCondition::new(argument, Dword, MaskedEq(bits(mask)), bits(value))
    };
    let rule = |conditions: Vec<SeccompCondition>| SeccompRule::new(conditions);
    let process = u64::from(std::process::id());
    let always = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        libc::SYS_clone3,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_nanosleep,
        libc::SYS_restart_syscall,
        libc::SYS_rseq,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_set_robust_list,
        libc::SYS_sigaltstack,
    ];
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = always.into_iter().map(|call| (call, Vec::new())).collect();
    rules.extend([
        (libc::SYS_read, vec![rule(vec![is(0, 0)?])?]),
        (libc::SYS_write, vec![rule(vec![is(0, 1)?])?, rule(vec![is(0, 2)?])?]),
        // Threads, and no processes.
        (libc::SYS_clone, vec![rule(vec![has(0, libc::CLONE_THREAD, libc::CLONE_THREAD)?])?]),
        // Memory of its own that holds data.
        (
            libc::SYS_mmap,
            vec![rule(vec![has(2, libc::PROT_EXEC, 0)?, has(3, libc::MAP_ANONYMOUS, libc::MAP_ANONYMOUS)?])?],
        ),
        (libc::SYS_mprotect, vec![rule(vec![has(2, libc::PROT_EXEC, 0)?])?]),
        // The name of a thread; to read a limit; and to abort.
        (libc::SYS_prctl, vec![rule(vec![has(0, -1, libc::PR_SET_NAME)?])?]),
        (libc::SYS_prlimit64, vec![rule(vec![SeccompCondition::new(2, Qword, Eq, 0)?])?]),
        (libc::SYS_tgkill, vec![rule(vec![is(0, process)?])?]),
    ]);
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{self, Write as _},
        net::{TcpListener, TcpStream, UdpSocket},
        os::unix::net::{UnixDatagram, UnixStream},
        process::Command,
    };

    use wasmtime::{Engine, component::Component};

    use super::filter;
    use crate::engine::{MemoryLayout, compiler_config};

    /// The variable that tells a process which this test started that it is one.
    const CONFINED: &str = "PATTOO_TEST_CONFINED";
    /// With what it ends when all is as it should be.
    const AS_IT_SHOULD_BE: i32 = 77;

    /// What is still possible of what must not be, or impossible of what a compiler needs.
    fn faults() -> Vec<&'static str> {
        let refused = |attempt: io::Result<()>| attempt.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
        let must_not_be = [
            ("read a file", File::open("/proc/self/status").map(drop)),
            ("make a file", File::create("/tmp/pattoo-wasm-confined").map(drop)),
            ("list a folder", std::fs::read_dir("/").map(drop)),
            ("look at a file", std::fs::metadata("/etc/passwd").map(drop)),
            ("listen", TcpListener::bind("127.0.0.1:0").map(drop)),
            ("connect", TcpStream::connect("127.0.0.1:9").map(drop)),
            ("have a datagram socket", UdpSocket::bind("127.0.0.1:0").map(drop)),
            ("have a socket of this machine", UnixDatagram::unbound().map(drop)),
            ("have a pair of sockets", UnixStream::pair().map(drop)),
            ("have a pipe", io::pipe().map(drop)),
            ("start a program", Command::new("/bin/true").status().map(drop)),
            ("signal a process", rustix::process::test_kill_process(rustix::process::Pid::INIT).map_err(Into::into)),
        ];
        let mut faults: Vec<_> =
            must_not_be.into_iter().filter_map(|(what, attempt)| (!refused(attempt)).then_some(what)).collect();
        let engine = Engine::new(&compiler_config(MemoryLayout::Reserved));
        let needed = [
            ("threads", std::thread::Builder::new().spawn(|| ()).is_ok_and(|thread| thread.join().is_ok())),
            ("memory", vec![1_u8; 64 << 20].iter().all(|byte| *byte == 1)),
            ("random numbers", getrandom::fill(&mut [0; 16]).is_ok()),
            ("a compiler", engine.as_ref().is_ok_and(|engine| engine.precompile_component(b"(component)").is_err())),
            ("a compiled form", engine.as_ref().is_ok_and(|engine| engine.precompile_component(&component()).is_ok())),
            ("code that it cannot run", engine.is_ok_and(|engine| Component::new(&engine, component()).is_err())),
        ];
        faults.extend(needed.into_iter().filter_map(|(what, is)| (!is).then_some(what)));
        faults
    }

    fn component() -> Vec<u8> {
        let text = r#"(component
          (core module $m (func (export "f") (result i32) i32.const 1))
          (core instance $i (instantiate $m))
          (func (export "f") (result u32) (canon lift (core func $i "f"))))"#;
        wat::parse_str(text).unwrap()
    }

    #[test]
    fn a_confined_compiler_has_no_file_socket_process_or_code_of_its_own() {
        if std::env::var_os(CONFINED).is_some() {
            let faults = filter().map_or_else(|error| panic!("{error}"), |()| faults());
            let _ = writeln!(io::stderr(), "{faults:?}");
            std::process::exit(if faults.is_empty() { AS_IT_SHOULD_BE } else { 1 });
        }
        let this =
            "load::compiler_confinement::tests::a_confined_compiler_has_no_file_socket_process_or_code_of_its_own";
        let mut test = Command::new(std::env::current_exe().unwrap());
        let confined = test.args(["--exact", this, "--nocapture"]).env(CONFINED, "1").output().unwrap();
        let said = String::from_utf8_lossy(&confined.stderr);
        assert_eq!(confined.status.code(), Some(AS_IT_SHOULD_BE), "{said}");
    }
}
