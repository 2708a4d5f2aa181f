//! What makes two lines alike.

/// `text` with `#` in place of what varies from one line to the next: numbers, and the digits of
/// hexadecimal numbers, identifiers and addresses.
///
/// A run of hexadecimal digits varies if one of them is a decimal digit: `feed` is a word, and
/// `fe80` is not.
pub(super) fn pattern(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|character: char| !character.is_ascii_hexdigit()).unwrap_or(rest.len());
        let (run, after) = rest.split_at_checked(if end == 0 { first.len_utf8() } else { end }).unwrap_or((rest, ""));
        if run.bytes().any(|byte| byte.is_ascii_digit()) {
            pattern.push('#');
        } else {
            pattern.push_str(run);
        }
        rest = after;
    }
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::pattern;

    #[test]
    fn lines_that_differ_in_numbers_and_addresses_are_alike() {
        let alike = [
            ["no reply within 1.02s from 192.0.2.10:502", "no reply within 13.9s from 198.51.100.7:1502"],
            ["request 550e8400-e29b-41d4-a716-446655440000", "request 12fe8477-e29b-41d4-a716-000000000000"],
            ["at 0x7ffdeadbeef0", "at 0x1"],
        ];
        for [one, other] in alike {
            assert_eq!(pattern(one), pattern(other));
        }
        assert_eq!(pattern("plc1: 4 values"), "pl#: # values");
        assert_eq!(pattern("größe 5 µs, feed added"), "größe # µs, feed added");
    }

    #[test]
    fn lines_with_other_words_are_not_alike() {
        assert_ne!(pattern("connection refused"), pattern("no route to host"));
        assert_ne!(pattern("feed"), pattern("dead"));
    }

    proptest! {
        #[test]
        fn numbers_never_make_a_difference(words in prop::collection::vec("[g-z ]{0,9}", 1..6), numbers in any::<[u64; 6]>()) {
            let text = |number: &dyn Fn(usize) -> u64| -> String {
                let parts = words.iter().enumerate().map(|(index, word)| format!("{word} {}", number(index)));
                parts.collect::<Vec<_>>().concat()
            };
            prop_assert_eq!(pattern(&text(&|index| numbers[index])), pattern(&text(&|_| 7)));
        }

        #[test]
        fn pattern_of_any_text_has_no_digit(text in any::<String>()) {
            prop_assert!(!pattern(&text).bytes().any(|byte| byte.is_ascii_digit()));
        }
    }
}
