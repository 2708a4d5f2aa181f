//! One collector's client: its grants, its connections, its way through redirects.

use std::{collections::HashMap, sync::Arc};

use http::{
    Method, StatusCode, Uri,
    header::{ACCEPT, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use pattoo_base::tls::{Trust, TrustError};
use thiserror::Error;
use tokio::time::timeout;

use super::{
    body,
    connection::{Connections, Incoming, Outgoing, was_closed},
    denied::{Denied, Reason},
    error::{Error, Wait, refusal, transport_error},
    fetch_limits::Limits,
    grant::OriginGrant,
    message::{Patience, Request, Response, destination, header_bytes, response_headers},
    meter::{Meter, Unmetered},
    origin::{Origin, Scheme},
    own_endpoints::OwnEndpoints,
    redirect::{Hop, Onward},
    request_headers,
    resolver::{Checked, Reachable, Resolved, Resolver, SystemResolver},
};

/// What a client stands on, apart from its grants: by default the system's.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The certificate authorities that are believed.
    pub trust: Trust,
    /// What resolves names.
    pub resolver: Arc<dyn Resolver>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { trust: Trust::default(), resolver: Arc::new(SystemResolver::default()) }
    }
}

/// Why grants make no client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SetupError {
    /// The origin is ours.
    #[error("the grant of {origin} reaches pattoo-wasm itself or its pattoo server, and has no `own: true`")]
    Own {
        /// The origin granted.
        origin: Origin,
    },
    /// The origin is an address that is no host's.
    #[error("the grant of {origin} can never be used: it is a {class} address")]
    Unreachable {
        /// The origin granted.
        origin: Origin,
        /// The class of its address.
        class: super::AddressClass,
    },
    /// A method that is never sent.
    #[error("the grant of {origin} has the method {method}, which is never sent")]
    Method {
        /// The origin granted.
        origin: Origin,
        /// CONNECT or TRACE.
        method: Method,
    },
    /// No method at all.
    #[error("the grant of {origin} grants nothing: its `methods` are empty")]
    NoMethod {
        /// The origin granted.
        origin: Origin,
    },
    /// A header that cannot be attached.
    #[error("the grant of {origin} cannot attach the header {header}: pattoo-wasm sets it itself")]
    Header {
        /// The origin granted.
        origin: Origin,
        /// The header.
        header: HeaderName,
    },
    /// The certificates of these origins cannot be verified, whatever they are.
    #[error("{origins} cannot be fetched from: {error}")]
    Trust {
        /// The `https` origins granted, as text.
        origins: String,
        /// Why.
        error: TrustError,
    },
}

impl SetupError {
    /// What can be done about it, unless the grant is wrong.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Trust { error, .. } => Some(error.help()),
            Self::Own { .. } => Some("remove this grant, or add `own: true` to it"),
            _ => None,
        }
    }
}

/// The web as one collector sees it.
///
/// Each collector has its own, so that no connection is shared between grants; each origin in it has its own connections,
/// opened under that origin's grant. Cheap to share by reference: any number of fetches run at once.
#[derive(Debug)]
pub struct Client {
    sites: HashMap<Origin, Site>,
    limits: Limits,
    own: Arc<OwnEndpoints>,
}

/// A hop of a request that a grant allows, for a recorder of what a collector requests.
#[derive(Debug, Clone, Copy)]
pub struct Visit<'a> {
    /// Where it goes.
    pub origin: &'a Origin,
    /// How.
    pub method: &'a Method,
    /// The path, percent-encoded as in a URL, without its query.
    pub path: &'a str,
    /// The grant that allows it.
    pub grant: &'a OriginGrant,
    /// Whether the origin's name may lead to private addresses.
    pub private: bool,
    /// Whether it is made once more, since the site had closed the kept connection.
    pub again: bool,
}

/// What is told of each.
pub type Watch<'a> = &'a (dyn Fn(Visit<'_>) + Sync);

/// One granted origin.
#[derive(Debug)]
struct Site {
    grants: Vec<OriginGrant>,
    reachable: Arc<Reachable>,
    resolved: Resolved,
    /// None can be made without certificate authorities.
    connections: Result<Connections, TrustError>,
}

impl Client {
    /// A client with these grants, on the system's resolver and certificate authorities. Needs no runtime yet.
    pub fn new(grants: Vec<OriginGrant>, limits: Limits, own: OwnEndpoints) -> Result<Self, SetupError> {
        Self::with(grants, limits, own, &Setup::default())
    }

    /// A client with these grants, on another resolver or other certificate authorities.
    pub fn with(grants: Vec<OriginGrant>, limits: Limits, own: OwnEndpoints, on: &Setup) -> Result<Self, SetupError> {
        let own = Arc::new(own);
        let mut by_origin: HashMap<Origin, Vec<OriginGrant>> = HashMap::new();
        for grant in grants {
            check(&grant, &own)?;
            by_origin.entry(grant.origin.clone()).or_default().push(grant);
        }
        let https = by_origin.keys().filter(|origin| origin.scheme() == Scheme::Https).count();
        let (plain, tls) = (on.trust.config(0), on.trust.config(https));
        let site = |(origin, grants): (Origin, Vec<OriginGrant>)| {
            let private = grants.iter().any(|grant| grant.private);
            let may_be_ours = grants.iter().any(OriginGrant::is_own);
            let refused = if may_be_ours { Arc::default() } else { Arc::clone(&own) };
            let reachable = Arc::new(Reachable { origin: origin.clone(), private, own: refused });
            let resolved = Resolved::default();
            let resolver = Checked {
                resolver: Arc::clone(&on.resolver),
                reachable: Arc::clone(&reachable),
                resolved: resolved.clone(),
            };
            let tls = if origin.scheme() == Scheme::Https { &tls } else { &plain };
            let connections = tls.clone().map(|tls| Connections::new(&limits, resolver, tls, origin.scheme()));
            (origin, Site { grants, reachable, resolved, connections })
        };
        let sites = by_origin.into_iter().map(site).collect();
        Ok(Self { sites, limits, own })
    }

    /// Fetches what a guest asks for, if it was granted.
    ///
    /// Dropping the future closes the connection in use; nothing goes on but a name lookup that had begun.
    pub async fn fetch(&self, request: Request) -> Result<Response, Error> {
        self.fetch_watched(request, &|_| {}, &Unmetered).await
    }

    /// The same, and tells of each hop that is granted, before it is made, and of what comes.
    pub async fn fetch_watched(
        &self,
        request: Request,
        watch: Watch<'_>,
        meter: &dyn Meter,
    ) -> Result<Response, Error> {
        let (after, wait) = Patience::shorter(request.timeout, self.limits.total, Wait::Total);
        timeout(after, self.follow(request, watch, meter)).await.map_err(|_| Error::Timeout { wait, after })?
    }

    /// Whether every granted origin can be fetched from, as far as this machine knows.
    ///
    /// # Errors
    ///
    /// [`SetupError::Trust`]: there are no certificate authorities for an `https` origin.
    pub fn check(&self) -> Result<(), SetupError> {
        let untrusted = self.sites.iter().filter_map(|(origin, site)| Some((origin, site.connections.as_ref().err()?)));
        let (mut origins, errors): (Vec<String>, Vec<&TrustError>) =
            untrusted.map(|(origin, error)| (origin.to_string(), error)).unzip();
        let Some(error) = errors.first() else { return Ok(()) };
        origins.sort_unstable();
        Err(SetupError::Trust { origins: origins.join(", "), error: TrustError::clone(error) })
    }

    /// The limits of each fetch.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The origin of a URL, if it was granted: for counting, and no decision.
    pub fn granted_origin(&self, url: &str) -> Option<String> {
        let (_, origin) = destination(url, None, &self.limits).ok()?;
        self.sites.contains_key(&origin).then(|| origin.to_string())
    }

    async fn follow(&self, request: Request, watch: Watch<'_>, meter: &dyn Meter) -> Result<Response, Error> {
        let patience = request.patience;
        let mut hop = request.vetted(&self.limits)?;
        let mut redirects = 0..self.limits.redirects;
        loop {
            let (answer, asked_for_coding) = self.send(&hop, patience, watch, meter).await?;
            let (status, headers) = (answer.status(), answer.headers());
            meter.arrived(header_bytes(headers))?;
            hop = match hop.next(status, headers, &self.limits)? {
                Onward::Go(_) if redirects.next().is_none() => return Err(Error::Redirects(self.limits.redirects)),
                Onward::Go(next) => next,
                Onward::Stay(last) => {
                    return self.receive(answer, &last, asked_for_coding, patience, meter).await;
                }
            };
        }
    }

    /// Sends one hop and waits for the response header. Also whether compression was our wish.
    async fn send(
        &self,
        hop: &Hop,
        patience: Patience,
        watch: Watch<'_>,
        meter: &dyn Meter,
    ) -> Result<(Incoming, bool), Error> {
        let denied = |reason| Error::Denied(Box::new(hop.denied(reason)));
        let (site, grant) = self.granted(hop).map_err(denied)?;
        // The library's resolver is not asked about literal addresses.
        if let Some(address) = hop.origin.address() {
            site.reachable.check(address).map_err(denied)?;
        }
        let connections = match &site.connections {
            Ok(connections) => connections,
            Err(error) => return Err(Error::Tls(format!("{}: {error}", hop.origin))),
        };
        let visit = |again| Visit {
            origin: &hop.origin,
            method: &hop.method,
            path: hop.url.path(),
            grant,
            private: site.reachable.private,
            again,
        };
        watch(visit(false));
        let limits = &self.limits;
        let (request, asked_for_coding) = prepared(hop, grant)?;
        let exchange = async {
            match connections.send(request).await {
                // RFC 9110 section 9.2.2: these can be repeated, whatever became of the first.
                Err(lost) if [Method::GET, Method::HEAD].contains(&hop.method) && was_closed(&lost) => {
                    watch(visit(true));
                    connections.send_fresh(prepared(hop, grant)?.0).await
                }
                answer => answer,
            }
            .map_err(|error| {
                let error = refusal(&error).map_or_else(|| transport_error(&error, &hop.origin, limits), denied);
                if error.is_of_connection() && hop.origin.address().is_none() {
                    meter.unreachable(&hop.origin, &site.resolved.addresses(), &error);
                }
                error
            })
        };
        let most = limits.connect.saturating_add(limits.idle);
        let (after, wait) = Patience::shorter(patience.header, most, Wait::Idle);
        let answer = timeout(after, exchange)
            .await
            .map_err(|_| Error::Timeout { wait, after: if wait == Wait::Idle { limits.idle } else { after } })??;
        // A guest cannot ask for another protocol, so what follows is not HTTP.
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::Connection(format!("{}: the site switched protocols without a request", hop.origin)));
        }
        Ok((answer, asked_for_coding))
    }

    /// The grant for a hop. It looks at names only: nothing has been resolved yet.
    fn granted(&self, hop: &Hop) -> Result<(&Site, &OriginGrant), Reason> {
        let site = self.sites.get(&hop.origin);
        // What a site's own grant allows it to be, its check of addresses knows.
        let own = site.map_or(&self.own, |site| &site.reachable.own);
        if own.has_origin(&hop.origin) {
            return Err(Reason::Own);
        }
        let site = site.ok_or(Reason::Origin)?;
        let mut path_granted = false;
        for grant in site.grants.iter().filter(|grant| grant.covers_path(hop.url.path())) {
            if grant.covers_method(&hop.method) {
                return Ok((site, grant));
            }
            path_granted = true;
        }
        Err(if path_granted { Reason::Method } else { Reason::Path })
    }

    async fn receive(
        &self,
        answer: Incoming,
        hop: &Hop,
        asked_for_coding: bool,
        patience: Patience,
        meter: &dyn Meter,
    ) -> Result<Response, Error> {
        let (http::response::Parts { status, mut headers, .. }, body) = answer.into_parts();
        let coding = if asked_for_coding { body::coding(&hop.method, status, &headers) } else { None };
        if coding.is_some() {
            body::describe_decoded(&mut headers);
        }
        let headers = response_headers(&headers, &self.limits)?;
        let body = body::read(body, coding, &hop.origin, &self.limits, patience, meter).await?;
        Ok(Response { status: status.as_u16(), headers, body })
    }
}

impl Hop {
    fn denied(&self, reason: Reason) -> Denied {
        Denied {
            origin: self.origin.clone(),
            method: self.method.clone(),
            path: self.url.path().to_owned(),
            reason,
            redirected: self.from.is_some(),
        }
    }
}

/// Whether a grant can be meant.
fn check(grant: &OriginGrant, own: &OwnEndpoints) -> Result<(), SetupError> {
    let origin = || grant.origin.clone();
    if !grant.own && own.has_origin(&grant.origin) {
        return Err(SetupError::Own { origin: origin() });
    }
    if let Some(address) = grant.origin.address() {
        let class = super::AddressClass::of(address);
        if class.reach() == super::Reach::Never {
            return Err(SetupError::Unreachable { origin: origin(), class });
        }
    }
    if let Some(method) = grant.methods.iter().find(|method| [Method::CONNECT, Method::TRACE].contains(method)) {
        return Err(SetupError::Method { origin: origin(), method: method.clone() });
    }
    if grant.methods.is_empty() {
        return Err(SetupError::NoMethod { origin: origin() });
    }
    match grant.headers.iter().find(|(name, _)| request_headers::is_reserved(name.as_str())) {
        Some((header, _)) => Err(SetupError::Header { origin: origin(), header: header.clone() }),
        None => Ok(()),
    }
}

/// The request of one hop as the library takes it, and whether compression was asked for here.
fn prepared(hop: &Hop, grant: &OriginGrant) -> Result<(Outgoing, bool), Error> {
    let mut headers = hop.headers.clone();
    if hop.is_home() {
        attach(&mut headers, grant)?;
    }
    let asked_for_coding = body::negotiate(&mut headers);
    headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers
        .entry(USER_AGENT)
        .or_insert_with(|| HeaderValue::from_static(concat!("pattoo-wasm/", env!("CARGO_PKG_VERSION"))));
    // RFC 9110 section 8.6: these say that there is nothing rather than nothing of it; some servers insist.
    let usually_full = [Method::POST, Method::PUT, Method::PATCH].contains(&hop.method);
    if usually_full && hop.body.as_ref().is_none_or(Vec::is_empty) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let uri: Uri = hop.url.as_str().parse().map_err(|error| Error::Invalid(format!("{}: {error}", hop.origin)))?;
    let mut request = Outgoing::new(hop.body.clone().unwrap_or_default().into());
    (*request.method_mut(), *request.uri_mut(), *request.headers_mut()) = (hop.method.clone(), uri, headers);
    Ok((request, asked_for_coding))
}

/// Adds the headers of the grant, none of which the guest may have set.
fn attach(headers: &mut HeaderMap, grant: &OriginGrant) -> Result<(), Error> {
    let attached =
        |seen: &str| grant.headers.iter().any(|(name, _)| request_headers::as_servers_see(name.as_str()) == seen);
    if let Some(set) = headers.keys().find(|set| attached(&request_headers::as_servers_see(set.as_str()))) {
        return Err(Error::Invalid(format!("the header {set} is set by the grant, and a collector cannot change it")));
    }
    for (name, secret) in &grant.headers {
        headers.insert(name.clone(), secret.header());
    }
    Ok(())
}
