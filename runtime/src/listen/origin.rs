//! Which requests are refused, because a browser was made to send them.

use std::net::SocketAddr;

use axum::{
    extract::Request,
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

/// Passes on a request that is meant for `address`, and responds to any other one with 421.
pub(crate) async fn only_for_us(address: SocketAddr, request: Request, next: Next) -> Response {
    if let Some(refusal) = refusal(address, request.headers()) {
        return (StatusCode::MISDIRECTED_REQUEST, refusal).into_response();
    }
    next.run(request).await
}

/// Why a request is refused. On loopback it has to name `localhost` or an address: another name is
/// a web page that makes a browser send requests here (DNS rebinding). A request with the `Origin`
/// of another page is always refused; other programs than browsers send no `Origin`.
fn refusal(address: SocketAddr, headers: &HeaderMap) -> Option<&'static str> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let named = host.and_then(|host| host.parse::<Authority>().ok());
    let is_local = |name: &Authority| {
        let host = name.host().trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok()
    };
    if address.ip().is_loopback() && !named.as_ref().is_some_and(is_local) {
        return Some("only requests for `localhost` or an address are accepted");
    }
    let origin = headers.get(header::ORIGIN)?;
    let is_own = named.is_some_and(|name| origin.as_bytes().eq_ignore_ascii_case(format!("http://{name}").as_bytes()));
    (!is_own).then_some("requests of pages with another origin are refused")
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use axum::http::{HeaderMap, header};

    use super::refusal;

    fn is_refused(address: SocketAddr, host: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            value.map(|value| headers.insert(name, value.parse().unwrap()));
        }
        refusal(address, &headers).is_some()
    }

    #[test]
    fn only_local_names_are_accepted_on_loopback() {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 20203));
        for host in ["localhost", "LOCALHOST:20203", "127.0.0.1:20203", "[::1]:20203", "192.0.2.1"] {
            assert!(!is_refused(here, Some(host), None), "{host}");
        }
        for host in ["evil.example.org", "localhost.evil.example.org:20203", "a b", ""] {
            assert!(is_refused(here, Some(host), None), "{host}");
        }
        assert!(is_refused(here, None, None));
        assert!(!is_refused(SocketAddr::from(([192, 0, 2, 1], 20203)), Some("gateway.example.org"), None));
    }

    #[test]
    fn page_of_another_origin_is_refused_on_every_address() {
        for here in [SocketAddr::from((Ipv4Addr::LOCALHOST, 20203)), SocketAddr::from(([192, 0, 2, 1], 20203))] {
            assert!(!is_refused(here, Some("127.0.0.1:20203"), Some("http://127.0.0.1:20203")));
            for origin in ["http://evil.example.org", "null", "https://127.0.0.1:20203", "http://127.0.0.1", ""] {
                assert!(is_refused(here, Some("127.0.0.1:20203"), Some(origin)), "{origin}");
            }
        }
    }
}
