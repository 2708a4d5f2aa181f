//! The section of a file in the configuration.

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use pattoo_base::files;
use pattoo_settings::{
    Fields, Form, GIB, KIB, Key, Kind, MIB, Quantity, Reported,
    convert::{narrow, same, widen},
    quantity,
};

use super::{appender::Appender, lines::JsonLines};
use crate::output_type::{Client, ClientOptions, Encoding, Folders, OutputSettings, SendError, max_payload};

/// A file, as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where it is.
    pub path: PathBuf,
    pub(super) sizes: Sizes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) rotate: u64,
    pub(super) keep: u32,
    pub(super) max_payload: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { rotate: 64 * MIB, keep: 8, max_payload: 1 << 20 }
    }
}

static SIZES: &[Quantity<Sizes>] = &[
    quantity!("rotate", "size at which the file is rotated", Size, 64 * KIB, 64 * GIB, rotate, same, same),
    quantity!("keep", "how many rotated files are kept", Count, 1, 10_000, keep, u64::from, narrow),
    max_payload(|sizes| widen(sizes.max_payload), |sizes, bytes| sizes.max_payload = narrow(bytes)),
];

/// The form of the section.
pub fn form() -> Form {
    let mut keys = vec![
        Key::new("path", Kind::Text, "the file; a relative path is below `daemon_directory`", "archive/values.jsonl")
            .required(),
    ];
    keys.extend(Key::of_quantities(SIZES, &Sizes::default()));
    Form::new("a file", keys)
}

impl Settings {
    /// The file at this path, with what is usual otherwise.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), sizes: Sizes::default() }
    }
}

impl OutputSettings for Settings {
    fn read(fields: Fields<'_>, folders: Folders<'_>) -> Result<Self, Reported> {
        let path = fields.required::<PathBuf>("path");
        let mut sizes = Sizes::default();
        fields.quantities(SIZES, &mut sizes)?;
        Ok(Self { path: folders.data.join(path?), sizes })
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn max_payload(&self) -> usize {
        self.sizes.max_payload
    }

    fn encoding(&self) -> Arc<dyn Encoding> {
        Arc::new(JsonLines)
    }

    fn connect(&self, _: &ClientOptions) -> Result<Arc<dyn Client>, SendError> {
        Ok(Arc::new(Appender::new(self)))
    }

    fn probe(&self, _: Duration) -> BoxFuture<'_, Result<(), String>> {
        async {
            files::check_writable(files::folder_of(&self.path))
                .map_err(|why| format!("cannot write to {}: {why}", self.path.display()))
        }
        .boxed()
    }
}
