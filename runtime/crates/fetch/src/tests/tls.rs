//! TLS: whose certificates are believed.

use std::{net::Ipv4Addr, sync::Arc};

use pattoo_base::tls::{Trust, TrustError};
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

use super::site::{Book, get, ok};
use crate::{Client, Error, Limits, Origin, OriginGrant, OwnEndpoints, Setup};

const NAME: &str = "site-a.example.org";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A site with a certificate for these names, on a free port; it serves until the handle is aborted.
async fn site(authority: &Authority, names: &[&str]) -> (Origin, JoinHandle<()>) {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, authority).unwrap();
    site_with(certificate, key).await
}

/// The same with this very certificate.
async fn site_with(certificate: Certificate, key: KeyPair) -> (Origin, JoinHandle<()>) {
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let origin = format!("https://{NAME}:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let serving = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(mut stream) = acceptor.accept(stream).await
                && stream.read_buf(&mut Vec::with_capacity(4096)).await.is_ok()
            {
                let _ = stream.write_all(&ok("over TLS")).await;
            }
        }
    });
    (origin, serving)
}

async fn fetch(origin: &Origin, trust: Trust) -> Result<Vec<u8>, Error> {
    let setup = Setup { trust, ..Book::default().with(NAME, &[&["127.0.0.1"]]).setup() };
    let grant = OriginGrant::new(origin.clone()).private(true);
    let client = Client::with(vec![grant], Limits::default(), OwnEndpoints::default(), &setup).unwrap();
    client.fetch(get(format!("{origin}/"))).await.map(|response| response.body)
}

fn trusting(authority: &Authority) -> Trust {
    Trust::with_roots(authority.pem().as_bytes()).unwrap()
}

#[tokio::test]
async fn a_certificate_is_believed_once_its_authority_is_added() {
    let (ours, other) = (authority("ours"), authority("other"));
    let (origin, serving) = site(&ours, &[NAME]).await;
    assert_eq!(fetch(&origin, trusting(&ours)).await.unwrap(), b"over TLS");
    let refused = fetch(&origin, trusting(&other)).await;
    assert!(matches!(&refused, Err(Error::Tls(text)) if text.contains("UnknownIssuer")), "{refused:?}");
    serving.abort();
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let ours = authority("ours");
    let (origin, serving) = site(&ours, &["site-b.example.org", "127.0.0.1"]).await;
    let refused = fetch(&origin, trusting(&ours)).await;
    assert!(matches!(refused, Err(Error::Tls(_))), "{refused:?}");
    serving.abort();
}

#[tokio::test]
async fn a_certificate_counts_from_its_first_day_to_its_last() {
    let ours = authority("ours");
    let signed = |from: i32, until: i32| {
        let mut params = CertificateParams::new(vec![NAME.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &ours).unwrap(), key)
    };
    for (from, until, said) in [(1990, 2000, "expired"), (3000, 3100, "not valid yet")] {
        let (certificate, key) = signed(from, until);
        let (origin, serving) = site_with(certificate, key).await;
        let refused = fetch(&origin, trusting(&ours)).await;
        assert!(matches!(&refused, Err(Error::Tls(text)) if text.contains(said)), "{refused:?}");
        let clock = "this machine's clock says 2";
        assert!(matches!(&refused, Err(Error::Tls(text)) if text.contains(clock)), "{refused:?}");
        serving.abort();
    }
    let (certificate, key) = signed(1990, 3000);
    let (origin, serving) = site_with(certificate, key).await;
    assert_eq!(fetch(&origin, trusting(&ours)).await.unwrap(), b"over TLS");
    serving.abort();
}

#[tokio::test]
async fn a_certificate_that_its_site_signed_itself_is_refused() {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    let (origin, serving) = site_with(certificate, key).await;
    let refused = fetch(&origin, trusting(&authority("ours"))).await;
    assert!(matches!(&refused, Err(Error::Tls(text)) if text.contains("UnknownIssuer")), "{refused:?}");
    serving.abort();
}

/// In front of the site stands somebody who lets so many bytes of it pass and then breaks off.
#[tokio::test]
async fn a_connection_that_breaks_off_in_the_handshake_is_an_error_at_every_byte() {
    let ours = authority("ours");
    let (origin, serving) = site(&ours, &[NAME]).await;
    for bytes in [0, 1, 4, 5, 6, 50, 100, 127, 200, 400, 500] {
        for reset in [false, true] {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            let cut: Origin = format!("https://{NAME}:{}", listener.local_addr().unwrap().port()).parse().unwrap();
            let port = origin.port();
            let cutting = tokio::spawn(async move {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut site = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
                let mut hello = vec![0; 16 << 10];
                let length = client.read(&mut hello).await.unwrap();
                site.write_all(&hello[..length]).await.unwrap();
                let mut passing = vec![0; bytes];
                site.read_exact(&mut passing).await.unwrap();
                client.write_all(&passing).await.unwrap();
                if reset {
                    client.set_zero_linger().unwrap();
                }
            });
            let broken = fetch(&cut, trusting(&ours)).await;
            assert!(matches!(broken, Err(Error::Connection(_) | Error::Tls(_))), "{bytes} {reset}: {broken:?}");
            cutting.await.unwrap();
        }
    }
    serving.abort();
}

#[tokio::test]
async fn a_site_that_does_not_speak_tls_is_a_tls_error() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let origin: Origin = format!("https://{NAME}:{}", listener.local_addr().unwrap().port()).parse().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let refused = fetch(&origin, trusting(&authority("ours"))).await;
    assert!(matches!(refused, Err(Error::Tls(_))), "{refused:?}");
    serving.abort();
}

#[test]
fn roots_are_certificates() {
    for pem in [
        "",
        "nothing",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(matches!(Trust::with_roots(pem.as_bytes()), Err(TrustError::Pem(_))), "{pem:?}");
    }
}
