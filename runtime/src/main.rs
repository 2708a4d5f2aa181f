//! The `pattoo-wasm` command: arguments to command to exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    pattoo_wasm::cli::main()
}
