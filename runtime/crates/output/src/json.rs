//! JSON as every output writes it.

use pattoo_base::invariant::Invariant as _;

/// Appends `text` as a JSON string.
///
/// It escapes what JSON requires, and what could deceive a person who reads a payload in a
/// terminal: DEL, the C1 controls (U+009B starts a terminal sequence), line and paragraph
/// separators, and marks of writing direction.
pub(crate) fn push_json(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'"' && b != b'\\') {
        out.extend_from_slice(text.as_bytes());
    } else {
        for c in text.chars() {
            push_json_char(out, c);
        }
    }
    out.push(b'"');
}

/// The number of bytes that [`push_json`] appends for `text`.
pub(crate) fn json_length(text: &str) -> usize {
    let of = |character: char| match character {
        '"' | '\\' | '\n' | '\r' | '\t' => 2,
        _ if is_escaped(character) => ESCAPE,
        _ => character.len_utf8(),
    };
    text.chars().map(of).fold(2, usize::saturating_add)
}

/// An upper bound of [`json_length`], from the length of the text alone.
pub(crate) fn most_json_length(text: &str) -> usize {
    text.len().saturating_mul(ESCAPE).saturating_add(2)
}

/// The length of the longest escape, `\u001b`, in bytes.
const ESCAPE: usize = 6;

/// Whether [`push_json`] writes a character as [`ESCAPE`] bytes if it has no shorter escape.
fn is_escaped(c: char) -> bool {
    matches!(c,
        '\0'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{61c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

fn push_json_char(out: &mut Vec<u8>, c: char) {
    match c {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        // All of these are below U+10000, so four digits are enough.
        _ if is_escaped(c) => {
            let code = u32::from(c);
            out.extend_from_slice(b"\\u");
            for shift in [12, 8, 4, 0] {
                let nibble = u8::try_from(code.wrapping_shr(shift) & 0xf);
                out.push(hex_digit(nibble.or_broken("four bits are a byte", 0)));
            }
        }
        _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// The lower-case hexadecimal digit of a value below 16. Arithmetic in place of a table lets the
/// compiler use vector instructions.
#[inline]
pub(crate) fn hex_digit(nibble: u8) -> u8 {
    let above_nine = u8::from(nibble > 9).wrapping_mul(b'a' - b'0' - 10);
    nibble.wrapping_add(b'0').wrapping_add(above_nine)
}

/// Reserves memory for `more` items: doubles a small list, and grows a large one by an eighth, so
/// that little memory is reserved and not used.
pub(crate) fn make_room<T>(list: &mut Vec<T>, more: usize) {
    const LARGE: usize = 1 << 20;
    if list.capacity().saturating_sub(list.len()) < more {
        let length = list.len();
        let ahead = if length.saturating_mul(size_of::<T>()) < LARGE { length } else { length.wrapping_shr(3) };
        list.reserve_exact(ahead.max(more));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives_as_json_and_shows_no_control_character() {
        let every: String = ('\0'..=char::MAX).collect();
        let mut json = Vec::new();
        push_json(&mut json, &every);
        let text = String::from_utf8(json).unwrap();
        assert!(!text.chars().any(char::is_control));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), every);
    }

    #[test]
    fn length_of_json_text_is_known_before_it_is_written() {
        for text in ('\0'..=char::MAX).map(String::from).chain(["a\u{1b}\"ä".to_owned(), String::new()]) {
            let mut json = Vec::new();
            push_json(&mut json, &text);
            assert_eq!(json_length(&text), json.len(), "{text:?}");
            assert!(most_json_length(&text) >= json.len(), "{text:?}");
        }
    }
}
