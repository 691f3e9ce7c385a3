//! The public listener's keys: certificates, proxies, origins.

use super::*;
use appserver_domain::clock::Clock;

struct Pem {
    chain: String,
    key: String,
}

fn certificate(years: (i32, i32)) -> Pem {
    let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let chain = params.self_signed(&key).unwrap().pem();
    Pem { chain, key: key.serialize_pem() }
}

/// The configuration beside these files, read with its secrets.
fn read(tls: &str, files: &[(&str, &str)]) -> Result<Secrets, String> {
    let text = format!(
        "{SOUND}\n[server.tls]\n{tls}\n[sts.identity.access_key]\nsource = \"files\"\nid_file = \"id\"\nsecret_file = \"secret\"\n"
    );
    let standing = [
        ("app.toml", text.as_str()),
        ("policies/album.json", POLICY),
        ("id", "a"),
        ("secret", "b"),
    ];
    let folder = folder(&[&standing, files].concat());
    let root = std::fs::canonicalize(folder.path()).unwrap().display().to_string();
    let loaded = load(&[folder.path().join("app.toml")], &Environment::new(), Mode::Production);
    loaded
        .and_then(|settings| settings.read_secrets())
        .map_err(|problems| problems.to_string().replace(&root, "<folder>"))
}

const OWN: &str = "certificate_file = \"tls.crt\"\nkey_file = \"tls.key\"";

#[test]
fn each_problem_of_a_certificate_is_reported_with_its_file() {
    let (own, other) = (certificate((2020, 4000)), certificate((2020, 4000)));
    let trusting = format!("{OWN}\nclient_certificates = \"required\"\nclient_ca_file = \"ca\"\n");
    let revoking = format!("{trusting}client_crl_file = \"crl\"\n");
    let tables: [(&str, &[(&str, &str)]); 9] = [
        (OWN, &[]),
        (OWN, &[("tls.crt", "none"), ("tls.key", &own.key)]),
        (OWN, &[("tls.crt", &own.chain), ("tls.key", &own.chain)]),
        (OWN, &[("tls.crt", &own.chain), ("tls.key", &other.key)]),
        (
            OWN,
            &[
                ("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                ("tls.key", &own.key),
            ],
        ),
        (OWN, &[("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n"), ("tls.key", &own.key)]),
        (&trusting, &[("tls.crt", &own.chain), ("tls.key", &own.key)]),
        (&trusting, &[("tls.crt", &own.chain), ("tls.key", &own.key), ("ca", &own.key)]),
        (
            &revoking,
            &[("tls.crt", &own.chain), ("tls.key", &own.key), ("ca", &own.chain), ("crl", "x")],
        ),
    ];
    let reported = tables.map(|(tls, files)| read(tls, files).err().unwrap());
    insta::assert_snapshot!(reported.join("\n"), @r#"
server.tls.certificate_file: <folder>/tls.crt: No such file or directory (os error 2)
server.tls.key_file: <folder>/tls.key: No such file or directory (os error 2)
server.tls.certificate_file: <folder>/tls.crt: it contains no certificate; the file holds the chain in PEM, the server's own certificate first
server.tls.key_file: <folder>/tls.key: it contains no private key; the file holds one in PEM (PKCS#8, SEC1 or PKCS#1), not encrypted
server.tls.key_file: <folder>/tls.key: it is not the key of the certificate
server.tls.certificate_file: <folder>/tls.crt: the certificate is not valid X.509
server.tls.certificate_file: <folder>/tls.crt: it is not valid PEM
server.tls.client_ca_file: <folder>/ca: No such file or directory (os error 2)
server.tls.client_ca_file: <folder>/ca: it contains no usable CA certificate in PEM
server.tls.client_crl_file: <folder>/crl: it contains no usable certificate revocation list in PEM
"#);
    assert!(read(OWN, &[("tls.crt", &own.chain), ("tls.key", &own.key)]).is_ok());
    // One file may hold both.
    let both = format!("{}{}", own.key, own.chain);
    let one = "certificate_file = \"tls.pem\"\nkey_file = \"tls.pem\"";
    assert!(read(one, &[("tls.pem", &both)]).is_ok());
}

/// A server whose certificate has expired may still serve some callers; one that does not start serves none.
#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let now = Clock::manual("2026-06-01T00:00:00Z".parse().unwrap()).now();
    let warnings = |years| {
        let Pem { chain, key } = certificate(years);
        let secrets = read(OWN, &[("tls.crt", &chain), ("tls.key", &key)]).unwrap();
        let at = |now| {
            secrets.warning(now).map(|warning| format!("{}: {}", warning.path, warning.message))
        };
        (at(now), at(now + chrono::TimeDelta::days(205)))
    };
    assert_eq!(warnings((2020, 2030)), (None, None));
    insta::assert_debug_snapshot!([warnings((2020, 2024)).0, warnings((2027, 2030)).0, warnings((2020, 2027)).1], @r#"
[
    Some(
        "server.tls.certificate_file: the certificate expired at 2024-01-01 00:00:00 UTC; clients reject it, renew it",
    ),
    Some(
        "server.tls.certificate_file: the certificate is not valid before 2027-01-01 00:00:00 UTC; clients reject it",
    ),
    Some(
        "server.tls.certificate_file: the certificate expires at 2027-01-01 00:00:00 UTC; renew it",
    ),
]
"#);
}

#[test]
fn contradictions_between_the_listeners_keys_are_reported() {
    let wrong = r#"
        [server]
        listen = "0.0.0.0:8443"
        max_streams = 0
        trusted_proxies = []
        forwarded_header = "x-forwarded-for"
        proxy_protocol = true
        [server.tls]
        certificate_file = "tls.crt"
        [clients.app-two]
        grants = ["album"]
        certificates = ["dns:App.example.com", "dns:app.example.com"]
        [clients.app-three]
        grants = ["album"]
        certificates = ["dns:app.example.com"]
    "#;
    insta::assert_snapshot!(problems(wrong), @r#"
clients.app-two.certificates: `dns:app.example.com` already is a name of the client `app-three`
server.forwarded_header: it has no effect without trusted proxies: list the networks of your proxies in `server.trusted_proxies`
server.max_streams: 0 is not between 1 and 10000 requests
server.proxy_protocol: it has no effect without trusted proxies: list the networks of your proxies in `server.trusted_proxies`
server.tls: `certificate_file` and `key_file` go together
"#);
    let each = [
        "[server.tls]\nclient_certificates = \"optional\"",
        "[server.tls]\nclient_ca_file = \"ca\"",
        "[server.tls]\nclient_certificates = \"required\"\nclient_ca_file = \"ca\"",
        "[server.tls]\nclient_certificates = \"on\"",
        "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"0.0.0.0/0\"]",
        "[server]\nforwarded_header = \"x-real-ip\"",
        "[server]\ncors_origins = [\"https://app.example.com\", \"*\"]",
        "[clients.app-two]\ngrants = []\ncertificates = [\"app.example.com\"]",
    ];
    insta::assert_snapshot!(each.map(problems).join("\n"), @r#"
server.tls.client_ca_file: name the CAs that issue clients' certificates; the system's CAs would accept anybody's
server.tls.client_certificates: it is `off`, so clients are not asked for a certificate: set it to `optional` or `required`, or remove `client_ca_file` and `client_crl_file`
server.tls.client_certificates: client certificates are presented in TLS handshakes: set `certificate_file` and `key_file`
server.tls.client_certificates: it must be `off`, `optional` or `required`
server.trusted_proxies: item 2: it would trust every address; list only the networks of your proxies
server.forwarded_header: it must be `none`, `x-forwarded-for` or `forwarded`
server.cors_origins: item 2: an origin is written as browsers send it: a scheme and a host in lower case, a port only where it is not the scheme's own, and nothing after it, such as `https://app.example.com`; `*` and `null` are not let in
clients.app-two.certificates: a certificate's name is `dns:`, `uri:`, `email:` or `subject:` and the whole of what the certificate says, such as `dns:app.example.com` or `subject:CN=app,O=Example`
"#);
}

#[test]
fn unused_proxies_and_unused_certificate_names_cause_warnings() {
    let text = format!(
        "{SOUND}\n[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n[clients.app-two]\ngrants = [\"album\"]\n\
         certificates = [\"dns:a\"]\n"
    );
    let warnings = loaded(&text, &[], Mode::Production).unwrap().warnings;
    let reported: Vec<_> = warnings.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(reported, ["server.trusted_proxies", "clients.app-two.certificates"]);
}

#[test]
fn a_listener_with_a_certificate_may_listen_beyond_loopback() {
    let text = format!("{SOUND}\n[server]\nlisten = \"0.0.0.0:8443\"\n[server.tls]\n{OWN}");
    let settings = loaded(&text, &[], Mode::Production).unwrap();
    assert!(settings.tls.is_some());
}
