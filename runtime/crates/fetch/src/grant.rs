//! What an operator allows on one origin.

use http::{Method, header::HeaderName};
use pattoo_base::secret::Secret;

use super::{origin::Origin, path_prefix::PathPrefix};

/// An origin, and what of it may be asked how.
///
/// By default GET and HEAD, every path, no attached headers, and public addresses only. Several grants may name the same
/// origin; the first that allows a request is the one whose headers go with it, and one that says `private` says it for the
/// origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginGrant {
    pub(super) origin: Origin,
    pub(super) methods: Vec<Method>,
    /// Empty means every path.
    pub(super) paths: Vec<PathPrefix>,
    pub(super) headers: Vec<(HeaderName, Secret)>,
    pub(super) private: bool,
    pub(super) own: bool,
}

impl OriginGrant {
    /// GET and HEAD on every path of an origin.
    pub fn new(origin: Origin) -> Self {
        Self {
            origin,
            methods: vec![Method::GET, Method::HEAD],
            paths: Vec::new(),
            headers: Vec::new(),
            private: false,
            own: false,
        }
    }

    /// These methods and no others. CONNECT and TRACE cannot be granted.
    #[must_use]
    pub fn methods(mut self, methods: Vec<Method>) -> Self {
        self.methods = methods;
        self
    }

    /// Only paths below one of these; none means every path.
    #[must_use]
    pub fn paths(mut self, paths: Vec<PathPrefix>) -> Self {
        self.paths = paths;
        self
    }

    /// Attaches a header to each request of the guest to this origin. It does not go along when another origin redirects
    /// here, and the guest cannot set it itself.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Whether the origin's name may resolve to loopback, private, shared, benchmarking and link-local addresses.
    #[must_use]
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// Whether the origin may be an endpoint of ours: the status address, or the pattoo server. One that says so says it for the origin.
    #[must_use]
    pub fn own(mut self, own: bool) -> Self {
        self.own = own;
        self
    }

    /// Whether the origin may be an endpoint of ours.
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// The origin granted.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The headers that the host attaches.
    pub fn attached(&self) -> &[(HeaderName, Secret)] {
        &self.headers
    }

    pub(super) fn covers_path(&self, path: &str) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|prefix| prefix.covers(path))
    }

    pub(super) fn covers_method(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }
}
