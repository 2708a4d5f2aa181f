//! The SDK for Go: its own tests, and the memory and scheduling of Go's runtime.
#![expect(clippy::expect_used, reason = "helpers of tests may do what tests may do")]

use std::process::{Command, Output};

use pattoo_tests::{Cli, python_tool, repository};

/// Runs `go` in a folder of the repository; none if its tools are not installed.
fn go(folder: &str, arguments: &[&str], wasm: bool) -> Option<Output> {
    let mut go = Command::new(python_tool("go")?);
    go.args(arguments).current_dir(repository().join(folder));
    go.env("GOTOOLCHAIN", "local").env("GOPROXY", "off").env("GOFLAGS", "");
    if wasm {
        go.env("GOOS", "wasip1").env("GOARCH", "wasm");
    }
    Some(go.output().expect("it starts"))
}

#[test]
fn go_sdk_and_its_collectors_pass_their_tests_and_vet() {
    let (test, vet) = (["test", "./..."], ["vet", "./..."]);
    for (folder, arguments, wasm) in [
        ("guest-sdk/go", test, false),
        ("guest-sdk/go", vet, false),
        ("guest-sdk/go", vet, true),
        ("guests/station/go", test, false),
        ("guests/station/go", vet, false),
        ("tests/guests/go", vet, true),
    ] {
        let Some(done) = go(folder, &arguments, wasm) else { return };
        assert!(done.status.success(), "{folder}, {arguments:?}, {wasm}: {done:#?}");
    }
}

/// One collection of the collector of `tests/guests/go`, whose settings say what it does.
fn allocating_collector(cli: &Cli, settings: &[&str]) -> Option<pattoo_tests::Finished> {
    let module = cli.folder().join("allocating.wasm");
    if !module.exists() {
        let output = module.display().to_string();
        let arguments = ["build", "-buildmode=c-shared", "-o", &output, "."];
        let built = go("tests/guests/go", &arguments, true)?;
        assert!(built.status.success(), "{built:#?}");
    }
    let settings = settings.iter().flat_map(|setting| ["--setting", setting]);
    Some(cli.run(&["run", "allocating.wasm", "--timeout", "60s"].into_iter().chain(settings).collect::<Vec<_>>()))
}

#[test]
fn go_collection_may_allocate_more_than_its_memory_limit_in_total() {
    let cli = Cli::new();
    // 200 MiB in total under the default limit of 64 MiB, with host calls in between that allocate
    // memory.
    let Some(run) = allocating_collector(&cli, &["megabytes=200", "calls=2000"]) else { return };
    assert_eq!(run.code, Some(0), "{run:#?}");
    let body = run.body();
    let records = pattoo_tests::pattoo_records(&body);
    let value =
        |key: &str| records.iter().find(|record| record["key"] == key).and_then(|record| record["value"].as_u64());
    assert_eq!(value("sound"), Some(2000), "{body}");
    assert!(value("collections").is_some_and(|count| count >= 5), "{body}");
}

#[test]
fn go_routines_sleep_and_wait_for_each_other() {
    let cli = Cli::new();
    let Some(run) = allocating_collector(&cli, &["megabytes=20", "calls=200", "goroutines=20"]) else { return };
    assert_eq!(run.code, Some(0), "{run:#?}");
}

#[test]
fn go_panic_is_an_error_with_its_source_line() {
    let cli = Cli::new();
    let Some(run) = allocating_collector(&cli, &["panic=true"]) else { return };
    assert_eq!(run.code, Some(3), "{run:#?}");
    assert!(run.stderr.contains("panic: runtime error: index out of range [3] with length 3"), "{run:#?}");
    assert!(run.stderr.contains("main.go:"), "{run:#?}");
}
