//! `pattoo:agent/http` and `wasi:http`: fetching from the web origins that were granted.
//!
//! The policy itself is that of [`pattoo_fetch`], which knows nothing of wasm; here is how a guest
//! asks, and how much it may. There are two ways to ask: our own interface, in `pattoo_http`, and in
//! `wasi_http` the one that the standard libraries of some languages use (whose handles are in
//! `resources`). Both end in `counted_client`, so that there is no difference in what they reach and
//! what it counts.

mod counted_client;
mod denied;
mod grant_flag;
mod grant_keys;
mod http_limits;
mod pattoo_http;
mod requested_origins;
mod resources;
mod wasi_http;

use pattoo_fetch::{Client, OriginGrant, SetupError};
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::WasiHttpCtx;

use self::{
    counted_client::{STATUS_CLASSES, Web},
    wasi_http::WebHooks,
};
pub use self::{
    http_limits::HttpLimits,
    requested_origins::{OriginRequested, OriginsRequested},
};
use super::{
    AssignmentBuilder, Calls, Capability, CapabilityDefinition, Context, Counters, Family, GrantError, Granting, Host,
    HostView, Interface, Power, bindings::pattoo::agent::http as wit,
};

/// What is reached with it.
pub(super) static POWER: Power = Power { what: "web", does: "fetches from the web origins that are granted" };

/// The capability.
pub static DEFINITION: CapabilityDefinition = CapabilityDefinition {
    power: Some(&POWER),
    limits: http_limits::RANGES,
    grant: Some(&GRANTING),
    counters: Some(&COUNTERS),
    ..CapabilityDefinition::new(
        "http",
        &[
            Interface::ours(
                "pattoo:agent/http",
                Some(&POWER),
                "fetches from the web origins that are granted",
                include_str!("../../../../../../wit/http.wit"),
            ),
            Interface::wasi(
                "wasi:http/outgoing-handler",
                Some(&POWER),
                "fetches from the web origins that are granted",
            ),
            Interface::wasi("wasi:http/types", None, "defines HTTP requests and responses"),
        ],
    )
};

static GRANTING: Granting = Granting {
    key: grant_keys::key,
    read: |fields, folder, grants| {
        grants.http = grant_keys::read(fields, folder)?;
        Ok(())
    },
    is_empty: |grants| grants.http.is_empty(),
    check: |grants, limits, own| {
        let client = Client::new(grants.http.clone(), limits.http.fetch, own.clone());
        client.and_then(|client| client.check()).map_err(unusable)
    },
    peers: |grants| grants.http.iter().map(|grant| grant.origin().to_string()).collect(),
    secrets: |grants| grants.http.iter().flat_map(OriginGrant::attached).map(|(_, secret)| secret).collect(),
    example: "http: [{ origin: \"https://site-a.example.org\" }]",
    flag: &grant_flag::FLAG,
    requests: requested_origins::requests,
    narrowest: requested_origins::narrowest,
};

fn unusable(error: SetupError) -> GrantError {
    let help = error.help();
    let error = GrantError::new(&DEFINITION, error);
    GrantError { help: help.unwrap_or(error.help), ..error }
}

static COUNTERS: Counters = Counters {
    label: "origin",
    requests: Family {
        name: "pattoo_wasm_http_fetches_total",
        kind: "counter",
        labels: &["program", "origin"],
        help: "Requests to a web origin, without redirects.",
        previous_name: None,
    },
    failures: Family {
        name: "pattoo_wasm_http_fetch_errors_total",
        kind: "counter",
        labels: &["program", "origin"],
        help: "Requests without a response of any status: timeouts, refused or denied requests, responses that are too large.",
        previous_name: None,
    },
    up: Family {
        name: "pattoo_wasm_http_origin_up",
        kind: "gauge",
        labels: &["program", "origin"],
        help: "1 if the origin sent a response of any status when it was last asked, else 0; NaN before the first request.",
        previous_name: None,
    },
    last_request: Family {
        name: "pattoo_wasm_http_last_fetch_timestamp_seconds",
        kind: "gauge",
        labels: &["program", "origin"],
        help: "When the origin was last asked, in Unix seconds; 0 before the first request.",
        previous_name: None,
    },
    last_answer: Family {
        name: "pattoo_wasm_http_last_response_timestamp_seconds",
        kind: "gauge",
        labels: &["program", "origin"],
        help: "When the origin last sent a response, in Unix seconds; 0 if it never did.",
        previous_name: None,
    },
    repeated: Some(Family {
        name: "pattoo_wasm_http_fetches_repeated_total",
        kind: "counter",
        labels: &["program", "origin"],
        help: "How often a GET or HEAD was sent once more, since the site had closed the kept connection.",
        previous_name: None,
    }),
    responses: Some((
        Family {
            name: "pattoo_wasm_http_responses_total",
            kind: "counter",
            labels: &["program", "origin", "status"],
            help: "Responses that a collector got, by the class of their status: 2xx, 3xx, 4xx, 5xx, other.",
            previous_name: None,
        },
        STATUS_CLASSES,
    )),
};

/// What one collection sees of it.
pub struct Http {
    web: Web,
    ctx: WasiHttpCtx,
    hooks: WebHooks,
}

impl Capability for Http {
    type Grant = Vec<OriginGrant>;
    type Limits = HttpLimits;
    type Resource = Client;
    type Shared = ();
    type Requested = OriginsRequested;

    fn resource(assignment: &AssignmentBuilder, (): &()) -> Result<Client, GrantError> {
        let (grants, own) = (assignment.grants.http.clone(), assignment.own.clone());
        Client::new(grants, assignment.limits.http.fetch, own).map_err(unusable)
    }

    fn begin(context: &Context) -> Self {
        let web = Web::new(context);
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(wasi_http::field_size_limit(web.limits()));
        Self { hooks: WebHooks::new(&web), ctx, web }
    }

    fn take_calls(&mut self) -> Option<Calls> {
        Some(self.web.take_calls())
    }

    fn add_to_linker<T: WasiView + HostView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        wit::add_to_linker::<T, HasSelf<Host>>(linker, HostView::host)?;
        resources::add_to_linker(linker)
    }
}
