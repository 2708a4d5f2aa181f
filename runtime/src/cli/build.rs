//! `pattoo-wasm build`: calls the tools of a project's language.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use super::{
    Exit, Failure,
    languages::{LANGUAGES, Language},
    stdout::print_line,
};

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm build
  pattoo-wasm build greenhouse --output collectors/greenhouse.wasm

The language is recognised by a file: Cargo.toml, go.mod and so on. The command
prints each call of the language's tools, so that they can be called without it.";

/// Arguments of `build`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Build the project in this folder
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,

    /// Write the module to this file [default: in the project's folder, with its name]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Builds the project.
pub(super) fn build(args: &Args) -> Result<Exit, Failure> {
    let unusable =
        |error| Failure::usage(format!("{}: {error}", args.folder.display())).help("name the folder of a collector");
    let folder = args.folder.canonicalize().map_err(unusable)?;
    let Some(language) = Language::of(&folder) else {
        let markers: Vec<_> =
            LANGUAGES.iter().map(|language| format!("{} ({})", language.marker, language.title)).collect();
        return Err(Failure::usage(format!("{} is not the folder of a collector", folder.display())).help(format!(
            "name a folder that has one of {}, or create one with `pattoo-wasm new`",
            markers.join(", ")
        )));
    };
    let output = match &args.output {
        // The tools run in the project's folder; the path is relative to the current one.
        Some(output) => {
            std::path::absolute(output).map_err(|error| Failure::usage(format!("{}: {error}", output.display())))?
        }
        None => folder.join(folder.file_name().unwrap_or("collector".as_ref())).with_added_extension("wasm"),
    };
    (language.build)(&folder, &output)?;
    let size = fs::metadata(&output)
        .map_err(|error| {
            Failure::internal(format!("the tools did not create the module: {}: {error}", output.display()))
        })?
        .len();
    let shown = shown(&output);
    print_line(format!("{shown} ({}). Run it:\n\n  pattoo-wasm run {shown}", ByteSize(size).display().si()))?;
    Ok(Exit::Success)
}

/// The path relative to the current folder.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let relative = here.as_ref().ok().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}
