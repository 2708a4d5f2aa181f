//! Writing to stdout.

use std::io::{ErrorKind, Write as _};

use pattoo_base::invariant::Invariant as _;

use super::Failure;

/// Writes `line` and a line end to stdout. A closed pipe is not an error: its reader needs no more.
pub(super) fn print_line(line: impl AsRef<[u8]>) -> Result<(), Failure> {
    match write(line.as_ref()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::internal(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// The same for datapoints. If they cannot be written they are lost, which is always an error.
pub(super) fn print_datapoints(json: impl AsRef<[u8]>, count: usize) -> Result<(), Failure> {
    write(json.as_ref())
        .map_err(|error| Failure::internal(format!("{count} datapoints are lost: cannot write to stdout: {error}")))
}

fn write(line: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(line)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}

/// JSON of ours over several lines: one entry on each line, and lists of plain values on one line.
/// The text of the values does not change, escapes included.
pub(super) fn indented(json: &str) -> String {
    let mut text = String::with_capacity(json.len().saturating_mul(2));
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    let mut characters = json.chars().peekable();
    // For each open bracket, whether each of its entries has a line.
    let mut open = Vec::new();
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(character) = characters.next() {
        if quoted {
            text.push(character);
            (quoted, escaped) = (escaped || character != '"', !escaped && character == '\\');
            continue;
        }
        match character {
            '{' | '[' => {
                let lines = character == '{' || matches!(characters.peek(), Some('[' | '{'));
                open.push(lines);
                depth = depth.saturating_add(1);
                text.push(character);
                if lines {
                    line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.checked_sub(1).or_broken("brackets of our JSON are in pairs", 0);
                if open.pop() == Some(true) {
                    line(&mut text, depth);
                }
                text.push(character);
            }
            ',' => {
                text.push(',');
                if open.last() == Some(&true) { line(&mut text, depth) } else { text.push(' ') }
            }
            ':' => text.push_str(": "),
            _ => {
                quoted = character == '"';
                text.push(character);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn each_entry_has_a_line_and_a_list_of_plain_values_is_on_one_line() {
        let json = r#"{"a":1,"b":{"0":["k","v, {\"x\\"],"1":["k",2.5]},"c":[[0,1],[2]]}"#;
        let lines = "{\n  \"a\": 1,\n  \"b\": {\n    \"0\": [\"k\", \"v, {\\\"x\\\\\"],\n    \"1\": [\"k\", 2.5]\n  },\n  \
                     \"c\": [\n    [0, 1],\n    [2]\n  ]\n}";
        assert_eq!(indented(json), lines);
    }

    #[test]
    fn escapes_are_kept() {
        assert!(indented(r#"{"a":"\u009b31m\u202e"}"#).contains(r#""\u009b31m\u202e""#));
    }
}
