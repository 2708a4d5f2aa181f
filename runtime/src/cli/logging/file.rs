//! The log file: bounded, and never the last of a disk.
//!
//! It rotates by itself at a size, so that no number of lines fills a disk. Beside that some room of its file system is left alone, since
//! what was collected needs it more than what is said about it: while there is less, lines are dropped and counted.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use pattoo_base::files;

use crate::config::LogBounds;

/// The most that is left alone of a file system, in bytes. Of a small one it is a tenth.
const RESERVE: u64 = 64 << 20;
/// How often it is looked how much room there is: after so long, and after so many bytes.
const LOOK_AFTER: Duration = Duration::from_secs(1);
const LOOK_AFTER_BYTES: u64 = 1 << 20;
/// How many files beyond those that are kept are removed: there are some when fewer are kept than before.
const MOST_REMOVED: u32 = 1000;

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    bounds: LogBounds,
    file: File,
    size: u64,
    /// Whether the last line was not written to its end.
    torn: bool,
    /// When it was looked for room, and how many bytes were written since.
    looked: Option<Instant>,
    since: u64,
    /// Why nothing is written at the moment.
    refused: Option<String>,
    dropped: u64,
}

/// What became of a line, where that is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Lines are dropped from now on, and why.
    Dropping(String),
    /// They are written again; so many were dropped.
    Again(u64),
}

impl LogFile {
    /// Opens the file, making it where there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is not a regular file, or lies where other users can replace it.
    pub(super) fn open(path: &Path, bounds: LogBounds) -> io::Result<Self> {
        let (file, size) = append(path)?;
        let log = Self {
            path: path.to_owned(),
            bounds,
            file,
            size,
            torn: false,
            looked: None,
            since: 0,
            refused: None,
            dropped: 0,
        };
        log.remove_beyond();
        Ok(log)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, or drops and counts it. It never fails.
    pub(super) fn write(&mut self, line: &[u8]) -> Option<Change> {
        match self.try_write(line) {
            Ok(()) if self.dropped > 0 => Some(Change::Again(std::mem::take(&mut self.dropped))),
            Ok(()) => None,
            Err(error) => {
                self.dropped = self.dropped.saturating_add(1);
                (self.dropped == 1).then(|| Change::Dropping(error.to_string()))
            }
        }
    }

    /// Looks whether lines can be written again, if some were dropped.
    pub(super) fn look_again(&mut self) -> Option<Change> {
        let can_be = self.dropped > 0 && self.look(true).is_ok();
        can_be.then(|| Change::Again(std::mem::take(&mut self.dropped)))
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        self.look(false)?;
        let length = line.len() as u64;
        if self.size > 0 && self.size.saturating_add(length) > self.bounds.bytes {
            self.rotate()?;
        }
        // What is left of the last line ends here.
        if self.torn {
            self.file.write_all(b"\n")?;
            self.size = self.size.saturating_add(1);
            self.torn = false;
        }
        let written = self.file.write(line).inspect_err(|_| self.looked = None)?;
        self.size = self.size.saturating_add(written as u64);
        self.since = self.since.saturating_add(written as u64);
        if written < line.len() {
            self.torn = written > 0;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Looks how much room there is, if that is due, and whether the file is still the one that it was.
    fn look(&mut self, now: bool) -> io::Result<()> {
        let due = now || self.since >= LOOK_AFTER_BYTES || self.looked.is_none_or(|at| at.elapsed() >= LOOK_AFTER);
        if due {
            (self.looked, self.since) = (Some(Instant::now()), 0);
            let found = self.file.metadata()?;
            if found.nlink() == 0 {
                // It was removed: what is written to it would take room that nobody sees.
                (self.file, self.size) = append(&self.path)?;
            } else {
                // Somebody may have shortened it.
                self.size = found.len();
            }
            self.refused = too_little_room(&self.file);
        }
        match &self.refused {
            Some(why) => Err(io::Error::new(io::ErrorKind::StorageFull, why.clone())),
            None => Ok(()),
        }
    }

    /// Moves the file aside and begins a new one. Where that cannot be, it starts over itself.
    fn rotate(&mut self) -> io::Result<()> {
        if self.move_aside().is_ok() {
            (self.file, self.size) = append(&self.path)?;
        } else {
            self.file.set_len(0)?;
            self.size = 0;
        }
        Ok(())
    }

    fn move_aside(&self) -> io::Result<()> {
        let Some(last) = self.bounds.keep.checked_sub(1) else { return Err(io::ErrorKind::Unsupported.into()) };
        for number in (1..=last).rev() {
            match fs::rename(self.numbered(number), self.numbered(number.saturating_add(1))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn remove_beyond(&self) {
        let beyond = self.bounds.keep.saturating_add(1)..self.bounds.keep.saturating_add(MOST_REMOVED);
        for number in beyond {
            if fs::remove_file(self.numbered(number)).is_err() {
                return;
            }
        }
    }

    /// `pattoo_wasm.log.1` is the newest of those that are kept.
    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    files::refuse_exposed(path.parent().unwrap_or(Path::new(".")))?;
    let file = files::open_with(OpenOptions::new().create(true).append(true).mode(0o640), path, 0)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Why there is too little room in a file system, if there is. One that does not say how large it is has room.
fn too_little_room(file: &File) -> Option<String> {
    let found = rustix::fs::fstatvfs(file).ok()?;
    let (all, free) = (found.f_blocks.saturating_mul(found.f_frsize), found.f_bavail.saturating_mul(found.f_frsize));
    let reserve = RESERVE.min(all.checked_div(10)?);
    (all > 0 && free < reserve).then(|| {
        let size = |bytes| ByteSize(bytes).display().iec();
        format!("of its file system {} are free, and {} are left alone", size(free), size(reserve))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{Change, LogBounds, LogFile};

    fn line(number: usize) -> String {
        format!("line {number:05}\n")
    }

    /// The numbers of the lines of a file.
    fn numbers(path: &Path) -> Vec<usize> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| line.trim_start_matches("line ").parse().unwrap()).collect()
    }

    #[test]
    fn the_log_file_rotates_at_its_size_and_keeps_so_many() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pattoo_wasm.log");
        let bounds = LogBounds { bytes: 110, keep: 3 };
        let mut log = LogFile::open(&path, bounds).unwrap();
        for number in 0..1000 {
            assert_eq!(log.write(line(number).as_bytes()), None);
        }
        let mut names: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let at = |number: usize| folder.path().join(format!("pattoo_wasm.log.{number}"));
        assert_eq!(names, ["pattoo_wasm.log", "pattoo_wasm.log.1", "pattoo_wasm.log.2", "pattoo_wasm.log.3"]);
        let kept: Vec<usize> = [at(3), at(2), at(1), path.clone()].iter().flat_map(|path| numbers(path)).collect();
        assert_eq!(kept, (960..1000).collect::<Vec<_>>(), "the newest, without a gap");
        for path in [at(3), at(2), at(1), path.clone()] {
            assert!(fs::metadata(&path).unwrap().len() <= 110, "{}", path.display());
        }
        // Opened again it goes on; with fewer to keep, those beyond go.
        let mut log = LogFile::open(&path, LogBounds { keep: 1, ..bounds }).unwrap();
        assert!(!at(2).exists() && !at(3).exists() && at(1).exists());
        log.write(line(1000).as_bytes());
        assert_eq!((numbers(&at(1)), numbers(&path)), ((990..1000).collect(), vec![1000]));
        // None kept: it starts over.
        let mut log = LogFile::open(&path, LogBounds { keep: 0, ..bounds }).unwrap();
        (0..100).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        assert!(fs::metadata(&path).unwrap().len() <= 110 && !at(1).exists());
    }

    #[test]
    fn a_log_file_that_cannot_be_moved_aside_stays_within_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pattoo_wasm.log");
        // What would be moved there cannot replace a folder.
        fs::create_dir(folder.path().join("pattoo_wasm.log.1")).unwrap();
        fs::write(folder.path().join("pattoo_wasm.log.1/x"), "").unwrap();
        let mut log = LogFile::open(&path, LogBounds { bytes: 110, keep: 1 }).unwrap();
        (0..1000).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        assert!(fs::metadata(&path).unwrap().len() <= 110);
        assert_eq!(numbers(&path).last(), Some(&999));
    }

    #[test]
    fn a_log_file_that_was_removed_or_shortened_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pattoo_wasm.log");
        let mut log = LogFile::open(&path, LogBounds { bytes: 110, keep: 1 }).unwrap();
        (0..5).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        fs::remove_file(&path).unwrap();
        log.looked = None;
        log.write(line(5).as_bytes());
        assert_eq!(numbers(&path), [5]);
        fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        log.looked = None;
        (6..15).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        assert_eq!(numbers(&path), (6..15).collect::<Vec<_>>());
        assert!(!folder.path().join("pattoo_wasm.log.1").exists());
    }

    #[test]
    fn what_has_no_room_is_dropped_counted_and_told() {
        // Every write to it fails with ENOSPC; it is no regular file, so it is put in by hand.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pattoo_wasm.log");
        let mut log = LogFile::open(&path, LogBounds { bytes: 1000, keep: 1 }).unwrap();
        let file = std::mem::replace(&mut log.file, fs::File::options().write(true).open("/dev/full").unwrap());
        let first = log.write(line(0).as_bytes());
        assert!(matches!(&first, Some(Change::Dropping(why)) if why.contains("space")), "{first:?}");
        assert_eq!((log.write(line(1).as_bytes()), log.write(line(2).as_bytes())), (None, None));
        log.file = file;
        assert_eq!(log.write(line(3).as_bytes()), Some(Change::Again(3)));
        assert_eq!(log.write(line(4).as_bytes()), None);
        assert_eq!(numbers(&path), [3, 4]);
        // And where the file system has less than is left alone.
        log.refused = Some("full".to_owned());
        assert_eq!(log.write(line(5).as_bytes()), Some(Change::Dropping("full".to_owned())));
        assert_eq!(log.look_again(), Some(Change::Again(1)));
        assert_eq!(log.look_again(), None);
    }
}
