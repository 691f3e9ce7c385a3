//! Refusals have one shape and cost no call to STS.

use crate::stage::{Answer, Setting, Stage, secret};

/// Every kind of refused request, with its answer.
#[tokio::test]
async fn every_refusal_has_its_code_and_costs_no_sts_call() {
    let disabled = "[clients.client-001]\nenabled = false";
    let stage = Stage::set(Setting { config: disabled, ..Setting::default() }).await;
    let album = |value: &str| format!(r#"{{"Parameters":{{"album":{value}}}}}"#);
    let too_large = format!(r#"{{"Grant":"{}"}}"#, "x".repeat(16 * 1024));
    let mut table: Vec<(&str, Answer)> = Vec::new();

    for (what, path) in [
        ("no such grant", "/v1/token?Grant=nothing"),
        ("another client's grant", "/v1/token?Grant=one-album"),
        ("too short", "/v1/token?DurationSeconds=899"),
        ("too long", "/v1/token?DurationSeconds=3601"),
        ("no time at all", "/v1/token?DurationSeconds=0"),
        ("not a number", "/v1/token?DurationSeconds=1h"),
        ("an unknown query parameter", "/v1/token?grant=daily-photos"),
        ("a repeated query parameter", "/v1/token?Grant=daily-photos&Grant=daily-photos"),
        ("an undeclared parameter", "/v1/token?Parameters.album=2015"),
        ("no such route", "/v1/nothing"),
        ("a path beside the route", "/v1/token/"),
        ("a query that is not taken", "/v1/whoami?Client=client-001"),
    ] {
        table.push((what, stage.get("client-002", path).await));
    }
    table.push(("no subject for a grant of users", stage.get("photo-app", "/v1/token").await));
    table.push(("a disabled client", stage.get("client-001", "/v1/token").await));
    for (what, body) in [
        ("a wildcard", album(r#""*""#)),
        ("a wildcard inside", album(r#""20?5""#)),
        ("a variable", album(r#""${client}""#)),
        ("a quote", album(r#""a\"b""#)),
        ("a climbing path", album(r#""..""#)),
        ("two segments", album(r#""2015/01""#)),
        ("an escaped slash", album(r#""2015%2F01""#)),
        ("a control character", album(r#""a\u0000b""#)),
        ("not in NFC", album(r#""e\u0301""#)),
        ("nothing", album(r#""""#)),
        ("too long a value", album(&format!("{:?}", "x".repeat(65)))),
        ("a number for a text", album("2015")),
        ("a missing parameter", "{}".to_owned()),
        ("a repeated parameter", r#"{"Parameters":{"album":"a","album":"b"}}"#.to_owned()),
        ("a policy of the caller's own", r#"{"Policy":{"Version":"1","Statement":[]}}"#.to_owned()),
        ("no policy, by `null`", r#"{"Policy":null}"#.to_owned()),
        ("an unknown field", r#"{"Colour":"red"}"#.to_owned()),
        ("a repeated field", r#"{"Grant":"a","Grant":"b"}"#.to_owned()),
        ("no JSON", "{".to_owned()),
        ("no object", "[]".to_owned()),
        ("not UTF-8 JSON", "\u{feff}{}".to_owned()),
        ("a body that is too large", too_large),
    ] {
        table.push((what, stage.post("client-003", &body).await));
    }
    let authorized = |method: &str, path: &str| {
        stage.request(method, path).basic_auth("client-003", Some(secret("client-003")))
    };
    table.push((
        "another media type",
        stage.send(authorized("POST", "/v1/token").body("a=b")).await,
    ));
    let packed = authorized("POST", "/v1/token").header("Content-Encoding", "gzip");
    let packed = packed.header("Content-Type", "application/json").body("{}");
    table.push(("a body that is compressed", stage.send(packed).await));
    let typed_twice = authorized("POST", "/v1/token").header("Content-Type", "application/json");
    let typed_twice = typed_twice.header("Content-Type", "application/json").body("{}");
    table.push(("two media types", stage.send(typed_twice).await));
    table.push(("another method", stage.send(authorized("DELETE", "/v1/token")).await));

    let made_up = "M".repeat(2_000);
    table.push(("a method that is made up", stage.send(authorized(&made_up, "/v1/token")).await));
    let with_query = authorized("POST", "/v1/token?DurationSeconds=900").body("{}");
    table.push(("a query beside a body", stage.send(with_query).await));
    let with_body = authorized("GET", "/v1/token?Parameters.album=2015").body(r#"{"Policy":{}}"#);
    table.push(("a body beside a query", stage.send(with_body).await));
    let frame = Ok::<_, std::io::Error>(hyper::body::Frame::data(axum::body::Bytes::from("{}")));
    let streamed = http_body_util::StreamBody::new(futures_util::stream::iter([frame]));
    let streamed = reqwest::Body::wrap(streamed);
    // hyper sends the body of a `GET` only with a length or coding.
    let streamed = authorized("GET", "/v1/token?Parameters.album=2015")
        .header("Transfer-Encoding", "chunked")
        .body(streamed);
    table.push(("a body of unknown length beside a query", stage.send(streamed).await));

    let head = authorized("HEAD", "/v1/token").send().await.unwrap();
    assert_eq!(head.status(), 405, "a HEAD would cost a token that the caller does not get");

    let lines: Vec<_> =
        table.iter().map(|(what, answer)| format!("{what}: {}", answer.outcome())).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
no such grant: 403 Forbidden.Grant
another client's grant: 403 Forbidden.Grant
too short: 400 InvalidParameter.DurationSeconds
too long: 400 InvalidParameter.DurationSeconds
no time at all: 400 InvalidParameter.DurationSeconds
not a number: 400 InvalidParameter.DurationSeconds
an unknown query parameter: 400 InvalidParameter.grant
a repeated query parameter: 400 MalformedRequest
an undeclared parameter: 400 InvalidParameter.Parameters
no such route: 404 NotFound
a path beside the route: 404 NotFound
a query that is not taken: 400 MalformedRequest
no subject for a grant of users: 403 Forbidden.Grant
a disabled client: 403 Forbidden.ClientDisabled
a wildcard: 400 InvalidParameter.Parameters.album
a wildcard inside: 400 InvalidParameter.Parameters.album
a variable: 400 InvalidParameter.Parameters.album
a quote: 400 InvalidParameter.Parameters.album
a climbing path: 400 InvalidParameter.Parameters.album
two segments: 400 InvalidParameter.Parameters.album
an escaped slash: 400 InvalidParameter.Parameters.album
a control character: 400 InvalidParameter.Parameters.album
not in NFC: 400 InvalidParameter.Parameters.album
nothing: 400 InvalidParameter.Parameters.album
too long a value: 400 InvalidParameter.Parameters.album
a number for a text: 400 InvalidParameter.Parameters.album
a missing parameter: 400 InvalidParameter.Parameters.album
a repeated parameter: 400 InvalidParameter.Parameters
a policy of the caller's own: 400 InvalidParameter.Policy
no policy, by `null`: 400 InvalidParameter.Policy
an unknown field: 400 InvalidParameter.Colour
a repeated field: 400 MalformedRequest
no JSON: 400 MalformedRequest
no object: 400 MalformedRequest
not UTF-8 JSON: 400 MalformedRequest
a body that is too large: 413 PayloadTooLarge
another media type: 415 UnsupportedMediaType
a body that is compressed: 415 UnsupportedMediaType
two media types: 400 MalformedRequest
another method: 405 MethodNotAllowed
a method that is made up: 405 MethodNotAllowed
a query beside a body: 400 MalformedRequest
a body beside a query: 400 MalformedRequest
a body of unknown length beside a query: 400 MalformedRequest
");
    for (what, Answer { body, headers, status }) in &table {
        assert_eq!(body["StatusCode"], *status, "{what}");
        assert_eq!(body["Code"], body["ErrorCode"], "{what}");
        assert_eq!(body["Message"], body["ErrorMessage"], "{what}");
        assert_eq!(headers["x-request-id"].to_str().unwrap(), body["RequestId"], "{what}");
        assert_eq!(headers["cache-control"], "no-store", "{what}");
        assert_eq!(headers["content-type"], "application/json", "{what}");
    }
    let message_of = |name: &str| {
        let (_, answer) = table.iter().find(|(what, _)| *what == name).unwrap();
        answer.body["Message"].as_str().unwrap()
    };
    let messages = [
        "no time at all",
        "a repeated query parameter",
        "an undeclared parameter",
        "two media types",
    ]
    .map(message_of);
    insta::assert_snapshot!(messages.join("\n"), @"
    DurationSeconds: a duration for this grant is 900 to 3600 seconds.
    The request is malformed: the parameter `Grant` is repeated in the query.
    Parameters: the grant does not declare the parameter `album`: it declares none.
    The request is malformed: it has more than one `Content-Type`.
    ");
    let (_, other_method) = table.iter().find(|(what, _)| *what == "another method").unwrap();
    assert_eq!(other_method.headers["allow"], "GET, POST");
    assert_eq!(stage.sts.calls(), [], "a refused request reached STS");
    stage.close().await;
}

/// RFC 9110 §15.5.6: a 405 lists the allowed methods, and the list is correct.
#[tokio::test]
async fn a_method_is_answered_405_exactly_where_allow_does_not_list_it() {
    let stage = Stage::demo().await;
    let admin = ["/healthz", "/readyz", "/version", "/metrics"];
    let public = [
        "/v1/token",
        "/v1/oss-sdk/token",
        "/v1/tickets",
        "/v1/uploads",
        "/v1/urls",
        "/v1/whoami",
        "/v1/explain",
        "/openapi.json",
        "/docs",
    ];
    let urls = public.map(|path| stage.url(path)).into_iter();
    let urls: Vec<_> =
        urls.chain(admin.map(|path| format!("http://{}{path}", stage.admin))).collect();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut answered = Vec::new();
    for url in urls {
        let (mut taken, mut allowed) = (Vec::new(), std::collections::BTreeSet::new());
        for method in ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "X"] {
            let request = client.request(method.parse().unwrap(), &url);
            let request = request.basic_auth("client-002", Some(secret("client-002")));
            let answer = request.send().await.unwrap();
            match answer.headers().get("allow") {
                Some(allow) if answer.status() == 405 => {
                    allowed.insert(allow.to_str().unwrap().replace(' ', ""));
                }
                None if answer.status() == 405 => {
                    panic!("{method} {url} says nothing of what it takes")
                }
                _ => taken.push(method),
            }
        }
        let allowed: Vec<_> = allowed.into_iter().collect();
        assert_eq!(allowed, [taken.join(",")], "{url}");
        answered.push(taken.join(","));
    }
    let expected =
        ["GET,POST", "GET", "POST", "POST", "POST", "GET,HEAD", "POST", "GET,HEAD", "GET,HEAD"];
    assert_eq!(answered[..9], expected);
    assert!(answered[9..].iter().all(|answered| answered == "GET,HEAD"), "{answered:?}");
    stage.close().await;
}

#[tokio::test]
async fn a_refused_value_is_named_with_its_rule_and_not_echoed() {
    let stage = Stage::demo().await;
    let answer = stage.post("client-003", r#"{"Parameters":{"album":"canary*"}}"#).await;
    insta::assert_json_snapshot!(answer.steady(), @r#"
{
  "Code": "InvalidParameter.Parameters.album",
  "ErrorCode": "InvalidParameter.Parameters.album",
  "ErrorMessage": "Parameters.album: the parameter `album` must be one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`, at most 64 bytes.",
  "Message": "Parameters.album: the parameter `album` must be one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`, at most 64 bytes.",
  "RequestId": "<RequestId>",
  "StatusCode": 400
}
"#);
    stage.close().await;
}

#[tokio::test]
async fn the_sdk_route_always_answers_200_with_the_status_in_the_body() {
    let stage = Stage::demo().await;
    let wrong = stage.request("GET", "/v1/oss-sdk/token").basic_auth("client-002", Some("wrong"));
    let answers = [
        stage.send(wrong).await,
        stage.get("client-002", "/v1/oss-sdk/token?Grant=nothing").await,
        stage.get("client-002", "/v1/oss-sdk/token?DurationSeconds=1").await,
    ];
    let parts = answers.each_ref().map(|answer| {
        (
            answer.status,
            answer.body["StatusCode"].as_u64().unwrap(),
            answer.body["ErrorCode"].as_str().unwrap(),
        )
    });
    let expected = [
        (200, 401, "Unauthenticated"),
        (200, 403, "Forbidden.Grant"),
        (200, 400, "InvalidParameter.DurationSeconds"),
    ];
    assert_eq!(parts, expected);
    stage.close().await;
}

/// Every invalid credential gets the same answer.
#[tokio::test]
async fn answers_do_not_reveal_which_clients_exist() {
    let stage = Stage::demo().await;
    let basic =
        |id: &str, secret: &str| stage.request("GET", "/v1/token").basic_auth(id, Some(secret));
    let header = |value: &str| stage.request("GET", "/v1/token").header("Authorization", value);
    let twice =
        basic("client-002", "client-002-demo-secret").header("Authorization", "Basic Zm9vOmJhcg==");
    let requests = [
        stage.request("GET", "/v1/token"),
        basic("client-002", "wrong"),
        basic("client-002", ""),
        basic("client-999", "client-002-demo-secret"),
        basic("no client's name", "wrong"),
        basic("", ""),
        header("Basic"),
        header("Basic ????"),
        header("Bearer eyJhbGciOiJub25lIn0.e30."),
        header("Digest username=client-002"),
        twice,
    ];
    let mut answers = Vec::new();
    for request in requests {
        let answer = stage.send(request).await;
        let mut headers = answer.headers.clone();
        for varying in ["x-request-id", "date"] {
            headers.remove(varying);
        }
        answers.push((answer.status, headers, answer.steady()));
    }
    insta::assert_json_snapshot!(answers[0].2, @r#"
{
  "Code": "Unauthenticated",
  "ErrorCode": "Unauthenticated",
  "ErrorMessage": "The request carries no valid credential; send `Authorization: Basic` with the client's id and secret, or `Authorization: Bearer` with a user's token.",
  "Message": "The request carries no valid credential; send `Authorization: Basic` with the client's id and secret, or `Authorization: Bearer` with a user's token.",
  "RequestId": "<RequestId>",
  "StatusCode": 401
}
"#);
    assert_eq!(answers[0].1["www-authenticate"], r#"Basic realm="AppServer", charset="UTF-8""#);
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
    assert_eq!(stage.sts.calls(), []);
    stage.close().await;
}

/// The work behind an unknown client and behind a wrong secret is the same; medians of interleaved requests show
/// it. A slow hash for known clients only would take some hundred times as long; the bound allows for noise.
#[tokio::test]
async fn an_unknown_client_is_refused_as_slowly_as_a_wrong_secret() {
    let stage = Stage::demo().await;
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..400 {
        for (client, took) in ["client-002", "client-999"].into_iter().zip(&mut took) {
            let request = stage.request("GET", "/v1/token").basic_auth(client, Some("wrong"));
            let started = tokio::time::Instant::now();
            stage.send(request).await;
            took.push(started.elapsed());
        }
    }
    let [wrong, unknown] = took.map(|mut took| {
        took.sort();
        took[took.len() / 2].as_secs_f64()
    });
    let ratio = wrong / unknown;
    assert!(
        (0.67..1.5).contains(&ratio),
        "a wrong secret takes {ratio:.2} times an unknown client's time"
    );
    stage.close().await;
}
