//! `[sts.identity]`: exactly one source, and no setting of another.

use std::process::Command;

use super::*;
use crate::upstream::{RenewedIdentity, UpstreamIdentity};

const RRSA: [(&str, &str); 3] = [
    ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::11223344:role/appserver"),
    ("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", "acs:ram::11223344:oidc-provider/ack-rrsa-c1"),
    ("ALIBABA_CLOUD_OIDC_TOKEN_FILE", "/var/run/token"),
];

fn read(text: &str, environment: &[(&str, &str)]) -> Result<UpstreamIdentity, String> {
    let settings = loaded(&format!("{SOUND}\n{text}"), environment, Mode::Production)?;
    settings.identity.read().map_err(|problems| problems.to_string())
}

fn renewed(text: &str, environment: &[(&str, &str)]) -> (String, RenewedIdentity) {
    let text = format!("{SOUND}\n{text}");
    let settings = loaded(&text, environment, Mode::Production).unwrap();
    match settings.identity.read().unwrap() {
        UpstreamIdentity::Renewed(identity) => (settings.identity.to_string(), identity),
        UpstreamIdentity::AccessKey(key) => panic!("{key:?}"),
    }
}

#[test]
fn settings_of_a_source_that_is_not_chosen_are_refused_with_the_way_out() {
    let every = r#"
        [sts.identity.access_key]
        source = "files"
        id_file = "id"
        secret_file = "secret"
        security_token_file = "token"
        [sts.identity.ecs_ram_role]
        role = "appserver"
        endpoint = "http://127.0.0.1:8093"
        imds_v1 = true
        [sts.identity.oidc]
        role_arn = "acs:ram::11223344:role/appserver"
        provider_arn = "acs:ram::11223344:oidc-provider/ack"
        token_file = "token"
        [sts.identity.credentials_uri]
        uri = "https://example.com/canary"
    "#;
    let of = |source: &str| {
        let found = problems(&format!("[sts.identity]\nsource = \"{source}\"\n{every}"));
        let path = |line: &str| {
            let (path, message) = line.split_once(": ").unwrap();
            assert!(message.contains("set `sts.identity.source = "), "{line}");
            path.trim_start_matches("sts.identity.").to_owned()
        };
        assert!(!found.contains("canary"), "{found}");
        found.lines().map(path).collect::<Vec<_>>().join(" ")
    };
    let key = "access_key.id_file access_key.secret_file access_key.security_token_file access_key.source";
    let ecs = "ecs_ram_role.endpoint ecs_ram_role.imds_v1 ecs_ram_role.role";
    let oidc = "oidc.provider_arn oidc.role_arn oidc.token_file";
    let uri = "credentials_uri.uri";
    assert_eq!(of("access-key"), format!("{uri} {ecs} {oidc}"));
    assert_eq!(of("ecs-ram-role"), format!("{key} {uri} {oidc}"));
    assert_eq!(of("oidc"), format!("{key} {uri} {ecs}"));
    assert_eq!(of("credentials-uri"), format!("{key} {ecs} {oidc}"));
}

/// A later layer chooses another source and takes back the settings of the first.
#[test]
fn empty_values_take_back_the_settings_of_an_earlier_source() {
    let text =
        "[sts.identity.access_key]\nsource = \"files\"\nid_file = \"id\"\nsecret_file = \"secret\"";
    let mut environment = vec![
        ("APPSERVER__STS__IDENTITY__SOURCE", "ecs-ram-role"),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SOURCE", ""),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__ID_FILE", ""),
        ("APPSERVER__STS__IDENTITY__ACCESS_KEY__SECRET_FILE", ""),
    ];
    let (shown, _) = renewed(text, &environment);
    assert_eq!(shown, "ecs-ram-role (http://100.100.100.200)");
    environment.pop();
    let refused = loaded(&format!("{SOUND}\n{text}"), &environment, Mode::Production).unwrap_err();
    insta::assert_snapshot!(refused, @r#"sts.identity.access_key.secret_file: it goes with the source `access-key`: set `sts.identity.source = "access-key"`, or remove it ("" takes back what an earlier layer sets)"#);
}

#[test]
fn an_access_key_may_have_a_security_token() {
    let mut environment = vec![
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "STS.1"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret"),
        ("ALIBABA_CLOUD_SECURITY_TOKEN", ""),
    ];
    let has_token = |environment: &[(&str, &str)]| match read("", environment).unwrap() {
        UpstreamIdentity::AccessKey(key) => key.security_token().is_some(),
        UpstreamIdentity::Renewed(_) => panic!("it is a key"),
    };
    assert!(!has_token(&environment));
    environment[2].1 = "token";
    assert!(has_token(&environment));
}

#[test]
fn the_variables_of_rrsa_are_the_defaults_of_oidc() {
    let text = "[sts.identity]\nsource = \"oidc\"";
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "a.b.c\n").unwrap();
    let mut variables = RRSA;
    variables[2].1 = token.path().to_str().unwrap();
    let (shown, identity) = renewed(text, &variables);
    assert_eq!(shown, "oidc (acs:ram::11223344:role/appserver)");
    let RenewedIdentity::Oidc(oidc) = identity else { panic!("{identity:?}") };
    assert_eq!(oidc.token_file, token.path());
    let other = format!("{text}\noidc.role_arn = \"acs:ram::11223344:role/other\"");
    let (shown, _) = renewed(&other, &variables);
    assert_eq!(shown, "oidc (acs:ram::11223344:role/other)");

    // A pipeline that checks the configuration does not have them.
    insta::assert_snapshot!(read(text, &[]).unwrap_err(), @r"
sts.identity.oidc.provider_arn: the source `oidc` needs it: set it, or the variable ALIBABA_CLOUD_OIDC_PROVIDER_ARN, as RRSA does
sts.identity.oidc.role_arn: the source `oidc` needs it: set it, or the variable ALIBABA_CLOUD_ROLE_ARN, as RRSA does
sts.identity.oidc.token_file: the source `oidc` needs it: set it, or the variable ALIBABA_CLOUD_OIDC_TOKEN_FILE, as RRSA does
");
    let mut wrong = RRSA;
    wrong[0].1 = "canary";
    insta::assert_snapshot!(read(text, &wrong).unwrap_err(), @"sts.identity.oidc.role_arn: the variable ALIBABA_CLOUD_ROLE_ARN: a role's ARN reads `acs:ram::<account id>:role/<role name>`, the name 1 to 64 characters of A-Z, a-z, 0-9, `.` and `-`");
}

/// Otherwise a rollout would begin with a replica that never gets ready.
#[test]
fn a_token_file_that_is_missing_or_holds_no_token_is_refused() {
    let text = "[sts.identity]\nsource = \"oidc\"";
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(at("other"), "canary").unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let refused = ["none", "other", "pipe"].map(|name| {
        let (mut variables, path) = (RRSA, at(name));
        variables[2].1 = &path;
        let problems = read(text, &variables).unwrap_err();
        problems.replace(folder.path().to_str().unwrap(), "<folder>")
    });
    insta::assert_snapshot!(refused.join("\n"), @r"
sts.identity.oidc.token_file: <folder>/none: the file of the OIDC token cannot be read (`sts.identity.oidc.token_file`): No such file or directory (os error 2)
sts.identity.oidc.token_file: <folder>/other: the file of the OIDC token has no JSON Web Token (`sts.identity.oidc.token_file`)
sts.identity.oidc.token_file: <folder>/pipe: the file of the OIDC token cannot be read (`sts.identity.oidc.token_file`): it must be a regular file
");
}

#[test]
fn a_credentials_uri_is_required_and_its_secret_is_not_shown() {
    let text = "[sts.identity]\nsource = \"credentials-uri\"";
    let missing = problems(text);
    insta::assert_snapshot!(missing, @"sts.identity.credentials_uri.uri: the source `credentials-uri` needs it");
    let uri = "credentials_uri.uri = \"https://example.com/canary?token=canary\"";
    let (shown, identity) = renewed(&format!("{text}\n{uri}"), &[]);
    assert_eq!(shown, "credentials-uri (https://example.com)");
    assert!(!format!("{identity:?}").contains("canary"));
}
