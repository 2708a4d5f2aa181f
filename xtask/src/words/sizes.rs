//! How large a source file, a folder and a name may be.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{
    Source,
    table::{LARGE, LINES, ONE_TYPE_EACH, SOURCE, SOURCES},
};
use crate::result::Result;

/// Whether a path is that of a source file.
fn is_source(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, ending)| SOURCE.contains(&ending))
}

/// Source files that are too long.
pub(super) fn long_files(files: &[Source]) -> Vec<String> {
    let sources = files.iter().filter(|file| is_source(&file.path));
    let long = sources.filter(|file| file.text.lines().count() > LINES);
    long.map(|file| {
        format!("{}: {} lines: write at most {LINES}, split the file", file.path, file.text.lines().count())
    })
    .collect()
}

/// Folders that have too many sources of their own.
pub(super) fn large_folders(files: &[Source]) -> Vec<String> {
    let mut folders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| is_source(&file.path)) {
        let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        // A declaration of types belongs to the file that it declares.
        let name = name.strip_suffix(".d.ts").or_else(|| name.strip_suffix(".js")).unwrap_or(name);
        folders.entry(folder).or_default().insert(name);
    }
    folders.retain(|folder, sources| sources.len() > SOURCES && !LARGE.iter().any(|(large, _)| large == folder));
    let say = |(folder, sources): (&str, BTreeSet<&str>)| {
        format!("{folder}/: {} sources: keep at most {SOURCES}, make folders in it", sources.len())
    };
    folders.into_iter().map(say).collect()
}

/// Types of the runtime that share a name that says too little for several.
pub(super) fn shared_names(files: &[Source]) -> Result<Vec<String>> {
    // At the start of a line: what a test or a function declares for itself is read beside its use.
    let declaration = Regex::new(r"(?m)^(?:pub(?:\([a-z: ]+\))? )?(?:struct|enum|trait|union|type) ([A-Z]\w*)")
        .map_err(|error| error.to_string())?;
    let mut names: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.starts_with("runtime/") && is_source(&file.path)) {
        for name in declaration.captures_iter(&file.text).filter_map(|found| found.get(1)) {
            names.entry(name.as_str()).or_default().push(&file.path);
        }
    }
    names.retain(|name, places| places.len() > 1 && ONE_TYPE_EACH.contains(name));
    let say = |(name, places): (&str, Vec<&str>)| {
        format!("`{name}` names {} types: give each its noun ({})", places.len(), places.join(", "))
    };
    Ok(names.into_iter().map(say).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> Source {
        Source { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_file_of_five_hundred_lines_passes_and_one_of_more_does_not() {
        let files =
            [file("a.rs", &"x\n".repeat(500)), file("b.rs", &"x\n".repeat(501)), file("c.md", &"x\n".repeat(900))];
        assert_eq!(long_files(&files), ["b.rs: 501 lines: write at most 500, split the file"]);
    }

    #[test]
    fn a_folder_of_twenty_sources_passes_and_one_of_more_does_not() {
        let named = |folder: &str, ending: &str, many: usize| -> Vec<Source> {
            (0..many).map(|number| file(&format!("{folder}/{number}.{ending}"), "")).collect()
        };
        let folders = [
            named("a", "rs", 20),
            named("b", "rs", 21),
            named("b/inner", "rs", 3),
            named("c", "md", 30),
            named("d", "js", 15),
            named("d", "d.ts", 15),
            named("tests/hostile/guests", "wat", 160),
        ];
        assert_eq!(large_folders(&folders.concat()), ["b/: 21 sources: keep at most 20, make folders in it"]);
    }

    #[test]
    fn a_name_that_says_little_names_one_type() {
        let files = [
            file(
                "runtime/a.rs",
                "pub struct Entry {
pub(crate) enum Place {
pub struct Args {",
            ),
            file(
                "runtime/b.rs",
                "type Entry = u8;
    struct Place;
struct Args;",
            ),
            file("tests/c.rs", "struct Place;"),
        ];
        let expected = "`Entry` names 2 types: give each its noun (runtime/a.rs, runtime/b.rs)";
        assert_eq!(shared_names(&files).unwrap(), [expected]);
    }
}
