//! Where an issuer's keys come from: the problems, and the resolved keys.

use std::time::Duration;

use super::*;
use crate::auth::{ConfiguredKeys, JwksEndpoint, KeyAddress, RefreshPolicy};

const ISSUER: &str = r#"
    [issuers.one]
    issuer = "https://login.example.com/realms/photos/"
    algorithms = ["ES256"]
    audiences.photos = ["app-one"]
"#;

fn source(more: &str) -> Result<ConfiguredKeys, String> {
    loaded(&format!("{SOUND}\n{ISSUER}\n{more}"), &[], Mode::Production)
        .map(|mut settings| settings.rules.issuers.remove(0).keys)
}

fn refresh_policy(refresh: u64, max_age: u64) -> RefreshPolicy {
    RefreshPolicy { refresh: Duration::from_secs(refresh), max_age: Duration::from_secs(max_age) }
}

#[test]
fn keys_are_fetched_from_a_url_or_through_discovery() {
    let at = |url: &str| KeyAddress::try_from(url.to_owned()).unwrap();
    let given = source(
        "jwks_url = \"https://keys.example.com/jwks\"\nkeys_refresh_secs = 60\nkeys_max_age_secs = 300",
    );
    let expected = JwksEndpoint::KeySet(at("https://keys.example.com/jwks"));
    assert_eq!(given, Ok(ConfiguredKeys::Fetched(expected, refresh_policy(60, 300))));
    let description = "https://login.example.com/realms/photos/.well-known/openid-configuration";
    let expected = JwksEndpoint::Discovery(at(description));
    assert_eq!(
        source("discovery = true"),
        Ok(ConfiguredKeys::Fetched(expected, refresh_policy(300, 86_400)))
    );
}

#[test]
fn each_problem_of_an_issuers_keys_is_reported_with_the_way_out() {
    let reported = [
        "",
        "discovery = false",
        "discovery = true\njwks_url = \"https://keys.example.com/jwks\"",
        "jwks_url = \"http://keys.example.com/jwks\"",
        "jwks_url = \"https://canary:word@keys.example.com/jwks\"",
        "jwks_url = \"https://keys.example.com/jwks\"\nalgorithms = [\"HS256\"]",
        "discovery = true\nissuer = \"login.example.com\"",
        "discovery = true\nissuer = \"http://login.example.com\"",
        "discovery = true\nkeys_refresh_secs = 59\nkeys_max_age_secs = 604801",
        "discovery = true\nkeys_refresh_secs = 600\nkeys_max_age_secs = 600",
        "jwks_file = \"policies/album.json\"\nkeys_refresh_secs = 600",
    ]
    .map(|more| {
        // A key may occur only once.
        let issuer = ISSUER.lines().filter(|line| {
            line.split_once(" = ")
                .is_none_or(|(key, _)| !more.contains(&format!("{} = ", key.trim())))
        });
        let text = format!("{SOUND}\n{}\n{more}", issuer.collect::<Vec<_>>().join("\n"));
        loaded(&text, &[], Mode::Production).map(drop).unwrap_err()
    });
    insta::assert_snapshot!(reported.join("\n"), @r"
issuers.one: set the source of its keys by one of `discovery`, `jwks_url`, `jwks_file` and `secret_file`
issuers.one: set the source of its keys by one of `discovery`, `jwks_url`, `jwks_file` and `secret_file`
issuers.one: 2 of `discovery`, `jwks_url`, `jwks_file` and `secret_file` are set; keep one source of its keys
issuers.one.jwks_url: keys are fetched from an `https` URL without user and fragment; `http` is admitted on `localhost` and loopback addresses only
issuers.one.jwks_url: keys are fetched from an `https` URL without user and fragment; `http` is admitted on `localhost` and loopback addresses only
issuers.one.algorithms: asymmetric algorithms go with `discovery`, `jwks_url` or `jwks_file`, and HS256 alone with `secret_file`
issuers.one.issuer: with `discovery` an issuer is an `https` URL without user, query and fragment (`http` on loopback), or it cannot be asked for its keys
issuers.one.issuer: with `discovery` an issuer is an `https` URL without user, query and fragment (`http` on loopback), or it cannot be asked for its keys
issuers.one.keys_max_age_secs: 604801 is not between 300 and 604800 seconds
issuers.one.keys_refresh_secs: 59 is not between 60 and 86400 seconds
issuers.one.keys_max_age_secs: it must be more than `keys_refresh_secs`, or the keys would be too old before they are fetched again
issuers.one: `keys_refresh_secs` and `keys_max_age_secs` go with `discovery` or `jwks_url`: files are read once
issuers.one.jwks_file: it is not a JSON Web Key Set: missing field `keys` at line 2 column 106
");
}
