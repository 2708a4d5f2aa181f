//! What Linux says about this process, for the metrics that Prometheus knows from other programs.

use procfs::{
    ProcResult, boot_time_secs, page_size,
    process::{LimitValue, Process},
    ticks_per_second,
};

/// The process at one moment.
pub(in crate::daemon) struct ProcessUsage {
    /// Processor time, user and system, in seconds.
    pub(super) cpu_seconds: f64,
    pub(super) threads: i64,
    /// Resident memory, in bytes.
    pub(in crate::daemon) resident: u64,
    /// Virtual memory, in bytes.
    pub(super) virtual_memory: u64,
    /// When it started, in Unix seconds.
    pub(super) started: f64,
    /// Open file descriptors.
    pub(super) open_files: usize,
    /// The limit of them, if there is one.
    pub(super) max_files: Option<u64>,
}

/// The process now; none where `/proc` cannot be read.
pub(in crate::daemon) fn read() -> Option<ProcessUsage> {
    usage().ok()
}

#[expect(clippy::cast_precision_loss, reason = "the text format has nothing but floating-point numbers")]
fn usage() -> ProcResult<ProcessUsage> {
    let process = Process::myself()?;
    let stat = process.stat()?;
    let ticks = ticks_per_second() as f64;
    let max_files = match process.limits()?.max_open_files.soft_limit {
        LimitValue::Unlimited => None,
        LimitValue::Value(limit) => Some(limit),
    };
    Ok(ProcessUsage {
        cpu_seconds: stat.utime.saturating_add(stat.stime) as f64 / ticks,
        threads: stat.num_threads,
        resident: stat.rss.saturating_mul(page_size()),
        virtual_memory: stat.vsize,
        started: boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
        open_files: process.fd_count()?,
        max_files,
    })
}
