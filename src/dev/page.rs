//! `http://127.0.0.1:8080/dev/`: a page that shows what tokens allow and deny.
//!
//! The page is a client: it calls the service with a demo client's secret, and the emulated OSS with the token. These routes serve the
//! page, and the data that no client has.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::get;
use serde::Deserialize;

use super::counters::Counters;
use super::request_record::{RecordSources, RequestRecord};
use super::setup::{Setup, USERS};
use super::upload_reports::UploadReports;
use crate::telemetry::Metrics;
use appserver_domain::clock::Clock;
use appserver_domain::is_loopback;
use appserver_emulator::demo_jwt;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The files of the page, by their name below `/dev/`.
const ASSETS: [(&str, &str, &str); 30] = [
    ("", HTML, include_str!("assets/index.html")),
    ("advice.js", JS, include_str!("assets/advice.js")),
    ("asking.js", JS, include_str!("assets/asking.js")),
    ("code-signed.js", JS, include_str!("assets/code-signed.js")),
    ("code-token.js", JS, include_str!("assets/code-token.js")),
    ("code.js", JS, include_str!("assets/code.js")),
    ("counters.js", JS, include_str!("assets/counters.js")),
    ("exchange.js", JS, include_str!("assets/exchange.js")),
    ("flow.css", CSS, include_str!("assets/flow.css")),
    ("flow.js", JS, include_str!("assets/flow.js")),
    ("icon.svg", SVG, include_str!("assets/icon.svg")),
    ("landscape.js", JS, include_str!("assets/landscape.js")),
    ("life.js", JS, include_str!("assets/life.js")),
    ("oss.js", JS, include_str!("assets/oss.js")),
    ("page.css", CSS, include_str!("assets/page.css")),
    ("page.js", JS, include_str!("assets/page.js")),
    ("phone.css", CSS, include_str!("assets/phone.css")),
    ("pictures.js", JS, include_str!("assets/pictures.js")),
    ("policy.js", JS, include_str!("assets/policy.js")),
    ("reporting.js", JS, include_str!("assets/reporting.js")),
    ("service.js", JS, include_str!("assets/service.js")),
    ("signature.js", JS, include_str!("assets/signature.js")),
    ("step.js", JS, include_str!("assets/step.js")),
    ("text.js", JS, include_str!("assets/text.js")),
    ("texts-en.js", JS, include_str!("assets/texts-en.js")),
    ("texts-zh.js", JS, include_str!("assets/texts-zh.js")),
    ("uploads.js", JS, include_str!("assets/uploads.js")),
    ("usage.js", JS, include_str!("assets/usage.js")),
    ("vending.js", JS, include_str!("assets/vending.js")),
    ("verdict.js", JS, include_str!("assets/verdict.js")),
];

/// The routes below `/dev`, and `/`, which leads there. The counters are those of all servers together.
pub(crate) fn routes(
    setup: &Setup,
    servers: Vec<Arc<Metrics>>,
    records: RecordSources,
    reports: UploadReports,
) -> Router {
    let policy = security_policy(setup);
    let setup = serde_json::to_value(setup).expect("names and addresses are plain JSON");
    let audit = records.audit.clone();
    let record = async move |Path(id): Path<String>| {
        Json(reading(move || RequestRecord::find(&records, &id)).await)
    };
    let mut routes = Router::new()
        .route("/", get(async || Redirect::temporary("/dev/")))
        .route("/dev", get(async || Redirect::permanent("/dev/")))
        .route("/dev/setup.json", get(async || Json(setup)))
        .route("/dev/jwt", get(jwt))
        .route("/dev/requests/{id}", get(record))
        .route("/dev/uploads", get(async move || Json(reports.shown(&audit).await)))
        .route("/dev/counters.json", get(async move || Json(Counters::of(&servers))));
    for (name, media_type, text) in ASSETS {
        let answer = async move || ([(header::CONTENT_TYPE, media_type)], text);
        routes = routes.route(&format!("/dev/{name}"), get(answer));
    }
    let with_headers = move |answer: Response| {
        let policy = policy.clone();
        async move { add_headers(answer, policy) }
    };
    routes
        .fallback(not_found)
        .layer(from_fn(on_this_machine))
        .layer(axum::middleware::map_response(with_headers))
}

/// A name that leads to this machine is a website's, whose scripts are to read nothing here.
async fn on_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(HeaderValue::to_str);
    let names_it = |host: &str| host.parse().is_ok_and(|host: Authority| is_loopback(host.host()));
    match host {
        None => next.run(request).await,
        Some(Ok(host)) if names_it(host) => next.run(request).await,
        Some(_) => {
            let text = "This page answers to `localhost` and loopback addresses only.\n";
            (StatusCode::FORBIDDEN, text).into_response()
        }
    }
}

/// Reads what may be in files, which no other request waits for.
async fn reading<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("reading lines does not panic")
}

/// A demo user's token, as an identity provider gives it to the app.
async fn jwt(query: Result<Query<JwtQuery>, QueryRejection>) -> Response {
    let user = query.ok().map(|Query(JwtQuery { user })| user);
    if let Some(user) = user.filter(|user| USERS.contains(&user.as_str())) {
        let jwt = demo_jwt(&user, Clock::system().now());
        Json(serde_json::json!({"Jwt": jwt})).into_response()
    } else {
        let message = format!(
            "Name one of the demo's users, such as `/dev/jwt?user={}`; they are: {}.",
            USERS[0],
            USERS.join(", ")
        );
        let body = serde_json::json!({"Code": "NotFound", "Message": message});
        (StatusCode::NOT_FOUND, Json(body)).into_response()
    }
}

#[derive(Deserialize)]
struct JwtQuery {
    user: String,
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, Json(serde_json::json!({"Code": "NotFound"})))
}

/// The page loads from and connects to this server and the emulated OSS only; inline scripts are blocked.
fn security_policy(setup: &Setup) -> HeaderValue {
    let oss = setup.oss_endpoint();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {oss}; img-src 'self' blob:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    policy.try_into().expect("an address is ASCII")
}

fn add_headers(mut answer: Response, policy: HeaderValue) -> Response {
    let fields: [(HeaderName, HeaderValue); 4] = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // A cached page of an older build would not match the server.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    answer.headers_mut().extend(fields);
    answer
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;
    use crate::config::{self, Environment, Mode};
    use crate::dev::AuditLines;
    use crate::telemetry::RecentLines;
    use appserver_emulator::{Emulator, EmulatorSettings};

    const OSS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8091);
    const STS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8090);

    /// Status, headers and text of an answer.
    async fn answer(path: &str) -> (u16, axum::http::HeaderMap, String) {
        answer_to(path, "127.0.0.1:8080").await
    }

    #[tokio::test]
    async fn a_website_whose_name_leads_to_this_machine_reads_nothing() {
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "127.0.0.2"] {
            assert_eq!(answer_to("/dev/setup.json", host).await.0, 200, "{host}");
        }
        for host in [
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "",
        ] {
            for path in ["/", "/dev/", "/dev/setup.json", "/dev/jwt?user=alice", "/dev/uploads"] {
                assert_eq!(answer_to(path, host).await.0, 403, "{host} {path}");
            }
        }
    }

    async fn answer_to(path: &str, host: &str) -> (u16, axum::http::HeaderMap, String) {
        let files = ["config/dev.toml".into()];
        let settings = config::load(&files, &Environment::new(), Mode::Demo).unwrap();
        let cloud = EmulatorSettings::from_file("config/emulator.toml".as_ref()).unwrap();
        let setup = Setup::of(&settings, &cloud.buckets, OSS, STS);
        let emulator = Emulator::bind(cloud, (Ipv4Addr::LOCALHOST, 0).into(), Clock::system());
        let records = RecordSources {
            audit: AuditLines::default(),
            log: RecentLines::default(),
            emulator: emulator.await.unwrap().control(),
        };
        let routes = routes(&setup, vec![], records, UploadReports::default());
        let request = Request::get(path).header(header::HOST, host).body(Body::empty()).unwrap();
        let (parts, body) = routes.oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test]
    async fn every_file_of_the_page_is_served_and_connects_only_to_us_and_the_emulated_oss() {
        for (name, media_type, text) in ASSETS {
            let (status, headers, body) = answer(&format!("/dev/{name}")).await;
            assert_eq!((status, body.as_str()), (200, text), "{name}");
            assert_eq!(headers["content-type"], media_type, "{name}");
            assert_eq!(headers["x-content-type-options"], "nosniff", "{name}");
            insta::allow_duplicates! {
                insta::assert_snapshot!(headers["content-security-policy"].to_str().unwrap(), @"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' http://127.0.0.1:8091; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
            }
        }
        let in_folder = std::fs::read_dir("src/dev/assets").unwrap().count();
        assert_eq!(ASSETS.len(), in_folder, "a file is not served");
    }

    #[tokio::test]
    async fn setup_json_lists_the_demo_clients_and_users() {
        let (status, _, body) = answer("/dev/setup.json").await;
        assert_eq!(status, 200);
        insta::assert_snapshot!(body, @r#"{"Buckets":[{"Name":"sample-bucket","Region":"cn-hangzhou"},{"Name":"sample-public","Region":"cn-hangzhou"}],"Clients":[{"ForUsers":false,"Id":"client-001","Secret":"client-001-demo-secret"},{"ForUsers":false,"Id":"client-002","Secret":"client-002-demo-secret"},{"ForUsers":false,"Id":"client-003","Secret":"client-003-demo-secret"},{"ForUsers":false,"Id":"client-004","Secret":"client-004-demo-secret"},{"ForUsers":true,"Id":"photo-app","PutUrlGrant":"my-photos","Secret":"photo-app-demo-secret","UploadGrant":"photo-upload"}],"OssEndpoint":"http://127.0.0.1:8091","StsEndpoint":"http://127.0.0.1:8090","Users":["alice","bob"]}"#);
    }

    #[tokio::test]
    async fn a_users_token_is_valid_and_names_the_user() {
        let (status, _, body) = answer("/dev/jwt?user=alice").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let claims = body["Jwt"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
        let claims =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
        let claims: serde_json::Value = serde_json::from_slice(&claims.unwrap()).unwrap();
        assert_eq!((status, &claims["sub"]), (200, &"alice".into()));
        assert!(claims["exp"].as_i64().unwrap() > Clock::system().now().timestamp() + 3500);
    }

    #[tokio::test]
    async fn an_unknown_user_gets_the_list_of_users() {
        for path in ["/dev/jwt", "/dev/jwt?user=zoe", "/dev/jwt?name=alice"] {
            let (status, _, body) = answer(path).await;
            assert_eq!(status, 404, "{path}");
            insta::allow_duplicates! {
                insta::assert_snapshot!(body, @r#"{"Code":"NotFound","Message":"Name one of the demo's users, such as `/dev/jwt?user=alice`; they are: alice, bob."}"#);
            }
        }
    }

    #[tokio::test]
    async fn unknown_paths_are_not_found() {
        let (status, headers, body) = answer("/dev/nothing").await;
        assert_eq!((status, body.as_str()), (404, r#"{"Code":"NotFound"}"#));
        assert_eq!(headers["content-type"], "application/json");
        let (status, headers, _) = answer("/dev").await;
        assert_eq!((status, &headers["location"]), (308, &HeaderValue::from_static("/dev/")));
        let (status, headers, _) = answer("/").await;
        assert_eq!((status, &headers["location"]), (307, &HeaderValue::from_static("/dev/")));
    }
}
