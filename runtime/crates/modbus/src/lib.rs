//! Reads Modbus devices over TCP, TLS, UDP and serial lines, with the fewest requests.
//!
//! An application lists the [`Span`]s that it needs, and gets values or typed errors. The crate
//! plans the requests, shares one connection among all callers of an endpoint, checks every byte of
//! a reply, and protects slow and fragile devices: pauses, retries, a circuit breaker for each
//! unit, backoff for each endpoint. It never writes to a device: it sends the four read functions
//! only.
//!
//! ```
//! use pattoo_modbus::{DeviceUrl, EndpointSettings, Endpoints, Readable, Span, Table, Words};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # // A device that answers one request for two registers with 230.5 as a big-endian float.
//! # let device = async move {
//! #     use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! #     let (mut stream, _) = listener.accept().await?;
//! #     let mut request = [0; 12];
//! #     stream.read_exact(&mut request).await?;
//! #     assert_eq!(request[6..], [7, 3, 0, 12, 0, 2]);
//! #     stream.write_all(&[request[0], request[1], 0, 0, 0, 7, 7, 3, 4, 0x43, 0x66, 0x80, 0x00]).await
//! # };
//! # tokio::spawn(device);
//! let url: DeviceUrl = format!("tcp://{address}").parse()?; // such as tcp://192.0.2.10:502
//! let endpoint = Endpoints::new().endpoint(url.endpoint(), &EndpointSettings::default());
//!
//! // Two holding registers from address 12 of unit 7 hold a float, high word first.
//! let voltage = Span::new(7, Table::HoldingRegisters, 12, 2)?;
//! let results = endpoint.read(&[voltage], &Readable::everything()).await;
//! let Some(Ok(Words::Registers(words))) = results.first() else { return Err("no voltage".into()) };
//! let &[high, low] = words.as_slice() else { return Err("no voltage".into()) };
//! assert_eq!(f32::from_bits(u32::from(high) << 16 | u32::from(low)), 230.5);
//! # Ok(())
//! # }
//! ```
//!
//! # How a read works
//!
//! [`Endpoint::read`] checks the spans against [`Readable`], plans the fewest requests for them,
//! and submits these to the request queue of the endpoint, where they take turns with those of
//! other [`Caller`]s. A request that fails because of its addresses is halved until only the bad
//! spans fail, and the next read plans around what was learned.
//!
//! | folder | contents |
//! |---|---|
//! | `address` | device URLs, endpoints, serial lines |
//! | `model` | units, tables, spans, values, and the ranges that may be read |
//! | `plan` | the fewest requests for a list of spans, with the proof; what was learned of a device |
//! | `endpoint` | reads, the request queue, fair turns, circuit breakers |
//! | `transport` | connections: opening, timeouts, and the check of every frame |

mod address;
mod endpoint;
mod endpoint_settings;
mod error;
mod model;
mod plan;
mod tls;
mod tolerance;
mod transport;

pub use address::{
    DEFAULT_PORT, DataBits, DeviceUrl, DeviceUrlError, EndpointAddress, HostPort, LineMode, Parity, SECURE_PORT,
    SerialLine, StopBits,
};
pub use endpoint::{Caller, Endpoint, Endpoints};
pub use endpoint_settings::{EndpointSettings, MAX_CONNECTIONS};
pub use error::{NotSent, ReadError};
pub use model::{
    ExceptionCode, MAX_BITS, MAX_REGISTERS, ManualError, Ranges, RangesError, Readable, Span, SpanError, Table, Unit,
    UnitError, Words, manual_address,
};
pub use tls::{TlsSettings, TlsSettingsError};
pub use tolerance::{Deviation, Tolerance};
#[cfg(fuzzing)]
pub use transport::read_stream;

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers in tests")]
mod tests;
