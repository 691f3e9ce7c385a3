//! The baseline of the load run: plain `axum::serve` that answers every request with the bytes of one token.
//!
//! Its argument is a file with an answer of the service, head and body; it answers the same status, headers and body. `date` and `content-length` are hyper's, there and here.
#![expect(clippy::print_stdout, reason = "the load run reads the address")]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;

struct Answer {
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

#[tokio::main]
async fn main() {
    let file = std::env::args().nth(1).expect("the file of an answer is named");
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
    axum::serve(listener, router).await.expect("it serves until it is ended");
}

async fn token(State(answer): State<Arc<Answer>>) -> Response {
    let Answer { headers, body } = &*answer;
    let mut response = Response::new(Body::from(body.clone()));
    for (name, value) in headers {
        response.headers_mut().insert(name, value.clone());
    }
    response
}
