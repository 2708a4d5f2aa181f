//! The newest time at which payloads were stored, over restarts.
//!
//! pattoo's server keeps the time of the last value of each series, and ignores older ones. If the
//! clock of this machine was ahead and is set back, what is collected until it has passed that time
//! again has no effect. Nothing here can prevent that, so it is reported: in the log, in the status
//! and in the metrics.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::Mutex,
    time::{Duration, UNIX_EPOCH},
};

use pattoo_base::{clock::unix_millis, files, lock::lock};

/// How far the clock may be behind before that is reported: a correction by a time server is less.
const TOLERANCE: Duration = Duration::from_mins(1);
/// How often the file is written, in milliseconds.
const WRITE_EVERY: u64 = 20_000;
/// The last time that can be written: the end of the year 9999, in Unix milliseconds.
const LAST: u64 = 253_402_300_799_999;
/// The longest content of the file, in bytes.
const MOST: u64 = 64;

/// The newest time, and the file that keeps it, if there is one.
#[derive(Debug, Default)]
pub struct TimeMark(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    file: Option<File>,
    /// In Unix milliseconds, as all times here.
    newest: u64,
    written: u64,
    is_behind: bool,
}

impl TimeMark {
    /// Reads the file, which is created if there is none, and reports it if the clock is behind.
    ///
    /// # Errors
    ///
    /// When the file cannot be used.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = files::open_or_create(path)?;
        let text =
            files::read_open(&file, MOST).ok().and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let time = humantime::parse_rfc3339(text.trim()).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        if time.is_none() {
            // Nothing of a damaged content stays behind the next time that is written.
            file.set_len(0)?;
        }
        let newest = time.map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(LAST));
        let mark = Self(Mutex::new(State { file: Some(file), newest, written: newest, is_behind: false }));
        lock(&mark.0).look(unix_millis());
        Ok(mark)
    }

    /// Payloads were stored now.
    pub fn stored(&self) {
        lock(&self.0).stored(unix_millis());
    }

    /// How far the clock is behind the newest time; zero if it is not, or by less than a minute.
    pub fn behind(&self) -> Duration {
        lock(&self.0).behind(unix_millis())
    }
}

impl State {
    fn behind(&self, now: u64) -> Duration {
        let behind = Duration::from_millis(self.newest.saturating_sub(now));
        if behind > TOLERANCE { behind } else { Duration::ZERO }
    }

    /// Reports that the clock is behind, or is not any more.
    fn look(&mut self, now: u64) {
        let behind = self.behind(now);
        if std::mem::replace(&mut self.is_behind, !behind.is_zero()) != self.is_behind {
            if self.is_behind {
                tracing::error!(
                    "the clock was set back: it is {}, and payloads were stored until {}; a pattoo server ignores \
                     values that are older than the last one of their series, so those of the next {} may have no effect",
                    shown(now),
                    shown(self.newest),
                    humantime::format_duration(Duration::from_secs(behind.as_secs()))
                );
            } else {
                tracing::info!("the clock has passed {} again", shown(self.newest));
            }
        }
    }

    fn stored(&mut self, now: u64) {
        self.look(now);
        self.newest = self.newest.max(now.min(LAST));
        if self.newest.saturating_sub(self.written) < WRITE_EVERY {
            return;
        }
        self.written = self.newest;
        if let Some(file) = &self.file
            && let Err(error) = file.write_all_at(shown(self.newest).as_bytes(), 0)
        {
            tracing::debug!("the newest time is not kept: {error}");
        }
    }
}

/// A time as the file and messages have it: always as long.
fn shown(millis: u64) -> String {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(millis.min(LAST)));
    time.map_or_else(String::new, |time| humantime::format_rfc3339_millis(time).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{State, TimeMark, WRITE_EVERY, lock, shown};

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn clock_that_was_set_back_is_behind_until_it_has_passed_the_newest_time() {
        let mut state = State::default();
        for (now, behind) in [
            (NOW, 0),
            (NOW + 3_600_000, 0),
            // Corrections by seconds are not reported.
            (NOW + 3_541_000, 0),
            (NOW, 3_600),
            (NOW + 600_000, 3_000),
            (NOW + 3_600_001, 0),
        ] {
            state.stored(now);
            assert_eq!(
                (state.behind(now), state.is_behind),
                (Duration::from_secs(behind), behind > 0),
                "{}",
                shown(now)
            );
        }
    }

    #[test]
    fn newest_time_outlives_the_process_and_damage_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("newest");
        let newest = || TimeMark::open(&path).unwrap().0.into_inner().unwrap().newest;
        assert_eq!(newest(), 0);
        let mark = TimeMark::open(&path).unwrap();
        mark.0.lock().unwrap().stored(NOW);
        assert_eq!(newest(), NOW);
        mark.0.lock().unwrap().stored(NOW + WRITE_EVERY - 1);
        assert_eq!(newest(), NOW, "it is not written each time");
        mark.0.lock().unwrap().stored(u64::MAX);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "9999-12-31T23:59:59.999Z");
        for damage in [b"yesterday".as_slice(), &[0xFF; 30], &[b'9'; 100]] {
            std::fs::write(&path, damage).unwrap();
            let mark = TimeMark::open(&path).unwrap();
            assert_eq!(lock(&mark.0).newest, 0);
            lock(&mark.0).stored(NOW);
            assert_eq!(newest(), NOW);
        }
    }
}
