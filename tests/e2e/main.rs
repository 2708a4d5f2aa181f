//! The whole of pattoo-wasm against real peers: devices of pymodbus and libmodbus, Python's web
//! server, and `pattoo_shared`.
//!
//! Each folder holds the tests of one kind of claim:
//!
//! - `cli`: what the command prints, its exit codes, and what it does with bad input;
//! - `configuration`: settings, limits, grants, and the files that hold them;
//! - `daemon`: schedule, supervision, signals, status, logs, and upgrades;
//! - `delivery`: payloads, the spool, full disks, and crashes;
//! - `docs`: the pages that can be executed, and the promises that they make;
//! - `languages`: the SDKs, and one collector that gives the same datapoints in every language;
//! - `modbus`: what is read, with which requests, and what each fault costs;
//! - `sandbox`: loading, limits, denials, state, and fairness;
//! - `web`: what a collector can fetch, and from where.

mod cli;
mod configuration;
mod daemon;
mod delivery;
mod docs;
mod languages;
mod modbus;
mod sandbox;
mod web;
