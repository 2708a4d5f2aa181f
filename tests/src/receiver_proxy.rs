//! `pattoo-wasm receive` behind a proxy that a test controls: the receiver follows its scenario
//! file, stops and starts again, and at an exact moment of a request the test can act on the
//! sender, for example kill it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use serde_json::Value;

use crate::{Cli, Running, unused_address};

/// How the receiver responds to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// Accepts every request.
    Accepts,
    /// Follows this scenario file.
    FromFile(&'static str),
    /// The receiver is killed, and no process listens.
    Down,
}

/// A moment of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// The sender has sent the payload, and the receiver has not got it.
    Sent,
    /// The receiver has stored the payload, and its response is not sent yet.
    Taken,
    /// The response, a success, has been sent.
    Answered,
}

/// An action at a moment of a request, given the payload.
type Action = Box<dyn FnOnce(&Value) + Send>;

/// The receiver and the proxy in front of it.
pub struct ReceiverProxy {
    cli: Cli,
    /// The address of the receiver, also while it is down.
    behind: SocketAddr,
    receiver: Option<Running>,
    wire: Wire,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Wire {
    address: SocketAddr,
    behind: SocketAddr,
    open: Arc<AtomicBool>,
    armed: Arc<Mutex<Option<(Moment, Action)>>>,
}

impl Default for ReceiverProxy {
    fn default() -> Self {
        Self::start()
    }
}

impl ReceiverProxy {
    /// Starts a receiver that accepts every request.
    pub fn start() -> Self {
        let cli = Cli::new();
        let behind = unused_address();
        let receiver = cli.receive_at(&behind.to_string());
        let wire =
            Wire { address: unused_address(), behind, open: Arc::new(AtomicBool::new(false)), armed: Arc::default() };
        let mut proxy = Self { cli, behind, receiver: Some(receiver), wire, accepting: None };
        proxy.open();
        proxy
    }

    /// The address of the proxy, for the sender.
    pub fn address(&self) -> SocketAddr {
        self.wire.address
    }

    /// Changes the scenario, from the next request on.
    pub fn set(&mut self, scenario: Scenario) {
        let text = match scenario {
            Scenario::Accepts => "",
            Scenario::FromFile(text) => text,
            Scenario::Down => return self.close(),
        };
        self.cli.file("scenario.yaml", text);
        if self.receiver.is_none() {
            self.receiver = Some(self.cli.receive_at(&self.behind.to_string()));
            self.open();
        }
    }

    /// Runs an action once, at this moment of the next request.
    pub fn at(&self, moment: Moment, action: impl FnOnce(&Value) + Send + 'static) {
        *self.wire.armed() = Some((moment, Box::new(action)));
    }

    /// The stored payloads, in their order.
    pub fn received(&self) -> Vec<Value> {
        self.cli.received()
    }

    fn open(&mut self) {
        let listener = TcpListener::bind(self.wire.address).expect("the port is kept for us");
        self.wire.open.store(true, Ordering::SeqCst);
        let wire = self.wire.clone();
        self.accepting = Some(std::thread::spawn(move || wire.accept(&listener)));
    }

    fn close(&mut self) {
        self.receiver = None;
        self.wire.open.store(false, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.take() {
            // This connection wakes the thread, which waits in `accept`.
            drop(TcpStream::connect(self.wire.address));
            accepting.join().expect("it accepts until it is told not to");
        }
    }
}

impl Wire {
    fn armed(&self) -> MutexGuard<'_, Option<(Moment, Action)>> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, listener: &TcpListener) {
        for stream in listener.incoming() {
            if !self.open.load(Ordering::SeqCst) {
                return;
            }
            let (Ok(stream), wire) = (stream, self.clone()) else { continue };
            std::thread::spawn(move || wire.serve(stream));
        }
    }

    /// Forwards requests and responses of one connection until either side closes it.
    fn serve(&self, near: TcpStream) -> Option<()> {
        let far = TcpStream::connect(self.behind).ok()?;
        let (mut to_near, mut to_far) = (near.try_clone().ok()?, far.try_clone().ok()?);
        let (mut from_near, mut from_far) = (BufReader::new(near), BufReader::new(far));
        loop {
            let request = message(&mut from_near)?;
            let body: Value = serde_json::from_slice(&request.body).expect("a body is JSON");
            self.reach(Moment::Sent, &body);
            to_far.write_all(&request.bytes).ok()?;
            let answer = message(&mut from_far)?;
            let good = answer.bytes.starts_with(b"HTTP/1.1 2");
            if good {
                self.reach(Moment::Taken, &body);
            }
            to_near.write_all(&answer.bytes).ok()?;
            if good {
                self.reach(Moment::Answered, &body);
            }
        }
    }

    fn reach(&self, moment: Moment, body: &Value) {
        let action = self.armed().take_if(|(armed, _)| *armed == moment);
        if let Some((_, action)) = action {
            action(body);
        }
    }
}

/// An HTTP message: all its bytes, and its body.
struct Message {
    bytes: Vec<u8>,
    body: Vec<u8>,
}

/// Reads a message; none at the end of the connection.
fn message(reader: &mut BufReader<TcpStream>) -> Option<Message> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        let line = head.get(before..)?.trim();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Message { bytes: [head.as_bytes(), &body].concat(), body })
}
