//! `pattoo-wasm build`: calls the tools of the language that a project is written in.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytesize::ByteSize;

use super::{
    Exit, Failure,
    languages::{LANGUAGES, Language},
    output::print_line,
};

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm build
  pattoo-wasm build greenhouse --output collectors/greenhouse.wasm

The language is known by a file of its own: Cargo.toml, go.mod and so on.
Its tools do the work; which they were is said, so that they can be called
without this command.";

/// Arguments of `build`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The folder of the project
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,

    /// The module [default: a file in the project's folder, named as that]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Builds the project.
pub(super) fn build(args: &Args) -> Result<Exit, Failure> {
    let unusable = |error| Failure::usage(format!("{}: {error}", args.folder.display()));
    let folder = args.folder.canonicalize().map_err(unusable)?;
    let Some(language) = Language::of(&folder) else {
        let markers: Vec<_> =
            LANGUAGES.iter().map(|language| format!("{} ({})", language.marker, language.title)).collect();
        return Err(Failure::usage(format!("{} is not the folder of a collector", folder.display()))
            .help(format!("it would have one of: {}. `pattoo-wasm new` makes such a folder", markers.join(", "))));
    };
    let output = match &args.output {
        // The tools run in the project's folder, the path is meant from here.
        Some(output) => {
            std::path::absolute(output).map_err(|error| Failure::usage(format!("{}: {error}", output.display())))?
        }
        None => folder.join(folder.file_name().unwrap_or("collector".as_ref())).with_added_extension("wasm"),
    };
    (language.build)(&folder, &output)?;
    let size = fs::metadata(&output)
        .map_err(|error| Failure::fault(format!("the tools left no module: {}: {error}", output.display())))?
        .len();
    let shown = shown(&output);
    print_line(format!("{shown} ({}). Run it:\n\n  pattoo-wasm run {shown}", ByteSize(size).display().si()))?;
    Ok(Exit::Good)
}

/// The path as it is typed from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let relative = here.as_ref().ok().and_then(|here| path.strip_prefix(here).ok());
    relative.unwrap_or(path).display().to_string()
}
