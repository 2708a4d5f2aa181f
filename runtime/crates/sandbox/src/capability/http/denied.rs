//! The report of a request that no grant allows. Its words are those of [`pattoo_fetch::Denied`].

use pattoo_fetch::Denied;

use crate::capability::Denial;

/// An origin and a path of at most so many bytes together are never left out of a [`Denial`].
const MAX_SHORT: usize = 256;

/// What would have to be granted, for the operator's eyes.
pub(super) fn denial_of(denied: &Denied) -> Denial {
    let hint = denied.grant_hint();
    // Its lines as one flow mapping: `- { origin: …, methods: [POST] }`.
    let line = hint.as_ref().map(|hint| {
        let entries: Vec<&str> = hint.yaml.trim_start_matches("- ").lines().map(str::trim).collect();
        format!("http: [{{ {} }}]", entries.join(", "))
    });
    // The grant names the origin, which is not repeated before it.
    let is_short = denied.origin.to_string().len().saturating_add(denied.path.len()) <= MAX_SHORT;
    let what = if line.is_some() && is_short { denied.without_origin() } else { denied.to_string() };
    Denial { what, flag: hint.and_then(|hint| hint.flag), line }
}
