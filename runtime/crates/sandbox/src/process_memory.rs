//! The memory of all collections together, on the machine or in the control group where this process runs.
//!
//! Each collection has limits of its own, and many that stay within them can still take more than there is; then the system kills the
//! process, and everybody's collections with it. So while collections run, the memory of the process is looked at every 10 ms. When it is
//! above [`Memory::limit`], the largest collections are stopped until it is not, and those that were large the last time
//! begin only when there is room again. A collection that is small is never stopped for others.
//!
//! What counts is what the process really has (anonymous resident memory), not what guests declared: a Python interpreter declares 40 MB and
//! touches 4.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use pattoo_base::invariant::Invariant as _;
use tokio::sync::{Notify, watch};

use super::control_group;
use crate::capability::{Account, LimitReached};

/// What a collection may have in any case: it is not stopped for the sake of others while it has less.
const SMALL: usize = 4 << 20;

/// What a compiler's process and this one may have together of so many bytes. The rest is for the pages of files, for what the kernel keeps, and
/// for what is allocated between two looks.
fn usable(available: u64) -> u64 {
    (available / 100).saturating_mul(88)
}

/// What compilers' processes may have of so many bytes: they leave this process what it needs with small collections.
pub(super) fn for_compilers(available: u64) -> u64 {
    const LEAST: u64 = 64 << 20;
    usable(available).saturating_sub(LEAST.max(available / 8))
}

/// Has the C library give large pieces of memory back to the system as soon as they are freed. By itself it learns from each that is freed to
/// keep the next ones (up to 32 MiB each): what a collection had for a moment would stay with the process, and count.
pub fn return_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGE: libc::c_int = 1 << 20;
        for parameter in [libc::M_MMAP_THRESHOLD, libc::M_TRIM_THRESHOLD] {
            #[expect(unsafe_code, reason = "the C library has no other way to set it")]
            // SAFETY: it takes two numbers and keeps them; other threads may allocate meanwhile.
            unsafe {
                libc::mallopt(parameter, LARGE);
            }
        }
    }
}

/// Anonymous resident memory of this process, in bytes: `RssAnon:     2048 kB`.
fn resident() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The collections of a sandbox, and how much memory they may have together. Clones are the same.
#[derive(Debug, Clone)]
pub struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    available: u64,
    limit: AtomicU64,
    /// What compilers' processes have.
    compilers: Mutex<u64>,
    /// Whether one of them ended.
    compiler_ended: Condvar,
    running: Mutex<HashMap<u64, Arc<Usage>>>,
    next: AtomicU64,
    /// Whether there is too little room for large collections to begin.
    tight: watch::Sender<bool>,
}

/// Room for a compiler's process, until this is dropped.
#[derive(Debug)]
pub(super) struct CompilerRoom {
    memory: Memory,
    bytes: u64,
}

impl CompilerRoom {
    /// How much it is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for CompilerRoom {
    fn drop(&mut self) {
        let mut compilers = self.memory.compilers();
        *compilers = compilers.checked_sub(self.bytes).or_broken("the memory of a compiler was counted", 0);
        self.memory.0.compiler_ended.notify_all();
    }
}

/// What one collection has.
#[derive(Debug)]
struct Usage {
    account: Account,
    linear: AtomicUsize,
    stopped: AtomicBool,
    stop: Notify,
}

/// A collection that runs, until this is dropped.
#[derive(Debug)]
pub(super) struct Running {
    memory: Memory,
    number: u64,
    usage: Arc<Usage>,
}

impl Usage {
    fn bytes(&self) -> usize {
        self.account.held().saturating_add(self.linear.load(Ordering::Relaxed))
    }
}

impl Memory {
    /// Of what the process may use, what its collections and itself may have unless somebody says otherwise: six tenths.
    pub(super) fn new() -> Self {
        Self::of(control_group::memory())
    }

    /// The same of so many bytes.
    fn of(available: u64) -> Self {
        Self(Arc::new(Inner {
            available,
            limit: AtomicU64::new((available / 10).saturating_mul(6)),
            compilers: Mutex::default(),
            compiler_ended: Condvar::new(),
            running: Mutex::default(),
            next: AtomicU64::new(0),
            tight: watch::Sender::new(false),
        }))
    }

    /// Bytes of the process's memory above which collections are stopped. They are fewer while modules are compiled.
    pub fn limit(&self) -> u64 {
        let beside = usable(self.0.available).saturating_sub(*self.compilers());
        self.0.limit.load(Ordering::Relaxed).min(beside)
    }

    /// Waits until there is room for a compiler's process that may have `wanted` bytes of address space, and takes it. Where memory is short,
    /// one that may have little has a quarter of what there is for compilers, and another all of it.
    pub(super) fn room_for_compiler(&self, wanted: u64) -> CompilerRoom {
        const LITTLE: u64 = 512 << 20;
        const WITHIN: Duration = Duration::from_secs(2);
        const AGAIN: Duration = Duration::from_millis(10);
        let all = for_compilers(self.0.available);
        let bytes = wanted.min(if wanted <= LITTLE { all / 4 } else { all });
        {
            let compilers = self.compilers();
            let is_full = |taken: &mut u64| *taken > 0 && taken.saturating_add(bytes) > all;
            let waited = self.0.compiler_ended.wait_while(compilers, is_full);
            let mut compilers = waited.unwrap_or_else(PoisonError::into_inner);
            *compilers = compilers.saturating_add(bytes);
        }
        // Collections that are too large for what is left now are stopped meanwhile.
        let began = Instant::now();
        while began.elapsed() < WITHIN && resident().is_some_and(|resident| resident > self.limit()) {
            std::thread::sleep(AGAIN);
        }
        CompilerRoom { memory: self.clone(), bytes }
    }

    fn compilers(&self) -> MutexGuard<'_, u64> {
        self.0.compilers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets [`limit`](Self::limit).
    pub fn set_limit(&self, bytes: u64) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// Waits until there is room for a collection that may become as large as it was the last time.
    pub(super) async fn admit(&self, last_peak: usize) {
        if last_peak > SMALL {
            // It is never closed while this exists.
            let _ = self.0.tight.subscribe().wait_for(|tight| !tight).await;
        }
    }

    /// A collection begins.
    pub(super) fn enter(&self, account: &Account) -> Running {
        let usage = Arc::new(Usage {
            account: account.clone(),
            linear: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
        });
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        self.running().insert(number, Arc::clone(&usage));
        Running { memory: self.clone(), number, usage }
    }

    /// Looks at what there is, and stops collections if that is too much.
    pub(super) fn look(&self) {
        let is_idle = self.running().is_empty() && !*self.0.tight.borrow();
        if let Some(resident) = (!is_idle).then(resident).flatten() {
            self.judge(resident);
        }
    }

    /// Does what is to be done when the process has so many bytes.
    fn judge(&self, resident: u64) {
        let limit = self.limit();
        let tight = resident > (limit / 5).saturating_mul(4);
        self.0.tight.send_if_modified(|before| std::mem::replace(before, tight) != tight);
        let Some(mut excess) = resident.checked_sub(limit).and_then(|excess| usize::try_from(excess).ok()) else {
            return;
        };
        let running = self.running();
        let mut large: Vec<(usize, &Arc<Usage>)> = Vec::new();
        for usage in running.values() {
            let bytes = usage.bytes();
            if usage.stopped.load(Ordering::Relaxed) {
                // What it has is on its way back.
                excess = excess.saturating_sub(bytes);
            } else if bytes > SMALL {
                large.push((bytes, usage));
            }
        }
        large.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (bytes, usage) in large {
            if excess == 0 {
                break;
            }
            usage.stopped.store(true, Ordering::Relaxed);
            usage.stop.notify_one();
            excess = excess.saturating_sub(bytes);
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Arc<Usage>>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// It has so many bytes of linear memory.
    pub(super) fn set_linear(&self, bytes: usize) {
        self.usage.linear.store(bytes, Ordering::Relaxed);
    }

    /// Waits until it is stopped for want of memory.
    pub(super) fn stopped(&self) -> impl Future<Output = LimitReached> + use<> {
        let (usage, memory) = (Arc::clone(&self.usage), self.memory.clone());
        async move {
            usage.stop.notified().await;
            LimitReached::of_bytes("the memory of all collections together", memory.limit(), "collection_memory")
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.memory.running().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::{Memory, Running, SMALL, resident};
    use crate::capability::{Account, CollectionLimits};

    fn running(memory: &Memory, mib: usize) -> Running {
        let account = Account::new(&CollectionLimits { resources: 0, ..CollectionLimits::default() });
        let running = memory.enter(&account);
        running.set_linear(mib << 20);
        running
    }

    fn is_stopped(running: &Running) -> bool {
        running.usage.stopped.load(std::sync::atomic::Ordering::Relaxed)
    }

    #[test]
    fn largest_collections_are_stopped_and_no_more_of_them_than_needed() {
        let memory = Memory::new();
        memory.set_limit(100 << 20);
        let all = [3, 40, 20, 60, 5].map(|mib| running(&memory, mib));
        memory.judge(100 << 20);
        assert!(!all.iter().any(is_stopped), "there is room");
        memory.judge(130 << 20);
        assert_eq!(all.each_ref().map(is_stopped), [false, false, false, true, false]);
        // Until it is gone, what it has counts as given back.
        memory.judge(160 << 20);
        assert_eq!(all.each_ref().map(is_stopped), [false, false, false, true, false]);
        memory.judge(1000 << 20);
        assert_eq!(all.each_ref().map(is_stopped), [false, true, true, true, true], "a small one is never stopped");
    }

    #[tokio::test]
    async fn a_large_collection_waits_for_room_and_a_small_one_does_not() {
        let memory = Memory::new();
        memory.set_limit(100 << 20);
        memory.judge(90 << 20);
        memory.admit(SMALL).await;
        let waiting = memory.clone();
        let large = tokio::spawn(async move { waiting.admit(SMALL + 1).await });
        tokio::task::yield_now().await;
        assert!(!large.is_finished());
        memory.judge(70 << 20);
        large.await.unwrap();
    }

    #[test]
    fn compilers_leave_room_for_this_process_and_collections_have_less_meanwhile() {
        let memory = Memory::of(512 << 20);
        assert_eq!(memory.limit() >> 20, 307);
        let little = memory.room_for_compiler(512 << 20);
        assert_eq!((little.bytes() >> 20, memory.limit() >> 20), (96, 307));
        // Another one that may have much waits for it.
        let (waiting, asked) = (memory.clone(), std::sync::mpsc::channel());
        let much = std::thread::spawn(move || {
            let room = waiting.room_for_compiler(1 << 30);
            asked.0.send(()).unwrap();
            (room.bytes() >> 20, waiting.limit() >> 20)
        });
        assert!(asked.1.try_recv().is_err());
        drop(little);
        assert_eq!(much.join().unwrap(), (386, 64));
        assert_eq!(memory.limit() >> 20, 307);
        let large = Memory::of(24 << 30);
        assert_eq!(large.room_for_compiler(1 << 30).bytes(), 1 << 30);
    }

    #[test]
    fn what_the_process_has_is_known() {
        assert!(resident().unwrap() > 1 << 20);
    }
}
