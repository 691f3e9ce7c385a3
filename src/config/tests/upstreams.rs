//! `[sts.upstreams]`, and the roles that name them.

use super::*;
use crate::upstream::UpstreamIdentity;

const PARTNER: &str = r#"
    [sts.upstreams.partner]
    region = "eu-central-1"
    [sts.upstreams.partner.identity]
    source = "ecs-ram-role"
    [roles.theirs]
    arn = "acs:ram::55667788:role/oss-readonly"
    upstream = "partner"
    [grants.theirs]
    role = "theirs"
    policy = "policies/album.json"
    [grants.theirs.parameters.album]
    kind = "segment"
"#;

fn upstreams(text: &str) -> Result<Settings, String> {
    loaded(&format!("{SOUND}\n{text}"), &[], Mode::Production)
}

fn upstream(settings: &Settings) -> &UpstreamSettings {
    &settings.upstreams[&"partner".parse().unwrap()]
}

#[test]
fn an_upstream_inherits_limits_and_neither_identity_nor_endpoints() {
    let text = format!(
        "{PARTNER}
        [sts]
        region = \"cn-hangzhou\"
        max_attempts = 2
        attempt_timeout_ms = 3000
        [vend.budget]
        calls_per_second = 50
        burst = 5
        [vend.breaker]
        failures = 3
        [sts.upstreams.partner.budget]
        burst = 7"
    );
    let settings = upstreams(&text).unwrap();
    let UpstreamSettings { sts, identity, vend, accounts } = upstream(&settings);
    let hosts: Vec<_> = sts.endpoints.iter().map(crate::sts::Endpoint::host).collect();
    assert_eq!(hosts, ["sts.eu-central-1.aliyuncs.com"]);
    assert_eq!(sts.attempt_timeout.as_millis(), 3000);
    assert_eq!((sts.max_attempts.get(), vend.max_attempts.get()), (2, 2));
    assert_eq!((vend.budget.per_second, vend.budget.burst, vend.breaker.failures), (50, 7, 3));
    assert_eq!(identity.to_string(), "ecs-ram-role (http://100.100.100.200)");
    let accounts: Vec<_> = accounts.iter().map(ToString::to_string).collect();
    assert_eq!(accounts, ["55667788"]);
    // What belongs to the other upstream is none of `[sts]`'s.
    assert!(settings.accounts.iter().all(|account| account.as_str() == "11223344"));
    assert_eq!(settings.vend.budget.burst, 5);
    let grants = &settings.rules.grants.entitlements;
    let upstream = |grant: &str| {
        grants[&grant.parse::<appserver_domain::GrantName>().unwrap()].upstream.to_string()
    };
    assert_eq!([upstream("album"), upstream("theirs")], ["default", "partner"]);
}

#[test]
fn problems_of_upstreams_name_their_own_keys() {
    let found = |text: &str| upstreams(text).unwrap_err();
    let upstream = |text: &str| {
        format!(
            "[sts.upstreams.partner]\n{text}\n[roles.theirs]\narn = \"acs:ram::55667788:role/r\"\nupstream = \"partner\""
        )
    };
    insta::assert_snapshot!(found(&upstream("")), @"sts.upstreams.partner.identity.source: is missing");
    insta::assert_snapshot!(found(&upstream("identity.source = \"oidc\"\nidentity.ecs_ram_role.role = \"r\"\nvpc = true")), @r#"
    sts.upstreams.partner.identity.ecs_ram_role.role: it goes with the source `ecs-ram-role`: set `sts.upstreams.partner.identity.source = "ecs-ram-role"`, or remove it ("" takes back what an earlier layer sets)
    sts.upstreams.partner.vpc: an endpoint inside a VPC needs `sts.upstreams.partner.region`
    "#);
    insta::assert_snapshot!(found(&upstream("identity.source = \"access-key\"\nidentity.access_key.source = \"files\"")), @"sts.upstreams.partner.identity.access_key: the source `files` needs `id_file` and `secret_file`");
    // Inherited, and a problem of its own key only.
    insta::assert_snapshot!(found(&format!("{PARTNER}\n[vend.budget]\nburst = 0\n[sts]\nmax_attempts = 0")), @r"
    sts.max_attempts: 0 is not between 1 and 20 attempts
    vend.budget.burst: 0 is not between 1 and 1000 calls
    ");
    insta::assert_snapshot!(found("[sts.upstreams.default]\nidentity.source = \"oidc\""), @"sts.upstreams.default: `default` is the upstream of `[sts]` itself: move its keys there, or give it another name");
    insta::assert_snapshot!(found("[sts.upstreams.Partner]\nidentity.source = \"oidc\""), @"sts.upstreams.Partner: an upstream's name is 1 to 32 characters of a-z, 0-9 and `-`");
    insta::assert_snapshot!(found("[roles.theirs]\narn = \"acs:ram::55667788:role/r\"\nupstream = \"partner\""), @"roles.theirs.upstream: there is no upstream `partner`; add `[sts.upstreams.partner]` or name another, or `default` for `[sts]` itself");
}

#[test]
fn the_key_files_of_an_upstream_are_read_with_its_own_paths() {
    let text = format!(
        "{}\n[sts.upstreams.partner.identity.access_key]\nsource = \"files\"\nid_file = \"/none/id\"\nsecret_file = \"/none/secret\"",
        PARTNER.replace("ecs-ram-role", "access-key")
    );
    let settings = upstreams(&text).unwrap();
    let found = settings.read_secrets().unwrap_err().to_string();
    assert!(
        found.contains("sts.upstreams.partner.identity.access_key.id_file: /none/id: "),
        "{found}"
    );
    // The key of `[sts]` is missing in this environment, too.
    assert!(found.contains("sts.identity.access_key: "), "{found}");
    let text = text.replace("/none/", "");
    let folder = folder(&[
        ("app.toml", &format!("{SOUND}\n{text}")),
        ("policies/album.json", POLICY),
        ("id", "partnerid"),
        ("secret", "partnersecret"),
    ]);
    let variables = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "testid"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "testsecret"),
    ];
    let environment = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let settings = load(&[folder.path().join("app.toml")], &environment, Mode::Production).unwrap();
    let secrets = settings.read_secrets().unwrap();
    let ids: Vec<_> = secrets.identities.values().map(UpstreamIdentity::access_key_id).collect();
    let ids: Vec<_> = ids.into_iter().map(|id| id.unwrap().as_str()).collect();
    assert_eq!(ids, ["testid", "partnerid"]);
}

#[test]
fn an_upstream_that_no_role_names_is_a_warning() {
    let text = "[sts.upstreams.spare]\nidentity.source = \"ecs-ram-role\"";
    let warnings = upstreams(text).unwrap().warnings;
    let warnings: Vec<_> =
        warnings.iter().map(|Problem { path, message }| format!("{path}: {message}")).collect();
    assert!(
        warnings.iter().any(|warning| warning
            == "sts.upstreams.spare: no role names this upstream: remove it, or name it in `upstream` of a role"),
        "{warnings:?}"
    );
}

#[test]
fn one_upstream_is_selected_with_its_identity_and_its_grants_alone() {
    let select = |name: Option<&str>| {
        let name = name.map(|name| name.parse().unwrap());
        let selected = upstreams(PARTNER).unwrap().of_upstream(name.as_ref());
        let selected = selected.map_err(|error| error.to_string())?;
        let grants: Vec<_> =
            selected.rules.grants.entitlements.keys().map(ToString::to_string).collect();
        Ok::<_, String>(format!("{}: {}", selected.identity, grants.join(" ")))
    };
    assert_eq!(select(Some("partner")).unwrap(), "ecs-ram-role (http://100.100.100.200): theirs");
    let of_sts = select(Some("default")).unwrap();
    assert_eq!(of_sts, "environment (ALIBABA_CLOUD_ACCESS_KEY_ID): album");
    insta::assert_snapshot!(select(None).unwrap_err(), @"the configuration has several upstreams, each with an identity of its own: name one with --upstream: `default`, `partner`");
    insta::assert_snapshot!(select(Some("eu")).unwrap_err(), @"there is no upstream `eu`; --upstream is one of `default`, `partner`");
    // Without others there is nothing to name.
    assert!(upstreams("").unwrap().of_upstream(None).is_ok());
}
