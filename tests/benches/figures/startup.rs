//! How soon things are there: one collection from exec to exit, a module's compilation, a daemon with many collectors.

use std::fs;

use pattoo_tests::{
    Cli, IDLE, Site,
    emitter::emitter,
    figures::{Target, interleaved, repeated, say, seconds},
    guest, nobody, peer, python,
};
use serde_json::json;

pub(crate) fn figures() {
    let cli = Cli::new();
    let module = cli.file("emitter.wat", emitter(10, 1, 0)).display().to_string();
    let run = |module: &str| {
        let mut command = cli.command(&["run", module, "--hostname", "gateway-7"]);
        1e3 * seconds(|| {
            let run = command.output().unwrap();
            assert!(run.status.success(), "{run:?}");
        })
    };
    run(&module);
    let python = || {
        let mut command = std::process::Command::new(python());
        command.arg(peer("pattoo_collect.py")).arg("10");
        1e3 * seconds(|| assert!(command.output().unwrap().status.success()))
    };
    let (ours, other) = interleaved(25, || run(&module), python);
    let name = "startup: ms for `run` of a cached module, exec to exit, against a Python process of pattoo_shared";
    say(name, &ours, Some(&other), Target::AtMost(20.0));

    let rust = guest("counter").display().to_string();
    run(&rust);
    let ours = repeated(25, || run(&rust));
    say("startup: ms for `run` of the cached guest `counter`, which keeps a number", &ours, None, Target::AtMost(20.0));

    let mut guests: Vec<_> =
        fs::read_dir(guest("counter").parent().unwrap()).unwrap().map(|file| file.unwrap().path()).collect();
    guests.retain(|path| path.extension().is_some_and(|ending| ending == "wasm"));
    guests.sort();
    for path in guests {
        let cold = repeated(3, || {
            let fresh = Cli::new();
            let mut command = fresh.command(&["inspect", &path.display().to_string()]);
            1e3 * seconds(|| assert!(command.output().unwrap().status.success()))
        });
        let name = path.file_stem().unwrap().display().to_string();
        say(&format!("startup: ms to compile the guest `{name}` for the first time"), &cold, None, Target::None);
    }

    let site = Site::new(nobody());
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
