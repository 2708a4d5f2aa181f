//! Where a redirect leads (RFC 9110 section 15.4).

use http::{
    Method, StatusCode,
    header::{HeaderMap, LOCATION},
};
use url::Url;

use super::{
    error::Error,
    fetch_limits::Limits,
    message::{destination, text},
    origin::Origin,
    request_headers,
};

/// One request on its way: the guest's own, or one that a redirect asks for.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) origin: Origin,
    /// What the guest set, less what was left behind on the way.
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    /// Which way it came here.
    pub(super) from: Option<Way>,
}

/// How a redirect led here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By the origin of the guest's own request and no other.
    Home,
    /// By another origin, now or at any hop before: what comes back from abroad is not the guest's own request.
    Abroad,
}

impl Hop {
    /// Whether credentials go along.
    pub(super) fn is_home(&self) -> bool {
        self.from != Some(Way::Abroad)
    }

    /// The hop that a response asks for, if it is a redirect.
    pub(super) fn next(self, status: StatusCode, answer: &HeaderMap, limits: &Limits) -> Result<Onward, Error> {
        let rewrites = match status {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => false,
            _ => return Ok(Onward::Stay(self)),
        };
        let Some(location) = answer.get(LOCATION) else {
            return Ok(Onward::Stay(self));
        };
        let (url, origin) = destination(&text(location), Some(&self.url), limits)
            .map_err(|why| Error::Connection(format!("{} sent an invalid redirect: {why}", self.origin)))?;
        let abroad = !self.is_home() || origin != self.origin;
        let mut hop = Self { url, origin, from: Some(if abroad { Way::Abroad } else { Way::Home }), ..self };
        if rewrites {
            hop.method = Method::GET;
            hop.body = None;
            request_headers::drop_body(&mut hop.headers);
        }
        if abroad {
            request_headers::remove_for_other_origin(&mut hop.headers);
        }
        Ok(Onward::Go(hop))
    }
}

/// What a response says about the way.
pub(super) enum Onward {
    /// It is the answer to this hop.
    Stay(Hop),
    /// It redirects.
    Go(Hop),
}
