//! The limits of one collection: the defaults and ranges of those that do not belong to any
//! capability.

use pattoo_settings::{
    GIB, HOUR, KIB, MIB, Quantity,
    convert::{duration, millis, narrow, widen},
    quantity,
};

use super::CollectionLimits;

/// The ranges of those limits that do not belong to any capability.
pub static COLLECTION_LIMITS: &[Quantity<CollectionLimits>] = &[
    quantity!(
        "timeout",
        "time for the whole collection, waiting included",
        Time,
        1,
        24 * HOUR,
        timeout,
        millis,
        duration
    ),
    quantity!("memory", "linear memory, all memories together", Size, 64 * KIB, 4 * GIB, memory, widen, narrow),
    quantity!(
        "host_memory",
        "memory of the host that is used for the collection",
        Size,
        MIB,
        4 * GIB,
        host_memory,
        widen,
        narrow
    ),
    quantity!(
        "table_elements",
        "elements of tables, all tables together",
        Count,
        0,
        100_000,
        table_elements,
        widen,
        narrow
    ),
    quantity!(
        "instances",
        "core instances, memories and tables of one component, each",
        Count,
        1,
        50,
        instances,
        widen,
        narrow
    ),
    quantity!("call_bytes", "bytes handed to the host in one call", Size, KIB, GIB, call_bytes, widen, narrow),
    quantity!("resources", "handles of resources at the same time", Count, 16, 1_000_000, resources, widen, narrow),
    quantity!("error_bytes", "bytes of its error text", Size, 64, MIB, error_bytes, widen, narrow),
];

/// Makes the type of all limits. Each capability has a field with its own.
macro_rules! collection_limits {
    ($($capability:ident: $state:ty,)*) => {
        /// How much one collection may use.
        ///
        /// Reaching a limit either ends the collection or is an error that the guest can handle;
        /// either way the message names the limit, its value and the setting that raises it.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct CollectionLimits {
            /// Wall-clock time for the whole collection: guest time, host waiting and
            /// instantiation.
            pub timeout: Duration,
            /// Bytes of linear memory, all memories of the instance together.
            pub memory: usize,
            /// Bytes of the host's own memory that are kept for the collection: see [`Account`].
            pub host_memory: usize,
            /// Elements of tables, all tables of the instance together. A table element is a
            /// pointer of the host's memory.
            pub table_elements: usize,
            /// Core instances, memories and tables of one component, each: language toolchains
            /// compose a component out of several core modules, Python's out of about twenty.
            pub instances: usize,
            /// Bytes that the guest may hand to the host in one call, in all strings and lists
            /// together.
            pub call_bytes: usize,
            /// Handles of resources that are open at the same time: those of WASI, and those that a
            /// guest defines for itself.
            pub resources: usize,
            /// Bytes of the text with which the guest fails that are kept.
            pub error_bytes: usize,
            $(
                #[doc = concat!("Of [`", stringify!($capability), "`].")]
                pub $capability: <$state as Capability>::Limits,
            )*
        }

        impl Default for CollectionLimits {
            fn default() -> Self {
                const MIB: usize = 1 << 20;
                Self {
                    timeout: Duration::from_secs(10),
                    memory: 64 * MIB,
                    host_memory: 128 * MIB,
                    table_elements: 100_000,
                    instances: 50,
                    call_bytes: 16 * MIB,
                    resources: 1_000,
                    error_bytes: 4_096,
                    $($capability: Default::default(),)*
                }
            }
        }
    };
}

pub(super) use collection_limits;
