//! The log file, which is limited in size and never fills a disk.
//!
//! It is rotated at a size, so that no number of lines fills a disk. It also leaves some space of
//! its file system free for the spool: while less space is free, lines are dropped and counted.
//!
//! Another program may rotate it, too. A file that was renamed or removed is noticed within a second,
//! and the path is opened again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytesize::ByteSize;
use pattoo_base::files::{self, Space};

use crate::config::LogBounds;

/// The free space that is left on a file system, in bytes. On a small one it is a tenth.
const FREE_SPACE: u64 = 64 << 20;
/// How often the free space and the path are checked: after this time, and after this many bytes.
const CHECK_AFTER: Duration = Duration::from_secs(1);
const CHECK_AFTER_BYTES: u64 = 1 << 20;
/// How many old files are removed at most, if fewer files are kept than before.
const MOST_REMOVED: u32 = 1000;

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    bounds: LogBounds,
    file: File,
    size: u64,
    /// Whether the last line is incomplete.
    torn: bool,
    /// When the free space was last checked, and how many bytes were written since then.
    checked: Option<Instant>,
    since: u64,
    /// Why lines are dropped at the moment.
    refused: Option<String>,
    dropped: u64,
    /// When the first of them was dropped.
    dropped_since: Option<Instant>,
    /// Why lines still go to a file that was renamed or removed.
    stranded: Option<String>,
}

/// A change that is to be logged elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LogChange {
    /// Lines are dropped from now on, for this reason.
    Dropping(String),
    /// Lines are written again. This many were dropped, in this time.
    Resumed(u64, Duration),
    /// The file was renamed, and there is no new one for this reason: lines still go to it.
    Stranded(String),
    /// Lines go to a file at the path again.
    Reopened,
}

impl LogFile {
    /// Opens the file, and creates it if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, is not a regular file, or can be replaced by other users.
    pub(super) fn open(path: &Path, bounds: LogBounds) -> io::Result<Self> {
        let (file, size) = append(path)?;
        let log = Self {
            path: path.to_owned(),
            bounds,
            file,
            size,
            torn: false,
            checked: None,
            since: 0,
            refused: None,
            dropped: 0,
            dropped_since: None,
            stranded: None,
        };
        log.remove_old_files();
        Ok(log)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a line, or drops and counts it. It never fails.
    pub(super) fn write(&mut self, line: &[u8]) -> Option<LogChange> {
        let was_stranded = self.stranded.is_some();
        match self.try_write(line) {
            Ok(()) => self.resumed().or_else(|| self.moved(was_stranded)),
            Err(error) => {
                self.dropped = self.dropped.saturating_add(1);
                self.dropped_since.get_or_insert_with(Instant::now);
                (self.dropped == 1).then(|| LogChange::Dropping(error.to_string()))
            }
        }
    }

    /// Checks whether the file was renamed or removed, and if lines were dropped, whether they can be
    /// written again.
    pub(super) fn check_again(&mut self) -> Option<LogChange> {
        let was_stranded = self.stranded.is_some();
        let checked = self.check(true);
        let resumed = if checked.is_ok() { self.resumed() } else { None };
        resumed.or_else(|| self.moved(was_stranded))
    }

    /// Opens the path again: another program has rotated the file. If that fails, an existing file
    /// stays open.
    pub(super) fn reopen(&mut self) -> Option<LogChange> {
        let was_stranded = self.stranded.is_some();
        self.follow_path();
        self.moved(was_stranded)
    }

    /// That lines are written again, if some were dropped.
    fn resumed(&mut self) -> Option<LogChange> {
        let since = self.dropped_since.take()?;
        Some(LogChange::Resumed(std::mem::take(&mut self.dropped), since.elapsed()))
    }

    /// What changed about the file that lines go to.
    fn moved(&self, was_stranded: bool) -> Option<LogChange> {
        (self.stranded.is_some() != was_stranded).then(|| match &self.stranded {
            Some(why) => LogChange::Stranded(why.clone()),
            None => LogChange::Reopened,
        })
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        self.check(false)?;
        let length = line.len() as u64;
        if self.size > 0 && self.size.saturating_add(length) > self.bounds.bytes {
            self.rotate()?;
        }
        // The incomplete line ends here.
        if self.torn {
            self.file.write_all(b"\n")?;
            self.size = self.size.saturating_add(1);
            self.torn = false;
        }
        let written = self.file.write(line).inspect_err(|_| self.checked = None)?;
        self.size = self.size.saturating_add(written as u64);
        self.since = self.since.saturating_add(written as u64);
        if written < line.len() {
            self.torn = written > 0;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    /// Checks the free space, if that is due, and whether the file was renamed, removed or shortened.
    fn check(&mut self, now: bool) -> io::Result<()> {
        let due = now || self.since >= CHECK_AFTER_BYTES || self.checked.is_none_or(|at| at.elapsed() >= CHECK_AFTER);
        if due {
            (self.checked, self.since) = (Some(Instant::now()), 0);
            let found = self.file.metadata()?;
            // It may have been shortened.
            self.size = found.len();
            let at_path = fs::symlink_metadata(&self.path).ok();
            if at_path.is_none_or(|other| (other.dev(), other.ino()) != (found.dev(), found.ino())) {
                self.follow_path();
                // Lines would take space in a file without a name.
                if let Some(why) = self.stranded.clone().filter(|_| found.nlink() == 0) {
                    return Err(io::Error::other(why));
                }
            }
            self.refused = too_little_space(&self.file, self.refused.is_some());
        }
        match &self.refused {
            Some(why) => Err(io::Error::new(io::ErrorKind::StorageFull, why.clone())),
            None => Ok(()),
        }
    }

    /// Writes to the file at the path from now on. If it cannot be opened, the open file stays.
    fn follow_path(&mut self) {
        let opened = append(&self.path);
        self.stranded = opened.as_ref().err().map(ToString::to_string);
        if let Ok((file, size)) = opened {
            (self.file, self.size, self.torn) = (file, size, false);
        }
    }

    /// Renames the file and begins a new one. If that fails, the file is emptied.
    fn rotate(&mut self) -> io::Result<()> {
        if self.rename_files().is_ok() {
            (self.file, self.size) = append(&self.path)?;
        } else {
            self.file.set_len(0)?;
            self.size = 0;
        }
        Ok(())
    }

    fn rename_files(&self) -> io::Result<()> {
        let Some(last) = self.bounds.keep.checked_sub(1) else { return Err(io::ErrorKind::Unsupported.into()) };
        for number in (1..=last).rev() {
            match fs::rename(self.numbered(number), self.numbered(number.saturating_add(1))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        fs::rename(&self.path, self.numbered(1))
    }

    fn remove_old_files(&self) {
        let old = self.bounds.keep.saturating_add(1)..self.bounds.keep.saturating_add(MOST_REMOVED);
        for number in old {
            if fs::remove_file(self.numbered(number)).is_err() {
                return;
            }
        }
    }

    /// The path of an old file. `pattoo_wasm.log.1` is the newest one.
    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    files::refuse_exposed(files::folder_of(path))?;
    files::create_missing(path, 0o640)?;
    let file = files::open_with(OpenOptions::new().create(true).append(true).mode(0o640), path, 0)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Why there is too little free space in a file system, if so. One of unknown size has enough.
/// If lines are dropped already, a little more has to be free: otherwise each line that is removed
/// elsewhere would begin and end that.
fn too_little_space(file: &File, is_dropping: bool) -> Option<String> {
    let Space { size: all, free } = Space::of(file).ok()?;
    let required = FREE_SPACE.min(all.checked_div(10)?);
    let enough = if is_dropping { required.saturating_add(required.div_euclid(8)) } else { required };
    (all > 0 && free < enough).then(|| {
        let size = |bytes| ByteSize(bytes).display().iec();
        format!("its file system has {} of free space, and at least {} stay free", size(free), size(required))
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{LogBounds, LogChange, LogFile};

    fn line(number: usize) -> String {
        format!("line {number:05}\n")
    }

    /// The numbers of the lines of a file.
    fn numbers(path: &Path) -> Vec<usize> {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| line.trim_start_matches("line ").parse().unwrap()).collect()
    }

    #[test]
    fn log_file_is_rotated_at_its_size_and_a_number_of_files_is_kept() {
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
        // Opened again it is continued. With fewer files to keep, the others are removed.
        let mut log = LogFile::open(&path, LogBounds { keep: 1, ..bounds }).unwrap();
        assert!(!at(2).exists() && !at(3).exists() && at(1).exists());
        log.write(line(1000).as_bytes());
        assert_eq!((numbers(&at(1)), numbers(&path)), ((990..1000).collect(), vec![1000]));
        // No file is kept: the log file is emptied.
        let mut log = LogFile::open(&path, LogBounds { keep: 0, ..bounds }).unwrap();
        (0..100).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        assert!(fs::metadata(&path).unwrap().len() <= 110 && !at(1).exists());
    }

    #[test]
    fn log_file_that_cannot_be_renamed_stays_within_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pattoo_wasm.log");
        // A file cannot replace a folder.
        fs::create_dir(folder.path().join("pattoo_wasm.log.1")).unwrap();
        fs::write(folder.path().join("pattoo_wasm.log.1/x"), "").unwrap();
        let mut log = LogFile::open(&path, LogBounds { bytes: 110, keep: 1 }).unwrap();
        (0..1000).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        assert!(fs::metadata(&path).unwrap().len() <= 110);
        assert_eq!(numbers(&path).last(), Some(&999));
    }

    #[test]
    fn removed_or_shortened_log_file_is_used_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pattoo_wasm.log");
        let mut log = LogFile::open(&path, LogBounds { bytes: 110, keep: 1 }).unwrap();
        (0..5).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        fs::remove_file(&path).unwrap();
        log.checked = None;
        log.write(line(5).as_bytes());
        assert_eq!(numbers(&path), [5]);
        fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        log.checked = None;
        (6..15).for_each(|number| assert_eq!(log.write(line(number).as_bytes()), None));
        assert_eq!(numbers(&path), (6..15).collect::<Vec<_>>());
        assert!(!folder.path().join("pattoo_wasm.log.1").exists());
    }

    #[test]
    fn renamed_log_file_is_noticed_at_the_next_check_also_without_lines() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let path = at("pattoo_wasm.log");
        let mut log = LogFile::open(&path, LogBounds { bytes: 1000, keep: 1 }).unwrap();
        assert_eq!(log.write(line(0).as_bytes()), None);
        fs::rename(&path, at("old")).unwrap();
        assert_eq!(log.write(line(1).as_bytes()), None);
        assert_eq!(numbers(&at("old")), [0, 1], "the check is not due");
        assert_eq!(log.check_again(), None);
        assert_eq!(log.write(line(2).as_bytes()), None);
        assert_eq!((numbers(&at("old")), numbers(&path)), (vec![0, 1], vec![2]));
        // A rotation that creates the new file itself.
        fs::rename(&path, at("older")).unwrap();
        fs::write(&path, line(3)).unwrap();
        log.checked = None;
        assert_eq!(log.write(line(4).as_bytes()), None);
        assert_eq!((numbers(&at("older")), numbers(&path)), (vec![2], vec![3, 4]));
        // A request does not wait for the check.
        fs::rename(&path, at("oldest")).unwrap();
        assert_eq!(log.reopen(), None);
        assert_eq!(log.write(line(5).as_bytes()), None);
        assert_eq!((numbers(&at("oldest")), numbers(&path)), (vec![3, 4], vec![5]));
    }

    #[test]
    fn lines_go_to_the_renamed_file_while_there_can_be_no_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("pattoo_wasm.log"), folder.path().join("old"));
        let mut log = LogFile::open(&path, LogBounds { bytes: 1000, keep: 1 }).unwrap();
        fs::rename(&path, &old).unwrap();
        fs::create_dir(&path).unwrap();
        let first = log.check_again();
        assert!(matches!(&first, Some(LogChange::Stranded(why)) if why.contains("director")), "{first:?}");
        assert_eq!((log.check_again(), log.write(line(0).as_bytes())), (None, None), "it is reported once");
        assert_eq!(numbers(&old), [0]);
        fs::remove_dir(&path).unwrap();
        assert_eq!(log.check_again(), Some(LogChange::Reopened));
        assert_eq!(log.write(line(1).as_bytes()), None);
        assert_eq!((numbers(&old), numbers(&path)), (vec![0], vec![1]));
    }

    #[test]
    fn lines_without_space_are_dropped_counted_and_reported() {
        // Every write to /dev/full fails with ENOSPC. It is not a regular file, so it cannot be
        // opened by `open`.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pattoo_wasm.log");
        let mut log = LogFile::open(&path, LogBounds { bytes: 1000, keep: 1 }).unwrap();
        let file = std::mem::replace(&mut log.file, fs::File::options().write(true).open("/dev/full").unwrap());
        log.path = "/dev/full".into();
        let first = log.write(line(0).as_bytes());
        assert!(matches!(&first, Some(LogChange::Dropping(why)) if why.contains("space")), "{first:?}");
        assert_eq!((log.write(line(1).as_bytes()), log.write(line(2).as_bytes())), (None, None));
        (log.file, log.path) = (file, path.clone());
        assert!(matches!(log.write(line(3).as_bytes()), Some(LogChange::Resumed(3, _))));
        assert_eq!(log.write(line(4).as_bytes()), None);
        assert_eq!(numbers(&path), [3, 4]);
        // The same if the file system has too little free space.
        log.refused = Some("full".to_owned());
        assert_eq!(log.write(line(5).as_bytes()), Some(LogChange::Dropping("full".to_owned())));
        assert!(matches!(log.check_again(), Some(LogChange::Resumed(1, _))));
        assert_eq!(log.check_again(), None);
    }
}
