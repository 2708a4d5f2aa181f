//! One agent's bodies on their way to the server, oldest first, and what an answer means.
//!
//! *Outage or poison?* Pattoo answers 404 or 500 to a bad body and to a good one when it is in trouble. The two are told apart by
//! company: each refusal of a body counts as a strike only when the same server took another body since the strike before, and
//! five strikes put it into quarantine. An outage of whatever length accepts nothing and so adds none. The same rule holds for
//! answers that speak of the body (400, 413, 415, 422): a server or proxy that is set up wrongly gives those to everybody.
//!
//! *A queue without company.* Where nobody else posts to that server, a bad body would block its agent's queue for ever. After an hour
//! of refusals the body behind it is posted before it. If that is taken, it is the company that was missing. For that one body order is
//! given up; it is the only case.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    Lane, PostError, Poster, ServerUrl, Spool, SpoolError, StoredId, Verdict,
    lanes::End,
    spool::{Judgement, Queued, Refusal},
};
use crate::{
    http::{Secret, Trust},
    pattoo::AgentId,
};

/// How long to wait before another try to delete what was delivered.
const DELETE_WAIT: Duration = Duration::from_secs(1);
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
    /// The longest wait between two tries, but for what a server asks for.
    pub longest_wait: Duration,
    /// How many strikes put a body into quarantine.
    pub strikes: u32,
    /// How long a body is refused before the one behind it is tried, where there is no other company.
    pub lonely_after: Duration,
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
        }
    }
}

/// Takes bodies to their servers. It keeps the connections.
#[derive(Debug)]
pub(super) struct Courier {
    spool: Spool,
    settings: DeliverySettings,
    posters: Mutex<HashMap<ServerUrl, Poster>>,
}

/// What came of one body.
enum Posted {
    Delivered,
    Quarantined,
    Stop(End),
}

impl Courier {
    pub(super) fn new(spool: Spool, settings: DeliverySettings) -> Self {
        Self { spool, settings, posters: Mutex::default() }
    }

    /// One turn of a lane: some of its bodies, in their order, until one is not taken.
    pub(super) async fn work(&self, lane: &Lane) -> End {
        self.turn(lane).await.unwrap_or_else(|error| End::Trouble { text: error.to_string() })
    }

    async fn turn(&self, lane: &Lane) -> Result<End, SpoolError> {
        let locked = match self.spool.take(lane) {
            Ok(Some(locked)) => locked,
            Ok(None) => return Ok(End::Elsewhere),
            Err(error) => return Ok(End::Trouble { text: format!("a queue cannot be locked: {error}") }),
        };
        let poster = match self.poster(&lane.server) {
            Ok(poster) => poster,
            Err(error) => return Ok(End::Away { retry_after: None, text: error.to_string() }),
        };
        let bodies = self.spool.next(lane).await?;
        if bodies.is_empty() {
            return Ok(End::Empty);
        }
        let mut rest = bodies.into_iter().peekable();
        while let Some(body) = rest.next() {
            if !body.is_intact(lane) {
                tracing::error!("{}: body {} is damaged on disk and set aside", body.program, body.id);
                self.spool.quarantine(body.id, "damaged on disk: it is not what was stored").await?;
                continue;
            }
            match self.post(&poster, lane, &body).await? {
                Posted::Delivered | Posted::Quarantined => {}
                Posted::Stop(End::Refused { .. }) if self.is_lonely(&body) && rest.peek().is_some() => {
                    let Some(behind) = rest.next() else { break };
                    if let Posted::Stop(end) = self.post(&poster, lane, &behind).await? {
                        return Ok(end);
                    }
                    if let Posted::Stop(end) = self.post(&poster, lane, &body).await? {
                        return Ok(end);
                    }
                }
                Posted::Stop(end) => return Ok(end),
            }
        }
        drop(locked);
        Ok(End::More)
    }

    /// Posts one body, and writes down what came of it.
    async fn post(&self, poster: &Poster, lane: &Lane, body: &Queued) -> Result<Posted, SpoolError> {
        tracing::trace!("posting body {}", body.id);
        let Err(error) = poster.post(&lane.agent, body.json.clone()).await else {
            tracing::trace!("body {} was taken", body.id);
            // What was taken must not be posted again, so nothing else happens until it is gone.
            while let Err(error) = self.spool.delivered(body.id, &lane.server).await {
                tracing::error!("{}: body {} was delivered and cannot be deleted: {error}", body.program, body.id);
                tokio::time::sleep(DELETE_WAIT).await;
            }
            tracing::debug!("{}: {} datapoints delivered (body {})", body.program, body.datapoints, body.id);
            return Ok(Posted::Delivered);
        };
        let (verdict, text, retry_after) = (error.verdict(), error.to_string(), error.retry_after());
        if matches!(error, PostError::Refused { .. }) {
            let strikes = self.settings.strikes;
            let refusal = Refusal { text: text.clone(), of_the_body: verdict == Verdict::Refused, strikes };
            if self.spool.refused(body.id, &lane.server, refusal).await? == Judgement::Quarantined {
                tracing::error!(
                    "{}: body {} was refused {strikes} times while others were taken, and is in quarantine: {text}",
                    body.program,
                    body.id,
                );
                return Ok(Posted::Quarantined);
            }
        }
        Ok(Posted::Stop(match verdict {
            Verdict::Away => End::Away { retry_after, text },
            Verdict::Unauthorised => End::Unauthorised { text },
            Verdict::Refused => End::Refused { program: body.program.clone(), retry_after, text },
        }))
    }

    /// Whether a body has been refused for so long that the one behind it is tried.
    fn is_lonely(&self, body: &Queued) -> bool {
        let now = i64::try_from(crate::capability::unix_millis()).unwrap_or(i64::MAX);
        let patience = i64::try_from(self.settings.lonely_after.as_millis()).unwrap_or(i64::MAX);
        body.refused_since.is_some_and(|since| now.saturating_sub(since) >= patience)
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
            let end = courier.work(&lane).await;
            let Some(found) = spool.show(id).await? else { return Ok(()) };
            if found.entry.quarantined {
                return Err(NotDelivered::Quarantined(id, found.entry.refusal.unwrap_or_default()));
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
