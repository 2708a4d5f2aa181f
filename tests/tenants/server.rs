//! The pattoo server and the web site of this test, which record what they received.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

/// The largest header of a request, in bytes.
const MAX_HEADER: usize = 64 << 10;

/// How often a connection looks whether the server has closed.
const LOOK: Duration = Duration::from_millis(200);

/// The response to the path and body of a request; with none, the connection is closed.
type Handler = dyn Fn(&str, &[u8]) -> Option<Arc<[u8]>> + Send + Sync;

/// Serves until `closed`.
fn serve(address: SocketAddr, closed: Arc<AtomicBool>, handler: Arc<Handler>) -> SocketAddr {
    let listener = TcpListener::bind(address).expect("an address that is ours");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if closed.load(Ordering::Acquire) {
                break;
            }
            let (closed, handler) = (Arc::clone(&closed), Arc::clone(&handler));
            std::thread::spawn(move || {
                stream.set_read_timeout(Some(LOOK)).expect("a stream");
                stream.set_nodelay(true).expect("a stream");
                let mut connection = Connection { stream, closed, buffer: Vec::new() };
                while let Some((path, body)) = connection.request() {
                    let Some(answer) = handler(&path, &body) else { break };
                    if connection.stream.write_all(&answer).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}

struct Connection {
    stream: TcpStream,
    closed: Arc<AtomicBool>,
    /// Bytes that were read and do not belong to a complete request yet.
    buffer: Vec<u8>,
}

impl Connection {
    /// Reads until the buffer has so many bytes.
    fn fill(&mut self, piece: &mut [u8]) -> Option<()> {
        loop {
            match self.stream.read(piece) {
                Ok(0) => return None,
                Ok(read) => {
                    self.buffer.extend_from_slice(&piece[..read]);
                    return Some(());
                }
                Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                    if self.closed.load(Ordering::Acquire) {
                        return None;
                    }
                }
                Err(_) => return None,
            }
        }
    }

    fn request(&mut self) -> Option<(String, Vec<u8>)> {
        let mut piece = vec![0; 64 << 10];
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            if self.buffer.len() > MAX_HEADER {
                return None;
            }
            self.fill(&mut piece)?;
        };
        let head = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        self.buffer.drain(..end + 4);
        let path = head.split(' ').nth(1)?.to_owned();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let length = length.unwrap_or(0);
        while self.buffer.len() < length {
            self.fill(&mut piece)?;
        }
        let rest = self.buffer.split_off(length);
        Some((path, std::mem::replace(&mut self.buffer, rest)))
    }
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Arc<[u8]> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat().into()
}

/// A web site with a small document, and a large one at `/bytes`.
pub(crate) struct WebSite {
    address: SocketAddr,
}

impl WebSite {
    pub(crate) fn new() -> Self {
        let small = answer("200 OK", "", br#"{"temperature": 21.5, "humidity": 40}"#);
        let large = answer("200 OK", "", &vec![b'x'; 8_000_000]);
        let handler = move |path: &str, _: &[u8]| Some(Arc::clone(if path == "/bytes" { &large } else { &small }));
        let address = serve(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::default(), Arc::new(handler));
        Self { address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A collection of a good collector, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Collection {
    /// When it was made, in Unix milliseconds.
    pub(crate) at: u64,
    /// What a counter counted.
    pub(crate) count: Option<u64>,
}

/// The pattoo server. It records the collections of programs that begin with `GOOD`, and responds
/// to others as their names say.
pub(crate) struct Receiver {
    address: SocketAddr,
    inner: Arc<Inner>,
    /// What closes those connections that are open now.
    closed: Mutex<Arc<AtomicBool>>,
}

struct Inner {
    /// The folder of agent ids.
    ids: PathBuf,
    programs: Mutex<BTreeMap<String, String>>,
    collections: Mutex<BTreeMap<String, Vec<Collection>>>,
    turn: AtomicUsize,
}

impl Receiver {
    /// One that listens at this address, for the agents whose ids are in this folder.
    pub(crate) fn new(address: SocketAddr, ids: &Path) -> Self {
        let inner = Inner {
            ids: ids.to_owned(),
            programs: Mutex::default(),
            collections: Mutex::default(),
            turn: AtomicUsize::new(0),
        };
        let receiver = Self { address, inner: Arc::new(inner), closed: Mutex::default() };
        receiver.open();
        receiver
    }

    /// Listens, as before it was closed.
    pub(crate) fn open(&self) {
        let closed = Arc::new(AtomicBool::new(false));
        *self.closed.lock().expect("no thread panics while it holds the lock") = Arc::clone(&closed);
        let inner = Arc::clone(&self.inner);
        serve(self.address, closed, Arc::new(move |path: &str, body: &[u8]| inner.take(path, body)));
    }

    /// Closes the listener and all connections.
    pub(crate) fn close(&self) {
        self.closed.lock().expect("no thread panics while it holds the lock").store(true, Ordering::Release);
        // So that it stops waiting for the next one.
        let _ = TcpStream::connect(self.address);
    }

    /// What arrived of each good program, in the order of its arrival.
    pub(crate) fn collections(&self) -> BTreeMap<String, Vec<Collection>> {
        self.inner.collections.lock().expect("no thread panics while it holds the lock").clone()
    }
}

impl Inner {
    /// The program that has an agent id.
    fn program(&self, id: &str) -> String {
        let mut programs = self.programs.lock().expect("no thread panics while it holds the lock");
        if !programs.contains_key(id) {
            for entry in fs::read_dir(&self.ids).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().trim_end_matches(".agent_id").to_owned();
                let id = fs::read_to_string(entry.path()).unwrap_or_default();
                programs.insert(id.trim().to_owned(), name);
            }
        }
        programs.get(id).cloned().unwrap_or_default()
    }

    fn take(&self, path: &str, body: &[u8]) -> Option<Arc<[u8]>> {
        let program = self.program(path.rsplit('/').next().unwrap_or_default());
        let status = match program.rsplit('-').next().unwrap_or_default() {
            "403" => "403 Forbidden",
            "500" => "500 Internal Server Error",
            "429" => return Some(answer("429 Too Many Requests", "retry-after: 4000000000\r\n", b"")),
            "gone" => match self.turn.fetch_add(1, Ordering::Relaxed) % 3 {
                0 => "502 Bad Gateway",
                1 => "504 Gateway Timeout",
                _ => return None,
            },
            _ => "200 OK",
        };
        if program.starts_with("GOOD") {
            let body: Value = serde_json::from_slice(body).expect("a payload is JSON");
            let pairs = body["pattoo_datapoints"]["key_value_pairs"].as_object().expect("pairs");
            let value = |key: &str| pairs.values().find(|pair| pair[0] == key).and_then(|pair| pair[1].as_u64());
            let count = pairs.values().any(|pair| pair[1] == "count").then(|| value("pattoo_value")).flatten();
            let collection = Collection { at: value("pattoo_timestamp").expect("a timestamp"), count };
            self.collections
                .lock()
                .expect("no thread panics while it holds the lock")
                .entry(program)
                .or_default()
                .push(collection);
        }
        Some(answer(status, "", b"OK"))
    }
}
