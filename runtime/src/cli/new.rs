//! `pattoo-wasm new`: a project for a collector, which builds and runs as it is.

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
    output::print_line,
};

const EXAMPLES: &str = "\
Example:
  pattoo-wasm new greenhouse --lang go
  cd greenhouse
  pattoo-wasm build
  pattoo-wasm run greenhouse.wasm

The folder has a collector, a test of it that needs no WebAssembly, the
language's kit, and a README. No network is needed to make it.";

/// Arguments of `new`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The collector: a new folder of that name is made here
    name: Name,

    /// The language that it is written in
    #[arg(long, value_name = "LANGUAGE", value_parser = languages())]
    lang: &'static Language,
}

fn languages() -> impl clap::builder::TypedValueParser<Value = &'static Language> {
    PossibleValuesParser::new(LANGUAGES.iter().map(|language| language.name))
        .try_map(|name| Language::named(&name).ok_or("there is no such language"))
}

/// A name that every language takes for a package, and pattoo for a program.
#[derive(Debug, Clone)]
struct Name(String);

/// What some language, or its kit, has taken already.
const TAKEN: &[&str] = &[
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

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let valid =
            |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || "-_".contains(character);
        if !text.starts_with(|first: char| first.is_ascii_lowercase())
            || !text.chars().all(valid)
            || text.ends_with(['-', '_'])
        {
            return Err(
                "a name has lower-case letters, digits, `-` and `_`, and begins with a letter: greenhouse-2".to_owned()
            );
        }
        if TAKEN.contains(&text) {
            return Err(format!("`{text}` has a meaning of its own in some language; choose another name"));
        }
        Program::from_str(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// Makes the project.
pub(super) fn new(args: &Args) -> Result<Exit, Failure> {
    let Name(name) = &args.name;
    let language = args.lang;
    let folder = Path::new(name);
    // Whatever is there stays as it is, a dangling link included.
    fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            Failure::usage(format!("{name} exists already")).help("choose another name, or another folder to be in")
        }
        _ => Failure::usage(format!("{name}: {error}")),
    })?;
    if let Err(failure) = fill(folder, name, language) {
        // Made a moment ago, and of no use to anybody.
        let _ = fs::remove_dir_all(folder);
        return Err(failure);
    }
    print_line(format!(
        "{name}/ is a collector in {}. What comes next:\n\n  cd {name}\n  {}\n  pattoo-wasm build\n  pattoo-wasm run {name}.wasm",
        language.title, language.test,
    ))?;
    Ok(Exit::Good)
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
    fn a_name_is_one_that_every_language_takes() {
        for good in ["greenhouse", "greenhouse-2", "a_b", "x"] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        let long = "a".repeat(65);
        for bad in
            ["", "-a", "_a", "2a", "Green", "a b", "a/b", "..", "a.b", "größe", "a-", "a\n", "test", "pattoo", &long]
        {
            assert!(bad.parse::<Name>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_language_has_its_kit_and_no_two_parts_have_a_file_in_common() {
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
