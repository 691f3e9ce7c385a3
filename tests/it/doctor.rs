//! `appserver doctor`: problems at the cloud's side are found before clients meet them, each with its fix.

use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;

use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorControl, EmulatorSettings, ErrorStatus, Fault};
use regex::Regex;
use tokio_util::sync::CancellationToken;

use crate::binary::{run, text};
use crate::redis_server::RedisServer;
use crate::stage::repository;

/// Roles that the emulated account has besides `config/emulator.toml`.
const MORE_ROLES: &str = r#"
[[accounts.roles]]
name = "untrusting"
id = "391578752573972856"
trust.json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::55667788:root"]}}]}'

[[accounts.roles]]
name = "partner"
id = "391578752573972857"
trust.json = '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:root"]},"Condition":{"StringEquals":{"sts:ExternalId":"partner-7"}}}]}'
"#;

/// An emulated cloud, and a configuration of one grant for it.
struct Setup {
    sts: SocketAddr,
    control: EmulatorControl,
    folder: tempfile::TempDir,
}

/// The exit code of a run and its output, with varying parts replaced.
struct Ended(Option<i32>, String);

impl Setup {
    async fn new() -> Self {
        let file = std::fs::read_to_string(repository("config/emulator.toml")).unwrap();
        let settings = EmulatorSettings::from_toml(&(file + MORE_ROLES)).unwrap();
        let loopback = (Ipv4Addr::LOCALHOST, 0).into();
        let emulator = Emulator::bind(settings, loopback, Clock::system()).await.unwrap();
        let (sts, control) = (emulator.sts_addr(), emulator.control());
        tokio::spawn(emulator.serve(CancellationToken::new()));
        Self { sts, control, folder: tempfile::tempdir().unwrap() }
    }

    /// Runs the doctor with more lines of configuration.
    fn run(&self, more: &str) -> Ended {
        self.run_as(("testid", "testsecret"), more, &[])
    }

    fn run_as(&self, key: (&str, &str), more: &str, arguments: &[&str]) -> Ended {
        // SHA-256 of "abc" (FIPS 180-4).
        let config = format!(
            r#"
            sts.endpoints = ["http://{sts}"]
            [roles.reader]
            arn = "acs:ram::11223344:role/oss-readonly"
            [grants.daily-photos]
            role = "reader"
            policy = "{policy}"
            [clients.client-002]
            grants = ["daily-photos"]
            secret_sha256 = ["ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"]
            "#,
            sts = self.sts,
            policy = policy(),
        );
        let [base, over] = ["app.toml", "more.toml"].map(|name| self.folder.path().join(name));
        std::fs::write(&base, config).unwrap();
        std::fs::write(&over, more).unwrap();
        let [base, over] = [base, over].map(|path| path.display().to_string());
        let environment =
            [("ALIBABA_CLOUD_ACCESS_KEY_ID", key.0), ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.1)];
        let command = ["doctor", "--config", &base, "--config", &over];
        let output = run(&[&command, arguments].concat(), &environment);
        assert_eq!(
            self.control.unrestricted_calls(),
            [],
            "a role was assumed without a session policy"
        );
        let printed = text(&output.stdout) + &text(&output.stderr);
        for secret in ["testsecret", "SecurityToken", "CAIS"] {
            assert!(!printed.contains(secret), "{secret} in:\n{printed}");
        }
        Ended(output.status.code(), steady(&printed, self.sts))
    }
}

/// The text without its varying parts.
fn steady(printed: &str, sts: SocketAddr) -> String {
    let ids = Regex::new("RequestId is [0-9A-F-]{36}").unwrap();
    let printed = printed.replace(&sts.to_string(), "<sts>");
    ids.replace_all(&printed, "RequestId is <id>").into_owned()
}

fn policy() -> String {
    repository("config/policies/daily-photos.json").display().to_string()
}

/// A grant with its own role.
fn grant(name: &str, role: &str, more: &str) -> String {
    format!(
        "[roles.{name}]\narn = \"acs:ram::11223344:role/{role}\"\nmax_session_duration_secs = 7200\n\
         [grants.{name}]\nrole = \"{name}\"\npolicy = \"{}\"\n{more}\n",
        policy()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_configuration_passes_with_one_call_per_role() {
    let setup = Setup::new().await;
    let writer = "[roles.writer]\narn = \"acs:ram::11223344:role/oss-readwrite\"\n";
    let grants = ["one", "two"].map(|name| {
        format!(
            "[grants.{name}]\nrole = \"writer\"\npolicy = \"{}\"\nmax_duration_secs = 1800\n\
                 default_duration_secs = 1800\n",
            policy()
        )
    });
    let Ended(code, printed) = setup.run(&(writer.to_owned() + &grants.concat()));
    insta::assert_snapshot!(printed, @r#"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
ok       role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): it can be assumed for 3600 s
ok       role acs:ram::11223344:role/oss-readwrite (grants `one`, `two`): it can be assumed for 1800 s
ok       store: in memory: replicas share nothing
warning  configuration grants.one.default_duration_secs: tokens of 1800 s are handed out with as little as 900 s left; the Java, Python and Node credentials SDKs (with 900 s left) throw them away at once and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them
warning  configuration grants.two.default_duration_secs: tokens of 1800 s are handed out with as little as 900 s left; the Java, Python and Node credentials SDKs (with 900 s left) throw them away at once and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them

All works, with 2 warnings.
"#);
    assert_eq!(code, Some(0));
    assert_eq!(setup.control.totals()["AssumeRole"]["Success"], 2);
}

/// Every reason for which a role can be refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_cannot_be_assumed_is_explained() {
    let setup = Setup::new().await;
    let short = "max_duration_secs = 3600";
    let grants = [
        grant("gone", "nobody", short),
        grant("longer", "oss-readwrite", ""),
        grant("partner-right", "partner", &format!("{short}\nexternal_id = \"partner-7\"")),
        grant("partner-without", "partner", short),
        grant("partner-wrong", "partner", &format!("{short}\nexternal_id = \"partner-8\"")),
        grant("untrusting", "untrusting", &format!("{short}\nsource_identity = \"${{client}}\"")),
    ];
    let Ended(code, printed) = setup.run(&grants.concat());
    insta::assert_snapshot!(printed, @r#"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
failed   role acs:ram::11223344:role/nobody (grant `gone`): STS refused: the role does not exist (EntityNotExist.Role); STS's RequestId is <id>
         fix: create the role in RAM, or correct the `arn` of the role in the configuration
ok       role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): it can be assumed for 3600 s
failed   role acs:ram::11223344:role/oss-readwrite (grant `longer`): STS refused: a parameter is missing or malformed (InvalidParameter.DurationSeconds); STS's RequestId is <id>
         fix: its grants allow 7200 s, more than the role's maximum session duration in RAM: raise that, or lower the role's `max_session_duration_secs` here, or the grants' `max_duration_secs`
failed   role acs:ram::11223344:role/partner (grant `partner-without`): STS refused: the identity may not assume the role, or the role does not trust it (NoPermission); STS's RequestId is <id>
         fix: in RAM, allow this identity sts:AssumeRole on acs:ram::11223344:role/partner, and name it as the Principal of the role's trust policy: `appserver setup check` prints what differs and the calls that change it (`setup apply` makes only what does not exist, and changes no trust policy); if it has a condition on sts:ExternalId, set the grant's `external_id`
ok       role acs:ram::11223344:role/partner (grant `partner-right`): it can be assumed for 3600 s, with the external id
failed   role acs:ram::11223344:role/partner (grant `partner-wrong`): STS refused: the identity may not assume the role, or the role does not trust it (NoPermission); STS's RequestId is <id>
         fix: in RAM, allow this identity sts:AssumeRole on acs:ram::11223344:role/partner, and name it as the Principal of the role's trust policy: `appserver setup check` prints what differs and the calls that change it (`setup apply` makes only what does not exist, and changes no trust policy); check that its condition on sts:ExternalId matches the grant's `external_id`
failed   role acs:ram::11223344:role/untrusting (grant `untrusting`): STS refused: the identity may not assume the role, or the role does not trust it (NoPermission); STS's RequestId is <id>
         fix: in RAM, allow this identity sts:AssumeRole on acs:ram::11223344:role/untrusting, and name it as the Principal of the role's trust policy: `appserver setup check` prints what differs and the calls that change it (`setup apply` makes only what does not exist, and changes no trust policy); if it has a condition on sts:ExternalId, set the grant's `external_id`; try without the grant's `source_identity`
ok       store: in memory: replicas share nothing
appserver: 5 checks failed
"#);
    assert_eq!(code, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_key_is_explained_and_no_role_is_tested() {
    let setup = Setup::new().await;
    let mut all = String::new();
    for key in [
        ("rootid", "rootsecret"),
        ("nobodysid", "secret"),
        ("disabledid", "disabledsecret"),
        ("testid", "another"),
    ] {
        let Ended(code, printed) = setup.run_as(key, "", &[]);
        assert_eq!(code, Some(69));
        all += &printed;
        all += "\n";
    }
    let foreign = "[roles.reader]\narn = \"acs:ram::55667788:role/oss-readonly\"";
    let Ended(code, printed) = setup.run(foreign);
    assert_eq!(code, Some(69));
    insta::assert_snapshot!(all + &printed, @r#"
ok       access key: `rootid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
failed   identity: the AccessKey belongs to acs:ram::11223344:root, and the server would exit at once: the AccessKey belongs to the Alibaba Cloud account `11223344` itself; it can do everything, and STS does not let it assume roles: use the AccessKey of a RAM user (`appserver setup plan`)
         fix: use the AccessKey of a RAM user that may assume the configured roles and do nothing else, as `appserver setup plan` prints it and `appserver setup apply` makes it, and delete the account's own
skipped  role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): not tested: there is no identity to assume it with
ok       store: in memory: replicas share nothing
appserver: 1 check failed

ok       access key: `nobodysid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
failed   identity <sts>: STS refused: the AccessKey does not exist (InvalidAccessKeyId.NotFound); STS's RequestId is <id>
         fix: copy the AccessKey id from RAM again: this one does not exist or was deleted
skipped  role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): not tested: there is no identity to assume it with
ok       store: in memory: replicas share nothing
appserver: 1 check failed

ok       access key: `disabledid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
failed   identity <sts>: STS refused: the AccessKey is disabled (InvalidAccessKeyId.Inactive); STS's RequestId is <id>
         fix: enable the AccessKey in RAM, or use another one
skipped  role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): not tested: there is no identity to assume it with
ok       store: in memory: replicas share nothing
appserver: 1 check failed

ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
failed   identity <sts>: STS refused: the AccessKey's secret is wrong (SignatureDoesNotMatch); STS's RequestId is <id>
         fix: the secret probably belongs to another AccessKey id: create a new AccessKey in RAM, whose secret is shown once
skipped  role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): not tested: there is no identity to assume it with
ok       store: in memory: replicas share nothing
appserver: 1 check failed

ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
failed   identity: the AccessKey belongs to acs:ram::11223344:user/appserver, and the server would exit at once: the AccessKey belongs to account `11223344`, but a configured role to account `55667788`; set `cross_account = true` on the role if that is intended
         fix: compare the roles' `arn` with the AccessKey: one of them belongs to another account
skipped  role acs:ram::55667788:role/oss-readonly (grant `daily-photos`): not tested: there is no identity to assume it with
ok       store: in memory: replicas share nothing
appserver: 1 check failed
"#);
    assert!(setup.control.calls().iter().all(|call| call.action == "GetCallerIdentity"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_missing_permission_of_a_user_is_named() {
    let setup = Setup::new().await;
    let Ended(code, printed) = setup.run_as(("internid", "internsecret"), "", &[]);
    insta::assert_snapshot!(printed, @r#"
ok       access key: `internid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
ok       identity: the AccessKey belongs to acs:ram::11223344:user/intern
failed   role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): STS refused: the identity may not assume the role, or the role does not trust it (NoPermission); STS's RequestId is <id>
         fix: in RAM, allow this identity sts:AssumeRole on acs:ram::11223344:role/oss-readonly, and name it as the Principal of the role's trust policy: `appserver setup check` prints what differs and the calls that change it (`setup apply` makes only what does not exist, and changes no trust policy); if it has a condition on sts:ExternalId, set the grant's `external_id`
ok       store: in memory: replicas share nothing
appserver: 1 check failed
"#);
    assert_eq!(code, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_is_a_warning_until_sts_refuses_it() {
    let setup = Setup::new().await;
    let mut all = String::new();
    for (seconds, expected) in [(180, 0), (-1200, 69)] {
        setup.control.clear_faults();
        setup.control.script(Fault::SkewedClock { seconds }.always());
        let Ended(code, printed) = setup.run("");
        assert_eq!(code, Some(expected), "{printed}");
        all += &printed;
        all += "\n";
    }
    insta::assert_snapshot!(all, @r#"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
warning  clock: this machine is 3 minutes behind STS
         fix: synchronize it by NTP (chronyd, systemd-timesyncd); users' tokens and presigned URLs depend on it too
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
ok       role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): it can be assumed for 3600 s
ok       store: in memory: replicas share nothing

All works, with 1 warning.

ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
failed   clock: this machine is 20 minutes ahead of STS, which accepts 15 minutes at most
         fix: synchronize it by NTP (chronyd, systemd-timesyncd); users' tokens and presigned URLs depend on it too
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
ok       role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): it can be assumed for 3600 s
ok       store: in memory: replicas share nothing
appserver: 1 check failed
"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_fallback_is_found_while_the_other_endpoint_works() {
    let setup = Setup::new().await;
    let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    // A server that speaks no TLS.
    let plain = setup.sts;
    let endpoints =
        format!(r#"sts.endpoints = ["http://{deaf}", "https://{plain}", "http://{plain}"]"#);
    let Ended(code, printed) = setup.run(&endpoints);
    let printed = printed.replace(&deaf.to_string(), "<deaf>");
    insta::assert_snapshot!(printed, @r#"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
failed   endpoint <deaf>: it takes no connection: Connection refused (os error 111)
         fix: allow outgoing connections to it, usually port 443, or name a proxy in `egress.proxy`; HTTPS_PROXY and similar variables are not read
failed   endpoint <sts>: the port speaks no TLS: error sending request: client error (Connect): received corrupt message of type InvalidContentType
         fix: the port is one of plain HTTP: correct the port in `sts.endpoints`; plain HTTP is for loopback only, with `http://`
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
ok       role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): it can be assumed for 3600 s
ok       store: in memory: replicas share nothing
appserver: 2 checks failed
"#);
    assert_eq!(code, Some(69));

    let Ended(code, printed) = setup.run(&format!(r#"sts.endpoints = ["http://{deaf}"]"#));
    let printed = printed.replace(&deaf.to_string(), "<deaf>");
    insta::assert_snapshot!(printed, @r#"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
failed   endpoint <deaf>: it takes no connection: Connection refused (os error 111)
         fix: allow outgoing connections to it, usually port 443, or name a proxy in `egress.proxy`; HTTPS_PROXY and similar variables are not read
skipped  clock: no endpoint answered
skipped  identity: no endpoint answered
skipped  role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): not tested: there is no identity to assume it with
ok       store: in memory: replicas share nothing
appserver: 1 check failed
"#);
    assert_eq!(code, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_calls_are_retried_until_the_deadline() {
    let setup = Setup::new().await;
    setup.control.script(Fault::Throttle { time_left_ms: 300 }.times(4).only("AssumeRole"));
    let Ended(code, printed) = setup.run("");
    assert_eq!(code, Some(0), "{printed}");
    setup.control.script(Fault::Throttle { time_left_ms: 60_000 }.always().only("AssumeRole"));
    let Ended(code, printed) = setup.run_as(("testid", "testsecret"), "", &["--timeout", "3"]);
    insta::assert_snapshot!(printed, @r#"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
failed   role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): STS throttles the account; STS's RequestId is <id>
         fix: other callers use up the account's quota of 100 calls a second; run it again, and keep `vend.budget.calls_per_second` below what is left
ok       store: in memory: replicas share nothing
appserver: 1 check failed
"#);
    assert_eq!(code, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sts_outage_is_distinguished_from_a_proxy() {
    let setup = Setup::new().await;
    let status = ErrorStatus::try_from(503).unwrap();
    setup.control.script(Fault::Html { status }.always().only("AssumeRole"));
    let Ended(_, trouble) = setup.run("");
    setup.control.clear_faults();
    setup.control.script(Fault::Malformed.always().only("GetCallerIdentity"));
    let Ended(code, proxy) = setup.run("");
    insta::assert_snapshot!(trouble + "\n" + &proxy, @r#"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
failed   role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): STS is in trouble, HTTP status 503
         fix: run it again, and check Alibaba Cloud's status page
ok       store: in memory: replicas share nothing
appserver: 1 check failed

ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
failed   identity <sts>: STS's answer cannot be used: it is not JSON
         fix: find out which server answers there: a proxy, or another service
skipped  role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): not tested: there is no identity to assume it with
ok       store: in memory: replicas share nothing
appserver: 1 check failed
"#);
    assert_eq!(code, Some(69));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_object_that_includes_the_warnings_of_check() {
    let setup = Setup::new().await;
    let short_lived = "[grants.daily-photos]\ndefault_duration_secs = 900";
    let Ended(code, printed) = setup.run_as(("testid", "testsecret"), short_lived, &["--json"]);
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    insta::assert_json_snapshot!(report, @r#"
{
  "Findings": [
    {
      "Check": "access key",
      "Message": "`testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)",
      "Outcome": "Ok"
    },
    {
      "Check": "endpoint",
      "Message": "<sts> answers without TLS",
      "Outcome": "Ok",
      "Subject": "<sts>"
    },
    {
      "Check": "clock",
      "Message": "this machine and STS agree",
      "Outcome": "Ok"
    },
    {
      "Check": "identity",
      "Message": "the AccessKey belongs to acs:ram::11223344:user/appserver",
      "Outcome": "Ok"
    },
    {
      "Check": "role",
      "Message": "it can be assumed for 3600 s",
      "Outcome": "Ok",
      "Subject": "acs:ram::11223344:role/oss-readonly (grant `daily-photos`)"
    },
    {
      "Check": "store",
      "Message": "in memory: replicas share nothing",
      "Outcome": "Ok"
    },
    {
      "Check": "configuration",
      "Message": "tokens of 900 s are handed out with as little as 450 s left; the Java, Python and Node credentials SDKs (with 900 s left) throw them away at once and ask again at every use. With 3600 s, and `vend.min_remaining_secs` left at 0, they keep them",
      "Outcome": "Warning",
      "Subject": "grants.daily-photos.default_duration_secs"
    }
  ],
  "Healthy": true
}
"#);
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_tested_command_by_command() {
    let setup = Setup::new().await;
    let redis = RedisServer::start().await;
    let seal_key = setup.folder.path().join("seal-key");
    std::fs::write(&seal_key, "b2xkIGtleSBvbGQga2V5IG9sZCBrZXkgb2xkIGtleSE=").unwrap();
    let password = setup.folder.path().join("password");
    std::fs::write(&password, "abc").unwrap();
    for secret in [&seal_key, &password] {
        std::fs::set_permissions(secret, Permissions::from_mode(0o600)).unwrap();
    }
    let store = |url: &str, username: &str, password: &str| {
        format!(
            "store.kind = \"redis\"\n[store.redis]\nurl = \"{url}\"\nusername = \"{username}\"\n{password}\n\
             encryption_key_file = \"{}\"",
            seal_key.display()
        )
    };
    let mut connection = redis.connection().await;
    for rights in [
        // The words of docs/operate/redis.md, without two of them.
        "poor on >abc ~appserver:* resetchannels -@all +ping +select +evalsha +script|load +time +get +set +del +pttl \
         +pexpire +expire +hmget +hdel +zadd +zrangebyscore +zrem +zremrangebyscore",
        "right on >abc ~appserver:* resetchannels -@all +ping +select +evalsha +script|load +time +get +set +del +pttl \
         +pexpire +expire +hmget +hset +hdel +zadd +zcard +zrangebyscore +zrem +zremrangebyscore",
    ] {
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(rights.split_whitespace().collect::<Vec<_>>());
        let () = command.query_async(&mut connection).await.unwrap();
    }
    let file = format!("password_file = \"{}\"", password.display());
    let mut lines = Vec::new();
    for (store, expected) in [
        (store(&redis.url(), "", ""), 0),
        (store(&redis.url(), "right", &file), 0),
        (store(&redis.url(), "poor", &file), 69),
        (store(&redis.url(), "right", &format!("{file}\nkey_prefix = \"other\"")), 69),
        (store(&redis.url(), "nobody", &file), 69),
    ] {
        let Ended(code, printed) = setup.run(&store);
        assert_eq!(code, Some(expected), "{printed}");
        let found = printed.lines().skip_while(|line| !line.contains("  store"));
        lines.push(found.collect::<Vec<_>>().join("\n"));
    }
    let version = Regex::new(r"version [0-9.]+").unwrap();
    let lines = lines.join("\n\n").replace(redis.url().trim_start_matches("redis://"), "<redis>");
    insta::assert_snapshot!(version.replace_all(&lines, "version <version>"), @r#"
ok       store <redis>: every command that is needed works; version <version>

All is well.

ok       store <redis>: every command that is needed works; the version is not reported

All is well.

failed   store <redis>: the user lacks rights to commands that are needed
         fix: give the user these rights: +hset +zcard
appserver: 1 check failed

failed   store <redis>: the user lacks the right to the keys of `store.redis.key_prefix`, `other:*`
         fix: give the user these rights: ~other:*; or set `store.redis.key_prefix` to the prefix of its keys
appserver: 1 check failed

failed   store <redis>: Redis cannot be used: Password authentication failed - AuthenticationFailed
         fix: check `store.redis` against the server: mode, address, TLS, user and password; until then each replica works alone
appserver: 1 check failed
"#);
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert_eq!(left, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_is_reached_without_a_decision_and_ended_revocations_are_counted() {
    let setup = Setup::new().await;
    let file =
        |name: &str, text: &str| std::fs::write(setup.folder.path().join(name), text).unwrap();
    file("hook-secret", "0123456789abcdef0123456789abcdef");
    let user = |name: &str, hours: i64| {
        let until = Clock::system().now() + chrono::TimeDelta::hours(hours);
        let until = until.format("%Y-%m-%dT%H:%M:%SZ");
        format!("[[revoked]]\nuser = \"company/{name}\"\nuntil = {until}\n")
    };
    file("revoked.toml", &(user("alice", -1) + &user("bob", 12)));
    let mut found = Vec::new();
    for (at, expected) in [(setup.sts.to_string(), 0), ("127.0.0.1:9".to_owned(), 69)] {
        let Ended(code, printed) = setup.run(&format!(
            "[decision]\nurl = \"http://{at}/decide?key=hidden\"\nsecret_file = \"hook-secret\"\ntimeout_ms = 5000\n\
             [revoked]\nfile = \"revoked.toml\"\n"
        ));
        assert_eq!(code, Some(expected), "{printed}");
        assert!(!printed.contains("hidden"), "{printed}");
        let warning = "revoked.file: revocations that have ended: 1, at line 1; they refuse nobody";
        assert!(printed.contains(warning), "{printed}");
        let lines = printed.lines().skip_while(|line| !line.contains("decision hook"));
        let lines = lines.take_while(|line| !line.contains("  configuration"));
        found.push(lines.collect::<Vec<_>>().join("\n").replace(&at, "<hook>"));
    }
    let folder = setup.folder.path().display().to_string();
    insta::assert_snapshot!(found.join("\n\n").replace(&folder, "<folder>"), @r"
    ok       decision hook http://<sts>: its server answers (with 404, to `OPTIONS`); whether the secret is right is not tested
    ok       revocations <folder>/revoked.toml: 2 rows were read

    failed   decision hook http://<hook>: the hook's server cannot be reached: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)
             fix: check `decision.url`, and whether this machine reaches it within `decision.timeout_ms`; until then `decision.on_error` decides about each request
    ok       revocations <folder>/revoked.toml: 2 rows were read
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_configuration_is_not_tested() {
    let setup = Setup::new().await;
    let Ended(code, printed) = setup.run("[server]\ncolour = \"red\"");
    insta::assert_snapshot!(printed, @r#"
appserver: the configuration has 1 problem:
server.colour: there is no such key; `appserver check --defaults` prints all keys
"#);
    let Ended(keyless, output) = setup.run_as(("testid", ""), "", &[]);
    assert!(
        output.contains("sts.identity.access_key: an AccessKey's secret is not empty"),
        "{output}"
    );
    assert_eq!((code, keyless, setup.control.calls().len()), (Some(64), Some(64), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_upstream_is_tested_with_its_own_credentials_and_roles() {
    let setup = Setup::new().await;
    std::fs::write(setup.folder.path().join("id"), "internid").unwrap();
    std::fs::write(setup.folder.path().join("secret"), "internsecret").unwrap();
    let upstream = format!(
        "[sts.upstreams.partner]
        endpoints = [\"http://{}\"]
        [sts.upstreams.partner.identity]
        source = \"access-key\"
        [sts.upstreams.partner.identity.access_key]
        source = \"files\"
        id_file = \"id\"
        secret_file = \"secret\"\n",
        setup.sts
    );
    let theirs =
        grant("theirs", "oss-readonly", "").replacen("arn =", "upstream = \"partner\"\narn =", 1);
    let Ended(exit, printed) = setup.run(&format!("{upstream}{theirs}"));
    let folder = setup.folder.path().display().to_string();
    let upstreams = printed.lines().filter(|line| !line.starts_with("warning"));
    let upstreams = upstreams.collect::<Vec<_>>().join("\n").replace(&folder, "<folder>");
    insta::assert_snapshot!(upstreams, @r"
ok       access key: `testid`, from: environment (ALIBABA_CLOUD_ACCESS_KEY_ID)
ok       endpoint <sts>: <sts> answers without TLS
ok       clock: this machine and STS agree
ok       identity: the AccessKey belongs to acs:ram::11223344:user/appserver
ok       role acs:ram::11223344:role/oss-readonly (grant `daily-photos`): it can be assumed for 3600 s
ok       access key of the upstream `partner`: `internid`, from: files (<folder>/id)
ok       endpoint of the upstream `partner` <sts>: <sts> answers without TLS
ok       clock of the upstream `partner`: this machine and STS agree
ok       identity of the upstream `partner`: the AccessKey belongs to acs:ram::11223344:user/intern
failed   role of the upstream `partner` acs:ram::11223344:role/oss-readonly (grant `theirs`): STS refused: the identity may not assume the role, or the role does not trust it (NoPermission); STS's RequestId is <id>
         fix: in RAM, allow this identity sts:AssumeRole on acs:ram::11223344:role/oss-readonly, and name it as the Principal of the role's trust policy: `appserver setup check` prints what differs and the calls that change it (`setup apply` makes only what does not exist, and changes no trust policy); if it has a condition on sts:ExternalId, set the grant's `external_id`
ok       store: in memory: replicas share nothing
appserver: 1 check failed
");
    assert_eq!(exit, Some(69));
    let Ended(_, json) =
        setup.run_as(("testid", "testsecret"), &format!("{upstream}{theirs}"), &["--json"]);
    assert!(json.contains(r#""Check":"access key","Outcome":"Ok","Upstream":"partner""#), "{json}");
}
