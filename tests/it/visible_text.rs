//! No command prints a character that controls a terminal, reorders its text or is not shown, whatever files and arguments
//! contain; and no text from outside begins a line of its own.

use std::path::Path;

use regex::Regex;
use serde_json::{Value, json};

use crate::binary::{run, text};
use crate::stage::configuration_and;

/// Of each kind one: controls, a soft hyphen, marks and overrides of direction, zero-width characters, line and paragraph
/// separators, and one of those beyond 16 bits.
const CONTROLS: &str = "evil\u{1b}[2J\u{7}\u{7f}\u{85}";
const HIDDEN: &str = "evil\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2060}\u{2066}\u{feff}\u{e0041}";
/// What a line would say that the text began.
const FORGED: &str = "forged: all is well";

fn hostile() -> String {
    format!("{CONTROLS}{HIDDEN}\n{FORGED}")
}

/// Checks what a command printed, and returns it.
fn checked(name: &str, arguments: &[&str]) -> (String, Option<i32>) {
    let ended = run(arguments, &[]);
    let printed = text(&ended.stdout) + &text(&ended.stderr);
    let hidden = Regex::new(r"[[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]--\n]").unwrap();
    let found: Vec<_> = hidden.find_iter(&printed).map(|found| found.as_str()).collect();
    assert!(found.is_empty(), "{name}: {found:?} in {printed:?}");
    assert!(printed.contains("evil"), "{name} does not show the text: {printed}");
    assert!(!printed.lines().any(|line| line.starts_with(FORGED)), "{name}: {printed}");
    (text(&ended.stdout), ended.status.code())
}

fn write(folder: &Path, name: &str, content: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn no_command_prints_characters_that_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| write(folder.path(), name, content);
    let hostile = hostile();
    // TOML escapes the controls, and leaves the others as they are.
    let quoted = toml::Value::String(hostile.clone()).to_string();
    let wrong = file(
        "wrong.toml",
        &configuration_and(&format!(
            "sts.region = {quoted}\n\"{HIDDEN}\" = 1\nlog.filter = {quoted}\n"
        )),
    );
    let subject = format!("demo/{HIDDEN}");
    let quoted = toml::Value::String(subject.clone()).to_string();
    let rows = |until: &str| {
        let unknown = toml::Value::String(format!("nope/{HIDDEN}"));
        format!(
            "[[revoked]]\nuser = {quoted}\nuntil = {until}\n[[revoked]]\nuser = {unknown}\nuntil = {until}\nreason = {quoted}\n"
        )
    };
    let odd = rows("2016-01-14T00:00:00Z");
    file("odd.toml", &format!("{odd}\"{HIDDEN}\" = 1\n"));
    let odd = file("odd-config.toml", &configuration_and("revoked.file = \"odd.toml\""));
    let later = appserver_domain::clock::Clock::system().now() + chrono::TimeDelta::hours(1);
    file("active.toml", &rows(&later.to_rfc3339()));
    let active = file("active-config.toml", &configuration_and("revoked.file = \"active.toml\""));
    let valid = file("valid.toml", &configuration_and(""));
    let mut line = json!({"Time": "2026-11-22T04:05:28.844Z", "Event": "Token", "Decision": "Vended", "Code": hostile});
    for member in [
        "RequestId",
        "Client",
        "AuthenticatedBy",
        "Grant",
        "Issuer",
        "Subject",
        "Peer",
        "Source",
        "Role",
        "SessionName",
        "PolicySha256",
        "StsAccessKeyId",
        "StsRequestId",
        "Expiration",
        "Policy",
        "Instance",
        "Reason",
        "AlsoAllows",
        "NoLongerAllows",
        "Bucket",
        "Key",
        "Method",
        "ContentType",
        "UploadId",
        "ETag",
        "ExpiresAt",
    ] {
        line[member] = json!(hostile);
    }
    let audit = file("audit.jsonl", &format!("{line}\n"));
    line["Event"] = json!("Uploaded");
    line["Decision"] = json!("Confirmed");
    let uploads = file("uploads.jsonl", &format!("{line}\n"));
    let statement = json!({"Version": "1", "Statement": [{"Effect": "Allow", "Action": hostile, "Resource": hostile}]});
    let policy = file(&format!("{CONTROLS}{HIDDEN}.json"), &statement.to_string());
    let nowhere = format!("/nowhere/{CONTROLS}{HIDDEN}");

    let resource = format!("acs:oss:*:*:sample-bucket/{hostile}");
    let table: [(&str, &[&str]); 21] = [
        ("revoke", &["revoke", "user", &subject, "--for", "1h", "--config", &valid]),
        ("revoke --undo", &["revoke", "--undo", "user", &subject, "--config", &valid]),
        ("revoke --audit", &["revoke", "user", &subject, "--audit", &nowhere, "--config", &valid]),
        ("revoke --list", &["revoke", "--list", "--config", &active]),
        ("revoke --list, wrong", &["revoke", "--list", "--config", &odd]),
        ("audit find", &["audit", "find", &audit]),
        ("audit find, token", &["audit", "find", "--access-key-id", &hostile, &audit]),
        ("audit find, uploads", &["audit", "find", "--undelivered", &uploads]),
        ("audit find, no file", &["audit", "find", &nowhere]),
        ("check", &["check", &wrong]),
        ("check, warnings", &["check", "--without-access-key", &active]),
        ("check, no file", &["check", &nowhere]),
        ("doctor", &["doctor", "--config", &wrong]),
        ("serve", &["serve", "--config", &wrong]),
        ("policy lint", &["policy", "lint", &policy]),
        (
            "policy explain, resource",
            &[
                "policy",
                "explain",
                "--config",
                "config/dev.toml",
                "--client",
                "client-002",
                "--action",
                "oss:GetObject",
                "--resource",
                &resource,
            ],
        ),
        ("policy compare", &["policy", "compare", &policy, &policy]),
        (
            "policy render",
            &["policy", "render", "--config", "config/dev.toml", "--client", &hostile],
        ),
        ("setup plan", &["setup", "plan", "--config", &wrong, "--account", "11223344"]),
        ("client new", &["client", "new", &hostile]),
        ("unknown option", &["check", &format!("--{CONTROLS}{HIDDEN}")]),
    ];
    for (name, arguments) in table {
        checked(name, arguments);
    }
    // A row for the file is that of the same user.
    let quote = format!("demo/\"{HIDDEN}");
    for name in [&subject, &quote] {
        let (row, _) =
            checked("a row", &["revoke", "user", name, "--for", "1h", "--config", &valid]);
        let row: toml::Table = row.parse().unwrap();
        assert_eq!(row["revoked"][0]["user"].as_str(), Some(name.as_str()));
    }
    // JSON stays what it was.
    let (json, _) = checked("audit find --json", &["audit", "find", "--json", &uploads]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), line);
}
