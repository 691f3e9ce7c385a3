//! `appserver audit find`: which caller held which token.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use appserver_emulator::demo_jwt;

use super::to_file;
use crate::binary::{appserver, run, text};
use crate::stage::{Answer, Setting, Stage};

/// A day of a service in several files, and one token of it.
struct Day {
    folder: tempfile::TempDir,
    key: String,
}

async fn day() -> Day {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let config = to_file(&path, "instance = \"replica-1\"");
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let user = |name| {
        let jwt = demo_jwt(name, stage.clock.now());
        stage.send(stage.request("GET", "/v1/token").bearer_auth(jwt))
    };
    let key = |answer: &Answer| answer.body["AccessKeyId"].as_str().unwrap().to_owned();
    let alices = key(&user("alice").await);
    let minutes = |minutes| stage.clock.advance(chrono::TimeDelta::minutes(minutes));
    minutes(1);
    user("bob").await;
    minutes(1);
    for _ in 0..3 {
        stage.get("client-002", "/v1/token").await;
    }
    stage.get("client-002", "/v1/token?Grant=nothing").await;
    minutes(8);
    assert_eq!(key(&user("alice").await), alices);
    stage.close().await;
    let refused = folder.path().join("audit.jsonl.refused");
    let [granted, others] = [&path, &refused].map(|path| std::fs::read_to_string(path).unwrap());
    std::fs::remove_file(refused).unwrap();
    // Ordered by time, as after a rotation: the newest file has no number.
    let mut all: Vec<_> = granted.lines().chain(others.lines()).map(|l| format!("{l}\n")).collect();
    all.sort_by_key(|line| line[..40].to_owned());
    let all = all.concat();
    let middle = all.match_indices('\n').nth(3).unwrap().0 + 1;
    std::fs::write(folder.path().join("audit.jsonl.1"), &all[..middle]).unwrap();
    std::fs::write(&path, &all[middle..]).unwrap();
    Day { folder, key: alices }
}

impl Day {
    fn files(&self) -> [PathBuf; 2] {
        ["audit.jsonl", "audit.jsonl.1"].map(|name| self.folder.path().join(name))
    }

    fn find(&self, arguments: &[&str]) -> Output {
        let files = self.files().map(|file| file.display().to_string());
        let files: Vec<_> = files.iter().map(String::as_str).collect();
        run(&[&["audit", "find"], arguments, &files].concat(), &[])
    }

    /// The output, with varying parts replaced.
    fn printed(&self, arguments: &[&str]) -> String {
        let output = self.find(arguments);
        assert_eq!(text(&output.stderr), "");
        let ids = regex::Regex::new(r"STS\.\w+|[0-9A-F-]{36}|127\.0\.0\.1:\d+").unwrap();
        ids.replace_all(&text(&output.stdout).replace(&self.key, "<alice's>"), "<…>").into_owned()
    }
}

#[tokio::test]
async fn all_lines_of_a_token_are_summarized() {
    let day = day().await;
    insta::assert_snapshot!(day.printed(&["--access-key-id", &day.key]), @r#"
<alice's>
  handed out   2 times, first 2016-01-13T14:02:37.000Z, last 2016-01-13T14:12:37.000Z
  to           photo-app for alice of demo (Jwt), grant my-photos
  from         1 address: 127.0.0.1
  by           replica-1
  expires      2016-01-13T15:02:37Z
  role         acs:ram::11223344:role/oss-readwrite
  session      photo-app.alice
  STS request  <…>

What it could do (PolicySha256 03627bab182685798b7514ebe57270c3ac34de5a7344e5e8c02c2df030d2544f):
{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject","oss:AbortMultipartUpload","oss:ListParts","oss:DeleteObject"],"Resource":"acs:oss:*:*:sample-bucket/users/alice/*"},{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/alice/","users/alice/*"]}}}]}
"#);
}

#[tokio::test]
async fn decisions_are_listed_by_time_for_any_order_of_files() {
    let day = day().await;
    insta::assert_snapshot!(day.printed(&["--client", "client-002"]), @r#"
2016-01-13T14:04:37.000Z  Vended   client-002  grant daily-photos  from <…>  <…> until 2016-01-13T15:04:37Z (Issued)  session client-002 of acs:ram::11223344:role/oss-readonly
2016-01-13T14:04:37.000Z  Vended   client-002  grant daily-photos  from <…>  <…> until 2016-01-13T15:04:37Z (Cached)  session client-002 of acs:ram::11223344:role/oss-readonly
2016-01-13T14:04:37.000Z  Vended   client-002  grant daily-photos  from <…>  <…> until 2016-01-13T15:04:37Z (Cached)  session client-002 of acs:ram::11223344:role/oss-readonly
2016-01-13T14:04:37.000Z  Refused  client-002  grant -  from <…>  Forbidden.Grant: the client may not use this grant

What it could do (PolicySha256 de2f11847ed08e7dbc3972dd54c1b8c2f5496e380583cb8f41cc8c761832202b):
{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg"}]}
"#);
    insta::assert_snapshot!(day.printed(&["--subject", "bob"]), @r#"
2016-01-13T14:03:37.000Z  Vended   photo-app for bob of demo  grant my-photos  from <…>  <…> until 2016-01-13T15:03:37Z (Issued)  session photo-app.bob of acs:ram::11223344:role/oss-readwrite

What it could do (PolicySha256 0d51b40c319fdf199e50dab5ab78023065628d0ef51c5b9366bc65d882f6a989):
{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject","oss:AbortMultipartUpload","oss:ListParts","oss:DeleteObject"],"Resource":"acs:oss:*:*:sample-bucket/users/bob/*"},{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/bob/","users/bob/*"]}}}]}
"#);
    let count = |arguments: &[&str]| {
        let output = day.find(&[arguments, &["--json"]].concat());
        text(&output.stdout).lines().count()
    };
    let since = ["--since", "2016-01-13T14:04:00Z"];
    let until = ["--until", "2016-01-13T14:05:00Z"];
    let counts = [
        count(&[]),
        count(&since),
        count(&until),
        count(&[since, until].concat()),
        count(&["--grant", "my-photos"]),
        count(&["--since", "2h"]),
        count(&["--issuer", "demo"]),
        count(&["--issuer", "demo", "--subject", "alice"]),
        count(&["--issuer", "other", "--subject", "alice"]),
    ];
    assert_eq!(counts, [7, 5, 6, 4, 3, 0, 3, 2, 0]);
}

#[tokio::test]
async fn json_output_is_the_lines_as_written() {
    let day = day().await;
    let [newer, older] = day.files().map(|file| std::fs::read_to_string(file).unwrap());
    assert_eq!(text(&day.find(&["--json"]).stdout), older + &newer);
}

#[tokio::test]
async fn no_match_and_no_readable_line_have_different_exit_codes() {
    let day = day().await;
    let none = day.find(&["--subject", "nobody"]);
    assert_eq!((none.status.code(), text(&none.stdout)), (Some(1), String::new()));
    assert_eq!(text(&none.stderr), "appserver: there is no such decision in these files\n");
    let missing = run(&["audit", "find", "/no/such/file"], &[]);
    assert_eq!((missing.status.code(), text(&missing.stdout)), (Some(64), String::new()));
    assert!(text(&missing.stderr).contains("/no/such/file: No such file"));
    assert_eq!(run(&["audit", "find"], &[]).status.code(), Some(2));
}

/// Invalid lines are reported and skipped; lines of the log between them are no error.
#[tokio::test]
async fn unreadable_lines_are_named_by_file_and_number() {
    let day = day().await;
    let [newer, _] = day.files();
    let good = std::fs::read_to_string(&newer).unwrap();
    let log = r#"{"timestamp":"2016-01-13T14:02:37.000000Z","level":"INFO","message":"serving"}"#;
    let long = format!("{{\"Time\":\"{}\"}}", "x".repeat(100_000));
    let text_of = format!("torn\",\"Code\":1}}\n{log}\n\n{long}\n{good}{{\"Time\":\"2016-01-13T");
    std::fs::write(&newer, text_of).unwrap();
    let output = run(&["audit", "find", "--json", &newer.display().to_string()], &[]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), good));
    let printed = text(&output.stderr).replace(&newer.display().to_string(), "<file>");
    insta::assert_snapshot!(printed, @r#"
<file>:1: this line cannot be read; skipping it
<file>:4: this line cannot be read; skipping it
<file>:8: this line cannot be read; skipping it
"#);
}

#[tokio::test]
async fn standard_input_is_read_as_a_file() {
    let day = day().await;
    let piped = |path: &Path| {
        let mut command = appserver(&["audit", "find", "--json", "-"], &[]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let text = std::fs::read(path).unwrap();
        child.stdin.take().unwrap().write_all(&text).unwrap();
        (child.wait_with_output().unwrap().stdout, text)
    };
    let (found, given) = piped(&day.files()[0]);
    assert_eq!(found, given);
}

/// Refused requests have a file of their own, and replicas have one each.
#[test]
fn lines_of_several_files_are_in_the_order_of_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, seconds: &[u8]| {
        let line = |second: &u8| match second {
            // A line of another log has no time of ours.
            0 => r#"{"timestamp":"2016-01-13T14:02:37Z","message":"serving"}"#.to_owned() + "\n",
            second => {
                format!(
                    r#"{{"Time":"2026-11-22T04:05:{second:02}Z","RequestId":"{second}","Decision":"Refused","Code":"Forbidden"}}"#
                ) + "\n"
            }
        };
        let path = folder.path().join(name);
        std::fs::write(&path, seconds.iter().map(line).collect::<String>()).unwrap();
        path.display().to_string()
    };
    let files = [
        file("audit.jsonl", &[11, 0, 14, 17]),
        file("audit.jsonl.1", &[1, 5, 0, 9]),
        file("audit.jsonl.refused", &[0, 4, 12, 13, 20]),
        file("empty", &[]),
    ];
    let seconds = |files: &[&str]| {
        let output = run(&[&["audit", "find", "--json"], files].concat(), &[]);
        assert_eq!(text(&output.stderr), "");
        let lines = text(&output.stdout);
        let second = |line: &str| line.split('"').nth(7).unwrap().parse::<u8>().unwrap();
        lines.lines().map(second).collect::<Vec<_>>()
    };
    let [newer, older, refused, empty] = files.each_ref().map(String::as_str);
    let expected = [1, 4, 5, 9, 11, 12, 13, 14, 17, 20];
    assert_eq!(seconds(&[newer, older, refused, empty]), expected);
    assert_eq!(seconds(&[refused, empty, older, newer]), expected);
}

/// As the service compresses rotated files, and as `zcat` of another program would read them.
#[tokio::test]
async fn compressed_files_are_read_by_name_and_from_standard_input() {
    let day = day().await;
    let plain = text(&day.find(&["--json"]).stdout);
    let [_, older] = day.files();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&std::fs::read(&older).unwrap()).unwrap();
    let compressed = encoder.finish().unwrap();
    // Without the name of a compressed file, too.
    std::fs::write(&older, &compressed).unwrap();
    assert_eq!(text(&day.find(&["--json"]).stdout), plain);

    let mut command = appserver(&["audit", "find", "--json", "-"], &[]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&compressed).unwrap();
    let found = text(&child.wait_with_output().unwrap().stdout);
    assert!(!found.is_empty() && plain.starts_with(&found), "{found}");

    std::fs::write(&older, &compressed[..compressed.len() - 9]).unwrap();
    let output = day.find(&["--json"]);
    let why = "this compressed file is incomplete; everything up to here was read";
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(text(&output.stderr), format!("appserver: {}: {why}\n", older.display()));
}

/// As if the log, the configuration or an image is named.
#[test]
fn a_file_that_is_no_audit_is_reported_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let [toml, picture] = [
        wrong("app.toml", "[server]\nlisten = \"127.0.0.1:8080\"\n".repeat(500).as_bytes()),
        wrong("picture", &[0, 159, 146, 150, b'\n'].repeat(500)),
    ];
    let printed = |files: &[&str]| {
        let output = run(&[&["audit", "find"], files].concat(), &[]);
        let printed =
            text(&output.stderr).replace(&folder.path().display().to_string(), "<folder>");
        (output.status.code(), text(&output.stdout).lines().count(), printed)
    };
    let no = "this is not an audit file: no line can be read as an audit line";
    assert_eq!(printed(&[&toml]), (Some(64), 0, format!("appserver: <folder>/app.toml: {no}\n")));
    assert_eq!(printed(&[&picture]), (Some(64), 0, format!("appserver: <folder>/picture: {no}\n")));
    let (code, _, message) = printed(&[&folder.path().display().to_string()]);
    assert_eq!((code, message.lines().count()), (Some(64), 1), "{message}");
    let (code, lines, message) = printed(&[&toml, "tests/vectors/audit/audit.jsonl"]);
    assert_eq!((code, message), (Some(0), format!("<folder>/app.toml: {no}\n")));
    assert!(lines > 0);
}

#[test]
fn of_many_unreadable_lines_ten_are_named_and_the_rest_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let good = std::fs::read_to_string("tests/vectors/audit/audit.jsonl").unwrap();
    std::fs::write(&path, "torn\n".repeat(30) + &good + &"torn\n".repeat(3)).unwrap();
    let output = run(&["audit", "find", &path.display().to_string()], &[]);
    let printed = text(&output.stderr);
    assert_eq!((output.status.code(), printed.lines().count()), (Some(0), 11), "{printed}");
    assert!(printed.ends_with("23 more lines cannot be read; skipping them\n"), "{printed}");
}

#[test]
fn decisions_are_found_by_address_and_counted_refusals_by_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let line = |id: &str, rest: &str| {
        format!(
            r#"{{"Time":"2026-11-22T04:05:28.844Z","RequestId":"{id}","Event":"Token","Decision":"Refused","Code":"Unauthenticated","Client":"client-002",{rest},"Reason":"why"}}"#
        ) + "\n"
    };
    let lines = [
        line("old", r#""Peer":"203.0.113.7:1""#),
        line("behind", r#""Peer":"10.0.0.1:2","Address":"203.0.113.7""#),
        line("other", r#""Peer":"203.0.113.7:3","Address":"198.51.100.9""#),
        line(
            "many",
            r#""Peer":"[2001:db8::1]:4","Address":"2001:db8::1","Count":12,"First":"2026-11-22T04:05:28Z","Last":"2026-11-22T04:05:38Z""#,
        ),
    ];
    std::fs::write(&path, lines.concat()).unwrap();
    let find = |rest: &[&str]| {
        let path = path.display().to_string();
        text(&run(&[&["audit", "find", &path], rest].concat(), &[]).stdout)
    };
    insta::assert_snapshot!(find(&[]), @r"
    2026-11-22T04:05:28.844Z  Refused  client-002  grant -  from 203.0.113.7:1  Unauthenticated: why
    2026-11-22T04:05:28.844Z  Refused  client-002  grant -  from 203.0.113.7 (by 10.0.0.1:2)  Unauthenticated: why
    2026-11-22T04:05:28.844Z  Refused  client-002  grant -  from 198.51.100.9 (by 203.0.113.7:3)  Unauthenticated: why
    2026-11-22T04:05:28.844Z  Refused  client-002  grant -  from [2001:db8::1]:4  Unauthenticated: why (12 times until 2026-11-22T04:05:38Z)
    ");
    let count = |address: &str| find(&["--address", address]).lines().count();
    assert_eq!(
        ["203.0.113.7", "198.51.100.9", "2001:0db8::1", "192.0.2.1"].map(count),
        [2, 1, 1, 0]
    );
    assert_eq!(find(&["--since", "2026-11-22T04:05:35Z"]).lines().count(), 1);
}

/// OSS's own log shows the session of the grant for each of them.
#[test]
fn an_object_is_joined_to_the_users_of_its_forms_and_urls() {
    let lines = "tests/vectors/audit/uploads.jsonl";
    let printed = |arguments: &[&str]| {
        let output = run(&[&["audit", "find"], arguments, &[lines]].concat(), &[]);
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout)
    };
    insta::assert_snapshot!(printed(&["--key", "users/alice/cat.jpg"]), @r"
2026-11-22T04:05:31.125Z  Issued   photo-app for alice of demo  grant photo-upload  from 127.0.0.1:47402  upload of sample-bucket/users/alice/cat.jpg (image/jpeg, at most 10485760 bytes) 5f0c7d1e9a3b4c2d8e6f001122334455  STS.dAjvL9gNDj3GSxphEDqnxSTCa until 2026-11-22T04:20:31Z (Issued)  session grant@photo-upload of acs:ram::11223344:role/oss-readwrite
2026-11-22T04:05:40.318Z  Confirmed  photo-app for alice of demo  grant photo-upload  upload of sample-bucket/users/alice/cat.jpg (image/jpeg, 1024 bytes, ETag 101A0E3E2F58188B3E2FFC1057316C13) 5f0c7d1e9a3b4c2d8e6f001122334455
2026-11-22T04:05:40.377Z  Delivered  photo-app for alice of demo  grant photo-upload  upload of sample-bucket/users/alice/cat.jpg (image/jpeg, 1024 bytes, ETag 101A0E3E2F58188B3E2FFC1057316C13) 5f0c7d1e9a3b4c2d8e6f001122334455
2026-11-22T04:07:44.002Z  Issued   photo-app for alice of demo  grant photo-upload  from 127.0.0.1:47430  GET sample-bucket/users/alice/cat.jpg  STS.dAjvL9gNDj3GSxphEDqnxSTCa until 2026-11-22T04:22:44Z (Cached)  session grant@photo-upload of acs:ram::11223344:role/oss-readwrite
2026-11-22T04:08:10.731Z  Refused  photo-app for bob of demo  grant photo-upload  from 127.0.0.1:47444  GET sample-bucket/users/alice/cat.jpg  Forbidden.Upload: the caller's own policy does not allow `oss:GetObject` on the object
");
    insta::assert_snapshot!(printed(&["--upload-id", "77aa9c0b1d2e4f30a1b2c3d4e5f60718"]), @r"
2026-11-22T04:06:02.418Z  Issued   photo-app for bob of demo  grant photo-upload  from 127.0.0.1:47418  upload of sample-bucket/users/bob/dog.png (image/png, at most 20480 bytes) 77aa9c0b1d2e4f30a1b2c3d4e5f60718  STS.dAjvL9gNDj3GSxphEDqnxSTCa until 2026-11-22T04:21:02Z (Cached)  session grant@photo-upload of acs:ram::11223344:role/oss-readwrite
2026-11-22T04:06:09.102Z  Confirmed  photo-app for bob of demo  grant photo-upload  upload of sample-bucket/users/bob/dog.png (image/png, 2048 bytes, ETag 101A0E3E2F58188B3E2FFC1057316C13) 77aa9c0b1d2e4f30a1b2c3d4e5f60718
2026-11-22T04:06:09.140Z  Kept     photo-app for bob of demo  grant photo-upload  upload of sample-bucket/users/bob/dog.png (image/png, 2048 bytes, ETag 101A0E3E2F58188B3E2FFC1057316C13) 77aa9c0b1d2e4f30a1b2c3d4e5f60718  NotForwarded: the backend is not reachable, or answered with another status than 2xx
2026-11-22T04:06:09.141Z  Failed   photo-app for bob of demo  grant photo-upload  from 203.0.113.7:47460  upload of sample-bucket/users/bob/dog.png (image/png) 77aa9c0b1d2e4f30a1b2c3d4e5f60718  Upstream.Callback: the upload is not forwarded yet (callback_backend), and kept
");
    insta::assert_snapshot!(printed(&["--undelivered"]), @r"
2026-11-22T04:06:09.141Z  Failed   photo-app for bob of demo  grant photo-upload  from 203.0.113.7:47460  upload of sample-bucket/users/bob/dog.png (image/png) 77aa9c0b1d2e4f30a1b2c3d4e5f60718  Upstream.Callback: the upload is not forwarded yet (callback_backend), and kept
");
    let since = ["--undelivered", "--since", "2026-11-22T04:06:09.141Z", "--json"];
    insta::assert_snapshot!(printed(&since), @r#"{"Time":"2026-11-22T04:06:09.141Z","RequestId":"7C0D9E8F-1A2B-4D3C-8E4F-5A6B7C8D9E0F","Event":"Uploaded","Decision":"Failed","Code":"Upstream.Callback","Client":"photo-app","Grant":"photo-upload","Issuer":"demo","Subject":"bob","Peer":"203.0.113.7:47460","Address":"203.0.113.7","Reason":"the upload is not forwarded yet (callback_backend), and kept","Bucket":"sample-bucket","Key":"users/bob/dog.png","ContentType":"image/png","UploadId":"77aa9c0b1d2e4f30a1b2c3d4e5f60718","Instance":"replica-1"}
"#);
    insta::assert_snapshot!(printed(&["--access-key-id", "STS.dAjvL9gNDj3GSxphEDqnxSTCa"]), @r"
STS.dAjvL9gNDj3GSxphEDqnxSTCa
  signed       3 times, first 2026-11-22T04:05:31.125Z, last 2026-11-22T04:07:44.002Z
  for          photo-app for alice of demo (Jwt), grant photo-upload (2), photo-app for bob of demo (Jwt), grant photo-upload (1)
  from         1 address: 127.0.0.1
  by           replica-1
  expires      -
  role         acs:ram::11223344:role/oss-readwrite
  session      grant@photo-upload
  STS request  -
");
    let nothing = |arguments: [&str; 2]| {
        let none = run(&[&["audit", "find"], &arguments[..], &[lines]].concat(), &[]);
        assert_eq!((none.status.code(), text(&none.stdout)), (Some(1), String::new()));
        text(&none.stderr)
    };
    let found = [
        nothing(["--key", "users/alice/cat"]),
        nothing(["--undelivered", "--subject=alice"]),
        nothing(["--undelivered", "--subject=carol"]),
    ];
    insta::assert_snapshot!(found.concat(), @r"
appserver: there is no such decision in these files
appserver: no upload is missing: the backend has all that OSS reported
appserver: OSS reported no such upload in these files
");
}
