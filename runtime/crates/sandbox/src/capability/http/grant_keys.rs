//! How a web origin is granted in a file.

use std::path::Path;

use pattoo_base::secret::Secret;
use pattoo_fetch::{HeaderName, Method, OriginGrant};
use pattoo_settings::{
    Fields, Form, Key, Kind, Reported, all, secret_keys, shown,
    yaml::{Entry, Node},
};

use crate::capability::definition::own;

const TEXTS: Kind = Kind::List(&Kind::Text);

/// The key under `grants:`.
pub(super) fn key() -> Key {
    Key::new("http", Kind::List(&Kind::Form(form)), "web origins", "[{ origin: \"https://site-a.example.org\" }]")
}

fn form() -> Form {
    Form::new(
        "a web origin",
        vec![
            Key::new(
                "origin",
                Kind::Text,
                "scheme, host and port of a site, without wildcards",
                "\"https://site-a.example.org\"",
            )
            .required(),
            Key::new("methods", TEXTS, "the allowed HTTP methods", "[GET, POST]").or("[GET, HEAD]"),
            Key::new("paths", TEXTS, "the prefixes of allowed paths; by default all paths", "[/v1/]"),
            Key::new(
                "headers",
                Kind::Named(secret_keys::form),
                "headers by their names, each with a secret that is added to every request and never shown to the collector",
                "{ authorization: { secret: SITE_A_TOKEN } }",
            ),
            Key::new(
                "private",
                Kind::Flag,
                "whether the name may resolve to a private, loopback or link-local address",
                "true",
            )
            .or("false"),
            own(),
        ],
    )
}

/// Reads the value of the key; files of secrets are relative to `folder`.
pub(super) fn read(fields: Fields<'_>, folder: &Path) -> Result<Vec<OriginGrant>, Reported> {
    let form = form();
    all(fields.list("http").iter().map(|node| origin(fields.of(&form, node), folder)))
}

fn origin(fields: Fields<'_>, folder: &Path) -> Result<OriginGrant, Reported> {
    let origin = fields.required("origin");
    let methods = fields.list("methods").iter().map(|node| method(fields, node));
    let methods = fields.node("methods").map(|_| all(methods)).transpose();
    let paths = fields.optional_list("paths");
    let headers = all(fields.map("headers").iter().map(|entry| header(fields, entry, folder)));
    let private = fields.node("private").map_or(Some(false), Node::flag).ok_or(Reported);
    let own = fields.node("own").map_or(Some(false), Node::flag).ok_or(Reported)?;
    let mut grant = OriginGrant::new(origin?).private(private?).own(own);
    if let Some(methods) = methods? {
        grant = grant.methods(methods);
    }
    if let Some(paths) = paths? {
        grant = grant.paths(paths);
    }
    Ok(headers?.into_iter().fold(grant, |grant, (name, value)| grant.header(name, value)))
}

fn method(fields: Fields<'_>, node: &Node) -> Result<Method, Reported> {
    let text = node.text().ok_or(Reported)?;
    text.parse().map_err(|_| fields.wrong("methods", node, format!("`{}` is not an HTTP method", shown(text))))
}

fn header(fields: Fields<'_>, entry: &Entry, folder: &Path) -> Result<(HeaderName, Secret), Reported> {
    let help = "write a valid name, for example `authorization`";
    let name = entry
        .key
        .parse()
        .map_err(|_| fields.wrong_key(entry, format!("`{}` is not a valid header name", shown(&entry.key)), help));
    let form = secret_keys::form();
    let value = secret_keys::read(fields.of(&form, &entry.node), folder);
    Ok((name?, value?))
}
