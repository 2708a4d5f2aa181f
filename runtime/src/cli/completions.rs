//! `pattoo-wasm completions` and `pattoo-wasm man`, for shells and packagers.

use std::path::PathBuf;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Exit, Failure, stdout::print_line};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  pattoo-wasm completions bash > ~/.local/share/bash-completion/completions/pattoo-wasm"
)]
pub(super) struct Args {
    /// Print the script of this shell
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  pattoo-wasm man ~/.local/share/man/man1")]
pub(super) struct ManArgs {
    /// Write the pages into this existing folder
    folder: PathBuf,
}

pub(super) fn print(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "pattoo-wasm", &mut script);
    print_line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Success)
}

pub(super) fn write_man_pages(args: &ManArgs) -> Result<Exit, Failure> {
    clap_mangen::generate_to(Cli::command(), &args.folder).map_err(|error| {
        Failure::usage(format!("{}: {error}", args.folder.display())).help("name an existing folder")
    })?;
    Ok(Exit::Success)
}
