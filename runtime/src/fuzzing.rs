//! The functions for the targets in `fuzz/`, only in builds for fuzzing.

use pattoo_modbus::{ExceptionCode, LineMode, ReadError, Span, Tolerance, Words};
use pattoo_settings::ConfigError;
use tokio::io::DuplexStream;

/// Makes a component of a core module.
///
/// # Errors
///
/// Why it is not a collector.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, String> {
    pattoo_sandbox::componentized(module)
}

/// The effective configuration of `pattoo.yaml`, `pattoo_agent.yaml` and `pattoo_wasm.yaml`.
///
/// # Errors
///
/// Everything that is wrong with them.
pub fn configuration(pattoo: &str, agent: &str, ours: &str) -> Result<String, ConfigError> {
    crate::config::fuzzing::configuration(pattoo, agent, ours)
}

/// Asks the device at the other end of `stream` for `span`, with the frames of a serial line in one of its modes or of Modbus TCP.
///
/// # Errors
///
/// What is wrong with the reply.
pub async fn modbus_reply(
    stream: DuplexStream,
    line: Option<LineMode>,
    tolerance: Tolerance,
    span: Span,
) -> Result<Result<Words, ExceptionCode>, ReadError> {
    pattoo_modbus::read_stream(stream, line, tolerance, span).await
}
