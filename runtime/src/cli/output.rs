//! Writing to stdout, where a reader that has gone away is no error.

use std::io::{ErrorKind, Write as _};

use super::Failure;

/// Writes `line` and a line end to stdout.
pub(super) fn print_line(line: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(line.as_ref()).and_then(|()| stdout.write_all(b"\n")).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::fault(format!("stdout cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}
