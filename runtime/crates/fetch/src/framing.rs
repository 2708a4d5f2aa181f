//! Watches the header of each response for fields that frame the body and are malformed.
//!
//! The HTTP library reads header fields as browsers do: it accepts white space before the colon (RFC 9112 section 5.1),
//! joins folded lines (section 5.2), and skips lines that are no field. For `Content-Length` and `Transfer-Encoding` that is
//! not safe: a proxy on the way may read such a line in another way, and then the two disagree about where the response ends
//! (RFC 9112 section 11.1). A response with such a line is refused.

use std::fmt;

/// The fields that frame a body.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// How many bytes of a line are kept. A line whose name is longer is no field of ours.
const KEPT: usize = 64;

/// A field of a response that frames its body, and is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous(&'static str);

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the field {} of the response is malformed, so that its end is ambiguous", self.0)
    }
}

impl std::error::Error for Ambiguous {}

/// Where in a response its next byte is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// In the status line, or before it.
    #[default]
    Status,
    /// In the header fields.
    Fields,
    /// Behind the header. The HTTP library decides where the body ends.
    Body,
}

/// Reads the header of one response as its bytes arrive.
#[derive(Debug, Default)]
pub(super) struct HeadWatch {
    part: Part,
    /// The beginning of the current line.
    line: Vec<u8>,
    /// The current line has a control character.
    control: bool,
    /// The field of the line before, if it frames the body: a folded line would be a part of it.
    framing: Option<&'static str>,
    /// The status is 1xx, so that another header follows.
    informational: bool,
}

impl HeadWatch {
    /// Reads the next bytes.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), Ambiguous> {
        for byte in bytes {
            match byte {
                _ if self.part == Part::Body => return Ok(()),
                b'\n' => self.end_line()?,
                byte => {
                    self.control |= byte.is_ascii_control() && !matches!(byte, b'\t' | b'\r');
                    if self.line.len() < KEPT {
                        self.line.push(*byte);
                    }
                }
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), Ambiguous> {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match self.part {
            // RFC 9112 section 2.2: empty lines before it are skipped.
            Part::Status if line.is_empty() => {}
            Part::Status => {
                self.informational = line.split(|byte| *byte == b' ').nth(1).is_some_and(|code| code.starts_with(b"1"));
                self.part = Part::Fields;
            }
            Part::Fields if line.is_empty() => {
                self.framing = None;
                self.part = if self.informational { Part::Status } else { Part::Body };
            }
            Part::Fields => self.framing = self.field(&line)?,
            Part::Body => {}
        }
        self.control = false;
        line.clear();
        self.line = line;
        Ok(())
    }

    /// The field of a line, if it frames the body.
    fn field(&self, line: &[u8]) -> Result<Option<&'static str>, Ambiguous> {
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            // Folded: a part of the line before.
            return self.framing.map_or(Ok(None), |name| Err(Ambiguous(name)));
        }
        let colon = line.iter().position(|byte| *byte == b':');
        let name = line.get(..colon.unwrap_or(line.len())).unwrap_or_default();
        // As the most tolerant reader would read it.
        let meant: String = name.iter().filter(|byte| is_of_name(**byte)).map(|byte| char::from(*byte)).collect();
        let meant = meant.to_ascii_lowercase();
        let Some(framing) = FRAMING.into_iter().find(|framing| match colon {
            Some(_) => meant == *framing,
            None => meant.starts_with(framing),
        }) else {
            return Ok(None);
        };
        let plain = colon.is_some() && name.len() == framing.len() && !self.control;
        if plain { Ok(Some(framing)) } else { Err(Ambiguous(framing)) }
    }
}

/// Whether a byte can be a part of a name (RFC 9110 section 5.6.2).
fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{Ambiguous, HeadWatch};

    fn read(head: &str) -> Result<(), Ambiguous> {
        let mut watch = HeadWatch::default();
        watch.read(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes())
    }

    #[test]
    fn plain_framing_and_other_fields_in_any_form_are_fine() {
        for head in [
            "Content-Length: 5\r\n\r\n",
            "content-length:5\n\n",
            "Transfer-Encoding: chunked\r\n\r\n",
            "X-A : b\r\nX-B: c\r\n folded\r\nnonsense\r\nContent-Length: 5\r\n\r\n",
            "X-Content-Length : 5\r\n\r\n",
            "X-A: Content-Length\r\n\r\n",
            "\r\nContent-Length : 5\r\n folded\r\nContent-Length 5\r\n\r\n",
        ] {
            assert_eq!(read(head), Ok(()), "{head:?}");
        }
    }

    #[test]
    fn malformed_framing_is_ambiguous_wherever_the_bytes_are_divided() {
        for line in [
            "Content-Length : 5",
            "CONTENT-LENGTH\t: 5",
            "Content-Length:\r\n 5",
            "Content-Length: 5\r\n\t6",
            "Content-Length 5",
            "Content-Length",
            "Content-Length: 5\u{1}",
            "Content-Length\u{b}: 5",
            "\u{b}Content-Length: 5",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding\u{a0}: chunked",
            "Transfer-Encoding:\r\n chunked",
            "Transfer-Encoding chunked",
        ] {
            let text = format!("X-A: b\r\n{line}\r\n\r\n");
            let name = if line.to_lowercase().contains("length") { "content-length" } else { "transfer-encoding" };
            assert_eq!(read(&text), Err(Ambiguous(name)), "{line:?}");
            assert_eq!(read(&format!("X: {}\r\n{line}\r\n\r\n", "y".repeat(500))), Err(Ambiguous(name)), "{line:?}");
            let mut watch = HeadWatch::default();
            let all = format!("HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\n{text}");
            let refused = all.as_bytes().iter().find_map(|byte| watch.read(&[*byte]).err());
            assert_eq!(refused, Some(Ambiguous(name)), "{line:?}");
        }
    }
}
