//! Several outputs at once: each gets everything, whatever happens to the others, to the process,
//! or to payloads that are too large.
#![expect(clippy::expect_used, clippy::panic, reason = "a test that panics has failed, as it should")]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use pattoo_tests::{Cli, Daemon, Site, emitter::emitter, unused_address};
use serde_json::{Value, json};

/// A datapoint as every output tells it: program and timestamp.
type Datapoint = (String, u64);

/// The datapoints of bodies for pattoo, each as its pairs.
fn rows(bodies: &[Value]) -> Vec<Vec<Value>> {
    let rows = |body: &Value| {
        let pairs = body.pointer("/pattoo_datapoints/key_value_pairs").expect("pairs").clone();
        let rows = body.pointer("/pattoo_datapoints/datapoint_pairs").and_then(Value::as_array).expect("rows").clone();
        let pair = move |id: &Value| pairs.get(id.to_string()).expect("a pair").clone();
        rows.into_iter().map(move |row| row.as_array().expect("a row").iter().map(&pair).collect::<Vec<_>>())
    };
    bodies.iter().flat_map(rows).collect()
}

fn pair(row: &[Value], key: &str) -> Value {
    let found = row.iter().find(|pair| pair.get(0).is_some_and(|name| name == key));
    found.and_then(|pair| pair.get(1)).expect("a pair of this key").clone()
}

fn datapoints_of(bodies: &[Value]) -> BTreeSet<Datapoint> {
    let of = |row: &Vec<Value>| {
        let program = pair(row, "pattoo_agent_program");
        (program.as_str().expect("a name").to_owned(), pair(row, "pattoo_timestamp").as_u64().expect("a time"))
    };
    rows(bodies).iter().map(of).collect()
}

/// The datapoints in a file and the older ones beside it. Every line must be whole.
fn datapoints_in(path: &Path) -> BTreeSet<Datapoint> {
    let name = path.file_name().and_then(|name| name.to_str()).expect("a name");
    let mut datapoints = BTreeSet::new();
    for entry in fs::read_dir(path.parent().expect("a folder")).expect("the folder of the file") {
        let entry = entry.expect("an entry");
        assert!(entry.file_name().to_string_lossy().starts_with(name), "{entry:?}");
        let text = fs::read_to_string(entry.path()).expect("text");
        assert!(text.is_empty() || text.ends_with('\n'), "{entry:?} ends within a line");
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            let program = line.get("program").and_then(Value::as_str).expect("a program").to_owned();
            datapoints.insert((program, line.get("timestamp").and_then(Value::as_u64).expect("a time")));
        }
    }
    datapoints
}

fn pattoo(address: SocketAddr) -> Value {
    json!({"type": "pattoo", "url": format!("http://{address}")})
}

/// How many payloads wait for an output.
fn queued(daemon: &Daemon, output: &str) -> u64 {
    let name = format!("pattoo_wasm_output_queued_payloads{{output=\"{output}\"}}");
    let queued = daemon.metrics().get(&name).copied().unwrap_or_default();
    format!("{queued}").parse().expect("a whole number")
}

#[test]
fn two_servers_and_a_file_get_everything_beside_a_dead_server_and_through_kills() {
    let (one, two, late) = (Cli::new(), Cli::new(), Cli::new());
    let (server_one, server_two, dead) = (one.receive(), two.receive(), unused_address());
    let site = Site::new(server_one.address()).with(
        "outputs",
        json!({
            "one": pattoo(server_one.address()),
            "two": pattoo(server_two.address()),
            "dead": pattoo(dead),
            "archive": {"type": "file", "path": "archive/values.jsonl", "rotate": "64KiB", "keep": 1000},
        }),
    );
    let module = site.file("emitter.wat", emitter(1, 1, 0));
    let collector = |program: &str| json!({"program": program, "module": module, "polling_interval": 1});
    site.configure(&json!([collector("FIRST"), collector("SECOND")]));
    let mut completed = 0;
    for round in 0..5_u64 {
        let daemon = site.start();
        std::thread::sleep(Duration::from_millis(1_300 + round * 370));
        let killer = daemon.killer();
        killer.kill();
        let (_, lines) = daemon.wait();
        completed += lines.iter().filter(|line| line.contains(": completed, 1 datapoints accepted")).count();
    }
    assert!(completed >= 5, "{completed} collections");

    // Nothing is collected any more: what waits goes out, but for the dead server.
    site.configure(&json!([]));
    let daemon = Daemon::start(&mut site.command());
    daemon.wait_for("status on");
    let alive = [format!("http://{}", server_one.address()), format!("http://{}", server_two.address())];
    for output in alive.iter().map(String::as_str).chain(["archive"]) {
        daemon.wait_until(output, |daemon| queued(daemon, output) == 0);
    }
    let datapoints = datapoints_of(&one.received());
    assert!(datapoints.len() >= completed, "{} of {completed}", datapoints.len());
    assert_eq!(datapoints_of(&two.received()), datapoints);
    let archive = site.folder().join("daemon/archive/values.jsonl");
    assert_eq!(datapoints_in(&archive), datapoints);
    assert_eq!(queued(&daemon, &format!("http://{dead}")), datapoints.len() as u64);
    assert!(daemon.end("TERM").success());

    // The dead one comes back, and has missed nothing.
    let _receiver = late.receive_at(&dead.to_string());
    let daemon = Daemon::start(&mut site.command());
    daemon.wait_for("status on");
    daemon.wait_until("delivery to the dead server", |daemon| queued(daemon, &format!("http://{dead}")) == 0);
    assert_eq!(datapoints_of(&late.received()), datapoints);
    assert_eq!(datapoints_in(&archive), datapoints);
    assert!(daemon.end("TERM").success());
}

/// The largest request that nginx accepts unless it is told otherwise.
const NGINX_LIMIT: usize = 1 << 20;

/// A proxy in front of a receiver that answers 413 to what is larger. Returns its address.
fn limiting_proxy(behind: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // A connection may end in any way.
            std::thread::spawn(move || forward(stream, behind));
        }
    });
    address
}

fn forward(near: TcpStream, behind: SocketAddr) -> Option<()> {
    let mut to_near = near.try_clone().ok()?;
    let mut from_near = BufReader::new(near);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            let before = head.len();
            if from_near.read_line(&mut head).ok()? == 0 {
                return None;
            }
            let line = head.get(before..)?.to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        from_near.read_exact(&mut body).ok()?;
        if length > NGINX_LIMIT {
            to_near.write_all(b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 0\r\n\r\n").ok()?;
            continue;
        }
        let mut far = TcpStream::connect(behind).ok()?;
        far.write_all(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes()).ok()?;
        far.write_all(&body).ok()?;
        let mut answer = Vec::new();
        far.read_to_end(&mut answer).ok()?;
        // The answer ends with the connection to the receiver, and so does this one.
        to_near.write_all(&answer).ok()?;
        return None;
    }
}

#[test]
fn eight_thousand_registers_arrive_through_a_proxy_that_limits_requests() {
    // Divided when they are made; and, where that is not enough, when they are refused.
    for max_payload in ["900KiB", "64MiB"] {
        let cli = Cli::new();
        let receiver = cli.receive();
        eight_thousand_registers_arrive(&cli, &format!("http://{}", limiting_proxy(receiver.address())), max_payload);
    }
}

/// Posts 8000 registers of one collection to `url`, which leads to the receiver of `cli`.
pub(super) fn eight_thousand_registers_arrive(cli: &Cli, url: &str, max_payload: &str) {
    let folder = cli.folder().display().to_string();
    cli.file("pattoo.yaml", json!({"pattoo": {"daemon_directory": folder}}).to_string());
    let server = json!({"url": url, "max_payload": max_payload});
    cli.file("pattoo_wasm.yaml", json!({"pattoo_wasm": {"server": server, "collectors": []}}).to_string());
    cli.file("registers.wasm", wat::parse_str(emitter(8_000, 1, 0)).expect("a module in the text format"));
    let mut run = cli.command(&["run", "registers.wasm", "--program", "REGISTERS", "--post", url]);
    let output = run.env("PATTOO_CONFIGDIR", &folder).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bodies = cli.received();
    let sizes: Vec<usize> = bodies.iter().map(|body| body.to_string().len()).collect();
    assert!(sizes.iter().all(|size| *size <= NGINX_LIMIT), "{max_payload}: {sizes:?}");
    assert!(sizes.iter().sum::<usize>() > NGINX_LIMIT, "{max_payload}: {sizes:?}");
    let keys: Vec<String> =
        rows(&bodies).iter().map(|row| pair(row, "pattoo_key").as_str().expect("a key").to_owned()).collect();
    let all: Vec<String> = (0..8_000).map(|number| format!("holding_register_{number}")).collect();
    assert_eq!(keys, all, "{max_payload}: each once and in order");
    let checksums: BTreeSet<String> =
        rows(&bodies).iter().map(|row| pair(row, "pattoo_checksum").to_string()).collect();
    assert_eq!(checksums.len(), 8_000);
}

#[test]
fn mistakes_in_outputs_are_found_with_their_fix() {
    let server = json!({"url": "http://192.0.2.5:20201"});
    let outputs = |outputs: Value| json!({"outputs": outputs, "hostname": "h", "collectors": []});
    let with_collector = |names: Value| {
        let outputs =
            json!({"archive": {"type": "file", "path": "a"}, "pattoo": {"type": "pattoo", "url": "http://a"}});
        let collector = json!({"program": "A", "module": "a.wasm", "outputs": names});
        json!({"outputs": outputs, "hostname": "h", "collectors": [collector]})
    };
    let file = json!({"type": "file", "path": "a"});
    for (settings, parts) in [
        (
            json!({"server": server, "outputs": {"archive": file}, "hostname": "h", "collectors": []}),
            vec!["`server` and `outputs` cannot be set together", "move the server below `outputs:`"],
        ),
        (
            outputs(json!({"central": {"type": "kafka", "url": "k"}})),
            vec!["invalid `type`: expected one of `pattoo`, `file`, found `kafka`"],
        ),
        (outputs(json!({"archive": {"path": "a"}})), vec!["`type` is missing in an output"]),
        (outputs(json!({"archive": {"type": "file"}})), vec!["`path` is missing in a file"]),
        (outputs(json!({"archive": {"type": "file", "path": "a", "url": "b"}})), vec!["`url` is not a key of a file"]),
        (outputs(json!({"no spaces": file})), vec!["invalid output name \"no spaces\""]),
        (outputs(json!({"one": file, "two": file})), vec!["the outputs `one` and `two` have the same destination"]),
        (with_collector(json!(["achive"])), vec!["there is no output `achive`", "did you mean `archive`?"]),
        (with_collector(json!([])), vec!["a collector needs at least one output"]),
    ] {
        let cli = Cli::new();
        let folder = cli.folder().display().to_string();
        cli.file("pattoo.yaml", json!({"pattoo": {"daemon_directory": folder}}).to_string());
        cli.file("pattoo_wasm.yaml", json!({"pattoo_wasm": settings}).to_string());
        let output = cli.command(&["check"]).env("PATTOO_CONFIGDIR", &folder).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(output.status.code(), Some(2), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
    }
}

#[test]
fn spool_commands_select_payloads_by_output() {
    let dead = unused_address();
    let outputs = json!({"two": pattoo(dead), "archive": {"type": "file", "path": "blocked/values.jsonl"}});
    let site = Site::new(dead).with("outputs", outputs);
    // No folder can be made there, so that the payloads for the file wait too.
    site.file("daemon/blocked", "");
    let module = site.file("emitter.wat", emitter(1, 1, 0));
    let collector = |program: &str, outputs: &[&str]| json!({"program": program, "module": module, "polling_interval": 1, "outputs": outputs});
    site.configure(&json!([collector("BOTH", &["two", "archive"]), collector("ONE", &["archive"])]));
    let daemon = site.start();
    daemon.wait_for("blocked/values.jsonl: ");
    daemon.wait_until("a collection of each", |daemon| {
        let heard = daemon.log_lines();
        ["BOTH", "ONE"].iter().all(|program| heard.iter().any(|line| line.contains(&format!("{program}: completed"))))
    });
    assert!(daemon.end("TERM").success());
    let cli = Cli::new();
    let list = |more: &[&str]| {
        let mut command = cli.command(&["spool", "list", "--json"]);
        let output = command.args(more).env("PATTOO_CONFIGDIR", site.folder()).output().expect("it starts");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).lines().count()
    };
    let server = format!("http://{dead}");
    let (both, one) = (list(&["--program", "BOTH"]), list(&["--program", "ONE"]));
    assert!(both >= 2 && both.is_multiple_of(2) && one >= 1, "{both}, {one}");
    assert_eq!(list(&["--server", &server]), both / 2);
    assert_eq!(list(&["--output", "archive"]), both / 2 + one);
    let other = cli.command(&["spool", "list", "--output", "other"]).env("PATTOO_CONFIGDIR", site.folder()).output();
    let other = other.expect("it starts");
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert_eq!(other.status.code(), Some(2), "{said}");
    assert!(said.contains("there is no output `other`"), "{said}");
    assert!(said.contains("select one of the outputs: `--output archive`, `--output two`\n"), "{said}");
}
