//! What pattoo's own agents left behind: the bodies that they could not post.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use pattoo_base::{
    files,
    text::{counted, one_line},
};
use pattoo_measurement::{AgentId, Program};
use pattoo_spool::{NewPayload, QueueId, Spool, SpoolError};
use serde::Deserialize;
use serde_json::Value;

use super::{CONTENT_TYPE, ServerUrl};
use crate::agent_key;

/// The largest file that is treated as a payload, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// What became of the files.
#[derive(Debug, Default)]
pub struct Takeover {
    /// How many are in the spool now, and no longer in the cache directory.
    pub taken: usize,
    /// Those that were left where they are, each with the reason.
    pub left: Vec<(PathBuf, String)>,
}

/// A body as the server checks it: these four keys and no others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Foreign {
    pattoo_agent_timestamp: u64,
    pattoo_agent_id: String,
    #[serde(rename = "pattoo_agent_polling_interval")]
    _polling_interval: u64,
    pattoo_datapoints: Datapoints,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Datapoints {
    key_value_pairs: BTreeMap<String, (String, Value)>,
    datapoint_pairs: Vec<Vec<u64>>,
}

/// Takes over `<cache_directory>/<agent>/<Unix ms>_<agent>.json`, the backlog of one of pattoo's own agents, oldest first.
///
/// Each file is removed once its body is on disk in the spool. One that is no valid body stays where it is; that is logged. Call it
/// before the agent's first collection, so that the backlog goes out before fresh data.
///
/// # Errors
///
/// When the spool fails; what was taken until then is safe.
pub async fn take_over(
    spool: &Spool,
    cache_directory: &Path,
    agent: &AgentId,
    program: &Program,
    server: &ServerUrl,
) -> Result<Takeover, SpoolError> {
    let folder = cache_directory.join(agent.as_str());
    let mut takeover = Takeover::default();
    let Ok(agent_key) = agent_key(agent) else { return Ok(takeover) };
    let queue = QueueId { output: server.id().clone(), agent: agent_key };
    let files = match found(&folder, agent) {
        Ok(files) => files,
        Err(error) => {
            tracing::error!("{program}: cannot import the backlog of {}: {error}", folder.display());
            takeover.left.push((folder, error.to_string()));
            return Ok(takeover);
        }
    };
    for path in files.into_values() {
        let leave = match read(&path, agent) {
            Ok((json, body)) => {
                let payload = NewPayload {
                    queue: queue.clone(),
                    program: program.to_string(),
                    epoch: 0,
                    content_type: CONTENT_TYPE.into(),
                    encoding: "".into(),
                    count: body.pattoo_datapoints.datapoint_pairs.len() as u64,
                    created: i64::try_from(body.pattoo_agent_timestamp).unwrap_or(i64::MAX),
                    bytes: json,
                };
                // Once: a process that was killed before it removed the file finds the body in the spool.
                spool.store_once(payload).await?;
                fs::remove_file(&path)
                    .err()
                    .map(|error| format!("it was imported, but the file cannot be removed: {error}"))
            }
            Err(reason) => Some(reason),
        };
        match leave {
            None => takeover.taken = takeover.taken.saturating_add(1),
            Some(reason) => {
                tracing::warn!("{program}: {} is not imported: {reason}", path.display());
                takeover.left.push((path, reason));
            }
        }
    }
    if takeover.taken > 0 {
        tracing::info!(
            "{program}: imported {} from {}",
            counted(takeover.taken as u64, "payload", "payloads"),
            folder.display()
        );
    }
    Ok(takeover)
}

/// The files of that name, by their time.
fn found(folder: &Path, agent: &AgentId) -> io::Result<BTreeMap<(u64, PathBuf), PathBuf>> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    // A user who can write there can have anything delivered in this agent's name.
    files::refuse_exposed(folder)?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let time = name
            .to_str()
            .and_then(|name| name.strip_suffix(".json")?.strip_suffix(agent.as_str())?.strip_suffix('_')?.parse().ok());
        if let Some(time) = time {
            found.insert((time, entry.path()), entry.path());
        }
    }
    Ok(found)
}

/// Reads a file that holds a valid body of `agent`.
fn read(path: &Path, agent: &AgentId) -> Result<(Vec<u8>, Foreign), String> {
    let file = files::open_no_follow(path).map_err(|error| error.to_string())?;
    files::refuse_exposed(path).map_err(|exposure| format!("{exposure}; {}", exposure.help()))?;
    let json = files::read_open(&file, MAX_FILE).map_err(|error| error.to_string())?;
    let body: Foreign =
        serde_json::from_slice(&json).map_err(|error| one_line(&format!("it is not a payload: {error}"), 300))?;
    if body.pattoo_agent_id != agent.as_str() {
        return Err("it is a payload of another agent".to_owned());
    }
    let pairs = &body.pattoo_datapoints.key_value_pairs;
    let ids = body.pattoo_datapoints.datapoint_pairs.iter().flatten();
    match ids.copied().find(|id| !pairs.contains_key(&id.to_string())) {
        Some(id) => Err(format!("it refers to the id {id}, which it does not define")),
        None => Ok((json, body)),
    }
}
