//! What a collector can fetch, and from where.

mod deadline;
mod odd_sites;
mod own_endpoints;
mod wasi_http;
