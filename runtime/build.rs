//! Embeds the SDKs of the languages, the contract and the templates of `pattoo-wasm new` in the
//! binary, so that it creates a project without a network and without this repository.

use std::{
    env, fs,
    io::{Error, Result},
    path::{Path, PathBuf},
    process::Command,
};

/// The constant for each folder or file: a list of paths and texts.
const PARTS: &[(&str, &str)] = &[
    ("WIT", "../wit"),
    ("RUST_SDK", "../guest-sdk/src"),
    ("RUST_SDK_PAGE", "../guest-sdk/README.md"),
    ("RUST", "templates/rust"),
    ("GO_SDK", "../guest-sdk/go"),
    ("GO", "templates/go"),
    ("C_SDK", "../guest-sdk/c"),
    ("C", "templates/c"),
    ("JAVASCRIPT_SDK", "../guest-sdk/javascript"),
    ("JAVASCRIPT", "templates/javascript"),
    ("TYPESCRIPT", "templates/typescript"),
    ("PYTHON_SDK", "../guest-sdk/python/pattoo"),
    ("PYTHON", "templates/python"),
];

fn main() -> Result<()> {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let mut text = String::new();
    for (name, part) in PARTS {
        let part = here.join(part).canonicalize()?;
        println!("cargo:rerun-if-changed={}", part.display());
        let (folder, mut files) = if part.is_file() {
            (part.parent().unwrap_or(&part), vec![part.clone()])
        } else {
            (part.as_path(), list(&part)?)
        };
        files.sort();
        text.extend(["pub(super) const ", name, ": Files = &[\n"]);
        for file in files {
            let path = file.strip_prefix(folder).map_err(Error::other)?;
            text.extend(["    (", &literal(path), ", include_str!(", &literal(&file), ")),\n"]);
        }
        text += "];\n";
    }
    fs::write(Path::new(&variable("OUT_DIR")?).join("sdks.rs"), text)?;
    println!("cargo:rerun-if-env-changed=PATTOO_REVISION");
    let revision = env::var("PATTOO_REVISION").ok().or_else(|| commit(&here)).unwrap_or_default();
    println!("cargo:rustc-env=PATTOO_REVISION={revision}");
    Ok(())
}

/// The commit of this repository; none in a package without history, or below another repository.
fn commit(here: &Path) -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(here).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let root = git(&["rev-parse", "--show-toplevel"])?;
    if here.parent()?.canonicalize().ok()? != Path::new(&root).canonicalize().ok()? {
        return None;
    }
    // Changes with each commit and each checkout.
    println!("cargo:rerun-if-changed={}", here.join(git(&["rev-parse", "--git-path", "logs/HEAD"])?).display());
    git(&["rev-parse", "--short=12", "HEAD"])
}

/// A path as a literal of Rust.
fn literal(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| Error::other(format!("{name}: {error}")))
}

/// The files below a folder, without those that tools leave there, and without the tests of the
/// SDKs.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let is_sdk = folder.components().any(|part| part.as_os_str() == "guest-sdk");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // Such as `__pycache__` and `.mypy_cache`.
            if !name.starts_with(['.', '_']) && !["node_modules", "tests"].contains(&name.as_str()) {
                files.extend(list(&path)?);
            }
        } else if !(name.ends_with("_test.go") && is_sdk) {
            files.push(path);
        }
    }
    Ok(files)
}
