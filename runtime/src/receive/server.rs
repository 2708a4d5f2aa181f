//! The HTTP side of the receiver.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;

use super::{ReceivedError, ReceivedPayload, Scenario, ScenarioSource};
use crate::listen::{self, Evictable};

/// The largest payload that is read, in bytes.
const MAX_BODY: usize = 64 << 20;
/// The time for receiving and answering one request.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Handles a valid payload. After an error the response is 500, so that the agent keeps the
/// payload.
pub type PayloadHandler = Arc<dyn Fn(ReceivedPayload, Bytes) -> BoxFuture<'static, io::Result<()>> + Send + Sync>;

/// A receiver that is bound to its address.
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
}

impl Receiver {
    /// Binds `address`; port 0 means any free port.
    ///
    /// # Errors
    ///
    /// When the address is in use, or is not one of this machine.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let (listener, address) = listen::bind(address).await?;
        Ok(Self { listener, address })
    }

    /// The bound address, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, and passes each valid payload to `handler` unless the scenario
    /// prevents it.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        self,
        handler: PayloadHandler,
        scenarios: ScenarioSource,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new()
            .route("/pattoo/api/v1/agent/receive/{agent_id}", post(receive))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::from_fn(within_time))
            .layer(middleware::from_fn_with_state(self.address, only_for_us))
            .with_state((handler, Arc::new(scenarios)));
        listen::serve(self.listener, router, Evictable::Idle, stop).await;
        Ok(())
    }
}

async fn receive(
    State((handler, scenarios)): State<(PayloadHandler, Arc<ScenarioSource>)>,
    Path(agent_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = match ReceivedPayload::parse(&agent_id, &body) {
        Ok(received) => received,
        // pattoo's own response to an invalid payload.
        Err(error) => return refuse(StatusCode::NOT_FOUND, &error),
    };
    let scenario = scenarios.current().await;
    let applies = scenario.only.as_deref().is_none_or(|text| String::from_utf8_lossy(&body).contains(text));
    let scenario = if applies { scenario } else { Scenario::default() };
    if let Some(token) = &scenario.token
        && headers.get(header::AUTHORIZATION).is_none_or(|sent| *sent != format!("Bearer {token}"))
    {
        return (StatusCode::UNAUTHORIZED, "wrong token").into_response();
    }
    tokio::time::sleep(scenario.delay).await;
    if scenario.hang {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(scenario.answer).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let stored = if status.is_success() || scenario.keep { handler(received, body).await } else { Ok(()) };
    match stored {
        Ok(()) if status.is_success() => (status, "OK").into_response(),
        Ok(()) => {
            let mut response = (status, "as the scenario says").into_response();
            if let Some(seconds) = scenario.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Err(error) => {
            tracing::error!("a payload could not be stored: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "it could not be stored").into_response()
        }
    }
}

fn refuse(status: StatusCode, error: &ReceivedError) -> Response {
    let text = pattoo_base::text::one_line(&error.to_string(), 1000);
    tracing::warn!("refused a payload: {text}");
    (status, text).into_response()
}

/// Ends a request that does not arrive in time.
async fn within_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

async fn only_for_us(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    listen::only_for_us(address, request, next).await
}
