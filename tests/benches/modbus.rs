//! The Modbus reader in figures, for `cargo xtask bench modbus`: each as a line of JSON on standard
//! output.
//!
//! Everything that is compared runs in one process, in turns, and medians are compared, so that
//! load affects both. Devices, pollers and collectd are processes of their own; their CPU time is
//! what `/proc` says of them.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark may fail as a test may, and says its figures"
)]
#![expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "counts and times of a benchmark")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::{
    env, fs,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use pattoo_modbus::{DeviceUrl, Endpoint, EndpointSettings, Endpoints, Readable, Span, Table};
use pattoo_tests::{ReadyLine, Running, compiled, libmodbus_device, libmodbus_device_quiet, port};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["devices", count] => devices(count.parse().unwrap()),
        ["poll", seconds, registers, ref ports @ ..] => {
            poll(seconds.parse().unwrap(), registers.parse().unwrap(), ports);
        }
        _ => {
            fewest_requests();
            back_to_back();
            many_endpoints();
            beside_collectd();
        }
    }
}

/// Says a figure: `ours` against `other`, or against nothing where `other` is the target itself.
fn say(name: &str, ours: f64, other: Option<f64>, ratio: f64, target: &str, met: bool) {
    println!("{}", json!({ "name": name, "ours": ours, "other": other, "ratio": ratio, "target": target, "met": met }));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn endpoint(endpoints: &Endpoints, port: u16) -> Endpoint {
    let url: DeviceUrl = format!("tcp://127.0.0.1:{port}").parse().unwrap();
    // On a busy machine a read is slow, and not wrong.
    let time_limit = Duration::from_secs(20);
    let settings =
        EndpointSettings { connect_timeout: time_limit, request_timeout: time_limit, ..EndpointSettings::default() };
    endpoints.endpoint(url.endpoint(), &settings)
}

fn hundred() -> Span {
    Span::new(1, Table::HoldingRegisters, 0, 100).unwrap()
}

/// Says a figure that has no target of its own, and helps to read the others.
fn tell(name: &str, ours: f64) {
    println!("{}", json!({ "name": name, "ours": ours, "other": null, "ratio": null, "target": "-", "met": null }));
}

/// How many requests a device gets for registers that are wanted one by one and lie in runs. Fewer
/// than one request for each 125 of a run cannot be, since none may reach over a hole.
fn fewest_requests() {
    const RUNS: [(u16, u16); 5] = [(0, 126), (130, 10), (145, 1), (150, 125), (280, 20)];
    let device = libmodbus_device(None);
    let runtime = Runtime::new().unwrap();
    let endpoint = endpoint(&Endpoints::new(), device.address().port());
    let one = |address| Span::new(1, Table::HoldingRegisters, address, 1).unwrap();
    let mut spans: Vec<Span> = RUNS.iter().flat_map(|(first, count)| (*first..first + count).map(one)).collect();
    // In no order that would help.
    spans.sort_by_key(|span| u32::from(span.address()) * 7919 % 1009);
    let last = Span::new(1, Table::Coils, 0, 1).unwrap();
    runtime.block_on(async {
        let results = endpoint.read(&spans, &Readable::everything()).await;
        assert!(results.iter().all(Result::is_ok));
        assert!(endpoint.read(&[last], &Readable::everything()).await[0].is_ok());
    });
    let requests = std::iter::repeat_with(|| device.next_line()).take_while(|line| !line.starts_with("[1, 1,")).count();
    let fewest: u16 = RUNS.iter().map(|(_, count)| count.div_ceil(125)).sum();
    let (ours, other) = (requests as f64, f64::from(fewest));
    let ratio = ours / other;
    say(
        "modbus: requests for 282 registers in 5 runs, against the fewest",
        ours,
        Some(other),
        ratio,
        "<= 1 x",
        ratio <= 1.0,
    );
}

/// Reads of 100 registers over one connection, against a loop in C over libmodbus and the same
/// server.
fn back_to_back() {
    const READS: u32 = 500;
    let device = libmodbus_device_quiet();
    let (port, theirs) = (device.address().port(), compiled("libmodbus_loop.c", &["-lmodbus"]));
    let runtime = Runtime::new().unwrap();
    let endpoint = endpoint(&Endpoints::new(), port);
    let ours = || {
        let endpoint = endpoint.clone();
        let reading = async move {
            let (span, readable) = ([hundred()], Readable::everything());
            let start = Instant::now();
            for _ in 0..READS {
                assert!(endpoint.read(&span, &readable).await[0].is_ok());
            }
            start.elapsed()
        };
        // On a worker of the runtime, as collections are.
        let took = runtime.block_on(async { tokio::spawn(reading).await.unwrap() });
        f64::from(READS) / took.as_secs_f64()
    };
    let theirs = || {
        let output = Command::new(&theirs).args([port.to_string(), READS.to_string()]).output().unwrap();
        assert!(output.status.success(), "libmodbus could not read: {output:?}");
        let nanoseconds: f64 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        f64::from(READS) * 1e9 / nanoseconds
    };
    let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
    for round in 0..61 {
        if round % 2 == 0 {
            our_rates.push(ours());
            their_rates.push(theirs());
        } else {
            their_rates.push(theirs());
            our_rates.push(ours());
        }
    }
    let (ours, other) = (median(our_rates), median(their_rates));
    let ratio = ours / other;
    say(
        "modbus: reads/s of 100 registers, one connection, against libmodbus",
        ours,
        Some(other),
        ratio,
        ">= 0.95",
        ratio >= 0.95,
    );
}

/// 1 000 endpoints, all due at the same moment of each second; the connecting, which is in the
/// first, counts, and is told by itself.
///
/// How late they are is also a matter of what else the machine does. What they cost is not: when
/// all of a second's work takes less time of one processor than the lateness allows, nothing but
/// others can make it later.
fn many_endpoints() {
    const ENDPOINTS: usize = 1000;
    const SECONDS: u32 = 30;
    let devices = DeviceProcess::start(ENDPOINTS);
    let runtime = Runtime::new().unwrap();
    let endpoints = Endpoints::new();
    let late = Arc::new(Mutex::new(Vec::with_capacity(ENDPOINTS * SECONDS as usize)));
    let processes = [std::process::id(), devices.running.pid()];
    let cpu = processes.map(cpu_seconds);
    runtime.block_on(async {
        let start = tokio::time::Instant::now() + Duration::from_secs(2);
        let polls = devices.ports.iter().map(|port| {
            let (endpoint, late) = (endpoint(&endpoints, *port), Arc::clone(&late));
            tokio::spawn(async move {
                let (span, readable) = ([hundred()], Readable::everything());
                for second in 0..SECONDS {
                    let due = start + Duration::from_secs(second.into());
                    tokio::time::sleep_until(due).await;
                    assert!(endpoint.read(&span, &readable).await[0].is_ok());
                    let took = due.elapsed().as_secs_f64() * 1e3;
                    late.lock().unwrap().push((second, took));
                }
            })
        });
        for poll in polls.collect::<Vec<_>>() {
            poll.await.unwrap();
        }
    });
    let used = processes.map(cpu_seconds);
    let [cpu, of_devices] = [0, 1].map(|process| (used[process] - cpu[process]) * 1e3 / f64::from(SECONDS));
    let late = late.lock().unwrap().clone();
    let p99_of = |which: fn(u32) -> bool| {
        let mut late: Vec<f64> = late.iter().filter(|(second, _)| which(*second)).map(|(_, took)| *took).collect();
        late.sort_by(f64::total_cmp);
        late[late.len() * 99 / 100]
    };
    let p99 = p99_of(|_| true);
    say(
        "modbus: ms from due to values, 99th percentile, 1000 endpoints each second",
        p99,
        None,
        p99 / 100.0,
        "< 100 ms",
        p99 < 100.0,
    );
    tell("modbus: the same in the first second, which connects", p99_of(|second| second == 0));
    tell("modbus: the same in all others", p99_of(|second| second > 0));
    say("modbus: ms of CPU a second, 1000 endpoints each second", cpu, None, cpu / 100.0, "< 100 ms", cpu < 100.0);
    tell("modbus: the same of their devices", of_devices);
}

/// Four devices of 100 registers, read as often as can be, by collectd's modbus plugin and by ours
/// in turns.
fn beside_collectd() {
    const DEVICES: usize = 4;
    let seconds = Duration::from_secs(4);
    if !std::path::Path::new("/usr/sbin/collectd").exists() {
        println!("{}", json!({ "name": "modbus: beside collectd", "skipped": "collectd-core is not installed" }));
        return;
    }
    let devices = DeviceProcess::start(DEVICES);
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("collectd.conf");
    fs::write(&configuration, collectd_configuration(&devices.ports, folder.path())).unwrap();
    let mut collectd = Command::new("/usr/sbin/collectd");
    collectd.arg("-f").arg("-C").arg(&configuration).stdout(Stdio::null()).stderr(Stdio::null());
    let mut poll = Command::new(env::current_exe().unwrap());
    let ports = devices.ports.iter().map(u16::to_string);
    poll.args(["poll", "3600", "100"]).args(ports);
    let (mut rates, mut costs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..3 {
        for (side, command) in [&mut collectd, &mut poll].into_iter().enumerate() {
            let (rate, cost) = measured(command, &devices, seconds);
            rates[side].push(rate);
            costs[side].push(cost);
        }
    }
    let [other, ours] = rates.map(median);
    say("modbus: registers/s, against collectd", ours, Some(other), ours / other, "> 1", ours > other);
    let [other, ours] = costs.map(median);
    say("modbus: us of CPU a register, against collectd", ours, Some(other), ours / other, "< 1", ours < other);
}

/// Registers a second that the devices served to the command, and the microseconds of CPU that each
/// cost it.
fn measured(command: &mut Command, devices: &DeviceProcess, time: Duration) -> (f64, f64) {
    let child = Ended(command.spawn().unwrap());
    std::thread::sleep(Duration::from_secs(1));
    let (cpu, served, start) = (cpu_seconds(child.0.id()), devices.served(), Instant::now());
    std::thread::sleep(time);
    let (cpu, served) = (cpu_seconds(child.0.id()) - cpu, (devices.served() - served) as f64);
    assert!(served > 0.0, "{command:?} reads nothing");
    (served / start.elapsed().as_secs_f64(), cpu * 1e6 / served)
}

/// A process that ends with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// User and system time so far: fields 14 and 15 of `/proc/PID/stat`, in hundredths.
fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// The same registers, the only way that the plugin knows: each of them as a `Data` block.
fn collectd_configuration(ports: &[u16], folder: &std::path::Path) -> String {
    use std::fmt::Write as _;
    let folder = folder.display();
    let mut text = format!(
        "BaseDir \"{folder}\"\nPIDFile \"{folder}/pid\"\nTypesDB \"/usr/share/collectd/types.db\"\nInterval 0.001\nReadThreads {}\n\
         LoadPlugin modbus\n<Plugin modbus>\n",
        ports.len()
    );
    let data = |register: u16| format!("r{register}");
    for register in 0..100 {
        let name = data(register);
        writeln!(
            text,
            "<Data \"{name}\">\nRegisterBase {register}\nRegisterType uint16\nType gauge\nInstance \"{name}\"\n</Data>"
        )
        .unwrap();
    }
    for port in ports {
        writeln!(text, "<Host \"h{port}\">\nAddress \"127.0.0.1\"\nPort \"{port}\"\nInterval 0.001\n<Slave 1>")
            .unwrap();
        for register in 0..100 {
            writeln!(text, "Collect \"{}\"", data(register)).unwrap();
        }
        text.push_str("</Slave>\n</Host>\n");
    }
    text + "</Plugin>\n"
}

/// Reads registers of these devices, one span each, over and over.
fn poll(seconds: u64, registers: u16, ports: &[&str]) {
    let runtime = Runtime::new().unwrap();
    let endpoints = Endpoints::new();
    runtime.block_on(async {
        for port in ports {
            let endpoint = endpoint(&endpoints, port.parse().unwrap());
            tokio::spawn(async move {
                let spans: Vec<_> =
                    (0..registers).map(|address| Span::new(1, Table::HoldingRegisters, address, 1).unwrap()).collect();
                let readable = Readable::everything();
                loop {
                    assert!(endpoint.read(&spans, &readable).await.iter().all(Result::is_ok));
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    });
}

/// Many devices in a process of their own.
struct DeviceProcess {
    running: Running,
    ports: Vec<u16>,
}

impl DeviceProcess {
    fn start(count: usize) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["devices", &count.to_string()]);
        let running = Running::start(&mut command, ReadyLine::OnStdout, port);
        let ports = serde_json::from_str(&running.next_line()).unwrap();
        Self { running, ports }
    }

    /// How many registers they served so far, as they say it each tenth of a second.
    fn served(&self) -> u64 {
        let lines = std::iter::from_fn(|| self.running.try_next_line());
        lines.last().or_else(|| Some(self.running.next_line())).unwrap().parse().unwrap()
    }
}

/// Serves registers on so many ports, and says each tenth of a second how many it has served.
fn devices(count: usize) {
    use std::sync::atomic::{AtomicU64, Ordering};
    let served = Arc::new(AtomicU64::new(0));
    // On one thread: what the devices cost is taken from those who ask them.
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let mut ports = Vec::new();
        for _ in 0..count {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port());
            let served = Arc::clone(&served);
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let served = Arc::clone(&served);
                    tokio::spawn(serve(stream, move |registers| {
                        served.fetch_add(registers.into(), Ordering::Relaxed);
                    }));
                }
            });
        }
        println!("{}\n{}", json!({ "port": 0 }), Value::from(ports));
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            println!("{}", served.load(Ordering::Relaxed));
        }
    });
}

/// Answers every read of registers with as many zeros.
async fn serve(mut stream: TcpStream, served: impl Fn(u16)) {
    let _ = stream.set_nodelay(true);
    let (mut request, mut reply) = ([0; 12], [0; 9 + 250]);
    while stream.read_exact(&mut request).await.is_ok() {
        let count = u16::from_be_bytes([request[10], request[11]]).min(125);
        let bytes = u8::try_from(count * 2).unwrap();
        reply[..4].copy_from_slice(&request[..4]);
        reply[4..9].copy_from_slice(&[0, bytes + 3, request[6], request[7], bytes]);
        if stream.write_all(&reply[..9 + usize::from(bytes)]).await.is_err() {
            return;
        }
        served(count);
    }
}
