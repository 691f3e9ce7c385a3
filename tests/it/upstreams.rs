//! Several upstreams: two accounts side by side, and two ways to one account.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use appserver_domain::clock::Clock;
use appserver_emulator::{Emulator, EmulatorControl, EmulatorSettings, Fault};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;
use crate::stage::{START, Setting, Stage, repository, until};

/// Another account, 55667788, with a key of its own.
async fn partner() -> (SocketAddr, EmulatorControl) {
    let file = std::fs::read_to_string(repository("config/emulator.toml")).unwrap();
    let file = file
        .replace("11223344", "55667788")
        .replace("\"testid\"", "\"partnerid\"")
        .replace("\"testsecret\"", "\"partnersecret\"");
    let cloud = EmulatorSettings::from_toml(&file).unwrap();
    let clock = Clock::manual(START.parse().unwrap());
    let emulator = Emulator::bind(cloud, (Ipv4Addr::LOCALHOST, 0).into(), clock).await.unwrap();
    let (address, control) = (emulator.sts_addr(), emulator.control());
    tokio::spawn(emulator.serve(CancellationToken::new()));
    (address, control)
}

/// `client-001` has a grant of the partner's role, and `client-003` keeps the demo's.
fn config(upstream: &str, account: &str, identity: &str, more: &str) -> String {
    let policy = repository("config/policies/one-album.json");
    format!(
        "{upstream}
        [sts.upstreams.partner.identity]
        source = \"access-key\"
        [sts.upstreams.partner.identity.access_key]
        {identity}
        [roles.theirs]
        arn = \"acs:ram::{account}:role/oss-readonly\"
        upstream = \"partner\"
        [grants.their-album]
        role = \"theirs\"
        policy = \"{}\"
        [grants.their-album.parameters.album]
        kind = \"segment\"
        [clients.client-001]
        grants = [\"their-album\"]
        [clients.client-002]
        grants = [\"their-album\", \"one-album\"]
        {more}",
        policy.display()
    )
}

const FILES: &str =
    "source = \"files\"\nid_file = \"partner-id\"\nsecret_file = \"partner-secret\"";
const KEY: [(&str, &str); 2] =
    [("partner-id", "partnerid\n"), ("partner-secret", "partnersecret\n")];

fn of_partner(address: SocketAddr) -> String {
    config(
        &format!("[sts.upstreams.partner]\nendpoints = [\"http://{address}\"]\nmax_attempts = 1"),
        "55667788",
        FILES,
        "[sts.upstreams.partner.breaker]\nfailures = 2",
    )
}

async fn album(stage: &Stage, client: &str, album: &str) -> crate::stage::Answer {
    stage.get(client, &format!("/v1/token?Parameters.album={album}")).await
}

fn assumed(control: &EmulatorControl) -> usize {
    control.calls().iter().filter(|call| call.action == "AssumeRole").count()
}

#[tokio::test]
async fn roles_of_two_accounts_are_assumed_with_their_own_keys_and_one_that_fails_does_not_affect_the_other()
 {
    let (address, partner) = partner().await;
    let config = of_partner(address);
    let stage = Stage::set(Setting { config: &config, files: &KEY, ..Setting::default() }).await;
    partner.clear_calls();
    for (client, account) in [("client-001", "55667788"), ("client-003", "11223344")] {
        let answer = album(&stage, client, "2015").await;
        assert_eq!(answer.outcome(), "200 Success");
        let arn = answer.body["AssumedRoleUser"]["Arn"].as_str().unwrap();
        assert!(arn.starts_with(&format!("acs:ram::{account}:role/oss-readonly/")), "{arn}");
    }
    assert_eq!((assumed(&partner), stage.assume_role_calls().len()), (1, 1));

    let message = String::new();
    let down = Fault::Error {
        status: 503.try_into().unwrap(),
        code: "ServiceUnavailable".into(),
        message,
    };
    for fault in [Fault::Throttle { time_left_ms: 30_000 }, down] {
        partner.clear_faults();
        partner.script(fault.always().only("AssumeRole"));
        for n in 0..4 {
            let failed = album(&stage, "client-001", &format!("gone-{n}")).await;
            assert_eq!(failed.status, 503, "{}", failed.body);
        }
    }
    for n in 0..10 {
        assert_eq!(
            album(&stage, "client-003", &format!("album-{n}")).await.outcome(),
            "200 Success"
        );
    }
    assert_eq!(stage.assume_role_calls().len(), 11);
    // Nothing of the other upstream is in what `[sts]` shows.
    let (_, metrics) = stage.admin("/metrics").await;
    for line in [
        "appserver_vend_breaker_open 0",
        "appserver_vend_breaker_open{upstream=\"partner\"} 1",
        "appserver_vend_budget_rate 90.0",
        "appserver_vend_cached_tokens 12",
        "appserver_sts_call_duration_seconds_count{action=\"AssumeRole\",outcome=\"success\"} 11",
        "appserver_sts_call_duration_seconds_count{action=\"AssumeRole\",outcome=\"success\",upstream=\"partner\"} 1",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line} not in\n{metrics}");
    }
    assert_eq!(stage.admin("/readyz").await.0, 200);
    assert_eq!(partner.unrestricted_calls(), []);
    stage.close().await;
}

#[tokio::test]
async fn an_upstream_that_is_not_verified_yet_keeps_the_server_unready_and_other_grants_are_served()
{
    let (address, partner) = partner().await;
    partner.script(Fault::Html { status: 502.try_into().unwrap() }.always());
    let config = of_partner(address);
    let setting = Setting { config: &config, files: &KEY, ..Setting::default() };
    let stage = Stage::set_unready(setting).await;
    until("the first upstream is verified", async || {
        album(&stage, "client-003", "2015").await.outcome() == "200 Success"
    })
    .await;
    assert_eq!(album(&stage, "client-001", "2015").await.outcome(), "503 NotReady");
    assert_eq!(stage.admin("/readyz").await.0, 503);
    partner.clear_faults();
    stage.ready().await;
    assert_eq!(album(&stage, "client-001", "2015").await.outcome(), "200 Success");
    assert_eq!(stage.admin("/readyz").await.0, 200);
    stage.close().await;
}

#[tokio::test]
async fn a_reload_moves_roles_between_upstreams_and_replaces_keys_and_adds_no_upstream() {
    let (address, partner) = partner().await;
    let config = of_partner(address);
    let stage = Stage::set(Setting { config: &config, files: &KEY, ..Setting::default() }).await;
    assert_eq!(album(&stage, "client-001", "2015").await.outcome(), "200 Success");

    // The role is assumed with the identity of `[sts]` now, which may not.
    let moved = config.replace("upstream = \"partner\"", "cross_account = true");
    stage.write("over.toml", &moved);
    stage.reload().await.unwrap();
    stage.sts.clear_calls();
    assert_eq!(album(&stage, "client-001", "2015").await.outcome(), "502 Upstream.Refused");
    assert_eq!(stage.assume_role_calls().len(), 1);

    let other = config
        .replace("upstream = \"partner\"", "upstream = \"other\"")
        .replace("sts.upstreams.partner", "sts.upstreams.other");
    stage.write("over.toml", &other);
    let refused = stage.reload().await.unwrap_err();
    let expected = "grants.their-album.role: its role names the upstream `other`, which the running server does not have: \
                    restart it, as new upstreams need";
    assert_eq!(refused, expected);

    stage.write("over.toml", &config);
    stage.reload().await.unwrap();
    assert_eq!(album(&stage, "client-001", "2016").await.outcome(), "200 Success");
    // A key of the other account: the present one stays.
    stage.write("partner-id", "unknownid");
    stage.reload().await.unwrap();
    let unverified = "appserver_access_key_unverified{upstream=\"partner\"} 1";
    let (_, metrics) = stage.admin("/metrics").await;
    assert!(metrics.lines().any(|line| line == unverified), "{metrics}");
    assert!(metrics.lines().any(|line| line == "appserver_access_key_unverified 0"), "{metrics}");
    assert_eq!(album(&stage, "client-001", "2017").await.outcome(), "200 Success");
    assert_eq!(partner.unrestricted_calls(), []);
    stage.close().await;
}

/// The names of budgets in Redis.
async fn budgets(fleet: &Fleet) -> BTreeSet<String> {
    let mut connection = fleet.redis.connection().await;
    redis::cmd("KEYS").arg("*:budget").query_async(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn upstreams_of_one_account_share_one_budget_in_redis_and_others_do_not() {
    let ten = "[vend.budget]\ncalls_per_second = 10\nburst = 1";
    let mut same = Fleet::without_replicas().await;
    let address = same.sts_addr();
    let endpoints = format!("[sts.upstreams.partner]\nendpoints = [\"http://{address}\"]");
    let of_same = config(&endpoints, "11223344", "source = \"demo\"", ten);
    for _ in 0..2 {
        same.add(&of_same).await;
    }
    let begun = Instant::now();
    let calls = (0..32).map(|n| {
        let client = if n % 2 == 0 { "client-001" } else { "client-003" };
        let fleet = &same;
        async move { fleet.token(n / 2 % 2, client, &format!("Parameters.album=a{n}")).await }
    });
    for (code, _) in futures_util::future::join_all(calls).await {
        assert_eq!(code, "Success");
    }
    // Two budgets would take half of it.
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(2500), "{took:?}");
    let names = budgets(&same).await;
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(!names.iter().any(|name| name.contains("11223344")), "{names:?}");

    // STS may refuse to one upstream what it grants to the other, so they share no token of an equal session.
    same.sts.clear_calls();
    for grant in ["their-album", "one-album", "their-album"] {
        let query = format!("Grant={grant}&Parameters.album=2015");
        assert_eq!(same.token(0, "client-002", &query).await.0, "Success");
    }
    assert_eq!(same.sts_calls(), 2);

    let (address, _partner) = partner().await;
    let mut others = Fleet::without_replicas().await;
    let folder = tempfile::tempdir().unwrap();
    let key = KEY.map(|(file, text)| {
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    });
    let identity =
        format!("source = \"files\"\nid_file = \"{}\"\nsecret_file = \"{}\"", key[0], key[1]);
    let endpoints = format!("[sts.upstreams.partner]\nendpoints = [\"http://{address}\"]");
    others.add(&config(&endpoints, "55667788", &identity, ten)).await;
    for client in ["client-001", "client-003"] {
        assert_eq!(others.token(0, client, "Parameters.album=2015").await.0, "Success");
    }
    let names = budgets(&others).await;
    assert_eq!(names.len(), 2, "{names:?}");
    same.close();
    others.close();
}
