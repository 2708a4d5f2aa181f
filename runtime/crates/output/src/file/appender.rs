//! Appending to the file: synced, rotated, and without half lines.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use futures_util::{FutureExt as _, future::BoxFuture};
use pattoo_base::{files, lock::lock};
use pattoo_spool::QueueId;
use rustix::fs::{FlockOperation, flock};
use tokio::sync::oneshot;

use super::{lines::split, settings::Settings};
use crate::output_type::{Client, Encoded, SendError, Verdict};

/// How much of a file's end is read at once, to find where its last line ends.
const TAIL: u64 = 64 << 10;

/// Appends payloads to a file. What comes while another payload is being written is written after it and synced together.
#[derive(Debug)]
pub(super) struct Appender {
    pending: Mutex<Vec<Pending>>,
    writer: Arc<tokio::sync::Mutex<Writer>>,
}

/// A payload that waits to be written.
#[derive(Debug)]
struct Pending {
    bytes: Vec<u8>,
    done: oneshot::Sender<Result<(), String>>,
}

impl Appender {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { pending: Mutex::default(), writer: Arc::new(tokio::sync::Mutex::new(Writer::new(settings))) }
    }

    async fn append(&self, bytes: Vec<u8>) -> Result<(), String> {
        let (done, result) = oneshot::channel();
        lock(&self.pending).push(Pending { bytes, done });
        let mut writer = Arc::clone(&self.writer).lock_owned().await;
        let pending = std::mem::take(&mut *lock(&self.pending));
        if pending.is_empty() {
            drop(writer);
        } else {
            let written = tokio::task::spawn_blocking(move || {
                let (payloads, done): (Vec<_>, Vec<_>) =
                    pending.into_iter().map(|pending| (pending.bytes, pending.done)).unzip();
                for (done, result) in done.into_iter().zip(writer.append(&payloads)) {
                    // A caller that has stopped waiting sends it again.
                    let _ = done.send(result);
                }
            });
            written.await.map_err(|error| error.to_string())?;
        }
        result.await.map_err(|_| "writing was abandoned".to_owned())?
    }
}

impl Client for Appender {
    fn send<'a>(&'a self, _: &'a QueueId, bytes: Vec<u8>) -> BoxFuture<'a, Result<(), SendError>> {
        async move {
            let failed = |text| SendError { verdict: Verdict::Unavailable, text, help: None, retry_after: None };
            self.append(bytes).await.map_err(failed)
        }
        .boxed()
    }

    fn split(&self, bytes: &[u8], _: u32) -> Option<[Encoded; 2]> {
        split(bytes)
    }
}

/// The file, and what is open of it.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    rotate: u64,
    keep: u32,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
}

impl Writer {
    pub(super) fn new(settings: &Settings) -> Self {
        let sizes = settings.sizes;
        Self { path: settings.path.clone(), rotate: sizes.rotate, keep: sizes.keep, open: None }
    }

    /// Appends payloads in their order; says of each whether it is on disk.
    pub(super) fn append(&mut self, payloads: &[Vec<u8>]) -> Vec<Result<(), String>> {
        let mut synced = 0_usize;
        let mut written = 0_usize;
        let mut failure = None;
        for bytes in payloads {
            match self.write(bytes) {
                // What was in the file before it was rotated is on disk.
                Ok(true) => synced = written,
                Ok(false) => {}
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
            written = written.saturating_add(1);
        }
        match self.open.as_ref().map(|open| open.file.sync_data()) {
            Some(Ok(())) => synced = written,
            Some(Err(error)) => {
                // What the system has of it cannot be known any more.
                self.open = None;
                failure = Some(error);
            }
            None => {}
        }
        let failure = failure.map_or_else(String::new, |error| self.failed(&error));
        let result = |(place, _)| if place < synced { Ok(()) } else { Err(failure.clone()) };
        payloads.iter().enumerate().map(result).collect()
    }

    fn failed(&self, error: &io::Error) -> String {
        format!("cannot write to {}: {error}", self.path.display())
    }

    /// Writes a payload; whether the file was rotated, and so synced, before that.
    fn write(&mut self, bytes: &[u8]) -> io::Result<bool> {
        let length = bytes.len() as u64;
        let mut open = self.opened()?;
        let rotates = open.size > 0 && open.size.saturating_add(length) > self.rotate;
        if rotates {
            open.file.sync_data()?;
            self.move_aside()?;
            drop(open);
            open = self.fresh()?;
        }
        let before = open.size;
        let result = open.file.write_all(bytes);
        if result.is_ok() {
            open.size = before.saturating_add(length);
        } else {
            // No half line stays. If that fails too, it is cut off when the file is opened again.
            open.file.set_len(before)?;
        }
        self.open = Some(open);
        result.map(|()| rotates)
    }

    /// The open file, if it is still the one that lies at the path; otherwise it is opened.
    fn opened(&mut self) -> io::Result<Open> {
        if let Some(open) = self.open.take() {
            let (ours, there) = (open.file.metadata()?, fs::metadata(&self.path).ok());
            let is_ours = |there: fs::Metadata| there.ino() == ours.ino() && there.dev() == ours.dev();
            if there.is_some_and(is_ours) {
                return Ok(Open { size: ours.len(), ..open });
            }
            open.file.sync_data()?;
        }
        self.fresh()
    }

    /// Opens the file, makes it if there is none, and cuts off an unfinished line at its end.
    fn fresh(&self) -> io::Result<Open> {
        let folder = self.folder();
        files::create_folders(folder, 0o750)?;
        files::refuse_exposed(folder)?;
        let is_new = fs::symlink_metadata(&self.path).is_err();
        files::create_missing(&self.path, 0o640)?;
        let mut file =
            files::open_with(OpenOptions::new().create(true).read(true).append(true).mode(0o640), &self.path, 0)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::other("another process writes to it"))?;
        let size = file.metadata()?.len();
        let whole = last_line_end(&mut file, size)?;
        if whole < size {
            let cut = size.saturating_sub(whole);
            tracing::warn!("{}: removed an incomplete line of {cut} bytes at its end", self.path.display());
            file.set_len(whole)?;
        }
        if is_new {
            sync_folder(folder)?;
        }
        Ok(Open { file, size: whole })
    }

    /// Moves the file to the older ones, of which the oldest makes room.
    fn move_aside(&self) -> io::Result<()> {
        // A crash can leave a number out: nothing needs to move beyond it.
        let exists = |number: &u32| fs::symlink_metadata(self.numbered(*number)).is_ok();
        let last = (1..self.keep).find(|number| !exists(number)).unwrap_or(self.keep);
        for number in (1..last).rev() {
            fs::rename(self.numbered(number), self.numbered(number.saturating_add(1)))?;
        }
        fs::rename(&self.path, self.numbered(1))?;
        // There are more when fewer are kept than before.
        for number in self.keep.saturating_add(1)..=u32::MAX {
            if fs::remove_file(self.numbered(number)).is_err() {
                break;
            }
        }
        sync_folder(self.folder())
    }

    fn folder(&self) -> &Path {
        files::folder_of(&self.path)
    }

    /// `values.jsonl.1` is the newest of those that are kept.
    pub(super) fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Where the last line of a file ends that has an end.
fn last_line_end(file: &mut File, size: u64) -> io::Result<u64> {
    let mut end = size;
    while end > 0 {
        let start = end.saturating_sub(TAIL);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&*file).take(end.saturating_sub(start)).read_to_end(&mut bytes)?;
        if let Some(place) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start.saturating_add(place as u64).saturating_add(1));
        }
        end = start;
    }
    Ok(0)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
