//! `run --post`: delivers one payload as the daemon does. It is stored, payloads that were stored
//! before it are posted, then it is posted; with the spool, limits and token of the configuration,
//! if there is one.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use pattoo_base::{
    invariant::Invariant as _,
    secret::{Secret, SecretError},
};
use pattoo_measurement::{Agent, Program};
use pattoo_output::{
    DeliverySettings, NotDelivered, OutputSettings as _, ServerUrl, deliver_now,
    pattoo::{self, Body},
};
use pattoo_spool::{Spool, SpoolLimits, StoredId};

use super::{Exit, Failure};
use crate::config::{ConfigDirectory, DataDirectory, Posting};

/// The longest time for it and the payloads that were stored before.
const POST_WITHIN: Duration = Duration::from_mins(1);

/// Arguments about the destination of payloads.
#[derive(Debug, clap::Args)]
pub(super) struct PostArgs {
    /// Post to the pattoo server at this base URL
    #[arg(long, value_name = "URL")]
    post: Option<ServerUrl>,

    /// Send the content of this file as a bearer token [default: the token of this server in
    /// `pattoo_wasm.yaml`]
    #[arg(long, value_name = "FILE", requires = "post")]
    token_file: Option<PathBuf>,

    /// Send the value of this environment variable as a bearer token
    #[arg(long, value_name = "NAME", requires = "post", conflicts_with = "token_file")]
    token_env: Option<String>,
}

/// The destination of payloads, before any file is created.
#[derive(Debug)]
pub(super) struct PostPlan {
    server: pattoo::Settings,
    limits: SpoolLimits,
}

impl PostArgs {
    /// The server that is posted to.
    pub(super) fn server(&self) -> Option<&ServerUrl> {
        self.post.as_ref()
    }

    /// The plan of these arguments and the configuration.
    pub(super) fn plan(&self) -> Result<Option<PostPlan>, Failure> {
        let Some(url) = self.post.clone() else { return Ok(None) };
        let given = match (&self.token_file, &self.token_env) {
            (Some(path), _) => {
                let usual = format!("write only the token into {}, and make it readable for this user", path.display());
                Some(given(Secret::from_file(path), usual)?)
            }
            (None, Some(name)) => {
                Some(given(Secret::from_env(name), format!("set {name} in the environment of this command"))?)
            }
            (None, None) => None,
        };
        let configured = Posting::find(&ConfigDirectory::find(), &url, given.is_none())?;
        let server = configured.server.unwrap_or_else(|| pattoo::Settings::new(url));
        let server = if given.is_some() { server.with_token(given) } else { server };
        Ok(Some(PostPlan { server, limits: configured.spool }))
    }
}

/// A token that was named by a flag; `usual` is the help if there is no other.
fn given(token: Result<Secret, SecretError>, usual: String) -> Result<Secret, Failure> {
    token.map_err(|error| {
        let help = error.help();
        Failure::usage(error).help(help.unwrap_or(usual))
    })
}

impl PostPlan {
    /// Opens the spool.
    pub(super) fn open(self, directory: &DataDirectory) -> Result<Destination, Failure> {
        let spool = Spool::open(&directory.spool(), self.limits)?;
        Ok(Destination { server: self.server, spool })
    }
}

/// The destination of payloads.
#[derive(Debug)]
pub(super) struct Destination {
    server: pattoo::Settings,
    spool: Spool,
}

/// Why a payload was not delivered, as text for people.
#[derive(Debug)]
pub(super) enum Undelivered {
    /// It is in the spool.
    Queued(Failure),
    /// It is only in memory.
    NotStored(Failure),
}

impl Destination {
    /// Moves the backlog of pattoo's own agent of this name into the spool, so that it is delivered
    /// before anything newer.
    pub(super) async fn take_over(&self, cache: &Path, agent: &Agent) {
        let taking = pattoo::take_over(&self.spool, cache, &agent.id, &agent.program, &self.server.url);
        if let Err(error) = taking.await {
            tracing::error!("{}: cannot import the backlog of {}: {error}", agent.program, cache.display());
        }
    }

    /// Stores the payloads of a body, and posts them after those that were stored before.
    pub(super) async fn deliver(&self, body: &Body, program: &Program) -> Result<(), Undelivered> {
        let Self { server, spool } = self;
        let not_stored = |error: &dyn std::fmt::Display| {
            let failure = Failure::new(Exit::NotDelivered, format!("not sent, because it cannot be stored: {error}"));
            Undelivered::NotStored(failure.help("use the payload that is printed on stdout"))
        };
        let payloads = body.clone().into_payloads(program, &server.url, server.max_payload());
        let payloads = payloads.map_err(|error| not_stored(&error))?;
        let ids = spool.store(payloads).await.map_err(|error| not_stored(&error))?;
        // The last one is delivered after all others.
        let id = ids.last().copied().or_broken("a body has at least one payload", StoredId(0));
        let output = pattoo::short_form(server.clone()).ok_or_else(|| not_stored(&"the server has no name"))?;
        let (output_id, settings) =
            (output.id(), DeliverySettings { outputs: vec![output], ..DeliverySettings::default() });
        deliver_now(spool, settings, body.agent_id(), &output_id, id, POST_WITHIN).await.map_err(|error| {
            let failure = Failure::new(Exit::NotDelivered, format!("not delivered: {error}"));
            let help = match error {
                NotDelivered::Refused { help: Some(help), .. } => help,
                _ => "check the URL of --post and that the server runs".to_owned(),
            };
            Undelivered::Queued(failure.help(format!(
                "{help}; payload {id} stays in the spool, and the next run of {program} with --post, or the daemon, \
                 delivers it"
            )))
        })?;
        tracing::info!("{program}: {} datapoints delivered", body.datapoints());
        Ok(())
    }
}
