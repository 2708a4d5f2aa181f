//! Lines on their way to where they are written.
//!
//! A daemon does not wait for its log: a pipe that nobody reads, or a disk that does not answer, would stop every collection that
//! has something to say. So a thread writes, from a queue with an end; what finds it full is dropped and counted.

use std::{
    io::{self, Write},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

/// How many lines wait at most.
const WAITING: usize = 4096;
/// How long the thread waits for a line before it looks after other things.
const TICK: Duration = Duration::from_secs(1);
/// How long it waits between two looks whether there is room in a queue that is full.
const FULL: Duration = Duration::from_millis(10);
/// How long the end of the program waits for the lines that are still to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// Where the lines of a queue go.
pub(super) trait Target: Send + 'static {
    /// Writes a line.
    fn write(&mut self, line: &[u8]);
    /// Called about once a second.
    fn tick(&mut self) {}
}

enum Message {
    Line(Vec<u8>),
    /// There is something else to do.
    Look,
    Flush(SyncSender<()>),
}

/// What is to be done to a target.
type Change<T> = Box<dyn FnOnce(&mut T) + Send>;

/// A queue of lines. Before it is started nothing is written.
pub(super) struct Queue<T> {
    /// For messages.
    name: &'static str,
    sender: OnceLock<SyncSender<Message>>,
    change: Mutex<Option<Change<T>>>,
    dropped: AtomicU64,
}

impl<T: Target> Queue<T> {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, sender: OnceLock::new(), change: Mutex::new(None), dropped: AtomicU64::new(0) }
    }

    /// Starts the thread that writes to `target`. Once: another target is put there by [`change`](Self::change).
    pub(super) fn start(&'static self, target: T) -> io::Result<()> {
        let (sender, lines) = sync_channel(WAITING);
        thread::Builder::new().name("log".to_owned()).spawn(move || self.run(target, &lines))?;
        // It was started before only by a mistake of ours; then that one goes on.
        let _ = self.sender.set(sender);
        Ok(())
    }

    /// Changes the target before its next line. Of several changes that wait only the last one is made.
    pub(super) fn change(&self, change: impl FnOnce(&mut T) + Send + 'static) {
        *self.change.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(change));
        if let Some(sender) = self.sender.get() {
            // Where it is full, the thread comes by anyway.
            let _ = sender.try_send(Message::Look);
        }
    }

    /// Waits until the lines that wait now are written, for a while.
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
        loop {
            let message = lines.recv_timeout(TICK);
            let change = self.change.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(change) = change {
                change(&mut target);
            }
            match message {
                Ok(Message::Line(line)) => target.write(&line),
                Ok(Message::Look) => {}
                Ok(Message::Flush(done)) => {
                    let _ = done.try_send(());
                }
                Err(RecvTimeoutError::Timeout) => target.tick(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                tracing::warn!("{dropped} log lines were dropped: {} does not take them fast enough", self.name);
            }
        }
    }
}

/// What hands lines to a queue.
pub(super) struct Lines<T: 'static>(&'static Queue<T>);

impl<T: Target> Write for Lines<T> {
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

impl<T: Target> MakeWriter<'_> for &'static Queue<T> {
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

    use super::{Lines, Queue, Target, WAITING};

    /// Says what it writes, and writes only when it is let.
    struct Gate(Receiver<()>, Sender<Vec<u8>>);

    impl Target for Gate {
        fn write(&mut self, line: &[u8]) {
            let _ = self.0.recv();
            let _ = self.1.send(line.to_vec());
        }
    }

    #[test]
    fn nobody_waits_for_a_log_that_is_not_read() {
        static QUEUE: Queue<Gate> = Queue::new("the gate");
        let (open, gate) = channel();
        let (written, lines) = channel();
        QUEUE.start(Gate(gate, written)).unwrap();
        let all = WAITING * 3;
        for number in 0..all {
            Lines(&QUEUE).write_all(number.to_string().as_bytes()).unwrap();
        }
        (0..all).for_each(|_| open.send(()).unwrap());
        QUEUE.flush();
        let written: Vec<_> = lines.try_iter().collect();
        // One was on its way when the queue filled up.
        assert!((WAITING..=WAITING + 1).contains(&written.len()), "{}", written.len());
        assert_eq!(written.first().map(Vec::as_slice), Some(&b"0"[..]));
    }
}
