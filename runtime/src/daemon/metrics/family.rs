//! The metrics of the daemon itself: their names, types, labels and meanings.

use pattoo_sandbox::capability::Family;

macro_rules! families {
    ($($constant:ident $name:literal $(was $previous:literal)? $kind:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $constant: Family = Family {
            name: $name,
            kind: $kind,
            labels: &[$($label),*],
            help: $help,
            previous_name: families!(@previous $($previous)?),
        };)*
        /// Those of the daemon itself. [`CAPABILITIES`](pattoo_sandbox::capability::CAPABILITIES) have theirs, as
        /// [`Counters`](pattoo_sandbox::capability::Counters).
        pub const FAMILIES: &[Family] = &[$($constant),*];
    };
    (@previous) => { None };
    (@previous $previous:literal) => { Some($previous) };
}

families! {
    BUILD "pattoo_wasm_build_info" "gauge" ["version", "revision"] "Always 1; the labels have the version, and the commit that the program was built from if that is known.";
    STARTED "pattoo_wasm_start_time_seconds" "gauge" [] "When the daemon started, in Unix seconds.";
    RELOADS "pattoo_wasm_reloads_total" "counter" ["result"] "Reloads: applied, or refused because the configuration was invalid.";
    CONFIG "pattoo_wasm_config_info" "gauge" ["sha256"] "Always 1; the label has the SHA-256 digest of the files of the configuration in effect, without those that it names.";
    RELOAD_OK "pattoo_wasm_config_last_reload_successful" "gauge" [] "1 if the configuration was valid when it was last read, else 0: then the previous one stays in effect.";
    RELOADED "pattoo_wasm_config_last_reload_success_timestamp_seconds" "gauge" [] "When the configuration in effect was read, in Unix seconds.";
    JUMPS "pattoo_wasm_clock_jumps_total" "counter" [] "How often the wall clock jumped and all scheduled runs were aligned to it again.";
    BEHIND "pattoo_wasm_clock_behind_seconds" "gauge" [] "How far the wall clock is behind the newest time at which payloads were stored; 0 if it is not, or by less than a minute.";
    RUNNING "pattoo_wasm_collections_running" was "pattoo_wasm_collections_under_way" "gauge" [] "Running collections.";
    LATE "pattoo_wasm_lateness_seconds" "histogram" [] "How long after their scheduled time collections began, of all collectors.";
    COLLECTORS "pattoo_wasm_collectors" "gauge" ["state"] "Collectors: ok, partial (the last collection completed, but requests failed), failing (it did not complete), not_loaded (no module could be loaded), loading (its first module is being loaded), new (not run yet).";
    STATE "pattoo_wasm_collector_state" "gauge" ["program", "state"] "1 for the state that the collector is in, 0 for the others: see pattoo_wasm_collectors.";
    INFO "pattoo_wasm_collector_info" "gauge" ["program", "sha256"] "Always 1; the label has the SHA-256 digest of the module that runs, or nothing.";
    INTERVAL "pattoo_wasm_collector_interval_seconds" "gauge" ["program"] "The polling interval.";
    CONFIGURED "pattoo_wasm_collector_configured_timestamp_seconds" "gauge" ["program"] "Since when the daemon runs the collector, in Unix seconds.";
    COLLECTIONS "pattoo_wasm_collections_total" "counter" ["program", "outcome"] "Collections that ended, by outcome: completed, partial (completed, but requests failed), failed, trap, deadline, limit, interrupted, not_stored, fault (an internal error).";
    // words: keep, the previous name
    SKIPPED "pattoo_wasm_collections_skipped_total" was "pattoo_wasm_departures_skipped_total" "counter" ["program", "reason"] "Scheduled runs that were skipped: overrun (the previous collection was still running), backoff, not_loaded, missed (the daemon was delayed).";
    DURATION "pattoo_wasm_collection_duration_seconds" "summary" ["program"] "How long collections took.";
    LATENESS "pattoo_wasm_collection_lateness_seconds_total" "counter" ["program"] "The sum of the time by which collections began after their scheduled time.";
    DATAPOINTS "pattoo_wasm_datapoints_total" "counter" ["program", "result"] "Datapoints emitted: accepted or rejected.";
    HOST_TIME "pattoo_wasm_host_call_seconds_total" "counter" ["program", "interface"] "How long collections waited for devices (modbus) and web sites (http).";
    MEMORY "pattoo_wasm_peak_memory_bytes" "gauge" ["program"] "The peak of linear memory in the last collection.";
    ENDED "pattoo_wasm_last_collection_timestamp_seconds" "gauge" ["program"] "When a collection last ended, in whatever way, in Unix seconds; 0 before the first one.";
    COMPLETED "pattoo_wasm_last_completed_timestamp_seconds" "gauge" ["program"] "When a collection last completed, if only partially, in Unix seconds; 0 if none did.";
    FAILURES "pattoo_wasm_consecutive_failures" "gauge" ["program"] "Collections that failed and emitted nothing, since the last one that emitted something.";
    OUTPUT_QUEUED "pattoo_wasm_output_queued_payloads" "gauge" ["output"] "Payloads that wait for an output; a pattoo server has its URL as its name.";
    OUTPUT_INFO "pattoo_wasm_output_info" "gauge" ["output", "name", "type"] "Always 1; the labels have the name and the type of a configured output.";
    OUTPUT_REACHABLE "pattoo_wasm_output_reachable" "gauge" ["output"] "1 if the output could be reached at the last attempt to send a payload, else 0; NaN before the first attempt.";
    OUTPUT_AUTHORISED "pattoo_wasm_output_authorised" "gauge" ["output"] "0 if the output refused the credentials in its last answer, else 1; NaN before its first answer.";
    OUTPUT_ATTEMPT "pattoo_wasm_output_last_attempt_timestamp_seconds" "gauge" ["output"] "When the daemon last tried to send a payload to the output, in Unix seconds; 0 before the first attempt.";
    OUTPUT_ACCEPTED "pattoo_wasm_output_last_delivery_timestamp_seconds" "gauge" ["output"] "When the output last accepted a payload, in Unix seconds; 0 if it never did.";
    QUEUED "pattoo_wasm_spool_payloads" was "pattoo_wasm_spool_bodies" "gauge" [] "Payloads in the spool that wait for their output.";
    QUEUED_BYTES "pattoo_wasm_spool_bytes" "gauge" [] "The size of these payloads, in bytes.";
    QUEUED_AGE "pattoo_wasm_spool_oldest_seconds" "gauge" [] "The age of the oldest payload that waits; 0 if none does.";
    // words: keep, the previous name
    QUARANTINED "pattoo_wasm_spool_quarantined_payloads" was "pattoo_wasm_spool_quarantined_bodies" "gauge" [] "Payloads in quarantine, which their output refused while it accepted others.";
    QUARANTINED_BYTES "pattoo_wasm_spool_quarantined_bytes" "gauge" [] "The size of the payloads in quarantine, in bytes.";
    DELIVERED "pattoo_wasm_spool_delivered_total" "counter" [] "Payloads that an output accepted, over the life of the spool.";
    REFUSED "pattoo_wasm_spool_refusals_total" "counter" [] "Responses that refused a payload, over the life of the spool.";
    DROPPED "pattoo_wasm_spool_dropped_total" "counter" [] "Payloads that were evicted at a limit of size or age, or dropped by an operator, over the life of the spool.";
    CPU "process_cpu_seconds_total" "counter" [] "Processor time of the daemon, user and system.";
    THREADS "process_threads" "gauge" [] "Threads of the daemon.";
    RESIDENT "process_resident_memory_bytes" "gauge" [] "Resident memory of the daemon.";
    VIRTUAL "process_virtual_memory_bytes" "gauge" [] "Virtual memory of the daemon, most of it reserved and unused.";
    PROCESS_STARTED "process_start_time_seconds" "gauge" [] "When the process of the daemon started, in Unix seconds.";
    OPEN_FILES "process_open_fds" "gauge" [] "Open file descriptors of the daemon.";
    MAX_FILES "process_max_fds" "gauge" [] "The limit of open file descriptors.";
}
