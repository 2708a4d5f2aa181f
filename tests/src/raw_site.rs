//! A web site that sends exactly the bytes that a test wants, and records the requests.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
};

/// A site on a free port of loopback. It ends with the test's process.
#[derive(Debug, Clone)]
pub struct RawSite {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl RawSite {
    /// A site that calls `script` for each request, after its head and announced body have been
    /// read. The script gets the whole request as text, and the connection.
    ///
    /// # Panics
    ///
    /// When there is no free port.
    pub fn scripted(script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::scripted_at(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// Like `scripted`, at this address.
    ///
    /// # Panics
    ///
    /// When the address is in use.
    pub fn scripted_at(address: SocketAddr, script: impl Fn(&str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (log, script) = (Arc::clone(&log), Arc::clone(&script));
                std::thread::spawn(move || {
                    while let Some(request) = read_request(&mut stream) {
                        log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                        script(&request, &mut stream);
                    }
                });
            }
        });
        Self { address, seen }
    }

    /// A site that answers each path with these bytes.
    pub fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::scripted(move |request, stream| {
            let path = request.split(' ').nth(1).unwrap_or_default();
            // The client may have closed the connection.
            let _ = stream.write_all(&answer(path));
        })
    }

    /// A site that responds to every request with status 200 and this text.
    pub fn saying(text: &'static str) -> Self {
        Self::answering(move |_| http_ok(text))
    }

    /// Its address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its origin: `http://127.0.0.1:40123`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, as text.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A response with status 200 and this body.
pub fn http_ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nserver: raw\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A redirect response.
pub fn http_redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

/// A request whose body, if any, has an announced length.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= announced.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(piece.get(..read)?),
        }
    }
}
