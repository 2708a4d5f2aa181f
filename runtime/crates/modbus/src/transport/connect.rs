//! Connecting to a host: TCP, TLS, UDP.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use pattoo_base::backoff::doubled;
use tokio::{
    net::{TcpStream, UdpSocket},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{connection::Opening, datagram::Datagrams, happy_eyeballs, timeout::after};
use crate::{
    address::HostPort,
    error::ReadError,
    tls::{TlsSettingsError, refusal},
};

/// The pause after the first refused connection; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The maximum of this pause.
const MAX_PAUSE: Duration = Duration::from_millis(400);

/// The addresses to which no connection is opened.
#[derive(Clone)]
pub(crate) struct DeniedAddresses(Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl DeniedAddresses {
    pub(crate) fn new(denied: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(denied))
    }

    fn contains(&self, address: SocketAddr) -> bool {
        (self.0)(address)
    }
}

impl fmt::Debug for DeniedAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeniedAddresses")
    }
}

/// Resolves the host and connects by TCP.
pub(super) async fn connect(host: &HostPort, opening: &Opening<'_>) -> Result<TcpStream, ReadError> {
    within(opening, connect_tcp(host, opening)).await
}

/// Resolves the host, connects by TCP, and verifies the device by TLS.
pub(super) async fn connect_tls(host: &HostPort, opening: &Opening<'_>) -> Result<TlsStream<TcpStream>, ReadError> {
    let (tls, name) = (opening.tls.clone(), host.name());
    let read_files = move || Ok::<_, TlsSettingsError>((tls.client_config()?, tls.name_of(&name)?));
    within(opening, async {
        let (config, name) =
            tokio::task::spawn_blocking(read_files).await.map_err(io::Error::other)?.map_err(|error| {
                // The paths in it are not for collectors.
                opening.attempts.files_failed(error);
                io::Error::other("the files under `tls` in the grant of the device cannot be used")
            })?;
        let stream = connect_tcp(host, opening).await?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| {
            let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()).map(refusal);
            cause.map_or(error, io::Error::other)
        })
    })
    .await
}

/// Resolves the host, and lets the system pass on the datagrams of its address only.
pub(super) async fn connect_udp(host: &HostPort, opening: &Opening<'_>) -> Result<Datagrams, ReadError> {
    let connect = async |address: SocketAddr| {
        let any: IpAddr = if address.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        Ok(Datagrams(socket))
    };
    within(opening, connect_any(host, opening, connect)).await
}

/// Waits for a connection until the timeout is over.
async fn within<T>(opening: &Opening<'_>, connection: impl Future<Output = io::Result<T>>) -> Result<T, ReadError> {
    let why = match timeout(opening.timeout, connection).await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {}", humantime::format_duration(opening.timeout)),
    };
    Err(ReadError::Connection(format!("cannot connect: {why}")))
}

/// Connects, and where refused connections are to be retried, tries again until the timeout would be
/// over before the next attempt.
async fn connect_tcp(host: &HostPort, opening: &Opening<'_>) -> io::Result<TcpStream> {
    let deadline = after(Instant::now(), opening.timeout);
    let mut attempts: u32 = 1;
    loop {
        let pause = doubled(FIRST_PAUSE, attempts, MAX_PAUSE);
        match connect_any(host, opening, TcpStream::connect).await {
            Ok(stream) => {
                // A request is one small packet that must not wait for further data.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused
                    && opening.retries_refused
                    && after(Instant::now(), pause) < deadline =>
            {
                tracing::debug!(%host, ?pause, "the connection was refused, trying again");
                sleep(pause).await;
                attempts = attempts.saturating_add(1);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Connects to an address of a host that is not denied and accepts the connection. The address that
/// was checked is the one that is used, even if the name resolves to another one a moment later.
async fn connect_any<T, C>(
    host: &HostPort,
    opening: &Opening<'_>,
    connect: impl Fn(SocketAddr) -> C + Copy,
) -> io::Result<T>
where
    C: Future<Output = io::Result<T>>,
{
    happy_eyeballs::connect(host, |address| {
        let is_denied = opening.denied.as_ref().is_some_and(|denied| denied.contains(address));
        async move {
            if is_denied {
                let why = "the address is one of this program or its server, and the grant does not say `own: true`";
                let error = io::Error::new(io::ErrorKind::PermissionDenied, why);
                return opening.attempts.record(address, std::future::ready(Err(error))).await;
            }
            opening.attempts.record(address, connect(address)).await
        }
    })
    .await
}
