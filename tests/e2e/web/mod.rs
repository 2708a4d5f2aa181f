//! What a collector can fetch, and from where.

mod own_endpoints;
mod wasi_http;
