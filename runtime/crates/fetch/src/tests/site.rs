//! What the claims are held against: sites that answer with given bytes and remember what they were asked, and a resolver
//! that says what it is told to.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    Client, Error, Limits, Lookup, Origin, OriginGrant, OwnEndpoints, Reason, Request, Resolver, Response, Setup,
};

/// A request as it came over the wire.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Which connection it came on, counted from 0.
    pub(super) connection: usize,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Seen {
    pub(super) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    pub(super) fn method(&self) -> &str {
        self.head.split(' ').next().unwrap()
    }

    /// All values of a header field.
    pub(super) fn header(&self, name: &str) -> Vec<&str> {
        let field = |line: &'_ str| -> Option<(String, usize)> {
            let (field, _) = line.split_once(':')?;
            Some((field.to_ascii_lowercase(), field.len() + 1))
        };
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| field(line).filter(|(field, _)| field == name).map(|(_, at)| line[at..].trim()))
            .collect()
    }
}

/// A web site on a free port of 127.0.0.1, gone when dropped.
pub(super) struct Site {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    _tasks: JoinSet<()>,
}

impl Site {
    /// A site that keeps its connections and answers each request with what `answer` returns.
    pub(super) async fn answering(answer: impl Fn(&Seen) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering_or_closing(move |seen| (answer(seen), true)).await
    }

    /// A site that answers each request with what `answer` returns, and keeps the connection if it returns `true` beside.
    pub(super) async fn answering_or_closing(
        answer: impl Fn(&Seen) -> (Vec<u8>, bool) + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        let (address, tasks) = listen(move |connection, mut stream| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                while let Some(request) = read_request(connection, &mut stream).await {
                    log.lock().unwrap().push(request.clone());
                    let (bytes, keeps) = answer(&request);
                    if stream.write_all(&bytes).await.is_err() || !keeps {
                        return;
                    }
                }
            }
        })
        .await;
        Self { address, seen, _tasks: tasks }
    }

    /// A site that says 200 and this text to everything.
    pub(super) async fn saying(text: &'static str) -> Self {
        Self::answering(move |_| ok(text)).await
    }

    /// A site that does as it likes with each connection, once a request has come in.
    pub(super) async fn scripted<F>(script: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        let (address, tasks) = listen(move |connection, mut stream| {
            let (log, script) = (Arc::clone(&log), Arc::clone(&script));
            async move {
                if let Some(request) = read_request(connection, &mut stream).await {
                    log.lock().unwrap().push(request);
                    script(stream).await;
                }
            }
        })
        .await;
        Self { address, seen, _tasks: tasks }
    }

    /// What it was asked so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same site by a name, for a resolver of the test.
    pub(super) fn url_as(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.address.port())
    }

    pub(super) fn origin(&self) -> Origin {
        self.url("").parse().unwrap()
    }

    pub(super) fn origin_as(&self, host: &str) -> Origin {
        self.url_as(host, "").parse().unwrap()
    }

    pub(super) fn grant(&self) -> OriginGrant {
        OriginGrant::new(self.origin())
    }
}

async fn listen<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> (SocketAddr, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            connections.spawn(serve(connection, stream));
        }
    });
    (address, tasks)
}

async fn read_request(connection: usize, stream: &mut TcpStream) -> Option<Seen> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let mut body = bytes.split_off(head_end);
    let mut seen = Seen { connection, head: String::from_utf8(bytes).unwrap(), body: Vec::new() };
    let length = seen.header("content-length").first().map_or(0, |text| text.parse().unwrap());
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = body;
    Some(seen)
}

/// A 200 with this body.
pub(super) fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    with_headers("", body)
}

/// A 200 with further header lines, each with its line end.
pub(super) fn with_headers(lines: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut all = format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
    all.extend_from_slice(body);
    all
}

/// A redirect.
pub(super) fn redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

/// A resolver that answers each lookup of a name with the next of its answers, and the last one for ever; it connects
/// nowhere by itself and knows no other name.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    answers: HashMap<String, Vec<Vec<IpAddr>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Book {
    pub(super) fn with(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let parsed = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.insert(name.to_owned(), answers.iter().map(parsed).collect());
        self
    }

    /// The names asked for so far.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(super) fn setup(&self) -> Setup {
        Setup { resolver: Arc::new(self.clone()), ..Setup::default() }
    }
}

impl Resolver for Book {
    fn lookup(&self, host: &str) -> Lookup {
        let mut asked = self.asked.lock().unwrap();
        let before = asked.iter().filter(|name| *name == host).count();
        asked.push(host.to_owned());
        let answer = self.answers.get(host).map(|answers| answers[before.min(answers.len() - 1)].clone());
        let addresses = answer.map(|all| all.into_iter().map(|address| SocketAddr::new(address, 9)).collect());
        Box::pin(std::future::ready(addresses.ok_or_else(|| io::Error::other("no such name"))))
    }
}

/// A client with these grants, the default limits and no endpoints of our own.
pub(super) fn client(grants: Vec<OriginGrant>) -> Client {
    client_within(grants, Limits::default())
}

pub(super) fn client_within(grants: Vec<OriginGrant>, limits: Limits) -> Client {
    Client::with(grants, limits, OwnEndpoints::default(), &Book::default().setup()).unwrap()
}

pub(super) fn client_on(grants: Vec<OriginGrant>, book: &Book) -> Client {
    Client::with(grants, Limits::default(), OwnEndpoints::default(), &book.setup()).unwrap()
}

pub(super) fn get(url: impl Into<String>) -> Request {
    Request { method: "GET".to_owned(), url: url.into(), ..Request::default() }
}

pub(super) fn post(url: impl Into<String>, body: &str) -> Request {
    Request { method: "POST".to_owned(), url: url.into(), body: Some(body.into()), ..Request::default() }
}

pub(super) fn with_header(mut request: Request, name: &str, value: &str) -> Request {
    request.headers.push((name.to_owned(), value.to_owned()));
    request
}

/// The reason of a denial.
pub(super) fn reason(result: Result<Response, Error>) -> Reason {
    match result {
        Err(Error::Denied(denied)) => denied.reason,
        other => panic!("not denied: {other:?}"),
    }
}
