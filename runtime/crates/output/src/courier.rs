//! One agent's bodies on their way to the server, oldest first, and what an answer means.
//!
//! *Outage or poison?* Pattoo answers 404 or 500 to a bad body and to a good one when it is in trouble. The two are told apart by
//! company: each refusal of a body counts as a strike only when the same server took another body since the strike before, and
//! five strikes put it into quarantine. An outage of whatever length accepts nothing and so adds none. The same rule holds for
//! answers that speak of the body (400, 413, 415, 422): a server or proxy that is set up wrongly gives those to everybody.
//!
//! *Answers that seem to be about the server* (401, 403, 408, 429, 502, 503, 504, a connection that breaks or is silent) are held against a
//! body as well, with more care: the first one never counts, a later one only when since the one before the server took something and gave no
//! such answer to an agent that was in no such trouble yet. A server that is overloaded answers so to anybody, and then nothing counts.
//! Those that a busy server gives must also have gone on for ten minutes.
//!
//! *A queue without company.* Where nobody else posts to that server, a bad body would block its agent's queue for ever. After an hour
//! of refusals the body behind it is posted before it. If that is taken, it is the company that was missing. For that one body order is
//! given up; it is the only case. The hour is the wall clock's, so it takes as many refusals as strikes as well.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use pattoo_base::{secret::Secret, tls::Trust};
use pattoo_measurement::AgentId;
use pattoo_spool::{Judgement, QueuedPayload, Refusal};

use super::{
    Lane, PostError, Poster, ServerUrl, Spool, SpoolError, StoredId, Verdict,
    lane::output_of,
    lanes::{Doubt, End, Turn},
};

/// How long to wait before another try to delete what was delivered.
const DELETE_WAIT: Duration = Duration::from_secs(1);
/// How long a turn goes on to another body, so that one queue does not keep its slot.
const TURN: Duration = Duration::from_secs(2);
/// A server that takes longer for a body is slow.
const SLOW: Duration = Duration::from_secs(1);
/// How often a lane that another process works on is looked at by a command.
const ELSEWHERE_WAIT: Duration = Duration::from_millis(50);

/// How bodies are delivered.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// How many agents' bodies are on their way at the same time.
    pub parallel: usize,
    /// How long a post may take, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// A bearer token, and the only server that it is shown to.
    pub token: Option<(ServerUrl, Secret)>,
    /// Whose certificates are believed.
    pub trust: Trust,
    /// The longest wait between two tries, whatever a server asks for.
    pub longest_wait: Duration,
    /// How many strikes put a body into quarantine.
    pub strikes: u32,
    /// How long a body is refused before the one behind it is tried, where there is no other company.
    pub lonely_after: Duration,
    /// How long a body is answered as by a server that is busy, before that puts it into quarantine.
    pub busy_for: Duration,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            parallel: 32,
            timeout: Duration::from_secs(30),
            token: None,
            trust: Trust::default(),
            longest_wait: Duration::from_mins(5),
            strikes: 5,
            lonely_after: Duration::from_hours(1),
            busy_for: Duration::from_mins(10),
        }
    }
}

/// Takes bodies to their servers. It keeps the connections.
#[derive(Debug)]
pub(super) struct Courier {
    spool: Spool,
    settings: DeliverySettings,
    posters: Mutex<HashMap<ServerUrl, Poster>>,
    companies: Mutex<HashMap<ServerUrl, Company>>,
}

/// Who got answers that seem to be about the server.
#[derive(Debug, Default)]
struct Company {
    /// How often that was an agent which was in no such trouble yet.
    newly: u64,
    in_trouble: HashMap<Lane, Trouble>,
}

/// An agent whose body was answered so.
#[derive(Debug)]
struct Trouble {
    body: StoredId,
    since: Instant,
    /// [`Company::newly`] at the last answer.
    newly: u64,
}

/// Whether an answer that seems to be about the server may be held against the body.
struct Evidence {
    /// No agent that was in no trouble was answered so since the last time.
    counts: bool,
    /// How long this has gone on.
    for_so_long: Duration,
}

/// What came of one body.
enum Posted {
    Delivered,
    Quarantined,
    Stop(End),
}

impl Courier {
    pub(super) fn new(spool: Spool, settings: DeliverySettings) -> Self {
        Self { spool, settings, posters: Mutex::default(), companies: Mutex::default() }
    }

    /// One turn of a lane: some of its bodies, in their order, until one is not taken.
    pub(super) async fn work(&self, lane: &Lane) -> Turn {
        let mut turn = Turn::of(End::More);
        turn.end = match self.turn(lane, &mut turn).await {
            Ok(end) => end,
            Err(error) => End::Trouble { text: error.to_string() },
        };
        turn
    }

    async fn turn(&self, lane: &Lane, turn: &mut Turn) -> Result<End, SpoolError> {
        let queue = lane.queue()?;
        let locked = match self.spool.lock(&queue) {
            Ok(Some(locked)) => locked,
            Ok(None) => return Ok(End::Elsewhere),
            Err(error) => return Ok(End::Trouble { text: format!("a queue cannot be locked: {error}") }),
        };
        let poster = match self.poster(&lane.server) {
            Ok(poster) => poster,
            Err(error) => return Ok(End::Away { text: error.to_string() }),
        };
        let bodies = self.spool.next(&queue).await?;
        if bodies.is_empty() {
            return Ok(End::Empty);
        }
        let begun = Instant::now();
        let mut rest = bodies.into_iter().peekable();
        while let Some(body) = rest.next() {
            if !body.is_intact(&queue) {
                tracing::error!("{}: body {} is damaged on disk and set aside", body.program, body.id);
                self.spool.quarantine(body.id, "damaged on disk: it is not what was stored").await?;
                continue;
            }
            match self.post(&poster, lane, &body, false, turn).await? {
                Posted::Delivered | Posted::Quarantined => {}
                Posted::Stop(End::Refused { .. } | End::Doubtful { .. })
                    if self.is_lonely(&body) && rest.peek().is_some() =>
                {
                    let Some(behind) = rest.next() else { break };
                    if let Posted::Stop(end) = self.post(&poster, lane, &behind, true, turn).await? {
                        return Ok(end);
                    }
                    if let Posted::Stop(end) = self.post(&poster, lane, &body, false, turn).await? {
                        return Ok(end);
                    }
                }
                Posted::Stop(end) => return Ok(end),
            }
            if begun.elapsed() > TURN {
                break;
            }
        }
        drop(locked);
        Ok(End::More)
    }

    /// Posts one body, and writes down what came of it. `overtaking` is one that goes before an older one.
    async fn post(
        &self,
        poster: &Poster,
        lane: &Lane,
        body: &QueuedPayload,
        overtaking: bool,
        turn: &mut Turn,
    ) -> Result<Posted, SpoolError> {
        tracing::trace!("posting body {}", body.id);
        let output = output_of(&lane.server)?;
        let begun = Instant::now();
        let posted = poster.post(&lane.agent, body.bytes.clone()).await;
        turn.slow = Some(turn.slow.unwrap_or(false) || begun.elapsed() > SLOW);
        let Err(error) = posted else {
            tracing::trace!("body {} was taken", body.id);
            turn.accepted = true;
            if !overtaking {
                self.company(&lane.server, |company| company.in_trouble.remove(lane));
            }
            // What was taken must not be posted again, so nothing else happens until it is gone.
            while let Err(error) = self.spool.delivered(body.id, &output).await {
                tracing::error!("{}: body {} was delivered and cannot be deleted: {error}", body.program, body.id);
                tokio::time::sleep(DELETE_WAIT).await;
            }
            tracing::debug!("{}: {} datapoints delivered (body {})", body.program, body.count, body.id);
            return Ok(Posted::Delivered);
        };
        let (verdict, text, retry_after) = (error.verdict(), error.to_string(), error.retry_after());
        let program = body.program.clone();
        let strikes = self.settings.strikes;
        let refusal = |of_the_payload, first_counts, strikes| Refusal {
            text: text.clone(),
            of_the_payload,
            first_counts,
            strikes,
        };
        let (refusal, end) = match verdict {
            Verdict::Away => return Ok(Posted::Stop(End::Away { text })),
            Verdict::Refused => {
                (refusal(true, true, strikes), End::Refused { program, retry_after, text: text.clone() })
            }
            Verdict::Busy | Verdict::Unauthorised => {
                let busy = verdict == Verdict::Busy;
                let Evidence { counts, for_so_long } = self.evidence(lane, body.id);
                let enough = if busy && for_so_long < self.settings.busy_for { u32::MAX } else { strikes };
                let what = if busy { Doubt::Busy } else { Doubt::Unauthorised };
                let end = End::Doubtful { what, program, retry_after, text: text.clone() };
                (refusal(counts, false, enough), end)
            }
        };
        if self.spool.refused(body.id, &output, refusal).await? == Judgement::Quarantined {
            tracing::error!(
                "{}: body {} was refused {strikes} times while others were taken, and is in quarantine: {text}",
                body.program,
                body.id,
            );
            return Ok(Posted::Quarantined);
        }
        Ok(Posted::Stop(end))
    }

    /// Takes note of an answer to a lane's body that seems to be about the server.
    fn evidence(&self, lane: &Lane, body: StoredId) -> Evidence {
        self.company(&lane.server, |company| {
            let before = company.in_trouble.remove(lane);
            if before.is_none() {
                company.newly = company.newly.saturating_add(1);
            }
            let newly = company.newly;
            let before = before.filter(|trouble| trouble.body == body);
            let counts = before.as_ref().is_some_and(|trouble| trouble.newly == newly);
            let since = before.map_or_else(Instant::now, |trouble| trouble.since);
            company.in_trouble.insert(lane.clone(), Trouble { body, since, newly });
            Evidence { counts, for_so_long: since.elapsed() }
        })
    }

    fn company<T>(&self, server: &ServerUrl, with: impl FnOnce(&mut Company) -> T) -> T {
        let mut companies = self.companies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(company) = companies.get_mut(server) {
            return with(company);
        }
        with(companies.entry(server.clone()).or_default())
    }

    /// Whether a body has been refused for so long that the one behind it is tried.
    fn is_lonely(&self, body: &QueuedPayload) -> bool {
        let now = i64::try_from(pattoo_base::clock::unix_millis()).unwrap_or(i64::MAX);
        let patience = i64::try_from(self.settings.lonely_after.as_millis()).unwrap_or(i64::MAX);
        body.attempts >= i64::from(self.settings.strikes)
            && body.refused_since.is_some_and(|since| now.saturating_sub(since) >= patience)
    }

    /// What the clock of a server was when this machine started, by the last answer of it; of several, the earliest.
    pub(super) fn server_clock(&self) -> Option<i64> {
        let posters = self.posters.lock().unwrap_or_else(PoisonError::into_inner);
        posters.values().filter_map(Poster::clock_at_boot).min()
    }

    fn poster(&self, server: &ServerUrl) -> Result<Poster, PostError> {
        let mut posters = self.posters.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(poster) = posters.get(server) {
            return Ok(poster.clone());
        }
        let token = self.settings.token.as_ref().filter(|(to, _)| to == server).map(|(_, token)| token.clone());
        let poster = Poster::new(server.clone(), token, &self.settings.trust, self.settings.timeout)?;
        posters.insert(server.clone(), poster.clone());
        Ok(poster)
    }
}

/// Why a body is still in the spool.
#[derive(Debug, thiserror::Error)]
pub enum NotDelivered {
    /// The server did not take it, or one that was stored before it.
    #[error("{0}")]
    Refused(String),
    /// It was put into quarantine.
    #[error("body {0} is in quarantine: {1}")]
    Quarantined(StoredId, String),
    /// There was not enough time for all that was stored before it.
    #[error("there was no time left for it, behind what was stored before")]
    Time,
    /// The spool is in trouble.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Delivers the bodies of an agent up to `id`, oldest first, within `bound`: a command's way, beside a daemon or without one.
///
/// # Errors
///
/// When the body was not delivered. It is in the spool then.
pub async fn deliver_now(
    spool: &Spool,
    settings: DeliverySettings,
    agent: &AgentId,
    server: &ServerUrl,
    id: StoredId,
    bound: Duration,
) -> Result<(), NotDelivered> {
    let courier = Courier::new(spool.clone(), settings);
    let lane = Lane { server: server.clone(), agent: agent.clone() };
    let work = async {
        loop {
            let end = courier.work(&lane).await.end;
            let Some(found) = spool.show(id).await? else { return Ok(()) };
            if found.info.quarantined {
                return Err(NotDelivered::Quarantined(id, found.info.refusal.unwrap_or_default()));
            }
            if let Some(text) = end.trouble() {
                return Err(NotDelivered::Refused(text.to_owned()));
            }
            if end == End::Elsewhere {
                tokio::time::sleep(ELSEWHERE_WAIT).await;
            }
        }
    };
    tokio::time::timeout(bound, work).await.unwrap_or(Err(NotDelivered::Time))
}
