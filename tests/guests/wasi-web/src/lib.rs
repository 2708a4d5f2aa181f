//! Asks web sites over `wasi:http` for what its settings say, and emits what came of each request:
//! for tests.
//!
//! Request number `n` is the datapoint `n` of the target `WEB`. Its value begins with the status
//! and the body, or with what went wrong in the words of the interface.

use std::collections::BTreeMap;

use pattoo_guest::{Datapoint, Error, Result, Value, settings, target};
use serde::Deserialize;
use wasip2::http::{
    outgoing_handler,
    types::{Fields, IncomingBody, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme},
};
use wasip2::io::streams::StreamError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    requests: Vec<Request>,
    /// Whether all are begun before the first is waited for.
    #[serde(default)]
    together: bool,
    /// An address to reach over sockets: then it is said what of WASI is there beside the web.
    outside: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default = "get")]
    method: String,
    scheme: Option<String>,
    /// Left out, the request has none.
    authority: Option<String>,
    path: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// How many bytes of body are written.
    body: Option<u64>,
    /// Whether the body is left unfinished.
    #[serde(default)]
    unfinished: bool,
    /// How long the first byte may take.
    first_byte_ms: Option<u64>,
    /// A header of the response that is part of the value.
    show: Option<String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// A request that was handed over.
struct Sent {
    response: outgoing_handler::FutureIncomingResponse,
    /// Dropped before the answer is there, it would break the request off.
    _unfinished: Option<OutgoingBody>,
}

fn collect() -> Result {
    let Settings { requests, together, outside } = settings()?;
    if let Some(address) = outside {
        let found = found_outside(&address).into_iter().map(|(what, found)| Datapoint::new(what, Value::text(found)));
        return target("WASI").emit_all(found)?.into_result().map_err(Error::from);
    }
    let mut values = Vec::new();
    if together {
        let sent: Vec<_> = requests.iter().map(send).collect();
        for (request, sent) in requests.iter().zip(sent) {
            values.push(sent.and_then(|sent| answer(request, &sent)));
        }
    } else {
        values.extend(requests.iter().map(|request| answer(request, &send(request)?)));
    }
    let value = |(number, value): (usize, Result<String, String>)| {
        Datapoint::new(number.to_string(), Value::text(value.unwrap_or_else(|error| format!("error {error}"))))
    };
    target("WEB").emit_all(values.into_iter().enumerate().map(value))?.into_result().map_err(Error::from)
}

pattoo_guest::collector!(collect);

/// What the standard library finds of the world: counts, and whether something could be had.
fn found_outside(address: &str) -> Vec<(&'static str, String)> {
    use std::{env, fs, io::Read as _, net};
    fn had<T, E>(result: Result<T, E>) -> String {
        result.map_or("refused", |_| "had").to_owned()
    }
    let mut input = Vec::new();
    vec![
        ("arguments", env::args().count().to_string()),
        ("variables", env::vars().count().to_string()),
        ("input", std::io::stdin().read_to_end(&mut input).map_or("refused".to_owned(), |bytes| bytes.to_string())),
        ("folder", had(fs::read_dir("/"))),
        ("file", had(fs::read("/etc/hostname"))),
        ("written", had(fs::write("written", "x"))),
        ("connection", had(net::TcpStream::connect(address))),
        ("listener", had(net::TcpListener::bind("127.0.0.1:0"))),
        ("datagrams", had(net::UdpSocket::bind("127.0.0.1:0"))),
        ("name", had(net::ToSocketAddrs::to_socket_addrs("localhost:80"))),
    ]
}

fn send(request: &Request) -> Result<Sent, String> {
    let fields = Fields::new();
    for (name, value) in &request.headers {
        fields.append(name, value.as_bytes()).map_err(|error| format!("{error:?}"))?;
    }
    let outgoing = OutgoingRequest::new(fields);
    let part = |done: Result<(), ()>, part: &str| done.map_err(|()| format!("{part} refused"));
    part(outgoing.set_method(&method(&request.method)), "method")?;
    let scheme = request.scheme.as_deref().map(|scheme| match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    });
    part(outgoing.set_scheme(scheme.as_ref()), "scheme")?;
    part(outgoing.set_authority(request.authority.as_deref()), "authority")?;
    part(outgoing.set_path_with_query(request.path.as_deref()), "path")?;
    let body = match request.body {
        Some(_) => Some(outgoing.body().map_err(|()| "body refused")?),
        None => None,
    };
    let options = request.first_byte_ms.map(|millis| {
        let options = RequestOptions::new();
        let set = options.set_first_byte_timeout(Some(millis.saturating_mul(1_000_000)));
        set.map(|()| options)
    });
    let options = options.transpose().map_err(|()| "options refused")?;
    let response = outgoing_handler::handle(outgoing, options).map_err(|error| format!("{error:?}"))?;
    let unfinished = match (body, request.body) {
        (Some(body), Some(bytes)) => {
            // A host that has heard enough closes the stream; what it says about that is in its
            // answer.
            let _ = write(&body, bytes);
            if request.unfinished {
                Some(body)
            } else {
                let _ = OutgoingBody::finish(body, None);
                None
            }
        }
        _ => None,
    };
    Ok(Sent { response, _unfinished: unfinished })
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    }
}

fn write(body: &OutgoingBody, bytes: u64) -> Result<(), StreamError> {
    let Ok(stream) = body.write() else { return Err(StreamError::Closed) };
    let mut left = bytes;
    while left > 0 {
        let piece = left.min(4096);
        stream.blocking_write_and_flush(&vec![b'x'; usize::try_from(piece).unwrap_or(0)])?;
        left = left.saturating_sub(piece);
    }
    Ok(())
}

fn answer(request: &Request, sent: &Sent) -> Result<String, String> {
    sent.response.subscribe().block();
    let response = match sent.response.get() {
        Some(Ok(Ok(response))) => response,
        Some(Ok(Err(error))) => return Err(format!("{error:?}")),
        other => return Err(format!("no response: {other:?}")),
    };
    let shown = request.show.as_ref().map(|name| {
        let values = response.headers().get(name);
        format!(" {name}={:?}", values.iter().map(|value| String::from_utf8_lossy(value)).collect::<Vec<_>>())
    });
    let body = read(&response)?;
    let text = String::from_utf8_lossy(body.get(..body.len().min(200)).unwrap_or_default()).into_owned();
    Ok(format!("{} {text}{}", response.status(), shown.unwrap_or_default()))
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, String> {
    let body = response.consume().map_err(|()| "consumed")?;
    let mut whole = Vec::new();
    {
        let stream = body.stream().map_err(|()| "no stream")?;
        loop {
            match stream.blocking_read(64 << 10) {
                Ok(piece) => whole.extend_from_slice(&piece),
                Err(StreamError::Closed) => break,
                Err(error) => return Err(format!("{error:?}")),
            }
        }
    }
    // Trailers would come now; there are none.
    let _ = IncomingBody::finish(body);
    Ok(whole)
}
