//! A receiver that does what a test tells it: takes bodies, refuses them, is slow, hangs, or is not there; and that can do
//! something to the sender at an exact moment of a post.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::Value;

/// What the receiver does with a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// Takes it.
    Takes,
    /// Answers with this status, and keeps nothing.
    Answers(u16),
    /// Takes it, after this time.
    Slow(Duration),
    /// Reads it and never answers.
    Hangs,
    /// Nobody listens.
    Down,
}

/// A moment of a post that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    /// The body has arrived; nothing was kept and nothing answered.
    Arrived,
    /// The answer has been handed to the network.
    Answered,
}

/// What is done, with the body that is being posted.
type Deed = Box<dyn FnOnce(&Value) + Send>;

struct Shared {
    mood: Mood,
    taken: Vec<Value>,
    armed: Option<(Moment, Deed)>,
}

/// The receiver. It ends with the test's process.
#[derive(Clone)]
pub struct MoodyReceiver {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

impl Default for MoodyReceiver {
    fn default() -> Self {
        Self::start()
    }
}

impl MoodyReceiver {
    /// Starts one that takes everything.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Mutex::new(Shared { mood: Mood::Takes, taken: Vec::new(), armed: None }));
        let receiver = Self { address, shared };
        let accepting = receiver.clone();
        std::thread::spawn(move || accepting.accept(listener));
        receiver
    }

    /// Where it listens, when it does.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes its mood, from the next post on.
    pub fn is(&self, mood: Mood) {
        self.lock().mood = mood;
    }

    /// What it took so far, in order.
    pub fn taken(&self) -> Vec<Value> {
        self.lock().taken.clone()
    }

    /// Does something once, at this moment of the next post that it takes.
    pub fn at(&self, moment: Moment, deed: impl FnOnce(&Value) + Send + 'static) {
        self.lock().armed = Some((moment, Box::new(deed)));
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(&self, mut listener: TcpListener) {
        loop {
            listener.set_nonblocking(true).expect("a listener");
            while self.lock().mood != Mood::Down {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let receiver = self.clone();
                        std::thread::spawn(move || receiver.serve(stream));
                    }
                    Err(_) => std::thread::sleep(Duration::from_millis(2)),
                }
            }
            drop(listener);
            while self.lock().mood == Mood::Down {
                std::thread::sleep(Duration::from_millis(2));
            }
            listener = TcpListener::bind(self.address).expect("the port is still free");
        }
    }

    /// Serves one connection until its other end, or the mood, closes it.
    fn serve(&self, stream: TcpStream) {
        stream.set_nonblocking(false).expect("a stream");
        let mut writer = stream.try_clone().expect("a stream");
        let mut reader = BufReader::new(stream);
        while let Some(body) = read_post(&mut reader) {
            let mood = self.lock().mood;
            match mood {
                Mood::Takes => {}
                Mood::Slow(time) => std::thread::sleep(time),
                Mood::Down => return,
                Mood::Hangs => {
                    // Until the sender gives up, or the mood changes.
                    while self.lock().mood == Mood::Hangs {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    return;
                }
                Mood::Answers(status) => {
                    if answer(&mut writer, status).is_err() {
                        return;
                    }
                    continue;
                }
            }
            let body: Value = serde_json::from_slice(&body).expect("a body is JSON");
            self.reach(Moment::Arrived, &body);
            self.lock().taken.push(body.clone());
            if answer(&mut writer, 200).is_err() {
                return;
            }
            self.reach(Moment::Answered, &body);
        }
    }

    fn reach(&self, moment: Moment, body: &Value) {
        let deed = self.lock().armed.take_if(|(armed, _)| *armed == moment);
        if let Some((_, deed)) = deed {
            deed(body);
        }
    }
}

/// Reads the body of one POST; none at the end of the connection.
fn read_post(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok();
        }
    }
    let mut body = vec![0; length?];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

fn answer(writer: &mut TcpStream, status: u16) -> std::io::Result<()> {
    write!(writer, "HTTP/1.1 {status} Moody\r\nContent-Length: 2\r\n\r\nOK")
}
