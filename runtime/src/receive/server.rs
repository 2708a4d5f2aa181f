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

use super::{Mood, Moods, Received, ReceivedError};
use crate::listen::{self, Replaced};

/// The largest body that is read, in bytes.
const MAX_BODY: usize = 64 << 20;
/// How long one request may take to arrive and be answered.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Takes what was received. An error is answered with status 500, so that the agent keeps the body.
pub type Sink = Arc<dyn Fn(Received, Bytes) -> BoxFuture<'static, io::Result<()>> + Send + Sync>;

/// A receiver that is bound to its address.
#[derive(Debug)]
pub struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
}

impl Receiver {
    /// Binds `address`; port 0 is any free one.
    ///
    /// # Errors
    ///
    /// When the address is not free or not ours.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        let (listener, address) = listen::bind(address).await?;
        Ok(Self { listener, address })
    }

    /// The address that is bound, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, handing each good body to `sink` unless its mood is against it.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        self,
        sink: Sink,
        moods: Moods,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new()
            .route("/pattoo/api/v1/agent/receive/{agent_id}", post(receive))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(middleware::from_fn(within_time))
            .layer(middleware::from_fn_with_state(self.address, only_for_us))
            .with_state((sink, Arc::new(moods)));
        listen::serve(self.listener, router, Replaced::Idle, stop).await;
        Ok(())
    }
}

async fn receive(
    State((sink, moods)): State<(Sink, Arc<Moods>)>,
    Path(agent_id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let received = match Received::parse(&agent_id, &body) {
        Ok(received) => received,
        // Pattoo's own answer to a bad body.
        Err(error) => return refuse(StatusCode::NOT_FOUND, &error),
    };
    let mood = moods.now().await;
    let concerns = mood.only.as_deref().is_none_or(|text| String::from_utf8_lossy(&body).contains(text));
    let mood = if concerns { mood } else { Mood::default() };
    if let Some(token) = &mood.token
        && headers.get(header::AUTHORIZATION).is_none_or(|sent| *sent != format!("Bearer {token}"))
    {
        return (StatusCode::UNAUTHORIZED, "this is not the token").into_response();
    }
    tokio::time::sleep(mood.delay).await;
    if mood.hang {
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(mood.answer).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let stored = if status.is_success() || mood.keep { sink(received, body).await } else { Ok(()) };
    match stored {
        Ok(()) if status.is_success() => (status, "OK").into_response(),
        Ok(()) => {
            let mut response = (status, "as it was told to").into_response();
            if let Some(seconds) = mood.retry_after {
                response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
            }
            response
        }
        Err(error) => {
            tracing::error!("a body could not be stored: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, "it could not be stored").into_response()
        }
    }
}

fn refuse(status: StatusCode, error: &ReceivedError) -> Response {
    let text = pattoo_base::text::one_line(&error.to_string(), 1000);
    tracing::warn!("refused a body: {text}");
    (status, text).into_response()
}

/// Ends a request whose body does not come.
async fn within_time(request: Request, next: Next) -> Response {
    tokio::time::timeout(TIMEOUT, next.run(request))
        .await
        .unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
}

async fn only_for_us(State(address): State<SocketAddr>, request: Request, next: Next) -> Response {
    listen::only_for_us(address, request, next).await
}
