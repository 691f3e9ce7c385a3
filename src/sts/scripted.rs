//! A scripted STS on a loopback socket, for behaviour that needs real connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use percent_encoding::percent_decode_str;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::endpoint::Endpoint;

/// The response to a request.
pub(crate) enum Reply {
    /// Status line and headers, without their blank line, and the body.
    Answer(String, String),
    /// The connection is closed in the middle of a response.
    Cut,
    /// No response is sent.
    Hang,
}

/// The parameters of a request.
pub(crate) type Form = BTreeMap<String, String>;

/// A listening server. It stops with the test's runtime.
pub(crate) struct Scripted {
    endpoint: Endpoint,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Default)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    /// Request line and headers of each request.
    pub(crate) heads: Vec<String>,
    pub(crate) bodies: Vec<String>,
    pub(crate) forms: Vec<Form>,
}

type Script = dyn Fn(usize, &Form) -> Reply + Send + Sync;

impl Scripted {
    /// Starts a server whose `script` is called for each request, the first being number 0.
    pub(crate) async fn start(
        script: impl Fn(usize, &Form) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let script: Arc<Script> = Arc::new(script);
        let ours = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                ours.lock().unwrap().connections += 1;
                tokio::spawn(serve(stream, ours.clone(), script.clone()));
            }
        });
        Self { endpoint: Endpoint::try_from(url).unwrap(), seen }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// Its URL, with a slash at the end.
    pub(crate) fn url(&self) -> String {
        self.endpoint.url().to_string()
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Seen>>, script: Arc<Script>) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = request(&mut stream).await {
        let form = form(&body);
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.heads.push(head);
            seen.bodies.push(body);
            seen.forms.push(form.clone());
            seen.forms.len() - 1
        };
        match script(number, &form) {
            Reply::Answer(head, body) => {
                let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                // The client may have disconnected.
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            Reply::Cut => {
                let half = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"Credentials\"";
                let _ = stream.write_all(half).await;
                return;
            }
            Reply::Hang => std::future::pending().await,
        }
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).await.ok()? == 0 {
            return None;
        }
    }
    head.make_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, String::from_utf8(body).unwrap()))
}

fn form(body: &str) -> Form {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}
