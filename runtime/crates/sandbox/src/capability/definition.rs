//! What a capability has to define.
//!
//! There are two halves. [`CapabilityDefinition`] is what a capability says about itself to those
//! parts of the program that treat all capabilities alike: the reader of the configuration, the
//! schema, `inspect`, `check`, the metrics. [`Capability`] is what it does in a collection, in types
//! of its own. The macro `capabilities!` in [`capability`](super) holds the list and makes the types
//! that have a field for each.

use std::path::Path;

use pattoo_base::secret::Secret;
use pattoo_fetch::OwnEndpoints;
use pattoo_settings::{Fields, Key, Kind, Quantity, Reported};
use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use super::{AssignmentBuilder, Calls, CollectionLimits, Context, Grants, HostView, Interface, RequestedAccess};

/// What a capability says about itself.
#[derive(Debug)]
pub struct CapabilityDefinition {
    /// Its name: the key under `grants:`, and a label of metrics.
    pub name: &'static str,
    /// The interfaces that it serves.
    pub interfaces: &'static [Interface],
    /// What can be reached through it.
    pub power: Option<&'static Power>,
    /// The rows of its limits.
    pub limits: &'static [Quantity<CollectionLimits>],
    /// How it is granted; none if it is always there.
    pub grant: Option<&'static Granting>,
    /// What is counted of its use.
    pub counters: Option<&'static Counters>,
}

/// Something outside the sandbox that a collector can reach.
#[derive(Debug, PartialEq, Eq)]
pub struct Power {
    /// What is reached, in a word: `web`.
    pub what: &'static str,
    /// What a collector can do there.
    pub does: &'static str,
}

/// How access is granted, asked for and written down.
#[derive(Debug)]
pub struct Granting {
    /// The key under `grants:`.
    pub key: fn() -> Key,
    /// Reads the value of that key; paths are relative to the folder.
    pub read: fn(Fields<'_>, &Path, &mut Grants) -> Result<(), Reported>,
    /// Whether nothing is granted.
    pub is_empty: fn(&Grants) -> bool,
    /// Checks that what is granted can be used.
    pub check: fn(&Grants, &CollectionLimits, &OwnEndpoints) -> Result<(), GrantError>,
    /// The devices or origins whose requests are counted.
    pub peers: fn(&Grants) -> Vec<String>,
    /// The secrets that it names.
    pub secrets: fn(&Grants) -> Vec<&Secret>,
    /// A grant as it is written under `grants:`, for a help.
    pub example: &'static str,
    /// The flag of a command line that grants it.
    pub flag: &'static GrantFlag,
    /// What a collection asked for, each once.
    pub requests: fn(&RequestedAccess) -> Vec<Request>,
    /// The lines under `grants:` that allow just that; empty if there is nothing to allow.
    pub narrowest: fn(&RequestedAccess) -> String,
}

/// A flag of a command line that grants something. It has the name of the capability.
#[derive(Debug)]
pub struct GrantFlag {
    /// The name of its value in the help: `ORIGIN`.
    pub value_name: &'static str,
    /// What it grants, for the help.
    pub help: &'static str,
    /// Adds to the grants what a value says.
    pub grant: fn(&str, &mut Grants) -> Result<(), GrantFlagError>,
}

/// Why a value of a [`GrantFlag`] grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantFlagError {
    /// It is not such a value.
    #[error("{0}")]
    Invalid(String),
    /// It is granted already.
    #[error("{what}")]
    Twice {
        /// What is.
        what: String,
        /// What to do.
        help: &'static str,
    },
}

/// Something that a collection asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// A method with a URL, or a device with a unit, a table and addresses.
    pub what: String,
    /// Whether it was granted.
    pub granted: bool,
}

/// The metrics of what a capability asked of the world outside. Its time is in a metric that all capabilities
/// share.
#[derive(Debug)]
pub struct Counters {
    /// The label of its metrics that says whom was asked: `device`.
    pub label: &'static str,
    /// Requests.
    pub requests: Family,
    /// Those of them that failed.
    pub failures: Family,
    /// Whether the last request was answered.
    pub up: Family,
    /// When the last request was made.
    pub last_request: Family,
    /// When a request was last answered.
    pub last_answer: Family,
    /// Those that were sent once more.
    pub repeated: Option<Family>,
    /// Answers; with a label more, the class of the status, and its values.
    pub responses: Option<(Family, &'static [&'static str])>,
}

/// One metric: its name, its type, its labels, and its meaning.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// `counter`, `gauge`, `summary` or `histogram`.
    pub kind: &'static str,
    /// The labels of its samples.
    pub labels: &'static [&'static str],
    /// Its meaning, with its unit.
    pub help: &'static str,
    /// Its name in the previous release, under which it is exposed as well.
    pub previous_name: Option<&'static str>,
}

/// A grant that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct GrantError {
    /// The name of the capability.
    pub capability: &'static str,
    /// Why.
    pub source: Box<dyn std::error::Error + Send + Sync>,
    /// What can be done about it.
    pub help: &'static str,
}

impl GrantError {
    pub(super) fn new(
        capability: &CapabilityDefinition,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self { capability: capability.name, source: Box::new(source), help: "remove this grant, or correct it" }
    }
}

impl CapabilityDefinition {
    /// A capability that grants, limits and counts nothing.
    pub(super) const fn new(name: &'static str, interfaces: &'static [Interface]) -> Self {
        Self { name, interfaces, power: None, limits: &[], grant: None, counters: None }
    }

    /// Whether an import leads to what can be reached through this capability.
    pub fn is_reached_by(&self, import: &str) -> bool {
        self.power.is_some() && Interface::of(import).is_some_and(|interface| interface.power == self.power)
    }
}

/// The key `own` of a grant.
pub(super) fn own() -> Key {
    Key::new(
        "own",
        Kind::Flag,
        "whether it may be an endpoint of pattoo-wasm itself: its status address, or the pattoo server that it posts to",
        "true",
    )
    .or("false")
}

/// What a capability does. The type that implements it is the state of the capability in one collection.
pub trait Capability: Sized + Send {
    /// What an operator grants. The default is nothing.
    type Grant: std::fmt::Debug + Clone + Default + PartialEq + Eq;
    /// How much one collection may use.
    type Limits: std::fmt::Debug + Clone + Default + PartialEq + Eq;
    /// What all collectors of the process share, such as connections.
    type Shared: std::fmt::Debug + Clone + Default;
    /// What all collections of a collector use: made of the grant, once.
    type Resource: std::fmt::Debug + Send + Sync;
    /// What a collection asked for, granted or not.
    type Requested: std::fmt::Debug + Clone + Default + Send;

    /// Makes what all collections of a collector use.
    ///
    /// # Errors
    ///
    /// When something that is granted cannot be used.
    fn resource(assignment: &AssignmentBuilder, shared: &Self::Shared) -> Result<Self::Resource, GrantError>;

    /// From now on what is shared leads to none of our own endpoints, but for grants that say
    /// `own: true`.
    fn deny_own(_: &Self::Shared, _: &OwnEndpoints) {}

    /// The state at the beginning of a collection.
    fn begin(context: &Context) -> Self;

    /// What the collection used of the world outside, if that is counted.
    fn take_calls(&mut self) -> Option<Calls> {
        None
    }

    /// Adds the host functions to a linker.
    ///
    /// # Errors
    ///
    /// When an interface is already defined there.
    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()>;
}

/// What a capability does that is always there: it grants nothing, limits nothing, and keeps nothing
/// from one collection to the next.
pub trait Ungranted: Sized + Send {
    /// The state at the beginning of a collection.
    fn begin(context: &Context) -> Self;

    /// Adds the host functions to a linker.
    ///
    /// # Errors
    ///
    /// When an interface is already defined there.
    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()>;
}

impl<S: Ungranted> Capability for S {
    type Grant = ();
    type Limits = ();
    type Shared = ();
    type Resource = ();
    type Requested = ();

    fn resource(_: &AssignmentBuilder, (): &()) -> Result<(), GrantError> {
        Ok(())
    }

    fn begin(context: &Context) -> Self {
        <S as Ungranted>::begin(context)
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        <S as Ungranted>::add_to_linker(linker)
    }
}

/// Makes the list of capabilities, and the types that have a field for each.
macro_rules! capabilities {
    ($($capability:ident: $state:ty,)*) => {
        /// All capabilities.
        pub static CAPABILITIES: &[&CapabilityDefinition] = &[$(&$capability::DEFINITION),*];

        /// What one collector is granted. The default is nothing.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Grants {
            $(
                #[doc = concat!("Of [`", stringify!($capability), "`].")]
                pub $capability: <$state as Capability>::Grant,
            )*
        }

        collection_limits::collection_limits! { $($capability: $state,)* }

        /// What a collection asked for, granted or not, by capability.
        #[derive(Debug, Clone, Default)]
        pub struct Requested {
            $(
                #[doc = concat!("Of [`", stringify!($capability), "`].")]
                pub $capability: <$state as Capability>::Requested,
            )*
        }

        /// What all collectors of a process share, by capability. Clones share the same.
        #[derive(Debug, Clone, Default)]
        #[allow(dead_code, reason = "of a capability that shares nothing it holds nothing")]
        pub struct SharedResources {
            $($capability: <$state as Capability>::Shared,)*
        }

        impl SharedResources {
            /// From now on they lead to none of our own endpoints, but for grants that say
            /// `own: true`.
            pub fn deny_own(&self, own: &OwnEndpoints) {
                $(<$state as Capability>::deny_own(&self.$capability, own);)*
            }
        }

        /// What all collections of a collector use, by capability.
        #[derive(Debug)]
        #[allow(dead_code, reason = "of a capability without resources it holds nothing")]
        pub(crate) struct Resources {
            $(pub(in crate::capability) $capability: <$state as Capability>::Resource,)*
        }

        impl Resources {
            /// Makes them of what was granted.
            fn new(assignment: &AssignmentBuilder, shared: &SharedResources) -> Result<Self, GrantError> {
                Ok(Self { $($capability: <$state as Capability>::resource(assignment, &shared.$capability)?,)* })
            }
        }

        /// The state of each capability in one collection.
        pub(crate) struct CapabilityStates {
            $(pub(in crate::capability) $capability: $state,)*
        }

        impl CapabilityStates {
            fn begin(context: &Context) -> Self {
                Self { $($capability: <$state as Capability>::begin(context),)* }
            }

            fn take_usage(&mut self) -> Usage {
                let mut usage = Usage::default();
                $(
                    if let Some(calls) = self.$capability.take_calls() {
                        usage.insert($capability::DEFINITION.name, calls);
                    }
                )*
                usage
            }
        }

        /// Adds the host functions of every capability to `linker`, for stores whose data holds a
        /// [`Host`].
        ///
        /// # Errors
        ///
        /// When an interface is already defined there.
        pub fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
            $(<$state as Capability>::add_to_linker(linker)?;)*
            Ok(())
        }
    };
}

pub(super) use capabilities;
