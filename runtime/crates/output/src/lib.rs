//! Where datapoints go: encoded for each output, durable until the output has accepted them.
//!
//! An [`Output`] has one of the types below: [`pattoo`] posts to a pattoo server, [`mod@file`] appends to a file. The module
//! of a type owns all that is particular to it: its section of the configuration, how datapoints are encoded and divided,
//! how payloads are sent, and what an answer means. To add a type, add a module whose `Settings` implement
//! [`OutputSettings`], and a line to `outputs!` below.
//!
//! What is the same for all:
//!
//! - [`Encodings`] makes the [`Encoders`] of a collection, which take its datapoints as they are emitted and become payloads
//!   when it ends: all of them are committed to the spool ([`pattoo_spool`]) in one transaction.
//! - [`Delivery`] sends what is in the spool, each queue oldest first, until its output has accepted it; [`deliver_now`] does
//!   so for one queue. Outputs do not wait for each other.
//!
//! A payload whose answer was lost, or that was accepted just before the process was killed, is sent again: every output gets
//! each datapoint at least once.
//!
//! ```
//! use std::sync::Arc;
//!
//! use pattoo_measurement::{
//!     Agent, AgentId, Bounds, Candidate, PollingInterval, SinkFactory as _, Value,
//! };
//! use pattoo_output::{Encoders, Encodings, NamedOutput, Output, file};
//!
//! let archive = Output::File(file::Settings::new("/var/lib/pattoo/archive.jsonl"));
//! let outputs = [NamedOutput { name: "archive".parse()?, output: archive }];
//! let encodings = Encodings::new(&outputs);
//!
//! let agent = Arc::new(Agent {
//!     program: "BOILER".parse()?,
//!     id: AgentId::passing()?,
//!     hostname: "gateway-7".parse()?,
//!     polling_interval: PollingInterval::from_seconds(20)?,
//! });
//! let mut sink = encodings.sink(&agent, Bounds::default());
//! let flow = Candidate { key: "flow".into(), value: Value::Float(61.5), timestamp: None, metadata: Vec::new() };
//! sink.emit("boiler-1", vec![flow], 1_700_000_000_000)?;
//!
//! // What the collection left behind, to be stored in the spool.
//! let payloads = Encoders::of(sink).expect("they were made above").into_payloads(1_700_000_000_500)?;
//! assert_eq!(payloads[0].queue.output.as_str(), "archive");
//! assert!(payloads[0].bytes.starts_with(br#"{"program":"BOILER""#));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod delivery;
mod encoders;
pub mod file;
mod json;
mod output_name;
mod output_type;
mod outputs_section;
pub mod pattoo;

use pattoo_measurement::AgentId;
use pattoo_settings::{Fields, Reported, Variant, yaml::Node};
use pattoo_spool::{AgentKey, InvalidName, OutputId};

pub use self::{
    delivery::{Delivery, DeliverySettings, DeliveryStatus, NotDelivered, ObservedOutput, OutputStatus, deliver_now},
    encoders::{Encoders, Encodings},
    output_name::{InvalidOutputName, OutputName},
    output_type::{Client, ClientOptions, Encoded, Encoder, Encoding, Folders, OutputSettings, SendError, Verdict},
    outputs_section::{
        NamedOutput, PLACES, add_defaults, form, keys, output_names, output_sections, queues_of, read_choice,
        read_outputs, url_of,
    },
    pattoo::{ServerUrl, ServerUrlError},
};

macro_rules! outputs {
    ($($(#[$doc:meta])* $name:literal $variant:ident $module:ident;)*) => {
        /// An output: what was configured of it.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Output {
            $($(#[$doc])* $variant($module::Settings),)*
        }

        impl Output {
            /// The types, as they are written in a configuration.
            pub const TYPES: &'static [&'static str] = &[$($name),*];
            /// The types with the forms of their sections.
            pub const VARIANTS: &'static [Variant] = &[$(Variant { name: $name, form: $module::form }),*];

            /// Its type, as it is written in a configuration.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// Its settings, as those of any type.
            pub fn settings(&self) -> &dyn OutputSettings {
                match self {
                    $(Self::$variant(settings) => settings,)*
                }
            }

            /// Reads the section of an output of this type. `None` if there is no such type.
            fn read(kind: &str, fields: Fields<'_>, folders: Folders<'_>) -> Option<Result<Self, Reported>> {
                match kind {
                    $($name => Some($module::Settings::read(fields, folders).map(Self::$variant)),)*
                    _ => None,
                }
            }

            /// What names the queues of an output of this type, if its section does.
            fn id_in(kind: &str, section: &Node) -> Option<OutputId> {
                match kind {
                    $($name => $module::Settings::id_in(section),)*
                    _ => None,
                }
            }
        }
    };
}

outputs! {
    /// A pattoo server.
    "pattoo" Pattoo pattoo;
    /// A file of JSON lines.
    "file" File file;
}

impl Output {
    /// The output of queues that the configuration does not name any more, if their name says enough: what waits for a server
    /// that was configured once is delivered to it.
    pub fn unconfigured(id: &OutputId) -> Option<Self> {
        pattoo::Settings::of_id(id).map(Self::Pattoo)
    }
}

/// An agent's name in the spool.
///
/// # Errors
///
/// Never, for an id of 64 digits.
pub fn agent_key(id: &AgentId) -> Result<AgentKey, InvalidName> {
    id.as_str().parse()
}
