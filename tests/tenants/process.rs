//! The daemon under test. Its output is counted and not kept, since some collectors make it log
//! gigabytes.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::Read as _,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pattoo_tests::get;

/// How much of the last output is kept, in bytes.
const LAST_WORDS: usize = 600;

pub(crate) struct Process {
    child: Child,
    status: SocketAddr,
    began: Instant,
    ended: Option<(ExitStatus, Duration)>,
    said: Arc<AtomicU64>,
    last: Arc<Mutex<VecDeque<u8>>>,
}

impl Process {
    /// Starts it. It serves its status at this address.
    pub(crate) fn start(command: &mut Command, status: SocketAddr) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the command starts");
        let mut stderr = child.stderr.take().expect("a pipe");
        let (said, last) = (Arc::<AtomicU64>::default(), Arc::<Mutex<VecDeque<u8>>>::default());
        let (counted, kept) = (Arc::clone(&said), Arc::clone(&last));
        std::thread::spawn(move || {
            let mut piece = vec![0; 64 << 10];
            while let Ok(read @ 1..) = stderr.read(&mut piece) {
                counted.fetch_add(read as u64, Ordering::Relaxed);
                let mut kept = kept.lock().expect("no thread panics while it holds the lock");
                kept.extend(&piece[read.saturating_sub(LAST_WORDS)..read]);
                let surplus = kept.len().saturating_sub(LAST_WORDS);
                kept.drain(..surplus);
            }
        });
        Self { child, status, began: Instant::now(), ended: None, said, last }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        if self.ended.is_none()
            && let Some(status) = self.child.try_wait().expect("it is our child")
        {
            self.ended = Some((status, self.began.elapsed()));
        }
        self.ended.is_none()
    }

    /// Waits so long, or until it ends.
    pub(crate) fn wait_at_most(&mut self, duration: Duration) {
        let began = Instant::now();
        while began.elapsed() < duration && self.is_alive() {
            std::thread::sleep(Duration::from_millis(50).min(duration));
        }
    }

    /// If it has ended: its status, how long it ran, and its last output.
    pub(crate) fn ended(&mut self) -> Option<(ExitStatus, Duration, String)> {
        self.is_alive();
        let (status, lived) = self.ended?;
        let last = self.last.lock().expect("no thread panics while it holds the lock");
        let text = String::from_utf8_lossy(&last.iter().copied().collect::<Vec<_>>()).into_owned();
        Some((status, lived, text))
    }

    /// Sends SIGTERM, and waits for its end.
    pub(crate) fn terminate(&mut self) {
        let kill = Command::new("kill").arg(self.pid().to_string()).status();
        assert!(kill.is_ok_and(|status| status.success()), "the process is there");
        self.wait_at_most(Duration::from_mins(1));
        assert!(!self.is_alive(), "it does not end");
    }

    /// The number of bytes of its output.
    pub(crate) fn said(&self) -> u64 {
        self.said.load(Ordering::Relaxed)
    }

    /// The samples of `/metrics`; none if it has ended.
    pub(crate) fn metrics(&mut self) -> BTreeMap<String, f64> {
        if !self.is_alive() {
            return BTreeMap::new();
        }
        let page = get(self.status, "/metrics", "localhost").1;
        let samples = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
        samples.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of the files in a folder.
pub(crate) fn size_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}
