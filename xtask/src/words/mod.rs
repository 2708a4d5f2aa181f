//! `cargo xtask words`: whether every file that a person writes uses the terms of `STYLE.md`, and is of a size that can be read.
//!
//! The terms, their replacements and the exemptions are in [`table`], and nowhere else.

mod sizes;
mod table;
mod text;

use std::{fs, path::Path, process::Command};

use regex::{Regex, RegexBuilder};

use self::table::{EXEMPT, EXEMPT_LINES, MARKER, REGION, TERMS, Term};
use crate::{
    result::Result,
    steps::{report, say},
    tools,
};

/// A file that a person wrote.
#[derive(Clone, Debug)]
struct Source {
    /// Its path from the root of the repository.
    path: String,
    text: String,
}

/// Checks all files, or those below some paths; prints what is found, and at the end how often each term was.
pub(crate) fn check(below: &[&str]) -> Result<()> {
    let mut files = sources(&tools::root())?;
    files.retain(|file| below.is_empty() || below.iter().any(|path| Path::new(&file.path).starts_with(path)));
    if files.is_empty() {
        return Err(format!(
            "no file to check below {}\nhelp: give paths from the root of the repository",
            below.join(", ")
        ));
    }
    let terms = Terms::all()?;
    let mut counts = vec![0_usize; terms.0.len()];
    for file in &files {
        for hit in terms.in_file(file) {
            say(&hit.line);
            if let Some(count) = counts.get_mut(hit.term) {
                *count = count.saturating_add(1);
            }
        }
    }
    let sizes = [sizes::long_files(&files), sizes::large_folders(&files), sizes::shared_names(&files)?].concat();
    for size in &sizes {
        say(size);
    }
    let mut summary: Vec<_> = counts.iter().zip(TERMS).filter(|(count, _)| **count > 0).collect();
    summary.sort_by_key(|(count, _)| std::cmp::Reverse(**count));
    for (count, term) in &summary {
        report(&format!("{count:>6}  {}: write {}", term.pattern, term.write));
    }
    let found: usize = counts.iter().sum();
    if found == 0 && sizes.is_empty() {
        report(&format!("{} files use the terms of STYLE.md", files.len()));
        return Ok(());
    }
    Err(format!(
        "{found} terms that STYLE.md replaces, {} sizes and names, in {} files\n\
         help: write what is said behind each; what has to keep an old name gets `{MARKER}` and the reason in a comment",
        sizes.len(),
        files.len()
    ))
}

/// The files of the repository that are written by hand.
fn sources(root: &Path) -> Result<Vec<Source>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git: {error}"))?;
    if !listed.status.success() {
        return Err(format!("git ls-files failed ({})", listed.status));
    }
    let listed = String::from_utf8_lossy(&listed.stdout);
    let paths = listed.split('\0').filter(|path| !path.is_empty() && !is_exempt(path));
    // A symbolic link leads to a file that is listed itself. What is deleted and not committed yet is listed too.
    let paths = paths.filter(|path| fs::symlink_metadata(root.join(path)).is_ok_and(|file| file.is_file()));
    let read = |path: &str| fs::read(root.join(path)).map_err(|error| format!("{path}: {error}"));
    let mut sources = Vec::new();
    for path in paths {
        // What is not text is not written by hand.
        if let Ok(text) = String::from_utf8(read(path)?) {
            sources.push(Source { path: path.to_owned(), text });
        }
    }
    Ok(sources)
}

/// Whether a path is one of [`EXEMPT`].
fn is_exempt(path: &str) -> bool {
    EXEMPT.iter().any(|(part, _)| path.starts_with(part) || path.ends_with(part))
}

/// The terms, ready to be looked for.
struct Terms(Vec<Compiled>);

struct Compiled {
    term: &'static Term,
    pattern: Regex,
    unless: Option<Regex>,
}

/// A term that was found: its place in the table, and the line for the person at the terminal.
struct Hit {
    term: usize,
    line: String,
}

fn compile(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern).case_insensitive(true).build().map_err(|error| error.to_string())
}

impl Terms {
    fn all() -> Result<Self> {
        let one = |term: &'static Term| {
            let pattern = compile(&format!(r"\b(?:{})\b", term.pattern))?;
            let unless = term.unless.map(|unless| Regex::new(unless).map_err(|error| error.to_string())).transpose()?;
            Ok(Compiled { term, pattern, unless })
        };
        TERMS.iter().map(one).collect::<Result<_>>().map(Self)
    }

    /// What is found in the name and in the lines of a file.
    fn in_file(&self, file: &Source) -> Vec<Hit> {
        let path = &file.path;
        let here: Vec<(usize, &Compiled)> = self.0.iter().enumerate().filter(|(_, one)| one.looks_at(path)).collect();
        let mut hits = Vec::new();
        for (term, one) in &here {
            if let Some(found) = one.pattern.find(&text::words(path)) {
                let line = format!("{path}: found \"{}\" in its name: write \"{}\"", found.as_str(), one.term.write);
                hits.push(Hit { term: *term, line });
            }
        }
        let exempt: Vec<Regex> = EXEMPT_LINES
            .iter()
            .filter(|(part, _)| path.contains(part))
            .filter_map(|(_, line)| Regex::new(line).ok())
            .collect();
        let mut lines = file.text.lines().enumerate().peekable();
        let [begin, end] = REGION;
        let (mut is_kept, mut is_region) = (false, false);
        while let Some((number, line)) = lines.next() {
            let was_kept = std::mem::replace(&mut is_kept, line.contains(MARKER));
            is_region = (is_region || line.contains(begin)) && !line.contains(end);
            if is_region || is_kept || was_kept || exempt.iter().any(|exempt| exempt.is_match(line)) {
                continue;
            }
            let mut words = text::words(line);
            let length = words.len();
            // A phrase may go on in the next line.
            if let Some((_, next)) = lines.peek() {
                words.push(' ');
                words.push_str(&text::words(text::prose(next)));
            }
            for (term, one) in &here {
                if one.unless.as_ref().is_some_and(|unless| unless.is_match(line)) {
                    continue;
                }
                for found in one.pattern.find_iter(&words).filter(|found| found.start() < length) {
                    let number = number.saturating_add(1);
                    let line = format!("{path}:{number}: found \"{}\": write \"{}\"", found.as_str(), one.term.write);
                    hits.push(Hit { term: *term, line });
                }
            }
        }
        hits
    }
}

impl Compiled {
    fn looks_at(&self, path: &str) -> bool {
        let is_here = |part: &&str| if part.starts_with('/') { path.contains(*part) } else { path.starts_with(*part) };
        self.term.only.is_empty() || self.term.only.iter().any(is_here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let file = Source { path: path.to_owned(), text: text.to_owned() };
        Terms::all().unwrap().in_file(&file).into_iter().map(|hit| hit.line).collect()
    }

    #[test]
    fn an_old_term_is_found_in_prose_identifiers_and_file_names() {
        assert_eq!(found("a.md", "\nThe courier."), ["a.md:2: found \"courier\": write \"sender\""]);
        assert_eq!(found("a.rs", "fn courier_of()"), ["a.rs:1: found \"courier\": write \"sender\""]);
        assert_eq!(found("a.rs", "struct HostCourier;"), ["a.rs:1: found \"Courier\": write \"sender\""]);
        assert_eq!(found("a/courier.rs", ""), ["a/courier.rs: found \"courier\" in its name: write \"sender\""]);
    }

    #[test]
    fn a_phrase_is_found_across_lines_and_reported_once() {
        let text = "// what was evicted falls off\n    // the spool\n";
        assert_eq!(found("a.rs", text), ["a.rs:1: found \"falls off the spool\": write \"is evicted\""]);
    }

    #[test]
    fn a_type_is_told_from_the_verb() {
        assert_eq!(found("runtime/a.rs", "// asked of a device"), [""; 0]);
        assert_eq!(
            found("runtime/a.rs", "struct OriginAsked"),
            ["runtime/a.rs:1: found \"Asked\": write \"RequestedAccess\""]
        );
    }

    #[test]
    fn words_of_the_field_stay() {
        for line in [
            "the body of a response",
            "grows linear memory",
            "recommended",
            "let rest = buffer.split_off(2);",
            "an index into a keyboard",
            "pattoo_agent_program",
            "any byte and word order",
            "authorization: Bearer",
        ] {
            assert_eq!(found("runtime/a.rs", line), [""; 0], "{line}");
        }
    }

    #[test]
    fn a_marker_keeps_its_line_and_the_next_one() {
        let text = "// words: keep, the old name of a flag\nalias = \"mood\"\nmood\nmood // words: keep\n\nmood";
        let lines = ["a.rs:3: found \"mood\": write \"scenario\"", "a.rs:6: found \"mood\": write \"scenario\""];
        assert_eq!(found("a.rs", text), lines);
    }

    #[test]
    fn a_region_is_kept_to_its_end() {
        let text = "-- words: keep from here\nlane\n\nlane\n-- words: keep until here\n\nlane";
        assert_eq!(found("a.sql", text), ["a.sql:7: found \"lane\": write \"queue, queue scheduler\""]);
    }

    #[test]
    fn a_term_of_one_place_is_not_looked_for_in_others() {
        assert_eq!(found("runtime/src/http/mod.rs", "the guarded client"), [""; 0]);
        assert_eq!(found("runtime/src/modbus/mod.rs", "guarded").len(), 1);
        assert_eq!(found("guest-sdk/python/tests/test.py", "class Wanted"), [""; 0]);
        assert_eq!(found("tests/e2e/a.rs", "struct Wanted;").len(), 1);
    }

    #[test]
    fn renames_in_the_changelog_are_told_by_their_old_names() {
        assert_eq!(
            found("CHANGELOG.md", "| `--mood` | `--scenario` |\nA mood."),
            ["CHANGELOG.md:2: found \"mood\": write \"scenario\""]
        );
    }

    #[test]
    fn every_exempt_path_exists() {
        let root = tools::root();
        for (part, why) in EXEMPT.iter().filter(|(part, _)| *part != ".lock" && *part != "package-lock.json") {
            assert!(root.join(part).exists(), "{part} ({why}) does not exist");
        }
        assert!(is_exempt("fuzz/Cargo.lock") && !is_exempt("runtime/src/lib.rs"));
    }
}
