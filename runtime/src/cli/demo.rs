//! `pattoo-wasm demo`: a demonstration on loopback.
//!
//! It starts simulated devices, two small web sites and a receiver on free ports of 127.0.0.1, and
//! runs the commands that a person would type. Values of the devices and sites change, so no two
//! demonstrations show the same ones.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use clap::Parser as _;
use pattoo_base::clock::unix_millis;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::{Cli, Command, Exit, Failure, interrupted, receive::line, run, stdout::print_line};
use crate::{
    config::DataDirectory,
    receive::{PayloadHandler, ReceivedPayload, Receiver, ScenarioSource},
    simulate::{SAMPLE, Simulation},
};

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  cargo xtask demo\n      Build the two collectors and run this command")]
pub(super) struct Args {
    /// Use the collectors `lava_script.wasm` and `modbus_registers.wasm` in this folder
    #[arg(value_name = "FOLDER")]
    guests: PathBuf,
}

pub(super) async fn demo(args: Args) -> Result<Exit, Failure> {
    tokio::select! {
        shown = show(args) => shown,
        // All servers end with the runtime. The temporary folder is removed with the future that is
        // dropped here.
        () = interrupted() => Ok(Exit::Success),
    }
}

async fn show(args: Args) -> Result<Exit, Failure> {
    let folder = tempfile::tempdir().map_err(Failure::internal)?;
    let (stop, stopped) = watch::channel(());
    let stop_signal = || {
        let mut stopped = stopped.clone();
        async move {
            // An error means that the sender is gone, which is the signal as well.
            let _ = stopped.changed().await;
        }
    };

    let simulation = Simulation::from_yaml(SAMPLE).map_err(Failure::internal)?.on_free_ports();
    let simulation = simulation.bind().await.map_err(Failure::internal)?;
    let devices = simulation.devices();
    let simulation = tokio::spawn(simulation.serve(stop_signal()));

    let (site_a, serve_a) = site("/site_a.json", [("ABC", 123.456), ("DEF", 456.789)]).await?;
    let (work_1, serve_1) = site("/work_1.json", [("GHI", 654.321), ("JKL", 987.654)]).await?;
    let sites = [
        tokio::spawn(axum::serve(serve_a.0, serve_a.1).with_graceful_shutdown(stop_signal()).into_future()),
        tokio::spawn(axum::serve(serve_1.0, serve_1.1).with_graceful_shutdown(stop_signal()).into_future()),
    ];

    let received = Arc::new(Mutex::new(Vec::new()));
    let receiver = Receiver::bind((Ipv4Addr::LOCALHOST, 0).into()).await.map_err(Failure::internal)?;
    let server = receiver.address();
    let receiver = tokio::spawn(receiver.serve(keep_in(&received), ScenarioSource::default(), stop_signal()));

    say("Running on loopback: two Modbus devices, two web sites, and a receiver that accepts what pattoo accepts.")?;
    let sources = json!([
        {"target": "SITE_A", "url": format!("http://{site_a}/site_a.json"), "keys": ["ABC", "DEF"]},
        {"target": "WORK_1", "url": format!("http://{work_1}/work_1.json"), "keys": ["GHI", "JKL"]},
    ]);
    let spans = json!([
        {"device": "boiler-house", "table": "input", "address": 0, "count": 4},
        {"device": "boiler-house", "table": "coils", "address": 0, "count": 4},
        {"device": "meters", "unit": 1, "table": "input", "address": 20, "count": 1},
    ]);
    let lava_script = [
        ("--program", "LAVA_SCRIPT".to_owned()),
        ("--interval", "20".to_owned()),
        ("--setting", format!("sources={sources}")),
        ("--http", format!("http://{site_a}")),
        ("--http", format!("http://{work_1}")),
    ];
    let granted = devices.iter().filter_map(|device| {
        let name = device.name.as_deref()?;
        Some(("--modbus", format!("{name}={}?unit=1", device.url)))
    });
    let modbus_registers: Vec<_> = [("--setting", format!("spans={spans}"))].into_iter().chain(granted).collect();
    let directory = DataDirectory::at(folder.path());
    let post = ("--post", format!("http://{server}"));
    for (guest, flags) in [("lava_script.wasm", &lava_script[..]), ("modbus_registers.wasm", &modbus_registers[..])] {
        let module = args.guests.join(guest).display().to_string();
        say(&format!("\n{guest}: one collection, printed as it would be posted"))?;
        command(&module, flags, &directory).await?;
        say(&format!("\n{guest}: one collection, posted"))?;
        let posted: Vec<_> = flags.iter().cloned().chain([post.clone()]).collect();
        command(&module, &posted, &directory).await?;
    }

    say("\nWhat the receiver accepted (timestamp, program, target, key, value):")?;
    for text in received.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        say(text)?;
    }
    drop(stop);
    let _ = tokio::join!(simulation, receiver);
    for site in sites {
        let _ = site.await;
    }
    say("\nAll stopped; nothing was left behind.")?;
    Ok(Exit::Success)
}

fn say(text: &str) -> Result<(), Failure> {
    print_line(text)
}

/// Prints a `pattoo-wasm run` command as a person would type it, and runs it.
async fn command(module: &str, flags: &[(&str, String)], directory: &DataDirectory) -> Result<(), Failure> {
    let shown: Vec<String> = flags.iter().map(|(flag, value)| format!("{flag} '{value}'")).collect();
    say(&format!("$ pattoo-wasm run {module} {}", shown.join(" ")))?;
    let words = flags.iter().flat_map(|(flag, value)| [*flag, value.as_str()]);
    let cli =
        Cli::try_parse_from(["pattoo-wasm", "run", module].into_iter().chain(words)).map_err(Failure::internal)?;
    let Command::Run(args) = cli.command else { return Err(Failure::internal("the command is not `run`")) };
    run::run(*args, Some(directory.clone())).await?;
    Ok(())
}

/// A handler that keeps each datapoint as a line.
fn keep_in(lines: &Arc<Mutex<Vec<String>>>) -> PayloadHandler {
    let lines = Arc::clone(lines);
    Arc::new(move |received: ReceivedPayload, _| {
        lines.lock().unwrap_or_else(PoisonError::into_inner).extend(received.datapoints.iter().map(line));
        Box::pin(std::future::ready(Ok(())))
    })
}

/// A site on a free port with one page of these quotes, which change a little with time.
async fn site(path: &str, quotes: [(&'static str, f64); 2]) -> Result<(SocketAddr, (TcpListener, Router)), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Failure::internal)?;
    let address = listener.local_addr().map_err(Failure::internal)?;
    let page = move || async move {
        let moved = |(key, quote): (&str, f64)| (key.to_owned(), Value::from(moved(quote, unix_millis())));
        let page = Value::Object(quotes.into_iter().map(moved).collect());
        ([(CONTENT_TYPE, "application/json")], page.to_string())
    };
    Ok((address, (listener, Router::new().route(path, get(page)))))
}

/// A quote at a moment: within one percent of its start value, rounded to a thousandth.
fn moved(quote: f64, millis: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of one day are exact in an f64")]
    let seconds = (millis % 86_400_000) as f64 / 1000.0;
    ((quote * 0.01f64.mul_add(seconds.sin(), 1.0)) * 1000.0).round() / 1000.0
}
