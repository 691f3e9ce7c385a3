//! Messages of the commands: each names the argument, the rule and the way out.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::binary::{Running, Service, appserver, emulated_sts, in_time, run, text};
use crate::stage::repository;

const KEY: [(&str, &str); 2] =
    [("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret")];

/// A device without an end is read up to a limit.
#[test]
fn files_of_the_command_line_have_a_length_limit_and_may_be_pipes() {
    for arguments in [
        &["policy", "lint", "/dev/zero"][..],
        &[
            "policy",
            "render",
            "--config",
            "config/dev.toml",
            "--client",
            "client-002",
            "--policy",
            "/dev/zero",
        ],
        &["emulator", "--config", "/dev/zero"],
    ] {
        let output = run(arguments, &[]);
        let printed = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{printed}");
        assert!(
            printed.contains("/dev/zero: ") && printed.contains("longer than 64 MiB"),
            "{printed}"
        );
    }
    let lint = format!(
        "{} policy lint <(cat config/policies/daily-photos.json)",
        env!("CARGO_BIN_EXE_appserver")
    );
    let repository = crate::stage::repository("");
    let output = Command::new("bash").args(["-c", &lint]).current_dir(repository).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn policy_render_names_the_option_for_a_missing_value() {
    let folder = tempfile::tempdir().unwrap();
    let policy = |name: &str, key: &str| {
        let text = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/{key}/*"}}]}}"#
        );
        std::fs::write(folder.path().join(format!("{name}.json")), text).unwrap();
        format!("[grants.{name}]\nrole = \"r\"\npolicy = \"{name}.json\"\n")
    };
    let grants = [
        policy("album", "${params.album}"),
        "parameters.album = { kind = \"segment\", max_length_bytes = 8 }\n".to_owned(),
        policy("team", "${claims.team}"),
        "claims.team = { kind = \"segment\", max_length_bytes = 8 }\n".to_owned(),
        policy("own", "users/${subject}"),
    ];
    let clients =
        [("a", "\"album\""), ("t", "\"team\""), ("o", "\"own\""), ("two", "\"album\", \"own\"")]
            .map(|(id, grants)| {
                format!(
                    "[clients.client-{id}]\ngrants = [{grants}]\nsecret_sha256 = [\"{}\"]\n",
                    "ab".repeat(32)
                )
            });
    let config = folder.path().join("app.toml");
    let roles = "[roles.r]\narn = \"acs:ram::11223344:role/oss\"\n";
    std::fs::write(&config, [roles, &grants.concat(), &clients.concat()].concat()).unwrap();
    let config = config.display().to_string();
    let refused = |arguments: &[&str]| {
        let render = ["policy", "render", "--config", &config, "--client"];
        let output = run(&[&render[..], arguments].concat(), &[]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(64), String::new()));
        text(&output.stderr)
    };
    let lines = [
        refused(&["client-a"]),
        refused(&["client-t"]),
        refused(&["client-o"]),
        refused(&["client-two"]),
        refused(&["client-t", "--claim", "teem=red"]),
        refused(&["client-o", "--claim", "team=red"]),
    ];
    insta::assert_snapshot!(lines.concat(), @r"
appserver: the parameter `album` is missing; give it by --param album=VALUE
appserver: the credential lacks the claim `team`; give it by --claim team=VALUE
appserver: the grant needs a subject, and the credential names none; name one by --subject SUBJECT
appserver: the client has several grants: name one of `album`, `own`; choose it by --grant NAME
appserver: --claim teem: the grant `team` declares no such claim; it declares: `team`
appserver: --claim team: the grant `own` declares no claims
");
}

#[test]
fn healthcheck_names_the_key_of_the_address_that_it_tried() {
    let service = Service::new("127.0.0.1:1".parse().unwrap(), "11223344");
    let output = run(&["healthcheck", "--config", &service.config()], &[]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{printed}");
    let admin = service.admin();
    let begin = format!(
        "appserver: admin.listen = \"127.0.0.1:{admin}\": http://127.0.0.1:{admin}/healthz: "
    );
    assert!(printed.starts_with(&begin) && printed.contains("the same --config"), "{printed}");
}

/// Before STS has verified the AccessKey: nothing listens at the address of STS.
#[tokio::test]
async fn healthcheck_prints_why_the_service_is_not_ready() {
    let service = Service::new("127.0.0.1:1".parse().unwrap(), "11223344");
    let _running = service.start(("testid", "testsecret"));
    let health = || run(&["healthcheck", "--ready", "--config", &service.config()], &[]);
    let mut output = health();
    for _ in 0..600 {
        if !text(&output.stderr).contains("give the same --config") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        output = health();
    }
    let admin = service.admin();
    assert_eq!(
        (output.status.code(), text(&output.stderr)),
        (
            Some(69),
            format!(
                "appserver: admin.listen = \"127.0.0.1:{admin}\": http://127.0.0.1:{admin}/readyz: HTTP status 503: \
                 AccessKeyUnverified\n"
            )
        )
    );
}

#[test]
fn dev_names_all_missing_files_at_once_and_the_way_out() {
    let printed = |arguments: &[&str]| {
        let output = run(arguments, &[]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(64), String::new()));
        text(&output.stderr)
    };
    let both = ["dev", "--config", "a.toml", "--emulator-config", "b.toml"];
    let lines = [printed(&both), printed(&both[..3]), printed(&["emulator", "--config", "b.toml"])];
    insta::assert_snapshot!(lines.concat(), @r"
appserver: there is no file `a.toml` and no file `b.toml`: name an existing one by --config FILE and --emulator-config FILE, or none for the demo
appserver: there is no file `a.toml`: name an existing one by --config FILE, or none for the demo
appserver: there is no file `b.toml`: name an existing one by --config FILE, or none for the demo
");
}

/// The binary is all that it needs.
#[test]
fn the_emulator_starts_in_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let ports = ["--sts-port", "--oss-port", "--ram-port", "--metadata-port"];
    let any: Vec<_> = ports.iter().flat_map(|flag| [*flag, "0"]).collect();
    let mut emulator = appserver(&[&["emulator"], &any[..]].concat(), &[]);
    let mut running = Running::start(emulator.current_dir(folder.path()));
    let mut printed = BufReader::new(running.child().stdout.take().unwrap());
    let line = in_time(move || {
        let mut line = String::new();
        printed.read_line(&mut line).map(|_| (line, printed)).unwrap()
    });
    let (line, _printed) = line.expect("it prints its addresses");
    assert!(line.starts_with("Emulated STS on http://127.0.0.1:"), "{line}");
    running.terminate();
    assert!(running.ended().status.success());
}

/// `check` on the machine of the service; in a pipeline its directories are missing.
#[test]
fn check_names_an_audit_file_that_cannot_be_created() {
    let service = Service::new("127.0.0.1:1".parse().unwrap(), "11223344");
    let file = service.folder().join("missing/audit.jsonl").display().to_string();
    let audit = [("APPSERVER__AUDIT__SINK", "file"), ("APPSERVER__AUDIT__FILE", &file)];
    let environment = [&KEY[..], &audit].concat();
    let output = run(&["check", "--config", &service.config()], &environment);
    let printed = text(&output.stdout).replace(&service.folder().display().to_string(), "<folder>");
    assert_eq!(output.status.code(), Some(64), "{printed}");
    insta::assert_snapshot!(printed, @r"
the configuration has 1 problem:
audit.file: the directory `<folder>/missing` does not exist: create it, or name a file in another
");
    let output = run(&["check", "--without-access-key", "--config", &service.config()], &audit);
    assert!(output.status.success(), "{}", text(&output.stdout));
}

/// A stop is logged with its outcome; an audit file that was never opened has lost no line.
#[tokio::test(flavor = "multi_thread")]
async fn a_clean_stop_is_logged_without_an_error_even_if_the_audit_is_unavailable() {
    let (sts, _) = emulated_sts().await;
    let service = Service::new(sts, "11223344");
    let file = service.folder().join("missing/audit.jsonl").display().to_string();
    let audit = [("APPSERVER__AUDIT__SINK", "file"), ("APPSERVER__AUDIT__FILE", file.as_str())];
    for (more, error_count) in [(&[("APPSERVER__AUDIT__SINK", "off")][..], 0), (&audit, 1)] {
        let mut running = service.start_with(("testid", "testsecret"), more);
        // It is not ready while its audit is unavailable.
        let url = format!("http://127.0.0.1:{}/healthz", service.admin());
        let lives = async {
            while reqwest::get(&url).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(crate::stage::TIME_LIMIT, lives).await.expect("it lives");
        running.terminate();
        let output = running.ended();
        let log = text(&output.stderr);
        assert!(output.status.success(), "{log}");
        let lines =
            log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let lines: Vec<_> = lines.collect();
        let last = lines.last().unwrap();
        let fields = last.get("fields").unwrap_or(last);
        assert_eq!(
            (&last["level"], &fields["message"]),
            (&"INFO".into(), &"stopped".into()),
            "{log}"
        );
        assert!(fields["stop.took_ms"].as_u64().is_some_and(|took| took < 2000), "{log}");
        let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
        assert_eq!(errors.len(), error_count, "{log}");
        assert!(errors.iter().all(|line| line.to_string().contains(&file)), "{log}");
    }
}

/// The grants of two configurations: a widened template has a request, and one that is written differently has no line.
#[test]
fn policy_compare_of_configurations_names_each_grant_that_differs() {
    let folder = tempfile::tempdir().unwrap();
    let allow = |action: &str| {
        format!(
            r#"{{"Effect":"Allow","Action":{action},"Resource":"acs:oss:*:*:photos/${{client}}/*"}}"#
        )
    };
    let write = |name: &str, statements: &str, more: &str| {
        let policy = format!("{name}.json");
        let text = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        std::fs::write(folder.path().join(&policy), text).unwrap();
        let dev = std::fs::read_to_string(repository("config/dev.toml")).unwrap();
        let policies = repository("config/policies");
        let dev = dev.replace("policies/", &format!("{}/", policies.display()));
        let keys = repository("config/demo.jwks.json").display().to_string();
        let dev = dev.replace("demo.jwks.json", &keys);
        let daily = format!("{}/daily-photos.json", policies.display());
        assert!(dev.contains(&daily));
        let file = folder.path().join(format!("{name}.toml"));
        std::fs::write(&file, dev.replace(&daily, &policy) + more).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let both = allow(r#"["oss:GetObject","oss:PutObject"]"#);
    let get = allow(r#""oss:GetObject""#);
    let old = write("old", &both, "");
    let split = write("split", &format!("{},{get}", allow(r#""oss:PutObject""#)), "");
    let wider = write("wider", &both.replace("oss:PutObject", "oss:DeleteObject"), "");
    let fewer = write("fewer", &get, "");
    let extra =
        format!("\n[grants.extra]\nrole = \"oss-readonly\"\npolicy = \"{}\"\n", "extra.json");
    let extra = write("extra", &both, &extra);
    for (old, new, code, printed) in [
        (&old, &split, 0, ""),
        (
            &old,
            &wider,
            1,
            "grants.daily-photos: no longer allows, for example, oss:PutObject on acs:oss:*:*:photos/${client}/object\n\
             grants.daily-photos: also allows, for example, oss:DeleteObject on acs:oss:*:*:photos/${client}/object\n",
        ),
        (
            &old,
            &fewer,
            0,
            "grants.daily-photos: no longer allows, for example, oss:PutObject on acs:oss:*:*:photos/${client}/object\n",
        ),
        (&old, &extra, 1, "grants.extra: added\n"),
        (&extra, &old, 0, "grants.extra: removed\n"),
    ] {
        let output = run(&["policy", "compare", "--config", old, new], &[]);
        assert_eq!(text(&output.stdout), printed, "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{new}: {}", text(&output.stderr));
    }

    // What cannot be decided is an error, and never an answer.
    let two_kinds =
        r#","Condition":{"StringLike":{"oss:Prefix":"a*"},"NumericLessThan":{"oss:Prefix":"5"}}}"#;
    let two_kinds = write("two-kinds", &get.replace(r#"*"}"#, &format!(r#"*"{two_kinds}"#)), "");
    let many = |tail: usize| get.replace("/*", &format!("/*a{}", "?".repeat(tail)));
    let (sixteen, fifteen) = (write("sixteen", &many(16), ""), write("fifteen", &many(15), ""));
    let mut lines = Vec::new();
    for (old, new) in [(&old, &two_kinds), (&two_kinds, &old), (&fifteen, &sixteen)] {
        let output = run(&["policy", "compare", "--config", old, new], &[]);
        assert_eq!(output.status.code(), Some(64), "{new}: {}", text(&output.stderr));
        lines.push(text(&output.stdout) + &text(&output.stderr));
    }
    insta::assert_snapshot!(lines.concat(), @r"
grants.daily-photos: its templates cannot be compared: a condition key is compared as values of two kinds, or ignoring case beyond ASCII; compare it in one way
appserver: some grants cannot be compared: a condition key is compared as values of two kinds, or ignoring case beyond ASCII; compare it in one way
grants.daily-photos: its templates cannot be compared: a condition key is compared as values of two kinds, or ignoring case beyond ASCII; compare it in one way
appserver: some grants cannot be compared: a condition key is compared as values of two kinds, or ignoring case beyond ASCII; compare it in one way
grants.daily-photos: its templates cannot be compared: the patterns overlap in too many ways; use fewer wildcards, or split the policy
appserver: some grants cannot be compared: the patterns overlap in too many ways; use fewer wildcards, or split the policy
");
}

/// For a widened template there is a request that only the new one allows; for a rewritten one there is none.
#[test]
fn policy_compare_shows_a_request_that_only_one_of_two_policies_allows() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, statements: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, format!(r#"{{"Version":"1","Statement":[{statements}]}}"#)).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let own = r#"{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":"acs:oss:*:*:photos/users/${subject}/*"}"#;
    let (get, put) =
        (own.replace(r#","oss:PutObject""#, ""), own.replace(r#""oss:GetObject","#, ""));
    let old = write("old.json", own);
    let split = write("split.json", &format!("{put},{get}"));
    let wider = write("wider.json", &own.replace("${subject}/*", "*"));
    let fewer = write("fewer.json", &get);
    for (new, code, printed) in [
        (&split, 0, format!("{old} and {split} allow the same\n")),
        (
            &wider,
            1,
            format!(
                "{wider} also allows, for example, oss:GetObject on acs:oss:*:*:photos/users/object\n"
            ),
        ),
        (
            &fewer,
            0,
            format!(
                "{fewer} no longer allows, for example, oss:PutObject on acs:oss:*:*:photos/users/${{subject}}/object\n"
            ),
        ),
    ] {
        let output = run(&["policy", "compare", &old, new], &[]);
        assert_eq!(text(&output.stdout), printed, "{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{new}");
    }
    let broken = write("broken.json", r#"{"Effect":"Allow"}"#);
    let output = run(&["policy", "compare", &old, &broken], &[]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("broken.json: "), "{}", text(&output.stderr));
}

#[test]
fn check_takes_the_file_with_and_without_the_option_and_prints_the_defaults() {
    let file = "config/production.example.toml";
    let check = |arguments: &[&str]| {
        let output = run(&[&["check", "--without-access-key"], arguments].concat(), &[]);
        (output.status.code(), text(&output.stdout))
    };
    let named = check(&["--config", file]);
    assert_eq!(named.0, Some(0), "{}", named.1);
    assert_eq!(check(&[file]), named);
    let defaults = run(&["check", "--defaults"], &[]);
    let documented = std::fs::read_to_string(crate::stage::repository("config/default.toml"));
    assert_eq!(text(&defaults.stdout), documented.unwrap());
}

#[test]
fn check_warns_of_what_is_left_of_the_example_and_of_files_that_others_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("ticket-key");
    std::fs::write(&key, "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=").unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let key = key.display().to_string();
    let environment = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
        ("APPSERVER__STS__REGION", "cn-hangzhuo"),
        ("APPSERVER__TICKETS__KEY_FILE", &key),
        ("APPSERVER_LOG__FILTER", "debug"),
        ("https_proxy", "http://canary@proxy.example.com"),
    ];
    let check = |arguments: &[&str]| {
        let command = [&["check", "config/production.example.toml"], arguments].concat();
        let output = run(&command, &environment);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).replace(&key, "<key>")
    };
    let (with_files, without) = (check(&[]), check(&["--without-access-key"]));
    insta::assert_snapshot!(with_files, @r"
The configuration is valid.
warning: clients.photo-app-ios.secret_sha256: a hash of zeros is an example, and no secret has it: put the hash there that `appserver client new` prints
warning: https_proxy: this variable is not read: outgoing connections use the proxy in `egress.proxy`, and none if that is empty
warning: APPSERVER_LOG__FILTER: this variable is not read: two underscores follow `APPSERVER` and separate keys, as in `APPSERVER__LOG__FILTER`
warning: sts.region: this version knows no region of this name; is `cn-hangzhou` meant? A newer region works if `appserver doctor` reaches its endpoint
warning: server.behind_proxy: all callers have the proxy's address, in limits, the log and the audit: list its networks in `server.trusted_proxies`, and set `server.forwarded_header` or `server.proxy_protocol`
warning: roles.oss-readonly.arn: 11223344 is the account of the example: put the number of yours there
warning: server.public_url: vend.example.com is the host of the example: put the URL there at which apps reach this service; URLs of tickets begin with it
warning: grants.one-album.policy: sample-bucket is the bucket of the example: put the name of yours there
warning: tickets.key_file: every user of this machine can read or change `<key>` (mode 0644), which holds a secret: set mode 0600, or in Kubernetes `defaultMode: 0440` with an `fsGroup`
");
    let differ = with_files.lines().filter(|line| !without.contains(line)).count();
    assert_eq!(differ, 1, "the files are not looked at: {without}");
}

#[test]
fn a_configuration_without_its_option_is_answered_with_the_option() {
    for command in ["serve", "doctor"] {
        let output = run(&[command, "appserver.toml"], &[]);
        assert_eq!(output.status.code(), Some(2));
        let error = text(&output.stderr);
        assert!(error.contains("`--config appserver.toml`"), "{error}");
    }
}

/// What is by chance named as the files that `dev` and `emulator` look for is neither read without an end nor waited for.
#[test]
fn what_is_no_regular_file_is_refused_at_once_where_dev_looks_for_its_configuration() {
    let ports = ["--sts-port", "0", "--oss-port", "0", "--ram-port", "0", "--metadata-port", "0"];
    let dev = [&["dev", "--port", "0", "--admin-port", "0"][..], &ports].concat();
    let emulator = [&["emulator"][..], &ports].concat();
    let make = |command: &str, arguments: &[&str]| {
        assert!(Command::new(command).args(arguments).status().unwrap().success());
    };
    for (arguments, name) in
        [(&dev, "dev.toml"), (&dev, "emulator.toml"), (&emulator, "emulator.toml")]
    {
        for (kind, maker) in [
            ("a pipe", &["mkfifo"][..]),
            ("a directory", &["mkdir"]),
            ("a device", &["ln", "-s", "/dev/zero"]),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("config")).unwrap();
            let path = folder.path().join("config").join(name).display().to_string();
            make(maker[0], &[&maker[1..], &[&path]].concat());
            let began = tokio::time::Instant::now();
            let ended =
                Running::start(appserver(arguments, &[]).current_dir(folder.path())).ended();
            let printed = text(&ended.stderr);
            assert_eq!(ended.status.code(), Some(64), "{name}, {kind}: {printed}");
            let expected = format!("it must be a regular file, and is {kind}");
            assert!(
                printed.contains(&format!("config/{name}: ")) && printed.contains(&expected),
                "{name}, {kind}: {printed}"
            );
            assert!(began.elapsed() < Duration::from_secs(20), "{name}, {kind}");
        }
    }
}

/// A file `config` has no files in it.
#[test]
fn dev_beside_a_file_that_is_named_config_runs_the_built_in_demo() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config"), "of another program").unwrap();
    let ports = ["--sts-port", "0", "--oss-port", "0", "--ram-port", "0", "--metadata-port", "0"];
    let arguments = [&["dev", "--port", "0", "--admin-port", "0"][..], &ports].concat();
    let mut running = Running::start(appserver(&arguments, &[]).current_dir(folder.path()));
    let printed = BufReader::new(running.child().stdout.take().unwrap());
    let greeted =
        in_time(move || printed.lines().map(Result::unwrap).any(|line| line.starts_with("Ctrl-C")));
    running.terminate();
    let ended = running.ended();
    assert_eq!(greeted, Some(true), "{}", text(&ended.stderr));
    assert!(text(&ended.stderr).contains("using the built-in demo"));
}
