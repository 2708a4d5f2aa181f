//! Start-up times: one collection from exec to exit, the compilation of a module, a daemon with
//! many collectors.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pattoo_tests::{
    Cli, IDLE, RawSite, STATIONS, Site,
    emitter::emitter,
    figures::{Target, interleaved, repeated, say, say_skipped, seconds},
    guest, libmodbus_device_quiet, peer, python, station, unused_address,
};
use serde_json::json;

pub(crate) fn figures() {
    small_modules();
    stations();
    let examples = fs::read_dir(guest("counter").parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    let mut modules: Vec<PathBuf> = examples
        .chain(STATIONS.iter().filter_map(|language| station(language)))
        .filter(|path| is_module(path))
        .collect();
    modules.sort();
    for path in modules {
        let cold = repeated(3, || {
            let fresh = Cli::new();
            let mut command = fresh.command(&["inspect", &path.display().to_string()]);
            1e3 * seconds(|| assert!(command.output().unwrap().status.success()))
        });
        let mib = fs::metadata(&path).unwrap().len() as f64 / f64::from(1 << 20);
        let name = path.file_stem().unwrap().display();
        say(&format!("startup: ms to compile `{name}` ({mib:.1} MiB) for the first time"), &cold, None, Target::None);
    }
    daemon();
}

fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "wasm")
}

/// One collection of a cached module, in milliseconds from exec to exit.
fn run(cli: &Cli, arguments: &[&str]) -> f64 {
    let mut command = cli.command(&[&["run", "--hostname", "gateway-7"], arguments].concat());
    1e3 * seconds(|| {
        let run = command.output().unwrap();
        assert!(run.status.success(), "{run:?}");
    })
}

fn small_modules() {
    let cli = Cli::new();
    let module = cli.file("emitter.wat", emitter(10, 1, 0)).display().to_string();
    run(&cli, &[&module]);
    let python = || {
        let mut command = std::process::Command::new(python());
        command.arg(peer("pattoo_collect.py")).arg("10");
        1e3 * seconds(|| assert!(command.output().unwrap().status.success()))
    };
    let (ours, other) = interleaved(25, || run(&cli, &[&module]), python);
    let name = "startup: ms for `run` of a cached module, exec to exit, against a Python process of pattoo_shared";
    say(name, &ours, Some(&other), Target::AtMost(20.0));

    let rust = guest("counter").display().to_string();
    run(&cli, &[&rust]);
    let ours = repeated(25, || run(&cli, &[&rust]));
    say("startup: ms for `run` of the cached guest `counter`, which keeps a number", &ours, None, Target::AtMost(20.0));
}

/// The same collector in each language, reading a device and a site.
fn stations() {
    let device = libmodbus_device_quiet();
    let site = RawSite::saying(r#"{"temperature": 1.5, "humidity": 50, "rain_total": 7, "name": "A"}"#);
    let cli = Cli::new();
    let settings = json!({
        "device": "plc1", "unit": 1, "site": "SITE_A", "url": format!("http://{}/weather.json", site.address()),
        "pump": {"table": "holding-registers", "address": 0}, "meter": {"table": "input-registers", "address": 100},
    });
    cli.file("settings.json", settings.to_string());
    let (device, site) = (format!("plc1=tcp://{}", device.address()), format!("http://{}", site.address()));
    for language in STATIONS {
        let name =
            format!("startup: ms for `run` of the cached station in {language}, which reads a device and a site");
        let Some(module) = station(language) else {
            say_skipped(&name, "it was not built");
            continue;
        };
        let module = module.display().to_string();
        let arguments = [
            &module,
            "--program",
            "station",
            "--settings",
            "settings.json",
            "--modbus",
            &device,
            "--http",
            &site,
            "--timeout",
            "60s",
            "--memory",
            "256MiB",
        ];
        run(&cli, &arguments);
        let target = if *language == "python" { Target::AtMost(60.0) } else { Target::None };
        say(&name, &repeated(15, || run(&cli, &arguments)), None, target);
    }
}

fn daemon() {
    let site = Site::new(unused_address());
    let collector = |number: usize| {
        // Each a module of its own.
        let module = site.file(&format!("idle_{number}.wat"), format!("{IDLE} (; {number} ;)"));
        json!({"program": format!("C_{number}"), "module": module, "polling_interval": 300})
    };
    site.configure(&(0..100).map(collector).collect());
    site.start().end("TERM");
    let ready = repeated(5, || {
        let mut daemon = None;
        let took = 1e3 * seconds(|| daemon = Some(site.start()));
        daemon.unwrap().end("TERM");
        took
    });
    say("startup: ms until a daemon with 100 cached modules collects", &ready, None, Target::None);
}
