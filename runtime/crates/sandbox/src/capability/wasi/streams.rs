//! Standard output and error: lines of the log.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use pattoo_base::lock::lock;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamError, StreamResult},
};

use crate::capability::{GuestLog, bindings::pattoo::agent::log::Level};

/// A standard stream whose lines go to the log. Clones are the same stream.
#[derive(Clone)]
pub(super) struct LogLines(Arc<Mutex<Line>>);

/// The line that is being written.
struct Line {
    log: GuestLog,
    level: Level,
    unfinished: Vec<u8>,
}

impl LogLines {
    pub(super) fn new(log: GuestLog, level: Level) -> Self {
        Self(Arc::new(Mutex::new(Line { log, level, unfinished: Vec::new() })))
    }

    /// How many bytes may be written at once.
    fn permitted(&self) -> usize {
        const MOST: usize = 64 << 10;
        lock(&self.0).log.max_line_bytes().min(MOST)
    }

    fn write_bytes(&self, bytes: &[u8]) {
        lock(&self.0).write(bytes);
    }
}

impl Line {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            // One byte more than is kept, so that the cut shows.
            let room = self.log.max_line_bytes().saturating_add(1).saturating_sub(self.unfinished.len());
            self.unfinished.extend(text.iter().take(room));
            if ends {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        let line = std::mem::take(&mut self.unfinished);
        self.log.write(self.level, &String::from_utf8_lossy(&line));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.unfinished.is_empty() {
            self.finish();
        }
    }
}

impl IsTerminal for LogLines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogLines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for LogLines {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        // Each line takes time, and all of a call come in one turn (`wasi:io/streams`: a write
        // beyond what `check-write` permits is a trap).
        if bytes.len() > self.permitted() {
            let error = "a write to a standard stream is longer than `check-write` permits";
            return Err(StreamError::Trap(wasmtime::format_err!(error)));
        }
        self.write_bytes(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.permitted())
    }
}

#[async_trait]
impl Pollable for LogLines {
    async fn ready(&mut self) {}
}

impl AsyncWrite for LogLines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.write_bytes(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use wasmtime_wasi::p2::{OutputStream as _, StreamError};

    use super::LogLines;
    use crate::capability::{
        GuestLog,
        bindings::pattoo::agent::log::Level,
        limit_reached::Reached,
        log::{LogLimits, ProgramLines},
    };

    #[test]
    fn write_that_is_longer_than_permitted_is_a_trap_and_writes_nothing() {
        let program = "STDOUT".parse().unwrap();
        let lines = ProgramLines::all(&program);
        let log = GuestLog::new(lines.clone(), &LogLimits::default(), &Reached::new(lines));
        let mut stream = LogLines::new(log, Level::Info);
        let permitted = stream.check_write().unwrap();
        stream.write(Bytes::from(vec![b'a'; permitted])).unwrap();
        let refused = stream.write(Bytes::from(vec![b'\n'; permitted + 1]));
        assert!(matches!(refused, Err(StreamError::Trap(_))), "{refused:?}");
        assert_eq!(stream.0.lock().unwrap().unfinished.len(), permitted, "no line was ended");
    }
}
