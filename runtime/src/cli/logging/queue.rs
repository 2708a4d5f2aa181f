//! A queue of log lines, written by a thread of its own.
//!
//! A daemon does not wait for its log: a pipe that is not read, or a disk that does not respond,
//! would stop every collection that logs a line. The queue has a limit. Lines beyond it are dropped
//! and counted.

use std::{
    io::{self, Write},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use pattoo_base::{invariant::broken, lock::lock};
use tracing_subscriber::fmt::MakeWriter;

/// How many lines the queue holds.
const WAITING: usize = 4096;
/// How long the thread waits for a line before it calls [`LineTarget::tick`].
const TICK: Duration = Duration::from_secs(1);
/// How often it is logged at most that lines were dropped.
const REPORTED_EVERY: Duration = Duration::from_secs(10);
/// The interval at which a full queue is checked for room.
const FULL: Duration = Duration::from_millis(10);
/// How long the end of the program waits for the remaining lines.
const FLUSH: Duration = Duration::from_secs(2);

/// The destination of the lines of a queue.
pub(super) trait LineTarget: Send + 'static {
    /// Writes a line.
    fn write(&mut self, line: &[u8]);
    /// Called about once a second while there are no lines.
    fn tick(&mut self) {}
    /// Called after [`LineQueue::reopen`].
    fn reopen(&mut self) {}
}

enum Message {
    Line(Vec<u8>),
    /// Wakes the thread.
    Wake,
    Flush(SyncSender<()>),
}

/// A change of a target.
type TargetChange<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A queue of lines. Nothing is written before it is started.
pub(super) struct LineQueue<T> {
    /// Its name in messages.
    name: &'static str,
    sender: OnceLock<SyncSender<Message>>,
    change: Mutex<Option<TargetChange<T>>>,
    reopens: AtomicBool,
    dropped: AtomicU64,
}

impl<T: LineTarget> LineQueue<T> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            sender: OnceLock::new(),
            change: Mutex::new(None),
            reopens: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
        }
    }

    /// Starts the thread that writes to `target`, once. [`change`](Self::change) replaces the
    /// target.
    pub(super) fn start(&'static self, target: T) -> io::Result<()> {
        let (sender, lines) = sync_channel(WAITING);
        thread::Builder::new().name("log".to_owned()).spawn(move || self.run(target, &lines))?;
        if self.sender.set(sender).is_err() {
            broken("a queue of log lines is started once");
        }
        Ok(())
    }

    /// Changes the target before its next line. Of several pending changes only the last one is
    /// made.
    pub(super) fn change(&self, change: impl FnOnce(&mut T) + Send + 'static) {
        *lock(&self.change) = Some(Box::new(change));
        self.wake();
    }

    /// Has the target open its file again before its next line.
    pub(super) fn reopen(&self) {
        self.reopens.store(true, Ordering::Relaxed);
        self.wake();
    }

    fn wake(&self) {
        if let Some(sender) = self.sender.get() {
            // If the queue is full, the thread is awake anyway.
            let _ = sender.try_send(Message::Wake);
        }
    }

    /// Waits until the queued lines are written, for at most a few seconds.
    pub(super) fn flush(&self) {
        let Some(sender) = self.sender.get() else { return };
        let (done, waiting) = sync_channel(1);
        let began = Instant::now();
        while let Err(TrySendError::Full(_)) = sender.try_send(Message::Flush(done.clone())) {
            if began.elapsed() >= FLUSH {
                return;
            }
            thread::sleep(FULL);
        }
        let _ = waiting.recv_timeout(FLUSH);
    }

    fn run(&self, mut target: T, lines: &Receiver<Message>) {
        let mut reported: Option<Instant> = None;
        loop {
            let message = lines.recv_timeout(TICK);
            let change = lock(&self.change).take();
            if let Some(change) = change {
                change(&mut target);
            }
            if self.reopens.swap(false, Ordering::Relaxed) {
                target.reopen();
            }
            match message {
                Ok(Message::Line(line)) => target.write(&line),
                Ok(Message::Wake) => {}
                Ok(Message::Flush(done)) => {
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => target.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // A target that is too slow must not be given a line for each that it loses.
            if reported.is_some_and(|at| at.elapsed() < REPORTED_EVERY) {
                continue;
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                reported = Some(Instant::now());
                tracing::warn!("{dropped} log lines were dropped: {} is too slow", self.name);
            }
        }
    }
}

/// Passes lines to a queue.
pub(super) struct Lines<T: 'static>(&'static LineQueue<T>);

impl<T: LineTarget> Write for Lines<T> {
    /// Takes a whole line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(sender) = self.0.sender.get()
            && let Err(TrySendError::Full(_)) = sender.try_send(Message::Line(line.to_vec()))
        {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T: LineTarget> MakeWriter<'_> for &'static LineQueue<T> {
    type Writer = Lines<T>;

    fn make_writer(&self) -> Lines<T> {
        Lines(self)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        sync::mpsc::{Receiver, Sender, channel},
    };

    use super::{LineQueue, LineTarget, Lines, WAITING};

    /// Reports what it writes, and writes only when it is permitted.
    struct BlockedTarget(Receiver<()>, Sender<Vec<u8>>);

    impl LineTarget for BlockedTarget {
        fn write(&mut self, line: &[u8]) {
            let _ = self.0.recv();
            let _ = self.1.send(line.to_vec());
        }
    }

    #[test]
    fn full_queue_drops_lines_and_blocks_nothing() {
        static QUEUE: LineQueue<BlockedTarget> = LineQueue::new("the blocked target");
        let (permit, permits) = channel();
        let (written, lines) = channel();
        QUEUE.start(BlockedTarget(permits, written)).unwrap();
        let all = WAITING * 3;
        for number in 0..all {
            Lines(&QUEUE).write_all(number.to_string().as_bytes()).unwrap();
        }
        (0..all).for_each(|_| permit.send(()).unwrap());
        QUEUE.flush();
        let written: Vec<_> = lines.try_iter().collect();
        // One line was taken from the queue before it was full.
        assert!((WAITING..=WAITING + 1).contains(&written.len()), "{}", written.len());
        assert_eq!(written.first().map(Vec::as_slice), Some(&b"0"[..]));
    }
}
