//! The folder of further files with collectors.

use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind},
    os::unix::ffi::OsStrExt as _,
    path::Path,
    sync::Arc,
};

use pattoo_base::files;
use pattoo_settings::Problem;

use super::super::{
    ConfigDirectory,
    source::{Source, SourceError},
};

/// The name of the folder, beside our own file.
pub(in crate::config) const FOLDER: &str = "pattoo_wasm.d";
/// The largest number of files.
const MAX_FILES: usize = 10_000;
/// The largest size of all files together, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// The files of the folder.
#[derive(Debug, Default)]
pub(in crate::config) struct CollectorFiles {
    /// Those that can be read, in the order of their names.
    pub(in crate::config) sources: Vec<Arc<Source>>,
    /// Why others cannot be read, or the folder.
    pub(in crate::config) problems: Vec<Problem>,
}

impl CollectorFiles {
    /// Reads the files of a configuration directory. Without the folder there are none.
    pub(in crate::config) fn read(directory: &ConfigDirectory) -> Self {
        Self::read_up_to(directory, MAX_FILES, MAX_BYTES)
    }

    pub(super) fn read_up_to(directory: &ConfigDirectory, max_files: usize, max_bytes: usize) -> Self {
        let folder = directory.path().join(FOLDER);
        let names = match names(&folder) {
            Ok(names) => names,
            Err(problem) => return Self { sources: Vec::new(), problems: vec![problem] },
        };
        let too_many = |what: String| {
            Problem::without_place(
                what,
                "put several collectors into one file, and their settings into a `settings_file`",
            )
        };
        if names.len() > max_files {
            let what = format!("{} has {} files with collectors, more than {max_files}", folder.display(), names.len());
            return Self { sources: Vec::new(), problems: vec![too_many(what)] };
        }
        let mut found = Self::default();
        let mut bytes = 0_usize;
        for name in names {
            match Source::read_trusted(&folder.join(name)) {
                Ok(source) => {
                    bytes = bytes.saturating_add(source.file.text.len());
                    found.sources.push(Arc::new(source));
                }
                Err(error) => {
                    let is_unreadable = matches!(error, SourceError::Unreadable(..));
                    let problem = error.into_problem();
                    let help = "make it a YAML file that this user can read, or remove it";
                    let problem = if is_unreadable { Problem { help: help.to_owned(), ..problem } } else { problem };
                    found.problems.push(problem);
                }
            }
            if bytes > max_bytes {
                let what = format!("the files in {} have more than {max_bytes} bytes together", folder.display());
                found.problems.push(too_many(what));
                break;
            }
        }
        found
    }
}

/// The names of the files to read, in their order. Others have a meaning to editors and package
/// managers.
fn names(folder: &Path) -> Result<Vec<OsString>, Problem> {
    let unreadable = |error: io::Error| {
        let help = "make it a folder that this user can read, or remove it";
        Problem::without_place(format!("{}: {error}", folder.display()), help)
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound && folder.symlink_metadata().is_err() => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    // Anyone who can add a file can add a collector.
    if let Some(exposure) = files::exposures_of_folder(folder).into_iter().find(files::Exposure::is_refused) {
        return Err(Problem::without_place(exposure.to_string(), exposure.help()));
    }
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        let is_hidden = name.as_bytes().starts_with(b".");
        let is_yaml = Path::new(&name).extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if is_yaml && !is_hidden && !folder.join(&name).is_dir() {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
