//! Parsing of a whole configuration, without reading it from disk.

use std::{path::Path, sync::Arc};

use pattoo_settings::{ConfigError, SourceFile};

use super::{load::Loaded, pattoo_files::PattooFiles, source::Source};

/// The effective configuration of `pattoo.yaml`, `pattoo_agent.yaml` and `pattoo_wasm.yaml`.
pub(crate) fn configuration(pattoo: &str, agent: &str, ours: &str) -> Result<String, ConfigError> {
    let source = |name: &str, text: &str| {
        Source::of(Arc::new(SourceFile { path: Path::new("/nowhere").join(name), text: text.to_owned() }))
    };
    let pattoo = PattooFiles::of(Some(source("pattoo.yaml", pattoo)?), Some(source("pattoo_agent.yaml", agent)?))?;
    Loaded::of(pattoo, source("pattoo_wasm.yaml", ours)?.into(), Vec::new(), None).map(|loaded| loaded.effective())
}
