//! `pattoo-wasm new`: a new project for a collector, which builds and runs without a change.

use std::{
    fs,
    io::{ErrorKind, Write as _},
    path::Path,
    str::FromStr,
};

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use pattoo_measurement::Program;

use super::{
    Exit, Failure,
    languages::{LANGUAGES, Language},
    stdout::print_line,
};

const EXAMPLES: &str = "\
Example:
  pattoo-wasm new greenhouse --lang go
  cd greenhouse
  pattoo-wasm build
  pattoo-wasm run greenhouse.wasm

The folder contains a collector, a test of it that needs no WebAssembly, the
SDK of the language, and a README. No network is needed.";

/// Arguments of `new`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Create the collector with this name, in a new folder of the same name
    name: ProjectName,

    /// Write it in this language
    #[arg(long, value_name = "LANGUAGE", value_parser = languages())]
    lang: &'static Language,
}

fn languages() -> impl clap::builder::TypedValueParser<Value = &'static Language> {
    PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.name))
        .try_map(|name| Language::named(&name).ok_or("there is no such language"))
}

/// A name that is valid for a package in every language, and for a program of pattoo.
#[derive(Debug, Clone)]
struct ProjectName(String);

/// Names that a language or its SDK reserves.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "collector",
    "componentize-qjs",
    "con",
    "const",
    "continue",
    "core",
    "crate",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "esbuild",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "main",
    "match",
    "mod",
    "move",
    "mut",
    "node_modules",
    "nul",
    "override",
    "pattoo",
    "pattoo-guest",
    "pattoo_guest",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "serde_json",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "typescript",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "wit-bindgen",
    "wit_bindgen",
    "yield",
];

impl FromStr for ProjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid =
            |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character);
        if !text.starts_with(|first: char| first.is_ascii_lowercase())
            || !text.chars().all(valid)
            || text.ends_with(['-', '_'])
        {
            return Err(
                "expected lower-case letters, digits, `-` and `_`, with a letter first and no `-` or `_` last, for example greenhouse-2".to_owned()
            );
        }
        if RESERVED.contains(&text) {
            return Err(format!("`{text}` is a reserved word in one of the languages; choose another name"));
        }
        Program::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// Creates the project.
pub(super) fn new(args: &Args) -> Result<Exit, Failure> {
    let ProjectName(name) = &args.name;
    let language = args.lang;
    let folder = Path::new(name);
    // An existing file is never changed, a dangling link included.
    fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::usage(format!("{name} already exists"))
            .help("choose another name, or run the command in another folder"),
        _ => Failure::usage(format!("{name}: {error}")),
    })?;
    if let Err(failure) = fill(folder, name, language) {
        // It was created a moment ago, and is incomplete.
        let _ = fs::remove_dir_all(folder);
        return Err(failure);
    }
    print_line(format!(
        "{name}/ is a collector in {}. Next steps:\n\n  cd {name}\n  {}\n  pattoo-wasm build\n  pattoo-wasm run {name}.wasm",
        language.title, language.test,
    ))?;
    Ok(Exit::Success)
}

fn fill(folder: &Path, name: &str, language: &Language) -> Result<(), Failure> {
    for (part, files) in language.parts {
        for (path, text) in *files {
            let path = folder.join(part).join(path);
            let text = text.replace("{{name}}", name).replace("{{ident}}", &name.replace('-', "_"));
            let parent = path.parent().unwrap_or(folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::File::create_new(&path))
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_valid_in_every_language() {
        for good in ["greenhouse", "greenhouse-2", "a_b", "x"] {
            assert!(good.parse::<ProjectName>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in
            ["", "-a", "_a", "2a", "Green", "a b", "a/b", "..", "a.b", "größe", "a-", "a\n", "test", "pattoo", &long]
        {
            assert!(bad.parse::<ProjectName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_language_has_its_sdk_and_no_two_parts_share_a_file() {
        for language in LANGUAGES {
            let folder = tempfile::tempdir().unwrap();
            fill(folder.path(), "greenhouse", language).unwrap();
            for file in [language.marker, "README.md", "devices.yaml", ".gitignore", ".editorconfig"] {
                assert!(folder.path().join(file).is_file(), "{}: {file}", language.name);
            }
            let readme = fs::read_to_string(folder.path().join("README.md")).unwrap();
            assert!(!readme.contains("{{") && readme.contains("greenhouse.wasm"), "{readme}");
            assert!(Language::of(folder.path()).is_some_and(|found| found.name == language.name));
        }
    }
}
