//! Who may ask what listens on loopback.

use std::net::SocketAddr;

use axum::{
    extract::Request,
    http::{header, uri::Authority},
};

/// Whether a request means what listens on `address`, and is not one that a browser was tricked into sending there under another
/// name (DNS rebinding): on loopback we answer to `localhost` and to addresses only.
pub(crate) fn answers_to_us(address: SocketAddr, request: &Request) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    let ours = authority.is_some_and(|authority| {
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok()
    });
    ours || !address.ip().is_loopback()
}
