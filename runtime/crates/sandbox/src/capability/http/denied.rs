//! The report of a request that no grant allows. Its words are those of [`pattoo_fetch::Denied`].

use pattoo_fetch::Denied;

use crate::capability::Denial;

/// What would have to be granted, for the operator's eyes.
pub(super) fn denial_of(denied: &Denied) -> Denial {
    let hint = denied.grant_hint();
    // Its lines as one flow mapping: `- { origin: …, methods: [POST] }`.
    let line = hint.as_ref().map(|hint| {
        let entries: Vec<&str> = hint.yaml.trim_start_matches("- ").lines().map(str::trim).collect();
        format!("http: [{{ {} }}]", entries.join(", "))
    });
    Denial { what: denied.to_string(), flag: hint.and_then(|hint| hint.flag), line }
}
