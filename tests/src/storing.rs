//! Payloads in the spool, for tests that need no command.

use pattoo_measurement::Program;
use pattoo_output::{ServerUrl, pattoo::Body};
use pattoo_spool::{Spool, StoredId};

/// Stores a body for a pattoo server as one payload, as a collection does.
pub async fn store_body(spool: &Spool, body: &Body, program: &Program, server: &ServerUrl) -> StoredId {
    let payloads = body.clone().into_payloads(program, server, usize::MAX).expect("an agent id names a queue");
    *spool.store(payloads).await.expect("it is stored").first().expect("one payload")
}
