//! Sends the payloads of one queue, oldest first, and decides what an answer means.
//!
//! *Is it the output or the payload?* Pattoo answers 404 or 500 to a bad body and to a good one when it has a problem of its own.
//! The two are told apart by comparison: each refusal of a payload counts as a strike only when the same output accepted another
//! payload since the strike before, and five strikes put it into quarantine. An outage of whatever length accepts nothing and so
//! adds none. The same rule holds for answers that speak of the payload (400, 413, 415, 422): a server or proxy that is set up
//! wrongly gives those to all.
//!
//! *Answers that seem to be about the output* (401, 403, 408, 429, 502, 503, 504, a connection that breaks or is silent) are
//! counted against a payload as well, with more care: the first one never counts, a later one only when since the one before the
//! output accepted something and gave no such answer to a queue that had none yet. A server that is overloaded answers so to
//! all, and then nothing counts. Those that a busy server gives must also have continued for ten minutes.
//!
//! *A queue alone.* Where nothing else is sent to that output, a bad payload would block its queue for ever. After an hour of
//! refusals the payload behind it is sent before it. If that is accepted, it is the comparison that was missing. For that one
//! payload order is given up; it is the only case. The hour is the wall clock's, so it takes as many refusals as strikes as well.
//!
//! *Too large.* A payload that is answered 413 is divided and sent in parts, in order; it is deleted once all of them were
//! accepted. The size that was refused is remembered for a while, so that what is larger is divided at once.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pattoo_base::{lock::lock, log_folding::FaultLog};
use pattoo_measurement::AgentId;
use pattoo_spool::{InvalidName, Judgement, OutputId, QueueId, QueuedPayload, Refusal, Spool, SpoolError, StoredId};

use super::{
    DeliverySettings,
    turn::{Doubt, End, Turn},
};
use crate::{
    NamedOutput, Output, agent_key,
    output_type::{Client, SendError, Verdict},
};

/// How long to wait before another attempt to delete what was delivered.
const DELETE_WAIT: Duration = Duration::from_secs(1);
/// How long a turn goes on to another payload, so that one queue does not keep its slot.
const TURN: Duration = Duration::from_secs(2);
/// An output that takes longer for a payload is slow.
const SLOW: Duration = Duration::from_secs(1);
/// How often a command looks at a queue that another process sends from.
const LOCKED_WAIT: Duration = Duration::from_millis(50);
/// How long a size that was refused is remembered: the configuration of a proxy may change.
const TOO_LARGE_FOR: Duration = Duration::from_hours(1);
/// The parts of a payload differ by more in their timestamps than those into which it was divided when it was made: as many
/// divisions are left to those.
const DEPTH: u32 = 6;

/// Sends payloads to their outputs. It keeps the connections.
#[derive(Debug)]
pub(super) struct Sender {
    spool: Spool,
    settings: DeliverySettings,
    configured: Mutex<HashMap<OutputId, Output>>,
    clients: Mutex<HashMap<OutputId, Arc<dyn Client>>>,
    answers: Mutex<HashMap<OutputId, Answers>>,
}

/// What is known of an output by its answers.
#[derive(Debug, Default)]
struct Answers {
    /// How often a queue got an answer that seems to be about the output, and had none before.
    newly: u64,
    doubtful: HashMap<QueueId, DoubtfulAnswer>,
    /// The smallest size that was refused as too large, and when.
    too_large: Option<(usize, Instant)>,
}

impl Answers {
    /// The smallest size that was refused as too large not long ago, and when.
    fn known_too_large(&self) -> Option<(usize, Instant)> {
        self.too_large.filter(|(_, at)| at.elapsed() < TOO_LARGE_FOR)
    }
}

/// A queue whose payload was answered so.
#[derive(Debug)]
struct DoubtfulAnswer {
    payload: StoredId,
    since: Instant,
    /// [`Answers::newly`] at the last answer.
    newly: u64,
}

/// Whether an answer that seems to be about the output may be counted against the payload.
struct Evidence {
    /// No queue that had no such answer got one since the last time.
    counts: bool,
    /// How long this has continued.
    for_so_long: Duration,
}

/// What became of one payload.
enum Sent {
    Delivered,
    Quarantined,
    Stop(End),
}

impl Sender {
    pub(super) fn new(spool: Spool, settings: DeliverySettings) -> Self {
        let configured = Mutex::new(by_id(&settings.outputs));
        Self { spool, settings, configured, clients: Mutex::default(), answers: Mutex::default() }
    }

    /// Sends to these outputs from now on. Outputs whose settings changed get another client, and what their answers told is
    /// forgotten.
    pub(super) fn configure(&self, outputs: &[NamedOutput]) {
        // Both are held, in the order of `client`, so that no client is made of the previous settings meanwhile.
        let mut clients = lock(&self.clients);
        let mut configured = lock(&self.configured);
        let before = std::mem::replace(&mut *configured, by_id(outputs));
        clients.retain(|id, _| {
            let is_same = find(&configured, id) == find(&before, id);
            if !is_same {
                lock(&self.answers).remove(id);
            }
            is_same
        });
    }

    /// One turn of a queue: some of its payloads, in their order, until one is not accepted.
    pub(super) async fn work(&self, queue: &QueueId) -> Turn {
        let mut turn = Turn::of(End::More);
        turn.end = match self.turn(queue, &mut turn).await {
            Ok(end) => end,
            Err(error) => {
                turn.help = None;
                End::Failed { text: error.to_string() }
            }
        };
        turn
    }

    async fn turn(&self, queue: &QueueId, turn: &mut Turn) -> Result<End, SpoolError> {
        let locked = match self.spool.lock(queue) {
            Ok(Some(locked)) => locked,
            Ok(None) => return Ok(End::Locked),
            Err(error) => return Ok(End::Failed { text: format!("cannot lock a queue: {error}") }),
        };
        let client = match self.client(&queue.output) {
            Ok(client) => client,
            Err(SendError { text, help, .. }) => {
                turn.help = help;
                return Ok(End::Unavailable { text });
            }
        };
        let payloads = self.spool.next(queue).await?;
        if payloads.is_empty() {
            return Ok(End::Empty);
        }
        let begun = Instant::now();
        let mut rest = payloads.into_iter().peekable();
        while let Some(payload) = rest.next() {
            if !payload.is_intact(queue) {
                tracing::error!("{}: payload {} is damaged on disk and in quarantine", payload.program, payload.id);
                self.spool.quarantine(payload.id, "damaged on disk: the content differs from what was stored").await?;
                continue;
            }
            match self.send(&*client, queue, &payload, false, turn).await? {
                Sent::Delivered | Sent::Quarantined => {}
                Sent::Stop(End::Refused { .. } | End::Doubtful { .. })
                    if self.is_lonely(&payload) && rest.peek().is_some() =>
                {
                    let Some(behind) = rest.next() else { break };
                    if let Sent::Stop(end) = self.send(&*client, queue, &behind, true, turn).await? {
                        return Ok(end);
                    }
                    if let Sent::Stop(end) = self.send(&*client, queue, &payload, false, turn).await? {
                        return Ok(end);
                    }
                }
                Sent::Stop(end) => return Ok(end),
            }
            if begun.elapsed() > TURN {
                break;
            }
        }
        drop(locked);
        Ok(End::More)
    }

    /// Sends one payload, and records what became of it. `overtaking` is one that goes before an older one.
    async fn send(
        &self,
        client: &dyn Client,
        queue: &QueueId,
        payload: &QueuedPayload,
        overtaking: bool,
        turn: &mut Turn,
    ) -> Result<Sent, SpoolError> {
        tracing::trace!("sending payload {}", payload.id);
        let begun = Instant::now();
        let sent = self.send_parts(client, queue, &payload.bytes).await;
        turn.slow = Some(turn.slow.unwrap_or(false) || begun.elapsed() > SLOW);
        let Err(error) = sent else {
            tracing::trace!("payload {} was accepted", payload.id);
            turn.accepted = true;
            if !overtaking {
                self.answers(&queue.output, |answers| answers.doubtful.remove(queue));
            }
            // What was accepted must not be sent again, so nothing else happens until it is gone.
            let mut faults = FaultLog::default();
            while let Err(error) = self.spool.delivered(payload.id, &queue.output).await {
                let (program, id) = (&payload.program, payload.id);
                let text = format!("{program}: cannot delete payload {id}, which was delivered: {error}");
                if let Some(line) = faults.failed(Instant::now(), &text) {
                    tracing::error!("{line}");
                }
                tokio::time::sleep(DELETE_WAIT).await;
            }
            if let Some(over) = faults.works(Instant::now()) {
                tracing::info!("payload {} is deleted; over: {over}", payload.id);
            }
            tracing::debug!("{}: {} datapoints delivered (payload {})", payload.program, payload.count, payload.id);
            return Ok(Sent::Delivered);
        };
        turn.help.clone_from(&error.help);
        self.not_accepted(queue, payload, error).await
    }

    /// Records that a payload was not accepted.
    async fn not_accepted(
        &self,
        queue: &QueueId,
        payload: &QueuedPayload,
        error: SendError,
    ) -> Result<Sent, SpoolError> {
        let SendError { verdict, text, retry_after, .. } = error;
        let program = payload.program.clone();
        let strikes = self.settings.strikes;
        let refusal = |of_the_payload, first_counts, strikes| Refusal {
            text: text.clone(),
            of_the_payload,
            first_counts,
            strikes,
        };
        let (refusal, end) = match verdict {
            Verdict::Unavailable => return Ok(Sent::Stop(End::Unavailable { text })),
            Verdict::Refused | Verdict::TooLarge => {
                (refusal(true, true, strikes), End::Refused { program, retry_after, text: text.clone() })
            }
            Verdict::Busy | Verdict::Unauthorised => {
                let busy = verdict == Verdict::Busy;
                let Evidence { counts, for_so_long } = self.evidence(queue, payload.id);
                let enough = if busy && for_so_long < self.settings.busy_for { u32::MAX } else { strikes };
                let what = if busy { Doubt::Busy } else { Doubt::Unauthorised };
                let end = End::Doubtful { what, program, retry_after, text: text.clone() };
                (refusal(counts, false, enough), end)
            }
        };
        if self.spool.refused(payload.id, &queue.output, refusal).await? == Judgement::Quarantined {
            tracing::error!(
                "{}: payload {} was refused {strikes} times while others were accepted, and is in quarantine: {text}",
                payload.program,
                payload.id,
            );
            return Ok(Sent::Quarantined);
        }
        Ok(Sent::Stop(end))
    }

    /// Sends a payload: whole, or in parts if it is too large.
    async fn send_parts(&self, client: &dyn Client, queue: &QueueId, bytes: &[u8]) -> Result<(), SendError> {
        let mut left = vec![(Cow::Borrowed(bytes), DEPTH)];
        while let Some((part, depth)) = left.pop() {
            // The last is the next to be sent.
            let divided = || {
                let [first, second] = client.split(&part, depth)?.map(|half| Cow::Owned(half.bytes));
                let deeper = depth.saturating_add(1);
                Some([(second, deeper), (first, deeper)])
            };
            if self.is_too_large(&queue.output, part.len())
                && let Some(halves) = divided()
            {
                left.extend(halves);
                continue;
            }
            match client.send(queue, part.to_vec()).await {
                Err(error) if error.verdict == Verdict::TooLarge => {
                    let Some(halves) = divided() else { return Err(error) };
                    self.note_too_large(&queue.output, part.len());
                    left.extend(halves);
                }
                sent => sent?,
            }
        }
        Ok(())
    }

    /// Whether the output refused something of this size not long ago.
    fn is_too_large(&self, output: &OutputId, bytes: usize) -> bool {
        self.answers(output, |answers| answers.known_too_large().is_some_and(|(size, _)| bytes >= size))
    }

    fn note_too_large(&self, output: &OutputId, bytes: usize) {
        self.answers(output, |answers| {
            let known = answers.known_too_large();
            let smallest = known.map_or(bytes, |(size, _)| size.min(bytes));
            answers.too_large = Some((smallest, known.map_or_else(Instant::now, |(_, at)| at)));
        });
    }

    /// Takes note of an answer to a queue's payload that seems to be about the output.
    fn evidence(&self, queue: &QueueId, payload: StoredId) -> Evidence {
        self.answers(&queue.output, |answers| {
            let before = answers.doubtful.remove(queue);
            if before.is_none() {
                answers.newly = answers.newly.saturating_add(1);
            }
            let newly = answers.newly;
            let before = before.filter(|answer| answer.payload == payload);
            let counts = before.as_ref().is_some_and(|answer| answer.newly == newly);
            let since = before.map_or_else(Instant::now, |answer| answer.since);
            answers.doubtful.insert(queue.clone(), DoubtfulAnswer { payload, since, newly });
            Evidence { counts, for_so_long: since.elapsed() }
        })
    }

    fn answers<T>(&self, output: &OutputId, with: impl FnOnce(&mut Answers) -> T) -> T {
        let mut answers = lock(&self.answers);
        if let Some(answers) = answers.get_mut(output) {
            return with(answers);
        }
        with(answers.entry(output.clone()).or_default())
    }

    /// Whether a payload has been refused for so long that the one behind it is tried.
    fn is_lonely(&self, payload: &QueuedPayload) -> bool {
        let now = i64::try_from(pattoo_base::clock::unix_millis()).unwrap_or(i64::MAX);
        let patience = i64::try_from(self.settings.lonely_after.as_millis()).unwrap_or(i64::MAX);
        payload.attempts >= i64::from(self.settings.strikes)
            && payload.refused_since.is_some_and(|since| now.saturating_sub(since) >= patience)
    }

    /// What the clock of a server was when this machine started, by the last answer of it; of several, the earliest.
    pub(super) fn server_clock(&self) -> Option<i64> {
        lock(&self.clients).values().filter_map(|client| client.clock_at_boot()).min()
    }

    fn client(&self, id: &OutputId) -> Result<Arc<dyn Client>, SendError> {
        let mut clients = lock(&self.clients);
        if let Some(client) = clients.get(id) {
            return Ok(Arc::clone(client));
        }
        let output = find(&lock(&self.configured), id).ok_or_else(|| SendError {
            verdict: Verdict::Unavailable,
            text: format!(
                "the output `{id}` is no longer configured; its payloads stay in the spool until they are too old"
            ),
            help: None,
            retry_after: None,
        })?;
        let client = output.settings().connect(&self.settings.client_options())?;
        clients.insert(id.clone(), Arc::clone(&client));
        Ok(client)
    }
}

fn by_id(outputs: &[NamedOutput]) -> HashMap<OutputId, Output> {
    outputs.iter().map(|output| (output.id(), output.output.clone())).collect()
}

/// The output of this id: as it is configured, or as its id says.
fn find(configured: &HashMap<OutputId, Output>, id: &OutputId) -> Option<Output> {
    configured.get(id).cloned().or_else(|| Output::unconfigured(id))
}

/// Why a payload is still in the spool.
#[derive(Debug, thiserror::Error)]
pub enum NotDelivered {
    /// The output did not accept it, or one that was stored before it.
    #[error("{text}")]
    Refused {
        /// What it answered.
        text: String,
        /// What can be done about it.
        help: Option<String>,
    },
    /// It was put into quarantine.
    #[error("payload {0} is in quarantine: {1}")]
    Quarantined(StoredId, String),
    /// There was not enough time for all that was stored before it.
    #[error("there was not enough time to send all payloads that were stored before it")]
    Time,
    /// The agent has no queue.
    #[error(transparent)]
    Agent(#[from] InvalidName),
    /// The spool failed.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Delivers the payloads of an agent up to `id`, oldest first, within `bound`: for a command, beside a daemon or without one.
///
/// # Errors
///
/// When the payload was not delivered. It is in the spool then.
pub async fn deliver_now(
    spool: &Spool,
    settings: DeliverySettings,
    agent: &AgentId,
    output: &OutputId,
    id: StoredId,
    bound: Duration,
) -> Result<(), NotDelivered> {
    let sender = Sender::new(spool.clone(), settings);
    let queue = QueueId { output: output.clone(), agent: agent_key(agent)? };
    let work = async {
        loop {
            let Turn { end, help, .. } = sender.work(&queue).await;
            let Some(found) = spool.show(id).await? else { return Ok(()) };
            if found.info.quarantined {
                return Err(NotDelivered::Quarantined(id, found.info.refusal.unwrap_or_default()));
            }
            if let Some(text) = end.problem() {
                return Err(NotDelivered::Refused { text: text.to_owned(), help });
            }
            if end == End::Locked {
                tokio::time::sleep(LOCKED_WAIT).await;
            }
        }
    };
    tokio::time::timeout(bound, work).await.unwrap_or(Err(NotDelivered::Time))
}
