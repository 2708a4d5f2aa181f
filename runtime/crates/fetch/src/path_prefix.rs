//! Path prefixes, matched so that no spelling of a path gets around them.
//!
//! A path is a text that the site interprets, and sites differ: one decodes `%2f` before it routes, one decodes twice, one
//! drops `;parameters`, one takes a backslash for a slash. Someone who may fetch `/v1/` and wants `/admin` only needs a
//! spelling that we read in one way and the site in another. So a path has to lie below the prefix in *every* reading,
//! and a path that is `..` in any of them lies nowhere.

use std::{fmt, str::FromStr};

use thiserror::Error;
use url::Url;

/// A path prefix, made of whole segments: `/v1` covers `/v1`, `/v1/` and `/v1/x`, never `/v1x`; `/v1/` covers what is below
/// `/v1`, but not `/v1` itself; `/` covers every path that has one meaning only.
///
/// Compared after percent-decoding, case-sensitively. It has no query: a grant of a path includes every query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPrefix {
    segments: Vec<String>,
    /// Written with a slash at the end.
    below: bool,
    spelled: String,
}

/// Why a text is no path prefix.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PathError {
    /// It does not begin at the root.
    #[error("invalid path {0:?}: expected a slash at its start, for example /v1/")]
    Relative(String),
    /// It goes on after the path.
    #[error("invalid path {0:?}: it has a query or a fragment; a path allows every query")]
    Query(String),
    /// It would match in one reading and not in another.
    #[error(
        "invalid path {0:?}: sites could read it in different ways; it cannot have empty segments, `.`, `..`, `;`, an encoded `/` or `%`, or \
         control characters"
    )]
    Ambiguous(String),
}

impl FromStr for PathPrefix {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let Some(path) = text.strip_prefix('/') else {
            return Err(PathError::Relative(text.to_owned()));
        };
        if text.contains(['?', '#']) {
            return Err(PathError::Query(text.to_owned()));
        }
        let ambiguous = || PathError::Ambiguous(text.to_owned());
        let decoded = decode(path, Stray::Refused).ok_or_else(ambiguous)?;
        // What the path still means something else for after one decoding is not for a prefix.
        if decoded.contains(['%', '\\', ';']) || decoded.matches('/').count() != path.matches('/').count() {
            return Err(ambiguous());
        }
        let (inner, below) = decoded.strip_suffix('/').map_or((decoded.as_str(), false), |inner| (inner, true));
        let segments: Vec<String> =
            if inner.is_empty() && !below { Vec::new() } else { inner.split('/').map(str::to_owned).collect() };
        if segments.iter().any(|segment| segment.is_empty() || !is_plain(segment)) {
            return Err(ambiguous());
        }
        // The URL parser is what spells request paths, so it spells this one.
        let url = Url::parse(&format!("http://host{text}")).map_err(|_| ambiguous())?;
        Ok(Self { segments, below, spelled: url.path().to_owned() })
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled)
    }
}

impl PathPrefix {
    /// Whether a path lies below the prefix, however it is read. `path` is as the URL parser leaves it: absolute, literal
    /// dot segments gone.
    pub fn covers(&self, path: &str) -> bool {
        let Some(readings) = readings(path) else { return false };
        readings
            .iter()
            .all(|reading| reading.starts_with(&self.segments) && (!self.below || reading.len() > self.segments.len()))
    }
}

/// More layers of encoding than this has no honest path.
const MOST_LAYERS: usize = 4;

/// Every way a site may split a path into segments; none if one of them is no path, or there is no end to them.
fn readings(path: &str) -> Option<Vec<Vec<String>>> {
    let path = path.strip_prefix('/')?;
    // Split, then decode: an encoded slash belongs to its segment.
    let split_first: Option<Vec<String>> = path.split('/').map(|segment| decode(segment, Stray::Refused)).collect();
    let mut all = vec![split_first?];
    // Decode, then split; again as long as there is something to decode.
    let mut stray = Stray::Refused;
    let mut text = path.to_owned();
    for _ in 0..MOST_LAYERS {
        let decoded = decode(&text, stray)?;
        all.push(decoded.split(['/', '\\']).map(str::to_owned).collect());
        if decoded == text {
            return all.iter().flatten().all(|segment| is_plain(segment)).then_some(all);
        }
        text = decoded;
        stray = Stray::Kept;
    }
    None
}

/// Whether a segment is just a name to everyone: no control characters, no dot segment to those who strip `;parameters`, white space (which
/// some write as `+`) and further dots, and no separator to those who fold characters of the same look into one (Unicode's NFKC).
fn is_plain(segment: &str) -> bool {
    let name = segment.split(';').next().unwrap_or_default();
    let dots = name.chars().any(is_dot) && name.chars().all(|c| is_dot(c) || is_stripped(c));
    !dots && !segment.chars().any(|c| c.is_control() || folds_into_separator(c))
}

/// A dot, or what NFKC makes dots of.
fn is_dot(c: char) -> bool {
    matches!(c, '.' | '\u{2024}'..='\u{2026}' | '\u{fe52}' | '\u{ff0e}')
}

/// What a site may drop around a name.
fn is_stripped(c: char) -> bool {
    c.is_whitespace() || matches!(c, '+' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}')
}

/// What NFKC makes a slash, a backslash, a percent sign or a semicolon of, or something with one in it.
fn folds_into_separator(c: char) -> bool {
    matches!(
        c,
        '\u{2100}' | '\u{2101}' | '\u{2105}' | '\u{2106}' // such as ℀: a/c
            | '\u{ff0f}'
            | '\u{fe68}' | '\u{ff3c}'
            | '\u{fe6a}' | '\u{ff05}'
            | '\u{37e}' | '\u{fe14}' | '\u{fe54}' | '\u{ff1b}'
    )
}

/// What a percent sign without two hex digits is: in a path as sent, an error; after decoding, a percent sign.
#[derive(Clone, Copy, PartialEq)]
enum Stray {
    Refused,
    Kept,
}

/// Decodes one layer of percent-encoding; none if that is no text (overlong UTF-8 has long been a disguise for `.` and `/`).
fn decode(text: &str, stray: Stray) -> Option<String> {
    let hex = |byte: Option<&u8>| char::from(*byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut bytes = text.as_bytes().iter();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(&byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut ahead = bytes.clone();
        match (hex(ahead.next()), hex(ahead.next())) {
            (Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                bytes = ahead;
            }
            _ if stray == Stray::Kept => decoded.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(decoded).ok()
}
