//! The baseline of the load run: plain `axum::serve` that answers every request with the bytes of one token.
//!
//! Its argument is a file with an answer of the service, head and body; it answers the same status, headers and body. `date`
//! and `content-length` are hyper's, there and here. With the files of a certificate and its key it speaks TLS.
#![expect(clippy::print_stdout, reason = "the load run reads the address")]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use axum::serve::Listener;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

struct Answer {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let file = args.next().expect("the file of an answer is named");
    let certificate = args.next().zip(args.next());
    let answer = std::fs::read_to_string(file).expect("the file is an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let (status, fields) = head.split_once("\r\n").expect("a head has fields");
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");
    let headers = fields
        .lines()
        .filter_map(|field| field.split_once(": "))
        .filter(|(name, _)| !["date", "content-length"].contains(name))
        .map(|(name, value)| {
            let name = name.parse().expect("a header's name");
            (name, value.parse().expect("a header's value"))
        })
        .collect();
    let answer = Arc::new(Answer { headers, body: Bytes::from(body.to_owned()) });

    let router = Router::new().route("/v1/token", get(token)).with_state(answer);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("loopback has free ports");
    println!("listening on {}", listener.local_addr().expect("it is bound"));
    let served = match certificate {
        None => axum::serve(listener, router).await,
        Some((certificate, key)) => {
            axum::serve(TlsListener(listener, acceptor(&certificate, &key)), router).await
        }
    };
    served.expect("it serves until it is ended");
}

/// Shakes hands in the accept loop: the load run opens its connections before it measures.
struct TlsListener(TcpListener, TlsAcceptor);

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.0).await;
            if let Ok(stream) = self.1.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

fn acceptor(certificate: &str, key: &str) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(certificate).expect("the certificate is PEM");
    let key = PrivateKeyDer::from_pem_file(key).expect("the key is PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key is the certificate's");
    TlsAcceptor::from(Arc::new(config))
}

async fn token(State(answer): State<Arc<Answer>>) -> Response {
    let Answer { headers, body } = &*answer;
    let mut response = Response::new(Body::from(body.clone()));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}
