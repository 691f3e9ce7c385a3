//! Requests that two servers in a row could read differently, and pipelined requests.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::stage::{Stage, TIME_LIMIT};

/// All answers to these bytes, until the server closes the connection or the last answer is complete.
async fn answered(to: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut read = Vec::new();
    let _ = timeout(TIME_LIMIT, stream.read_to_end(&mut read)).await.expect("it is ended");
    String::from_utf8_lossy(&read).into_owned()
}

/// The status of each answer, and the message of an error.
fn outcomes(answers: &str) -> Vec<String> {
    let mut outcomes = Vec::new();
    for answer in answers.replace("HTTP/1.0 ", "HTTP/1.1 ").split("HTTP/1.1 ").skip(1) {
        let status = &answer[..3];
        let message =
            answer.split_once(r#""ErrorMessage":""#).and_then(|(_, rest)| rest.split_once('"'));
        outcomes.push(match message {
            Some((message, _)) if status == "400" => format!("{status} {message}"),
            _ => status.to_owned(),
        });
    }
    outcomes
}

/// The smuggled request: it must never be answered.
const HIDDEN: &str = "GET /v1/whoami HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn an_ambiguous_head_is_answered_400_and_ends_its_connection() {
    let stage = Stage::demo().await;
    let mut answers = Vec::new();
    for (head, body) in [
        ("HTTP/1.1\r\n", ""),
        ("HTTP/1.1\r\nHost: a\r\nHost: b\r\n", ""),
        ("HTTP/1.1\r\nHost: a\r\nHost: a\r\n", ""),
        ("HTTP/1.1\r\nHost: a, b\r\n", ""),
        (
            "HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        ("HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n", "0\r\n\r\n"),
        ("HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        ("HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
        ("HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n", "{}"),
        ("HTTP/1.1\r\nHost: a\nX: b\r\n", ""),
        // hyper rejects these itself, without a body.
        ("HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n", "{}"),
        ("HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n", "{}"),
        ("HTTP/1.1\r\nHost: a\r\nContent-Length: 2, 2\r\n", "{}"),
        ("HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
        ("HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n", ""),
        ("HTTP/1.1\r\nHost: a\r\nContent-Length : 2\r\n", "{}"),
        ("HTTP/1.1\r\nHost: a\r\n X: folded\r\n", ""),
        ("HTTP/1.1\r\nHost: a\rX: b\r\n", ""),
        ("HTTP/1.1\r\nHost: a\r\nX: \0\r\n", ""),
    ] {
        let request = format!("POST /v1/token {head}\r\n{body}{HIDDEN}");
        let outcomes = outcomes(&answered(stage.public, &request).await);
        assert_eq!(outcomes.len(), 1, "{request:?}: {outcomes:?}");
        assert!(outcomes[0].starts_with("400"), "{request:?}: {outcomes:?}");
        answers.push(outcomes[0].clone());
    }
    insta::assert_snapshot!(answers.join("\n"), @r"
400 The request is malformed: it has no `Host`.
400 The request is malformed: it has more than one `Host`.
400 The request is malformed: it has more than one `Host`.
400 The request is malformed: `Host` is not a host with an optional port.
400 The request is malformed: `Transfer-Encoding` must be `chunked`, once and alone.
400 The request is malformed: `Transfer-Encoding` must be `chunked`, once and alone.
400 The request is malformed: `Transfer-Encoding` must be `chunked`, once and alone.
400 The request is malformed: it has both `Content-Length` and `Transfer-Encoding`.
400 The request is malformed: it has both `Content-Length` and `Transfer-Encoding`.
400 The request is malformed: it has more than one `Content-Length`.
400 The request is malformed: a line of the head does not end in CR LF.
400
400
400
400
400
400
400
400
400
");
    let admin = answered(stage.admin, "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await;
    assert!(admin.starts_with("HTTP/1.1 400 "), "{admin}");
    assert_eq!(stage.sts.calls(), []);
    stage.close().await;
}

#[tokio::test]
async fn pipelined_requests_are_each_answered() {
    let stage = Stage::demo().await;
    let get = "GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /v1/nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let proven = "Authorization: Basic Y2xpZW50LTAwMjpjbGllbnQtMDAyLWRlbW8tc2VjcmV0\r\nContent-Type: application/json\r\n";
    let post =
        format!("POST /v1/token HTTP/1.1\r\nHost: a\r\n{proven}Content-Length: 2\r\n\r\n{{}}");
    let chunked = format!(
        "POST /v1/token HTTP/1.1\r\nHost: a\r\n{proven}Transfer-Encoding: Chunked\r\n\r\n2;x=y\r\n{{}}\r\n0\r\nT: x\r\n\r\n"
    );
    for (requests, expected) in [
        (format!("{get}{get}{last}"), &["404", "404", "404"][..]),
        (format!("{post}{get}{post}{last}"), &["200", "404", "200", "404"]),
        (format!("\r\n\r\n{get}\r\n{last}"), &["404", "404"]),
        ("GET /v1/nothing HTTP/1.0\r\n\r\n".to_owned(), &["404"]),
        // The body has no known length: no request may follow it.
        (format!("{chunked}{get}"), &["200"]),
    ] {
        assert_eq!(outcomes(&answered(stage.public, &requests).await), expected, "{requests:?}");
    }
    // In pieces of any size.
    let requests = format!("{post}{get}{last}");
    for size in [1, 7, 100] {
        let mut stream = TcpStream::connect(stage.public).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for piece in requests.as_bytes().chunks(size) {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut read = Vec::new();
        timeout(TIME_LIMIT, stream.read_to_end(&mut read)).await.expect("it is ended").unwrap();
        assert_eq!(outcomes(&String::from_utf8_lossy(&read)), ["200", "404", "404"]);
    }
    stage.close().await;
}

/// The caller is authenticated, so that the body is read.
#[tokio::test]
async fn a_chunked_body_with_ambiguous_framing_is_answered_400_and_ends_its_connection() {
    let stage = Stage::demo().await;
    let proven = "Authorization: Basic Y2xpZW50LTAwMjpjbGllbnQtMDAyLWRlbW8tc2VjcmV0\r\nContent-Type: application/json\r\n";
    let long = "x".repeat(17 << 10);
    let mut answers = Vec::new();
    for body in [
        "2\n{}\r\n0\r\n\r\n",
        "2 \r\n{}\r\n0\r\n\r\n",
        "2;x\n{}\r\n0\r\n\r\n",
        "2;x\ry\r\n{}\r\n0\r\n\r\n",
        "2;\0\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\n\n",
        "2\r\n{}\r\n0\r\nT: x\n\r\n",
        "2\r\n{}\r\n0\r\nT: x\n\n",
        "2\r\n{}\r\n0\r\nT: x\ry\r\n\r\n",
        "2\r\n{}\r\n0\r\nT: \0\r\n\r\n",
        "2\r\n{}\r\n0\r\nContent-Length: 2\r\n\r\n",
        "2\r\n{}\r\n0\r\nHost: b\r\n\r\n",
        // The limits of hyper.
        &format!("2;{long}\r\n{{}}\r\n0\r\n\r\n"),
        &format!("2\r\n{{}}\r\n0\r\nT: {long}\r\n\r\n"),
        &format!("2\r\n{{}}\r\n0\r\n{}\r\n", "T: x\r\n".repeat(101)),
    ] {
        let head = format!(
            "POST /v1/token HTTP/1.1\r\nHost: a\r\n{proven}Transfer-Encoding: chunked\r\n\r\n"
        );
        for size in [usize::MAX, 5] {
            let mut stream = TcpStream::connect(stage.public).await.unwrap();
            stream.set_nodelay(true).unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            for piece in format!("{body}{HIDDEN}").as_bytes().chunks(size) {
                // The server may answer before all of it is sent.
                let _ = stream.write_all(piece).await;
            }
            let mut read = Vec::new();
            let _ = timeout(TIME_LIMIT, stream.read_to_end(&mut read)).await.expect("it is ended");
            // Unread bytes end a connection with a reset, which may arrive before the answer.
            if body.len() > 1024 && read.is_empty() {
                continue;
            }
            let outcomes = outcomes(&String::from_utf8_lossy(&read));
            assert_eq!(outcomes.len(), 1, "{size} {body:?}: {outcomes:?}");
            assert!(outcomes[0].starts_with("400"), "{size} {body:?}: {outcomes:?}");
            if size == 5 && body.len() < 1024 {
                answers.push(outcomes[0].clone());
            }
        }
    }
    assert_eq!(stage.sts.calls(), []);
    insta::assert_snapshot!(answers.join("\n"), @r"
400 The request is malformed: the size of a chunk must be 1 to 16 hexadecimal digits, followed by `;` or CR LF.
400 The request is malformed: the size of a chunk must be 1 to 16 hexadecimal digits, followed by `;` or CR LF.
400 The request is malformed: a line of the chunked body contains a control character or does not end in CR LF.
400 The request is malformed: a line of the chunked body contains a control character or does not end in CR LF.
400 The request is malformed: a line of the chunked body contains a control character or does not end in CR LF.
400 The request is malformed: the data of a chunk is longer than its size.
400 The request is malformed: a trailer line of the chunked body is not a field name, `:` and a value.
400 The request is malformed: a line of the chunked body contains a control character or does not end in CR LF.
400 The request is malformed: a line of the chunked body contains a control character or does not end in CR LF.
400 The request is malformed: a line of the chunked body contains a control character or does not end in CR LF.
400 The request is malformed: a line of the chunked body contains a control character or does not end in CR LF.
400 The request is malformed: a trailer field of the chunked body is only allowed in the head of the request.
400 The request is malformed: a trailer field of the chunked body is only allowed in the head of the request.
400 The request is malformed: the body broke off.
");
    stage.close().await;
}
