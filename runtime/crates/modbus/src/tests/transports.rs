//! TLS, UDP and Modbus ASCII.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    join,
    net::{TcpListener, UdpSocket},
};
use tokio_rustls::TlsAcceptor;

use super::raw::{REQUEST_TIMEOUT, holding, read, registers, settings};
use crate::{DeviceUrl, Endpoint, EndpointSettings, Endpoints, ReadError, TlsSettings, transport::ascii_frame};

fn endpoint(scheme: &str, address: SocketAddr, settings: &EndpointSettings) -> Endpoint {
    let url: DeviceUrl = format!("{scheme}://{address}").parse().unwrap();
    Endpoints::new().endpoint(url.endpoint(), settings)
}

/// The reply of one register to a request of Modbus TCP.
fn reply(request: &[u8], value: u16) -> Vec<u8> {
    let [high, low] = value.to_be_bytes();
    [&request[..4], &[0, 5, request[6], request[7], 2, high, low]].concat()
}

#[tokio::test]
async fn lines_of_modbus_ascii_are_read_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint("ascii+tcp", listener.local_addr().unwrap(), &settings());
    let (result, ()) = join!(read(&endpoint, [holding(17, 107, 1), holding(17, 200, 1), holding(17, 300, 1)]), async {
        let (mut line, _) = listener.accept().await.unwrap();
        let mut request = [0; 17];
        line.read_exact(&mut request).await.unwrap();
        assert_eq!(&request, b":1103006B000180\r\n");
        for piece in ascii_frame(vec![17, 3, 2, 0xAB, 0xCD]).chunks(3) {
            line.write_all(piece).await.unwrap();
        }
        line.read_exact(&mut request).await.unwrap();
        line.write_all(&ascii_frame(vec![17, 0x83, 2])).await.unwrap();
        line.read_exact(&mut request).await.unwrap();
        // A wrong checksum.
        line.write_all(b":110302000100\r\n").await.unwrap();
    });
    let [value, exception, checksum] = result.as_slice() else { panic!("{result:?}") };
    assert_eq!(value, &registers(&[0xABCD]));
    assert_eq!(exception, &Err(ReadError::Exception(crate::ExceptionCode(2))));
    assert!(matches!(checksum, Err(ReadError::Protocol(why)) if why.contains("checksum")), "{checksum:?}");
}

#[tokio::test]
async fn late_foreign_and_repeated_datagrams_are_never_used_for_the_next_request() {
    let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoint = endpoint("udp", device.local_addr().unwrap(), &settings());
    let mut request = [0; 12];
    // No reply to the first request, so far.
    let (result, (first, first_from)) = join!(read(&endpoint, [holding(1, 0, 1)]), async {
        let (_, from) = device.recv_from(&mut request).await.unwrap();
        (request, from)
    });
    assert_eq!(result, [Err(ReadError::Timeout(REQUEST_TIMEOUT))]);
    // The unit was silent: another span than before is requested first.
    let (result, ()) = join!(read(&endpoint, [holding(1, 10, 1), holding(1, 0, 1)]), async {
        let mut request = [0; 12];
        let (_, from) = device.recv_from(&mut request).await.unwrap();
        assert_ne!(from, first_from, "the port of a request without a reply is used again");
        // The late reply, to both ports; a correct reply from elsewhere; a part of the reply.
        for port in [first_from, from] {
            let _ = device.send_to(&reply(&first, 111), port).await;
        }
        let foreign = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        foreign.send_to(&reply(&request, 112), from).await.unwrap();
        device.send_to(&reply(&request, 113)[..9], from).await.unwrap();
        device.send_to(&[], from).await.unwrap();
        for _ in 0..2 {
            device.send_to(&reply(&request, 222), from).await.unwrap();
        }
        let (_, from) = device.recv_from(&mut request).await.unwrap();
        device.send_to(&reply(&request, 223), from).await.unwrap();
    });
    assert_eq!(result, [registers(&[222]), registers(&[223])]);
}

#[tokio::test]
async fn no_datagram_is_sent_to_a_denied_address() {
    let device = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Endpoints::new();
    endpoints.deny_addresses(|address| address.ip().is_loopback());
    let url: DeviceUrl = format!("udp://{}", device.local_addr().unwrap()).parse().unwrap();
    let result = read(&endpoints.endpoint(url.endpoint(), &settings()), [holding(1, 0, 1)]).await;
    assert!(matches!(&result[..], [Err(ReadError::Connection(why))] if why.contains("own: true")), "{result:?}");
    assert!(device.try_recv(&mut [0; 12]).is_err());
}

/// An authority, with a certificate for the device and one for the reader.
struct Plant {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Plant {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let plant = Self { folder: tempfile::tempdir().unwrap(), authority };
        plant.write("ca.pem", &plant.authority.pem());
        let (certificate, key) = plant.certificate("agent.plant.example");
        plant.write("agent.pem", &certificate.pem());
        plant.write("agent-key.pem", &key.serialize_pem());
        plant
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn certificate(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.authority).unwrap(), key)
    }

    /// The settings of a reader that knows the authority and has a certificate.
    fn tls(&self) -> TlsSettings {
        let file = |name: &str| Some(Path::new(self.folder.path()).join(name));
        TlsSettings {
            ca_file: file("ca.pem"),
            certificate_file: file("agent.pem"),
            key_file: file("agent-key.pem"),
            server_name: Some("meter.plant.example".to_owned()),
        }
    }

    /// A device that requires a certificate of the authority and replies to each request with 7.
    async fn device(&self) -> SocketAddr {
        let (certificate, key) = self.certificate("meter.plant.example");
        let mut authorities = RootCertStore::empty();
        authorities.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(authorities.into(), Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 12];
                while stream.read_exact(&mut request).await.is_ok() {
                    stream.write_all(&reply(&request, 7)).await.unwrap();
                }
            }
        });
        address
    }
}

fn with_tls(tls: TlsSettings) -> EndpointSettings {
    let patient = Duration::from_secs(20);
    EndpointSettings { tls, connect_timeout: patient, request_timeout: patient, ..settings() }
}

#[tokio::test]
async fn device_and_reader_identify_each_other_by_certificates() {
    let plant = Plant::new("plant");
    let device = plant.device().await;
    let endpoint = endpoint("tls", device, &with_tls(plant.tls()));
    let result = read(&endpoint, [holding(1, 0, 1), holding(1, 10, 1)]).await;
    assert_eq!(result, [registers(&[7]), registers(&[7])]);
}

#[tokio::test]
async fn device_or_reader_that_cannot_be_verified_is_an_error_without_names_and_addresses() {
    let (plant, other) = (Plant::new("plant"), Plant::new("another plant"));
    let device = plant.device().await;
    let right = plant.tls();
    let cases = [
        ("authority is not trusted", TlsSettings { ca_file: other.tls().ca_file, ..right.clone() }),
        ("another name", TlsSettings { server_name: Some("valve.plant.example".to_owned()), ..right.clone() }),
        ("another name", TlsSettings { server_name: None, ..right.clone() }),
        ("CertificateRequired", TlsSettings { certificate_file: None, key_file: None, ..right.clone() }),
        ("UnknownCA", TlsSettings { ca_file: right.ca_file.clone(), ..other.tls() }),
        ("files under `tls`", TlsSettings { key_file: None, ..right.clone() }),
        ("files under `tls`", TlsSettings { ca_file: Some("/no/such/file".into()), ..right.clone() }),
    ];
    for (says, tls) in cases {
        let result = read(&endpoint("tls", device, &with_tls(tls)), [holding(1, 0, 1)]).await;
        let [Err(ReadError::Connection(why))] = result.as_slice() else { panic!("{says}: {result:?}") };
        assert!(why.contains(says), "{says}: {why}");
        assert!(!["127.0.0.1", "plant.example", "/"].iter().any(|secret| why.contains(secret)), "{why}");
    }
}

#[tokio::test]
async fn certificate_that_was_renewed_is_used_for_the_next_connection() {
    let plant = Plant::new("plant");
    let device = plant.device().await;
    plant.write("agent.pem", "not yet");
    let endpoint = endpoint("tls", device, &with_tls(plant.tls()));
    assert!(read(&endpoint, [holding(1, 0, 1)]).await[0].is_err());
    let (certificate, key) = plant.certificate("agent.plant.example");
    plant.write("agent.pem", &certificate.pem());
    plant.write("agent-key.pem", &key.serialize_pem());
    assert_eq!(read(&endpoint, [holding(1, 0, 1)]).await, [registers(&[7])]);
}

#[test]
fn endpoints_with_different_certificates_share_no_connection() {
    let endpoints = Endpoints::new();
    let url: DeviceUrl = "tls://192.0.2.1".parse().unwrap();
    let of = |name: &str| {
        let tls = TlsSettings { certificate_file: Some(name.into()), ..TlsSettings::default() };
        endpoints.endpoint(url.endpoint(), &EndpointSettings { tls, ..settings() })
    };
    assert!(of("a.pem").shares_connection_with(&of("a.pem")));
    assert!(!of("a.pem").shares_connection_with(&of("b.pem")));
}
