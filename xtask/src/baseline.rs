//! `cargo xtask baseline`: the program as it was at an earlier commit, for comparisons side by side; and `cargo xtask fixtures`,
//! which has that program make `tests/fixtures` again.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    result::Result,
    steps::{self, Steps},
    tools,
};

/// The release whose data and modules later versions must read and run.
const RELEASE: &str = "0.1.0";

fn fixtures() -> PathBuf {
    tools::root().join("tests/fixtures").join(RELEASE)
}

/// The commit of the release.
fn release() -> Result<String> {
    let path = fixtures().join("COMMIT");
    let commit = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(commit.trim().to_owned())
}

/// An earlier state of the repository.
struct Baseline {
    commit: String,
}

impl Baseline {
    /// The one at a commit, branch or tag.
    fn at(revision: &str) -> Result<Self> {
        let asked = Command::new("git")
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{revision}^{{commit}}")])
            .current_dir(tools::root())
            .stderr(Stdio::null())
            .output()
            .map_err(|error| format!("git: {error}"))?;
        if !asked.status.success() {
            return Err(format!(
                "the commit {revision} is not in this clone\nhelp: if the clone is shallow, run `git fetch --unshallow`"
            ));
        }
        Ok(Self { commit: String::from_utf8_lossy(&asked.stdout).trim().to_owned() })
    }

    fn folder(&self) -> PathBuf {
        tools::target().join("baseline").join(&self.commit)
    }

    /// Where its sources are.
    fn sources(&self) -> PathBuf {
        self.folder().join("source")
    }

    /// The build folder of all baselines: they share most of what they depend on.
    fn built() -> PathBuf {
        tools::target().join("baseline/target")
    }

    /// Unpacks its sources.
    fn unpack(&self, steps: &mut Steps) -> Result<()> {
        if self.sources().join("Cargo.toml").exists() {
            return Ok(());
        }
        let (archive, sources) = (self.folder().join("source.tar"), self.sources());
        fs::create_dir_all(&sources).map_err(|error| format!("{}: {error}", sources.display()))?;
        let mut pack = tools::program(Path::new("git"));
        steps.run(
            &format!("the sources of {}", self.commit),
            pack.args(["archive", "--format", "tar", "--output"]).arg(&archive).arg(&self.commit),
        )?;
        let mut unpack = tools::program(Path::new("tar"));
        steps
            .run("their files", unpack.args(["--extract", "--file"]).arg(&archive).arg("--directory").arg(&sources))?;
        fs::remove_file(&archive).map_err(|error| format!("{}: {error}", archive.display()))
    }

    /// Cargo in its sources.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut cargo = tools::cargo(arguments);
        cargo.current_dir(self.sources()).env("CARGO_TARGET_DIR", Self::built());
        cargo
    }

    /// Builds its program, and returns the path.
    fn build(&self, steps: &mut Steps, profile: &str) -> Result<PathBuf> {
        // The folder of a profile has its name, but for this one.
        let folder = if profile == "dev" { "debug" } else { profile };
        let kept = self.folder().join(folder).join("pattoo-wasm");
        if kept.exists() {
            return Ok(kept);
        }
        self.unpack(steps)?;
        let build = ["build", "--workspace", "--locked", "--profile", profile];
        steps.run(&format!("pattoo-wasm at {}", self.commit), &mut self.cargo(&build))?;
        // The next baseline is built into the same folder.
        let built = Self::built().join(folder).join("pattoo-wasm");
        let copied = fs::create_dir_all(self.folder().join(folder)).and_then(|()| fs::copy(&built, &kept));
        copied.map(|_| kept).map_err(|error| format!("{}: {error}", built.display()))
    }
}

/// Builds the program at a revision, or at the commit of the fixtures, and prints its path.
pub(crate) fn build(revision: Option<&str>, profile: &str) -> Result<()> {
    let mut steps = Steps::begin();
    let baseline = Baseline::at(revision.unwrap_or(&release()?))?;
    let path = baseline.build(&mut steps, profile)?;
    steps.finish();
    steps::say(&path.display().to_string());
    Ok(())
}

/// Makes the fixtures again.
pub(crate) fn fixtures_again() -> Result<()> {
    let mut steps = Steps::begin();
    let baseline = Baseline::at(&release()?)?;
    let binary = baseline.build(&mut steps, "dev")?;
    baseline.unpack(&mut steps)?;
    steps.run("its collectors", &mut baseline.cargo(&["xtask", "guests"]))?;
    let mut make = tools::program(Path::new("python3"));
    make.arg("tests/fixtures/make.py").arg(fixtures()).arg(binary);
    make.arg(Baseline::built().join(tools::GUEST_TARGET).join("guest")).arg(Baseline::built().join("guests"));
    steps.run("the fixtures", &mut make)?;
    steps.finish();
    Ok(())
}
