//! `pattoo-wasm receive`: a pattoo-compatible receiver for trying things out.

use std::{
    fs::File,
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Exit, Failure, interrupted, output::print_line};
use crate::{
    capability::unix_millis,
    receive::{Received, Receiver, Record, Sink},
    text::one_line,
};

/// How much of a text from a body is shown, in bytes.
const MAX_SHOWN: usize = 200;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm receive
      Listen on 127.0.0.1:20201 and show each datapoint
  pattoo-wasm receive --store received.jsonl
      Keep every body as well, one JSON object a line

Each datapoint is one line: timestamp, program, target, key, value, separated by tabs.";

/// Arguments of `receive`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Address and port to listen on; port 0 is any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:20201")]
    listen: SocketAddr,

    /// Append every body to this file, one JSON object a line: `received` (Unix ms) and `body`
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

pub(super) async fn receive(args: Args) -> Result<Exit, Failure> {
    let store = match &args.store {
        Some(path) => Some(open(path)?),
        None => None,
    };
    let receiver = Receiver::bind(args.listen).await.map_err(|error| {
        Failure::usage(format!("cannot listen on {}: {error}", args.listen))
            .help("choose another address with --listen; port 0 is any free one")
    })?;
    tracing::info!("receiving on http://{}", receiver.address());
    receiver
        .serve(sink(store), interrupted())
        .await
        .map_err(|error| Failure::fault(format!("the receiver ended: {error}")))?;
    Ok(Exit::Good)
}

fn open(path: &PathBuf) -> Result<File, Failure> {
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| Failure::usage(format!("{}: {error}", path.display())).help("give a file that can be written"))
}

/// Stores a body, then shows it. What could not be stored is not shown, and not accepted.
fn sink(store: Option<File>) -> Sink {
    let store = store.map(Mutex::new);
    Arc::new(move |received: &Received, json: &[u8]| {
        if let Some(store) = &store {
            let body: &serde_json::value::RawValue = serde_json::from_slice(json)?;
            let line = serde_json::to_string(&Stored { received: unix_millis(), body })?;
            let mut file = store.lock().unwrap_or_else(PoisonError::into_inner);
            writeln!(file, "{line}")?;
            file.sync_data()?;
        }
        for record in &received.records {
            // A terminal that has gone away is no reason to refuse a body.
            let _ = print_line(line(record));
        }
        Ok(())
    })
}

/// A line of the store.
#[derive(serde::Serialize)]
struct Stored<'a> {
    received: u64,
    body: &'a serde_json::value::RawValue,
}

/// A datapoint on one line.
pub(super) fn line(record: &Record) -> String {
    let text = |key| one_line(&record.text(key), MAX_SHOWN);
    [
        text("pattoo_timestamp"),
        text("pattoo_agent_program"),
        text("pattoo_agent_polled_target"),
        text("pattoo_key"),
        text("pattoo_value"),
    ]
    .join("\t")
}
