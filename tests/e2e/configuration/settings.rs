//! The configuration: each error is reported with its place and a fix, and the documented examples
//! are valid.
#![expect(clippy::expect_used, reason = "a test that panics has failed, as it should")]

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use pattoo_tests::{Cli, guest, peer, python, unused_address};

/// A component without imports: a collector that collects nothing.
const IDLE: &str = r#"(component
  (core module $guest (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))
  (core instance $instance (instantiate $guest))
  (func (export "collect") (result (result (error string)))
    (canon lift (core func $instance "collect") (memory (core memory $instance "memory")))))"#;
/// A `pattoo.yaml` that does not depend on this machine.
const PATTOO: &str = "main:\n  daemon_directory: data\n";

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A home with a configuration in it.
fn configured(pattoo: &str, ours: &str) -> Cli {
    let cli = Cli::new();
    cli.file("idle.wat", IDLE);
    cli.file("token", "hush\n");
    cli.file("pattoo.yaml", pattoo);
    cli.file("pattoo_wasm.yaml", ours);
    cli
}

/// The whole output of a command about the configuration in the folder where it runs.
fn said(cli: &Cli, arguments: &[&str]) -> String {
    let mut command = cli.command(arguments);
    let output = command.env("PATTOO_CONFIGDIR", ".").env("LC_ALL", "C.UTF-8").output().expect("the command starts");
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stdout));
    let _ = writeln!(said, "exit code {}", output.status.code().expect("it ends by itself"));
    said
}

/// The output about a file of `tests/config`: one whose name begins with `pattoo-` is
/// `pattoo.yaml`, with `grants-` a `--grants` file, with `collectors-` a file in `pattoo_wasm.d`, with
/// `settings-` a `settings_file`, any other `pattoo_wasm.yaml`.
fn said_about(name: &str, text: &str) -> String {
    if name.starts_with("pattoo-") {
        said(&configured(text, "pattoo_wasm: { hostname: gateway-7 }\n"), &["check"])
    } else if name.starts_with("grants-") {
        let cli = Cli::new();
        cli.file("idle.wat", IDLE);
        cli.file("pattoo.yaml", PATTOO);
        cli.file("grants.yaml", text);
        said(&cli, &["run", "idle.wat", "--hostname", "gateway-7", "--grants", "grants.yaml"])
    } else if name.starts_with("collectors-") {
        let main = "pattoo_wasm: { hostname: gateway-7, collectors: [{ program: MAIN, module: idle.wat }] }\n";
        let cli = configured(PATTOO, main);
        further_file(&cli, "further.yaml", text);
        said(&cli, &["check"])
    } else if name.starts_with("settings-") {
        let ours = "pattoo_wasm:
  hostname: gateway-7
  collectors: [{ program: A, module: idle.wat, settings_file: settings.yaml, settings: { count: 3 } }]
";
        let cli = configured(PATTOO, ours);
        cli.file("settings.yaml", text);
        said(&cli, &["check"])
    } else {
        said(&configured(PATTOO, text), &["check"])
    }
}

/// Writes a file below `pattoo_wasm.d`.
fn further_file(cli: &Cli, name: &str, text: &str) {
    let path = Path::new("pattoo_wasm.d").join(name);
    fs::create_dir_all(cli.folder().join(path.parent().expect("a folder"))).expect("a writable folder");
    cli.file(path.to_str().expect("a name"), text);
}

/// With `PATTOO_BLESS=1` the outputs are written instead of compared: read them before you commit
/// them.
#[test]
fn every_invalid_configuration_gets_its_recorded_message() {
    let bless = std::env::var_os("PATTOO_BLESS").is_some();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let mut cases: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 15, "{cases:?}");
    let mut different = Vec::new();
    for case in cases {
        let name = case.file_stem().expect("a name").to_string_lossy().into_owned();
        let said = said_about(&name, &fs::read_to_string(&case).expect("a case"));
        let agreed = case.with_extension("out");
        if bless {
            fs::write(&agreed, &said).expect("a writable folder");
        } else if fs::read_to_string(&agreed).ok().as_deref() != Some(&said) {
            different.push(format!("{name}:\n{said}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

/// The YAML blocks of a page, each with the name of the file that its first line says.
fn examples(page: &str) -> Vec<(String, String)> {
    let page = fs::read_to_string(repository(page)).expect("a page");
    let blocks = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().expect("an end").to_owned());
    let name =
        |block: &str| block.strip_prefix("# ").and_then(|block| block.lines().next()).unwrap_or_default().to_owned();
    blocks.map(|block| (name(&block), block)).collect()
}

#[test]
fn every_documented_example_configuration_is_valid() {
    let mut read = 0;
    let examples = examples("docs/reference/configuration.md");
    for (name, text) in &examples {
        let (ours, file) = if name.starts_with("pattoo_wasm.d/") {
            ("pattoo_wasm: { hostname: h }\n", "")
        } else if name.starts_with("pattoo_agent") {
            ("pattoo_wasm: { hostname: h }\n", name.as_str())
        } else if name.starts_with("pattoo.") {
            ("pattoo_wasm: { hostname: h }\n", "pattoo.yaml")
        } else {
            ("", "pattoo_wasm.yaml")
        };
        let cli = configured(PATTOO, ours);
        if file.is_empty() {
            // The files of the folder name each other.
            let together = examples.iter().filter(|(name, _)| name.starts_with("pattoo_wasm.d/"));
            together.for_each(|(name, text)| further_file(&cli, name.trim_start_matches("pattoo_wasm.d/"), text));
        } else {
            cli.file(file, text);
        }
        let mut command = cli.command(&["check", "--effective"]);
        let command = command.env("PATTOO_CONFIGDIR", ".").env("PATTOO_TOKEN", "t").env("SITE_A_TOKEN", "t");
        let output = command.output().expect("the command starts");
        // If it is valid, its settings are printed, even if files that it names do not exist on
        // this machine.
        assert!(output.stdout.starts_with(b"pattoo:"), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        read += 1;
    }
    assert!(read >= 5, "{read}");
}

/// The errors that jsonschema reports for these texts.
fn validated(texts: &[String]) -> Vec<Vec<String>> {
    use std::{io::Write as _, process::Stdio};
    let schema = repository("docs/reference/pattoo_wasm.schema.json");
    let mut command = Command::new(python());
    command.arg(peer("schema_check.py")).arg(schema).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("python starts");
    let input = serde_json::to_string(texts).expect("texts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("a list of lists")
}

#[test]
fn schema_accepts_documented_examples_and_rejects_other_shapes() {
    let documented: Vec<_> = examples("docs/reference/configuration.md")
        .into_iter()
        .filter(|(_, text)| text.contains("pattoo_wasm:"))
        .map(|(_, text)| text)
        .collect();
    assert!(!documented.is_empty());
    for (text, errors) in documented.iter().zip(validated(&documented)) {
        assert!(errors.is_empty(), "{errors:?}\n{text}");
    }
    let case = |name: &str| fs::read_to_string(repository(&format!("tests/config/{name}.yaml"))).expect("a case");
    let bad: Vec<_> =
        ["unknown_key", "bad_values", "limits", "http_grants", "modbus_grants", "wrong_kinds", "of_pattoo", "secrets"]
            .map(case)
            .into();
    for (text, errors) in bad.iter().zip(validated(&bad)) {
        assert!(!errors.is_empty(), "{text}");
    }
}

#[test]
fn check_compares_a_pinned_digest_with_the_file() {
    let module = guest("lava_script");
    let ours = |digest: &str, grants: &str| {
        format!(
            "pattoo_wasm:\n  server: {{ url: 'http://{}' }}\n  collectors:\n    - program: P\n      module: {}\n      \
             sha256: {digest}\n      grants: {grants}\n",
            unused_address(),
            module.display()
        )
    };
    let wrong = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let said_of_wrong = said(&configured(PATTOO, &ours(wrong, "{}")), &["check"]);
    let right = said_of_wrong.split("write `sha256: ").nth(1).and_then(|rest| rest.split('`').next());
    let right = right.unwrap_or_else(|| panic!("no digest in {said_of_wrong}"));
    assert!(said_of_wrong.contains("exit code 2"), "{said_of_wrong}");
    assert!(said_of_wrong.contains("has no grant of `http`, which its module imports"), "{said_of_wrong}");
    let said_of_right =
        said(&configured(PATTOO, &ours(right, "{ http: [{ origin: 'https://a.example.org' }] }")), &["check"]);
    assert!(said_of_right.contains("exit code 0"), "{said_of_right}");
    assert!(said_of_right.contains("collectors: 1, errors: 0, warnings: 1"), "{said_of_right}");
    assert!(said_of_right.contains("cannot be reached"), "{said_of_right}");
}

#[test]
fn missing_secret_does_not_hide_a_missing_module() {
    let ours = "pattoo_wasm:
  hostname: gateway-7
  server: { url: 'http://127.0.0.1:9', token: { secret: PATTOO_UNSET } }
  collectors: [{ program: P, module: missing.wasm }]
";
    let cli = configured(PATTOO, ours);
    further_file(&cli, "more.yaml", "pattoo_wasm: { collectors: [{ program: Q, module: gone.wasm }] }\n");
    let said = said(&cli, &["check"]);
    for words in [
        "PATTOO_UNSET",
        "missing.wasm: No such file",
        "pattoo_wasm.yaml:4:38",
        "gone.wasm: No such file",
        "pattoo_wasm.d/more.yaml:1:51",
        "exit code 2",
    ] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn configuration_without_an_output_is_a_warning_about_the_output() {
    let said = said(&configured(PATTOO, "pattoo_wasm: { hostname: h }\n"), &["check"]);
    assert!(said.contains("warning: no output is configured") && said.contains("`outputs:`"), "{said}");
}

#[test]
fn error_in_a_very_long_line_is_located_by_line_and_column() {
    let long = "x".repeat(1 << 20);
    for ours in [
        format!("pattoo_wasm: {{ hostname: h, collectors: [], note: {long}, status: 5 }}\n"),
        format!("# {long}\npattoo_wasm: {{ status: 5 }}\n# {long}\n"),
        format!("pattoo_wasm: {{ a: &a {long}, b: [{}] }}\n", "*a, ".repeat(3000)),
    ] {
        let said = said(&configured(PATTOO, &ours), &["check"]);
        assert!(
            said.contains("exit code 2") && said.contains("pattoo_wasm.yaml:"),
            "{}",
            said.get(..500).unwrap_or(&said)
        );
        assert!(said.len() < 5000, "{} bytes", said.len());
    }
}

#[test]
fn printed_effective_settings_contain_no_secret() {
    let ours =
        "pattoo_wasm:\n  hostname: gateway-7\n  server: { url: 'http://127.0.0.1:9', token: { secret_file: token } }\n";
    let said = said(&configured(PATTOO, ours), &["check", "--effective"]);
    assert!(said.contains("secret_file: ./token") && said.contains("hostname: gateway-7"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}

#[test]
fn command_line_and_file_have_the_same_limits() {
    let cli = Cli::new();
    cli.file("idle.wat", IDLE);
    let run = |limit: &str| cli.run(&["run", "idle.wat", "--limit", limit]);
    assert_eq!(run("datapoints=20000").code, Some(0));
    for (limit, words) in [
        ("datapoint=1", "did you mean `datapoints`?"),
        ("datapoints", "NAME=VALUE"),
        ("memory=1KiB", "64KiB to 4GiB"),
        ("timeout=5", "a duration such as 5s"),
    ] {
        let run = run(limit);
        assert!(run.code == Some(2) && run.stderr.contains(words), "{limit}: {run:#?}");
    }
}
