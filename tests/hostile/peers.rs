//! A hostile web site and a hostile device.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// The port in the text of guests that talk to the site: the real one is put there.
pub(crate) const SITE_PORT: &str = "54321";

/// The delay of the slow responses: longer than the limits of the guests that must reach those
/// limits.
const SLOW: Duration = Duration::from_millis(500);
/// How long it waits for concurrent requests.
const CROWD_WITHIN: Duration = Duration::from_secs(1);
/// How many concurrent requests `/crowd` waits for: all that the guest sends. With fewer, some
/// would be answered before the last one comes.
const CROWD: usize = 4;

/// Twenty thousand zeros, in gzip.
const BOMB: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xf5\x4f\x6d\x0d\x0f\xa0\x00\x00\x00\x00\x00\
\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x78\x30\x02\x53\x2f\x97\x20\x4e\x00\x00";

/// The running requests for `/crowd`, and their largest number since there was none.
type Crowd = Arc<(Mutex<(usize, usize)>, Condvar)>;

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    assert_eq!(address.port().to_string().len(), SITE_PORT.len(), "the port must fit into the text of the guests");
    (listener, address)
}

/// A web site that responds as the path says, without TLS.
pub(crate) fn site() -> SocketAddr {
    let (listener, address) = listener();
    let crowd = Crowd::default();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let crowd = Arc::clone(&crowd);
            std::thread::spawn(move || serve(stream, &crowd));
        }
    });
    address
}

fn serve(mut stream: TcpStream, crowd: &Crowd) -> Option<()> {
    loop {
        let path = request(&mut stream)?;
        answer(&mut stream, &path, crowd)?;
    }
}

/// The path of the next request, which is read with its body.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut more = |read: &mut Vec<u8>| {
        let mut piece = [0; 4096];
        let length = stream.read(&mut piece).ok().filter(|length| *length > 0)?;
        read.extend_from_slice(piece.get(..length)?);
        Some(())
    };
    let head = loop {
        more(&mut read)?;
        // The first byte of a TLS record of the handshake.
        if read.first() == Some(&0x16) {
            std::thread::sleep(SLOW);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            return None;
        }
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(read.get(..head)?).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |length| length.parse().expect("a number"));
    while read.len() < head + length {
        more(&mut read)?;
    }
    text.split(' ').nth(1).map(str::to_owned)
}

fn answer(stream: &mut TcpStream, path: &str, crowd: &Crowd) -> Option<()> {
    let fields = |lines: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 200 OK\r\n{lines}content-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let whole = match path {
        "/silence" => return silence(stream),
        "/slow" => {
            std::thread::sleep(SLOW);
            fields("", b"at last")
        }
        "/rest" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf").ok()?;
            std::thread::sleep(SLOW);
            b"rest".to_vec()
        }
        "/large" => fields("", &[b'x'; 10_000]),
        "/bomb" => fields("content-encoding: gzip\r\n", BOMB),
        "/fields" => fields(&"x: y\r\n".repeat(50), b""),
        "/wide" => fields(&format!("x: {}\r\n", "y".repeat(8_000)), b""),
        "/hop/3" => redirect("/hop/2"),
        "/hop/2" => redirect("/hop/1"),
        "/hop/1" => redirect("/sink"),
        "/crowd" if !is_crowd(crowd) => b"HTTP/1.1 503 Too few requests\r\ncontent-length: 0\r\n\r\n".to_vec(),
        _ => fields("", b"taken"),
    };
    stream.write_all(&whole).ok()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// Sends nothing until the client closes the connection.
fn silence(stream: &mut TcpStream) -> Option<()> {
    let mut ignored = [0; 64];
    while stream.read(&mut ignored).ok()? > 0 {}
    None
}

/// Whether enough requests are under way with this one, at once or soon.
fn is_crowd((counts, changed): &(Mutex<(usize, usize)>, Condvar)) -> bool {
    let mut counted = counts.lock().expect("no panic");
    counted.0 += 1;
    counted.1 = counted.1.max(counted.0);
    changed.notify_all();
    let (mut counted, waited) =
        changed.wait_timeout_while(counted, CROWD_WITHIN, |counted| counted.1 < CROWD).expect("no panic");
    counted.0 -= 1;
    if counted.0 == 0 {
        counted.1 = 0;
    }
    !waited.timed_out()
}

/// A device whose every register has the number of registers of the request.
pub(crate) fn counting_device() -> SocketAddr {
    let (listener, address) = listener();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut request = [0; 12];
                while stream.read_exact(&mut request).is_ok() {
                    let count = request[11];
                    let mut reply = request[..8].to_vec();
                    reply.splice(5..6, [3 + 2 * count]);
                    reply.push(2 * count);
                    reply.extend([0, count].repeat(count.into()));
                    if stream.write_all(&reply).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// A device that accepts every connection and never responds.
pub(crate) fn silent_device() -> SocketAddr {
    let (listener, address) = listener();
    std::thread::spawn(move || listener.incoming().map_while(Result::ok).collect::<Vec<_>>());
    address
}
