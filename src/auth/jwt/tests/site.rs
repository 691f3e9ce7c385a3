//! A scripted issuer on a loopback socket, and a clock that only the test advances.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::address::KeyAddress;
use super::super::configured_keys::{JwksEndpoint, RefreshPolicy};
use super::*;

/// The response to a request for a path.
#[derive(Clone)]
pub(super) enum Page {
    /// The body of a 200.
    Text(String),
    /// A raw response with its head; then the connection is closed.
    Raw(String),
    /// A raw beginning of a response, and then nothing.
    Stalls(String),
}

/// A listening server. It stops with the test's runtime.
pub(super) struct Site {
    pub(super) origin: String,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    heads: Arc<Mutex<Vec<String>>>,
    asked: watch::Sender<usize>,
}

impl Site {
    pub(super) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = Self {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            pages: Arc::default(),
            heads: Arc::default(),
            asked: watch::Sender::new(0),
        };
        let (pages, heads, asked) = (site.pages.clone(), site.heads.clone(), site.asked.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, pages.clone(), heads.clone(), asked.clone()));
            }
        });
        site
    }

    /// A site with a discovery document and these keys.
    pub(super) async fn with_keys(signers: &[&signing::Signer]) -> Self {
        let site = Self::open().await;
        let description =
            json!({"issuer": site.origin, "jwks_uri": format!("{}/jwks", site.origin)});
        site.show("/.well-known/openid-configuration", Page::Text(description.to_string()));
        site.show_keys(signers);
        site
    }

    pub(super) fn show(&self, path: &str, page: Page) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    pub(super) fn show_keys(&self, signers: &[&signing::Signer]) {
        self.show("/jwks", Page::Text(signing::key_set(signers)));
    }

    /// Answers 503 from now on.
    pub(super) fn fail(&self) {
        self.show("/jwks", Page::Raw("HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n".to_owned()));
    }

    pub(super) fn address(&self, path: &str) -> KeyAddress {
        format!("{}{path}", self.origin).try_into().unwrap()
    }

    /// The number of requests for a path.
    pub(super) fn count(&self, path: &str) -> usize {
        let head = format!("GET {path} HTTP/1.1\r\n");
        self.heads.lock().unwrap().iter().filter(|seen| seen.starts_with(&head)).count()
    }

    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Waits for this number of requests for any path.
    pub(super) async fn asked(&self, times: usize) {
        self.asked.subscribe().wait_for(|count| *count >= times).await.unwrap();
    }

    /// An issuer whose keys are at the site's `/jwks`.
    pub(super) fn issuer(&self) -> Issuer {
        let from = JwksEndpoint::KeySet(self.address("/jwks"));
        let refresh_policy =
            RefreshPolicy { refresh: Duration::from_mins(5), max_age: Duration::from_hours(24) };
        Issuer {
            algorithms: algorithms(&["ES256"]),
            keys: ConfiguredKeys::Fetched(from, refresh_policy),
            ..issuer(&self.origin)
        }
    }

    /// The claims of a valid token of this site.
    pub(super) fn claims(&self) -> Value {
        let mut claims = changed("iss", json!(self.origin));
        // Valid for weeks, for tests that advance the clock by days.
        claims["exp"] = json!(now().timestamp() + 2_000_000);
        claims
    }
}

async fn serve(
    mut stream: TcpStream,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    heads: Arc<Mutex<Vec<String>>>,
    asked: watch::Sender<usize>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap();
    let page = pages.lock().unwrap().get(path).cloned();
    heads.lock().unwrap().push(head);
    asked.send_modify(|count| *count += 1);
    let (text, stalls) = match page {
        Some(Page::Text(body)) => (answer("200 OK", &body), false),
        Some(Page::Raw(text)) => (text, false),
        Some(Page::Stalls(text)) => (text, true),
        None => (answer("404 Not Found", ""), false),
    };
    // The client may have disconnected.
    let _ = stream.write_all(text.as_bytes()).await;
    if stalls {
        std::future::pending::<()>().await;
    }
}

pub(super) fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Stops timers until the test advances them, while sockets work as usual, until it is dropped.
///
/// Tokio advances a paused clock to the next timer when all tasks wait, even for a socket, so time-outs would pass before
/// a response arrives. It does not while a blocking task runs, so one does.
pub(super) struct StandingTime(#[expect(dead_code, reason = "its end ends the task")] Sender<()>);

impl StandingTime {
    pub(super) fn begin() -> Self {
        tokio::time::pause();
        let (ends, ended) = channel();
        // Bounds a test that would wait forever: time-outs run again.
        tokio::task::spawn_blocking(move || ended.recv_timeout(Duration::from_secs(20)));
        Self(ends)
    }
}
