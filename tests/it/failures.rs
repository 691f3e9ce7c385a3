//! Limits of failed authentications.

use std::net::{IpAddr, Ipv4Addr};

use appserver_emulator::demo_jwt;

use crate::crowd::{self, Crowd};
use crate::logs;
use crate::stage::{Answer, Setting, Stage, secret};

/// Another address than that of the stage's own requests.
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// A caller at one address.
struct Host<'a> {
    stage: &'a Stage,
    http: reqwest::Client,
}

impl<'a> Host<'a> {
    fn at(address: IpAddr, stage: &'a Stage) -> Self {
        let http = reqwest::Client::builder().no_proxy().local_address(address).build().unwrap();
        Self { stage, http }
    }

    async fn basic(&self, client: &str, secret: &str) -> Answer {
        let request = self.http.get(self.stage.url("/v1/whoami"));
        self.stage.send(request.basic_auth(client, Some(secret))).await
    }

    async fn bearer(&self, jwt: &str) -> Answer {
        self.stage.send(self.http.get(self.stage.url("/v1/whoami")).bearer_auth(jwt)).await
    }

    async fn bare(&self) -> Answer {
        self.stage.send(self.http.get(self.stage.url("/v1/whoami"))).await
    }
}

/// The metric of a failure limit, by limit and mode. It has no client label: names that strangers send are no labels,
/// and a look-up of existing clients would be measurable.
async fn counted(stage: &Stage, limit: &str, mode: &str) -> u32 {
    let (_, metrics) = stage.admin("/metrics").await;
    let start = format!(r#"appserver_throttled_total{{client="",limit="{limit}",mode="{mode}"}} "#);
    let count = metrics.lines().find_map(|line| line.strip_prefix(&start));
    count.map_or(0, |count| count.parse().unwrap())
}

const FEW_FROM_AN_ADDRESS: &str =
    "[auth_failure_limit]\nper_address_per_minute = 1\nper_address_burst = 5\n";
const FEW_FOR_A_CLIENT: &str =
    "[auth_failure_limit]\nper_client_per_minute = 1\nper_client_burst = 3\n";

#[tokio::test]
async fn an_address_beyond_its_failure_limit_gets_one_answer_to_every_invalid_credential() {
    let config = FEW_FROM_AN_ADDRESS;
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    let known = demo_jwt("alice", stage.clock.now());
    assert_eq!(host.bearer(&known).await.outcome(), "200 Success");
    // With every kind of credential, each in the name of another client.
    assert_eq!(host.bearer("no.such.token").await.outcome(), "401 Unauthenticated");
    for n in 0..4 {
        let failed = host.basic(&format!("client-00{n}"), "wrong").await;
        assert_eq!(failed.outcome(), "401 Unauthenticated");
    }
    let refused = host.basic("client-002", "wrong").await;
    let field = |name: &str| refused.headers[name].to_str().unwrap().to_owned();
    assert_eq!(field("ratelimit-policy"), r#""address-failures";q=5;w=300"#);
    let wait = |from: &str| from.rsplit('=').next().unwrap().parse::<u32>().unwrap();
    assert!((50..=60).contains(&wait(&field("ratelimit"))), "{}", field("ratelimit"));
    assert!((50..=76).contains(&wait(&field("retry-after"))), "{}", field("retry-after"));
    insta::assert_json_snapshot!(refused.steady(), @r#"
    {
      "Code": "Throttled.Client",
      "ErrorCode": "Throttled.Client",
      "ErrorMessage": "Too many requests from this address had no valid credential; retry later.",
      "Message": "Too many requests from this address had no valid credential; retry later.",
      "RequestId": "<RequestId>",
      "StatusCode": 429
    }
    "#);
    let expired = demo_jwt("alice", stage.clock.now() - chrono::TimeDelta::hours(2));
    for wrong in [
        host.basic("no-such-client", "wrong").await,
        host.bearer("no.such.token").await,
        host.bearer(&expired).await,
    ] {
        assert_eq!(wrong.steady(), refused.steady());
    }
    assert_eq!(host.bearer(&known).await.outcome(), "200 Success", "it was verified before");
    assert_eq!(counted(&stage, "address-failures", "enforce").await, 4);
    // Callers of other addresses are not affected.
    assert_eq!(stage.get("client-002", "/v1/whoami").await.outcome(), "200 Success");
    stage.close().await;
}

/// A stranger can neither lock a client out nor find out whether it exists.
#[tokio::test]
async fn failures_in_a_clients_name_get_one_answer_and_a_valid_secret_passes() {
    let config = FEW_FOR_A_CLIENT;
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let [here, there] =
        [IpAddr::V4(Ipv4Addr::LOCALHOST), ELSEWHERE].map(|address| Host::at(address, &stage));
    let mut answers = Vec::new();
    for name in ["client-002", "no-such-client", "Not an id\u{1F600}"] {
        let mut one = Vec::new();
        for n in 0..6 {
            let host = if n % 2 == 0 { &here } else { &there };
            let Answer { status, mut headers, body } = host.basic(name, "wrong").await;
            for varying in ["date", "x-request-id", "retry-after", "content-length"] {
                headers.remove(varying);
            }
            // A second may have passed.
            let wait = headers.remove("ratelimit").map(|_| "some seconds");
            one.push((Answer { status, headers: headers.clone(), body }.steady(), headers, wait));
        }
        answers.push(one);
    }
    let codes: Vec<_> = answers[0].iter().map(|(body, ..)| body["StatusCode"].clone()).collect();
    assert_eq!(codes, [401, 401, 401, 429, 429, 429]);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    insta::assert_json_snapshot!(answers[0][3].0, @r#"
    {
      "Code": "Throttled.Client",
      "ErrorCode": "Throttled.Client",
      "ErrorMessage": "Too many requests in this client's name had no valid credential; retry later.",
      "Message": "Too many requests in this client's name had no valid credential; retry later.",
      "RequestId": "<RequestId>",
      "StatusCode": 429
    }
    "#);
    assert_eq!(stage.get("client-002", "/v1/whoami").await.outcome(), "200 Success");
    assert_eq!(there.basic("client-001", "wrong").await.outcome(), "401 Unauthenticated");
    assert_eq!(counted(&stage, "client-failures", "enforce").await, 9);
    stage.close().await;
}

#[tokio::test]
async fn reaching_a_limit_is_logged_once_and_requests_beyond_it_are_not() {
    let clients = "[clients.noisy-app]\ngrants = []\n";
    let config = FEW_FOR_A_CLIENT.to_owned() + clients;
    let start = logs::capture();
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    for _ in 0..50 {
        host.basic("noisy-app", "wrong").await;
    }
    let log = logs::since(start);
    let lines = |level: &str| {
        let ours = log.lines().filter(|line| line.contains("client.id=\"noisy-app\""));
        ours.filter(|line| line.contains(level)).count()
    };
    assert_eq!((lines(" INFO "), lines(" WARN ")), (3, 1), "{log}");
    assert_eq!(counted(&stage, "client-failures", "enforce").await, 47);
    stage.close().await;
}

/// An invented ticket is a failed credential like any other: counted, and beyond the limit neither looked up nor logged.
#[tokio::test]
async fn invalid_tickets_spend_the_limit_of_their_address_and_a_valid_one_passes() {
    let stage = Stage::set(Setting { config: FEW_FROM_AN_ADDRESS, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    let request = stage.request("POST", "/v1/tickets");
    let made = stage.send(request.basic_auth("client-002", Some(secret("client-002")))).await;
    let (_, good) = made.body["Url"].as_str().unwrap().split_once('?').unwrap();
    let get = async |query: &str| {
        stage.send(host.http.get(stage.url(&format!("/v1/token?{query}")))).await
    };
    let made_up = ["Ticket=AAAA", "Ticket=", "Ticket=A&Ticket=B", &format!("{good}A"), "Ticket=*"];
    for query in made_up {
        assert_eq!(get(query).await.outcome(), "401 Unauthenticated", "{query}");
    }
    let start = logs::since(0).len();
    for query in made_up.into_iter().cycle().take(20) {
        assert_eq!(get(query).await.outcome(), "429 Throttled.Client", "{query}");
    }
    assert_eq!(counted(&stage, "address-failures", "enforce").await, 20);
    let log = logs::since(start);
    assert!(!log.contains(" INFO "), "{log}");
    // One limit for all credentials; a valid ticket is no failure.
    assert_eq!(host.basic("client-002", "wrong").await.outcome(), "429 Throttled.Client");
    assert_eq!(get(good).await.outcome(), "200 Success");
    stage.close().await;
}

/// Ten invalid requests a second from the shared address of a carrier, without end.
#[tokio::test]
async fn valid_secrets_and_new_users_are_served_at_an_address_with_many_failures() {
    let stage = Stage::set(Setting { config: FEW_FROM_AN_ADDRESS, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    for n in 0..40 {
        let guessed = host.basic("client-002", &format!("guess-{n}")).await;
        // Well-formed, by the right issuer, and not signed by it.
        let signed = demo_jwt(&format!("mallory-{n}"), stage.clock.now());
        let (signed, _) = signed.rsplit_once('.').unwrap();
        let forged = host.bearer(&format!("{signed}.{}", "A".repeat(86))).await;
        if n >= 5 {
            let outcomes = [guessed.outcome(), forged.outcome()];
            assert_eq!(outcomes, ["429 Throttled.Client", "429 Throttled.Client"]);
        }
        let right = host.basic("client-002", &secret("client-002")).await;
        assert_eq!(right.outcome(), "200 Success", "{n}");
        let new = host.bearer(&demo_jwt(&format!("user-{n}"), stage.clock.now())).await;
        assert_eq!(new.outcome(), "200 Success", "{n}");
    }
    let disabled = "[clients.client-002]\nenabled = false\n";
    stage.write("over.toml", &format!("{FEW_FROM_AN_ADDRESS}{disabled}"));
    stage.reload().await.unwrap();
    let right = host.basic("client-002", &secret("client-002")).await;
    assert_eq!(right.outcome(), "403 Forbidden.ClientDisabled", "it proves itself still");
    stage.close().await;
}

/// The work for an address beyond its limit is bounded; credentials that were verified before stay valid.
#[tokio::test]
async fn signatures_of_an_address_beyond_its_limit_are_verified_at_a_bounded_rate() {
    let stage = Stage::set(Setting { config: FEW_FROM_AN_ADDRESS, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    let known = demo_jwt("alice", stage.clock.now());
    assert_eq!(host.bearer(&known).await.outcome(), "200 Success");
    for _ in 0..5 {
        host.basic("client-002", "wrong").await;
    }
    let began = tokio::time::Instant::now();
    let new = (0..400).map(|n| {
        let (host, jwt) = (&host, demo_jwt(&format!("user-{n}"), stage.clock.now()));
        async move { host.bearer(&jwt).await.status }
    });
    let statuses = futures_util::future::join_all(new).await;
    let served = statuses.iter().filter(|status| **status == 200).count();
    let most = 100 + began.elapsed().as_millis() as usize / 10 + 1;
    assert!((100..=most).contains(&served), "{served} of at most {most}");
    assert_eq!(host.bearer(&known).await.outcome(), "200 Success");
    assert_eq!(host.basic("client-002", &secret("client-002")).await.outcome(), "200 Success");
    stage.close().await;
}

/// Some HTTP libraries send a request without a credential first.
#[tokio::test]
async fn requests_without_a_credential_are_no_failures_and_have_a_limit_of_their_own() {
    let start = logs::capture();
    let stage = Stage::set(Setting { config: FEW_FROM_AN_ADDRESS, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    let mut outcomes = Vec::new();
    for _ in 0..20 {
        outcomes.push(host.bare().await.outcome());
    }
    assert_eq!(outcomes[..5], ["401 Unauthenticated"; 5]);
    assert_eq!(outcomes[5..], ["429 Throttled.Client"; 15]);
    assert_eq!(counted(&stage, "address-failures", "enforce").await, 15);
    assert_eq!(host.basic("client-002", "wrong").await.outcome(), "401 Unauthenticated");
    let right = host.basic("client-002", &secret("client-002")).await;
    assert_eq!(right.outcome(), "200 Success");
    // They do not fill the log either, nor do invented routes and methods.
    host.stage.send(host.http.get(stage.url("/v1/canary-route"))).await;
    host.stage.send(host.http.delete(stage.url("/v1/token"))).await;
    let log = logs::since(start);
    let of_host = |level: &str| {
        let lines = log.lines().filter(|line| line.contains("peer.address=\"127.0.0.2:"));
        lines.filter(|line| line.contains(level)).count()
    };
    assert_eq!((of_host(" INFO "), of_host(" WARN ")), (1, 1), "the wrong secret's: {log}");
    stage.close().await;
}

#[tokio::test]
async fn failure_limits_in_shadow_mode_only_count() {
    let config = "[auth_failure_limit]\nper_address_per_minute = 1\nper_address_burst = 5\n\
                  per_client_per_minute = 1\nper_client_burst = 3\nmode = \"shadow\"\n";
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    for _ in 0..9 {
        assert_eq!(host.basic("client-002", "wrong").await.outcome(), "401 Unauthenticated");
    }
    let right = host.basic("client-002", &secret("client-002")).await;
    assert_eq!(right.outcome(), "200 Success");
    assert_eq!(counted(&stage, "address-failures", "shadow").await, 4);
    assert_eq!(counted(&stage, "client-failures", "shadow").await, 6);
    stage.close().await;
}

/// Behind a proxy that is not configured as trusted, all callers have its address.
#[tokio::test]
async fn a_proxys_address_that_all_callers_share_is_not_counted() {
    let config = FEW_FROM_AN_ADDRESS.to_owned() + "[server]\nbehind_proxy = true\n";
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    for n in 0..20 {
        let request = stage.request("GET", "/v1/whoami");
        let failed = stage.send(request.basic_auth(format!("nobody-{n}"), Some("wrong"))).await;
        assert_eq!(failed.outcome(), "401 Unauthenticated");
    }
    assert_eq!(stage.get("client-002", "/v1/whoami").await.outcome(), "200 Success");
    stage.close().await;
}

#[tokio::test]
async fn counts_survive_a_reload_and_a_new_mode_takes_effect_at_once() {
    let config = FEW_FROM_AN_ADDRESS;
    let stage = Stage::set(Setting { config, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    let wrong = async || host.basic("client-002", "wrong").await.outcome();
    for _ in 0..5 {
        assert_eq!(wrong().await, "401 Unauthenticated");
    }
    assert_eq!(wrong().await, "429 Throttled.Client");
    for (mode, outcome) in [("shadow", "401 Unauthenticated"), ("enforce", "429 Throttled.Client")]
    {
        stage.write("over.toml", &format!("{config}mode = \"{mode}\"\n"));
        stage.reload().await.unwrap();
        assert_eq!(wrong().await, outcome, "{mode}");
    }
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_with_endless_failures_does_not_affect_a_hundred_clients() {
    let config = "[auth_failure_limit]\nper_address_per_minute = 60\nper_address_burst = 20\n"
        .to_owned()
        + &crowd::config();
    let stage = Stage::set(Setting { config: &config, ..Setting::default() }).await;
    let host = Host::at(ELSEWHERE, &stage);
    let fails = async || host.basic("normal-7", "wrong").await.status == 429;
    let crowd = Crowd::beside(&stage, fails).await;
    println!("{crowd:?}");
    assert!(crowd.abuser_refused >= 350 && crowd.abuser_passed < 50, "{crowd:?}");
    assert!(crowd.served_percent() >= 99.0, "{crowd:?}");
    stage.close().await;
}
