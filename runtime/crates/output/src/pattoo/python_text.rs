//! Python's `str.lower()` and `str.strip()`, which pattoo applies to texts.
//!
//! Keys and metadata enter the checksum in this form, so a difference from Python would start a new
//! series on the server. Both languages follow the tables of Unicode. If Rust's tables are newer
//! than Python's, a letter that is new in them is lowered here and not in Python.

use pattoo_measurement::is_white_space;

use crate::json::hex_digit;

/// The result of Python's `str.lower()`. Works in place on ASCII.
pub(super) fn lower(mut text: String) -> String {
    if text.is_ascii() {
        text.make_ascii_lowercase();
        return text;
    }
    text.to_lowercase()
}

/// [`strip`](pattoo_measurement::strip) in place, without another allocation.
pub(super) fn strip_owned(mut text: String) -> String {
    let end = text.trim_end_matches(is_white_space).len();
    text.truncate(end);
    let start = text.len().saturating_sub(text.trim_start_matches(is_white_space).len());
    text.drain(..start);
    text
}

/// Writes bytes as lower-case hexadecimal digits, as many as fit into `out`. Inlined where the
/// length is known, because each link of a chain waits for it.
#[inline]
pub(super) fn write_hex(out: &mut [u8], bytes: &[u8]) {
    let (pairs, _) = out.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [hex_digit(byte.wrapping_shr(4)), hex_digit(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests {
    use pattoo_measurement::strip;

    use super::*;

    #[test]
    fn text_is_lowered_as_in_python() {
        for (raw, lowered) in [
            ("ABC", "abc"),
            ("\u{130}", "i\u{307}"),
            ("\u{1e9e}", "\u{df}"),
            ("STRASSE \u{df}", "strasse \u{df}"),
            ("\u{39f}\u{394}\u{39f}\u{3a3}", "\u{3bf}\u{3b4}\u{3bf}\u{3c2}"),
            ("\u{3a3}", "\u{3c3}"),
            ("\u{391}\u{3a3}\u{391}", "\u{3b1}\u{3c3}\u{3b1}"),
            ("\u{391}\u{3a3}.", "\u{3b1}\u{3c2}."),
            ("\u{391}\u{3a3}.\u{391}", "\u{3b1}\u{3c3}.\u{3b1}"),
            ("\u{212a}", "k"),
            ("\u{1c5}", "\u{1c6}"),
        ] {
            assert_eq!(lower(raw.to_owned()), lowered, "{raw:?}");
        }
    }

    #[test]
    fn white_space_of_python_is_stripped_and_nothing_else() {
        let spaces = "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f} \u{85}\u{a0}\u{1680}\u{2000}\u{200a}\
                      \u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
        let padded = format!("{spaces}a b{spaces}");
        assert_eq!(strip(&padded), "a b");
        assert_eq!(strip_owned(padded), "a b");
        assert_eq!(strip_owned(spaces.to_owned()), "");
        for kept in ["\u{200b}", "\u{180e}", "\u{feff}", "\0", "\u{1b}"] {
            assert_eq!(strip(kept), kept);
        }
    }
}
