//! `pattoo-wasm receive`: a pattoo-compatible receiver for tests.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::body::Bytes;
use pattoo_base::text::one_line;

use super::{Exit, Failure, interrupted, stdout::print_line, values};
use crate::receive::{PayloadHandler, ReceivedDatapoint, ReceivedPayload, Receiver, Scenario, ScenarioSource, Store};

/// How much of a text from a payload is shown, in bytes.
const MAX_SHOWN: usize = 200;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm receive
      Listen on 127.0.0.1:20201 and show each datapoint
  pattoo-wasm receive --store received.sqlite3
      Store everything as well, in the tables `body` and `datapoint` of a SQLite file
  pattoo-wasm receive --answer 503 --retry-after 60
      Simulate a failing server
  pattoo-wasm receive --scenario scenario.yaml
      Simulate what the file says at each request, such as {answer: 500}, {delay: 2s},
      {hang: true}, {answer: 500, keep: true} or {answer: 400, only: POISON};
      while the file is empty, the flags apply

Each datapoint is one line: timestamp, program, target, key, value, separated by tabs.";

/// Arguments of `receive`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Listen on this address and port; port 0 means any free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:20201", value_parser = values::address)]
    listen: SocketAddr,

    /// Store every payload and its datapoints in this SQLite file
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,

    /// Respond to valid payloads with this status; they are stored only if it is a success
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = values::integer::<u16>(200..=599, "503"))]
    answer: u16,

    /// Add `Retry-After` with this many seconds to responses that are not a success
    #[arg(long, value_name = "SECONDS", value_parser = values::integer::<u32>(0..=u64::from(u32::MAX), "60"))]
    retry_after: Option<u32>,

    /// Delay each response by this time
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = values::duration)]
    delay: Duration,

    /// Accept requests and never respond
    #[arg(long)]
    hang: bool,

    /// Store payloads whatever the status is, as if responses were lost on the network
    #[arg(long)]
    keep: bool,

    /// Apply --answer, --retry-after, --delay, --hang and --keep only to payloads that contain this
    /// text
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Respond with 401 to clients that do not send this bearer token
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// Read the values of these flags from a YAML file, before each request
    // words: keep, the flag's previous name
    #[arg(long, alias = "mood", value_name = "FILE")]
    scenario: Option<PathBuf>,
}

pub(super) async fn receive(args: Args) -> Result<Exit, Failure> {
    let store = args.store.as_deref().map(Store::open).transpose().map_err(|error| {
        Failure::usage(error).help("name a new file in a writable folder, or a file that an earlier `receive` created")
    })?;
    let default = Scenario {
        answer: args.answer,
        retry_after: args.retry_after,
        delay: args.delay,
        hang: args.hang,
        keep: args.keep,
        only: args.only,
        token: args.token,
    };
    let scenarios = ScenarioSource { default, file: args.scenario };
    scenarios.check().map_err(|error| {
        let keys = Scenario::KEYS.map(|key| format!("`{key}`")).join(", ");
        Failure::usage(error).help(format!(
            "write a scenario into that file, for example `answer: 503` or `delay: 2s`; the keys are {keys}"
        ))
    })?;
    let receiver = Receiver::bind(args.listen).await.map_err(|error| {
        Failure::usage(format!("cannot listen on {}: {error}", args.listen))
            .help("choose another address with --listen; port 0 means any free port")
    })?;
    let stop = interrupted();
    tracing::info!("receiving on http://{}", receiver.address());
    receiver
        .serve(handler(store), scenarios, stop)
        .await
        .map_err(|error| Failure::internal(format!("the receiver ended: {error}")))?;
    Ok(Exit::Success)
}

/// Stores a payload, then prints its datapoints. A payload that cannot be stored is neither printed
/// nor accepted.
fn handler(store: Option<Store>) -> PayloadHandler {
    Arc::new(move |received: ReceivedPayload, json: Bytes| {
        let store = store.clone();
        Box::pin(async move {
            let received = Arc::new(received);
            if let Some(store) = store {
                let json = String::from_utf8_lossy(&json).into_owned();
                store.add(Arc::clone(&received), json).await.map_err(io::Error::other)?;
            }
            for datapoint in &received.datapoints {
                // A closed terminal is no reason to refuse a payload.
                let _ = print_line(line(datapoint));
            }
            Ok(())
        })
    })
}

/// A datapoint on one line.
pub(super) fn line(datapoint: &ReceivedDatapoint) -> String {
    let text = |key| one_line(&datapoint.text(key), MAX_SHOWN);
    [
        text("pattoo_timestamp"),
        text("pattoo_agent_program"),
        text("pattoo_agent_polled_target"),
        text("pattoo_key"),
        text("pattoo_value"),
    ]
    .join("\t")
}
