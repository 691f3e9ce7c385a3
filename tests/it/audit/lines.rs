//! The contents of the lines.

use std::collections::BTreeSet;

use appserver_emulator::{Fault, demo_jwt};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{lines, refused, to_file, until};
use crate::fleet::Fleet;
use crate::stage::{Setting, Stage, secret};

/// A line with its varying parts replaced by their names.
fn steady(mut line: Value) -> String {
    for field in ["RequestId", "Peer", "StsAccessKeyId", "StsRequestId", "PolicySha256"] {
        if let Some(value) = line.get_mut(field) {
            let text = value.as_str().unwrap();
            assert!(!text.is_empty());
            *value = format!("<{field}>").into();
        }
    }
    line.to_string()
}

/// Each row of the table is a request, and causes exactly the line below it.
#[tokio::test]
async fn every_decision_leaves_its_line_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let more = "instance = \"replica-\\\"1\\\"\"\n\
        [clients.client-001]\nenabled = false\n\
        [clients.client-004.limit]\nrequests_per_second = 1\nburst = 1\n";
    let config = to_file(&path, more);
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let mut recorded = Vec::new();
    let mut ids = Vec::new();
    {
        let mut record = |what: &str, answer: crate::stage::Answer| {
            recorded.push(format!("{what}: {}", answer.outcome()));
            ids.push(answer.body["RequestId"].clone());
        };
        record("issued", stage.get("client-002", "/v1/token").await);
        record("kept", stage.get("client-002", "/v1/oss-sdk/token").await);
        let album = r#"{"DurationSeconds":1800,"Parameters":{"album":"2015"}}"#;
        record("by POST", stage.post("client-003", album).await);
        record("not a grant of its", stage.get("client-002", "/v1/token?Grant=read-all").await);
        record("a bad parameter", stage.get("client-003", "/v1/token?Parameters.album=*").await);
        record("a bad body", stage.post("client-003", "{").await);
        record("no user", stage.get("photo-app", "/v1/token").await);
        record("disabled", stage.get("client-001", "/v1/token").await);
        let basic = |id: &str| stage.request("GET", "/v1/token").basic_auth(id, Some("wrong"));
        record("a wrong secret", stage.send(basic("client-002")).await);
        record("an unknown client", stage.send(basic("client-999")).await);
        record("no credential", stage.send(stage.request("GET", "/v1/oss-sdk/token")).await);
        let bearer = stage.request("POST", "/v1/token").header("Authorization", "Bearer a.b.c");
        record("a bad JWT", stage.send(bearer).await);
        record("a wrong method", stage.send(stage.request("DELETE", "/v1/token")).await);
        stage.get("client-004", "/v1/whoami").await;
        record("throttled", stage.get("client-004", "/v1/token?Grant=album-guest").await);
        let no = Fault::Error {
            status: 403.try_into().unwrap(),
            code: "NoPermission".into(),
            message: "no".into(),
        };
        stage.sts.script(no.times(1).only("AssumeRole"));
        record("refused by STS", stage.get("client-003", "/v1/token?Parameters.album=b").await);
    }
    // These requests are no decisions about a token.
    stage.get("client-002", "/v1/whoami").await;
    stage.get("client-002", "/v1/nothing").await;
    let explain = r#"{"Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}"#;
    let explain = stage.request("POST", "/v1/explain").body(explain);
    let explain = explain.header("Content-Type", "application/json");
    stage.send(explain.basic_auth("client-002", Some(secret("client-002")))).await;
    let sts = stage.assume_role_calls();
    stage.close().await;

    let granted = lines(&path);
    assert!(granted.iter().all(|line| line["Decision"] == "Vended"));
    let mut lines = [granted, refused(&path)].concat();
    lines.sort_by_key(|line| ids.iter().position(|id| *id == line["RequestId"]));
    assert_eq!(lines.iter().map(|line| line["RequestId"].clone()).collect::<Vec<_>>(), ids);
    for line in &lines {
        if let Some(policy) = line["Policy"].as_str() {
            assert_eq!(line["PolicySha256"], hex::encode(Sha256::digest(policy)));
            assert!(sts.iter().any(|call| call.parameters["Policy"] == policy));
        }
    }
    assert_eq!(lines[0]["StsAccessKeyId"], lines[1]["StsAccessKeyId"]);
    let written: Vec<_> = recorded
        .iter()
        .zip(lines)
        .map(|(recorded, line)| format!("{recorded}\n  {}", steady(line)))
        .collect();
    insta::assert_snapshot!(written.join("\n"), @r#"
issued: 200 Success
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-002","Code":"Success","Decision":"Vended","Event":"Token","Expiration":"2016-01-13T15:02:37Z","Grant":"daily-photos","Instance":"replica-\"1\"","Peer":"<Peer>","Policy":"{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:GetObject\",\"Resource\":\"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg\"}]}","PolicySha256":"<PolicySha256>","RequestId":"<RequestId>","Role":"acs:ram::11223344:role/oss-readonly","SessionName":"client-002","Source":"Issued","StsAccessKeyId":"<StsAccessKeyId>","StsRequestId":"<StsRequestId>","Time":"2016-01-13T14:02:37.000Z"}
kept: 200 Success
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-002","Code":"Success","Decision":"Vended","Event":"Token","Expiration":"2016-01-13T15:02:37Z","Grant":"daily-photos","Instance":"replica-\"1\"","Peer":"<Peer>","PolicySha256":"<PolicySha256>","RequestId":"<RequestId>","Role":"acs:ram::11223344:role/oss-readonly","SessionName":"client-002","Source":"Cached","StsAccessKeyId":"<StsAccessKeyId>","StsRequestId":"<StsRequestId>","Time":"2016-01-13T14:02:37.000Z"}
by POST: 200 Success
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-003","Code":"Success","Decision":"Vended","Event":"Token","Expiration":"2016-01-13T14:32:37Z","Grant":"one-album","Instance":"replica-\"1\"","Peer":"<Peer>","Policy":"{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:GetObject\",\"Resource\":\"acs:oss:*:*:sample-bucket/albums/2015/*\"}]}","PolicySha256":"<PolicySha256>","RequestId":"<RequestId>","Role":"acs:ram::11223344:role/oss-readonly","SessionName":"client-003","Source":"Issued","StsAccessKeyId":"<StsAccessKeyId>","StsRequestId":"<StsRequestId>","Time":"2016-01-13T14:02:37.000Z"}
not a grant of its: 403 Forbidden.Grant
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-002","Code":"Forbidden.Grant","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"the client may not use this grant","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
a bad parameter: 400 InvalidParameter.Parameters.album
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-003","Code":"InvalidParameter.Parameters.album","Decision":"Refused","Event":"Token","Grant":"one-album","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"the parameter `album` must be one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`, at most 64 bytes","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
a bad body: 400 MalformedRequest
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-003","Code":"MalformedRequest","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"the request is malformed: the body is not JSON (line 1, column 1)","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
no user: 403 Forbidden.Grant
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"photo-app","Code":"Forbidden.Grant","Decision":"Refused","Event":"Token","Grant":"my-photos","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"the grant needs a subject, and the credential names none","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
disabled: 403 Forbidden.ClientDisabled
  {"Address":"127.0.0.1","Client":"client-001","Code":"Forbidden.ClientDisabled","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"the client is disabled","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
a wrong secret: 401 Unauthenticated
  {"Address":"127.0.0.1","Client":"client-002","Code":"Unauthenticated","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"not authenticated: the secret is wrong","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
an unknown client: 401 Unauthenticated
  {"Address":"127.0.0.1","Code":"Unauthenticated","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"not authenticated: the client is not registered","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
no credential: 200 Unauthenticated
  {"Address":"127.0.0.1","Code":"Unauthenticated","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"not authenticated: no credential was presented","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
a bad JWT: 401 Unauthenticated
  {"Address":"127.0.0.1","Code":"Unauthenticated","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"not authenticated: the token is not a signed JWT","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
a wrong method: 405 MethodNotAllowed
  {"Address":"127.0.0.1","Code":"MethodNotAllowed","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"the route has no such method","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
throttled: 429 Throttled.Client
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-004","Code":"Throttled.Client","Decision":"Refused","Event":"Token","Instance":"replica-\"1\"","Peer":"<Peer>","Reason":"more than 1 request a second (limit `client`)","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
refused by STS: 502 Upstream.Refused
  {"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-003","Code":"Upstream.Refused","Decision":"Failed","Event":"Token","Grant":"one-album","Instance":"replica-\"1\"","Peer":"<Peer>","PolicySha256":"<PolicySha256>","Reason":"STS gave no credentials: STS refused: the identity may not assume the role, or the role does not trust it (NoPermission)","RequestId":"<RequestId>","Role":"acs:ram::11223344:role/oss-readonly","SessionName":"client-003","Time":"2016-01-13T14:02:37.000Z"}
"#);
}

/// A subject may be any text; the lines of other replicas name the request to STS too.
#[tokio::test]
async fn users_with_odd_names_stay_one_line_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let odd = ["O\"Brien\\n", "ünï{cödé}", "a\u{2028}b", "\u{202e}evil"];
    for subject in odd {
        let jwt = demo_jwt(subject, stage.clock.now());
        let request = stage.request("GET", "/v1/token").bearer_auth(jwt);
        stage.send(request).await;
    }
    stage.close().await;
    let subjects: Vec<_> = refused(&path).iter().map(|line| line["Subject"].clone()).collect();
    assert_eq!(subjects, odd);
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_a_line_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    stage.sts.script(Fault::Slow { delay_ms: 3_000 }.always());
    let request = stage.request("GET", "/v1/token");
    let request = request.basic_auth("client-002", Some(secret("client-002")));
    let gone = request.timeout(std::time::Duration::from_millis(200)).send().await;
    assert!(gone.unwrap_err().is_timeout());
    until("its line", async || !refused(&path).is_empty()).await;
    stage.sts.clear_faults();
    stage.close().await;
    assert_eq!(lines(&path), [] as [Value; 0]);
    let all: Vec<_> = refused(&path).into_iter().map(steady).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
{"Address":"127.0.0.1","AuthenticatedBy":"ClientSecret","Client":"client-002","Code":"ClientGone","Decision":"Failed","Event":"Token","Grant":"daily-photos","Instance":"vm","Peer":"<Peer>","Reason":"the caller hung up","RequestId":"<RequestId>","Time":"2016-01-13T14:02:37.000Z"}
"#);
}

/// A token's policy is written once for each file and replica; its caller is in every line.
#[tokio::test(flavor = "multi_thread")]
async fn every_replica_records_a_shared_token_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let mut fleet = Fleet::without_replicas().await;
    let paths = ["a", "b"].map(|name| folder.path().join(name));
    for path in &paths {
        fleet.add(&format!("store.redis.timeout_ms = 5000\n{}", to_file(path, ""))).await;
    }
    for replica in [0, 0, 1, 1] {
        assert_eq!(fleet.album(replica, "2015").await.0, "Success");
        fleet.redis.until_there_is(":token").await;
    }
    let both = async || paths.iter().all(|path| lines(path).len() == 2);
    until("all lines", both).await;
    let [a, b] = paths.map(|path| lines(&path));
    let source = |line: &Value| (line["Source"].clone(), line.get("Policy").is_some());
    let sources = [&a[0], &a[1], &b[0], &b[1]].map(source);
    let expected = [("Issued", true), ("Cached", false), ("Shared", true), ("Cached", false)];
    assert_eq!(sources, expected.map(|(source, recorded)| (source.into(), recorded)));
    for field in ["StsAccessKeyId", "StsRequestId", "PolicySha256", "Expiration", "Role"] {
        let values: BTreeSet<_> =
            a.iter().chain(&b).map(|line| line[field].as_str().unwrap()).collect();
        assert_eq!(values.len(), 1, "{field}: {values:?}");
    }
    fleet.close();
}

/// Every decision handles secrets, and no line contains one.
#[tokio::test]
async fn no_line_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "[sts]\nmax_attempts = 2\n");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let canary = "canary-8fd1c0ffee";
    let request = || stage.request("GET", "/v1/token");
    stage.send(request().basic_auth("client-002", Some(canary))).await;
    stage.send(request().basic_auth(canary, Some(canary))).await;
    for scheme in ["Basic", "Bearer", "Digest", "Bearer a."] {
        stage.send(request().header("Authorization", format!("{scheme} {canary}"))).await;
    }
    for body in [
        format!(r#"{{"Parameters":{{"album":"{canary}*"}}}}"#),
        format!(r#"{{"DurationSeconds":"{canary}"}}"#),
        format!(r#"{{"Grant":"{canary}"}}"#),
        format!(r#"{{"Policy":"{canary}"}}"#),
        format!(r"{{{canary}"),
    ] {
        stage.post("client-003", &body).await;
    }
    stage.get("client-003", &format!("/v1/token?Parameters.album={canary}%2A&x={canary}")).await;
    let error = |code: &str| Fault::Error {
        status: 400.try_into().unwrap(),
        code: code.into(),
        message: canary.into(),
    };
    let faults = [
        error("NoPermission"),
        error(canary),
        Fault::Malformed,
        Fault::EmptyCredentials,
        Fault::Cut { mid_body: true },
    ];
    for (album, fault) in faults.into_iter().enumerate() {
        stage.sts.clear_faults();
        stage.sts.script(fault.always());
        stage.get("client-003", &format!("/v1/token?Parameters.album={album}")).await;
    }
    stage.sts.clear_faults();
    let answers =
        [stage.get("client-002", "/v1/token").await, stage.get("client-002", "/v1/token").await];
    stage.close().await;
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let text = read("audit.jsonl") + &read("audit.jsonl.refused");
    assert_eq!(text.lines().count(), 19);
    let handed_out = ["AccessKeySecret", "SecurityToken"]
        .map(|field| answers[0].body[field].as_str().unwrap().to_owned());
    let secrets = [canary, "demo-secret", "testsecret", "Y2FuYXJ5"];
    for secret in secrets.into_iter().chain(handed_out.iter().map(String::as_str)) {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

/// Which caller got a ticket, and by which ticket a token was vended; never the URL itself.
#[tokio::test]
async fn a_ticket_is_recorded_when_it_is_made_and_by_its_id_whenever_it_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let jwt = demo_jwt("alice", stage.clock.now());
    let made = stage.send(stage.request("POST", "/v1/tickets").bearer_auth(&jwt)).await;
    let url = made.body["Url"].as_str().unwrap().to_owned();
    let used = url.split_once("/v1/").unwrap().1.to_owned();
    let vended = stage.send(stage.request("GET", &format!("/v1/{used}"))).await;
    assert_eq!((made.status, vended.status), (200, 200));
    stage.close().await;

    let read = lines(&path);
    let recorded = |line: &serde_json::Value| {
        ["Event", "Decision", "Client", "Subject", "AuthenticatedBy"]
            .map(|member| line[member].as_str().unwrap().to_owned())
            .join(" ")
    };
    assert_eq!(
        read.iter().map(recorded).collect::<Vec<_>>(),
        ["Ticket Issued photo-app alice Jwt", "Token Vended photo-app alice Ticket"]
    );
    for line in &read {
        assert_eq!(line["Ticket"], made.body["TicketId"]);
    }
    assert_eq!(read[0]["Expiration"], made.body["ExpiresAt"]);
    let sealed = used.split_once("Ticket=").unwrap().1;
    assert!(!std::fs::read_to_string(&path).unwrap().contains(sealed));
}

/// The caller is the client that a trusted proxy names.
#[tokio::test]
async fn a_line_has_the_addresses_of_the_caller_and_its_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let proxies =
        "[server]\nforwarded_header = \"x-forwarded-for\"\ntrusted_proxies = [\"127.0.0.0/8\"]\n";
    let config = to_file(&path, "") + proxies;
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let request = |forwarded: &str, secret: &str| {
        let request = stage.request("GET", "/v1/token").basic_auth("client-002", Some(secret));
        stage.send(request.header("X-Forwarded-For", forwarded))
    };
    request("203.0.113.7", &secret("client-002")).await;
    request("2001:db8::7", &secret("client-002")).await;
    request("198.51.100.9", "wrong").await;
    stage.get("client-002", "/v1/token").await;
    stage.close().await;
    let addresses = |lines: Vec<Value>| {
        let of = |line: &Value| {
            assert!(line["Peer"].as_str().unwrap().starts_with("127.0.0.1:"));
            line["Address"].as_str().unwrap().to_owned()
        };
        lines.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(addresses(lines(&path)), ["203.0.113.7", "2001:db8::7", "127.0.0.1"]);
    assert_eq!(addresses(refused(&path)), ["198.51.100.9"]);
}

/// Neither product is part of these tests, only what the samples say about lines and files.
#[test]
fn the_samples_that_ship_the_audit_name_its_files_fields_and_times() {
    let read = |name: &str| std::fs::read_to_string(format!("deploy/audit/{name}")).unwrap();
    let logtail: Value = serde_json::from_str(&read("logtail.json")).unwrap();
    let alloy = read("loki.alloy");
    let defaults = std::fs::read_to_string("config/default.toml").unwrap();
    for file in logtail["inputs"][0]["FilePaths"].as_array().unwrap() {
        let file = file.as_str().unwrap();
        assert!(alloy.contains(&format!("\"__path__\" = \"{file}\"")), "{file}");
        assert!(defaults.contains(file.trim_end_matches(".refused")), "{file}");
    }
    let time = &logtail["processors"][1];
    let format = time["SourceFormat"].as_str().unwrap();
    let (_, expressions) = alloy.split_once("expressions = {").unwrap();
    let (expressions, _) = expressions.split_once('}').unwrap();
    let fields: Vec<_> = expressions.split('"').skip(1).step_by(2).collect();
    assert_eq!(fields, ["Time", "Event", "Decision", "Instance"]);
    for line in lines("tests/vectors/audit/audit.jsonl".as_ref()) {
        let at = line[time["SourceKey"].as_str().unwrap()].as_str().unwrap();
        chrono::NaiveDateTime::parse_from_str(at, format).unwrap();
        chrono::DateTime::parse_from_rfc3339(at).unwrap();
        assert!(fields.iter().all(|field| line[field].is_string()), "{line}");
    }
    assert_eq!(alloy.matches('{').count(), alloy.matches('}').count());
}
