//! What a plain scalar means: chapter 10.3 of YAML 1.2, as `serde_yaml` has it.

use serde_json::Number;

/// What a scalar means.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Any other text.
    Text,
    /// A number that JSON cannot hold.
    Unholdable,
}

impl Meaning {
    /// What a plain scalar means.
    pub fn of(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Meaning::Null,
            "true" | "True" | "TRUE" => return Meaning::Bool(true),
            "false" | "False" | "FALSE" => return Meaning::Bool(false),
            _ => {}
        }
        let (negative, digits) = match text.strip_prefix(['-', '+']) {
            Some(digits) => (text.starts_with('-'), digits),
            None => (false, text),
        };
        for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
            if let Some(digits) = digits.strip_prefix(prefix)
                && !digits.is_empty()
                && digits.chars().all(|digit| digit.is_digit(radix))
            {
                return u64::from_str_radix(digits, radix)
                    .map_or(Meaning::Unholdable, |number| integer(negative, number));
            }
        }
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            if digits.len() > 1 && digits.starts_with('0') {
                // Postal codes and telephone numbers: the zero has to stay.
                return Meaning::Text;
            }
            return digits.parse().map_or(Meaning::Unholdable, |number| integer(negative, number));
        }
        if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
            return Meaning::Unholdable;
        }
        if is_float(digits) {
            let number = text.parse::<f64>().ok().and_then(Number::from_f64);
            return number.map_or(Meaning::Unholdable, Meaning::Number);
        }
        Meaning::Text
    }
}

fn integer(negative: bool, number: u64) -> Meaning {
    if !negative {
        return Meaning::Number(number.into());
    }
    0_i64.checked_sub_unsigned(number).map_or(Meaning::Unholdable, |number| Meaning::Number(number.into()))
}

/// Whether a text without its sign is written as a fraction or with an exponent: `1.5`, `.5`, `5.`, `1e3`.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    exponent && digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty())
}
