//! Which header fields a guest may set, and which of them go where.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::{
    error::{Cap, Error},
    fetch_limits::Limits,
};

/// Fields that belong to the connection (RFC 9110 section 7.6.1) or to the framing of the message, which is ours; fields
/// that speak for a proxy; and fields by which frameworks let a request pose as one of another method or path, around the
/// grant.
const OURS: [&str; 25] = [
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

const OUR_FAMILIES: [&str; 2] = ["proxy-", "x-forwarded-"];

/// What goes on to another origin: how the guest likes its answers, and what describes a body that goes along. Everything
/// else may be a credential, whatever its name.
const GOES_ABROAD: [HeaderName; 11] = [
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

/// The name as CGI and its heirs see it: they make `_` and `-` one, so that `X_Api_Key` could stand in for `X-Api-Key`.
pub(super) fn as_servers_see(name: &str) -> String {
    name.to_ascii_lowercase().replace('_', "-")
}

/// Whether a field is the host's alone: no guest sets it and no grant attaches it.
pub fn is_ours(name: &str) -> bool {
    let name = as_servers_see(name);
    OURS.contains(&name.as_str()) || OUR_FAMILIES.iter().any(|family| name.starts_with(family))
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
        if is_ours(name) {
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
pub(super) fn leave_home(headers: &mut HeaderMap) {
    let staying: Vec<HeaderName> = headers.keys().filter(|name| !GOES_ABROAD.contains(name)).cloned().collect();
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
