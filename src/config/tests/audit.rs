//! `[audit]`: where lines are written, and its problems.

use super::*;
use crate::audit::{Durability, OnFailure, SinkSettings};

#[test]
fn each_problem_of_the_audit_is_reported_with_the_way_out() {
    let wrong = format!(
        "[audit]\nsink = \"file\"\non_failure = \"panic\"\nmax_file_bytes = 1\nmax_files = 0\nbuffer_lines = 1\n\
         max_file_age_secs = -1\nkeep_secs = 316224001\ncompress = 1\n\
         max_refused_files = 0\nrefusals_per_second = 0\ndurability = \"paper\"\n\
         instance = \"{}\"\ncolour = \"red\"\n",
        "x".repeat(65)
    );
    insta::assert_snapshot!(problems(&wrong), @r"
audit.buffer_lines: 1 is not between 10 and 1000000 lines
audit.colour: there is no such key; `appserver check --defaults` prints all keys
audit.compress: it must be `true` or `false`, without quotes
audit.durability: it must be `queue`, `process` or `disk`
audit.file: it is missing: the sink `file` needs a path
audit.instance: it is at most 64 characters long, and none of them is a control character
audit.keep_secs: 316224001 is not between 0 and 316224000 seconds
audit.max_file_age_secs: -1 is not between 0 and 31622400 seconds
audit.max_file_bytes: 1 is not between 4096 and 1099511627776 bytes
audit.max_files: 0 is not between 1 and 1000 files
audit.max_refused_files: 0 is not between 1 and 1000 files
audit.on_failure: it must be `refuse` or `continue`
audit.refusals_per_second: 0 is not between 1 and 4294967295 lines
");
    insta::assert_snapshot!(problems("[audit]\nsink = \"syslog\""), @"audit.sink: it must be `stdout`, `file` or `off`");
    insta::assert_snapshot!(problems("[audit]\ndurability = \"disk\""), @"audit.durability: `disk` needs the sink `file`: only its reader decides where standard output is stored");
    let kept = "[audit]\nsink = \"file\"\nfile = \"a\"\nkeep_secs = 86400";
    insta::assert_snapshot!(problems(kept), @"audit.keep_secs: a file that is never rotated is never deleted: set `max_file_age_secs`, too");
}

#[test]
fn the_audit_defaults_to_refuse_and_its_file_is_relative_to_the_configuration() {
    let audit = |text: &str| {
        let loaded = loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production);
        loaded.unwrap().audit
    };
    let unsaid = audit("").unwrap();
    assert!(matches!(unsaid.sink, SinkSettings::Stdout));
    assert_eq!((unsaid.on_failure, unsaid.durability), (OnFailure::Refuse, Durability::Process));
    assert_eq!((unsaid.buffer_lines, unsaid.refusals_per_second.get()), (10_000, 10));
    assert!(audit("[audit]\nsink = \"off\"").is_none());
    let filed = audit("[audit]\nsink = \"file\"\nfile = \"a.jsonl\"\ninstance = \"a\"").unwrap();
    let SinkSettings::File(file) = filed.sink else { panic!("{filed:?}") };
    assert!(file.path.is_absolute() && file.path.ends_with("a.jsonl"), "{file:?}");
    assert_eq!((file.max_bytes, file.max_files, file.max_refused_files), (100 << 20, 10, 2));
    assert_eq!((file.max_age, file.max_rotated_age, file.compress), (None, None, true));
    assert_eq!(filed.instance, "a");
}

/// Problems that depend on this machine; the check leaves no file behind.
#[test]
fn an_audit_file_that_cannot_be_created_is_reported_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("folder")).unwrap();
    std::fs::write(at("present.jsonl"), "line\n").unwrap();
    std::os::unix::fs::symlink("missing/audit.jsonl", at("link")).unwrap();
    let problem = |name: &str| {
        let path = at(name);
        let text = format!("{SOUND}\n[audit]\nsink = \"file\"\nfile = {path:?}");
        let settings = loaded(&text, &[], Mode::Production).unwrap();
        let found = settings.audit_file().unwrap().err();
        let found = found.unwrap_or_else(|| "sound".to_owned());
        format!("{name}: {}", found.replace(&folder.path().display().to_string(), "<folder>"))
    };
    let names =
        ["present.jsonl", "new.jsonl", "missing/a", "folder", "link", "present.jsonl/audit"];
    insta::assert_snapshot!(names.map(problem).join("\n"), @r"
present.jsonl: sound
new.jsonl: sound
missing/a: the directory `<folder>/missing` does not exist: create it, or name a file in another
folder: `<folder>/folder` is a directory: name a file in it
link: the directory `<folder>/missing` does not exist: create it, or name a file in another
present.jsonl/audit: `<folder>/present.jsonl/audit` cannot be written: Not a directory (os error 20); let the user that the service runs as write there, or name another file
");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    assert_eq!(std::fs::read_to_string(at("present.jsonl")).unwrap(), "line\n");
}

/// Otherwise the next line of the audit would destroy a key, or the configuration.
#[test]
fn an_audit_file_that_is_another_file_of_the_configuration_is_refused() {
    let folder =
        folder(&[("policies/album.json", POLICY), ("ticket-key", "key"), ("b.refused", "key")]);
    std::os::unix::fs::symlink("ticket-key", folder.path().join("link")).unwrap();
    let config = folder.path().join("app.toml");
    let found = |audit: &str, key: &str| {
        let text = format!(
            "{SOUND}\n[audit]\nsink = \"file\"\nfile = {audit:?}\n[tickets]\nkey_file = {key:?}\n\
             [server]\npublic_url = \"https://vend.example.net\""
        );
        std::fs::write(&config, text).unwrap();
        let loaded = load(std::slice::from_ref(&config), &Environment::new(), Mode::Production);
        let found = loaded.err().map(|problems| problems.to_string()).unwrap_or_default();
        found.replace(&folder.path().display().to_string(), "<folder>")
    };
    let cases = [
        ("policies/../policies/album.json", "ticket-key"),
        ("app.toml", "ticket-key"),
        ("link", "ticket-key"),
        ("b", "b.refused"),
        ("audit.jsonl", "ticket-key"),
    ];
    insta::assert_snapshot!(cases.map(|(audit, key)| found(audit, key)).join("\n"), @r"
audit.file: the audit would write into `<folder>/policies/album.json`, the file of `grants.album.policy`: name a file of its own
audit.file: the audit would write into `<folder>/app.toml`, the file of `--config`: name a file of its own
audit.file: the audit would write into `<folder>/ticket-key`, the file of `tickets.key_file`: name a file of its own
audit.file: the audit would write into `<folder>/b.refused`, the file of `tickets.key_file`: name a file of its own
");
}

#[test]
fn the_file_of_refusals_is_checked_beside_the_audits_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    std::fs::write(&path, "line\n").unwrap();
    let refused = folder.path().join("audit.jsonl.refused");
    // Root may write everywhere, so that a mode would prove nothing.
    std::os::unix::fs::symlink("missing/file", &refused).unwrap();
    let text = format!("{SOUND}\n[audit]\nsink = \"file\"\nfile = {path:?}");
    let settings = loaded(&text, &[], Mode::Production).unwrap();
    let found = settings.audit_file().unwrap().unwrap_err();
    let missing = folder.path().join("missing");
    let expected = format!(
        "the file of refusals beside it: the directory `{}` does not exist",
        missing.display()
    );
    assert!(found.starts_with(&expected), "{found}");
    std::fs::remove_file(&path).unwrap();
    assert!(settings.audit_file().unwrap().is_err(), "also before the first line");
}

#[test]
fn hashed_subjects_need_a_key_and_a_key_needs_hashed_subjects() {
    let hashed = "[audit]\nhash_subjects = true";
    insta::assert_snapshot!(problems(hashed), @"audit.subject_key_file: hashed subjects need a key: name a file that holds one; `openssl rand -base64 32` makes one");
    let keyed = "[audit]\nsubject_key_file = \"key\"";
    insta::assert_snapshot!(problems(keyed), @"audit.hash_subjects: there is a key for hashed subjects: set this to `true`, or remove `subject_key_file`");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let text = format!("{SOUND}\n{hashed}\nsubject_key_file = {path:?}");
    let names = loaded(&text, &[], Mode::Production).unwrap().audit_names;
    let read = |key: &str| {
        std::fs::write(&path, key).unwrap();
        let read = names.read().map(|names| names.subject(Some("company"), "alice").into_owned());
        read.unwrap_or_else(|problems| problems.to_string())
    };
    insta::assert_snapshot!(read("short"), @"audit.subject_key_file: a key is 32 random bytes in base64, as `openssl rand -base64 32` prints them");
    let hash = read("YXVkaXQtc3ViamVjdC1rZXktZm9yLXRlc3RzLTAwMDE=\n");
    assert!(hash.starts_with("hmac:") && hash.len() == 37, "{hash}");
}
