//! Request headers: which a guest may set, and which are sent on to another origin after a redirect.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{
    error::{Cap, Error},
    fetch_limits::Limits,
};

/// Fields that belong to the connection (RFC 9110 section 7.6.1) or to the framing of the message, which is ours; fields
/// of proxies; and fields with which frameworks replace the method or the path of a request, so that it is not the granted one.
const RESERVED: [&str; 25] = [
    "alt-used",
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-uri",
    "x-rewrite-url",
    "early-data",
];

const RESERVED_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded-"];

/// What is sent on to another origin: which answers the guest prefers, and what describes a body that is sent along. Everything
/// else may be a credential, whatever its name.
const KEPT_ACROSS_ORIGINS: [HeaderName; 11] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::PRAGMA,
    header::RANGE,
    header::USER_AGENT,
];

const DESCRIBES_BODY: [HeaderName; 4] =
    [header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION, header::CONTENT_TYPE];

/// The name as CGI and frameworks after it read it: they take `_` and `-` for the same, so that `X_Api_Key` could stand in for `X-Api-Key`.
pub(super) fn as_servers_see(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Whether a field is the host's alone: no guest sets it and no grant attaches it.
pub fn is_reserved(name: &str) -> bool {
    let name = as_servers_see(name);
    RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|family| name.starts_with(family))
}

/// Checks the fields a guest set.
pub(super) fn vetted(fields: &[(String, String)], limits: &Limits) -> Result<HeaderMap, Error> {
    Cap::RequestHeaders.check(fields.len(), limits.request_headers)?;
    let bytes =
        fields.iter().fold(0_usize, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value.len()));
    Cap::RequestHeaderBytes.check(bytes, limits.request_header_bytes)?;
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::Invalid(format!("{name:?} is not a valid header name")))?;
        if is_reserved(name) {
            return Err(Error::Invalid(format!(
                "the header {parsed} is set by pattoo-wasm, and a collector cannot change it"
            )));
        }
        let value = HeaderValue::from_bytes(value.trim_matches([' ', '\t']).as_bytes()).map_err(|_| {
            Error::Invalid(format!("the value of the header {parsed} contains a line end or another control character"))
        })?;
        map.append(parsed, value);
    }
    Ok(map)
}

/// Removes what does not go on to another origin.
pub(super) fn remove_for_other_origin(headers: &mut HeaderMap) {
    let staying: Vec<HeaderName> = headers.keys().filter(|name| !KEPT_ACROSS_ORIGINS.contains(name)).cloned().collect();
    for name in staying {
        headers.remove(name);
    }
}

/// Removes what described a body that is not sent any more.
pub(super) fn drop_body(headers: &mut HeaderMap) {
    for name in DESCRIBES_BODY {
        headers.remove(name);
    }
}
