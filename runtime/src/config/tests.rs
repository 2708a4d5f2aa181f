use std::{fs, path::Path, time::Duration};

use pattoo_settings::{ConfigError, Form, Key, Kind, Place};
use proptest::prelude::*;
use tempfile::TempDir;
use tracing::level_filters::LevelFilter;

use super::{CollectorLimits, ConfigDirectory, Configuration, Loaded, forms, health_section, known_limits};

/// A configuration directory of these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn load(files: &[(&str, &str)]) -> Result<Configuration, ConfigError> {
    let folder = directory(files);
    Configuration::load(&ConfigDirectory::at(folder.path()))
}

fn refusal(ours: &str) -> String {
    load(&[PATTOO, ("pattoo_wasm.yaml", ours)]).unwrap_err().to_string()
}

const PATTOO: (&str, &str) = ("pattoo.yaml", "main: { daemon_directory: /d }\n");
/// Without looking up a name.
const NOTHING: (&str, &str) = ("pattoo_wasm.yaml", "pattoo_wasm: { hostname: h }\n");

/// The URL of the pattoo server.
fn server(configuration: &Configuration) -> String {
    let output = configuration.outputs.first().unwrap();
    assert_eq!(output.name.as_str(), "pattoo");
    output.output.settings().place()
}

#[test]
fn documented_shape_of_pattoo_yaml_is_read() {
    let text = "main:\n  log_directory: /l\n  daemon_directory: /d\npolling:\n  polling_interval: 20\n  ip_address: \
                192.0.2.5\n  ip_bind_port: 20202\nother_program: { x: [1, y] }\n";
    let ours = "pattoo_wasm: { hostname: h, collectors: [{ program: P, module: m.wasm }] }\n";
    let configuration = load(&[("pattoo.yaml", text), ("pattoo_wasm.yaml", ours)]).unwrap();
    assert_eq!(configuration.directories.daemon.root(), Path::new("/d"));
    assert_eq!(configuration.directories.log.as_deref(), Some(Path::new("/l")));
    assert_eq!(server(&configuration), "http://192.0.2.5:20202");
    assert_eq!(configuration.collectors[0].polling_interval.seconds(), 20);
}

#[test]
fn shape_of_pattoo_shared_is_read() {
    let text = "pattoo:\n  log_directory: /l\n  log_level: WARNING\n  cache_directory: /c\n  daemon_directory: /d\n  \
                system_daemon_directory: /run\n  language: en\n";
    let agent = "pattoo_agent_api:\n  ip_address: 2001:db8::5\n  ip_bind_port: '20201'\n";
    let configuration = load(&[("pattoo.yaml", text), ("pattoo_agent.yaml", agent), NOTHING]).unwrap();
    assert_eq!(configuration.directories.daemon.root(), Path::new("/d"));
    assert_eq!(configuration.directories.cache.as_deref(), Some(Path::new("/c")));
    assert_eq!(configuration.log_level, LevelFilter::WARN);
    assert_eq!(server(&configuration), "http://[2001:db8::5]:20201");
}

#[test]
fn our_file_takes_precedence_over_pattoos_and_the_shape_of_pattoo_shared_over_the_documented_one() {
    let pattoo = "pattoo: { daemon_directory: /d2 }\npattoo_agent_api: { ip_address: two }\nmain: { daemon_directory: \
                  /d3, log_directory: /l3 }\npolling: { ip_address: three, ip_bind_port: 3, polling_interval: 33 }\n";
    let agent = "pattoo_agent_api: { ip_address: one }\n";
    let url = |files: &[_]| server(&load(files).unwrap());
    assert_eq!(url(&[("pattoo.yaml", pattoo), ("pattoo_agent.yaml", agent), NOTHING]), "http://one:3");
    assert_eq!(url(&[("pattoo.yaml", pattoo), NOTHING]), "http://two:3");
    let ours = "pattoo_wasm:\n  hostname: h\n  server: { url: 'https://four' }\n  collectors:\n    - { program: A, module: a, \
                polling_interval: 4 }\n    - { program: B, module: b }\n";
    let configuration = load(&[("pattoo.yaml", pattoo), ("pattoo_wasm.yaml", ours)]).unwrap();
    assert_eq!(server(&configuration), "https://four");
    assert_eq!(configuration.directories.daemon.root(), Path::new("/d2"));
    assert_eq!(configuration.directories.log.as_deref(), Some(Path::new("/l3")));
    let intervals: Vec<_> = configuration.collectors.iter().map(|one| one.polling_interval.seconds()).collect();
    assert_eq!(intervals, [4, 33]);
}

#[test]
fn missing_keys_have_their_defaults() {
    let configuration = load(&[PATTOO, ("pattoo_wasm.yaml", "pattoo_wasm:\n")]).unwrap_err().to_string();
    assert!(configuration.contains("`pattoo_wasm` is missing"), "{configuration}");
    let configuration = load(&[PATTOO, NOTHING]).unwrap();
    assert_eq!(configuration.outputs, []);
    assert_eq!(configuration.log_level, LevelFilter::INFO);
    assert_eq!(configuration.status.unwrap().to_string(), "127.0.0.1:20203");
    assert_eq!((configuration.concurrent, configuration.spool.bytes), (256, 1 << 30));
    assert_eq!(configuration.spool.age, Duration::from_hours(720));
    assert!(configuration.collectors.is_empty());
}

#[test]
fn all_keys_of_a_collector_are_read() {
    let folder = directory(&[PATTOO]);
    let ours = "
pattoo_wasm:
  hostname: gateway-7
  server: { url: 'https://pattoo.example.org', token: { secret_file: token } }
  status: none
  concurrent: 8
  spool: { size: 64MiB, age: 2d }
  collectors:
    - program: LAVA_SCRIPT
      module: collectors/lava_script.wasm
      sha256: 9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08
      polling_interval: 20
      settings: { tickers: [ABC, DEF], count: 3, note: '3', nothing: ~ }
      limits: { timeout: 5s, memory: 128MiB, datapoints: 20000, response_bytes: 1MiB, redirects: 0 }
      grants:
        http:
          - origin: https://site-a.example.org
            methods: [GET, POST]
            paths: [/v1/]
            headers: { authorization: { secret_file: token } }
        modbus:
          plc1: { url: 'tcp://192.0.2.10:502', unit: 1, holding: ['0-99'], gap: 4 }
";
    fs::write(folder.path().join("pattoo_wasm.yaml"), ours).unwrap();
    fs::write(folder.path().join("token"), "hush\n").unwrap();
    let configuration = Configuration::load(&ConfigDirectory::at(folder.path())).unwrap();
    assert!(configuration.outputs.iter().any(|output| !output.output.settings().secrets().is_empty()));
    assert_eq!((configuration.status, configuration.concurrent), (None, 8));
    assert_eq!((configuration.spool.bytes, configuration.spool.age), (64 << 20, Duration::from_hours(48)));
    let [collector] = &configuration.collectors[..] else { panic!("one collector") };
    assert_eq!(collector.program.as_str(), "LAVA_SCRIPT");
    assert_eq!(collector.module, folder.path().join("collectors/lava_script.wasm"));
    assert!(collector.sha256.unwrap().to_string().starts_with("9f86d081"));
    assert_eq!(collector.settings, r#"{"tickers":["ABC","DEF"],"count":3,"note":"3","nothing":null}"#);
    assert_eq!(collector.limits.collection.timeout, Duration::from_secs(5));
    assert_eq!((collector.limits.collection.memory, collector.limits.collection.datapoints.count), (128 << 20, 20_000));
    let fetch = collector.limits.collection.http.fetch;
    assert_eq!((fetch.response_bytes, fetch.redirects), (1 << 20, 0));
    assert_eq!((collector.grants.http.len(), collector.grants.modbus[0].settings.gap), (1, 4));
    assert!(!format!("{configuration:?}").contains("hush"));
}

#[test]
fn configurations_that_mean_the_same_are_equal() {
    let one = "pattoo_wasm: { hostname: h, collectors: [{ program: P, module: m, limits: { timeout: 10s } }] }\n";
    let other = "# other\npattoo_wasm:\n  collectors:\n    - module: m\n      program: \"P\"\n  hostname: h\n";
    let folder = directory(&[PATTOO]);
    let load = |text| {
        fs::write(folder.path().join("pattoo_wasm.yaml"), text).unwrap();
        Configuration::load(&ConfigDirectory::at(folder.path())).unwrap()
    };
    assert_eq!(load(one), load(other));
    assert_ne!(load(one), load(&other.replace("m\n", "n\n")));
}

#[test]
fn reload_with_another_directory_of_data_keeps_everything_in_that_of_the_start() {
    let ours = "pattoo_wasm: { outputs: { archive: { type: file, path: values.jsonl } }, concurrent: 9 }\n";
    let folder = directory(&[("pattoo_wasm.yaml", ours)]);
    let at = |name: &str| folder.path().join(name);
    for (data, name) in [("one", "first.example.org"), ("two", "second.example.org")] {
        fs::create_dir_all(at(data).join("pattoo_wasm")).unwrap();
        fs::write(at(data).join("pattoo_wasm/hostname"), name).unwrap();
    }
    let pattoo = |data: &str| {
        fs::write(at("pattoo.yaml"), format!("main: {{ daemon_directory: {} }}\n", at(data).display())).unwrap();
    };
    pattoo("one");
    let files = ConfigDirectory::at(folder.path());
    let started = Configuration::load(&files).unwrap();
    let (again, differ) = Loaded::load_again(&files, &started).unwrap();
    assert_eq!((again.configuration, differ), (started.clone(), vec![]));
    let before = Loaded::load(&files).unwrap().digest();
    assert_eq!(Loaded::load(&files).unwrap().digest(), before);
    pattoo("two");
    fs::write(at("pattoo_wasm.yaml"), ours.replace("concurrent: 9", "concurrent: 7")).unwrap();
    let (loaded, differ) = Loaded::load_again(&files, &started).unwrap();
    assert_ne!(loaded.digest(), before, "the files differ");
    let again = loaded.configuration;
    assert_eq!(differ, ["concurrent", "daemon_directory"]);
    assert_eq!(again, started, "the host name and the paths of outputs are those of the first directory");
    assert_eq!(again.hostname.as_str(), "first.example.org");
    let change = again.change_of_name().unwrap();
    assert!(change.help.contains(&at("one/pattoo_wasm/hostname").display().to_string()), "{}", change.help);
}

#[test]
fn program_that_is_named_twice_is_refused() {
    let ours = "pattoo_wasm:\n  collectors:\n    - { program: A, module: a }\n    - { program: A, module: b }\n";
    assert!(refusal(ours).contains("pattoo_wasm.yaml:4:18: the program `A` is named twice"), "{}", refusal(ours));
}

#[test]
fn errors_of_all_files_are_reported_at_once() {
    let pattoo = "main: { log_directory: /l, log_level: loud }\n";
    let ours = "pattoo_wasm:\n  hostnam: h\n  collectors:\n    - { program: a/b, modul: m }\n";
    let error = load(&[("pattoo.yaml", pattoo), ("pattoo_wasm.yaml", ours)]).unwrap_err();
    let said: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    for (file, what) in [
        ("pattoo.yaml:1:1: ", "`daemon_directory` is set neither"),
        ("pattoo.yaml:1:39: ", "found `loud`"),
        ("pattoo_wasm.yaml:2:3: ", "`hostnam` is not a key"),
        ("pattoo_wasm.yaml:4:18: ", "a/b"),
        ("pattoo_wasm.yaml:4:23: ", "`modul` is not a key"),
        ("pattoo_wasm.yaml:4:", "`module` is missing"),
    ] {
        assert!(said.iter().any(|said| said.contains(file) && said.contains(what)), "{file}{what} in {said:#?}");
    }
    let help: Vec<_> = error.problems().iter().map(|problem| problem.help.as_str()).collect();
    assert!(help.iter().any(|help| help.contains("did you mean `hostname`?")), "{help:#?}");
    assert!(help.iter().all(|help| !help.is_empty()), "{help:#?}");
}

#[test]
fn unknown_keys_are_ignored_only_in_pattoos_files() {
    let pattoo = "main: { daemon_directory: /d, other: [1] }\nmain2: !x 3\n";
    assert!(load(&[("pattoo.yaml", pattoo), NOTHING]).is_err(), "PyYAML does not support the tag either");
    let pattoo = "main: { daemon_directory: /d, other: [1] }\nmain2: 3\nmain2: 4\n";
    assert!(load(&[("pattoo.yaml", pattoo), NOTHING]).is_ok());
    assert!(refusal("pattoo_wasm: { hostname: h }\nother: 3\n").contains("`other` is not a key of pattoo_wasm.yaml"));
    assert!(refusal("pattoo_wasm: { hostname: h, hostname: i }\n").contains("`hostname` is given twice"));
}

#[test]
fn missing_file_is_named() {
    assert!(load(&[]).unwrap_err().to_string().contains("pattoo.yaml: No such file"));
    assert!(load(&[PATTOO]).unwrap_err().to_string().contains("pattoo_wasm.yaml: No such file"));
}

/// Text that is almost a configuration: words of our own format, in any order and nesting.
fn near_misses() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(vec![
            "pattoo_wasm: ",
            "collectors: ",
            "program: ",
            "module: ",
            "limits: ",
            "grants: ",
            "http: ",
            "modbus: ",
            "origin: ",
            "headers: ",
            "url: ",
            "unit: ",
            "holding: ",
            "spool: ",
            "server: ",
            "token: ",
            "secret: ",
            "settings: ",
            "status: ",
            "timeout: ",
            "<<: ",
            "\n",
            "\n  ",
            "\n    ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            ", ",
            "&a ",
            "*a ",
            "5s",
            "64MiB",
            "P",
            "~",
            "1e9",
            "https://a.example.org",
            "tcp://192.0.2.1",
            "0-99",
            "'",
            "\"",
            "|\n",
            ".inf",
            "!!str ",
            "ä",
            "\u{feff}",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,4}",
    ];
    prop::collection::vec(word, 0..30).prop_map(|words| format!("pattoo_wasm:\n  hostname: h\n{}", words.concat()))
}

proptest! {
    #[test]
    fn any_text_is_a_configuration_or_errors_with_places(text in prop_oneof![near_misses(), any::<String>()]) {
        if let Err(error) = load(&[PATTOO, ("pattoo_wasm.yaml", &text)]) {
            prop_assert!(!error.problems().is_empty());
            for problem in error.problems() {
                let Place { file, span } = problem.place.as_ref().expect("a place");
                prop_assert!(file.text.get(span.clone()).is_some(), "{:?}", problem);
                prop_assert!(!problem.what.is_empty() && !problem.help.is_empty(), "{:?}", problem);
            }
        }
    }
}

#[test]
fn effective_settings_are_an_equal_configuration_without_secrets() {
    let pattoo =
        "main: { daemon_directory: /d, log_directory: /l }\npolling: { polling_interval: 30, ip_address: a.example }\n";
    let ours = "
pattoo_wasm:
  hostname: gateway-7
  base: &base { timeout: 5s }
  collectors:
    - program: P
      module: /m.wasm
      settings: { note: '3', list: [1, 2.5, ~] }
      limits: { memory: 128MiB }
      grants:
        http: [{ origin: https://site-a.example.org, headers: { authorization: { secret_file: /TOKEN } } }]
        modbus: { plc1: { url: 'tcp://192.0.2.10:502', holding: ['0-99', 200], gap: 4 } }
    - { program: '007', module: /n.wasm, polling_interval: 60 }
";
    let folder = directory(&[("pattoo.yaml", pattoo), ("token", "hush")]);
    let token = folder.path().join("token").display().to_string();
    let ours = ours.replace("/TOKEN", &token).replace("  base: &base { timeout: 5s }\n", "");
    fs::write(folder.path().join("pattoo_wasm.yaml"), ours).unwrap();
    let loaded = Loaded::load(&ConfigDirectory::at(folder.path())).unwrap();
    let effective = loaded.effective();
    assert!(!effective.contains("hush") && effective.contains(&token), "{effective}");
    assert!(effective.contains("memory: 128MiB") && effective.contains("timeout: 10s"), "{effective}");
    let ours = effective.split_once("pattoo_wasm:").unwrap().1;
    let pattoo = effective.replace(ours, "").replace("pattoo_wasm:", "");
    let again = directory(&[("pattoo.yaml", &pattoo), ("pattoo_wasm.yaml", &format!("pattoo_wasm:{ours}"))]);
    let again =
        Configuration::load(&ConfigDirectory::at(again.path())).unwrap_or_else(|error| panic!("{error}\n{effective}"));
    assert_eq!(again, loaded.configuration);
}

/// A file of the repository, from its root.
fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn committed_schema_is_the_printed_one() {
    let path = repository("docs/reference/pattoo_wasm.schema.json");
    if std::env::var_os("PATTOO_BLESS").is_some() {
        fs::write(&path, format!("{:#}\n", super::schema())).unwrap();
    }
    let committed = fs::read_to_string(path).unwrap();
    let help = "pattoo-wasm check --schema > docs/reference/pattoo_wasm.schema.json";
    assert!(committed == format!("{:#}\n", super::schema()), "write it again: {help}");
}

/// What the reference says of a key, as a row of a table.
fn row(key: &Key) -> String {
    let default = match (key.required, key.default.as_ref()) {
        (true, _) => "required".to_owned(),
        (false, "") => "–".to_owned(),
        (false, default) => format!("`{default}`"),
    };
    format!("| `{}` | {} | {default} | {} |", key.name, key.kind.words(), key.doc)
}

/// The forms that a key leads to.
fn below(kind: Kind) -> Vec<Form> {
    match kind {
        Kind::List(kind) => below(*kind),
        Kind::Form(form) | Kind::Named(form) => {
            let mut forms: Vec<_> = form().keys.iter().flat_map(|key| below(key.kind)).collect();
            forms.push(form());
            forms
        }
        _ => Vec::new(),
    }
}

#[test]
fn reference_has_every_key() {
    let page = fs::read_to_string(repository("docs/reference/configuration.md")).unwrap();
    let mut missing = Vec::new();
    let forms = [
        forms::pattoo_wasm(),
        pattoo_output::pattoo::form(),
        pattoo_output::file::form(),
        forms::spool(),
        forms::log(),
        health_section::form(),
        forms::collector(),
        forms::grants(),
        forms::directories(),
        forms::polling(),
    ];
    let granted = forms::grants().keys.iter().flat_map(|key| below(key.kind)).collect::<Vec<_>>();
    assert!(granted.iter().any(|form| form.what == "a web origin"), "the capabilities' own forms are among them");
    for form in forms.into_iter().chain(granted) {
        let rows: Vec<_> = form.keys.iter().map(row).collect();
        if rows.iter().any(|row| !page.lines().any(|line| line == row)) {
            missing.push(format!(
                "{}:\n| key | what it holds | default | |\n|---|---|---|---|\n{}\n",
                form.what,
                rows.join("\n")
            ));
        }
    }
    assert!(missing.is_empty(), "these tables are not in the page as they should be:\n\n{}", missing.join("\n"));
}

#[test]
fn reference_has_every_limit_with_its_default_and_range() {
    let page = fs::read_to_string(repository("docs/reference/limits.md")).unwrap();
    let missing: Vec<_> = known_limits()
        .map(|limit| {
            let default = limit.show(&CollectorLimits::default());
            let (least, most) = (limit.unit.show(limit.min), limit.unit.show(limit.max));
            format!("| `{}` | {} | {default} | {least} to {most} | ", limit.name, limit.doc)
        })
        .filter(|row| !page.lines().any(|line| line.starts_with(row.as_str())))
        .collect();
    assert!(missing.is_empty(), "these rows are not in the page as they should be:\n{}", missing.join("\n"));
}
