//! `cargo xtask demo` and `cargo xtask guests`, and what other commands need built before them.

use crate::{guests, result::Result, steps::Steps, tools};

/// Builds everything and shows it at work.
pub(crate) fn demo() -> Result<()> {
    let mut steps = Steps::begin();
    all(&mut steps)?;
    steps.run("the demo", tools::program(&tools::binary()).arg("demo").arg(tools::guests()))
}

/// Builds the collectors of these languages, or of all.
pub(crate) fn guests(languages: &[&str]) -> Result<()> {
    let mut steps = Steps::begin();
    if languages.is_empty() {
        rust_guests(&mut steps)?;
    }
    guests::build(&mut steps, languages)?;
    steps.finish();
    Ok(())
}

/// Builds the workspace and the collectors in Rust.
pub(crate) fn all(steps: &mut Steps) -> Result<()> {
    rust_guests(steps)?;
    // The whole workspace at once: built one by one, the crates would choose different features of what they share.
    steps.run("pattoo-wasm", &mut tools::cargo(&["build", "--workspace", "--locked"]))
}

/// Builds the collectors in Rust.
pub(crate) fn rust_guests(steps: &mut Steps) -> Result<()> {
    tools::install_target(steps)?;
    steps.run(
        "the collectors",
        tools::cargo(&["build", "--profile", "guest", "--target", tools::GUEST_TARGET, "--locked"])
            .args(tools::guest_packages()),
    )
}
