//! `appserver setup plan`: each format, what it is made of, and why there is none.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::binary::{run, text};
use crate::stage::repository;

const OIDC: [&str; 6] = [
    "--oidc-issuer",
    "https://oidc.example.com/c0ffee",
    "--oidc-audience",
    "sts.aliyuncs.com",
    "--oidc-subject",
    "system:serviceaccount:default:appserver",
];

/// The plans whose formats are files of `tests/setup`.
fn plans() -> [(&'static str, Vec<&'static str>); 3] {
    let egress = ["--egress", "203.0.113.1", "--egress", "198.51.100.0/24"];
    [
        ("dev", [&["config/dev.toml"], &egress[..]].concat()),
        ("production", vec!["config/production.example.toml"]),
        ("oidc", [&["tests/setup/oidc.toml"], &OIDC[..]].concat()),
    ]
}

/// Exit code, standard output and standard error.
fn plan(arguments: &[&str]) -> (i32, String, String) {
    let command = ["setup", "plan", "--account", "11223344", "--config"];
    let output = run(&[&command, arguments].concat(), &[]);
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn every_format_of_a_plan_is_the_file_that_other_tools_check() {
    let folder = repository("tests/setup");
    let mut differing = Vec::new();
    for (name, arguments) in plans() {
        for (format, extension) in
            [("text", "txt"), ("cli", "sh"), ("terraform", "tf"), ("ros", "yaml"), ("json", "json")]
        {
            let (code, printed, errors) = plan(&[&arguments[..], &["--format", format]].concat());
            assert_eq!((code, errors.as_str()), (0, ""), "{name} {format}");
            let file = folder.join(format!("{name}.{extension}"));
            if fs::read_to_string(&file).unwrap_or_default() != printed {
                // Beside the build, so that it can be compared and copied.
                let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file.file_name().unwrap());
                fs::write(&made, printed).unwrap();
                differing.push(format!("{} differs from {}", file.display(), made.display()));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The plan as data of a configuration with these roles and grants.
fn planned(tables: &str, arguments: &[&str]) -> Result<Value, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appserver.toml");
    fs::copy(repository("config/policies/daily-photos.json"), folder.path().join("p.json"))
        .unwrap();
    let secret = "a99e98c8dd052205dfaea33d86f72b73d9b7d64b4be3c5d1ded0379f9f15c544";
    let client =
        format!("\n[clients.photo-app]\ngrants = [\"a\"]\nsecret_sha256 = [\"{secret}\"]\n");
    fs::write(&file, format!("{tables}{client}")).unwrap();
    let file = file.to_str().unwrap();
    let (code, printed, errors) = plan(&[&[file, "--format", "json"], arguments].concat());
    match code {
        0 => Ok(serde_json::from_str(&printed).unwrap()),
        64 => Err(errors.trim().replace(folder.path().to_str().unwrap(), "")),
        code => panic!("{code}: {errors}"),
    }
}

const IDENTITY: &str = "[sts]\nregion = \"cn-hangzhou\"\n";

fn role(name: &str, arn: &str) -> String {
    format!("[roles.{name}]\narn = \"{arn}\"\nmax_session_duration_secs = 7200\n")
}

fn grant(name: &str, role: &str, more: &str) -> String {
    format!("[grants.{name}]\nrole = \"{role}\"\npolicy = \"p.json\"\n{more}\n")
}

#[test]
fn a_role_demands_the_external_ids_of_its_grants_if_all_of_them_send_one() {
    let with = |a: &str, b: &str| {
        let roles = role("r", "acs:ram::11223344:role/r");
        let tables = [IDENTITY, &roles, &grant("a", "r", a), &grant("b", "r", b)].concat();
        let plan = planned(&tables, &[]).unwrap();
        (
            plan["roles"][0]["trust_policy"]["Statement"][0]["Condition"].clone(),
            plan["warnings"].clone(),
        )
    };
    let equals = |ids: Value| json!({ "StringEquals": { "sts:ExternalId": ids } });
    let (one, two) = ("external_id = \"one\"", "external_id = \"two\"");
    assert_eq!(with(one, one), (equals(json!("one")), json!([])));
    assert_eq!(with(two, one), (equals(json!(["one", "two"])), json!([])));
    assert_eq!(with("", ""), (Value::Null, json!([])));
    let (condition, warnings) = with(one, "");
    assert_eq!(condition, Value::Null);
    insta::assert_snapshot!(warnings[0].as_str().unwrap(), @r"acs:ram::11223344:role/r: grants.b sends no `external_id` and others of the role do, so the trust policy can require none: give all of them one, or a role of its own to those with one");
}

#[test]
fn a_role_lives_as_long_as_its_longest_token_and_an_hour_at_least() {
    let longest = |a: &str, b: &str| {
        let roles = role("r", "acs:ram::11223344:role/r");
        let tables = [IDENTITY, &roles, &grant("a", "r", a), &grant("b", "r", b)].concat();
        planned(&tables, &[]).unwrap()["roles"][0]["max_session_duration_secs"].clone()
    };
    assert_eq!(longest("", "max_duration_secs = 900\ndefault_duration_secs = 900"), 7200);
    let short = "max_duration_secs = 900\ndefault_duration_secs = 900";
    assert_eq!(longest("max_duration_secs = 5400", short), 5400);
    assert_eq!(longest(short, short), 3600);
}

#[test]
fn names_of_one_role_in_two_letter_cases_are_one_role() {
    let roles = role("r", "acs:ram::11223344:role/R") + &role("s", "acs:ram::11223344:role/r");
    let tables = [IDENTITY, &roles, &grant("a", "r", ""), &grant("b", "s", "")].concat();
    let plan = planned(&tables, &[]).unwrap();
    assert_eq!(plan["roles"].as_array().unwrap().len(), 1);
    assert_eq!(plan["roles"][0]["grants"], json!(["a", "b"]));
}

#[test]
fn an_instance_role_is_trusted_by_the_roles_and_has_no_key() {
    let tables = |role_name: &str| {
        let identity = "[sts.identity]\nsource = \"ecs-ram-role\"\n";
        let named = format!("[sts.identity.ecs_ram_role]\nrole = \"{role_name}\"\n");
        let roles = role("r", "acs:ram::11223344:role/r");
        [IDENTITY, identity, &named, &roles, &grant("a", "r", "")].concat()
    };
    let plan = planned(&tables(""), &[]).unwrap();
    assert_eq!(plan["identity"]["role"]["name"], "appserver");
    let plan = planned(&tables("vend-node"), &[]).unwrap();
    assert_eq!(plan["identity"]["kind"], "instance-role");
    assert_eq!(
        plan["identity"]["role"]["trust_policy"]["Statement"][0]["Principal"],
        json!({ "Service": ["ecs.aliyuncs.com"] })
    );
    assert_eq!(
        plan["roles"][0]["trust_policy"]["Statement"][0]["Principal"],
        json!({ "RAM": ["acs:ram::11223344:role/vend-node"] })
    );
}

#[test]
fn what_cannot_be_planned_is_refused_with_the_way_out() {
    let own = role("r", "acs:ram::11223344:role/r") + &grant("a", "r", "");
    let key = [IDENTITY, &own].concat();
    let source = |source: &str, more: &str| {
        [IDENTITY, &format!("[sts.identity]\nsource = \"{source}\"\n{more}"), &own].concat()
    };
    let oidc = "[sts.identity.oidc]\ntoken_file = \"t\"\nrole_arn = \"acs:ram::1:role/a\"\n";
    let provider = "provider_arn = \"acs:ram::1:oidc-provider/p\"\n";
    let dotted = [
        IDENTITY,
        &role("r", "acs:ram::11223344:role/a.b"),
        &role("s", "acs:ram::11223344:role/a-b"),
        &grant("a", "r", ""),
        &grant("b", "s", ""),
    ]
    .concat();
    let of_another = role("r", "acs:ram::1:role/r") + &grant("a", "r", "");
    let uri = "[sts.identity.credentials_uri]\nuri = \"https://example.com/\"\n";
    let own_role = "[sts.identity.ecs_ram_role]\nrole = \"R\"\n";
    let cases: Vec<(String, Vec<&str>)> = vec![
        ([IDENTITY, &of_another].concat(), vec![]),
        (key.clone(), vec!["--egress", "0.0.0.0/0"]),
        (key.clone(), OIDC.to_vec()),
        (source("ecs-ram-role", ""), vec!["--egress", "203.0.113.1"]),
        (source("ecs-ram-role", ""), vec!["--user", "a_b"]),
        (source("ecs-ram-role", own_role), vec![]),
        (source("oidc", oidc), vec![]),
        (source("oidc", oidc), OIDC.to_vec()),
        (source("oidc", &[oidc, provider].concat()), OIDC.to_vec()),
        (source("credentials-uri", uri), vec![]),
        (dotted, vec![]),
    ];
    let refused = cases.iter().map(|(tables, arguments)| planned(tables, arguments).unwrap_err());
    insta::assert_snapshot!(refused.collect::<Vec<_>>().join("\n"), @r#"
    appserver: --account is 11223344, and the configured role `acs:ram::1:role/r` is of another account: give --account 1, correct the role's `arn`, or set `cross_account = true` if the role does belong to another account
    appserver: --egress allows every address of 0.0.0.0/0 and restricts nothing: leave it out, or name the addresses
    appserver: --oidc-issuer, --oidc-audience and --oidc-subject go with `sts.identity.source = "oidc"`: leave them out
    appserver: --egress restricts an AccessKey, and with `sts.identity.source = "ecs-ram-role"` there is none: leave it out
    appserver: the name `a_b` cannot be used: a role's ARN reads `acs:ram::<account id>:role/<role name>`, the name 1 to 64 characters of A-Z, a-z, 0-9, `.` and `-`
    appserver: a grant's role is the identity's own, acs:ram::11223344:role/r: give the grant another role, or the identity another name by --user or in `sts.identity`
    appserver: `sts.identity.source` is "oidc": add --oidc-issuer, --oidc-audience and --oidc-subject, which the trust policy of the identity's role demands of a token
    appserver: `sts.identity.oidc.provider_arn` is not set: set it, or the variable ALIBABA_CLOUD_OIDC_PROVIDER_ARN, so that the plan can name it
    appserver: --account is 11223344, and `sts.identity.oidc` names acs:ram::1:role/a of another account
    appserver: with `sts.identity.source = "credentials-uri"` the configuration does not say whose credentials are used: plan with `access-key`, `ecs-ram-role` or `oidc`
    appserver: the policies of the roles `acs:ram::11223344:role/a-b` and `acs:ram::11223344:role/a.b` would have one name, because a policy's name has no `.`: rename one of the roles
    "#);
}

/// A command line of Alibaba's that writes down how it is called.
const ALIYUN: &str = r#"#!/usr/bin/env bash
set -euo pipefail
printf '%s\n' "$*" >>"$CALLS"
case "$*" in
  *GetCallerIdentity*) echo "{\"AccountId\":\"$ACCOUNT\"}" ;;
  *CreateAccessKey*) echo '{"AccessKey":{"AccessKeyId":"newid","AccessKeySecret":"canary"}}' ;;
  *"$REFUSED"*) echo "refused" >&2; exit 1 ;;
  *) echo '{}' ;;
esac
"#;

struct Script {
    folder: tempfile::TempDir,
}

impl Script {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let aliyun = folder.path().join("aliyun");
        fs::write(&aliyun, ALIYUN).unwrap();
        fs::set_permissions(&aliyun, Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    /// Whether the script of the demo's plan succeeds, all that it prints, and the actions that it called.
    fn run(&self, arguments: &[&str], account: &str, refused: &str) -> (bool, String, Vec<String>) {
        let folder = self.folder.path();
        let calls = folder.join("calls");
        let _ = fs::remove_file(&calls);
        let output = Command::new("bash")
            .arg(repository("tests/setup/dev.sh"))
            .args(arguments)
            .current_dir(folder)
            .env("PATH", format!("{}:{}", folder.display(), "/usr/local/bin:/usr/bin:/bin"))
            .envs([("CALLS", calls.to_str().unwrap()), ("ACCOUNT", account), ("REFUSED", refused)])
            .output()
            .unwrap();
        let calls = fs::read_to_string(&calls).unwrap_or_default();
        let action = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
        let printed = text(&output.stdout) + &text(&output.stderr);
        (output.status.success(), printed, calls.lines().map(action).collect())
    }

    fn mode(&self, path: &str) -> u32 {
        fs::metadata(self.folder.path().join(path)).unwrap().permissions().mode() & 0o777
    }
}

#[test]
fn the_script_makes_the_plan_and_writes_a_key_that_it_never_shows() {
    let script = Script::new();
    let (is_done, printed, calls) = script.run(&["keys"], "11223344", "nothing is refused");
    assert!(is_done, "{printed}");
    assert!(!printed.contains("canary") && !printed.contains("newid"), "{printed}");
    insta::assert_snapshot!(calls.join(" "), @r"GetCallerIdentity CreateUser CreatePolicy AttachPolicyToUser CreateRole CreatePolicy AttachPolicyToRole CreateRole CreatePolicy AttachPolicyToRole CreateAccessKey SetAccessKeyPolicy");
    let read = |file: &str| fs::read_to_string(script.folder.path().join(file)).unwrap();
    assert_eq!(read("keys/access-key-id").trim(), "newid");
    assert_eq!(read("keys/access-key-secret").trim(), "canary");
    let modes =
        ["keys", "keys/access-key-id", "keys/access-key-secret"].map(|path| script.mode(path));
    assert_eq!(modes, [0o700, 0o600, 0o600]);

    let (is_done, printed, calls) = script.run(&["keys"], "11223344", "nothing is refused");
    assert!(!is_done && printed.contains("is not overwritten"), "{printed}");
    assert_eq!(calls, ["GetCallerIdentity"]);
}

#[test]
fn the_script_ends_at_the_first_refusal_and_in_another_account() {
    let script = Script::new();
    let (is_done, printed, calls) = script.run(&[], "11223344", "ram CreateRole");
    assert!(!is_done, "{printed}");
    assert_eq!(calls.last().unwrap(), "CreateRole");
    let (is_done, printed, calls) = script.run(&[], "55667788", "nothing is refused");
    assert!(!is_done && printed.contains("of account 55667788"), "{printed}");
    assert_eq!(calls, ["GetCallerIdentity"]);
    let (is_done, printed, calls) = script.run(&[], "11223344", "nothing is refused");
    assert!(is_done && printed.contains("No AccessKey was created"), "{printed}");
    assert!(!calls.contains(&"CreateAccessKey".to_owned()));
}

#[test]
fn an_upstream_without_a_grant_has_no_plan() {
    let upstream = "[sts.upstreams.partner.identity]\nsource = \"ecs-ram-role\"\n";
    let own = role("r", "acs:ram::11223344:role/r") + &grant("a", "r", "");
    let tables = [IDENTITY, upstream, &own].concat();
    let refused = planned(&tables, &["--upstream", "partner"]).unwrap_err();
    assert!(refused.contains("no grant has a role of the upstream `partner`"), "{refused}");
}
