//! Endpoints of pattoo-wasm itself are refused to collectors under every address, unless a grant
//! says `own: true`.

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use pattoo_tests::{
    Cli, Daemon, IDLE, Site, assert_refused, assert_says, emits_and, request_modules::fetcher, unused_address,
};
use serde_json::json;

/// An address of this machine that is not loopback, if it has one. Nothing is sent.
fn lan_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
    socket.connect(("192.0.2.1", 9)).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

/// Every way to write a port of this machine.
fn local(port: u16) -> Vec<String> {
    let mut hosts = ["localhost", "127.0.0.1", "127.0.0.2", "127.1", "0x7f000002", "[::1]", "[::ffff:127.0.0.1]"]
        .map(str::to_owned)
        .to_vec();
    hosts.extend(lan_address().map(|address| address.to_string()));
    hosts.into_iter().map(|host| format!("{host}:{port}")).collect()
}

#[test]
fn own_endpoints_are_refused_at_every_local_address_without_an_own_grant() {
    let site = Site::new(unused_address());
    site.file("a.wat", emits_and("i32.const 512"));
    site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1}]));
    let daemon = site.start();
    let port = daemon.status_address().port();
    drop(daemon);
    // A site that listens on every address of this machine stands for such a status address.
    let listener = TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port))).expect("its port");
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&asked);
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for mut stream in listener.incoming().flatten() {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let cli = Cli::new();
    cli.file("pattoo.yaml", "main: { daemon_directory: daemon }\n");
    for ours in [
        format!("pattoo_wasm: {{ status: '127.0.0.1:{port}', server: {{ url: 'http://192.0.2.1' }} }}\n"),
        format!("pattoo_wasm: {{ status: '0.0.0.0:{port}', server: {{ url: 'http://192.0.2.1' }} }}\n"),
        format!("pattoo_wasm: {{ status: none, server: {{ url: 'http://localhost:{port}' }} }}\n"),
    ] {
        cli.file("pattoo_wasm.yaml", &ours);
        let run = |arguments: &[&str]| -> pattoo_tests::Finished {
            let all = [&["run", "collector.wat", "--hostname", "h"], arguments].concat();
            cli.command(&all).env("PATTOO_CONFIGDIR", ".").output().expect("it starts").into()
        };
        for at in local(port) {
            cli.file("collector.wat", fetcher(&format!("http://{at}/"), 1, 1));
            assert_refused(&run(&["--http", &format!("http://{at}")]), 2, &["reaches pattoo-wasm itself", "own: true"]);
            if at.starts_with(|first: char| {
                first == '[' || first.is_ascii_digit() && !at.contains("0x") && !at.starts_with("127.1:")
            }) {
                let device = format!("plc1=tcp://{at}");
                assert_refused(&run(&["--modbus", &device]), 2, &["reaches pattoo-wasm itself", "own: true"]);
            }
            assert_eq!(asked.load(std::sync::atomic::Ordering::Relaxed), 0, "{at}");
        }
        // With `own: true` in the grant it is reached.
        cli.file("collector.wat", fetcher(&format!("http://127.0.0.2:{port}/"), 1, 1));
        cli.file("grants.yaml", format!("http: [{{ origin: 'http://127.0.0.2:{port}', own: true }}]\n"));
        let allowed = run(&["--grants", "grants.yaml"]);
        assert_eq!((allowed.code, asked.swap(0, std::sync::atomic::Ordering::Relaxed)), (Some(0), 1), "{allowed:#?}");
        cli.file("collector.wat", IDLE);
        cli.file("grants.yaml", format!("modbus: {{ plc1: {{ url: 'tcp://localhost:{port}', own: true }} }}\n"));
        assert_eq!(run(&["--grants", "grants.yaml"]).code, Some(0));
    }
    // Another port of this machine belongs to another program.
    let other = unused_address();
    cli.file("collector.wat", fetcher(&format!("http://{other}/"), 1, 1));
    let run = cli.command(&["run", "collector.wat", "--http", &format!("http://{other}")]).output().expect("it starts");
    assert_says(&run.into(), &["trap"]);
}

#[test]
fn daemon_starts_with_a_grant_of_its_own_endpoint_only_with_own() {
    let free = unused_address();
    let site = Site::new(unused_address()).with("status", json!(free.to_string()));
    let elsewhere = SocketAddr::from(([127, 0, 0, 3], free.port()));
    site.file("a.wat", emits_and("i32.const 512"));
    for (own, grants) in [false, true].into_iter().flat_map(|own| {
        let http = json!({"http": [{"origin": format!("http://{elsewhere}"), "own": own}]});
        let modbus = json!({"modbus": {"plc1": {"url": format!("tcp://{elsewhere}"), "own": own}}});
        [(own, http), (own, modbus)]
    }) {
        site.configure(&json!([{"program": "A", "module": "a.wat", "polling_interval": 1, "grants": grants}]));
        if own {
            assert!(site.start().end("TERM").success());
        } else {
            let (status, said) = Daemon::start(&mut site.command()).wait();
            assert_eq!(status.code(), Some(2), "{said:?}");
            assert!(said.join(" ").contains("own: true"), "{said:?}");
        }
    }
}
