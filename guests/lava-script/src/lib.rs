//! Collects numbers from web sites: the sample of pattoo's documentation, with the sources really fetched.
//!
//! Each source is a URL under which a JSON object lies, such as `{"ABC": 123.456, "DEF": 456.789}`, and the keys that are wanted
//! of it.

use std::collections::BTreeMap;

use pattoo_guest::http::{self, Request, Response};
use pattoo_guest::{Context, Datapoint, Error, Result, Value, settings, target};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    sources: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    /// What pattoo shall call the site.
    target: String,
    url: String,
    keys: Vec<String>,
}

fn collect() -> Result {
    let Settings { sources } = settings()?;
    if sources.is_empty() {
        return Err("there is nothing to fetch: set `sources`, a list of {target, url, keys}".into());
    }

    // All sites at the same time: together they take as long as the slowest.
    let responses = http::fetch_all(sources.iter().map(|source| Request::get(&source.url)));

    // A source that fails costs its own datapoints and no other's. Its error is kept until all others had their turn, and
    // makes this a failed collection then, so that the operator sees that something is missing.
    let mut failures = Vec::new();
    for (source, response) in sources.iter().zip(responses) {
        if let Err(error) = response.map_err(Error::from).and_then(|response| emit(source, response)) {
            failures.push(format!("{}: {error}", source.target));
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {} sources failed: {}", failures.len(), sources.len(), failures.join("; ")).into())
}

pattoo_guest::collector!(collect);

/// Emits what a site has of the wanted keys. What is missing is an error in the end, and no reason to lose the rest.
fn emit(source: &Source, response: Response) -> Result {
    let body: BTreeMap<String, serde_json::Value> = response.error_for_status()?.json()?;

    let mut datapoints = Vec::new();
    let mut missing = Vec::new();
    for key in &source.keys {
        match body.get(key).and_then(serde_json::Value::as_f64) {
            Some(number) => datapoints.push(Datapoint::new(key, Value::float(number))),
            None => missing.push(key.as_str()),
        }
    }
    target(&source.target).emit_all(datapoints)?.into_result()?;

    if missing.is_empty() {
        return Ok(());
    }
    Err::<(), _>(format!("no number under {}", missing.join(", "))).context(&source.url)
}

#[cfg(test)]
mod tests;
