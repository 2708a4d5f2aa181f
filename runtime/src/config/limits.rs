//! `limits:` of a collector: each limit by its name, with its unit and its range.

use pattoo_fetch as http;
use pattoo_sandbox::{CompileLimits, capability};
use pattoo_settings::{
    GIB, HOUR, KIB, MIB, Quantity, SECOND,
    convert::{duration, millis, narrow, same, widen},
    quantity,
};

/// The limits of one collection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CollectorLimits {
    /// Of everything except a single fetch.
    pub collection: capability::Limits,
    /// Of each fetch.
    pub http: http::Limits,
    /// Of the module.
    pub module: CompileLimits,
}

/// One limit that can be set.
pub type Limit = Quantity<CollectorLimits>;

/// Every limit that can be set, in the order in which the reference lists them.
pub static LIMITS: &[Limit] = &[
    quantity!(
        "timeout",
        "time for the whole collection, waiting included",
        Time,
        1,
        24 * HOUR,
        collection.timeout,
        millis,
        duration
    ),
    quantity!(
        "memory",
        "linear memory, all memories together",
        Size,
        64 * KIB,
        4 * GIB,
        collection.memory,
        widen,
        narrow
    ),
    quantity!(
        "host_memory",
        "memory of the host that is used for the collection",
        Size,
        MIB,
        4 * GIB,
        collection.host_memory,
        widen,
        narrow
    ),
    quantity!(
        "table_elements",
        "elements of tables, all tables together",
        Count,
        0,
        100_000,
        collection.table_elements,
        widen,
        narrow
    ),
    quantity!(
        "instances",
        "core instances, memories and tables of one component, each",
        Count,
        1,
        50,
        collection.instances,
        widen,
        narrow
    ),
    quantity!(
        "call_bytes",
        "bytes handed to the host in one call",
        Size,
        KIB,
        GIB,
        collection.call_bytes,
        widen,
        narrow
    ),
    quantity!(
        "resources",
        "handles of resources at the same time",
        Count,
        16,
        1_000_000,
        collection.resources,
        widen,
        narrow
    ),
    quantity!(
        "random_bytes",
        "random bytes, all calls together",
        Size,
        0,
        64 * MIB,
        collection.random_bytes,
        same,
        same
    ),
    quantity!("datapoints", "datapoints", Count, 0, 1_000_000, collection.datapoints, widen, narrow),
    quantity!("targets", "targets of datapoints", Count, 0, 1_000_000, collection.targets, widen, narrow),
    quantity!(
        "datapoint_bytes",
        "bytes of normalised datapoints",
        Size,
        KIB,
        GIB,
        collection.datapoint_bytes,
        widen,
        narrow
    ),
    quantity!(
        "timestamp_ahead",
        "how far a timestamp may lie ahead of the host's clock",
        Time,
        0,
        24 * HOUR,
        collection.timestamp_ahead,
        millis,
        duration
    ),
    quantity!(
        "log_lines",
        "log lines, standard output and error included",
        Count,
        0,
        1_000_000,
        collection.log_lines,
        u64::from,
        narrow
    ),
    quantity!("log_line_bytes", "bytes of a log line", Size, 64, MIB, collection.log_line_bytes, widen, narrow),
    quantity!("log_bytes", "bytes of all log lines", Size, 0, GIB, collection.log_bytes, widen, narrow),
    quantity!("error_bytes", "bytes of its error text", Size, 64, MIB, collection.error_bytes, widen, narrow),
    quantity!("fetches", "HTTP requests", Count, 0, 1_000_000, collection.fetches, u64::from, narrow),
    quantity!(
        "concurrent_fetches",
        "HTTP requests at the same time",
        Count,
        1,
        1_000,
        collection.concurrent_fetches,
        widen,
        narrow
    ),
    quantity!(
        "fetched_bytes",
        "bytes of all responses together, headers included",
        Size,
        KIB,
        4 * GIB,
        collection.fetched_bytes,
        widen,
        narrow
    ),
    quantity!("spans", "Modbus spans", Count, 0, 1_000_000, collection.spans, u64::from, narrow),
    quantity!(
        "concurrent_spans",
        "Modbus spans in one call, which are read at the same time",
        Count,
        1,
        1_000_000,
        collection.concurrent_spans,
        u64::from,
        narrow
    ),
    quantity!(
        "state_bytes",
        "bytes of the keys and values that a program stores, plus 128 for each",
        Size,
        0,
        64 * MIB,
        collection.state_bytes,
        widen,
        narrow
    ),
    quantity!(
        "fetch_timeout",
        "time for one fetch, all redirects included",
        Time,
        1,
        HOUR,
        http.total,
        millis,
        duration
    ),
    quantity!(
        "fetch_connect_timeout",
        "time for one connection: name, TCP and TLS",
        Time,
        1,
        HOUR,
        http.connect,
        millis,
        duration
    ),
    quantity!("fetch_idle_timeout", "time without data from a site", Time, 1, HOUR, http.idle, millis, duration),
    quantity!("redirects", "redirects that one fetch follows", Count, 0, 20, http.redirects, u64::from, narrow),
    quantity!("url_bytes", "bytes of a URL", Size, 64, 64 * KIB, http.url_bytes, same, same),
    quantity!("request_bytes", "bytes of a request body", Size, 0, GIB, http.request_bytes, same, same),
    quantity!("request_headers", "header fields of a request", Count, 0, 1_000, http.request_headers, widen, narrow),
    quantity!(
        "request_header_bytes",
        "bytes of a request's header fields",
        Size,
        0,
        256 * KIB,
        http.request_header_bytes,
        same,
        same
    ),
    quantity!(
        "response_bytes",
        "bytes of a response body, decompressed",
        Size,
        0,
        GIB,
        http.response_bytes,
        same,
        same
    ),
    quantity!(
        "compressed_bytes",
        "bytes of a response body on the wire",
        Size,
        0,
        GIB,
        http.compressed_bytes,
        same,
        same
    ),
    quantity!("response_headers", "header fields of a response", Count, 1, 1_000, http.response_headers, widen, narrow),
    quantity!(
        "response_header_bytes",
        "bytes of a response's header fields",
        Size,
        KIB,
        256 * KIB,
        http.response_header_bytes,
        same,
        same
    ),
    quantity!("module_bytes", "bytes of the module file", Size, KIB, GIB, module.module_bytes, same, same),
    quantity!(
        "module_functions",
        "functions that the module defines",
        Count,
        1,
        10_000_000,
        module.functions,
        u64::from,
        narrow
    ),
    quantity!(
        "compile_time",
        "processor time for compiling the module",
        Time,
        SECOND,
        HOUR,
        module.time,
        millis,
        duration
    ),
    quantity!(
        "compile_memory",
        "address space for compiling the module",
        Size,
        256 * MIB,
        64 * GIB,
        module.memory,
        same,
        same
    ),
];

/// The limit of this name.
pub fn limit_named(name: &str) -> Option<&'static Limit> {
    LIMITS.iter().find(|limit| limit.name == name)
}

#[cfg(test)]
mod tests {
    use pattoo_fetch::Cap;

    use super::{CollectorLimits, LIMITS, limit_named};

    #[test]
    fn every_default_is_in_its_range_and_is_parsed_as_it_is_shown() {
        for limit in LIMITS {
            let mut limits = CollectorLimits::default();
            let shown = limit.show(&limits);
            limit.set(&mut limits, &shown).unwrap();
            assert_eq!(limits, CollectorLimits::default(), "{}", limit.name);
            for edge in [limit.min, limit.max] {
                limit.set(&mut limits, &limit.unit.show(edge)).unwrap();
                assert_eq!((limit.get)(&limits), edge, "{}", limit.name);
            }
        }
    }

    #[test]
    fn limits_in_messages_can_be_set() {
        for name in ["memory", "table_elements", "spans", "fetches", "datapoints", "datapoint_bytes"] {
            assert!(limit_named(name).is_some(), "{name}");
        }
        for cap in [
            Cap::ResponseBody,
            Cap::CompressedBody,
            Cap::ResponseHeaders,
            Cap::ResponseHeaderBytes,
            Cap::RequestBody,
            Cap::RequestHeaders,
            Cap::RequestHeaderBytes,
        ] {
            assert!(limit_named(cap.setting()).is_some(), "{}", cap.setting());
        }
    }

    #[test]
    fn value_out_of_range_is_refused_with_the_range() {
        let error = limit_named("memory").unwrap().set(&mut CollectorLimits::default(), "1KiB").unwrap_err();
        assert_eq!(error.to_string(), "`memory` is 64KiB to 4GiB, not 1KiB");
    }
}
