//! A line as the words that it is made of.

/// Splits identifiers into words: `lane_of` becomes `lane of`, `HostLanes` becomes `Host Lanes`.
pub(super) fn words(line: &str) -> String {
    let mut words = String::with_capacity(line.len().saturating_add(8));
    let mut was_lower = false;
    for letter in line.chars() {
        if letter.is_uppercase() && was_lower {
            words.push(' ');
        }
        was_lower = letter.is_lowercase() || letter.is_ascii_digit();
        words.push(if letter == '_' { ' ' } else { letter });
    }
    words
}

/// What a line says, without its indentation and the sign of a comment, of a quotation or of a list.
pub(super) fn prose(line: &str) -> &str {
    line.trim_start().trim_start_matches(['/', '!', '#', '*', '>', '-', ';']).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_split_into_words() {
        assert_eq!(words("fn lane_of(x: HostLanes) -> u64Lane"), "fn lane of(x: Host Lanes) -> u64 Lane");
    }

    #[test]
    fn signs_of_comments_are_no_prose() {
        assert_eq!(prose("    /// taken"), "taken");
        assert_eq!(prose("//! - for"), "- for");
        assert_eq!(prose(" * it"), "it");
    }
}
