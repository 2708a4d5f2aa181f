//! What a collection asked of web sites, and the grant that allows just that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use pattoo_base::secret::SecretSource;
use pattoo_fetch::{AddressClass, Denied, OriginGrant, PathPrefix, Reach, Reason, Visit};

use crate::capability::{
    Recorder, Request, RequestedAccess,
    requested_access::{list, quoted},
};

/// What was asked of one origin.
#[derive(Debug, Clone, Default)]
pub struct OriginRequested {
    /// The methods with which each path was asked for.
    pub paths: BTreeMap<String, BTreeSet<String>>,
    /// The grant that answered for it, if one did.
    pub granted: Option<OriginGrant>,
    /// What of it was denied, by method and path.
    pub denied: BTreeSet<(String, String)>,
    /// Whether its name leads to an address that takes `private: true`.
    pub private: bool,
}

/// What was asked of origins, by how they are written in a grant.
pub type OriginsRequested = BTreeMap<String, OriginRequested>;

impl OriginRequested {
    fn add(&mut self, method: &str, path: &str) {
        self.paths.entry(path.to_owned()).or_default().insert(method.to_owned());
    }
}

/// Records a hop of a request that a grant allows.
pub(super) fn visit(recorder: &Recorder, visit: &Visit<'_>) {
    recorder.record(visit.path.len(), |requested| {
        let origin = requested.by_capability.http.entry(visit.origin.to_string()).or_default();
        origin.add(visit.method.as_str(), visit.path);
        // A request may be allowed by several grants of an origin; the one with headers says more.
        if origin.granted.as_ref().is_none_or(|known| known.attached().is_empty()) {
            origin.granted = Some(visit.grant.clone());
        }
        origin.private |= visit.private;
    });
}

/// Records a hop of a request that no grant allows.
pub(super) fn denied(recorder: &Recorder, denied: &Denied) {
    recorder.record(denied.path.len(), |requested| {
        let class_of_literal = denied.origin.address().map(AddressClass::of);
        let class = match &denied.reason {
            Reason::Address { class, .. } => Some(*class),
            _ => class_of_literal,
        };
        let out_of_reach = class.is_some_and(|class| class.reach() >= Reach::Literal);
        if denied.reason == Reason::Own || out_of_reach {
            let kind = class.filter(|_| out_of_reach).map_or_else(String::new, |class| format!(" ({class} address)"));
            requested.beyond.insert(format!("{} {}{}{kind}", denied.method, denied.origin, denied.path));
            return;
        }
        let origin = requested.by_capability.http.entry(denied.origin.to_string()).or_default();
        origin.add(denied.method.as_str(), &denied.path);
        origin.denied.insert((denied.method.to_string(), denied.path.clone()));
        origin.private |= matches!(denied.reason, Reason::Address { .. });
    });
}

/// Everything that was asked for.
pub(super) fn requests(requested: &RequestedAccess) -> Vec<Request> {
    let origins = requested.by_capability.http.iter();
    let requests = origins.flat_map(|(origin, of)| {
        let methods = of.paths.iter().flat_map(|(path, methods)| methods.iter().map(move |method| (method, path)));
        methods.map(move |(method, path)| Request {
            what: format!("{method} {origin}{path}"),
            granted: !of.denied.contains(&(method.clone(), path.clone())),
        })
    });
    requests.collect()
}

/// The grant that allows what was asked for: an item for each set of methods with which paths of an
/// origin were asked for.
pub(super) fn narrowest(requested: &RequestedAccess) -> String {
    let origins = &requested.by_capability.http;
    let mut text = String::from(if origins.is_empty() { "" } else { "http:\n" });
    for (origin, requested) in origins {
        for (methods, paths) in by_methods(requested) {
            origin_item(&mut text, origin, requested, methods, &paths);
        }
    }
    text
}

/// The paths by the methods with which they were asked for.
fn by_methods(requested: &OriginRequested) -> BTreeMap<&BTreeSet<String>, Vec<&str>> {
    let mut items: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (path, methods) in &requested.paths {
        items.entry(methods).or_default().push(path);
    }
    items
}

fn origin_item(
    text: &mut String,
    origin: &str,
    requested: &OriginRequested,
    methods: &BTreeSet<String>,
    paths: &[&str],
) {
    // Writing to a text does not fail.
    let _ = writeln!(text, "  - origin: {}", quoted(origin));
    let _ = writeln!(text, "    methods: {}", list(methods, |method| quoted(method)));
    // A path that reads in more than one way is no prefix; only a grant of every path allows it.
    if paths.iter().all(|path| path.parse::<PathPrefix>().is_ok()) {
        let _ = writeln!(text, "    paths: {}", list(paths, |path| quoted(path)));
    }
    if requested.private {
        let _ = writeln!(text, "    private: true    # its name resolves to an address that is not public");
    }
    if requested.granted.as_ref().is_some_and(OriginGrant::is_own) {
        let _ = writeln!(text, "    own: true    # it may be pattoo-wasm itself, or its pattoo server");
    }
    let attached = requested.granted.as_ref().map(OriginGrant::attached).unwrap_or_default();
    let source = |source: &SecretSource| match source {
        SecretSource::Given => None,
        SecretSource::Environment(name) => Some(format!("{{ secret: {} }}", quoted(name))),
        SecretSource::File(path) => {
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            Some(format!("{{ secret_file: {} }}", quoted(&path.display().to_string())))
        }
    };
    let headers: Vec<_> = attached
        .iter()
        .filter_map(|(name, secret)| Some(format!("{}: {}", quoted(name.as_str()), source(secret.source())?)))
        .collect();
    if !headers.is_empty() {
        let _ = writeln!(text, "    headers: {{ {} }}", headers.join(", "));
    }
}
