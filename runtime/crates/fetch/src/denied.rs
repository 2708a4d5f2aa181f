//! Requests that no grant allows: what they are told, and what would allow them.

use std::{fmt, net::IpAddr};

use http::Method;

use super::{
    address_class::{AddressClass, Reach},
    origin::Origin,
};

/// A request, or a redirect, that no grant allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// Where it would have gone.
    pub origin: Origin,
    /// How.
    pub method: Method,
    /// The path, percent-encoded as in a URL, without its query.
    pub path: String,
    /// What was missing.
    pub reason: Reason,
    /// Whether a redirect led there.
    pub redirected: bool,
}

/// Why a request was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The origin is not granted.
    Origin,
    /// The path is granted, the method is not.
    Method,
    /// No granted path covers it.
    Path,
    /// The host is, or resolves to, an address that the grant does not extend to. The address is for the operator; the
    /// text for guests names its class only.
    Address {
        /// The address.
        address: IpAddr,
        /// Its class.
        class: AddressClass,
    },
    /// It is an endpoint of ours or of the pattoo server, and the grant does not say that it may be.
    Own,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin => f.write_str("the origin is not granted"),
            Self::Method => f.write_str("the method is not granted"),
            Self::Path => f.write_str("the path is not granted"),
            Self::Address { class, .. } => write!(f, "the host has a {class} address"),
            Self::Own => {
                f.write_str("it is pattoo-wasm itself or its pattoo server, and the grant does not say `own: true`")
            }
        }
    }
}

/// How much of a path is shown, in bytes.
const MAX_SHOWN_PATH: usize = 256;

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told_of(&self.origin.to_string()))
    }
}

impl Denied {
    /// The same without the origin, for where that is named anyway.
    pub fn without_origin(&self) -> String {
        self.told_of("")
    }

    fn told_of(&self, origin: &str) -> String {
        let Self { method, path, reason, redirected, .. } = self;
        let what = if *redirected { "a redirect to " } else { "" };
        // A guest decides how long it is, and the reason behind it has to be seen.
        let path = pattoo_base::text::one_line(path, MAX_SHOWN_PATH);
        format!("{what}{method} {origin}{path} is denied: {reason}")
    }
}

/// What an operator would write to allow what was denied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantHint {
    /// An item of the `http` list of the grants.
    pub yaml: String,
    /// The same as a command-line flag, where a flag can say it.
    pub flag: Option<String>,
}

impl Denied {
    /// What to grant, if anything can be. It is made of canonical parts, so that nothing that a guest says gets out of its
    /// quotes.
    pub fn grant_hint(&self) -> Option<GrantHint> {
        let Self { origin, method, path, reason, .. } = self;
        // A metadata service hands out credentials of the machine. No hint leads there.
        if origin.address().is_some_and(|address| AddressClass::of(address).reach() >= Reach::Literal) {
            return None;
        }
        let standard = [Method::GET, Method::HEAD].contains(method);
        let methods = || {
            if standard { String::new() } else { format!("\n  methods: [GET, HEAD, {method}]") }
        };
        let (yaml, flag) = match reason {
            // This line should not be copied without thought; the reference describes `own`.
            Reason::Own => return None,
            Reason::Origin => {
                (format!("- origin: {origin}{}", methods()), standard.then(|| format!("--http {origin}")))
            }
            Reason::Method => (format!("- origin: {origin}\n  methods: [{method}]"), None),
            // A URL's path has neither `"` nor `\`.
            Reason::Path => (format!("- origin: {origin}{}\n  paths: [\"{path}\"]", methods()), None),
            Reason::Address { class, .. } => match class.reach() {
                Reach::Never | Reach::Literal => return None,
                Reach::Granted | Reach::Private => (format!("- origin: {origin}{}\n  private: true", methods()), None),
            },
        };
        Some(GrantHint { yaml, flag })
    }
}
