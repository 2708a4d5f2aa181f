//! What an operator lives through in ten minutes: the server is down and comes back, the daemon is
//! killed, the configuration is broken, a device is unavailable, a certificate is replaced. Nothing is
//! lost but what the promise lists, and metrics, log and `check` say the same at each moment.

use std::{fs, path::Path, thread, time::Duration};

use pattoo_tests::{
    Cli, Daemon, Finished, Site, guest, modbus_device, modbus_device_on, setting, unused_address, web_site,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use super::counts;

/// The authority of a plant, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(folder: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "plant");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        fs::write(folder.join("ca.pem"), authority.pem()).expect("a file");
        Self(authority)
    }

    /// Writes a new certificate with its key, in place of those that are there.
    fn certify(&self, folder: &Path, name: &str, host: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).expect("a file");
        fs::write(folder.join(format!("{name}-key.pem")), key.serialize_pem()).expect("a file");
    }
}

fn metric(daemon: &Daemon, name: &str) -> f64 {
    daemon.metrics().get(&format!("pattoo_wasm_{name}")).copied().unwrap_or(f64::NAN)
}

/// Waits until a metric has a value.
fn wait_for_metric(daemon: &Daemon, name: &str, value: f64) {
    daemon.wait_until(&format!("{name} = {value}"), |daemon| metric(daemon, name).total_cmp(&value).is_eq());
}

fn state(program: &str, state: &str) -> String {
    format!("collector_state{{program=\"{program}\",state=\"{state}\"}}")
}

fn device(name: &str) -> String {
    format!("modbus_device_up{{program=\"FIELD\",device=\"{name}\"}}")
}

fn check(site: &Site) -> Finished {
    Cli::new().run(&["check", "--config", &site.folder().display().to_string()])
}

#[test]
fn ten_minutes_of_an_operator_lose_nothing_and_all_sources_agree() {
    let away = Duration::from_secs(setting("OPERATOR_AWAY").unwrap_or(15));
    let (cli, address) = (Cli::new(), unused_address());
    let receiver = cli.receive_at(&address.to_string());
    let site = Site::new(address);
    let folder = site.folder();
    let authority = Authority::new(folder);
    authority.certify(folder, "device", "127.0.0.1");
    authority.certify(folder, "agent", "agent.plant.example");
    let plc = modbus_device(&json!({"1": {"holding": {"0": [1, 2]}}}));
    let meter = modbus_device_on(&json!({"1": {"holding": {"0": [3]}}}), &format!("tls:{}", folder.display()));
    fs::create_dir(folder.join("web")).expect("a new folder");
    site.file("web/quotes.json", json!({"ABC": 1.5}).to_string());
    let web = web_site(&folder.join("web"));
    let origin = format!("http://{}", web.address());
    let span = |device: &str| json!({"device": device, "table": "holding", "address": 0, "count": 1});
    let tls = json!({"ca_file": "ca.pem", "certificate_file": "agent.pem", "key_file": "agent-key.pem"});
    let collectors = json!([
        {"program": "COUNT", "module": guest("counter"), "polling_interval": 1},
        {
            "program": "FIELD", "module": guest("modbus_registers"), "polling_interval": 1,
            "settings": {"spans": [span("plc"), span("meter")]},
            "grants": {"modbus": {
                "plc": {"url": format!("tcp://{}", plc.address()), "request_timeout": "300ms", "retries": 0},
                // Each collection connects again, so that the files are read again.
                "meter": {"url": format!("tls://{}", meter.address()), "tls": tls, "idle_close": "100ms"},
            }},
        },
        {
            "program": "WEB", "module": guest("lava_script"), "polling_interval": 1,
            "settings": {"sources": [{"target": "SITE", "url": format!("{origin}/quotes.json"), "keys": ["ABC"]}]},
            "grants": {"http": [{"origin": origin}]},
        },
    ]);
    site.configure(&collectors);
    let daemon = site.start();
    let all_well = |daemon: &Daemon| {
        for program in ["COUNT", "FIELD", "WEB"] {
            wait_for_metric(daemon, &state(program, "ok"), 1.0);
        }
    };
    all_well(&daemon);
    let checked = check(&site);
    assert_eq!(checked.code, Some(0), "{checked:#?}");

    // The server is down, and comes back.
    let reachable = format!("output_reachable{{output=\"http://{address}\"}}");
    assert!(receiver.interrupt().success());
    wait_for_metric(&daemon, &reachable, 0.0);
    daemon.wait_for("cannot be reached");
    let checked = check(&site);
    assert!(format!("{}{}", checked.stdout, checked.stderr).contains("cannot be reached"), "{checked:#?}");
    daemon.wait_until("payloads wait", |daemon| metric(daemon, "spool_payloads") >= 5.0);
    let _receiver = cli.receive_at(&address.to_string());
    wait_for_metric(&daemon, &reachable, 1.0);
    daemon.wait_for("resumed");
    daemon.wait_until("nothing waits", |daemon| metric(daemon, "spool_payloads") <= 1.0);

    // The daemon is killed.
    assert!(!daemon.end("KILL").success());
    let daemon = site.start();
    all_well(&daemon);

    // The configuration is broken, and repaired.
    site.configure(&json!([{"program": "COUNT"}]));
    daemon.signal("HUP");
    wait_for_metric(&daemon, "config_last_reload_successful", 0.0);
    daemon.wait_for("the previous one stays in effect");
    assert_eq!(check(&site).code, Some(2));
    let collections = "collections_total{program=\"COUNT\",outcome=\"completed\"}";
    let before = metric(&daemon, collections);
    daemon.wait_until("collections go on", |daemon| metric(daemon, collections) >= before + 2.0);
    site.configure(&collectors);
    daemon.signal("HUP");
    wait_for_metric(&daemon, "config_last_reload_successful", 1.0);

    // A device is unavailable, and comes back.
    plc.signal("STOP");
    wait_for_metric(&daemon, &device("plc"), 0.0);
    wait_for_metric(&daemon, &state("FIELD", "partial"), 1.0);
    let said = daemon.wait_for("FIELD: completed partially");
    assert!(said.contains("plc") && !said.contains("meter"), "{said}");
    thread::sleep(away);
    assert_eq!(metric(&daemon, &device("meter")).total_cmp(&1.0), std::cmp::Ordering::Equal, "the other one is read");
    plc.signal("CONT");
    wait_for_metric(&daemon, &device("plc"), 1.0);
    wait_for_metric(&daemon, &state("FIELD", "ok"), 1.0);

    // A certificate is replaced by one that nobody knows, and by a good one.
    let other = tempfile::tempdir().expect("a folder");
    Authority::new(other.path()).certify(folder, "agent", "agent.plant.example");
    wait_for_metric(&daemon, &device("meter"), 0.0);
    authority.certify(folder, "agent", "agent.plant.example");
    wait_for_metric(&daemon, &device("meter"), 1.0);
    all_well(&daemon);

    assert!(daemon.end("TERM").success());
    let counted = counts(&cli, "COUNT");
    let mut numbers: Vec<u64> = counted.iter().map(|(number, _)| *number).collect();
    let arrived = numbers.len();
    numbers.dedup();
    assert!(arrived.saturating_sub(numbers.len()) <= 2, "the kill repeats at most what was under way: {counted:?}");
    numbers.sort_unstable();
    numbers.dedup();
    let last = numbers.last().copied().unwrap_or_default();
    assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "no number is missing");
    println!("{last} collections of COUNT, {arrived} arrived, device away for {away:?}");
}
