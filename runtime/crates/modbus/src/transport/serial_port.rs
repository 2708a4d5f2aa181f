//! Opening serial lines.

use std::{fs::File, io, os::unix::fs::OpenOptionsExt as _};

use serial2_tokio::{CharSize, FlowControl, SerialPort};

use crate::{
    address::{DataBits, Parity, SerialLine, StopBits},
    error::ReadError,
};

/// Keeps other programs that check for locks from using a serial line, and its driver from
/// switching the signals of the line off between two openings.
#[derive(Debug)]
pub(crate) struct LineLock {
    _device: File,
}

pub(super) fn cannot_open(error: &io::Error) -> ReadError {
    ReadError::Connection(format!("cannot open the serial line: {error}"))
}

/// Opens a serial line with its parameters, and locks it unless it is locked.
pub(super) fn open_line(line: &SerialLine, lock: &mut Option<LineLock>) -> Result<SerialPort, ReadError> {
    if lock.is_none() {
        *lock = Some(lock_line(line)?);
    }
    SerialPort::open(line.path(), |mut settings: serial2_tokio::Settings| {
        settings.set_raw();
        settings.set_baud_rate(line.baud())?;
        settings.set_char_size(match line.data() {
            DataBits::Seven => CharSize::Bits7,
            DataBits::Eight => CharSize::Bits8,
        });
        settings.set_parity(match line.parity() {
            Parity::None => serial2_tokio::Parity::None,
            Parity::Even => serial2_tokio::Parity::Even,
            Parity::Odd => serial2_tokio::Parity::Odd,
        });
        settings.set_stop_bits(match line.stop() {
            StopBits::One => serial2_tokio::StopBits::One,
            StopBits::Two => serial2_tokio::StopBits::Two,
        });
        settings.set_flow_control(FlowControl::None);
        Ok(settings)
    })
    .map_err(|error| {
        *lock = None;
        // An error without a number: the driver has kept other parameters.
        if error.raw_os_error().is_none() {
            let (baud, data, parity) = (line.baud(), line.data(), line.parity());
            return ReadError::Connection(format!(
                "the serial line does not support {baud} baud with {data} data bits and parity {parity} ({error}); write supported \
                 parameters (a pseudo-terminal has no parity, `parity=none`, and 8 data bits, `data=8`)"
            ));
        }
        cannot_open(&error)
    })
}

fn lock_line(line: &SerialLine) -> Result<LineLock, ReadError> {
    // Do not wait for a carrier, and do not become the controlling terminal of the process.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let device = File::options().read(true).custom_flags(flags).open(line.path());
    let device = device.map_err(|error| cannot_open(&error))?;
    match device.try_lock() {
        Ok(()) => Ok(LineLock { _device: device }),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(ReadError::Connection("the serial line is in use by another program".to_owned()))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(cannot_open(&error)),
    }
}
