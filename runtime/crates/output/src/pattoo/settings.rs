//! The section of a pattoo server in the configuration.

use std::{path::Path, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, future::BoxFuture};
use pattoo_base::{invariant::Invariant as _, secret::Secret};
use pattoo_measurement::{AgentId, Program};
use pattoo_settings::{
    Fields, Form, Key, Kind, Quantity, Reported,
    convert::{narrow, widen},
    secret_keys,
    yaml::Node,
};
use pattoo_spool::{OutputId, Spool, SpoolError};
use tokio::net::TcpStream;
use url::{Host, Url};

use super::{PattooJson, Poster, ServerUrl, take_over};
use crate::{
    OutputName,
    output_type::{Client, ClientOptions, Encoding, Folders, OutputSettings, SendError, max_payload},
    outputs_section::url_of,
};

/// A pattoo server, as it was configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The base URL.
    pub url: ServerUrl,
    /// What is sent to it as a bearer token, if anything.
    pub token: Option<Secret>,
    sizes: Sizes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sizes {
    max_payload: usize,
}

impl Default for Sizes {
    /// Below nginx's limit of 1 MiB.
    fn default() -> Self {
        Self { max_payload: 900 << 10 }
    }
}

static SIZES: &[Quantity<Sizes>] =
    &[max_payload(|sizes| widen(sizes.max_payload), |sizes, bytes| sizes.max_payload = narrow(bytes))];

/// The form of the section.
pub fn form() -> Form {
    let mut keys = vec![
        Key::new(
            "url",
            Kind::Text,
            "the base URL of the server, to which pattoo's path is appended",
            "\"https://pattoo.example.org\"",
        )
        .required(),
        Key::new(
            "token",
            Kind::Form(secret_keys::form),
            "the token that is sent as `Authorization: Bearer …`",
            "{ secret: PATTOO_TOKEN }",
        ),
    ];
    keys.extend(Key::of_quantities(SIZES, &Sizes::default()));
    Form::new("a server", keys)
}

impl Settings {
    /// The server at this URL, without a token, with what is usual otherwise.
    pub fn new(url: ServerUrl) -> Self {
        Self { url, token: None, sizes: Sizes::default() }
    }

    /// The same with a token.
    #[must_use]
    pub fn with_token(self, token: Option<Secret>) -> Self {
        Self { token, ..self }
    }

    /// The server whose queues have this name in the spool, if it is that of a server.
    pub(crate) fn of_id(id: &OutputId) -> Option<Self> {
        id.as_str().parse().ok().map(Self::new)
    }
}

impl OutputSettings for Settings {
    fn read(fields: Fields<'_>, folders: Folders<'_>) -> Result<Self, Reported> {
        let url = fields.required("url");
        let form = secret_keys::form();
        let token = fields.node("token").map(|node| secret_keys::read(fields.of(&form, node), folders.configuration));
        let mut sizes = Sizes::default();
        let read = fields.quantities(SIZES, &mut sizes);
        let token = token.transpose();
        read?;
        Ok(Self { url: url?, token: token?, sizes })
    }

    fn id_in(section: &Node) -> Option<OutputId> {
        url_of::<ServerUrl>(section).map(|url| url.id().clone())
    }

    /// Its URL, whatever the configuration calls it: what waits for a server stays its own when the output gets another name.
    fn id(&self, _: &OutputName) -> OutputId {
        self.url.id().clone()
    }

    fn place(&self) -> String {
        self.url.to_string()
    }

    fn url(&self) -> Option<&Url> {
        Some(self.url.url())
    }

    fn secrets(&self) -> Vec<&Secret> {
        self.token.iter().collect()
    }

    fn max_payload(&self) -> usize {
        self.sizes.max_payload
    }

    fn encoding(&self) -> Arc<dyn Encoding> {
        Arc::new(PattooJson)
    }

    fn connect(&self, options: &ClientOptions) -> Result<Arc<dyn Client>, SendError> {
        let poster = Poster::new(self.url.clone(), self.token.clone(), &options.trust, options.timeout)?;
        Ok(Arc::new(poster))
    }

    fn probe(&self, bound: Duration) -> BoxFuture<'_, Result<(), String>> {
        let url = self.url.url();
        let port = url.port_or_known_default().or_broken("the URL of a server has a port", 0);
        let connecting = async move {
            match url.host() {
                Some(Host::Domain(name)) => TcpStream::connect((name, port)).await,
                Some(Host::Ipv4(address)) => TcpStream::connect((address, port)).await,
                Some(Host::Ipv6(address)) => TcpStream::connect((address, port)).await,
                None => Err(std::io::ErrorKind::AddrNotAvailable.into()),
            }
        };
        async move {
            match tokio::time::timeout(bound, connecting).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(format!("{} cannot be reached: {error}", self.url)),
                Err(_) => Err(format!("{} cannot be reached: no connection within {} s", self.url, bound.as_secs())),
            }
        }
        .boxed()
    }

    fn take_over<'a>(
        &'a self,
        spool: &'a Spool,
        cache: &'a Path,
        agent: &'a AgentId,
        program: &'a Program,
    ) -> Option<BoxFuture<'a, Result<(), SpoolError>>> {
        Some(async move { take_over(spool, cache, agent, program, &self.url).await.map(drop) }.boxed())
    }
}
