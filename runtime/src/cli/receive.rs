//! `pattoo-wasm receive`: a pattoo-compatible receiver for trying things out.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::body::Bytes;
use pattoo_base::text::one_line;

use super::{Exit, Failure, interrupted, output::print_line};
use crate::receive::{Mood, Moods, Received, Receiver, Record, Sink, Store};

/// How much of a text from a body is shown, in bytes.
const MAX_SHOWN: usize = 200;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm receive
      Listen on 127.0.0.1:20201 and show each datapoint
  pattoo-wasm receive --store received.sqlite3
      Keep every body and datapoint as well, in the tables `body` and `datapoint` of a SQLite file
  pattoo-wasm receive --answer 503 --retry-after 60
      Be a server in trouble
  pattoo-wasm receive --mood mood.yaml
      Be in the mood that the file says at each request, such as: {answer: 500}, {delay: 2s}, {hang: true},
      {answer: 500, keep: true}, {answer: 400, only: POISON}; without the file, or with an empty one, as the flags say

Each datapoint is one line: timestamp, program, target, key, value, separated by tabs.";

/// Arguments of `receive`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Address and port to listen on; port 0 is any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:20201")]
    listen: SocketAddr,

    /// Keep every body and its datapoints in this SQLite file
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,

    /// Answer good bodies with this status; they are stored only if it is success
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = clap::value_parser!(u16).range(200..600))]
    answer: u16,

    /// Answer with this many seconds as `Retry-After`, where the answer is no success
    #[arg(long, value_name = "SECONDS")]
    retry_after: Option<u32>,

    /// Wait so long before each answer
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
    delay: Duration,

    /// Take requests and never answer
    #[arg(long)]
    hang: bool,

    /// Store bodies whatever is answered, as if answers were lost on their way
    #[arg(long)]
    keep: bool,

    /// Do all this only to bodies that have this text in them
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,

    /// Answer 401 to who does not send this as a bearer token
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,

    /// A YAML file that says all this instead, read anew at each request
    #[arg(long, value_name = "FILE")]
    mood: Option<PathBuf>,
}

pub(super) async fn receive(args: Args) -> Result<Exit, Failure> {
    let store = args.store.as_deref().map(Store::open).transpose().map_err(|error| {
        Failure::usage(error)
            .help("give a file that can be written, and that an earlier `receive` made or that is not there yet")
    })?;
    let usual = Mood {
        answer: args.answer,
        retry_after: args.retry_after,
        delay: args.delay,
        hang: args.hang,
        keep: args.keep,
        only: args.only,
        token: args.token,
    };
    let moods = Moods { usual, file: args.mood };
    let receiver = Receiver::bind(args.listen).await.map_err(|error| {
        Failure::usage(format!("cannot listen on {}: {error}", args.listen))
            .help("choose another address with --listen; port 0 is any free one")
    })?;
    let stop = interrupted();
    tracing::info!("receiving on http://{}", receiver.address());
    receiver
        .serve(sink(store), moods, stop)
        .await
        .map_err(|error| Failure::fault(format!("the receiver ended: {error}")))?;
    Ok(Exit::Good)
}

/// Stores a body, then shows it. What could not be stored is not shown, and not accepted.
fn sink(store: Option<Store>) -> Sink {
    Arc::new(move |received: Received, json: Bytes| {
        let store = store.clone();
        Box::pin(async move {
            let received = Arc::new(received);
            if let Some(store) = store {
                let json = String::from_utf8_lossy(&json).into_owned();
                store.add(Arc::clone(&received), json).await.map_err(io::Error::other)?;
            }
            for record in &received.records {
                // A terminal that has gone away is no reason to refuse a body.
                let _ = print_line(line(record));
            }
            Ok(())
        })
    })
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
