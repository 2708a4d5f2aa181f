//! What the end-to-end tests share: the command under test, the built collectors, and the peers.
//!
//! `cargo xtask test` builds what is needed and says where it is; a test that finds it missing says
//! so.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test helper fails the test, with the reason, by panicking"
)]

mod assignment;
mod collecting;
mod daemon;
pub mod emitter;
mod environment;
pub mod figures;
mod guests;
mod payload;
mod raw_site;
mod receiver_proxy;
pub mod request_modules;
mod station_peers;
mod stations;
pub mod storing;
pub mod worst_calls;

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
};

use serde_json::Value;

pub use self::{
    assignment::{agent, assignment_with_grants, assignment_without_grants},
    collecting::{Collecting, NOW, candidates, long_assignment_without_grants, long_timeout},
    daemon::{Daemon, Killer, Site, get, resident_kib},
    environment::{in_environment_of, setting, wrapped},
    guests::{COMPOSED, IDLE, SPINNING, component, dependent_branches, emits_and},
    payload::value_of,
    raw_site::{RawSite, http_ok, http_redirect},
    receiver_proxy::{Moment, ReceiverProxy, Scenario},
    station_peers::StationPeers,
    stations::{STATIONS, python_tool, repository, station, station_folder, weather_site},
};

fn from_xtask(variable: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| panic!("{variable} is not set: run `cargo xtask test`"), PathBuf::from)
}

/// The interpreter that has the Python peers installed.
pub fn python() -> PathBuf {
    from_xtask("PATTOO_PEERS_PYTHON")
}

/// The command under test.
pub fn binary() -> PathBuf {
    from_xtask("PATTOO_WASM_BINARY")
}

/// A script of a peer, in `tests/peers`.
pub fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(script)
}

/// A built collector, such as `lava_script`.
pub fn guest(name: &str) -> PathBuf {
    let path = from_xtask("PATTOO_GUESTS").join(format!("{name}.wasm"));
    assert!(path.exists(), "{} does not exist: run `cargo xtask guests`", path.display());
    path
}

/// Whether a program is installed. Where it is not, `cargo xtask test` reports that its tests are
/// skipped, which is a failure with `CI=true`.
pub fn has_program(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// The exit code and output of a finished command.
#[derive(Debug)]
pub struct Finished {
    /// The exit code, if it was not killed.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Finished {
    /// The printed payload, as JSON.
    pub fn body(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("stdout is no JSON: {error}\n{self:#?}"))
    }
}

/// `pattoo-wasm` in its own working folder and home.
#[derive(Debug)]
pub struct Cli {
    home: tempfile::TempDir,
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

impl Cli {
    /// A new home, which is also the folder where commands run.
    pub fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a temporary folder") }
    }

    /// Writes a file into the folder where commands run, atomically: a concurrent reader gets the
    /// old content or the new one.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.home.path().join(name);
        let fresh = self.home.path().join(format!("{name}.fresh"));
        fs::write(&fresh, content).expect("a writable temporary folder");
        fs::rename(&fresh, &path).expect("a writable temporary folder");
        path
    }

    /// The folder where commands run.
    pub fn folder(&self) -> &Path {
        self.home.path()
    }

    /// The command with these arguments, ready to start. It sees no configuration of this machine.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(arguments)
            .current_dir(self.home.path())
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("PATTOO_CONFIGDIR")
            .env("HOME", self.home.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        self.command(arguments).output().expect("the command starts").into()
    }

    /// Starts `receive` on a free port, storing into `received.sqlite3`, with the scenario of
    /// `scenario.yaml`, which is created empty if there is none.
    pub fn receive(&self) -> Running {
        self.receive_at("127.0.0.1:0")
    }

    /// Starts `receive` at this address.
    pub fn receive_at(&self, address: &str) -> Running {
        if !self.folder().join("scenario.yaml").exists() {
            self.file("scenario.yaml", "");
        }
        let mut command = self.command(&[
            "receive",
            "--listen",
            address,
            "--store",
            "received.sqlite3",
            "--scenario",
            "scenario.yaml",
        ]);
        command.stdout(Stdio::null());
        Running::start(&mut command, ReadyLine::OnStderr, |line| {
            line.split_once("receiving on http://")?.1.trim().parse().ok()
        })
    }

    /// The payloads that `receive` stored, in their order.
    pub fn received(&self) -> Vec<Value> {
        let store = rusqlite::Connection::open(self.home.path().join("received.sqlite3")).expect("a store");
        let mut select = store.prepare("SELECT json FROM body ORDER BY id").expect("the table of bodies");
        let rows = select.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.map(|json| serde_json::from_str(&json.expect("a body")).expect("a body is JSON")).collect()
    }
}

/// The stream on which a process reports that it is ready.
#[derive(Debug, Clone, Copy)]
pub enum ReadyLine {
    /// Standard output.
    OnStdout,
    /// Standard error.
    OnStderr,
}

/// A process that serves on loopback. It is killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    address: SocketAddr,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Running {
    /// Starts a process and waits until `ready` finds its address in a line.
    pub fn start(command: &mut Command, ready_line: ReadyLine, ready: impl Fn(&str) -> Option<SocketAddr>) -> Self {
        match ready_line {
            ReadyLine::OnStdout => command.stdout(Stdio::piped()),
            ReadyLine::OnStderr => command.stderr(Stdio::piped()),
        };
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output: Box<dyn std::io::Read + Send> = match ready_line {
            ReadyLine::OnStdout => Box::new(child.stdout.take().expect("a pipe")),
            ReadyLine::OnStderr => Box::new(child.stderr.take().expect("a pipe")),
        };
        let (sender, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut heard = Vec::new();
        let address = loop {
            let Ok(line) = lines.recv() else { panic!("{command:?} ended before it was ready: {heard:#?}") };
            if let Some(address) = ready(&line) {
                break address;
            }
            heard.push(line);
        };
        Self { child, address, lines }
    }

    /// The address where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its output; waits for it up to a minute.
    pub fn next_line(&self) -> String {
        self.lines.recv_timeout(std::time::Duration::from_mins(1)).expect("another line")
    }

    /// The next line of its output, if there is one already.
    pub fn try_next_line(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// Sends SIGINT, as a terminal does with Ctrl-C, and waits for the end.
    pub fn interrupt(self) -> ExitStatus {
        self.signal("INT");
        self.wait()
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(kill.is_ok_and(|status| status.success()), "the process is there");
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("the process ends")
    }

    /// Its standard output, where that is a pipe that is not read yet.
    pub fn take_stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("a pipe")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A Modbus TCP device of pymodbus that prints every request.
pub fn modbus_device(tables: &Value) -> Running {
    let mut command = Command::new(python());
    command.arg(peer("modbus_device.py")).arg(tables.to_string());
    Running::start(&mut command, ReadyLine::OnStdout, port)
}

/// A device of pymodbus on another transport, as its script names it: `rtu+tcp`, or the path of a
/// serial line.
pub fn modbus_device_on(tables: &Value, transport: &str) -> Running {
    let mut command = Command::new(python());
    command.arg(peer("modbus_device.py")).args([&tables.to_string(), transport]);
    Running::start(&mut command, ReadyLine::OnStdout, port)
}

/// A Modbus device that is odd in one way, a mode of `odd_modbus_device.py`, and prints every request.
pub fn odd_modbus_device(mode: &[&str]) -> Running {
    let mut command = Command::new(python());
    command.arg(peer("odd_modbus_device.py")).args(mode);
    Running::start(&mut command, ReadyLine::OnStdout, port)
}

/// A Modbus device of libmodbus that prints every request, on a free port or on a serial line.
///
/// It holds 300 addresses in each table, holding register n being `n * 257 % 65536`, input register
/// n one more, coil n whether 3 divides n, discrete input n whether it does not.
pub fn libmodbus_device(line: Option<&str>) -> Running {
    let mut command = Command::new(compiled("libmodbus_device.c", &["-lmodbus"]));
    command.args(line);
    Running::start(&mut command, ReadyLine::OnStdout, port)
}

/// A device of libmodbus on a free port that prints no requests.
pub fn libmodbus_device_quiet() -> Running {
    let mut command = Command::new(compiled("libmodbus_device.c", &["-lmodbus"]));
    command.args(["-", "quiet"]);
    Running::start(&mut command, ReadyLine::OnStdout, port)
}

/// The address in a line `{"port": N}` of a peer.
pub fn port(line: &str) -> Option<SocketAddr> {
    let port = serde_json::from_str::<Value>(line).ok()?.get("port")?.as_u64()?;
    Some(SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?)))
}

/// A peer in C, compiled into the target folder, and again when its source has changed.
pub fn compiled(source: &str, libraries: &[&str]) -> PathBuf {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = ONE_AT_A_TIME.lock();
    let source = peer(source);
    let modified = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
    let test = env::current_exe().expect("a running test");
    let binary = test.with_file_name(source.file_stem().expect("a file name"));
    if modified(&binary).is_none_or(|built| modified(&source).is_none_or(|changed| built < changed)) {
        // Another test process may compile the same file now: renaming makes sure that the binary
        // is always complete.
        let fresh =
            tempfile::NamedTempFile::new_in(binary.parent().expect("a folder")).expect("a writable target folder");
        let built = fresh.into_temp_path();
        let status = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-o"])
            .arg(&built)
            .arg(&source)
            .args(libraries)
            .status()
            .expect("cc is there: run `cargo xtask test`");
        assert!(status.success(), "{} does not compile: is libmodbus-dev installed?", source.display());
        built.persist(&binary).expect("a writable target folder");
    }
    drop(guard);
    binary
}

/// Two ends of a serial line: pseudo-terminals that `socat` connects.
#[derive(Debug)]
pub struct SerialPair {
    folder: tempfile::TempDir,
    _socat: Running,
}

impl SerialPair {
    /// Connects two pseudo-terminals.
    pub fn new() -> Self {
        Self::joined(|end| end("b"))
    }

    /// A pseudo-terminal connected to a serial server at this address.
    pub fn to(address: SocketAddr) -> Self {
        Self::joined(|_| format!("tcp:{address},nodelay"))
    }

    fn joined(other: impl Fn(&dyn Fn(&str) -> String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let end = |name: &str| format!("pty,raw,echo=0,link={}", folder.path().join(name).display());
        let mut command = Command::new("socat");
        command.args(["-d", "-d", &end("a"), &other(&end)]);
        let ready =
            |line: &str| line.contains("starting data transfer loop").then_some(SocketAddr::from(([0, 0, 0, 0], 0)));
        let socat = Running::start(&mut command, ReadyLine::OnStderr, ready);
        Self { folder, _socat: socat }
    }

    /// The device files of both ends; a line to a serial server has only the first.
    pub fn ends(&self) -> [String; 2] {
        ["a", "b"].map(|name| self.folder.path().join(name).display().to_string())
    }
}

impl Default for SerialPair {
    fn default() -> Self {
        Self::new()
    }
}

/// A web site with the files in `folder`, by Python's `http.server`.
pub fn web_site(folder: &Path) -> Running {
    let mut command = Command::new(python());
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory"]).arg(folder);
    command.stderr(Stdio::null());
    Running::start(&mut command, ReadyLine::OnStdout, |line| {
        // "Serving HTTP on 127.0.0.1 port 40123 (http://127.0.0.1:40123/) ..."
        line.split_once("(http://")?.1.split('/').next()?.parse().ok()
    })
}

/// A web site that responds as the path says: `/status/500`, `/bytes/9000000`, `/redirect?URL`.
pub fn faulty_site() -> Running {
    let mut command = Command::new(python());
    command.arg(peer("faulty_site.py"));
    Running::start(&mut command, ReadyLine::OnStdout, |line| {
        line.split_once("(http://")?.1.split('/').next()?.parse().ok()
    })
}

/// The datapoints of a payload as `pattoo_shared` reads them on the server.
pub fn pattoo_records(body: &Value) -> Vec<Value> {
    pattoo_records_of_all(std::slice::from_ref(body)).pop().expect("an answer for the body")
}

/// The datapoints of each of many payloads.
pub fn pattoo_records_of_all(bodies: &[Value]) -> Vec<Vec<Value>> {
    let mut child = Command::new(python())
        .arg(peer("records.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the interpreter of the peers starts");
    let mut questions = child.stdin.take().expect("a pipe");
    let text = bodies.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    // In a thread, since the peer writes before it has read everything.
    let asking = std::thread::spawn(move || questions.write_all(text.as_bytes()).expect("the peer reads"));
    let output = child.wait_with_output().expect("the peer ends");
    asking.join().expect("the peer reads");
    let answers = String::from_utf8(output.stdout).expect("the peer answers with text");
    let answers: Vec<Vec<Value>> =
        answers.lines().map(|line| serde_json::from_str(line).expect("the peer answers with JSON")).collect();
    assert_eq!(answers.len(), bodies.len(), "an answer for each body");
    answers
}

/// A loopback address where no process listens until a test starts one there.
///
/// While this process lives, a socket that does not listen keeps the port: the system gives it to
/// no other program, and a listener that asks for this port (with `SO_REUSEADDR`, as all listeners
/// do) gets it.
pub fn unused_address() -> SocketAddr {
    let placeholder = tokio::net::TcpSocket::new_v4().expect("a socket");
    placeholder.set_reuseaddr(true).expect("an option that every system has");
    placeholder.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
    let address = placeholder.local_addr().expect("an address");
    std::mem::forget(placeholder);
    address
}

/// Asserts the exit code, that the message contains all of `words`, and that standard output is
/// empty.
#[track_caller]
pub fn assert_refused(run: &Finished, code: i32, words: &[&str]) {
    assert_eq!((run.code, run.stdout.as_str()), (Some(code), ""), "{run:#?}");
    assert_says(run, words);
}

/// Asserts that standard error contains all of `words`, however its lines are wrapped.
#[track_caller]
pub fn assert_says(run: &Finished, words: &[&str]) {
    let frame = |character: char| character.is_whitespace() || character == '│';
    let message = run.stderr.split(frame).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message}");
    }
}
