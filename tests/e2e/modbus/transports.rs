//! Devices of pymodbus on every transport read as they do over Modbus TCP.

#![expect(clippy::unwrap_used, reason = "helpers of tests may do what tests may do")]

use std::{fs, path::Path, time::Duration};

use pattoo_modbus::{DeviceUrl, EndpointSettings, Endpoints, ExceptionCode, ReadError, Readable, Span, Table, Words};
use pattoo_tests::{Cli, Running, assert_says, guest, modbus_device_on};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};

fn tables() -> Value {
    let many: Vec<u16> = (0..60_000).step_by(200).collect();
    let bits: Vec<bool> = (0..200).map(|index| index % 3 == 0).collect();
    json!({
        "1": { "holding": { "0": many }, "input": { "5": [1, 2, 65535] }, "coils": { "16": bits }, "discrete": { "0": [true, false, true] } },
        "7": { "holding": { "0": [70, 71] } },
    })
}

fn spans() -> [Span; 6] {
    let span = |unit, table, address, count| Span::new(unit, table, address, count).unwrap();
    [
        span(1, Table::Coils, 17, 100),
        span(1, Table::DiscreteInputs, 0, 3),
        span(1, Table::HoldingRegisters, 100, 125),
        span(1, Table::InputRegisters, 5, 3),
        span(7, Table::HoldingRegisters, 0, 2),
        // It does not exist.
        span(7, Table::HoldingRegisters, 2, 1),
    ]
}

fn expected() -> Vec<Result<Words, ReadError>> {
    vec![
        Ok(Words::Bits((1..101).map(|index| index % 3 == 0).collect())),
        Ok(Words::Bits(vec![true, false, true])),
        Ok(Words::Registers((20_000..45_000).step_by(200).collect())),
        Ok(Words::Registers(vec![1, 2, 65535])),
        Ok(Words::Registers(vec![70, 71])),
        Err(ReadError::Exception(ExceptionCode::ILLEGAL_DATA_ADDRESS)),
    ]
}

/// Reads with timeouts that no device exceeds on a busy machine.
fn read(url: &str) -> Vec<Result<Words, ReadError>> {
    let url: DeviceUrl = url.parse().unwrap();
    let settings = EndpointSettings { request_timeout: Duration::from_secs(20), ..EndpointSettings::default() };
    let endpoint = Endpoints::new().endpoint(url.endpoint(), &settings);
    tokio::runtime::Runtime::new().unwrap().block_on(endpoint.read(&spans(), &Readable::everything()))
}

/// The request that the device prints next.
fn request(device: &Running) -> Value {
    serde_json::from_str(&device.next_line()).unwrap()
}

#[test]
fn pymodbus_device_over_udp_is_read() {
    let device = modbus_device_on(&tables(), "udp");
    assert_eq!(read(&format!("udp://{}", device.address())), expected());
    assert_eq!(request(&device), json!([1, 1, 17, 100]));
}

#[test]
fn pymodbus_ascii_device_behind_a_serial_server_is_read() {
    let device = modbus_device_on(&tables(), "ascii+tcp");
    assert_eq!(read(&format!("ascii+tcp://{}", device.address())), expected());
}

/// Writes the certificates of an authority, a device and an agent into a folder.
fn write_certificates(folder: &Path) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "plant");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    for (name, host) in [("device", "127.0.0.1"), ("agent", "agent.plant.example")] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.signed_by(&key, &authority).unwrap();
        fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(folder.join(format!("{name}-key.pem")), key.serialize_pem()).unwrap();
    }
}

#[test]
fn pymodbus_device_over_tls_is_read_with_the_certificates_of_its_grant() {
    let cli = Cli::new();
    write_certificates(cli.folder());
    let device = modbus_device_on(&tables(), &format!("tls:{}", cli.folder().display()));
    let module = guest("modbus_registers").display().to_string();
    let run = |keys: &str| {
        let grant = format!(
            "modbus: {{ meter: {{ url: 'tls://{}', unit: 7, connect_timeout: 20s, request_timeout: 20s{keys} }} }}\n",
            device.address()
        );
        cli.file("grants.yaml", grant);
        let spans = "spans=[{ device: meter, table: holding, address: 1, count: 1 }]";
        cli.run(&["run", &module, "--hostname", "gateway-7", "--grants", "grants.yaml", "--setting", spans])
    };
    let read = run(", tls: { ca_file: ca.pem, certificate_file: agent.pem, key_file: agent-key.pem }");
    assert_eq!(read.code, Some(0), "{read:#?}");
    assert!(read.stdout.contains("\"pattoo_value\",71]"), "{}", read.stdout);
    assert_eq!(request(&device), json!([7, 3, 1, 1]));
    // Neither side accepts the other without the certificates.
    assert_says(&run(""), &["the certificate of the device was refused"]);
    assert_says(&run(", tls: { ca_file: ca.pem }"), &["none of the spans could be read"]);
    // Mistakes are reported before anything is connected.
    assert_says(&run(", tls: { ca_file: missing.pem }"), &["missing.pem", "No such file"]);
    assert_says(&run(", tls: { key_file: agent-key.pem }"), &["`certificate_file` and `key_file` belong together"]);
}
