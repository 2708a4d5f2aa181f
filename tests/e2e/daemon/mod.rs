//! The daemon: schedule, supervision, signals, status, logs, and upgrades.

mod log;
mod monitoring;
mod running;
mod scale;
mod supervision;
mod systemd;
mod upgrade;
