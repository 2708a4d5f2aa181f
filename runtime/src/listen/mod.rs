//! HTTP servers on a port of this machine: how many connections they accept, how long those may be
//! idle, and which requests are refused.
//!
//! The status address and the receiver both are small HTTP servers for programs nearby. A
//! connection that sends nothing, sends slowly or does not read its response must not block them,
//! and they must not respond to a web page that makes a browser send requests here.
//!
//! The number of open connections is limited. A new one beyond the limit does not wait for idle
//! ones: the connection that has transferred no byte for the longest time is closed for it. So a
//! probe gets its response however many others are stuck.

mod connection;
mod origin;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{self, AbortHandle, JoinError, JoinSet},
    time::{Instant, sleep},
};

use self::connection::{Activity, connection};
pub(crate) use self::origin::only_for_us;

/// The limits of all connections.
#[derive(Debug, Clone, Copy)]
struct ConnectionLimits {
    /// How many connections may be open at the same time.
    connections: usize,
    /// The time for the header of a request: from the start of the connection, or from the previous
    /// response.
    header: Duration,
    /// How long a client may read nothing of a response.
    stalled: Duration,
    /// Which connections may be closed for further ones.
    evictable: Evictable,
}

/// Which connections may be closed to make room for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evictable {
    /// Any: a client can repeat its request.
    Any,
    /// Those without a request in progress.
    Idle,
}

const LIMITS: ConnectionLimits = ConnectionLimits {
    connections: 64,
    header: Duration::from_secs(10),
    stalled: Duration::from_secs(10),
    evictable: Evictable::Any,
};
/// The time for requests in progress when the server stops: one that never arrives completely must
/// not delay it.
const GRACE: Duration = Duration::from_secs(2);
/// The pause after a connection could not be accepted, most often because no file handle was free;
/// and the interval at which a full server checks for room.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` is ready, and requests in progress for at most two seconds more.
pub(crate) async fn serve(listener: TcpListener, router: Router, evictable: Evictable, stop: impl Future<Output = ()>) {
    serve_with_limits(ConnectionLimits { evictable, ..LIMITS }, listener, router, stop).await;
}

async fn serve_with_limits(
    limits: ConnectionLimits,
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let (stopping, stopped) = watch::channel(false);
    let mut open = OpenConnections::default();
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => accepted,
        };
        open.remove_ended();
        match accepted {
            Ok((stream, _)) => {
                let room = open.make_room(limits);
                tokio::select! {
                    () = &mut stop => break,
                    () = room => {}
                }
                let activity = Arc::new(Activity::new(open.began));
                let connection = connection(limits, stream, router.clone(), stopped.clone(), Arc::clone(&activity));
                open.add(connection, activity);
            }
            Err(error) => {
                tracing::debug!("cannot accept a connection: {error}");
                sleep(RETRY_DELAY).await;
            }
        }
    }
    // It fails if no connection is open.
    let _ = stopping.send(true);
    let all = async { while open.tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(GRACE, all).await;
}

/// The connections that are open.
struct OpenConnections {
    began: Instant,
    tasks: JoinSet<()>,
    by_task: HashMap<task::Id, (AbortHandle, Arc<Activity>)>,
}

impl Default for OpenConnections {
    fn default() -> Self {
        Self { began: Instant::now(), tasks: JoinSet::new(), by_task: HashMap::new() }
    }
}

impl OpenConnections {
    fn add(&mut self, connection: impl Future<Output = ()> + Send + 'static, activity: Arc<Activity>) {
        let task = self.tasks.spawn(connection);
        self.by_task.insert(task.id(), (task, activity));
    }

    fn remove_ended(&mut self) {
        while let Some(ended) = self.tasks.try_join_next_with_id() {
            let id = ended.map_or_else(|error: JoinError| error.id(), |(id, ())| id);
            self.by_task.remove(&id);
        }
    }

    /// Waits until one more connection may be open; not at all if one can be closed for it.
    async fn make_room(&mut self, limits: ConnectionLimits) {
        while self.by_task.len() >= limits.connections && !self.close_longest_idle(limits.evictable) {
            sleep(RETRY_DELAY).await;
            self.remove_ended();
        }
    }

    /// Closes the evictable connection that has transferred no byte for the longest time. Returns
    /// whether there is one.
    fn close_longest_idle(&mut self, evictable: Evictable) -> bool {
        let may_close = |activity: &Activity| evictable == Evictable::Any || !activity.is_in_use();
        let candidates = self.by_task.iter().filter(|(_, (_, activity))| may_close(activity));
        let longest_idle = candidates.min_by_key(|(_, (_, activity))| activity.last_transfer()).map(|(id, _)| *id);
        let closed = longest_idle.and_then(|id| self.by_task.remove(&id));
        closed.as_ref().inspect(|(task, _)| task.abort()).is_some()
    }
}

/// Binds `address`; port 0 means any free port. The result has the real port.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
