//! Twenty hostile collectors beside twenty good ones, in one daemon with default limits and 512
//! MiB: the good ones are not affected.
//!
//! This is a test binary of its own because it measures lateness, so no other test may run beside
//! it. It takes a minute, three with `CI=true`, ten in `cargo xtask soak tenants`. Variables of the
//! environment:
//!
//! | variable | |
//! |---|---|
//! | `TENANTS_SECONDS` | how long it takes |
//! | `TENANTS_HOSTILE` | the kinds of hostile collectors, by their names in [`hostile`] with commas between them, repeated until there are twenty; or `none` |
//! | `TENANTS_MEMORY_MIB` | the memory of the daemon and all that it starts |
//! | `PATTOO_WASM_BINARY` | the program under test, such as one that `cargo xtask baseline` built |
#![expect(
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that panics has failed, as it should; counters are whole numbers"
)]

mod cgroup;
mod hostile;
mod measure;
mod process;
mod server;

use std::{
    env,
    time::{Duration, Instant},
};

use cgroup::Memory;
use measure::{Measured, Window};
use pattoo_tests::{Cli, ReadyLine, Running, Site, binary, guest, setting, unused_address};
use process::{Process, size_of};
use serde_json::{Value, json};
use server::{Receiver, WebSite};

/// How many collectors there are of each side.
const TENANTS: usize = 20;
/// How long after the start of the daemon a good collector may collect for the first time.
const START: Duration = Duration::from_secs(20);
/// How long payloads of good collectors may take to arrive after the end.
const DRAIN: Duration = Duration::from_mins(1);

/// What good collectors read: a few registers of each of two units.
const DEVICE: &str = "devices: [{ listen: '127.0.0.1:0', units: { 1: { holding: { 0: [1, 2, 3, 4] } }, \
                      2: { holding: { 0: [5, 6, 7, 8] } } } }]";

fn device(cli: &Cli) -> Running {
    let file = cli.file("device.yaml", DEVICE).display().to_string();
    Running::start(&mut cli.command(&["simulate", &file]), ReadyLine::OnStderr, |line| {
        line.split_once("tcp://")?.1.split([',', '?', ' ']).next()?.parse().ok()
    })
}

/// Good collectors: of three kinds, each every second.
fn good(device: &Running, site: &WebSite) -> Vec<Value> {
    let origin = format!("http://{}", site.address());
    let collector = |number: usize| {
        let program = format!("GOOD_{number}");
        match number % 3 {
            0 => json!({"program": program, "module": guest("counter"), "polling_interval": 1}),
            1 => json!({
                "program": program, "module": guest("modbus_registers"), "polling_interval": 1,
                "settings": {"spans": [{"device": "plc1", "unit": 1 + number % 2, "table": "holding", "address": 0, "count": 4}]},
                "grants": {"modbus": {"plc1": {"url": format!("tcp://{}", device.address()), "units": [1, 2]}}},
            }),
            _ => json!({
                "program": program, "module": guest("lava_script"), "polling_interval": 1,
                "settings": {"sources": [
                    {"target": "SITE", "url": format!("{origin}/weather.json"), "keys": ["temperature", "humidity"]},
                ]},
                "grants": {"http": [{"origin": origin}]},
            }),
        }
    };
    (0..TENANTS).map(collector).collect()
}

#[test]
fn twenty_hostile_collectors_do_not_delay_or_lose_collections_of_twenty_others() {
    let ci = env::var_os("CI").is_some_and(|ci| ci == "true");
    let seconds = setting("TENANTS_SECONDS").unwrap_or(if ci { 180 } else { 60 });
    let duration = Duration::from_secs(seconds);
    let memory = Memory::limited_to(setting::<u64>("TENANTS_MEMORY_MIB").unwrap_or(512) << 20);

    let cli = Cli::new();
    let (device, web_site) = (device(&cli), WebSite::new());
    let (server, status) = (unused_address(), unused_address());
    let site = Site::new(server).with("status", json!(status.to_string()));
    let mut collectors = good(&device, &web_site);
    collectors.extend(hostile::collectors(&site, TENANTS, web_site.address()));
    let hostile = collectors[TENANTS..].iter().map(hostile::program).collect::<Vec<_>>();
    site.configure(&collectors.into());

    let receiver = Receiver::new(server, &site.folder().join("daemon/agent_id"));
    println!("{}, in {}, for {seconds} s", binary().display(), memory.description());
    let window = Window::opens_now();
    let mut daemon = Process::start(&mut memory.confine(&site.command_with(&[])), status);
    let began = Instant::now();
    // The server is unavailable for a sixth of the time, in the middle.
    let mut outage = Some((duration / 3, duration / 6));
    while began.elapsed() < duration && daemon.is_alive() {
        if let Some((at, length)) = outage.take_if(|(at, _)| began.elapsed() > *at) {
            println!("{:>4} s: the server is unavailable for {} s", at.as_secs(), length.as_secs());
            receiver.close();
            daemon.wait_at_most(length);
            receiver.open();
        }
        daemon.wait_at_most(Duration::from_secs(1));
        memory.sample(daemon.pid());
    }
    let window = window.closes_now();
    let metrics = daemon.metrics();
    let drained = Instant::now();
    while drained.elapsed() < DRAIN && daemon.is_alive() && !measure::has_arrived(&receiver, &metrics) {
        daemon.wait_at_most(Duration::from_millis(200));
    }
    let ended = daemon.ended();
    let mut faults = Vec::new();
    if let Some((status, lived, last_words)) = &ended {
        faults
            .push(format!("the daemon ended after {:.0} s: {status}; it said last: {last_words}", lived.as_secs_f64()));
    } else {
        daemon.terminate();
    }
    // The kernel kills the compiler's process first, and the daemon continues.
    println!("{} compilations were killed for memory", memory.kills());
    faults.extend(memory.exceeded());

    let folder = site.folder();
    println!(
        "memory at most {} MiB; log {} MiB, standard error {} MiB, spool {} MiB, state {} MiB",
        memory.peak() >> 20,
        size_of(&folder.join("log")) >> 20,
        daemon.said() >> 20,
        size_of(&folder.join("daemon/pattoo_wasm/spool")) >> 20,
        size_of(&folder.join("daemon/pattoo_wasm/state")) >> 20,
    );
    measure::print_hostile(&hostile, &metrics);
    let measured = Measured::of(&receiver, (0..TENANTS).map(|number| format!("GOOD_{number}")), window, &metrics);
    println!("{measured}");
    faults.extend(measured.faults(START));
    if ended.is_none() {
        faults.extend(measure::idle(&hostile, window, &metrics));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
