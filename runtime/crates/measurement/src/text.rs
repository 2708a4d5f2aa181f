//! White space around names.

/// A name without the white space around it, which counts for nothing: ` a` and `a` are one.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_white_space)
}

/// Whether a character is white space. The four information separators are, as in Python; Unicode's `White_Space`, which
/// Rust follows, does not have them.
pub fn is_white_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
