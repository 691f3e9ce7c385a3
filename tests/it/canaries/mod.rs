//! No output contains a secret, for any mistake of callers, operators and STS.

mod debug;
mod search;
mod service;

use appserver_domain::clock::Clock;
use appserver_emulator::{Fault, sign};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use regex::bytes::Regex;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

use crate::certificates::Authority;
use search::{Canaries, canary};
use service::{CLIENT, FETCHED, SHARED, World};

/// A running service, and its outputs so far.
struct Tour {
    world: World,
    outputs: Vec<(String, Vec<u8>)>,
    reloads: [u32; 2],
}

impl Tour {
    fn keep(&mut self, name: impl Into<String>, output: impl Into<Vec<u8>>) {
        self.outputs.push((name.into(), output.into()));
    }

    /// Sends the request. The answer is an output, except the vended secrets, which are canaries from then on.
    async fn ask(&mut self, request: RequestBuilder) -> Value {
        // A connection with an unread body may be closed at this moment.
        let again = request.try_clone().unwrap();
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(_) => again.send().await.unwrap(),
        };
        let name = format!("the answer to {}", answer.url().path());
        self.keep(&name, format!("{:?} {:?}", answer.status(), answer.headers()));
        let text = answer.text().await.unwrap();
        let Ok(mut body) = serde_json::from_str::<Value>(&text) else {
            self.keep(name, text);
            return Value::Null;
        };
        let whole = body.clone();
        for field in ["AccessKeySecret", "SecurityToken", "Url", "OssSdkUrl"] {
            if let Some(Value::String(text)) = body.get_mut(field).map(Value::take) {
                let secret = text.split_once("?Ticket=").map_or(&*text, |(_, ticket)| ticket);
                self.world.canaries.plant(field, secret);
            }
        }
        self.keep(name, body.to_string());
        whole
    }

    fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.world.public)
    }

    /// Valid and invalid requests of callers, by one protocol.
    async fn call(&mut self, http: &Client) {
        let secret = canary("client");
        let wrong = self.world.canaries.new_secret("wrong-secret");
        let get = |path: &str| http.get(self.url(path));
        let post =
            |path: &str| http.post(self.url(path)).basic_auth(CLIENT, Some(canary("client")));
        let good = || get("/v1/token?Parameters.album=seen").basic_auth(CLIENT, Some(&secret));

        // Credentials in headers: valid, wrong, misplaced, malformed.
        let mut requests = vec![
            good(),
            get("/v1/oss-sdk/token?Parameters.album=seen").basic_auth(CLIENT, Some(&secret)),
            get("/v1/whoami").basic_auth(CLIENT, Some(&secret)),
            get("/v1/token").basic_auth(CLIENT, Some(&wrong)),
            get("/v1/token").basic_auth(CLIENT, Some(format!("{secret} "))),
            get("/v1/token").basic_auth("no-such-client", Some(&secret)),
            get("/v1/token").basic_auth(&secret, Some(CLIENT)),
            get("/v1/token").basic_auth(&secret, None::<&str>),
            get("/v1/oss-sdk/token").basic_auth(&secret, Some(CLIENT)),
            good().header("Authorization", format!("Bearer {secret}")),
            good().header("Cookie", format!("session={secret}")).header("X-Api-Key", &secret),
        ];
        for value in [
            format!("Basic {secret}"),
            format!("Basic {}", STANDARD.encode(&secret)),
            format!("Bearer {secret}"),
            format!("Digest {secret}"),
            secret.clone(),
            format!("{secret} {secret}"),
        ] {
            requests.push(get("/v1/token").header("Authorization", &value));
            requests.push(get(&format!("/v1/{secret}")).header("Authorization", value));
        }

        // In queries, paths and bodies.
        for query in [
            format!("secret={secret}"),
            format!("{secret}=1"),
            format!("Grant={secret}"),
            format!("DurationSeconds={secret}"),
            format!("Parameters.album=seen&Parameters.secret={secret}"),
            format!("Parameters.{secret}=seen"),
            format!("Parameters.album={secret}"),
            format!("Policy={secret}"),
            format!("Ticket={secret}"),
            format!("access_token={secret}&Ticket=a&Ticket=b"),
        ] {
            for path in ["/v1/token", "/v1/oss-sdk/token", "/v1/whoami", "/docs", "/nothing"] {
                let path = format!("{path}?{}", query.replace('+', "%2B"));
                requests.push(get(&path).basic_auth(CLIENT, Some(&secret)));
                requests.push(get(&path));
            }
        }
        for body in [
            json!({ "ClientSecret": secret }).to_string(),
            json!({ &secret: 1 }).to_string(),
            json!({ "Grant": secret }).to_string(),
            json!({ "DurationSeconds": secret }).to_string(),
            json!({ "Parameters": secret }).to_string(),
            json!({ "Parameters": { &secret: "seen" } }).to_string(),
            json!({ "Parameters": { "album": secret } }).to_string(),
            json!({ "Parameters": { "album": { &secret: secret } } }).to_string(),
            json!({ "Parameters": { "album": "seen" }, "Policy": secret }).to_string(),
            json!({ "Parameters": { "album": "seen" }, "Policy": { &secret: 1 } }).to_string(),
            json!({ "Parameters": { "album": "seen" }, "Policy": { "Version": secret } }).to_string(),
            json!({ "Parameters": { "album": "seen" }, "Policy": { "Version": "1", "Statement": [
                { "Effect": secret, "Action": secret, "Resource": secret, "Condition": { &secret: secret } }
            ] } })
            .to_string(),
            format!("{{\"Grant\": \"{secret}"),
            format!("{secret}{{}}"),
            format!("{{\"Grant\": {secret}}}"),
            format!("{{\"Grant\": \"one-album\", \"Grant\": \"{secret}\"}}"),
            format!("\"{secret}\""),
        ] {
            for path in ["/v1/token", "/v1/tickets", "/v1/explain", "/v1/whoami", "/openapi.json"] {
                let request = post(path).body(body.clone());
                requests.push(request.header("Content-Type", "application/json"));
            }
            requests.push(post("/v1/token").body(body).header("Content-Type", &secret));
        }

        // Users' tokens.
        let claims = |issuer: &str, life: i64| {
            let exp = Clock::system().now().timestamp() + life;
            json!({ "iss": issuer, "aud": "photos", "sub": "seen-user", "exp": exp })
        };
        let shared = |claims: &Value, secret: &str| {
            let key = EncodingKey::from_secret(secret.as_bytes());
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
        };
        let known = canary("shared-secret");
        let mut jwts = vec![
            shared(&claims(SHARED, 600), &known),
            shared(&claims(SHARED, -600), &known),
            shared(&claims(SHARED, 600), &wrong),
            shared(&claims("https://nobody.example.com/", 600), &known),
            shared(&json!({ "iss": SHARED }), &known),
            sign(&claims(FETCHED, 600)),
            sign(&claims(FETCHED, -600)),
        ];
        for good in [0, 5] {
            let (head, signature) = jwts[good].rsplit_once('.').unwrap();
            let reversed: String = signature.chars().rev().collect();
            let tampered = format!("{head}.{reversed}");
            jwts.push(tampered);
        }
        for (jwt, name) in jwts.iter().zip(0..) {
            self.world.canaries.plant_jwt(&format!("JWT {name}"), jwt);
            requests.extend([
                http.get(self.url("/v1/token")).bearer_auth(jwt),
                http.get(self.url("/v1/whoami")).bearer_auth(jwt),
                http.get(self.url(&format!("/v1/whoami?access_token={jwt}"))),
                http.get(self.url(&format!("/v1/token?Ticket={jwt}"))),
                http.get(self.url("/v1/token")).basic_auth("seen-users", Some(jwt)),
                http.get(self.url("/v1/token")).basic_auth(jwt, None::<&str>),
                http.post(self.url("/v1/token")).bearer_auth(jwt).body(format!("\"{jwt}\"")),
            ]);
        }
        for request in requests {
            self.ask(request).await;
        }
        for path in ["/v1/token", "/v1/tickets", "/v1/explain", "/v1/whoami"] {
            let huge = http.post(self.url(path)).basic_auth(CLIENT, Some(&secret));
            let huge = huge.header("Content-Type", "application/json").body(secret.repeat(1000));
            // The connection may be closed before all of it was sent; then the answer is lost.
            if let Ok(answer) = huge.send().await {
                let text = answer.text().await.unwrap();
                self.keep(format!("the answer to {path}"), text);
            }
        }

        // Tickets.
        let asked = json!({ "Parameters": { "album": "seen" } });
        let made = http.post(self.url("/v1/tickets")).basic_auth(CLIENT, Some(&secret));
        let made = made.header("Content-Type", "application/json").body(asked.to_string());
        let made = self.ask(made).await;
        let (_, ticket) = made["Url"].as_str().expect("a ticket").split_once("?Ticket=").unwrap();
        let tampered = format!("{}A", &ticket[..ticket.len() - 1]);
        let cut = &ticket[..ticket.len() / 2];
        for ticket in [ticket, &tampered, cut] {
            for path in [
                format!("/v1/token?Ticket={ticket}"),
                format!("/v1/oss-sdk/token?Ticket={ticket}"),
                format!("/v1/token?Ticket={ticket}&Grant=one-album"),
                format!("/v1/token?Grant={ticket}"),
                format!("/v1/token?ticket={ticket}"),
                format!("/v1/whoami?Ticket={ticket}"),
                format!("/v1/token/{ticket}"),
            ] {
                self.ask(http.get(self.url(&path))).await;
                self.ask(http.get(self.url(&path)).basic_auth(CLIENT, Some(&secret))).await;
            }
            self.ask(http.get(self.url("/v1/token")).bearer_auth(ticket)).await;
        }
    }

    /// Failures of STS, each for a token that is not cached yet.
    async fn trouble(&mut self, http: &Client) {
        let echo = self.world.canaries.new_secret("echo-of-sts");
        let error = |status: u16, code: &str| Fault::Error {
            status: status.try_into().unwrap(),
            code: code.to_owned(),
            message: format!("string to sign is: {echo}"),
        };
        let faults = [
            error(400, "SignatureDoesNotMatch"),
            error(403, "NoPermission"),
            error(400, "InvalidParameter.PolicyGrammar"),
            error(500, "InternalError"),
            error(403, "Made.Up"),
            error(400, &echo),
            Fault::Html { status: 502.try_into().unwrap() },
            Fault::Html { status: 404.try_into().unwrap() },
            Fault::Malformed,
            Fault::MissingField { field: "Expiration".to_owned() },
            Fault::MissingField { field: "AccessKeyId".to_owned() },
            Fault::OtherText { field: "Arn".to_owned(), text: echo.clone() },
            Fault::EmptyCredentials,
            Fault::Oversized { bytes: 1 << 20 },
            Fault::ShortLived { seconds: -60 },
            Fault::Cut { mid_body: true },
            Fault::Throttle { time_left_ms: 1 },
        ];
        for (fault, number) in faults.into_iter().zip(0..) {
            let name = format!("{fault:?}");
            self.world.sts.script(fault.times(1).only("AssumeRole"));
            let path = format!("/v1/token?Parameters.album=trouble-{number}");
            let request = http.get(self.url(&path)).basic_auth(CLIENT, Some(canary("client")));
            let answer = self.ask(request).await;
            assert_ne!(answer["Code"], "Success", "{name}");
            self.world.sts.clear_faults();
        }
    }

    /// Reloads the configuration, which is accepted or refused.
    async fn reload(&mut self, running: &mut crate::binary::Running, outcome: usize) {
        running.signal("HUP");
        self.reloads[outcome] += 1;
        let name = ["applied", "refused"][outcome];
        let line = format!("reloads_total{{outcome=\"{name}\"}} {}\n", self.reloads[outcome]);
        self.world.until("/metrics", &line).await;
        for path in ["/readyz", "/version"] {
            let page = self.world.admin(path).await;
            self.keep(path, page);
        }
    }

    /// Mistakes in the files of secrets, each corrected afterwards; and a new AccessKey, a wrong one first.
    async fn rotate(&mut self, running: &mut crate::binary::Running) {
        let misplaced = self.world.canaries.new_secret("misplaced-secret");
        let short = "nearly-a-shared-secret";
        self.world.canaries.plant("short", short);
        let unreadable =
            format!("-----BEGIN PRIVATE KEY-----\n{misplaced}\n-----END PRIVATE KEY-----");
        for (file, bad) in [
            ("secret", ""),
            ("id", &*misplaced),
            ("redis-password", "\n"),
            ("seal-key", &misplaced),
            ("ticket-key", &misplaced),
            ("previous-ticket-key", &misplaced),
            ("shared-secret", short),
            ("otlp-headers", &misplaced.replace('=', "")),
            ("otlp-headers", &format!("bad name {misplaced}={misplaced}")),
            ("tls-key", &misplaced),
            ("tls-key", &unreadable),
        ] {
            let good = String::from_utf8(self.world.read(file)).unwrap();
            self.world.write(file, bad);
            self.reload(running, 1).await;
            self.world.write(file, &good);
        }
        self.world.canaries.plant("misplaced-secret without its end", misplaced.replace('=', ""));

        self.world.write("id", "nextid");
        let wrong = self.world.canaries.new_secret("wrong-access-key");
        self.world.write("secret", &wrong);
        self.reload(running, 0).await;
        self.world.until("/metrics", "GetCallerIdentity\",outcome=\"wrong_secret").await;
        self.world.write("secret", &format!("{}\n", canary("next-access-key")));
        self.reload(running, 0).await;
        self.world.until("/readyz", r#"{"Status":"ready"}"#).await;
    }

    /// The output of commands about this configuration, and about mistakes in it.
    fn commands(&mut self) {
        let config = self.world.path("app.toml").display().to_string();
        let misplaced = canary("misplaced-secret");
        self.world.write("broken.toml", &format!("[store.redis]\npassword = \"{misplaced}\n"));
        let mistakes = format!(
            r#"
            log.filter = "{misplaced}=="
            server.public_url = "https://user:{misplaced}@vend.example.com"
            server.cors_origins = ["https://user:{misplaced}@app.example.com"]
            tracing.otlp_endpoint = "https://user:{misplaced}@collector.example.com"
            sts.endpoints = ["https://user:{misplaced}@sts.aliyuncs.com"]
            sts.identity.access_key.secret = "{misplaced}"
            store.redis.url = "redis://user:{misplaced}@localhost"
            store.redis.password = "{misplaced}"
            tickets.key = "{misplaced}"
            issuers.shared.secret = "{misplaced}"
            issuers.fetched.jwks_url = "https://user:{misplaced}@login.example.com/jwks"
            clients.{CLIENT}.secret_sha256 = ["{misplaced}"]
            clients.{CLIENT}.secret = "{misplaced}"
            "#
        );
        self.world.write("mistakes.toml", &mistakes);
        let file = |name: &str| self.world.path(name).display().to_string();
        let (broken, mistaken, audit) =
            (file("broken.toml"), file("mistakes.toml"), file("audit.jsonl"));
        let variables = [
            ("APPSERVER__STORE__REDIS__PASSWORD", &*misplaced),
            ("APPSERVER__CLIENTS__SEEN-CLIENT-BY-ITS-NAME__SECRET_SHA256", &misplaced),
            ("APPSERVER__SERVER__MAX_CONNECTIONS", &misplaced),
            ("APPSERVER__SERVER__LISTEN", &misplaced),
        ];
        let key = [
            ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SOURCE", "environment"),
            ("APPSERVER__STS__IDENTITY__ACCESS_KEY__ID_FILE", ""),
            ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SECRET_FILE", ""),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", &*misplaced),
        ];
        self.world.write("wrong-password", &canary("wrong-secret"));
        let wrong = file("wrong-password");
        let wrong = [("APPSERVER__STORE__REDIS__PASSWORD_FILE", wrong.as_str())];
        let ran = [
            self.world.run(&["--help"], &key),
            self.world.run(&["serve", "--help"], &key),
            self.world.run(&["check", "--config", &config], &[]),
            self.world.run(&["check", "--config", &config], &key),
            self.world.run(&["check", "--config", &config], &variables),
            self.world.run(&["check", "--config", &config, "--config", &mistaken], &[]),
            self.world.run(&["check", "--config", &broken], &[]),
            self.world.run(&["serve", "--config", &config, "--config", &mistaken], &variables),
            self.world.run(&["serve", "--config", &broken], &[]),
            self.world.run(&["serve", "--config", &config], &key),
            self.world.run(&["doctor", "--config", &config], &[]),
            self.world.run(&["doctor", "--json", "--timeout", "5", "--config", &config], &wrong),
            self.world.run(&["doctor", "--config", &config, "--config", &mistaken], &variables),
            self.world.run(&["audit", "find", &audit], &[]),
            self.world.run(&["audit", "find", "--json", &audit], &[]),
        ];
        let [.., healthy, _, _, found, _] = &ran;
        let text = |(_, output): &(String, Vec<u8>)| String::from_utf8_lossy(output).into_owned();
        assert!(text(healthy).contains("All "), "{}", text(healthy));
        assert!(text(found).contains(CLIENT), "{}", text(found));
        self.outputs.extend(ran);
    }
}

/// The values in the answers of STS, even in malformed ones.
fn vended(answers: &[u8]) -> Vec<Vec<u8>> {
    let secrets =
        Regex::new(r#""(?:AccessKeySecret|SecurityToken)": *"([A-Za-z0-9+/=._-]+)"#).unwrap();
    let values = secrets.captures_iter(answers).map(|found| found[1].to_vec());
    values.filter(|value| value.len() >= 20).collect()
}

async fn tour(format: &str, sink: &str) -> Tour {
    let world = World::new().await;
    let options = [("APPSERVER__LOG__FORMAT", format), ("APPSERVER__AUDIT__SINK", sink)];
    let mut running = world.serve("served", &options);
    world.until("/readyz", r#"{"Status":"ready"}"#).await;
    let mut tour = Tour { world, outputs: Vec::new(), reloads: [0; 2] };
    let (one, two) =
        (tour.world.pki.client().http1_only().build(), tour.world.pki.client().build());
    for http in [one.unwrap(), two.unwrap()] {
        tour.call(&http).await;
        tour.trouble(&http).await;
    }
    let certified = tour.world.pki.client().identity(tour.world.caller.identity());
    let album = tour.url("/v1/token?Parameters.album=seen");
    let answer = tour.ask(certified.build().unwrap().get(&album)).await;
    assert_eq!(answer["Code"], "Success");
    let stranger = Authority::new("strangers").naming(&["certified.example.com"]);
    tour.world.canaries.plant_pem("key of a stranger's certificate", &stranger.key);
    let stranger = tour.world.pki.client().identity(stranger.identity()).build().unwrap();
    assert!(stranger.get(&album).send().await.is_err());
    tour.rotate(&mut running).await;
    let after = tour.world.pki.client().build().unwrap();
    let after = after.get(tour.url("/v1/token?Parameters.album=after"));
    let after = tour.ask(after.basic_auth(CLIENT, Some(canary("client")))).await;
    assert_eq!(after["Code"], "Success");

    for path in ["/openapi.json", "/docs"] {
        let page = tour.world.pki.client().build().unwrap().get(tour.url(path));
        tour.ask(page).await;
    }
    for path in ["/metrics", "/readyz", "/version", "/healthz"] {
        let page = tour.world.admin(path).await;
        tour.keep(path, page);
    }
    let stored = tour.world.stored().await;
    assert!(stored.len() > 1000, "nothing is stored");
    tour.keep("Redis", stored);
    running.terminate();
    let ended = running.ended();
    tour.keep("the exit", format!("{:?}", ended.status));
    assert!(ended.status.success());
    for file in ["served.out", "served.err"] {
        let output = tour.world.read(file);
        assert!(file.ends_with("out") || output.windows(5).any(|word| word == b"TRACE"));
        tour.keep(file, output);
    }
    if sink == "stdout" {
        std::fs::copy(tour.world.path("served.out"), tour.world.path("audit.jsonl")).unwrap();
    }
    let audit = tour.world.read("audit.jsonl");
    tour.keep("the audit", audit);

    // A Redis that refuses our password.
    tour.world.write("wrong-password", &canary("wrong-secret"));
    let wrong = tour.world.path("wrong-password").display().to_string();
    let wrong = [("APPSERVER__STORE__REDIS__PASSWORD_FILE", wrong.as_str())];
    let mut running = tour.world.serve("alone", &[&options[..], &wrong].concat());
    tour.world.until("/readyz", "store_degraded").await;
    running.terminate();
    assert!(running.ended().status.success());
    for file in ["alone.out", "alone.err"] {
        let output = tour.world.read(file);
        tour.keep(file, output);
    }
    tour.commands();

    let asked = tour.world.asked.lock().unwrap().clone();
    assert!(asked.contains("/jwks"), "{asked}");
    tour.keep("what the issuer was asked", asked);
    let seen = tour.world.collector.seen();
    assert!(!seen.is_empty());
    for export in seen {
        let mut headers = export.headers;
        // Its own.
        assert_eq!(headers.remove("x-api-key").unwrap(), canary("otlp-key").as_str());
        tour.keep("the exported traces", format!("{} {headers:?}", export.path));
        tour.keep("the spans", export.body);
    }
    let answered = tour.world.answered.lock().unwrap().clone();
    let vended = vended(&answered);
    assert!(vended.len() > 10, "the answers of STS were not recorded");
    for secret in &vended {
        tour.world.canaries.plant("of an answer of STS", secret);
    }
    tour
}

async fn nothing_is_found(format: &str, sink: &str) {
    let tour = tour(format, sink).await;
    // The same search finds text that is allowed.
    let mut allowed = Canaries::default();
    allowed.plant("the client's name", CLIENT);
    let found = allowed.found_in(&tour.outputs);
    for output in ["served.err", "the audit", "/metrics", "the spans", "`audit find"] {
        assert!(found.iter().any(|found| found.contains(output)), "it is not in {output}");
    }
    let found = tour.world.canaries.found_in(&tour.outputs);
    assert!(found.is_empty(), "{} of {}\n{}", found.len(), tour.outputs.len(), found.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_contains_a_secret_with_a_log_in_json() {
    nothing_is_found("json", "stdout").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_output_contains_a_secret_with_a_log_in_text() {
    nothing_is_found("pretty", "file").await;
}

/// The system may fail: here no file can be opened, so no runtime can be created.
#[test]
fn a_panic_is_reported_by_its_location_without_its_message() {
    let mut command = std::process::Command::new("sh");
    // The fourth descriptor is for the loader, which opens one library after the other.
    command.args(["-c", "ulimit -n 4; exec \"$0\" healthcheck", env!("CARGO_BIN_EXE_appserver")]);
    let output = command.env_clear().output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(101), "{stderr}");
    assert!(stderr.starts_with("a thread panicked; ") && stderr.contains("src/cli/"), "{stderr}");
    assert!(!stderr.contains("Too many open files"), "{stderr}");
}
