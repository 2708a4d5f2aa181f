//! White space around names.

/// A name without the white space around it. ` a` and `a` are the same name.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_white_space)
}

/// Whether a character is white space. As in Python, this includes the four information separators.
/// Rust follows Unicode's `White_Space`, which does not.
pub fn is_white_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}
