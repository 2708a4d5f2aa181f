//! Text from collectors, devices and web sites, made safe for one line of a log or a terminal.
//!
//! Text from outside must not start a new line, move the cursor, change colours, or change the
//! direction of a line. Every character that can is replaced by an escape.
//!
//! ```
//! use pattoo_base::text::{counted, masked, one_line, printable};
//!
//! assert_eq!(one_line("two\nlines", 40), r"two\nlines");
//! assert_eq!(one_line("a long text", 6), "a long…");
//! assert_eq!(printable("two\nlines\x07"), "two\nlines\\u{7}");
//! assert_eq!(masked("key: \x07"), "key: ?");
//! assert_eq!(counted(2, "body", "bodies"), "2 bodies");
//! ```

use std::fmt::Write as _;

use crate::invariant::Invariant as _;

/// At most `limit` bytes of `text` on one line. Control characters, line separators and characters
/// that change the direction of writing become `\n`, `\t` or `\u{…}`.
pub fn one_line(text: &str, limit: usize) -> String {
    let kept = text.get(..text.floor_char_boundary(limit)).or_broken("a boundary is within its text", "");
    let mut line = String::with_capacity(kept.len());
    for character in kept.chars() {
        match character {
            '\n' => line.push_str("\\n"),
            '\t' => line.push_str("\\t"),
            '\r' => line.push_str("\\r"),
            _ if is_unsafe(character) => {
                let _ = write!(line, "\\u{{{:x}}}", u32::from(character));
            }
            _ => line.push(character),
        }
    }
    if kept.len() < text.len() {
        line.push('…');
    }
    line
}

/// `text` for a message: quoted, escaped, and cut where it is long.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST).and_then(|(cut, _)| text.get(..cut)) {
        None => format!("{text:?}"),
        Some(start) => format!("{start:?}... ({} bytes)", text.len()),
    }
}

/// `count` with the name of what was counted: `1 body`, `2 bodies`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `text` with the same characters as escapes, except line ends: for text that is not a line of a
/// log.
pub fn printable(text: &str) -> String {
    text.lines().map(|line| one_line(line, line.len())).collect::<Vec<_>>().join("\n")
}

/// `text` with each of the same characters replaced by as many `?` as it has bytes: for a source
/// text whose byte offsets have to stay valid.
pub fn masked(text: &str) -> String {
    let mask = |character: char| {
        let shown = if is_unsafe(character) && !matches!(character, '\n' | '\t') { '?' } else { character };
        std::iter::repeat_n(shown, if shown == '?' { character.len_utf8() } else { 1 })
    };
    text.chars().flat_map(mask).collect()
}

/// Whether a character can change the line or the terminal that displays it.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::{one_line, shown};

    #[test]
    fn message_cannot_start_a_line_or_colour_the_terminal() {
        assert_eq!(one_line("a\nERROR b\r\x1b[31m\u{9b}1m", 99), r"a\nERROR b\r\u{1b}[31m\u{9b}1m");
    }

    #[test]
    fn message_cannot_change_the_direction_of_writing() {
        assert_eq!(one_line("safe\u{202e}evil\u{2066}", 99), r"safe\u{202e}evil\u{2066}");
    }

    #[test]
    fn long_message_is_cut_between_characters() {
        assert_eq!(one_line("häuser", 2), "h…");
        assert_eq!(one_line("häuser", 3), "hä…");
        assert_eq!(one_line("häuser", 7), "häuser");
    }

    #[test]
    fn a_long_text_is_cut_in_messages() {
        assert_eq!(shown("a\u{1b}b"), r#""a\u{1b}b""#);
        let long = shown(&"\u{e9}".repeat(1000));
        assert!(long.ends_with("... (2000 bytes)") && long.len() < 200, "{long}");
    }

    proptest::proptest! {
        #[test]
        fn any_text_becomes_one_line_of_printable_text(text: String, limit in 0usize..64) {
            let line = one_line(&text, limit);
            let harmless = |c: char| !c.is_control() && c != '\u{2028}' && c != '\u{202e}';
            proptest::prop_assert!(line.chars().all(harmless), "{}", line);
        }
    }
}
