//! A reload replaces the certificate while connections are open.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::Peer;
use crate::server::{ConnectionHandler, ServerSettings, serve};
use crate::telemetry::Connections;

#[derive(Clone)]
struct Greeter;

impl ConnectionHandler for Greeter {
    async fn handle(&self, _: Request, _: Arc<Peer>) -> Response {
        Response::new(Body::from("hello"))
    }

    fn trusts_proxy(&self, _: IpAddr) -> bool {
        false
    }
}

fn identity(expiry_year: i32) -> (TlsIdentity, CertificateDer<'static>) {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(expiry_year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = SecretString::from(key.serialize_pem());
    let identity = TlsIdentity::read(&certificate.pem(), &key, &ClientAuth::Off).unwrap();
    (identity, certificate.der().clone())
}

async fn connected(
    address: SocketAddr,
    trusted: &[&CertificateDer<'static>],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    for root in trusted {
        roots.add((*root).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    let host = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(host, tcp).await.unwrap()
}

fn server_certificate(stream: &TlsStream<TcpStream>) -> &CertificateDer<'static> {
    &stream.get_ref().1.peer_certificates().unwrap()[0]
}

async fn gets_an_answer(stream: &mut TlsStream<TcpStream>) -> bool {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).await.unwrap();
    let mut rest = Vec::new();
    while !rest.ends_with(b"hello") {
        assert_ne!(stream.read_buf(&mut rest).await.unwrap(), 0, "it has ended");
    }
    &answer == b"HTTP/1.1 200 OK"
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_open_ones_continue() {
    let metrics = crate::telemetry::Metrics::new();
    let counts: Connections = metrics.connections.clone();
    let (old, old_certificate) = identity(4000);
    let (new, new_certificate) = identity(4001);
    let tls = Tls::new(old, counts.transport.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let settings = ServerSettings::for_tests();
    let serving =
        tokio::spawn(serve(listener, Some(tls.clone()), Greeter, settings, counts, stop.clone()));
    let expiry = |seconds: i64| {
        let line = format!("appserver_tls_certificate_expiry_timestamp_seconds {seconds}\n");
        metrics.encoded().contains(&line)
    };

    let trusted = [&old_certificate, &new_certificate];
    let mut before = connected(address, &trusted).await;
    assert_eq!(server_certificate(&before), &old_certificate);
    assert!(gets_an_answer(&mut before).await && expiry(64_060_588_800));
    tls.replace(new);
    let mut after = connected(address, &trusted).await;
    assert_eq!(server_certificate(&after), &new_certificate);
    assert!(gets_an_answer(&mut after).await && expiry(64_092_211_200));
    assert!(gets_an_answer(&mut before).await, "the old connection has ended");
    stop.cancel();
    serving.await.unwrap();
}
