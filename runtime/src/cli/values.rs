//! Values of flags. An error says what is expected, with an example.

use std::{net::SocketAddr, ops::RangeInclusive, time::Duration};

use bytesize::ByteSize;

/// A duration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "expected a duration, for example 30s, 250ms or 2m".to_owned())
}

/// A size.
pub(super) fn size(text: &str) -> Result<ByteSize, String> {
    text.parse().map_err(|_| "expected a size, for example 64MiB".to_owned())
}

/// An address and a port to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected an IP address and a port, for example 127.0.0.1:20201".to_owned())
}

/// An integer in this range; `N` has room for all of it.
pub(super) fn integer<N: TryFrom<u64>>(
    range: RangeInclusive<u64>,
    example: &'static str,
) -> impl Fn(&str) -> Result<N, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let number = number.and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            // A limit that only the type sets says nothing to a person.
            if *most >= u64::from(u32::MAX) {
                format!("expected an integer, {least} or more, for example {example}")
            } else {
                format!("expected an integer from {least} to {most}, for example {example}")
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{address, duration, integer, size};

    #[test]
    fn error_says_what_is_expected_with_an_example() {
        let number = integer::<u16>(200..=599, "503");
        assert_eq!(number("404"), Ok(404));
        for text in ["", "-1", "199", "600", "1e2", "99999999999999999999"] {
            assert_eq!(number(text).unwrap_err(), "expected an integer from 200 to 599, for example 503", "{text:?}");
        }
        assert_eq!(
            integer::<i64>(0..=u64::MAX, "17")("x").unwrap_err(),
            "expected an integer, 0 or more, for example 17"
        );
        assert!(duration("soon").unwrap_err().contains("for example 30s"));
        assert!(size("much").unwrap_err().contains("for example 64MiB"));
        assert!(address("20201").unwrap_err().contains("for example 127.0.0.1:20201"));
    }
}
