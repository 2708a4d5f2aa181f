//! The guides for collectors, followed literally: their files are written and their commands run in
//! a folder beside the checkout, as they say.
//!
//! Commands that install tools are left out, since `cargo xtask test` installed them, or replaced
//! by ones without the network. Ports are replaced, so that guides can be followed at the same
//! time.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may do what tests may do")]

use std::{
    env,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use pattoo_tests::{binary, pattoo_records, station, station_folder, unused_address};
use serde_json::{Value, json};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// A file or a list of commands that a page shows.
enum Step<'a> {
    File(&'a str, &'a str),
    Commands(&'a str),
}

/// The steps of a page, in their order. A block is a file if the line before it is only a name in
/// backticks and a colon.
fn steps(page: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = page;
    while let Some((before, block)) = rest.split_once("\n```") {
        let (language, block) = block.split_once('\n').expect("a block has lines");
        let (text, after) = block.split_once("\n```").expect("a block ends");
        let named = before.trim_end().rsplit('\n').next().and_then(|line| line.strip_prefix('`')?.strip_suffix("`:"));
        match (named, language) {
            (Some(name), _) => steps.push(Step::File(name, text)),
            (None, "sh") => steps.push(Step::Commands(text)),
            _ => {}
        }
        rest = after;
    }
    steps
}

/// Each background job is a process group, which is killed as one.
const PROLOGUE: &str = "set -eum\ntrap 'for group in $(jobs -p); do kill -- -$group; done' EXIT\n";

const INSTALLERS: [&str; 4] = ["apt install", "pip install", "npm install", "rustup target add"];

/// Follows a page and returns the payload that its last command printed. `tools` are folders of
/// programs that the page installs, and `install` is a command that replaces its installer.
fn follow(page: &str, tools: &[PathBuf], install: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository(), folder.path().join("pattoo-wasm")).unwrap();
    let (device, site) = (unused_address().port(), unused_address().port());
    let mut script = String::from(PROLOGUE);
    let mut commands = 0_u32;
    let steps = steps(page);
    for step in &steps {
        match step {
            Step::File(name, text) => writeln!(script, "cat > {name} <<'END OF FILE'\n{text}\nEND OF FILE").unwrap(),
            Step::Commands(text) if INSTALLERS.iter().any(|installer| text.contains(installer)) => {
                writeln!(script, "{install}").unwrap();
            }
            Step::Commands(text) => {
                commands = commands.saturating_add(1);
                writeln!(script, "{{ {text}\n}} > output").unwrap();
                // A person is slow enough; a script must wait until the simulated peers listen.
                if text.contains("simulate") {
                    for port in [device, site] {
                        writeln!(script, "until (: < /dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done")
                            .unwrap();
                    }
                }
            }
        }
    }
    assert!(commands >= 4, "{script}");
    script.push_str("cat output\n");
    let script = script.replace("1502", &device.to_string()).replace("8001", &site.to_string());
    let path = tools.iter().cloned().chain([binary().parent().unwrap().to_owned()]);
    let path = env::join_paths(path.chain(env::split_paths(&env::var_os("PATH").unwrap()))).unwrap();
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("HOME", folder.path())
        // Nothing is downloaded: the workspace's dependencies are in the cache already.
        .envs([("CARGO_HOME", home("CARGO_HOME", ".cargo")), ("RUSTUP_HOME", home("RUSTUP_HOME", ".rustup"))])
        .envs([("CARGO_NET_OFFLINE", "true"), ("npm_config_offline", "true"), ("npm_config_update_notifier", "false")])
        .envs([("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", "")])
        .env_remove("PATTOO_CONFIGDIR")
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("RUSTFLAGS")
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}\n{}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the last command prints a body")
}

/// A folder of Rust's tools: the value of a variable, or a folder in the home of the user who runs
/// the tests.
fn home(variable: &str, usual: &str) -> PathBuf {
    let elsewhere = || Path::new(&env::var_os("HOME").unwrap_or_default()).join(usual);
    env::var_os(variable).map_or_else(elsewhere, PathBuf::from)
}

/// Asserts that a guide collects the datapoints that all these guides collect.
fn assert_boiler(page: &str, tools: &[PathBuf], install: &str) {
    let read =
        |record: &Value| json!([record["agent_polled_target"], record["key"], record["value"], record["metadata"]]);
    let records: Vec<Value> = pattoo_records(&follow(page, tools, install)).iter().map(read).collect();
    let metadata = json!([["sensor", "flow"], ["unit", "Cel"]]);
    assert_eq!(records, [json!(["boiler1", "temperature", 84.5, metadata]), json!(["market", "gas_price", 0.5, []])]);
}

#[test]
fn rust_guide_leads_to_a_working_collector() {
    assert_boiler(include_str!("../../../docs/guests/rust.md"), &[], "");
}

#[test]
fn python_guide_leads_to_a_working_collector() {
    if station("python").is_some() {
        assert_boiler(include_str!("../../../docs/guests/python.md"), &[tools("python/bin")], "");
    }
}

/// What `npm install` leaves in a project, out of the packages that built the stations.
const NPM_INSTALL: &str = "mkdir -p node_modules/.bin
ln -s \"$PACKAGES\"/* node_modules/
ln -s \"$PACKAGES\"/.bin/* node_modules/.bin/
ln -s ../pattoo node_modules/pattoo
chmod +x pattoo/bin/pattoo-build.js
ln -s ../pattoo/bin/pattoo-build.js node_modules/.bin/pattoo-build";

#[test]
fn javascript_guide_leads_to_working_collectors_in_javascript_and_typescript() {
    if station("javascript").is_some() {
        let page = include_str!("../../../docs/guests/javascript.md");
        let packages = tools("javascript/node_modules").canonicalize().unwrap();
        let install = format!("PACKAGES='{}'\n{NPM_INSTALL}", packages.display());
        // The page ends with TypeScript; the part before that is a guide of its own.
        let (javascript, _) = page.split_once("\n## TypeScript\n").expect("a section");
        assert_boiler(javascript, &[], &install);
        assert_boiler(page, &[], &install);
    }
}

#[test]
fn c_guide_leads_to_a_working_collector() {
    if Path::new("/usr/include/wasm32-wasi").exists() {
        assert_boiler(include_str!("../../../docs/guests/c.md"), &[], "");
    }
}

#[test]
fn go_guide_leads_to_a_working_collector() {
    if station("go").is_some() {
        assert_boiler(include_str!("../../../docs/guests/go.md"), &[tools("python/bin")], "");
    }
}

#[test]
fn cpp_guide_leads_to_a_working_collector() {
    if station("cpp").is_some() {
        assert_boiler(include_str!("../../../docs/guests/cpp.md"), &[], "");
    }
}

#[test]
fn zig_guide_leads_to_a_working_collector() {
    if station("zig").is_some() {
        assert_boiler(include_str!("../../../docs/guests/zig.md"), &[tools("python/bin")], "");
    }
}

#[test]
fn assemblyscript_guide_leads_to_a_working_collector() {
    if station("assemblyscript").is_some() {
        assert_boiler(
            include_str!("../../../docs/guests/assemblyscript.md"),
            &[tools("assemblyscript/node_modules/.bin")],
            "",
        );
    }
}

/// The folder into which `cargo xtask guests` installs the tools of a language; without them its
/// station was not built.
fn tools(folder: &str) -> PathBuf {
    station_folder().join("../tools").join(folder)
}
