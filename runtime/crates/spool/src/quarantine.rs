//! Quarantine: when a payload that an output refuses is kept apart from its queue.

use pattoo_base::text::one_line;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::{OutputId, Spool, SpoolError, StoredId, queue::unix_millis};

/// How much of a refusal's text is kept, in bytes.
pub(crate) const MAX_REFUSAL: usize = 1000;

/// The refusal of a payload, and the rule by which it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the output answered.
    pub text: String,
    /// Whether it can concern the payload, so that it may lead to quarantine.
    pub of_the_payload: bool,
    /// Whether the first one counts, before which nothing can have been accepted.
    pub first_counts: bool,
    /// How many such refusals, each with another payload accepted since the previous one, are enough.
    pub strikes: u32,
}

/// What became of a payload that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It stays in the queue.
    Kept,
    /// It is in quarantine now.
    Quarantined,
}

impl Spool {
    /// Records that `output` refused a payload, and puts it into quarantine if that was once too often.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub async fn refused(&self, id: StoredId, output: &OutputId, refusal: Refusal) -> Result<Judgement, SpoolError> {
        let output = output.clone();
        self.write(move |db| judge(db, id, &output, &refusal)).await
    }

    /// Puts a payload into quarantine at once.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub async fn quarantine(&self, id: StoredId, reason: &'static str) -> Result<(), SpoolError> {
        self.write(move |db| {
            let update = "UPDATE payload SET status = 1, refusal = ?2 WHERE id = ?1";
            db.prepare_cached(update)?.execute(params![id.0, reason]).map(|_| ())
        })
        .await
    }
}

fn judge(db: &Connection, id: StoredId, output: &OutputId, refusal: &Refusal) -> rusqlite::Result<Judgement> {
    let update = "UPDATE payload SET attempts = attempts + 1, refusal = ?2, refused_since = coalesce(refused_since, ?3)
        WHERE id = ?1";
    let text = one_line(&refusal.text, MAX_REFUSAL);
    db.prepare_cached(update)?.execute(params![id.0, text, unix_millis()])?;
    db.prepare_cached("UPDATE totals SET refused = refused + 1")?.execute([])?;
    if !refusal.of_the_payload && refusal.first_counts {
        return Ok(Judgement::Kept);
    }
    let accepted = db
        .prepare_cached("SELECT accepted FROM output WHERE name = ?1")?
        .query_row([output.as_str()], |row| row.get::<_, i64>(0))
        .optional()?
        .unwrap_or(0);
    if !refusal.first_counts {
        // What is accepted from now on is evidence.
        let begin = "UPDATE payload SET accepted_at_strike = ?2
            WHERE id = ?1 AND strikes = 0 AND accepted_at_strike = 0";
        let begun = db.prepare_cached(begin)?.execute(params![id.0, accepted])? > 0;
        if begun || !refusal.of_the_payload {
            return Ok(Judgement::Kept);
        }
    }
    // The first refusal counts as it is, each further one only if the output accepted something else since.
    let strike = "UPDATE payload SET strikes = strikes + 1, accepted_at_strike = ?2
        WHERE id = ?1 AND (accepted_at_strike < ?2 OR (strikes = 0 AND ?3))";
    db.prepare_cached(strike)?.execute(params![id.0, accepted, refusal.first_counts])?;
    let quarantine = "UPDATE payload SET status = 1 WHERE id = ?1 AND status = 0 AND strikes >= ?2";
    match db.prepare_cached(quarantine)?.execute(params![id.0, refusal.strikes])? {
        0 => Ok(Judgement::Kept),
        _ => Ok(Judgement::Quarantined),
    }
}
