//! Reloads of the issuers while the previous configuration serves.

use super::signing::{key_set, signer};
use super::site::{Page, Site, StandingTime};
use super::*;
use crate::auth::{AuthError, Authenticator, Client, PresentedCredential, TicketProblem};

struct Loader {
    clock: Clock,
    metrics: IssuerMetrics,
}

impl Loader {
    fn new() -> Self {
        Self { clock: Clock::manual(now()), metrics: IssuerMetrics::default() }
    }

    fn load(&self, issuers: Vec<Issuer>, previous: Option<&Issuers>) -> Issuers {
        Issuers::new(issuers, previous, &Egress::default(), &self.clock, &self.metrics).unwrap()
    }
}

async fn fetched(issuers: &Issuers, name: &str, times: u64) {
    issuers.by_name[name].fetches().wait_for(|count| *count >= times).await.unwrap();
}

#[tokio::test]
async fn an_unchanged_issuer_keeps_its_keys_its_task_and_its_cached_tokens() {
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let loader = Loader::new();
    let before = loader.load(vec![site.issuer()], None);
    fetched(&before, &site.origin, 1).await;
    let token = signer.token(&site.claims());
    before.verify(&token, now()).unwrap();
    site.fail();
    let after = loader.load(vec![site.issuer(), issuer("https://new.example.com/")], Some(&before));
    drop(before);
    assert_eq!(after.verified.len(), 1);
    assert!(after.verify(&token, now()).is_ok());
    assert_eq!(site.count("/jwks"), 1, "the keys were not fetched again");
}

/// Trust in an issuer ends with its configuration.
#[tokio::test]
async fn cached_tokens_of_a_changed_or_removed_issuer_are_invalid() {
    let loader = Loader::new();
    let own = || issuer("https://login.example.com/");
    let other = || issuer("https://other.example.com/");
    let of_own = token(&good());
    let of_other = token(&changed("iss", json!("https://other.example.com/")));
    let before = loader.load(vec![own(), other()], None);
    assert!(before.verify(&of_own, now()).is_ok() && before.verify(&of_other, now()).is_ok());

    let without = loader.load(vec![other()], Some(&before));
    assert_eq!(without.verify(&of_own, now()).unwrap_err(), JwtProblem::UnknownIssuer);
    assert!(without.verify(&of_other, now()).is_ok());

    let photos = BTreeMap::from([("other".to_owned(), vec!["photo-app".parse().unwrap()])]);
    let other_secret = Jwks::from_secret(&SECRET.repeat(2).into()).unwrap();
    let requiring = BTreeMap::from([(path("sub"), ClaimRule::pattern("b.*").unwrap())]);
    for (changed, problem) in [
        (Issuer { audiences: photos, ..own() }, JwtProblem::Audience),
        (Issuer { keys: ConfiguredKeys::Static(other_secret), ..own() }, JwtProblem::Signature),
        (Issuer { required: requiring, ..own() }, JwtProblem::Required),
    ] {
        let after = loader.load(vec![changed, other()], Some(&before));
        assert_eq!(after.verify(&of_own, now()).unwrap_err(), problem);
        assert_eq!(after.verified.len(), 1, "the other's is remembered");
    }
    // A configuration that is loaded but not yet applied does not affect the active one.
    assert!(before.verify(&of_own, now()).is_ok());
}

/// A change of another setting must not depend on an issuer that is down.
#[tokio::test]
async fn an_issuer_with_the_same_key_source_keeps_its_keys() {
    let signer = signer(0, "one");
    let site = Site::with_keys(&[&signer]).await;
    let loader = Loader::new();
    let before = loader.load(vec![site.issuer()], None);
    fetched(&before, &site.origin, 1).await;
    let token = signer.token(&site.claims());
    before.verify(&token, now()).unwrap();
    site.fail();
    let changed = Issuer { leeway: TimeDelta::seconds(1), ..site.issuer() };
    let after = loader.load(vec![changed], Some(&before));
    drop(before);
    assert_eq!(after.verified.len(), 0);
    assert!(after.verify(&token, now()).is_ok());
    let elsewhere = Issuer { algorithms: algorithms(&["ES256", "RS256"]), ..site.issuer() };
    let anew = loader.load(vec![elsewhere], Some(&after));
    assert_eq!(anew.verify(&token, now()).unwrap_err(), JwtProblem::UnknownKey);
}

#[tokio::test]
async fn the_task_of_a_removed_issuer_ends_even_during_a_fetch() {
    let _time = StandingTime::begin();
    let site = Site::with_keys(&[&signer(0, "one")]).await;
    let loader = Loader::new();
    let before = loader.load(vec![site.issuer()], None);
    fetched(&before, &site.origin, 1).await;
    site.show("/jwks", Page::Stalls(String::new()));
    let changed = Issuer { algorithms: algorithms(&["ES256", "RS256"]), ..site.issuer() };
    let after = loader.load(vec![changed], Some(&before));
    site.asked(2).await;
    for issuers in [before, after] {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let with_it = tasks();
        drop(issuers);
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert!(tasks() < with_it, "the task goes on");
    }
}

/// The parent of tickets of an issuer's users.
#[test]
fn a_new_shared_secret_changes_the_parent_and_new_public_keys_do_not() {
    let with = |keys| Issuer {
        keys: ConfiguredKeys::Static(keys),
        ..issuer("https://login.example.com/")
    };
    let secret = |byte: u8| Jwks::from_secret(&vec![byte; 32].into()).unwrap();
    assert_eq!(with(secret(1)).parent(), with(secret(1)).parent());
    assert_ne!(with(secret(1)).parent(), with(secret(2)).parent());
    let jwks = include_str!("../../../../config/demo.jwks.json");
    let public = |set: &str| Jwks::from_jwks(set.as_bytes(), &algorithms(&["ES256"])).unwrap();
    let [one, other] = [0, 1].map(|number| key_set(&[&signer(number, "key")]));
    assert_ne!(public(&one), public(&other));
    assert_eq!(with(public(&one)).parent(), with(public(&other)).parent());
    let other = Issuer { configured: Fingerprint::of([b"x".as_slice()]), ..with(public(jwks)) };
    assert_ne!(with(public(jwks)).parent(), other.parent());
}

/// An authenticator of one client without a secret, with these issuers.
fn authenticator(issuers: Vec<Issuer>) -> Authenticator {
    let client = Client { secrets: None, certificates: vec![], enabled: true };
    let issuers = Loader::new().load(issuers, None);
    Authenticator::new(HashMap::from([("photo-app".parse().unwrap(), client)]), issuers)
}

#[tokio::test]
async fn a_users_ticket_is_valid_as_long_as_its_issuer_is_unchanged() {
    let own = || issuer("https://login.example.com/");
    let presented = PresentedCredential::Jwt(token(&good()));
    let before = authenticator(vec![own()]);
    let caller = before.authenticate(&presented, now()).await.unwrap();
    let is_valid = |after: Vec<Issuer>| {
        let outcome = authenticator(after).authenticate_ticket(caller.clone());
        outcome.map(|caller| caller.subject().cloned())
    };
    assert_eq!(is_valid(vec![own()]), Ok(Some("alice".parse().unwrap())));
    let ended = AuthError::Ticket(TicketProblem::ParentEnded("photo-app".parse().unwrap()));
    for after in [
        vec![],
        vec![Issuer { id: "another".parse().unwrap(), ..own() }],
        vec![Issuer { configured: Fingerprint::of([b"changed".as_slice()]), ..own() }],
    ] {
        assert_eq!(is_valid(after), Err(ended.clone()));
    }
}

#[test]
fn a_token_takes_a_signature_check_and_a_secret_takes_none() {
    let authenticator = authenticator(vec![issuer("https://login.example.com/")]);
    let takes = |presented| authenticator.needs_signature_check(&presented, now());
    assert!(takes(PresentedCredential::Jwt(token(&good()))));
    let (client, secret) = ("photo-app".to_owned(), "secret".into());
    assert!(!takes(PresentedCredential::Secret { client, secret }));
    assert!(!authenticator.has_secrets() && !authenticator.issuers().is_empty());
}
