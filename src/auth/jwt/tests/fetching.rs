//! Keys that are fetched from an issuer.

use std::time::Duration;

use tokio::time::{Instant, advance};

use super::super::fetch::Fetcher;
use super::super::key_source::{Cadence, KeysFrom};
use super::signing::{key_set, signer};
use super::site::{Page, Site, StandingTime, answer};
use super::*;

const DESCRIPTION: &str = "/.well-known/openid-configuration";

/// Issuers of which one is at work, and the clock that they go by.
struct Work {
    issuers: Arc<Issuers>,
    clock: Clock,
    metrics: IssuerMetrics,
    name: String,
}

impl Work {
    fn begin(issuer: Issuer) -> Self {
        let (clock, metrics) = (Clock::manual(now()), IssuerMetrics::default());
        let name = issuer.name.clone();
        let issuers = Issuers::new(vec![issuer], None, &clock, &metrics).unwrap();
        Self { issuers: Arc::new(issuers), clock, metrics, name }
    }

    /// With the first fetch behind it.
    async fn begun(issuer: Issuer) -> Self {
        let work = Self::begin(issuer);
        work.fetched(1).await;
        work
    }

    fn live(&self) -> &LiveIssuer {
        &self.issuers.by_name[&self.name]
    }

    /// Waits until so many fetches have ended.
    async fn fetched(&self, times: u64) {
        self.live().fetches().wait_for(|count| *count >= times).await.unwrap();
        settle().await;
    }

    /// The fetches that have ended.
    fn fetches(&self) -> u64 {
        *self.live().fetches().borrow()
    }

    fn at_once(&self, token: &SecretString) -> Result<Caller, JwtProblem> {
        self.issuers.verify(token, self.clock.now())
    }

    /// As a request has its token verified.
    async fn verify(&self, token: &SecretString) -> Result<Caller, JwtProblem> {
        match self.at_once(token) {
            Err(JwtProblem::UnknownKey) => {
                self.issuers.verify_by_newer_keys(token, self.clock.now()).await
            }
            outcome => outcome,
        }
    }
}

/// Lets every task do what it can without a timer.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Moves the timers and then the clock, as a machine would.
async fn pass(work: &Work, secs: u64) {
    work.clock.advance(TimeDelta::seconds(secs.try_into().unwrap()));
    advance(Duration::from_secs(secs)).await;
    settle().await;
}

fn fetcher(site: &Site, from: KeysFrom) -> Fetcher {
    Fetcher::new(from, site.origin.clone(), algorithms(&["ES256"])).unwrap()
}

/// What a fetch from a place comes to: `success`, or the problem's kind.
async fn outcome(site: &Site, from: KeysFrom) -> &'static str {
    fetcher(site, from).fetch().await.map_or_else(|problem| problem.kind(), |_| "success")
}

fn from_set(site: &Site) -> KeysFrom {
    KeysFrom::KeySet(site.address("/jwks"))
}

fn from_description(site: &Site) -> KeysFrom {
    KeysFrom::Discovery(KeyAddress::of_discovery(&site.origin).unwrap())
}

#[tokio::test]
async fn keys_come_from_a_url_or_from_where_the_issuer_says_that_they_are() {
    let signer = signer(0, "one");
    for (from, asked_for) in [
        (from_set as fn(&Site) -> KeysFrom, vec!["/jwks"]),
        (from_description, vec![DESCRIPTION, "/jwks"]),
    ] {
        let site = Site::with_keys(&[&signer]).await;
        let KeySource::Fetched(_, cadence) = site.issuer().keys else { panic!("it is fetched") };
        let issuer = Issuer { keys: KeySource::Fetched(from(&site), cadence), ..site.issuer() };
        let work = Work::begun(issuer).await;
        let caller = work.at_once(&signer.token(&site.claims())).unwrap();
        assert_eq!(caller.subject().unwrap().as_str(), "alice");
        let paths: Vec<_> =
            site.heads().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(paths, asked_for);
        assert!(site.heads()[0].to_lowercase().contains("accept: application/json\r\n"));
    }
}

/// T23: nobody is followed anywhere, and nobody's answer is taken for keys that are none.
#[tokio::test]
async fn an_answer_that_is_no_key_set_brings_no_keys() {
    let elsewhere = Site::with_keys(&[&signer(0, "one")]).await;
    let redirect = |status: &str| {
        Page::Raw(format!(
            "HTTP/1.1 {status}\r\nlocation: {}/jwks\r\ncontent-length: 0\r\n\r\n",
            elsewhere.origin
        ))
    };
    let good = key_set(&[&signer(0, "one")]);
    let long = format!("{good}{}", " ".repeat(256 * 1024));
    let unmeasured = Page::Raw(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{long}"));
    let foreign = json!({"keys": [
        {"kty": "oct", "kid": "one", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        signing::rsa_signer("two").jwk(),
    ]});
    for (page, expected) in [
        (Page::Text(good.clone()), "success"),
        (redirect("301 Moved"), "status"),
        (redirect("302 Found"), "status"),
        (redirect("307 Temporary"), "status"),
        (Page::Raw(answer("404 Not Found", &good)), "status"),
        (Page::Raw(answer("500 Trouble", &good)), "status"),
        (Page::Raw(answer("206 Partial", &good)), "status"),
        (Page::Raw(answer("204 None", "")), "status"),
        (Page::Text(long), "too_long"),
        (unmeasured, "too_long"),
        (Page::Text("<html>".to_owned()), "unusable_keys"),
        (Page::Text("{}".to_owned()), "unusable_keys"),
        (Page::Text(r#"{"keys": []}"#.to_owned()), "unusable_keys"),
        (Page::Text(foreign.to_string()), "unusable_keys"),
        (Page::Raw("HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_owned()), "unreachable"),
        (Page::Raw("no HTTP\r\n\r\n".to_owned()), "unreachable"),
    ] {
        let site = Site::open().await;
        let shown = match &page {
            Page::Text(text) | Page::Raw(text) | Page::Stalls(text) => {
                text.chars().take(60).collect::<String>()
            }
        };
        site.show("/jwks", page);
        assert_eq!(outcome(&site, from_set(&site)).await, expected, "{shown}");
    }
    assert_eq!(elsewhere.heads(), Vec::<String>::new(), "a redirect was followed");
}

/// T23: an issuer that is described must be the one that is configured, and its keys lie where keys may be.
#[tokio::test]
async fn a_description_of_another_issuer_or_of_keys_elsewhere_brings_no_keys() {
    let site = Site::with_keys(&[&signer(0, "one")]).await;
    let neighbour = Site::with_keys(&[&signer(0, "one")]).await;
    let origin = site.origin.clone();
    let jwks = format!("{origin}/jwks");
    for (description, expected) in [
        (json!({"issuer": origin, "jwks_uri": jwks}), "success"),
        // Where an issuer's keys are is its own affair.
        (json!({"issuer": origin, "jwks_uri": format!("{}/jwks", neighbour.origin)}), "success"),
        (json!({"issuer": format!("{origin}/"), "jwks_uri": jwks}), "other_issuer"),
        (json!({"issuer": origin.to_uppercase(), "jwks_uri": jwks}), "other_issuer"),
        (json!({"issuer": neighbour.origin, "jwks_uri": jwks}), "other_issuer"),
        (json!({"issuer": origin, "jwks_uri": "http://keys.example.com/"}), "keys_elsewhere"),
        (json!({"issuer": origin, "jwks_uri": "file:///etc/passwd"}), "keys_elsewhere"),
        (json!({"issuer": origin, "jwks_uri": "/jwks"}), "keys_elsewhere"),
        (json!({"issuer": origin}), "no_description"),
        (json!({"jwks_uri": jwks}), "no_description"),
        (json!([]), "no_description"),
    ] {
        site.show(DESCRIPTION, Page::Text(description.to_string()));
        assert_eq!(outcome(&site, from_description(&site)).await, expected, "{description}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_or_end_is_given_up_after_five_seconds() {
    for begun in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n{"] {
        let _time = StandingTime::begin();
        let site = Site::open().await;
        site.show("/jwks", Page::Stalls(begun.to_owned()));
        let fetcher = fetcher(&site, from_set(&site));
        let started = Instant::now();
        let mut fetch = Box::pin(fetcher.fetch());
        tokio::select! {
            outcome = &mut fetch => panic!("{outcome:?} too soon"),
            () = async { site.asked(1).await; advance(Duration::from_millis(4_900)).await } => {}
        }
        let late = tokio::join!(fetch, advance(Duration::from_millis(200))).0;
        assert_eq!(late.unwrap_err().kind(), "timed_out", "{begun}");
        assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_read_does_not_take_the_others_with_it() {
    let signer = signer(0, "one");
    let site = Site::open().await;
    let odd = [
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "new", "pub": "AAAA"}),
        json!({"kty": "EC", "crv": "P-256K", "x": "AA", "y": "AA"}),
        json!({"kty": "EC", "crv": "P-256", "kid": 7, "x": "AA", "y": "AA"}),
        json!({"kty": "RSA"}),
        json!("a text"),
        json!(null),
    ];
    let keys: Vec<_> = odd.into_iter().chain([signer.jwk()]).collect();
    site.show("/jwks", Page::Text(json!({"keys": keys}).to_string()));
    let work = Work::begun(site.issuer()).await;
    assert!(work.at_once(&signer.token(&site.claims())).is_ok());
}

#[tokio::test]
async fn an_issuer_that_is_down_at_the_start_is_believed_as_soon_as_it_is_there() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    site.fail();
    let work = Work::begun(site.issuer()).await;
    let token = signer.token(&site.claims());
    assert_eq!(work.at_once(&token).unwrap_err(), JwtProblem::UnknownKey);
    site.show_keys(&[&signer]);
    pass(&work, 1).await;
    work.fetched(2).await;
    assert!(work.at_once(&token).is_ok());
}

/// The request that comes while the first fetch is under way waits for it.
#[tokio::test]
async fn a_token_that_comes_before_the_first_keys_waits_for_them() {
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begin(site.issuer());
    assert!(work.verify(&signer.token(&site.claims())).await.is_ok());
    assert_eq!(site.count("/jwks"), 1);
}

#[tokio::test]
async fn fetches_that_fail_are_tried_again_ever_more_seldom_and_old_keys_stay() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let token = signer.token(&site.claims());
    let begun = Instant::now();
    site.show("/jwks", Page::Text("{}".to_owned()));
    let mut waits = Vec::new();
    for fetches in 2..12 {
        let before = Instant::now();
        while work.fetches() < fetches {
            advance(Duration::from_millis(500)).await;
            if work.live().is_fetching() {
                work.fetched(fetches).await;
            }
        }
        waits.push(before.elapsed().as_secs_f64());
    }
    let longest = [300.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0];
    for (wait, longest) in waits.iter().zip(longest) {
        assert!((longest * 0.8 - 0.5..=longest + 0.5).contains(wait), "{waits:?}");
    }
    assert!(work.at_once(&token).is_ok(), "after {:?}", begun.elapsed());
}

/// An outage is survived up to the keys' greatest age. After it nothing is believed, not even what was verified before;
/// until the issuer is back.
#[tokio::test]
async fn keys_are_believed_through_an_outage_up_to_their_greatest_age() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let (seen, unseen) = (signer.token(&site.claims()), {
        let mut claims = site.claims();
        claims["sub"] = json!("bob");
        signer.token(&claims)
    });
    assert!(work.at_once(&seen).is_ok());
    site.fail();
    work.clock.advance(TimeDelta::seconds(86_399));
    assert!(work.at_once(&seen).is_ok() && work.at_once(&unseen).is_ok());
    work.clock.advance(TimeDelta::seconds(1));
    for token in [&seen, &unseen] {
        assert_eq!(work.at_once(token).unwrap_err(), JwtProblem::UnknownKey);
    }
    site.show_keys(&[&signer]);
    // The first who comes then brings it about.
    assert!(work.verify(&seen).await.is_ok() && work.at_once(&unseen).is_ok());
    assert_eq!(work.fetches(), 2);
}

#[tokio::test]
async fn the_first_phone_after_a_rotation_gets_in_and_costs_one_fetch() {
    let _time = StandingTime::begin();
    let (old, new) = (signer(0, "old"), signer(1, "new"));
    let site = Site::with_keys(&[&old]).await;
    let work = Work::begun(site.issuer()).await;
    let (with_old, with_new) = (old.token(&site.claims()), new.token(&site.claims()));
    assert!(work.verify(&with_old).await.is_ok());
    site.show_keys(&[&old, &new]);
    let phones = (0..50).map(|_| work.verify(&with_new));
    let let_in = futures_util::future::join_all(phones).await;
    assert!(let_in.iter().all(Result::is_ok));
    assert!(work.at_once(&with_old).is_ok(), "the issuer still has it");
    assert_eq!(site.count("/jwks"), 2);
}

/// A key that the issuer takes back is not believed from the next fetch on, nor any token that it had verified.
#[tokio::test]
async fn a_key_that_the_issuer_takes_back_ends_with_the_next_fetch() {
    let _time = StandingTime::begin();
    let (lost, other) = (signer(0, "lost"), signer(1, "other"));
    let site = Site::with_keys(&[&lost, &other]).await;
    let work = Work::begun(site.issuer()).await;
    let [by_lost, by_other] = [&lost, &other].map(|signer| signer.token(&site.claims()));
    assert!(work.at_once(&by_lost).is_ok() && work.at_once(&by_other).is_ok());
    site.show_keys(&[&other]);
    assert!(work.at_once(&by_lost).is_ok(), "nobody has said so yet");
    pass(&work, 300).await;
    work.fetched(2).await;
    assert_eq!(work.at_once(&by_lost).unwrap_err(), JwtProblem::UnknownKey);
    assert!(work.at_once(&by_other).is_ok());
    // The same name for another key is another key.
    site.show_keys(&[&signer(2, "other")]);
    pass(&work, 300).await;
    work.fetched(3).await;
    assert_eq!(work.at_once(&by_other).unwrap_err(), JwtProblem::Signature);
}

/// T24: however many names of keys are made up, the issuer is asked once a minute for all of them.
#[tokio::test]
async fn a_flood_of_unknown_keys_costs_the_issuer_one_fetch_a_minute() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let flood = async |count: usize| {
        let tokens: Vec<_> = (0..count)
            .map(|n| {
                let header = Header { kid: Some(format!("made-up-{n}")), ..signer.header() };
                signer.token_with(&header, &site.claims())
            })
            .collect();
        let outcomes =
            futures_util::future::join_all(tokens.iter().map(|token| work.verify(token))).await;
        assert!(
            outcomes.iter().all(|outcome| outcome.as_ref().unwrap_err() == &JwtProblem::UnknownKey)
        );
    };
    let mut counts = Vec::new();
    for secs in [0, 1, 58, 1, 59, 1] {
        pass(&work, secs).await;
        flood(200).await;
        flood(200).await;
        counts.push(site.count("/jwks"));
    }
    assert_eq!(counts, [2, 2, 2, 3, 3, 4], "the first was in turn");
    assert!(work.at_once(&signer.token(&site.claims())).is_ok());
}

/// Who meets an unknown key waits for two seconds and not for the issuer.
#[tokio::test]
async fn an_unknown_key_keeps_a_request_for_two_seconds_at_most() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    site.show("/jwks", Page::Stalls(String::new()));
    let header = Header { kid: Some("new".to_owned()), ..signer.header() };
    let token = signer.token_with(&header, &site.claims());
    let started = Instant::now();
    let mut first = Box::pin(work.verify(&token));
    tokio::select! {
        outcome = &mut first => panic!("{outcome:?} too soon"),
        () = async { site.asked(2).await; advance(Duration::from_millis(1_900)).await } => {}
    }
    let refused = tokio::join!(first, advance(Duration::from_millis(200))).0;
    assert_eq!(refused.unwrap_err(), JwtProblem::UnknownKey);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// T24: what no key of the issuer's could make good does not trouble it.
#[tokio::test]
async fn a_token_that_is_wrong_before_its_key_costs_no_fetch() {
    let _time = StandingTime::begin();
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let work = Work::begun(site.issuer()).await;
    let claims = site.claims();
    let unknown = Header { kid: Some("new".to_owned()), ..signer.header() };
    let other_alg = Header { alg: Algorithm::HS256, ..unknown.clone() };
    let logout = Header { typ: Some("logout+jwt".to_owned()), ..unknown.clone() };
    let mut of_nobody = claims.clone();
    of_nobody["iss"] = json!("https://evil.example.com/");
    let long = format!("{}{}", "x".repeat(9_000), signer.token(&claims).expose_secret());
    for (token, problem) in [
        (signer.token_with(&unknown, &of_nobody), JwtProblem::UnknownIssuer),
        (signed(&other_alg, &claims, SECRET), JwtProblem::Algorithm),
        (signer.token_with(&logout, &claims), JwtProblem::Type),
        (long.into(), JwtProblem::Malformed),
    ] {
        assert_eq!(work.verify(&token).await.unwrap_err(), problem);
    }
    settle().await;
    assert_eq!((site.count("/jwks"), work.fetches()), (1, 1));
}

#[tokio::test]
async fn fetches_are_counted_and_keys_have_an_age() {
    let _time = StandingTime::begin();
    let site = Site::with_keys(&[&signer(0, "one"), &signer(1, "two")]).await;
    let issuer = site.issuer();
    let KeySource::Fetched(from, _) = issuer.keys else { panic!("it is fetched") };
    let cadence = Cadence { refresh: Duration::from_secs(60), max_age: Duration::from_secs(300) };
    let work =
        Work::begun(Issuer { keys: KeySource::Fetched(from, cadence), ..site.issuer() }).await;
    site.fail();
    pass(&work, 60).await;
    work.fetched(2).await;
    pass(&work, 0).await;
    let shown = work.metrics.encoded();
    for line in [
        r#"issuer_key_fetches_total{issuer="company",outcome="success"} 1"#,
        r#"issuer_key_fetches_total{issuer="company",outcome="status"} 1"#,
        r#"issuer_keys{issuer="company"} 2"#,
        r#"issuer_keys_age_seconds{issuer="company"} 60"#,
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} not in\n{shown}");
    }
    let metrics = work.metrics.clone();
    drop(work);
    settle().await;
    assert!(!metrics.encoded().contains("issuer_keys{"), "it is gone");
}
