//! Listening for simulated devices.
//!
//! The frames are cut here and not by a library, since a simulated device must be sturdier than one that is only met by
//! friends: what a stranger can send is bounded in length, the number of connections is bounded, and a connection that
//! asks nothing for a while is closed.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::device;
use super::file::{Device, Simulation};
use super::value::Moment;

/// How many connections a device serves at once; a further one is closed as soon as it is accepted.
const MAX_CONNECTIONS: usize = 64;
/// How long a connection may ask nothing.
const MAX_SILENCE: Duration = Duration::from_mins(10);
/// How long accepting pauses after it failed, as it does when no file descriptor is left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// The longest PDU: 253 bytes (MODBUS Application Protocol V1.1b3, section 4.1).
const MAX_PDU: usize = 253;

/// An address could not be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address} ({error})")]
pub struct BindError {
    /// The address, as the file has it.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub error: io::Error,
}

/// A simulation whose devices all listen; it answers as soon as it is served.
#[derive(Debug)]
pub struct Bound {
    devices: Vec<(Device, TcpListener, SocketAddr)>,
    start: Start,
}

/// What is known of a device that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundDevice {
    /// What the file calls it.
    pub name: Option<String>,
    /// Where it listens: the port is the real one, also where the file says 0.
    pub address: SocketAddr,
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
            device.listen.set_port(0);
        }
        self
    }

    /// Listens on the addresses of all devices. Counters begin now.
    ///
    /// # Errors
    /// [`BindError`] for the first address that can't be listened on; then none is.
    pub async fn bind(self) -> Result<Bound, BindError> {
        let mut devices = Vec::with_capacity(self.devices.len());
        for device in self.devices {
            let failed = |error| BindError { address: device.listen, error };
            let listener = TcpListener::bind(device.listen).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            devices.push((device, listener, address));
        }
        Ok(Bound { devices, start: Start::now() })
    }
}

impl Bound {
    /// The devices, in the order of the file.
    pub fn devices(&self) -> Vec<BoundDevice> {
        let devices = self.devices.iter();
        devices
            .map(|(device, _, address)| BoundDevice {
                name: device.name.clone(),
                address: *address,
                units: device.units.keys().copied().collect(),
            })
            .collect()
    }

    /// Answers for all devices until `shutdown` is ready. Then, or when this future is dropped, nobody listens any
    /// more and all connections are closed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) {
        let mut devices = JoinSet::new();
        for (device, listener, address) in self.devices {
            devices.spawn(serve(Arc::new(device), listener, address, self.start));
        }
        shutdown.await;
    }
}

/// Accepts connections to one device for ever. Dropping the future closes them.
async fn serve(device: Arc<Device>, listener: TcpListener, address: SocketAddr, start: Start) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // Those that have ended are forgotten.
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%address, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            tracing::warn!(%address, %peer, "connection refused: {MAX_CONNECTIONS} are open");
            continue;
        };
        let device = Arc::clone(&device);
        connections.spawn(async move {
            let _place = place;
            let end = answer(&device, stream, start).await;
            tracing::debug!(%address, %peer, ?end, "connection closed");
        });
    }
}

/// Answers one request after the other until the peer is done, breaks the protocol, or is silent for too long.
async fn answer(device: &Device, mut stream: TcpStream, start: Start) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        // Transaction (2 bytes), protocol (2), length of what follows (2), unit (1): Modbus Messaging on TCP/IP
        // Implementation Guide V1.0b, section 3.1.3.
        let mut header = [0; 7];
        timeout(MAX_SILENCE, stream.read_exact(&mut header)).await??;
        let [transaction_high, transaction_low, 0, 0, length_high, length_low, unit] = header else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a protocol other than 0"));
        };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let mut request = [0; MAX_PDU];
        // The length counts the unit, too, and a PDU has at least its function code.
        let request = length
            .checked_sub(1)
            .filter(|&pdu| pdu > 0)
            .and_then(|pdu| request.get_mut(..pdu))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a length that no request has"))?;
        timeout(MAX_SILENCE, stream.read_exact(request)).await??;
        let pdu = device::reply(&device.units, unit, request, start.moment());
        let length = u16::try_from(pdu.len()).unwrap_or(u16::MAX).saturating_add(1);
        let [length_high, length_low] = length.to_be_bytes();
        let header = [transaction_high, transaction_low, 0, 0, length_high, length_low, unit];
        // In one piece: in two, the second would wait for the acknowledgement of the first.
        timeout(MAX_SILENCE, stream.write_all(&[&header[..], &pdu].concat())).await??;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    /// Serves one device with one register, and says where.
    async fn serve_one(shutdown: impl Future<Output = ()> + Send + 'static) -> SocketAddr {
        let text = "devices: [{ listen: 0, units: { 1: { holding: { 0: 732 } } } }]";
        let bound = Simulation::from_yaml(text).unwrap().bind().await.unwrap();
        let address = bound.devices()[0].address;
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
        for _ in 0..MAX_CONNECTIONS {
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
