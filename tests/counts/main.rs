//! Costs that do not depend on the machine: allocations and memory held, requests to a device and a
//! web site, system calls, and instructions. A change that exceeds a bound makes the program worse,
//! or needs a new bound with its reason.
//!
//! All bounds are in [`BOUNDS`].

#![expect(clippy::unwrap_used, reason = "helpers of tests may do what tests may do")]
#![expect(clippy::arithmetic_side_effects, reason = "a test that panics has failed, as it should")]

mod allocator;
mod instructions;
mod memory;
mod requests;
mod system_calls;
mod worst_calls;

/// The upper bound of each cost, a little above its present value.
struct Bounds {
    /// Allocations for a payload of 1 000 datapoints: lists and the table grow, and nothing is
    /// made for each datapoint.
    payload: u64,
    /// Bytes held at most while a body of 50 000 datapoints is made, for each byte of it: lists
    /// grow by an eighth, and the datapoints of the current call are a tenth of it.
    held: f64,
    /// Bytes held at most while a configuration file is read: 4 MiB of text, eight bytes for the
    /// place of each character of it, and 500 000 values.
    configuration: i64,
    /// Allocations for a whole collection of ten datapoints, the sandbox and WASI included: four of
    /// them are its account of the host's memory, its part in what all collections have, and its
    /// share of the processors.
    collection: u64,
    /// Allocations for each datapoint in one call: its key is copied out of the guest's memory.
    datapoint: u64,
    /// Allocations for each span of a call of 1 000 that lie side by side: its device's name, and
    /// its values.
    span: u64,
    /// Allocations for each fetch of a call of 100: what the HTTP library makes of a request and
    /// its response, and our copies.
    fetch: u64,
    /// Requests for 250 addresses of each table: 125 registers fit into one, and 2 000 bits.
    requests: usize,
    /// Connections for 100 fetches of one origin in one call: 16 are under way at a time.
    connections: usize,
    /// System calls for a read over a connection that stands: write, wait, read. (Now and then the
    /// wait is for something else.)
    calls_of_a_read: f64,
    /// System calls until a body is committed, by a caller that is alone: 7 pages and their headers
    /// written to the log, locks taken and given back, one flush.
    calls_of_a_store: f64,
    /// System calls of a collection of ten datapoints without I/O: its memory and its stack are
    /// given back.
    calls_of_a_collection: f64,
    /// Instructions for a datapoint, of this build, for its checksum above all.
    instructions: u64,
}

const BOUNDS: Bounds = Bounds {
    payload: 70,
    held: 1.95,
    configuration: 200_000_000,
    collection: 104,
    datapoint: 1,
    span: 2,
    fetch: 80,
    requests: 6,
    connections: 16,
    calls_of_a_read: 3.2,
    calls_of_a_store: 27.0,
    calls_of_a_collection: 2.2,
    instructions: 49_000,
};
