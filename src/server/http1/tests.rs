//! A connection that is idle rests without hyper, and goes on as before.

use std::net::IpAddr;

use axum::body::Body;
use axum::response::Response;
use tokio::io::{AsyncReadExt, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Its clones are counted: hyper has one.
#[derive(Clone)]
struct Greeter(Arc<()>);

impl ConnectionHandler for Greeter {
    async fn handle(&self, _: axum::extract::Request, _: Arc<Peer>) -> Response {
        Response::new(Body::from("hello"))
    }

    fn trusts_proxy(&self, _: IpAddr) -> bool {
        false
    }
}

struct Served {
    client: DuplexStream,
    handler: Greeter,
    drain: CancellationToken,
    serving: JoinHandle<Outcome>,
}

fn served() -> Served {
    let (client, ours) = duplex(1024);
    let (handler, drain) = (Greeter(Arc::default()), CancellationToken::new());
    let shutdown = Shutdown { drain: drain.clone(), abort: CancellationToken::new() };
    let peer = Peer::plain(([192, 0, 2, 1], 1024).into());
    let settings = ServerSettings::for_tests();
    let open = OpenConnection::for_tests();
    let serving = tokio::spawn(serve(ours, peer, handler.clone(), settings, shutdown, open));
    Served { client, handler, drain, serving }
}

impl Served {
    async fn reads_an_answer(&mut self) {
        let mut answer = Vec::new();
        while !answer.ends_with(b"hello") {
            assert_ne!(self.client.read_buf(&mut answer).await.unwrap(), 0, "it has ended");
        }
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }

    async fn gets_an_answer(&mut self) {
        self.client.write_all(REQUEST).await.unwrap();
        self.reads_an_answer().await;
    }

    fn is_resting(&self) -> bool {
        // The test's and that of `serve`.
        Arc::strong_count(&self.handler.0) == 2
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_rests_between_requests_and_answers_the_next() {
    let mut served = served();
    for (idle_ms, rests) in [(0, false), (499, false), (502, true), (60_000, true), (499, false)] {
        served.gets_an_answer().await;
        sleep(Duration::from_millis(idle_ms)).await;
        assert_eq!(served.is_resting(), rests, "{idle_ms} ms");
    }
    // Requests that are sent together, and the head that begins after them.
    let (begin, end) = REQUEST.split_at(9);
    served.client.write_all(&[REQUEST, REQUEST, begin].concat()).await.unwrap();
    served.reads_an_answer().await;
    sleep(Duration::from_secs(5)).await;
    served.client.write_all(end).await.unwrap();
    served.reads_an_answer().await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_begins_while_a_connection_rests_has_the_header_time_out() {
    let mut served = served();
    served.gets_an_answer().await;
    sleep(Duration::from_secs(30)).await;
    let begun = Instant::now();
    served.client.write_all(b"GET / ").await.unwrap();
    assert_eq!(served.client.read(&mut [0; 9]).await.unwrap(), 0);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_rests_ends_at_the_idle_time_out() {
    let mut served = served();
    served.gets_an_answer().await;
    let idle_since = Instant::now();
    assert_eq!(served.client.read(&mut [0; 9]).await.unwrap(), 0);
    assert_eq!(idle_since.elapsed().as_secs(), 75);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_rests_ends_with_its_peer_and_at_once_in_a_drain() {
    for is_drain in [false, true] {
        let mut served = served();
        served.gets_an_answer().await;
        sleep(Duration::from_secs(30)).await;
        let begun = Instant::now();
        if is_drain {
            served.drain.cancel();
        } else {
            drop(served.client);
        }
        assert_eq!(served.serving.await.unwrap(), Outcome::Closed);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}

/// The answer is still unread when the connection could rest.
#[tokio::test(start_paused = true)]
async fn a_connection_with_an_unread_answer_does_not_rest() {
    let mut served = served();
    for _ in 0..20 {
        served.client.write_all(REQUEST).await.unwrap();
    }
    sleep(Duration::from_secs(30)).await;
    assert!(!served.is_resting());
    let mut answers = Vec::new();
    while answers.windows(5).filter(|text| text == b"hello").count() < 20 {
        assert_ne!(served.client.read_buf(&mut answers).await.unwrap(), 0, "it has ended");
    }
}
