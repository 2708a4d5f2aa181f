//! A daemon under test, with its own directory and server.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::{Value, json};

use crate::Cli;

/// How long a test waits for an event, on a busy machine.
const TIME_LIMIT: Duration = Duration::from_mins(3);

/// The configuration and data directory of a daemon, and the command that runs it.
#[derive(Debug)]
pub struct Site {
    cli: Cli,
    server: String,
    /// Further keys of the configuration, besides collectors and server.
    extra: Value,
}

impl Site {
    /// A site that posts to `server`. Its status address is on a free port.
    pub fn new(server: SocketAddr) -> Self {
        let cli = Cli::new();
        let folder = cli.folder();
        for name in ["log", "daemon", "cache"] {
            fs::create_dir(folder.join(name)).expect("a new folder");
        }
        let of = |name: &str| folder.join(name).display().to_string();
        let pattoo = json!({"pattoo": {
            "log_directory": of("log"), "log_level": "info", "cache_directory": of("cache"),
            "daemon_directory": of("daemon"), "system_daemon_directory": of("daemon"),
        }});
        cli.file("pattoo.yaml", pattoo.to_string());
        Self { cli, server: format!("http://{server}"), extra: json!({"status": "127.0.0.1:0"}) }
    }

    /// The folder of its configuration and data.
    pub fn folder(&self) -> &Path {
        self.cli.folder()
    }

    /// Sets a key of `pattoo_wasm:`.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        if let Some(extra) = self.extra.as_object_mut() {
            extra.insert(key.to_owned(), value);
        }
        self
    }

    /// Writes a file, such as a module.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        self.cli.file(name, content)
    }

    /// Writes `pattoo_wasm.yaml` with these collectors.
    pub fn configure(&self, collectors: &Value) {
        let mut settings = self.extra.clone();
        if let Some(settings) = settings.as_object_mut() {
            if !settings.contains_key("outputs") {
                settings.insert("server".to_owned(), json!({"url": self.server}));
            }
            settings.insert("hostname".to_owned(), json!("gateway-7"));
            settings.insert("collectors".to_owned(), collectors.clone());
        }
        self.cli.file("pattoo_wasm.yaml", json!({"pattoo_wasm": settings}).to_string());
    }

    /// The command that runs the daemon.
    pub fn command(&self) -> Command {
        self.command_with(&["-v"])
    }

    /// Like `command`, with other options.
    pub fn command_with(&self, options: &[&str]) -> Command {
        let mut command = self.cli.command(&["daemon"]);
        command.args(options).arg("--config").arg(self.folder());
        command
    }

    /// Starts the daemon, and waits until its collectors run.
    pub fn start(&self) -> Daemon {
        let daemon = Daemon::start(&mut self.command());
        daemon.wait_for("collectors run");
        daemon
    }
}

/// A handle that kills a process from any thread, and never another process that reuses its number.
#[derive(Debug, Clone)]
pub struct Killer(Arc<OwnedFd>);

impl Killer {
    fn of(child: &Child) -> Self {
        let process = Pid::from_child(child);
        Self(Arc::new(pidfd_open(process, PidfdFlags::empty()).expect("our child is there until it is waited for")))
    }

    /// Kills it, with SIGKILL. It may have ended by itself.
    pub fn kill(&self) {
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

/// A running daemon and its log lines. It is killed on drop.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    killer: Killer,
    lines: Receiver<String>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Daemon {
    /// Starts the process without waiting for it to be ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let stderr = child.stderr.take().expect("a pipe");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (sender, lines) = channel();
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                all.lock().expect("no thread panics while it holds the lock").push(line.clone());
                // Keep reading when no test waits for lines, so that the daemon never blocks on its
                // pipe.
                let _ = sender.send(line);
            }
        });
        Self { killer: Killer::of(&child), child, lines, heard }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All lines of its standard error so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.heard.lock().expect("no thread panics while it holds the lock").clone()
    }

    /// The next line of its standard error, if one comes in time.
    pub fn next_line(&self, within: Duration) -> Option<String> {
        self.lines.recv_timeout(within).ok()
    }

    /// Waits for a line that contains `text` and skips the lines before it.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now().checked_add(TIME_LIMIT).expect("a while from now");
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next_line(left) {
                Some(line) if line.contains(text) => return line,
                Some(_) => {}
                None => panic!("no line contains {text:?}: {:#?}", self.log_lines()),
            }
        }
    }

    /// The address of its status server.
    pub fn status_address(&self) -> SocketAddr {
        let heard = self.log_lines();
        let address = heard.iter().find_map(|line| line.split_once("status on http://")?.1.trim().parse().ok());
        address.unwrap_or_else(|| panic!("no line names the status address: {heard:#?}"))
    }

    /// A page of its status address: status code and body.
    pub fn page(&self, path: &str) -> (u16, String) {
        get(self.status_address(), path, "localhost")
    }

    /// The status of one collector.
    pub fn status_of(&self, program: &str) -> Option<Value> {
        let status: Value = serde_json::from_str(&self.page("/status").1).expect("JSON");
        let collectors = status.get("collectors")?.as_array()?;
        collectors.iter().find(|collector| collector.get("program") == Some(&program.into())).cloned()
    }

    /// The samples of `/metrics`, by name and labels.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let page = self.page("/metrics").1;
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(name, value)| (name.to_owned(), value.parse().expect("a number")))
            .collect()
    }

    /// Waits until a condition holds; `what` describes it in the message of a failure.
    #[track_caller]
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now().checked_add(TIME_LIMIT).expect("a while from now");
        while !holds(self) {
            assert!(Instant::now() < deadline, "{what} did not happen: {:#?}", self.log_lines());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends it a signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "the process is there");
    }

    /// A handle that kills it.
    pub fn killer(&self) -> Killer {
        self.killer.clone()
    }

    /// Sends it a signal and waits for its end.
    pub fn end(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.child.wait().expect("it is our child")
    }

    /// Waits for its end.
    pub fn wait(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.child.wait().expect("it is our child");
        // The reading thread ends when the pipe is closed.
        while self.lines.recv().is_ok() {}
        (status, self.log_lines())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The resident memory of a process, in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("resident memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A GET over plain HTTP/1.0: status code and body.
pub fn get(address: SocketAddr, path: &str, host: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(TIME_LIMIT)).expect("a stream");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers with text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status code");
    (code, body.to_owned())
}
