//! `pattoo-wasm inspect`: the capabilities of a module, and the requests of one collection.
#![expect(clippy::unwrap_used, reason = "helpers of tests may do what tests may do")]

use std::path::Path;

use pattoo_tests::{
    Cli, Finished, IDLE, RawSite, assert_refused, assert_says, guest, http_ok, http_redirect, modbus_device,
};
use serde_json::{Value, json};

fn inspect(cli: &Cli, module: &Path, more: &[&str]) -> Finished {
    let module = module.display().to_string();
    cli.run(&["inspect", &module].into_iter().chain(more.iter().copied()).collect::<Vec<_>>())
}

/// The report in JSON.
#[track_caller]
fn report(cli: &Cli, module: &Path, more: &[&str]) -> Value {
    let run = inspect(cli, module, &more.iter().copied().chain(["--json"]).collect::<Vec<_>>());
    assert_eq!(run.code, Some(0), "{run:#?}");
    run.body()
}

/// The imports by which a module reaches a capability.
fn ways(report: &Value, what: &str) -> Vec<String> {
    let powers = report["could"].as_array().unwrap();
    let power = powers.iter().find(|power| power["what"] == what).unwrap();
    power["by"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

#[test]
fn inspect_shows_that_only_imported_capabilities_can_be_used() {
    let cli = Cli::new();
    let idle = report(&cli, &cli.file("idle.wat", IDLE), &[]);
    for what in ["web", "modbus", "pattoo", "state", "log"] {
        assert_eq!(ways(&idle, what), [""; 0], "{what}");
    }
    let lava = report(&cli, &guest("lava_script"), &[]);
    assert_eq!(ways(&lava, "web"), ["pattoo:agent/http@0.1.0"]);
    assert_eq!(ways(&lava, "modbus"), [""; 0]);
    let wasi = report(&cli, &guest("wasi_web"), &[]);
    assert!(matches!(ways(&wasi, "web").as_slice(), [way] if way.starts_with("wasi:http/outgoing-handler@0.2.")));
    let page = inspect(&cli, &guest("lava_script"), &[]).stdout;
    for words in [
        "web     fetches from the web origins that are granted (pattoo:agent/http@0.1.0)",
        "modbus  nothing, whatever you grant: it does not import `pattoo:agent/modbus`",
        "wasi:cli/environment@0.2.",
        "the environment and the arguments: there are none",
    ] {
        assert!(page.contains(words), "{words:?} is not in {page}");
    }
}

#[test]
fn inspect_shows_kind_size_and_digest_of_the_file() {
    let cli = Cli::new();
    let module = guest("counter");
    let bytes = std::fs::read(&module).unwrap();
    let first = report(&cli, &module, &[]);
    assert_eq!((&first["kind"], &first["size"]), (&json!("component"), &json!(bytes.len())));
    let sum = std::process::Command::new("sha256sum").arg(&module).output().unwrap().stdout;
    assert_eq!(first["sha256"].as_str().unwrap(), String::from_utf8_lossy(&sum).split(' ').next().unwrap());
    assert_eq!(first["compilation"]["cached"], false);
    assert_eq!(report(&cli, &module, &[])["compilation"]["cached"], true);
    assert_eq!(first["exports"], json!(["collect"]));

    let core = r#"(module (memory (export "memory") 1) (func (export "collect") (result i32) i32.const 0))"#;
    assert_eq!(report(&cli, &cli.file("core.wat", core), &[])["kind"], "core-module");
    let page = inspect(&cli, &module, &[]).stdout;
    assert!(page.contains("read from the cache"), "{page}");
}

#[test]
fn inspect_refuses_a_module_with_the_message_of_run() {
    let cli = Cli::new();
    let foreign = IDLE.replace("(component", r#"(component (import "wasi:http/types@0.3.0" (instance))"#);
    let run = inspect(&cli, &cli.file("foreign.wat", foreign), &[]);
    assert_refused(&run, 2, &["wasi:http/types@0.3.0", "does not provide", "0.2.0 and later, not 0.3"]);
    let nothing = inspect(&cli, Path::new("nothing.wasm"), &[]);
    assert_refused(&nothing, 2, &["nothing.wasm"]);
}

/// One collection with the printed grant: `run` with it.
fn run_with(cli: &Cli, module: &Path, grants: &str, settings: &str) -> Finished {
    cli.file("printed.yaml", grants);
    let module = module.display().to_string();
    cli.run(&["run", &module, "--settings", settings, "--grants", "printed.yaml"])
}

#[test]
fn printed_web_grant_is_sufficient_and_minimal() {
    let cli = Cli::new();
    let other = RawSite::answering(|_| http_ok(r#"{"B": 2}"#));
    let there = other.origin();
    let site = RawSite::answering(move |path| match path {
        "/v1/away" => http_redirect(302, &format!("{there}/v2/b")),
        _ => http_ok(r#"{"A": 1}"#),
    });
    let sources = json!({"sources": [
        {"target": "A", "url": format!("{}/v1/a?token=in-the-query", site.origin()), "keys": ["A"]},
        {"target": "B", "url": format!("{}/v1/away", site.origin()), "keys": ["B"]},
    ]});
    cli.file("settings.json", sources.to_string());
    let module = guest("lava_script");

    // Without grants nothing is reached, and the report lists the requests.
    let first = report(&cli, &module, &["--run", "--settings", "settings.json"]);
    assert_eq!(site.seen().len() + other.seen().len(), 0);
    assert_eq!(first["run"]["completed"], false);
    let grants = first["run"]["grants"].as_str().unwrap().to_owned();
    assert!(!grants.contains("in-the-query"), "{grants}");
    cli.file("first.yaml", &grants);

    // With that grant the collection reaches the redirect.
    let second = report(&cli, &module, &["--run", "--settings", "settings.json", "--grants", "first.yaml"]);
    let denied = json!({"what": format!("GET {}/v2/b", other.origin()), "granted": false});
    assert!(second["run"]["asked"].as_array().unwrap().contains(&denied), "{second:#}");
    assert_eq!(other.seen().len(), 0);
    let grants = second["run"]["grants"].as_str().unwrap().to_owned();

    let run = run_with(&cli, &module, &grants, "settings.json");
    assert_eq!(run.code, Some(0), "{grants}\n{run:#?}");
    // The grant is stable.
    cli.file("second.yaml", &grants);
    let third = report(&cli, &module, &["--run", "--settings", "settings.json", "--grants", "second.yaml"]);
    assert_eq!(third["run"]["grants"], json!(grants));
    assert_eq!(third["run"]["completed"], true);

    for (path, less) in [("\"/v1/a\"", "\"/v1/b\""), ("\"/v2/b\"", "\"/v2/b/c\""), ("[\"GET\"]", "[\"POST\"]")] {
        let narrower = grants.replacen(path, less, 1);
        assert_ne!(narrower, grants);
        let run = run_with(&cli, &module, &narrower, "settings.json");
        assert_eq!(run.code, Some(3), "{narrower}\n{run:#?}");
        assert_says(&run, &["is not granted"]);
    }
}

#[test]
fn printed_modbus_grant_is_sufficient_and_minimal() {
    let tables =
        json!({"1": {"holding": {"0": [1, 2, 3, 4]}, "input": {"0": [9, 8]}}, "7": {"holding": {"0": [5, 6]}}});
    let device = modbus_device(&tables);
    let cli = Cli::new();
    let settings = json!({"spans": [
        {"device": "plc1", "table": "holding", "address": 0, "count": 2},
        {"device": "plc1", "table": "holding", "address": 3, "count": 1},
        {"device": "plc1", "table": "input", "address": 1, "count": 1},
        {"device": "plc1", "unit": 7, "table": "holding", "address": 0, "count": 1},
    ]});
    cli.file("settings.json", settings.to_string());
    let module = guest("modbus_registers");

    // A device without a grant has no address yet.
    let unknown = report(&cli, &module, &["--run", "--settings", "settings.json"]);
    let grants = unknown["run"]["grants"].as_str().unwrap().to_owned();
    assert!(grants.contains("tcp://HOST:502"), "{grants}");
    let placed = grants.replace("tcp://HOST:502", &format!("tcp://{}", device.address()));
    let run = run_with(&cli, &module, &placed, "settings.json");
    assert_eq!(run.code, Some(0), "{placed}\n{run:#?}");

    // A wide grant is narrowed to what was read.
    let wide = json!({"modbus": {"plc1": {
        "url": format!("tcp://{}", device.address()), "units": [1, 7, 9], "request_timeout": "700ms",
    }}});
    cli.file("wide.json", wide.to_string());
    let seen = report(&cli, &module, &["--run", "--settings", "settings.json", "--grants", "wide.json"]);
    let grants = seen["run"]["grants"].as_str().unwrap().to_owned();
    for line in [
        "units: [1, 7]    # each of them gets all of the following",
        "holding: [\"0-1\", \"3\"]",
        "input: [\"1\"]",
        "request_timeout: 700ms",
    ] {
        assert!(grants.contains(line), "{line} is not in {grants}");
    }
    let run = run_with(&cli, &module, &grants, "settings.json");
    assert_eq!(run.code, Some(0), "{grants}\n{run:#?}");
    for (part, less) in
        [("\"0-1\"", "\"0\""), ("\"3\"", "\"2\""), ("input: [\"1\"]", "input: [\"0\"]"), ("[1, 7]", "[1]")]
    {
        let narrower = grants.replacen(part, less, 1);
        assert_ne!(narrower, grants);
        let run = run_with(&cli, &module, &narrower, "settings.json");
        assert_says(&run, &["is not granted"]);
    }
}

#[test]
fn printed_grant_names_a_secret_and_never_shows_it() {
    let site = RawSite::saying(r#"{"A": 1}"#);
    let cli = Cli::new();
    cli.file("token", "s3cr3t-value");
    let grants = json!({"http": [{"origin": site.origin(), "headers": {"x-token": {"secret_file": "token"}}}]});
    cli.file("grants.json", grants.to_string());
    let sources = json!({"sources": [{"target": "A", "url": format!("{}/a", site.origin()), "keys": ["A"]}]});
    cli.file("settings.json", sources.to_string());
    let arguments = ["--run", "--settings", "settings.json", "--grants", "grants.json", "-vv"];
    let run = inspect(&cli, &guest("lava_script"), &arguments);
    assert_eq!(run.code, Some(0), "{run:#?}");
    assert!(site.seen()[0].contains("x-token: s3cr3t-value"));
    assert!(!run.stdout.contains("s3cr3t") && !run.stderr.contains("s3cr3t"), "{run:#?}");
    let (_, printed) = run.stdout.split_once("grants:`:").unwrap_or_else(|| panic!("no grant in {}", run.stdout));
    assert!(printed.contains("secret_file"), "{printed}");
    // With the printed grant it is sent too.
    assert_eq!(run_with(&cli, &guest("lava_script"), printed, "settings.json").code, Some(0));
    assert!(site.seen()[1].contains("x-token: s3cr3t-value"), "{:#?}", site.seen());
}

#[test]
fn printed_grant_never_contains_a_cloud_metadata_service() {
    let cli = Cli::new();
    let request = json!({"scheme": "http", "authority": "169.254.169.254", "path": "/latest"});
    cli.file("settings.json", json!({ "requests": [request] }).to_string());
    let report = report(&cli, &guest("wasi_web"), &["--run", "--settings", "settings.json"]);
    assert_eq!(report["run"]["grants"], "");
    assert_eq!(report["run"]["beyond"], json!(["GET http://169.254.169.254/latest (cloud metadata address)"]));
}

#[test]
fn inspected_collection_leaves_no_state_or_files() {
    let cli = Cli::new();
    let report = report(&cli, &guest("counter"), &["--run"]);
    assert_eq!((&report["run"]["completed"], &report["run"]["datapoints"]), (&json!(true), &json!(1)));
    // Its state and its agent id would be here.
    assert!(!cli.folder().join(".local").exists());
    let run = cli.run(&["run", &guest("counter").display().to_string()]);
    assert!(run.stdout.contains(r#"["pattoo_value","1"]"#) || run.stdout.contains(r#""pattoo_value",1"#), "{run:#?}");
}
