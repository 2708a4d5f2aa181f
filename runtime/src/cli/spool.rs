//! `pattoo-wasm spool`: what waits for the server, and what was set aside, for a person to look at and decide on.

use std::{collections::HashSet, fmt::Write as _, time::Duration};

use pattoo_base::{
    clock::unix_millis,
    text::{counted, one_line},
};
use pattoo_output::{
    PayloadInfo, Selection, ServerUrl, Spool, SpoolError, SpoolLimits, SpoolStats, StoredId, output_of,
};
use serde_json::json;

use super::{Exit, Failure, output::print_line};
use crate::config::DataDirectory;

/// How much of a refusal is shown in a list, in bytes.
const MAX_SHOWN: usize = 100;

const EXAMPLES: &str = "\
Examples:
  pattoo-wasm spool stats
  pattoo-wasm spool list --quarantined
  pattoo-wasm spool show 17 --body | python3 -m json.tool
  pattoo-wasm spool retry --quarantined

Each works beside a running daemon or `run --post`. The spool is that of the pattoo.yaml in PATTOO_CONFIGDIR or /etc/pattoo,
else that of this user.";

/// Arguments of `spool`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List bodies, oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// Show at most so many
        #[arg(long, value_name = "COUNT", default_value = "1000")]
        limit: u32,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show one body
    Show {
        /// Its number in the list
        id: i64,
        /// Print what is posted, and nothing else
        #[arg(long)]
        body: bool,
    },
    /// Put bodies back into the queue, with nothing held against them
    Retry(Chosen),
    /// Delete bodies for good
    Drop(Chosen),
    /// Count what waits, what was set aside, and what became of the rest
    Stats {
        /// As one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Which bodies.
#[derive(Debug, clap::Args)]
struct Which {
    /// Only those in quarantine
    #[arg(long)]
    quarantined: bool,
    /// Only those of this program
    #[arg(long, value_name = "NAME")]
    program: Option<String>,
    /// Only those for the server with this base URL
    #[arg(long, value_name = "URL")]
    server: Option<ServerUrl>,
}

/// Which bodies something is done to: some must be named.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("chosen").required(true).multiple(true).args(["ids", "all", "quarantined", "program", "server"]))]
struct Chosen {
    /// Their numbers in the list
    #[arg(value_name = "ID", conflicts_with = "all")]
    ids: Vec<i64>,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    which: Which,
}

impl Which {
    fn selection(self, ids: Vec<i64>) -> Result<Selection, SpoolError> {
        Ok(Selection {
            ids: ids.into_iter().map(StoredId).collect(),
            quarantined: self.quarantined.then_some(true),
            program: self.program,
            output: self.server.as_ref().map(output_of).transpose()?,
        })
    }
}

pub(super) async fn spool(args: Args) -> Result<Exit, Failure> {
    let directory = DataDirectory::find()?;
    let path = directory.spool();
    // Looking must not make one, owned by whoever happens to look.
    if !path.exists() {
        return Err(Failure::usage(format!("there is no spool at {}", path.display())).help(
            "set PATTOO_CONFIGDIR to the directory of the pattoo.yaml that the agent uses, or be the agent's user",
        ));
    }
    let spool = Spool::open(&path, SpoolLimits::default())?;
    match args.command {
        Command::List { which, limit, json } => {
            let entries = spool.list(which.selection(Vec::new())?, limit).await?;
            let now = unix_millis();
            if !json {
                print_line(HEAD)?;
            }
            for entry in &entries {
                print_line(if json { as_json(entry).to_string() } else { row(entry, now) })?;
            }
        }
        Command::Show { id, body } => {
            let found = spool.show(StoredId(id)).await?;
            let found = found.ok_or_else(|| not_there(&[StoredId(id)], &Selection::default()))?;
            if body {
                print_line(&found.bytes)?;
            } else {
                print_line(described(&found.info, found.intact))?;
            }
        }
        Command::Retry(Chosen { ids, which, .. }) => {
            let selection = which.selection(ids)?;
            all_there(&spool, &selection).await?;
            let retried = spool.retry(selection).await?;
            print_line(format!("{} in the queue", bodies(retried.queued)))?;
            if !retried.damaged.is_empty() {
                let are = if retried.damaged.len() == 1 { "is" } else { "are" };
                return Err(Failure::usage(format!(
                    "{} {are} damaged on disk: not what was stored, and not tried again",
                    named(&retried.damaged)
                ))
                .help("`pattoo-wasm spool show ID --body` prints what is left of one, `pattoo-wasm spool drop ID` deletes it"));
            }
        }
        Command::Drop(Chosen { ids, which, .. }) => {
            let selection = which.selection(ids)?;
            all_there(&spool, &selection).await?;
            let count = spool.delete(selection).await?;
            print_line(format!("{} deleted", bodies(count)))?;
        }
        Command::Stats { json } => {
            let stats = spool.stats().await?;
            print_line(if json { stats_json(&stats) } else { stats_text(&stats) })?;
        }
    }
    Ok(Exit::Good)
}

const HEAD: &str = "    ID  STATUS         AGE  REFUSED  DATAPOINTS      BYTES  PROGRAM               SERVER                          REFUSAL";

fn status(entry: &PayloadInfo) -> &'static str {
    if entry.quarantined { "quarantined" } else { "queued" }
}

/// A body as a line whose columns are separated by spaces, the last of them text.
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
    line("server", &entry.output);
    line("built", &time(entry.created));
    line("stored", &time(entry.stored));
    line("datapoints", &entry.count.to_string());
    line("bytes", &entry.bytes.to_string());
    line("refused", &format!("{} times", entry.attempts));
    if let Some(refusal) = &entry.refusal {
        line("refusal", &one_line(refusal, usize::MAX));
    }
    line("intact", if intact { "yes" } else { "no: it is not what was stored" });
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

fn bodies(count: u64) -> String {
    counted(count, "body", "bodies")
}

/// `body 17`, `bodies 17, 18`.
fn named(ids: &[StoredId]) -> String {
    let numbers: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "body" } else { "bodies" }, numbers.join(", "))
}

/// That each body that was named is there, and is one of those that are meant.
async fn all_there(spool: &Spool, selection: &Selection) -> Result<(), Failure> {
    if selection.ids.is_empty() {
        return Ok(());
    }
    let there: HashSet<StoredId> =
        spool.list(selection.clone(), u32::MAX).await?.into_iter().map(|entry| entry.id).collect();
    let missing: Vec<StoredId> = selection.ids.iter().copied().filter(|id| !there.contains(id)).collect();
    if missing.is_empty() { Ok(()) } else { Err(not_there(&missing, selection)) }
}

fn not_there(ids: &[StoredId], selection: &Selection) -> Failure {
    let narrowed = selection.quarantined.is_some() || selection.program.is_some() || selection.output.is_some();
    let of = if narrowed { " of this status, program and server" } else { "" };
    Failure::usage(format!("there {} no {}{of} in the spool", if ids.len() == 1 { "is" } else { "are" }, named(ids)))
        .help("it may have been delivered in the meantime; `pattoo-wasm spool list` shows what is there")
}

/// An age in its largest unit, without a space in it.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds.div_euclid(60)),
        7_200..172_800 => format!("{}h", seconds.div_euclid(3_600)),
        _ => format!("{}d", seconds.div_euclid(86_400)),
    }
}
