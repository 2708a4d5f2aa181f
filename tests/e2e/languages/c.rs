//! The SDK for C, natively under the sanitizers and as wasm in the runtime.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests may do what tests may do")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use pattoo_tests::{Cli, has_program, modbus_device, pattoo_records, weather_site};
use serde_json::{Value, json};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sdk() -> PathBuf {
    repository().join("guest-sdk/c")
}

/// Builds a program of these sources, the SDK and its native test host, and returns its output. The
/// sanitizers end it at a fault of memory or arithmetic.
fn native(sources: &[PathBuf], arguments: &[PathBuf]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("program");
    let sdk_sources = ["pattoo.c", "pattoo_decode.c", "pattoo_json.c", "pattoo_test.c", "cJSON.c"];
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-g", "-fsanitize=address,undefined"])
        .args(["-fno-sanitize-recover=all", "-I"])
        .arg(sdk())
        .args(sources)
        .args(sdk_sources.map(|file| sdk().join(file)))
        .arg("-o")
        .arg(&program)
        .arg("-lm")
        .status()
        .expect("cc is there: run `cargo xtask test`");
    assert!(compiled.success());
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:#?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn c_decoders_match_the_decode_vectors() {
    let said = native(&[sdk().join("tests/vectors.c")], &[repository().join("guest-sdk/vectors/decode.json")]);
    assert!(said.ends_with(" right, 0 wrong\n"), "{said}");
}

#[test]
fn c_station_passes_its_native_test() {
    let station = repository().join("guests/station/c");
    assert_eq!(native(&[station.join("station.c"), station.join("test.c")], &[]), "3 tests passed\n");
}

/// The line that `everything.c` prints for each function.
fn said_to_the_runtime(cli: &Cli) -> (Vec<String>, Value) {
    let built = Command::new("clang")
        .args(["--target=wasm32-wasi", "-mexec-model=reactor", "-O1", "-Wall", "-Wextra", "-Werror", "-I"])
        .arg(sdk())
        .arg(sdk().join("tests/everything.c"))
        .args(["pattoo.c", "pattoo_json.c", "cJSON.c"].map(|file| sdk().join(file)))
        .args(["-o", "everything.wasm"])
        .current_dir(cli.folder())
        .status()
        .unwrap();
    assert!(built.success());
    let device = modbus_device(&json!({
        "7": {"holding": {"0": [1, 65535]}, "input": {"65534": [258, 32768]}, "coils": {"16": [true, false, true]}},
        "9": {"discrete": {"0": [false, true]}},
    }));
    std::fs::create_dir(cli.folder().join("site")).unwrap();
    cli.file("site/page.json", r#"{"a": 1}"#);
    let site = weather_site(&cli.folder().join("site"));
    let origin = format!("http://{}", site.address());
    let grants = json!({
        "http": [{"origin": origin}],
        "modbus": {"plc1": {"url": format!("tcp://{}", device.address()), "units": [7, 9]}},
    });
    cli.file("grants.yaml", grants.to_string());
    let setting = format!("site={origin}");
    let run =
        cli.run(&["run", "everything.wasm", "--program", "TEST", "--grants", "grants.yaml", "--setting", &setting]);
    assert_eq!(run.code, Some(3), "{run:#?}");
    let lines = run.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("INFO TEST: "));
    (lines.map(str::to_owned).collect(), run.body())
}

#[test]
fn c_sdk_functions_behave_the_same_in_the_runtime_and_in_the_native_test_host() {
    if !has_program("wasm-ld") || !Path::new("/usr/include/wasm32-wasi").exists() {
        return;
    }
    let fake = native(&["everything.c", "fake.c"].map(|file| sdk().join("tests").join(file)), &[]);
    let of_fake: Vec<&str> = fake.lines().filter_map(|line| line.strip_prefix("info: ")).collect();
    let (lines, body) = said_to_the_runtime(&Cli::new());
    assert_eq!(lines, of_fake);
    assert!(lines.len() > 25, "{lines:#?}");

    let read = |record: &Value| json!([record["key"], record["value"], record["data_type"], record["metadata"]]);
    let records: Vec<Value> = pattoo_records(&body).iter().map(read).collect();
    let expected = [
        json!(["integer", i64::MIN, 99, [["note", ""], ["unit", "007"]]]),
        json!(["scaled", -0.5, 99, []]),
        json!(["float", 1e-300, 101, []]),
        json!(["counter32", u32::MAX, 32, []]),
        json!(["counter64", u64::MAX, 64, []]),
        json!(["text", "Mühle", 2, []]),
    ];
    assert_eq!(records, expected);
    // The native test host got the same calls.
    let taken = fake.lines().skip_while(|line| *line != "end: 1 enough").skip(1);
    let of_fake: Vec<&str> = taken.filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(of_fake, ["integer", "scaled", "float", "counter32", "counter64", "text"]);
}
