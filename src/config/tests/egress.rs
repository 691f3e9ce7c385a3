//! `[egress]`: what each target gets, and its problems.

use super::*;
use crate::outbound::Egress;

/// A certificate authority, as `openssl req -x509` makes it.
fn authority() -> String {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
}

/// Loads and reads `[egress]` with these files beside it.
fn read(text: &str, files: &[(&str, &str)]) -> Result<[Egress; 3], String> {
    let text = format!("{SOUND}\n{text}");
    let files = [&[("app.toml", text.as_str()), ("policies/album.json", POLICY)], files].concat();
    let folder = folder(&files);
    let root = folder.path().display().to_string();
    let settings = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    let read = settings.and_then(|settings| settings.egress.read());
    let read = read.map_err(|problems| problems.to_string().replace(&root, "<folder>"))?;
    Ok([read.sts, read.issuers, read.tracing])
}

fn shown(egress: &Egress) -> String {
    let authorities = egress.authorities.len();
    match &egress.proxy {
        None => format!("directly, {authorities} authorities"),
        Some(proxy) => {
            let user = if proxy.authorization.is_some() { "with a user" } else { "without a user" };
            let direct = proxy.no_proxy.len();
            format!("{} {user}, {direct} hosts directly, {authorities} authorities", proxy.address)
        }
    }
}

#[test]
fn a_targets_keys_override_the_shared_ones_and_no_user_reaches_another_proxy() {
    let text = r#"
        [egress]
        proxy = "http://proxy.example.com:3128"
        proxy_user_file = "user"
        no_proxy = [".internal", "10.0.0.0/8"]
        ca_file = "ca.pem"
        [egress.sts]
        proxy = "https://other.example.com:8443"
        no_proxy = []
        [egress.tracing]
        proxy = ""
        ca_file = ""
    "#;
    let two = authority() + &authority();
    let read = read(text, &[("user", "name:word\n"), ("ca.pem", &two)]).unwrap();
    insta::assert_snapshot!(read.map(|egress| shown(&egress)).join("\n"), @r"
    https://other.example.com:8443 without a user, 0 hosts directly, 2 authorities
    http://proxy.example.com:3128 with a user, 2 hosts directly, 2 authorities
    directly, 0 authorities
    ");
    let nothing = self::read("", &[]).unwrap();
    assert!(nothing.iter().all(|egress| shown(egress) == "directly, 0 authorities"));
}

#[test]
fn each_problem_of_egress_is_reported_with_the_way_out() {
    let wrong = r#"
        [egress]
        proxy = "http://user:canary@proxy.example.com:3128"
        no_proxy = ["*.example.com"]
        ca_file = 1
        [egress.sts]
        proxy = "proxy.example.com:3128"
        prxy = ""
        [egress.oidc]
        proxy = ""
    "#;
    insta::assert_snapshot!(problems(wrong), @r"
egress.ca_file: it must be text in quotes
egress.no_proxy: it is a list of hosts: `example.com` (with all names below it), `.example.com` (only the names below it), an address such as `10.1.2.3` or a network such as `10.0.0.0/8`; without scheme, port and `*`
egress.oidc: there is no such key; `appserver check --defaults` prints all keys
egress.proxy: user and password do not belong in the URL, which is logged: write `user:password` into a mounted file and name it in `proxy_user_file`
egress.sts.proxy: a proxy reads `http://<host>:<port>`, or `https://<host>:<port>` where it speaks TLS itself, without path and query
egress.sts.prxy: there is no such key; is `proxy` meant? `appserver check --defaults` prints all keys
");
    let unused = r#"
        [egress]
        proxy_user_file = "user"
        [egress.issuers]
        proxy = "http://proxy.example.com:3128"
        [egress.tracing]
        proxy_user_file = "user"
    "#;
    insta::assert_snapshot!(problems(unused), @r#"
egress.proxy_user_file: it goes with a `proxy` that needs it, and there is none: name the proxy, or set this to "" where an earlier layer names a file
egress.tracing.proxy_user_file: it goes with a `proxy` that needs it, and there is none: name the proxy, or set this to "" where an earlier layer names a file
"#);
}

#[test]
fn an_unusable_file_is_one_problem_without_its_content() {
    let text = r#"
        [egress]
        proxy = "http://proxy.example.com:3128"
        proxy_user_file = "user"
        ca_file = "ca.pem"
    "#;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (user, authorities) in
        [("canary", ""), ("a:b\ncanary:c", broken), (":canary", "-----BEGIN")]
    {
        let wrong = read(text, &[("user", user), ("ca.pem", authorities)]).unwrap_err();
        assert!(!wrong.contains("canary"), "{wrong}");
        assert_eq!(wrong.lines().count(), 2, "{wrong}");
    }
    let lost = read(text, &[]).unwrap_err();
    insta::assert_snapshot!(lost, @r"
egress.ca_file: <folder>/ca.pem: No such file or directory (os error 2)
egress.proxy_user_file: <folder>/user: No such file or directory (os error 2)
");
}

#[test]
fn a_password_in_the_clear_and_an_unread_variable_are_warned_of_without_their_values() {
    let text = "[egress]\nproxy = \"http://proxy.example.com:3128\"\nproxy_user_file = \"user\"\n";
    let environment =
        [("https_proxy", "http://user:canary@proxy"), ("ALL_PROXY", ""), ("NO_PROXY", "a")];
    let settings = loaded(&format!("{SOUND}\n{text}"), &environment, Mode::Production).unwrap();
    let warnings = settings.warnings.iter().map(|one| format!("{}: {}", one.path, one.message));
    insta::assert_snapshot!(warnings.collect::<Vec<_>>().join("\n"), @r"
egress.proxy: the proxy's password crosses the network in the clear: use an `https://` proxy, or a network on which no one else listens
https_proxy: this variable is not read: outgoing connections use the proxy in `egress.proxy`, and none if that is empty
");
    let private = text.replace("http://proxy.example.com", "https://proxy.example.com");
    let settings = loaded(&format!("{SOUND}\n{private}"), &[], Mode::Production).unwrap();
    assert_eq!(settings.warnings, []);
}
