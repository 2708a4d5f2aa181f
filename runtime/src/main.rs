//! The `pattoo-wasm` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pattoo_wasm::cli::main()
}
