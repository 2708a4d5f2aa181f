//! `run --post`: the way of the daemon, for one body. It is stored, what was stored before it is posted, then it is; with the spool,
//! limits and token of the configuration, if there is one.

use std::{path::PathBuf, time::Duration};

use pattoo_base::secret::Secret;
use pattoo_measurement::Program;
use pattoo_output::pattoo::Body;
use pattoo_output::{DeliverySettings, ServerUrl, Spool, SpoolLimits, deliver_now, store_body};

use super::{Exit, Failure};
use crate::config::{ConfigDirectory, DataDirectory, Posting};

/// How long it takes at most, together with what was stored before.
const BOUND: Duration = Duration::from_mins(1);

/// Arguments that say where bodies go.
#[derive(Debug, clap::Args)]
pub(super) struct PostArgs {
    /// Post to the pattoo server at this base URL
    #[arg(long, value_name = "URL")]
    post: Option<ServerUrl>,

    /// Send what is in this file as a bearer token [default: the token of this server in `pattoo_wasm.yaml`]
    #[arg(long, value_name = "FILE", requires = "post")]
    token_file: Option<PathBuf>,

    /// Send what is in this environment variable as a bearer token
    #[arg(long, value_name = "NAME", requires = "post", conflicts_with = "token_file")]
    token_env: Option<String>,
}

/// Where bodies go, and as whom; nothing is made yet.
#[derive(Debug)]
pub(super) struct Plan {
    server: ServerUrl,
    token: Option<Secret>,
    limits: SpoolLimits,
}

impl PostArgs {
    /// The server that is posted to.
    pub(super) fn server(&self) -> Option<&ServerUrl> {
        self.post.as_ref()
    }

    /// What they and the configuration come to.
    pub(super) fn plan(&self) -> Result<Option<Plan>, Failure> {
        let Some(server) = self.post.clone() else { return Ok(None) };
        let given = match (&self.token_file, &self.token_env) {
            (Some(path), _) => Some(Secret::from_file(path)),
            (None, Some(name)) => Some(Secret::from_env(name)),
            (None, None) => None,
        };
        let given = given.transpose().map_err(|error| {
            let help = error.help();
            let usual = || "the token stands alone in the file, or in the environment of this command".to_owned();
            Failure::usage(error).help(help.unwrap_or_else(usual))
        })?;
        let configured = Posting::find(&ConfigDirectory::find(), &server, given.is_none())?;
        let limits = SpoolLimits { bytes: configured.spool_bytes, age: configured.spool_age };
        Ok(Some(Plan { server, token: given.or(configured.token), limits }))
    }
}

impl Plan {
    /// Opens the spool.
    pub(super) fn open(self, directory: &DataDirectory) -> Result<Outlet, Failure> {
        let spool = Spool::open(&directory.spool(), self.limits)?;
        Ok(Outlet { server: self.server, token: self.token, spool })
    }
}

/// Where bodies go.
#[derive(Debug)]
pub(super) struct Outlet {
    server: ServerUrl,
    token: Option<Secret>,
    spool: Spool,
}

/// Why a body did not reach the server, in words for people.
#[derive(Debug)]
pub(super) enum Undelivered {
    /// It is in the spool.
    Waits(Failure),
    /// It is nowhere but here.
    NotStored(Failure),
}

impl Outlet {
    /// Stores a body, and posts it behind what was stored before.
    pub(super) async fn deliver(&self, body: &Body, program: &Program) -> Result<(), Undelivered> {
        let Self { server, spool, .. } = self;
        let id = store_body(spool, body, program, server).await.map_err(|error| {
            let failure = Failure::new(Exit::NotDelivered, format!("not stored, so not sent: {error}"));
            Undelivered::NotStored(failure.help("the body is on stdout instead"))
        })?;
        let token = self.token.clone().map(|token| (server.clone(), token));
        let settings = DeliverySettings { token, ..DeliverySettings::default() };
        deliver_now(spool, settings, body.agent_id(), server, id, BOUND).await.map_err(|error| {
            let failure = Failure::new(Exit::NotDelivered, format!("not delivered: {error}"));
            Undelivered::Waits(failure.help(format!(
                "it is body {id} in the spool, and is posted before others by the next run of {program} with --post, or by the \
                 daemon; check the URL given with --post and that the server runs"
            )))
        })?;
        tracing::info!("{program}: {} datapoints delivered", body.datapoints());
        Ok(())
    }
}
