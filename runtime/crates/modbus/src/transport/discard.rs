//! Discarding what arrives before the first request on a connection.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, timeout_at},
};

use super::{fault::Fault, timeout::after};
use crate::error::ReadError;

/// How long a noisy line is read before opening it fails.
const MAX_NOISE: Duration = Duration::from_secs(1);
/// The maximum number of bytes that are discarded in the pause after connecting.
const MAX_BANNER: usize = 64 * 1024;

/// Reads and discards bytes until none has arrived for `quiet`.
pub(super) async fn discard_until_quiet(
    stream: &mut (impl AsyncRead + Unpin),
    quiet: Duration,
) -> Result<(), ReadError> {
    let started = Instant::now();
    while read_until(stream, after(Instant::now(), quiet)).await?.is_some() {
        if started.elapsed() >= MAX_NOISE {
            return Err(ReadError::Protocol("the device does not stop sending".to_owned()));
        }
    }
    Ok(())
}

/// Reads and discards bytes for this time.
pub(super) async fn discard_for(stream: &mut (impl AsyncRead + Unpin), pause: Duration) -> Result<(), ReadError> {
    let until = after(Instant::now(), pause);
    let mut discarded: usize = 0;
    while let Some(read) = read_until(stream, until).await? {
        discarded = discarded.saturating_add(read);
        if discarded > MAX_BANNER {
            return Err(ReadError::Protocol(
                "the device does not stop sending after the connection is open".to_owned(),
            ));
        }
    }
    Ok(())
}

/// Reads some bytes and returns their number; `None` if none arrived in time.
async fn read_until(stream: &mut (impl AsyncRead + Unpin), until: Instant) -> Result<Option<usize>, ReadError> {
    match timeout_at(until, stream.read(&mut [0; 256])).await {
        Err(_) => Ok(None),
        Ok(Ok(0)) => Err(ReadError::Connection(Fault::Closed.to_string())),
        Ok(Ok(read)) => Ok(Some(read)),
        Ok(Err(error)) => Err(ReadError::Connection(Fault::Broken(error).to_string())),
    }
}
