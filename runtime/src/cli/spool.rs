//! `pattoo-wasm spool`: lists, retries and deletes payloads that wait for their output or are in
//! quarantine.

use std::{
    collections::{BTreeSet, HashSet},
    fmt::Write as _,
    time::Duration,
};

use pattoo_base::{
    clock::unix_millis,
    text::{counted, one_line},
};
use pattoo_output::{OutputName, ServerUrl};
use pattoo_spool::{OutputId, PayloadInfo, Selection, Spool, SpoolLimits, SpoolStats, StoredId};
use serde_json::json;

use super::{Exit, Failure, stdout::print_line, values};
use crate::config::{ConfigDirectory, DataDirectory, output_names, queues_of};

/// How much of a refusal a list shows, in bytes.
const MAX_SHOWN: usize = 100;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm spool stats
  pattoo-wasm spool list --quarantined
  pattoo-wasm spool show 17 --payload | python3 -m json.tool
  pattoo-wasm spool retry --quarantined

Each command works while a daemon or `run --post` uses the spool. The spool is that of
pattoo.yaml in PATTOO_CONFIGDIR or /etc/pattoo, or that of this user if there is none.";

/// Arguments of `spool`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List payloads, oldest first
    List {
        #[command(flatten)]
        filter: PayloadFilter,
        /// Show at most this number of payloads
        #[arg(long, value_name = "COUNT", default_value = "1000", value_parser = values::integer::<u32>(0..=u64::from(u32::MAX), "100"))]
        limit: u32,
        /// Print one JSON object for each payload
        #[arg(long)]
        json: bool,
    },
    /// Show one payload
    Show {
        /// Show the payload with this number in the list
        #[arg(value_parser = number())]
        id: i64,
        /// Print only the payload itself
        // words: keep, the flag's previous name
        #[arg(long, alias = "body")]
        payload: bool,
    },
    /// Put payloads back into the queue, without their earlier refusals
    Retry(SelectedPayloads),
    /// Delete payloads
    #[command(alias = "delete")]
    Drop(SelectedPayloads),
    /// Count queued, quarantined, delivered, refused and dropped payloads
    Stats {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// The number of a payload.
fn number() -> impl Fn(&str) -> Result<i64, String> + Clone + Send + Sync + 'static {
    values::integer(0..=i64::MAX as u64, "17")
}

/// A filter for payloads.
#[derive(Debug, clap::Args)]
struct PayloadFilter {
    /// Select only payloads in quarantine
    #[arg(long)]
    quarantined: bool,
    /// Select only payloads of this program
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// Select only payloads for the server with this base URL
    #[arg(long, value_name = "URL", conflicts_with = "output")]
    server: Option<ServerUrl>,
    /// Select only payloads for the output with this name
    #[arg(long, value_name = "NAME")]
    output: Option<OutputName>,
}

/// The payloads that a command changes: some must be selected.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("chosen").required(true).multiple(true).args(["ids", "all", "quarantined", "program", "server", "output"]))]
struct SelectedPayloads {
    /// Select payloads by their numbers in the list
    #[arg(value_name = "ID", conflicts_with = "all", value_parser = number())]
    ids: Vec<i64>,
    /// Select all payloads
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: PayloadFilter,
}

impl PayloadFilter {
    fn selection(self, ids: Vec<i64>) -> Selection {
        Selection {
            ids: ids.into_iter().map(StoredId).collect(),
            quarantined: self.quarantined.then_some(true),
            program: self.program,
            output: self
                .server
                .map(|server| server.id().clone())
                .or(self.output.map(|output| queues_of(&ConfigDirectory::find(), &output))),
        }
    }
}

pub(super) async fn spool(args: Args) -> Result<Exit, Failure> {
    let directory = DataDirectory::find()?;
    directory.refuse_other_users()?;
    let path = directory.spool();
    // A list must not create a spool that is owned by another user than the agent.
    if !path.exists() {
        return Err(Failure::usage(format!("there is no spool at {}", path.display())).help(
            "set PATTOO_CONFIGDIR to the directory of the pattoo.yaml of the daemon, or run this as the user of the daemon",
        ));
    }
    let spool = Spool::open(&path, SpoolLimits::default())?;
    match args.command {
        Command::List { filter, limit, json } => {
            check_output(&spool, &filter).await?;
            let entries = spool.list(filter.selection(Vec::new()), limit).await?;
            let now = unix_millis();
            if !json {
                print_line(HEAD)?;
            }
            for entry in &entries {
                print_line(if json { as_json(entry).to_string() } else { row(entry, now) })?;
            }
        }
        Command::Show { id, payload } => {
            let found = spool.show(StoredId(id)).await?;
            let found = found.ok_or_else(|| missing_payloads(&[StoredId(id)], &Selection::default()))?;
            if payload {
                print_line(&found.bytes)?;
            } else {
                print_line(described(&found.info, found.intact))?;
            }
        }
        Command::Retry(SelectedPayloads { ids, filter, .. }) => {
            check_output(&spool, &filter).await?;
            let selection = filter.selection(ids);
            check_exist(&spool, &selection).await?;
            let retried = spool.retry(selection).await?;
            print_line(format!("{} in the queue", payloads(retried.queued)))?;
            if !retried.damaged.is_empty() {
                let are = if retried.damaged.len() == 1 { "is" } else { "are" };
                return Err(Failure::usage(format!(
                    "{} {are} damaged on disk and cannot be retried",
                    named(&retried.damaged)
                ))
                .help("print what is left of a payload with `pattoo-wasm spool show ID --payload`, or delete it with `pattoo-wasm spool drop ID`"));
            }
        }
        Command::Drop(SelectedPayloads { ids, filter, .. }) => {
            check_output(&spool, &filter).await?;
            let selection = filter.selection(ids);
            check_exist(&spool, &selection).await?;
            let count = spool.delete(selection).await?;
            print_line(format!("{} deleted", payloads(count)))?;
        }
        Command::Stats { json } => {
            let stats = spool.stats().await?;
            print_line(if json { stats_json(&stats) } else { stats_text(&stats) })?;
        }
    }
    Ok(Exit::Success)
}

const HEAD: &str = "    ID  STATUS         AGE  REFUSED  DATAPOINTS      BYTES  PROGRAM               OUTPUT                          REFUSAL";

fn status(entry: &PayloadInfo) -> &'static str {
    if entry.quarantined { "quarantined" } else { "queued" }
}

/// A payload as a line of columns; the last one is text.
fn row(entry: &PayloadInfo, now: u64) -> String {
    let stored = u64::try_from(entry.stored).unwrap_or(0);
    format!(
        "{:>6}  {:<11}  {:>5}  {:>7}  {:>10}  {:>9}  {:<20}  {:<30}  {}",
        entry.id,
        status(entry),
        age(Duration::from_millis(now.saturating_sub(stored))),
        entry.attempts,
        entry.count,
        entry.bytes,
        entry.program,
        entry.output,
        entry.refusal.as_deref().map_or_else(|| "-".to_owned(), |text| one_line(text, MAX_SHOWN)),
    )
}

fn as_json(entry: &PayloadInfo) -> serde_json::Value {
    json!({
        "id": entry.id.0,
        "status": status(entry),
        "server": entry.output,
        "agent_id": entry.agent,
        "program": entry.program,
        "built": entry.created,
        "stored": entry.stored,
        "datapoints": entry.count,
        "bytes": entry.bytes,
        "refused": entry.attempts,
        "refusal": entry.refusal,
    })
}

fn described(entry: &PayloadInfo, intact: bool) -> String {
    let mut text = String::new();
    let time = |millis: i64| {
        let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
        std::time::UNIX_EPOCH
            .checked_add(since)
            .map_or_else(String::new, |at| humantime::format_rfc3339_millis(at).to_string())
    };
    let mut line = |name: &str, value: &str| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<11} {value}");
    };
    line("id", &entry.id.to_string());
    line("status", status(entry));
    line("program", &entry.program);
    line("agent id", &entry.agent);
    line("output", &entry.output);
    line("built", &time(entry.created));
    line("stored", &time(entry.stored));
    line("datapoints", &entry.count.to_string());
    line("bytes", &entry.bytes.to_string());
    line("refused", &format!("{} times", entry.attempts));
    if let Some(refusal) = &entry.refusal {
        line("refusal", &one_line(refusal, usize::MAX));
    }
    line("intact", if intact { "yes" } else { "no: the content differs from what was stored" });
    text.trim_end().to_owned()
}

fn stats_json(stats: &SpoolStats) -> String {
    json!({
        "queued": stats.queued,
        "queued_bytes": stats.queued_bytes,
        "oldest_seconds": stats.oldest.map(|age| age.as_secs()),
        "quarantined": stats.quarantined,
        "quarantined_bytes": stats.quarantined_bytes,
        "delivered": stats.delivered,
        "refused": stats.refused,
        "dropped": stats.dropped,
    })
    .to_string()
}

fn stats_text(stats: &SpoolStats) -> String {
    let size = |bytes| bytesize::ByteSize(bytes).display().iec().to_string();
    let oldest = stats.oldest.map_or_else(String::new, |oldest| format!(", the oldest for {}", age(oldest)));
    format!(
        "queued       {} ({}){oldest}\nquarantined  {} ({})\ndelivered    {}\nrefused      {}\ndropped      {}",
        stats.queued,
        size(stats.queued_bytes),
        stats.quarantined,
        size(stats.quarantined_bytes),
        stats.delivered,
        stats.refused,
        stats.dropped,
    )
}

fn payloads(count: u64) -> String {
    counted(count, "payload", "payloads")
}

/// `payload 17`, `payloads 17, 18`.
fn named(ids: &[StoredId]) -> String {
    let numbers: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "payload" } else { "payloads" }, numbers.join(", "))
}

/// Checks that the selected output is configured, or has payloads in the spool.
async fn check_output(spool: &Spool, filter: &PayloadFilter) -> Result<(), Failure> {
    let Some(output) = &filter.output else { return Ok(()) };
    let directory = ConfigDirectory::find();
    let names = output_names(&directory);
    let of_output = Selection { output: Some(queues_of(&directory, output)), ..Selection::default() };
    if names.iter().any(|name| name == output.as_str()) || !spool.list(of_output, 1).await?.is_empty() {
        return Ok(());
    }
    let configured: Vec<OutputId> =
        names.iter().filter_map(|name| Some(queues_of(&directory, &name.parse().ok()?))).collect();
    let queued: BTreeSet<OutputId> = spool.queues().await?.into_iter().map(|queue| queue.output).collect();
    let queued = queued.into_iter().filter(|id| !configured.contains(id)).map(|id| id.to_string());
    let flag = |id: String| format!("`--{} {id}`", if id.contains("://") { "server" } else { "output" });
    let known: BTreeSet<String> = names.into_iter().chain(queued).map(flag).collect();
    let known: Vec<String> = known.into_iter().collect();
    let help = if known.is_empty() {
        "configure an output under `outputs:`, or leave out `--output`".to_owned()
    } else {
        format!("select one of the outputs: {}", known.join(", "))
    };
    Err(Failure::usage(format!("there is no output `{output}`")).help(help))
}

/// Checks that each selected number exists and matches the filter.
async fn check_exist(spool: &Spool, selection: &Selection) -> Result<(), Failure> {
    if selection.ids.is_empty() {
        return Ok(());
    }
    let there: HashSet<StoredId> =
        spool.list(selection.clone(), u32::MAX).await?.into_iter().map(|entry| entry.id).collect();
    let missing: Vec<StoredId> = selection.ids.iter().copied().filter(|id| !there.contains(id)).collect();
    if missing.is_empty() { Ok(()) } else { Err(missing_payloads(&missing, selection)) }
}

fn missing_payloads(ids: &[StoredId], selection: &Selection) -> Failure {
    let narrowed = selection.quarantined.is_some() || selection.program.is_some() || selection.output.is_some();
    let of = if narrowed { " of this status, program and output" } else { "" };
    Failure::usage(format!("there {} no {}{of} in the spool", if ids.len() == 1 { "is" } else { "are" }, named(ids)))
        .help(
            "see `pattoo-wasm spool list` for the numbers of all payloads; a payload may have been delivered meanwhile",
        )
}

/// An age in its largest unit, without a space.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds.div_euclid(60)),
        7_200..172_800 => format!("{}h", seconds.div_euclid(3_600)),
        _ => format!("{}d", seconds.div_euclid(86_400)),
    }
}
