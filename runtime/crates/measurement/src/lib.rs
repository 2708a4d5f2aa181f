//! Measurements and the identity of collectors, independent of every output.
//!
//! An [`Agent`] identifies a collector: its program, its host, its interval, and its [`AgentId`],
//! which is stored in a file. A [`Candidate`] is a datapoint as it is emitted. A [`Sink`] receives
//! the datapoints of one collection, and a [`SinkFactory`] makes a sink for each collection. The
//! outputs encode datapoints and decide which of them they accept. Nothing here depends on a
//! server.
//!
//! Nothing here reads a clock, a configuration or the network. The file of the agent id is the only
//! file that is used.
//!
//! ```
//! use std::sync::Arc;
//!
//! use pattoo_measurement::{
//!     Agent, AgentId, Bounds, Candidate, Collected, PollingInterval, SinkFactory as _, Value,
//! };
//!
//! let agent = Arc::new(Agent {
//!     program: "BOILER".parse()?,
//!     id: AgentId::passing()?,
//!     hostname: "gateway-7".parse()?,
//!     polling_interval: PollingInterval::from_seconds(20)?,
//! });
//! let mut sink = Collected::default().sink(&agent, Bounds::default());
//! let flow = Candidate { key: "flow".into(), value: Value::Float(61.5), timestamp: None, metadata: Vec::new() };
//! let refused = sink.emit("boiler-1", vec![flow], 1_700_000_000_000)?;
//! assert_eq!((refused.len(), sink.datapoints()), (0, 1));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agent;
mod agent_id;
mod datapoint;
mod sink;
mod target;
mod text;
mod value;

pub use agent::{Agent, Hostname, HostnameError, PollingInterval, PollingIntervalError, Program, ProgramError};
pub use agent_id::{AgentId, AgentIdError, InvalidAgentId};
pub use datapoint::{Candidate, MAX_NAME, Metadatum, Reason, Rejection};
pub use sink::{Bounds, Collected, DEFAULT_FUTURE_BOUND, Sink, SinkFactory};
pub use target::{MAX_TARGET, TargetError, target_name};
pub use text::{is_white_space, strip};
pub use value::Value;
