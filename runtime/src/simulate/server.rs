//! Listening, accepting connections, and serving lines.
//!
//! Any program may connect to a simulated device: requests are limited in length,
//! the number of connections is limited, and a connection without requests is closed after a while.

use std::{
    io,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    device,
    fault::{Fault, Faults},
    file::{Device, DeviceAddress, Simulation},
    pty::Pty,
    value::Moment,
    wire::{Framing, MAX_SILENCE},
};

/// How long accepting pauses after it failed, as it does when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a device cannot be served at its address.
#[derive(Debug, Error)]
pub enum BindError {
    /// The address cannot be used.
    #[error("cannot listen on {address}: {error}")]
    Address {
        /// The address in the file.
        address: SocketAddr,
        /// The cause.
        #[source]
        error: io::Error,
    },
    /// The pseudo-terminal, or the link to it, cannot be created.
    #[error("cannot create a pseudo-terminal{}: {error}", link.as_ref().map(|link| format!(" with the link {}", link.display())).unwrap_or_default())]
    Line {
        /// The link in the file.
        link: Option<PathBuf>,
        /// The cause.
        #[source]
        error: io::Error,
    },
}

/// A simulation with all addresses bound. It replies as soon as it is served.
#[derive(Debug)]
pub struct Bound {
    devices: Vec<(Device, Binding)>,
    start: Start,
}

/// The bound address of a device.
#[derive(Debug)]
enum Binding {
    Network(TcpListener, SocketAddr, Framing),
    Line(Pty),
}

/// A device with a bound address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundDevice {
    /// Its name in the file.
    pub name: Option<String>,
    /// Its URL, as in a grant: `tcp://127.0.0.1:1502`, `rtu+tcp://127.0.0.1:1503`,
    /// `rtu:///dev/pts/3?parity=none`.
    pub url: String,
    /// Its address, if it listens. The port is the real one, also if the file has 0.
    pub address: Option<SocketAddr>,
    /// The numbers of its units, ascending.
    pub units: Vec<u8>,
}

/// The time when a simulation was bound, on both clocks.
#[derive(Debug, Clone, Copy)]
struct Start {
    elapsed: Instant,
    clock: Duration,
}

impl Start {
    fn now() -> Self {
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            elapsed: Instant::now(),
            // A clock before 1970 counts as 1970.
            clock: clock.unwrap_or_default(),
        }
    }

    fn moment(self) -> Moment {
        let elapsed = self.elapsed.elapsed();
        Moment { elapsed, clock: self.clock.saturating_add(elapsed) }
    }
}

impl Simulation {
    /// The same devices, each on a free port of its address instead of the port in the file.
    #[must_use]
    pub fn on_free_ports(mut self) -> Self {
        for device in &mut self.devices {
            match &mut device.address {
                DeviceAddress::Tcp(address) | DeviceAddress::RtuOverTcp(address) => address.set_port(0),
                DeviceAddress::Pty(_) => {}
            }
        }
        self
    }

    /// Listens on the addresses of all devices, and creates the lines of the others. Counters start
    /// now.
    ///
    /// # Errors
    /// [`BindError`] for the first device that cannot be bound. Then none is.
    pub async fn bind(self) -> Result<Bound, BindError> {
        let mut devices = Vec::with_capacity(self.devices.len());
        for device in self.devices {
            let bind = match &device.address {
                DeviceAddress::Tcp(address) => listen(*address, Framing::Tcp).await?,
                DeviceAddress::RtuOverTcp(address) => listen(*address, Framing::Rtu).await?,
                DeviceAddress::Pty(link) => {
                    let failed = |error| BindError::Line { link: link.clone(), error };
                    Binding::Line(Pty::open(link.as_deref()).map_err(failed)?)
                }
            };
            devices.push((device, bind));
        }
        Ok(Bound { devices, start: Start::now() })
    }
}

async fn listen(address: SocketAddr, framing: Framing) -> Result<Binding, BindError> {
    let failed = |error| BindError::Address { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Binding::Network(listener, address, framing))
}

impl Binding {
    fn url(&self) -> String {
        match self {
            Self::Network(_, address, Framing::Tcp) => format!("tcp://{address}"),
            Self::Network(_, address, Framing::Rtu) => format!("rtu+tcp://{address}"),
            // Pseudo-terminals have no parity.
            Self::Line(pty) => format!("rtu://{}?parity=none", pty.path().display()),
        }
    }
}

impl Bound {
    /// The devices, in the order of the file.
    pub fn devices(&self) -> Vec<BoundDevice> {
        let devices = self.devices.iter();
        devices
            .map(|(device, bind)| BoundDevice {
                name: device.name.clone(),
                url: bind.url(),
                address: if let Binding::Network(_, address, _) = bind { Some(*address) } else { None },
                units: device.units.keys().copied().collect(),
            })
            .collect()
    }

    /// Serves all devices until `shutdown` is ready. Then, or when this future is dropped, all
    /// listeners and connections are closed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let mut devices = JoinSet::new();
        for (device, bind) in self.devices {
            let faults = Faults::new(device.faults.clone());
            let url = bind.url();
            let running = Arc::new(RunningDevice { device, faults, start: self.start, url });
            match bind {
                Binding::Network(listener, _, framing) => devices.spawn(serve(running, listener, framing)),
                Binding::Line(pty) => devices.spawn(serve_line(running, pty)),
            };
        }
        shutdown.await;
    }
}

/// A device that is served.
#[derive(Debug)]
struct RunningDevice {
    device: Device,
    faults: Faults,
    start: Start,
    /// For log lines.
    url: String,
}

/// Accepts connections to one device for ever. Dropping the future closes them.
async fn serve(running: Arc<RunningDevice>, listener: TcpListener, framing: Framing) {
    let most = running.device.limits.connections.min(Semaphore::MAX_PERMITS);
    let permits = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        // Connections that ended are removed.
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(device = running.url, %error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
            tracing::warn!(device = running.url, %peer, "connection refused: {most} are open");
            continue;
        };
        let running = Arc::clone(&running);
        connections.spawn(async move {
            let _permit = permit;
            let end = match stream.set_nodelay(true) {
                Ok(()) => running.serve_requests(stream, framing).await,
                Err(error) => Err(error),
            };
            tracing::debug!(device = running.url, %peer, ?end, "connection closed");
        });
    }
}

/// Serves a line for ever: it has no end, and may be silent.
async fn serve_line(running: Arc<RunningDevice>, mut pty: Pty) {
    loop {
        let end = running.serve_requests(&mut pty, Framing::Rtu).await;
        tracing::debug!(device = running.url, ?end, "the line is read again");
        sleep(ACCEPT_PAUSE).await;
    }
}

impl RunningDevice {
    /// Replies to requests until the client ends, breaks the protocol, or is silent for too long;
    /// or until a fault ends it.
    async fn serve_requests(&self, stream: impl AsyncRead + AsyncWrite + Unpin, framing: Framing) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let request = framing.read(&mut stream).await?;
            let injection = self.faults.inject(request.unit, &request.pdu);
            if !injection.delay.is_zero() {
                sleep(injection.delay).await;
            }
            // On a line there is no reply for a unit that does not exist; a gateway sends one.
            let absent = framing == Framing::Rtu && !self.device.units.contains_key(&request.unit);
            match injection.fault {
                Some(Fault::Drop) => return Ok(()),
                Some(Fault::Silence) => continue,
                _ if absent => continue,
                _ => {}
            }
            let Device { units, limits, .. } = &self.device;
            let pdu = device::reply(units, *limits, request.unit, &request.pdu, self.start.moment());
            let frame = framing.reply(&request, pdu, injection.fault);
            // In one write: the second of two would wait for the acknowledgement of the first.
            timeout(MAX_SILENCE, stream.write_all(&frame)).await??;
            if injection.fault == Some(Fault::Close) {
                return stream.shutdown().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::{io::AsyncReadExt as _, net::TcpStream, sync::oneshot};

    use super::*;

    /// Serves one device with one register, and returns its address.
    async fn serve_one(shutdown: impl Future<Output = ()> + Send + 'static) -> SocketAddr {
        let text = "devices: [{ listen: 0, units: { 1: { holding: { 0: 732 } } } }]";
        let bound = Simulation::from_yaml(text).unwrap().bind().await.unwrap();
        let address = bound.devices()[0].address.unwrap();
        tokio::spawn(bound.serve(shutdown));
        address
    }

    const READ: [u8; 12] = [0x12, 0x34, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1];
    const REPLY: [u8; 11] = [0x12, 0x34, 0, 0, 0, 5, 1, 3, 2, 0x02, 0xDC];

    async fn ask(stream: &mut TcpStream) -> io::Result<[u8; 11]> {
        stream.write_all(&READ).await?;
        let mut reply = [0; 11];
        timeout(Duration::from_secs(5), stream.read_exact(&mut reply)).await??;
        Ok(reply)
    }

    /// Waits for the end of a connection, however it ends.
    async fn ended(stream: &mut TcpStream) {
        let end = timeout(Duration::from_secs(5), stream.read(&mut [0])).await.expect("the connection stays open");
        assert_eq!(end.unwrap_or(0), 0);
    }

    #[tokio::test]
    async fn invalid_request_closes_only_its_connection() {
        let address = serve_one(pending()).await;
        let mut good = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut good).await.unwrap(), REPLY);
        let wrong: [&[u8]; 4] =
            [b"GET / HTTP/1.1\r\n\r\n", &[0, 0, 0, 0, 0, 0, 1], &[0, 0, 0, 0, 0, 1, 1], &[0, 0, 0, 0, 0, 255, 1]];
        for bytes in wrong {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            ended(&mut stream).await;
        }
        assert_eq!(ask(&mut good).await.unwrap(), REPLY);
    }

    #[tokio::test]
    async fn write_with_a_wrong_length_is_an_unknown_function() {
        let address = serve_one(pending()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        for pdu in [&[0x0F, 0, 0, 0xFF, 0xFF, 1, 0][..], &[0x10, 0, 0, 0x80, 1, 2, 0, 0]] {
            let length = u8::try_from(pdu.len()).unwrap().saturating_add(1);
            stream.write_all(&[&[0, 9, 0, 0, 0, length, 1], pdu].concat()).await.unwrap();
            let mut reply = [0; 9];
            stream.read_exact(&mut reply).await.unwrap();
            assert_eq!(reply, [0, 9, 0, 0, 0, 3, 1, pdu[0] | 0x80, 1]);
        }
        assert_eq!(ask(&mut stream).await.unwrap(), REPLY);
    }

    #[tokio::test]
    async fn connection_beyond_the_limit_is_closed_until_another_one_ends() {
        let address = serve_one(pending()).await;
        let mut streams = Vec::new();
        for _ in 0..64 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert_eq!(ask(&mut stream).await.unwrap(), REPLY);
            streams.push(stream);
        }
        ended(&mut TcpStream::connect(address).await.unwrap()).await;
        streams.pop();
        let room = async { while ask(&mut TcpStream::connect(address).await.unwrap()).await.is_err() {} };
        timeout(Duration::from_secs(5), room).await.unwrap();
        assert_eq!(ask(&mut streams[0]).await.unwrap(), REPLY);
    }

    #[tokio::test]
    async fn shutdown_closes_connections_and_frees_the_port() {
        let (stop, stopped) = oneshot::channel::<()>();
        let address = serve_one(async move { drop(stopped.await) }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), REPLY);
        drop(stop);
        ended(&mut stream).await;
        let free = async { while TcpStream::connect(address).await.is_ok() {} };
        timeout(Duration::from_secs(5), free).await.unwrap();
    }
}
