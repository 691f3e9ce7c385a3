use std::num::NonZeroU32;

use tokio::time::Instant;

use super::*;
use crate::telemetry::Metrics;

fn limit(requests: u32, per: Per, burst: u32) -> Limit {
    let [requests, burst] = [requests, burst].map(|n| NonZeroU32::new(n).unwrap());
    Limit { terms: LimitTerms { requests, per, burst }, mode: LimitMode::Enforce }
}

fn limits(greedy: ClientLimits, previous: Option<&Limits>) -> Limits {
    let limits = HashMap::from([("greedy".parse().unwrap(), greedy)]);
    Limits::new(limits, Arc::new(Store::Memory), previous)
}

fn whole(per_second: u32, burst: u32) -> Limits {
    let whole = Some(limit(per_second, Per::Second, burst));
    limits(ClientLimits { whole, subject: None }, None)
}

async fn admitted(limits: &Limits, subject: Option<&str>, asked: usize) -> usize {
    let (client, counts) = ("greedy".parse().unwrap(), ThrottleMetrics::default());
    let issuer = "company".parse().unwrap();
    let subject = subject.map(|subject| subject.parse().unwrap());
    let user = subject.as_ref().map(|subject| (&issuer, subject));
    let mut admitted = 0;
    for _ in 0..asked {
        admitted += usize::from(limits.admit(&client, user, &counts).await.is_ok());
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_its_burst_and_then_its_rate() {
    let limits = whole(10, 5);
    let client = "greedy".parse().unwrap();
    let mut admitted = 0;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        match limits.admit(&client, None, &ThrottleMetrics::default()).await {
            Ok(()) => admitted += 1,
            Err(Throttled { retry_after, .. }) => {
                assert!(retry_after <= Duration::from_millis(100), "{retry_after:?}");
                tokio::time::advance(retry_after).await;
            }
        }
    }
    assert!((104..=105).contains(&admitted), "{admitted}");
}

#[test]
fn a_clients_limits_are_the_configured_ones() {
    let limits = limits(
        ClientLimits {
            whole: Some(limit(10, Per::Second, 5)),
            subject: Some(limit(1, Per::Minute, 2)),
        },
        None,
    );
    let of = |client: &str| {
        let ClientLimits { whole, subject } = limits.of(&client.parse().unwrap());
        [whole, subject].map(|limit| limit.map(|limit| limit.terms.to_string()))
    };
    let configured = ["10 requests a second", "1 request a minute"];
    assert_eq!(of("greedy"), configured.map(|terms| Some(terms.to_owned())));
    assert_eq!(of("modest"), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_limit_is_not_limited() {
    let limits = whole(1, 1);
    for _ in 0..1000 {
        let modest = "modest".parse().unwrap();
        limits.admit(&modest, None, &ThrottleMetrics::default()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn refused_requests_of_a_user_do_not_spend_the_clients_limit() {
    let both = ClientLimits {
        whole: Some(limit(10, Per::Second, 10)),
        subject: Some(limit(6, Per::Minute, 2)),
    };
    let limits = limits(both, None);
    assert_eq!(admitted(&limits, Some("greedy"), 100).await, 2);
    assert_eq!(admitted(&limits, Some("modest"), 100).await, 2);
    // Requests in the client's own name have no user.
    assert_eq!(admitted(&limits, None, 100).await, 6);
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(admitted(&limits, Some("greedy"), 100).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_limit_in_shadow_mode_only_counts() {
    let shadow = |limit| Some(Limit { mode: LimitMode::Shadow, ..limit });
    let both = ClientLimits {
        whole: shadow(limit(10, Per::Second, 10)),
        subject: shadow(limit(6, Per::Minute, 2)),
    };
    let limits = limits(both, None);
    let (client, subject) = ("greedy".parse().unwrap(), "user".parse().unwrap());
    let issuer = "company".parse().unwrap();
    let metrics = Metrics::new();
    for _ in 0..25 {
        limits.admit(&client, Some((&issuer, &subject)), &metrics.throttled).await.unwrap();
    }
    let text = metrics.encoded();
    for line in [
        r#"appserver_throttled_total{client="greedy",limit="client",mode="shadow"} 15"#,
        r#"appserver_throttled_total{client="greedy",limit="subject",mode="shadow"} 23"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line} not in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_continue_after_a_reload_where_the_terms_are_the_same() {
    let both = |client, user| ClientLimits {
        whole: Some(limit(10, Per::Second, client)),
        subject: Some(limit(6, Per::Minute, user)),
    };
    let previous = limits(both(10, 2), None);
    assert_eq!(admitted(&previous, Some("user"), 100).await, 2);
    assert_eq!(admitted(&previous, None, 100).await, 8);
    // A change of the mode alone does not reset the count.
    let mut same = both(10, 2);
    same.whole = same.whole.map(|limit| Limit { mode: LimitMode::Shadow, ..limit });
    assert_eq!(admitted(&limits(same, Some(&previous)), Some("user"), 10).await, 0);
    assert_eq!(admitted(&limits(both(10, 2), Some(&previous)), None, 10).await, 0);
    assert_eq!(admitted(&limits(both(20, 3), Some(&previous)), Some("user"), 10).await, 3);
    assert_eq!(admitted(&limits(both(20, 3), Some(&previous)), None, 100).await, 20);
}

/// Users of two issuers with one subject have a limit each.
#[tokio::test(start_paused = true)]
async fn users_of_two_issuers_with_one_subject_have_a_limit_each() {
    let limits =
        limits(ClientLimits { whole: None, subject: Some(limit(6, Per::Minute, 2)) }, None);
    let (client, alice) = ("greedy".parse().unwrap(), "alice".parse().unwrap());
    for issuer in ["company", "partner"] {
        let issuer = issuer.parse().unwrap();
        let mut admitted = 0;
        for _ in 0..5 {
            let user = Some((&issuer, &alice));
            admitted +=
                usize::from(limits.admit(&client, user, &ThrottleMetrics::default()).await.is_ok());
        }
        assert_eq!(admitted, 2, "{issuer}");
    }
}
