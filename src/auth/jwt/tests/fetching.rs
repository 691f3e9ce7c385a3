//! Fetches of an issuer's keys.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, advance};

use super::super::configured_keys::JwksEndpoint;
use super::super::fetch::Fetcher;
use super::signing::{key_set, signer};
use super::site::{Page, Site, StandingTime, answer};
use super::work::Work;
use super::*;

const DESCRIPTION: &str = "/.well-known/openid-configuration";

fn fetcher(site: &Site, from: JwksEndpoint) -> Fetcher {
    Fetcher::new(from, site.origin.clone(), algorithms(&["ES256"]), Egress::default()).unwrap()
}

/// The outcome of a fetch: `success`, or the problem's kind.
async fn outcome(site: &Site, from: JwksEndpoint) -> &'static str {
    fetcher(site, from).fetch().await.map_or_else(|problem| problem.kind(), |_| "success")
}

fn from_set(site: &Site) -> JwksEndpoint {
    JwksEndpoint::KeySet(site.address("/jwks"))
}

fn from_description(site: &Site) -> JwksEndpoint {
    JwksEndpoint::Discovery(KeyAddress::of_discovery(&site.origin).unwrap())
}

#[tokio::test]
async fn keys_are_fetched_from_a_url_or_by_discovery() {
    let signer = signer(0, "one");
    for (from, asked_for) in [
        (from_set as fn(&Site) -> JwksEndpoint, vec!["/jwks"]),
        (from_description, vec![DESCRIPTION, "/jwks"]),
    ] {
        let site = Site::with_keys(&[&signer]).await;
        let ConfiguredKeys::Fetched(_, refresh_policy) = site.issuer().keys else {
            panic!("it is fetched")
        };
        let issuer =
            Issuer { keys: ConfiguredKeys::Fetched(from(&site), refresh_policy), ..site.issuer() };
        let work = Work::begun(issuer).await;
        let caller = work.at_once(&signer.token(&site.claims())).unwrap();
        assert_eq!(caller.subject().unwrap().as_str(), "alice");
        let paths: Vec<_> =
            site.heads().iter().map(|head| head.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(paths, asked_for);
        assert!(site.heads()[0].to_lowercase().contains("accept: application/json\r\n"));
    }
}

/// Redirects are not followed, and other responses are not taken for keys.
#[tokio::test]
async fn a_response_that_is_no_key_set_is_an_error() {
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

/// The discovery document must name the configured issuer and an allowed `jwks_uri`.
#[tokio::test]
async fn a_discovery_document_of_another_issuer_or_with_an_unsafe_jwks_uri_is_an_error() {
    let site = Site::with_keys(&[&signer(0, "one")]).await;
    let neighbour = Site::with_keys(&[&signer(0, "one")]).await;
    let origin = site.origin.clone();
    let jwks = format!("{origin}/jwks");
    for (description, expected) in [
        (json!({"issuer": origin, "jwks_uri": jwks}), "success"),
        // An issuer may keep its keys on another host.
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
async fn a_fetch_times_out_after_five_seconds() {
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

/// An untrusted certificate and a server without TLS are TLS failures; a closed port is a network failure.
#[tokio::test]
async fn tls_failures_are_distinguished_from_network_failures() {
    let site = Site::open().await;
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let encrypted = listener.local_addr().unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (address, expected) in [
        (format!("https://{encrypted}/jwks"), "tls"),
        (format!("https://{plain}/jwks"), "tls"),
        (format!("https://{nobody}/jwks"), "unreachable"),
    ] {
        let from = JwksEndpoint::KeySet(address.clone().try_into().unwrap());
        assert_eq!(outcome(&site, from).await, expected, "{address}");
    }
}

#[tokio::test]
async fn a_response_may_begin_with_a_byte_order_mark() {
    let site = Site::with_keys(&[&signer(0, "one")]).await;
    for path in ["/jwks", DESCRIPTION] {
        let description =
            json!({"issuer": site.origin, "jwks_uri": format!("{}/jwks", site.origin)});
        let text =
            if path == "/jwks" { key_set(&[&signer(0, "one")]) } else { description.to_string() };
        site.show(path, Page::Text(format!("\u{feff}{text}")));
    }
    assert_eq!(outcome(&site, from_description(&site)).await, "success");
}

#[tokio::test]
async fn an_unreadable_key_does_not_affect_the_others() {
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
