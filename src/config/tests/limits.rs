//! Limits of clients, their users and failures.

use super::*;
use crate::limit::{ClientLimits, LimitMode};

#[test]
fn the_burst_of_a_limit_defaults_to_one_second_of_its_rate() {
    let limit = |text: &str| {
        let text = format!("{SOUND}\n[clients.app-one.limit]\n{text}");
        loaded(&text, &[], Mode::Production).map(|settings| {
            let limit = settings.rules.limits.values().next().unwrap().whole.unwrap().terms;
            (limit.requests.get(), limit.burst.get())
        })
    };
    assert_eq!(limit("requests_per_second = 50"), Ok((50, 50)));
    assert_eq!(limit("requests_per_second = 50\nburst = 7"), Ok((50, 7)));
    let reported = [
        limit("burst = 7"),
        limit("requests_per_second = 0"),
        limit("requests_per_second = 1\nburst = 0"),
    ];
    let reported = reported.map(Result::unwrap_err);
    insta::assert_snapshot!(reported.join("\n"), @r"
clients.app-one.limit.requests_per_second: is missing
clients.app-one.limit.requests_per_second: 0 is not between 1 and 100000 requests
clients.app-one.limit.burst: 0 is not between 1 and 100000 requests
");
}

#[test]
fn limits_are_enforced_unless_their_mode_is_shadow() {
    let limits = |text: &str| {
        let text = format!("{SOUND}\n{text}");
        loaded(&text, &[], Mode::Production).map(|settings| {
            let ClientLimits { whole, subject } = *settings.rules.limits.values().next().unwrap();
            [whole, subject]
                .map(|limit| limit.map(|limit| format!("{} {}", limit.terms, limit.mode.as_str())))
        })
    };
    let shown = |text: &str| limits(text).unwrap().map(Option::unwrap_or_default);
    assert_eq!(
        shown("[clients.app-one.subject_limit]\nrequests_per_minute = 10"),
        [String::new(), "10 requests a minute enforce".to_owned()]
    );
    let both = "[clients.app-one.limit]\nrequests_per_second = 5\nmode = \"shadow\"\n\
                [clients.app-one.subject_limit]\nrequests_per_minute = 10\nmode = \"enforce\"";
    assert_eq!(shown(both), ["5 requests a second shadow", "10 requests a minute enforce"]);
    let wrong = "[clients.app-one.limit]\nrequests_per_second = 5\nmode = \"dark\"\n\
                 [clients.app-one.subject_limit]\nrequests_per_second = 10\nburst = 100001\n\
                 [auth_failure_limit]\nper_address_burst = 0\nper_client_per_minute = 100001\nmode = \"off\"";
    insta::assert_snapshot!(limits(wrong).unwrap_err(), @r"
auth_failure_limit.mode: it must be `enforce` or `shadow`
auth_failure_limit.per_address_burst: 0 is not between 1 and 100000 failures
auth_failure_limit.per_client_per_minute: 100001 is not between 1 and 100000 failures
clients.app-one.limit.mode: it must be `enforce` or `shadow`
clients.app-one.subject_limit.burst: 100001 is not between 1 and 100000 requests
clients.app-one.subject_limit.requests_per_minute: is missing
clients.app-one.subject_limit.requests_per_second: there is no such key; `appserver check --defaults` prints all keys
");
}

#[test]
fn failures_per_address_are_counted_where_the_address_is_the_callers() {
    let failures = |text: &str| {
        loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production).unwrap().rules.failures
    };
    let own = failures("");
    assert_eq!(
        own.address.map(|terms| (terms.requests.get(), terms.burst.get())),
        Some((300, 100))
    );
    assert_eq!((own.client.requests.get(), own.client.burst.get()), (60, 60));
    assert_eq!(own.mode, LimitMode::Enforce);
    assert_eq!(failures("[server]\nbehind_proxy = true").address, None);
}
