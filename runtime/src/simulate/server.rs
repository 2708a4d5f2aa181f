//! Being there: listening, accepting connections, holding lines.
//!
//! A simulated device must be sturdier than one that is only met by friends: what a stranger can send is bounded in length,
//! the number of connections is bounded, and a connection that asks nothing for a while is closed.

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
    file::{Device, Place, Simulation},
    pty::Pty,
    value::Moment,
    wire::{Framing, MAX_SILENCE},
};

/// How long accepting pauses after it failed, as it does when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A device could not be put where its file has it.
#[derive(Debug, Error)]
pub enum BindError {
    /// An address could not be listened on.
    #[error("cannot listen on {address} ({error})")]
    Address {
        /// The address, as the file has it.
        address: SocketAddr,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// There is no pseudo-terminal, or no link to it.
    #[error("cannot make a pseudo-terminal{} ({error})", link.as_ref().map(|link| format!(" with the link {}", link.display())).unwrap_or_default())]
    Line {
        /// The link, as the file has it.
        link: Option<PathBuf>,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

/// A simulation whose devices are all there; it answers as soon as it is served.
#[derive(Debug)]
pub struct Bound {
    devices: Vec<(Device, Bind)>,
    start: Start,
}

/// Where a device is found, taken.
#[derive(Debug)]
enum Bind {
    Network(TcpListener, SocketAddr, Framing),
    Line(Pty),
}

/// What is known of a device that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundDevice {
    /// What the file calls it.
    pub name: Option<String>,
    /// Where it is found, as a grant has it: `tcp://127.0.0.1:1502`, `rtu+tcp://127.0.0.1:1503`,
    /// `rtu:///dev/pts/3?parity=none`.
    pub url: String,
    /// Where it listens, if it does: the port is the real one, also where the file says 0.
    pub address: Option<SocketAddr>,
    /// The numbers of its units, ascending.
    pub units: Vec<u8>,
}

/// When a simulation was bound, by both clocks.
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
            // A clock before 1970 is as good a start as any other.
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
            match &mut device.place {
                Place::Tcp(address) | Place::RtuOverTcp(address) => address.set_port(0),
                Place::Pty(_) => {}
            }
        }
        self
    }

    /// Listens on the addresses of all devices, and makes the lines of the others. Counters begin now.
    ///
    /// # Errors
    /// [`BindError`] for the first device that can't be put there; then none is.
    pub async fn bind(self) -> Result<Bound, BindError> {
        let mut devices = Vec::with_capacity(self.devices.len());
        for device in self.devices {
            let bind = match &device.place {
                Place::Tcp(address) => listen(*address, Framing::Tcp).await?,
                Place::RtuOverTcp(address) => listen(*address, Framing::Rtu).await?,
                Place::Pty(link) => {
                    let failed = |error| BindError::Line { link: link.clone(), error };
                    Bind::Line(Pty::open(link.as_deref()).map_err(failed)?)
                }
            };
            devices.push((device, bind));
        }
        Ok(Bound { devices, start: Start::now() })
    }
}

async fn listen(address: SocketAddr, framing: Framing) -> Result<Bind, BindError> {
    let failed = |error| BindError::Address { address, error };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok(Bind::Network(listener, address, framing))
}

impl Bind {
    fn url(&self) -> String {
        match self {
            Self::Network(_, address, Framing::Tcp) => format!("tcp://{address}"),
            Self::Network(_, address, Framing::Rtu) => format!("rtu+tcp://{address}"),
            // Pseudo-terminals know no parity.
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
                address: if let Bind::Network(_, address, _) = bind { Some(*address) } else { None },
                units: device.units.keys().copied().collect(),
            })
            .collect()
    }

    /// Answers for all devices until `shutdown` is ready. Then, or when this future is dropped, nobody listens any
    /// more and all connections are closed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let mut devices = JoinSet::new();
        for (device, bind) in self.devices {
            let faults = Faults::new(device.faults.clone());
            let place = bind.url();
            let running = Arc::new(Running { device, faults, start: self.start, place });
            match bind {
                Bind::Network(listener, _, framing) => devices.spawn(serve(running, listener, framing)),
                Bind::Line(pty) => devices.spawn(serve_line(running, pty)),
            };
        }
        shutdown.await;
    }
}

/// A device that is served.
#[derive(Debug)]
struct Running {
    device: Device,
    faults: Faults,
    start: Start,
    /// For texts.
    place: String,
}

/// Accepts connections to one device for ever. Dropping the future closes them.
async fn serve(running: Arc<Running>, listener: TcpListener, framing: Framing) {
    let most = running.device.limits.connections.min(Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(most));
    let mut connections = JoinSet::new();
    loop {
        // Those that have ended are forgotten.
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(place = running.place, %error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(place = running.place, %peer, "connection refused: {most} are open");
            continue;
        };
        let running = Arc::clone(&running);
        connections.spawn(async move {
            let _place = place;
            let end = match stream.set_nodelay(true) {
                Ok(()) => running.answer(stream, framing).await,
                Err(error) => Err(error),
            };
            tracing::debug!(place = running.place, %peer, ?end, "connection closed");
        });
    }
}

/// Answers on a line for ever: it has no end, and silence there is as good as anything.
async fn serve_line(running: Arc<Running>, mut pty: Pty) {
    loop {
        let end = running.answer(&mut pty, Framing::Rtu).await;
        tracing::debug!(place = running.place, ?end, "the line is read anew");
        sleep(ACCEPT_PAUSE).await;
    }
}

impl Running {
    /// Answers one request after the other until the peer is done, breaks the protocol, or is silent for too long; or
    /// until a fault ends it.
    async fn answer(&self, stream: impl AsyncRead + AsyncWrite + Unpin, framing: Framing) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let request = framing.read(&mut stream).await?;
            let verdict = self.faults.judge(request.unit, &request.pdu);
            if !verdict.delay.is_zero() {
                sleep(verdict.delay).await;
            }
            // Nobody answers on a line for a unit that is not there; a gateway does.
            let absent = framing == Framing::Rtu && !self.device.units.contains_key(&request.unit);
            match verdict.fault {
                Some(Fault::Drop) => return Ok(()),
                Some(Fault::Silence) => continue,
                _ if absent => continue,
                _ => {}
            }
            let Device { units, limits, .. } = &self.device;
            let pdu = device::reply(units, *limits, request.unit, &request.pdu, self.start.moment());
            let frame = framing.reply(&request, pdu, verdict.fault);
            // In one piece: in two, the second would wait for the acknowledgement of the first.
            timeout(MAX_SILENCE, stream.write_all(&frame)).await??;
            if verdict.fault == Some(Fault::Close) {
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

    /// Serves one device with one register, and says where.
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
    async fn what_is_no_modbus_ends_its_connection_and_no_other() {
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
    async fn a_write_that_lies_about_its_length_is_an_unknown_function_like_any_other() {
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
    async fn a_connection_too_many_is_closed_and_there_is_room_again_when_one_ends() {
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
    async fn the_end_of_serving_closes_connections_and_frees_the_port() {
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
