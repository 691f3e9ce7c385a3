//! `appserver setup check` and `setup apply`, from an empty account to an object that an app reads.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorControl, EmulatorSettings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::binary::{Running, Service, appserver, run, text};
use crate::oss::read_object;
use crate::stage::repository;

/// An emulated cloud.
struct Cloud {
    sts: SocketAddr,
    oss: SocketAddr,
    ram: SocketAddr,
    control: EmulatorControl,
}

/// Exit code, standard output, standard error.
type Ended = (i32, String, String);

impl Cloud {
    /// That of this file of `config`.
    async fn of(file: &str) -> Self {
        let file = std::fs::read_to_string(repository("config").join(file)).unwrap();
        let settings = EmulatorSettings::from_toml(&file).unwrap();
        let loopback = || (Ipv4Addr::LOCALHOST, 0).into();
        let emulator = Emulator::bind(settings, loopback(), Clock::system()).await.unwrap();
        let emulator = emulator.with_oss(loopback(), None).await.unwrap();
        let emulator = emulator.with_ram(loopback(), None).await.unwrap();
        let (sts, oss) = (emulator.sts_addr(), emulator.oss_addr().unwrap());
        let (ram, control) = (emulator.ram_addr().unwrap(), emulator.control());
        tokio::spawn(emulator.serve(CancellationToken::new()));
        Self { sts, oss, ram, control }
    }

    /// Runs a `setup` command with this AccessKey.
    fn setup(&self, command: &str, key: (&str, &str), config: &str, more: &[&str]) -> Ended {
        self.setup_of("11223344", command, key, config, more)
    }

    fn setup_of(
        &self,
        account: &str,
        command: &str,
        key: (&str, &str),
        config: &str,
        more: &[&str],
    ) -> Ended {
        let (ram, sts) = (format!("http://{}", self.ram), format!("http://{}", self.sts));
        let command = ["setup", command, "--config", config, "--account", account];
        let endpoints = ["--ram-endpoint", &ram, "--ims-endpoint", &ram];
        let environment = [
            ("ALIBABA_CLOUD_ACCESS_KEY_ID", key.0),
            ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", key.1),
            ("APPSERVER__STS__ENDPOINTS", sts.as_str()),
        ];
        let output = run(&[&command[..], &endpoints, more].concat(), &environment);
        let ended = (text(&output.stdout), text(&output.stderr));
        assert!(!format!("{ended:?}").contains("adminsecret"), "{ended:?}");
        (output.status.code().unwrap(), ended.0, ended.1)
    }
}

const ADMIN: (&str, &str) = ("adminid", "adminsecret");

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_account_becomes_one_whose_apps_read_their_objects_and_no_others() {
    let cloud = Cloud::of("emulator.empty.toml").await;
    let service = Service::new(cloud.sts, "11223344");
    let (config, keys) = (service.config(), service.folder().join("keys"));
    let key_directory = keys.display().to_string();
    let apply = |more: &[&str]| {
        let directory = ["--key-dir", key_directory.as_str()];
        cloud.setup("apply", ADMIN, &config, &[&directory, more].concat())
    };

    let (code, printed, _) = cloud.setup("check", ADMIN, &config, &[]);
    assert_eq!(code, 1, "{printed}");
    assert!(printed.contains("missing  user/appserver: it does not exist"), "{printed}");
    let (code, _, refused) = apply(&[]);
    assert_eq!(code, 64);
    assert!(refused.contains("run the command again with --yes"), "{refused}");
    assert!(!keys.exists());

    let (code, printed, errors) = apply(&["--yes"]);
    insta::assert_snapshot!(printed.replace(&key_directory, "<keys>"), @r"
    To do in account 11223344:
      create policy appserver-assume-roles
      create policy oss-readonly-appserver
      create user appserver
      create role oss-readonly
      attach policy appserver-assume-roles to user appserver
      attach policy oss-readonly-appserver to role oss-readonly
      create an AccessKey of user appserver, in two files
    created policy appserver-assume-roles
    created policy oss-readonly-appserver
    created user appserver
    created role oss-readonly
    attached policy appserver-assume-roles to user appserver
    attached policy oss-readonly-appserver to role oss-readonly
    created an AccessKey of user appserver, in two files: <keys>/access-key-id and <keys>/access-key-secret
    The account is as planned.
    ");
    let told = "warning: the configuration does not read the files that --key-dir writes";
    assert!(code == 0 && errors.starts_with(told), "{code} {errors}");
    let [id, secret] = ["access-key-id", "access-key-secret"].map(|name| keys.join(name));
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(&keys), mode(&id), mode(&secret)], [0o700, 0o600, 0o600]);
    let again = apply(&["--yes"]);
    let nothing = "Nothing is missing that can be made.\nThe account is as planned.\n";
    assert_eq!(again, (0, nothing.to_owned(), String::new()));

    let [id, secret] = [id, secret].map(|path| path.display().to_string());
    let environment = [
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SOURCE", "files"),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__ID_FILE", &id),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SECRET_FILE", &secret),
    ];
    let doctor = run(&["doctor", "--config", &config], &environment);
    let (found, errors) = (text(&doctor.stdout), text(&doctor.stderr));
    assert!(doctor.status.success(), "{found}{errors}");
    let mut serving = Running::start(&mut appserver(&["serve", "--config", &config], &environment));
    service.ready().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/v1/token", service.public);
    let answer = client.get(url).basic_auth("client-002", Some("abc")).send().await.unwrap();
    let token: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    let now = Clock::system().now();
    assert_eq!(read_object(cloud.oss, now, &token, "2015/01/01/grass.jpg").await, "200");
    let other = read_object(cloud.oss, now, &token, "users/bob/lake.jpg").await;
    assert_eq!(other, "403 AccessDenied");
    assert_eq!(cloud.control.unrestricted_calls(), []);
    serving.terminate();
    serving.ended();
}

/// Both would make a key, and the second would overwrite or delete the first's.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_apply_with_the_same_key_directory_ends_and_changes_nothing() {
    let cloud = Cloud::of("emulator.empty.toml").await;
    let service = Service::new(cloud.sts, "11223344");
    let keys = service.folder().join("keys");
    std::fs::create_dir(&keys).unwrap();
    std::fs::set_permissions(&keys, std::fs::Permissions::from_mode(0o700)).unwrap();
    let first = std::fs::File::open(&keys).unwrap();
    first.try_lock().unwrap();
    let more = ["--yes", "--key-dir", &keys.display().to_string()];
    let (code, printed, error) = cloud.setup("apply", ADMIN, &service.config(), &more);
    assert_eq!((code, printed.as_str()), (2, ""));
    assert!(error.contains("another `setup apply` is using"), "{error}");
    drop(first);

    // What stands in the way of the files is found before the first change.
    let missing = service.folder().join("missing/keys").display().to_string();
    let more = ["--yes", "--key-dir", &missing];
    let (code, printed, error) = cloud.setup("apply", ADMIN, &service.config(), &more);
    assert_eq!(code, 64, "{error}");
    assert!(!printed.contains("created"), "{printed}");
    assert!(error.contains("name another directory with --key-dir"), "{error}");
}

/// The example of `docs/setup.md`.
#[tokio::test(flavor = "multi_thread")]
async fn check_names_the_wider_choices_of_the_demo_account() {
    let cloud = Cloud::of("emulator.toml").await;
    let (code, printed, errors) = cloud.setup("check", ADMIN, "config/dev.toml", &[]);
    let lines: Vec<_> = printed.lines().filter(|line| !line.starts_with("    fix: ")).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    wider than needed  user/appserver: AliyunSTSAssumeRoleAccess allows sts:AssumeRole on acs:ram:::role/x, which no role needs: {"Action":"sts:AssumeRole","Effect":"Allow","Resource":"*"}
    wider than needed  role/oss-readonly: it trusts `acs:ram::11223344:root`, every user and role of that account: {"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::11223344:root"]}}
    wider than needed  role/oss-readwrite: it trusts `acs:ram::11223344:root`, every user and role of that account: {"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"RAM":["acs:ram::11223344:root"]}}
    wider than needed  role/oss-readwrite: AliyunOSSFullAccess allows oss:GetObjectAcl on acs:oss:*:*:bucket/object, which no grant needs: {"Action":"oss:*","Effect":"Allow","Resource":"*"}
    "#);
    assert_eq!((code, errors.as_str()), (1, "appserver: 4 differences from the plan\n"));
    let (code, printed, _) = cloud.setup("check", ADMIN, "config/dev.toml", &["--json"]);
    let report: Value = serde_json::from_str(&printed).unwrap();
    let kinds: Vec<_> = report["Differences"].as_array().unwrap().iter().collect();
    assert_eq!((code, &report["AsPlanned"], kinds.len()), (1, &Value::Bool(false), 4));
    assert!(kinds.iter().all(|one| one["Kind"] == "WiderThanNeeded" && one["Request"].is_string()));
}

/// Exit code 2, and what is to be done.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_at_is_an_error_that_names_the_way_out() {
    let cloud = Cloud::of("emulator.toml").await;
    let refused = |key| {
        let (code, printed, error) = cloud.setup("check", key, "config/dev.toml", &[]);
        assert_eq!((code, printed.as_str()), (2, ""), "{error}");
        error
    };
    let wrong = refused(("adminid", "another"));
    assert!(wrong.contains("set ALIBABA_CLOUD_ACCESS_KEY_SECRET"), "{wrong}");
    let unknown = refused(("nobodyid", "another"));
    assert!(unknown.contains("set ALIBABA_CLOUD_ACCESS_KEY_ID"), "{unknown}");
    let powerless = refused(("internid", "internsecret"));
    let told = "allow `ram:GetUser` on `acs:ram:*:11223344:user/appserver`";
    assert!(powerless.contains(told), "{powerless}");
    let other = Service::new(cloud.sts, "55667788");
    let (code, _, error) = cloud.setup_of("55667788", "check", ADMIN, &other.config(), &[]);
    let told = "is of account 11223344 (acs:ram::11223344:user/admin), and --account is 55667788";
    assert!(code == 2 && error.contains(told), "{error}");
    let none =
        run(&["setup", "check", "--config", "config/dev.toml", "--account", "11223344"], &[]);
    assert_eq!(none.status.code(), Some(2));
    assert!(text(&none.stderr).contains("ALIBABA_CLOUD_ACCESS_KEY_ID is not set"));
}

/// `--egress` names another address than this machine's.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_outside_its_networks_is_explained_by_the_address_that_sts_sees() {
    let cloud = Cloud::of("emulator.empty.toml").await;
    let service = Service::new(cloud.sts, "11223344");
    let keys = service.folder().join("keys").display().to_string();
    let more = ["--yes", "--key-dir", &keys, "--egress", "203.0.113.1"];
    let (code, printed, errors) = cloud.setup("apply", ADMIN, &service.config(), &more);
    assert_eq!(code, 0, "{printed}{errors}");
    let [id, secret] = ["access-key-id", "access-key-secret"].map(|name| format!("{keys}/{name}"));
    let environment = [
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SOURCE", "files"),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__ID_FILE", id.as_str()),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SECRET_FILE", secret.as_str()),
    ];
    let doctor = run(&["doctor", "--config", &service.config()], &environment);
    let found = text(&doctor.stdout);
    for told in [
        "is outside the AccessKey's network policy (InvalidAccessKeyId.NetworkNotAllowed)",
        "fix: add the address to the AccessKey's network policy; the one that counts is the one that STS sees",
    ] {
        assert!(found.contains(told), "{found}");
    }
}

/// The configuration reads other files, or no AccessKey at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_directory_that_is_not_read_is_warned_of_or_refused() {
    let cloud = Cloud::of("emulator.empty.toml").await;
    let service = Service::new(cloud.sts, "11223344");
    let folder = service.folder().display().to_string();
    let over = service.folder().join("over.toml");
    let apply = |more: &str, keys: &str| {
        std::fs::write(&over, more).unwrap();
        let over = over.display().to_string();
        let keys = format!("{folder}/{keys}");
        let more = ["--config", over.as_str(), "--yes", "--key-dir", keys.as_str()];
        let (code, printed, errors) = cloud.setup("apply", ADMIN, &service.config(), &more);
        (code, printed, errors.replace(&folder, "<folder>"))
    };
    let (code, printed, error) = apply("sts.identity.source = \"ecs-ram-role\"", "keys");
    assert_eq!((code, printed.as_str()), (64, ""), "{error}");
    let told = "with `sts.identity.source = \"ecs-ram-role\"` there is none: leave it out";
    assert!(error.contains(told), "{error}");

    let (code, _, error) = apply("", "above/keys");
    assert_eq!(code, 64, "{error}");
    assert!(error.contains("the directory above it does not exist"), "{error}");

    let files = |folder: &str| {
        format!(
            "[sts.identity.access_key]\nsource = \"files\"\nid_file = \"{folder}/access-key-id\"\nsecret_file = \
             \"{folder}/access-key-secret\"\n"
        )
    };
    let (code, printed, error) = apply(&files("others"), "keys");
    assert_eq!(code, 0, "{printed}{error}");
    let told =
        "warning: the configuration reads the AccessKey from <folder>/others/access-key-id and";
    assert!(error.starts_with(told), "{error}");
    let other = Cloud::of("emulator.empty.toml").await;
    std::fs::write(&over, files("new")).unwrap();
    let (over, keys) = (over.display().to_string(), format!("{folder}/./new"));
    let more = ["--config", over.as_str(), "--yes", "--key-dir", keys.as_str()];
    let (code, printed, error) = other.setup("apply", ADMIN, &service.config(), &more);
    assert_eq!((code, error.as_str()), (0, ""), "{printed}");
}
