//! The app's backend in the demo: it takes AppServer's reports of uploads as a real backend should.
//!
//! It refuses a report that AppServer did not sign within the last minutes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::upload_reports::{TakenReport, UploadReports};
use crate::config::DEMO_CALLBACK_SECRET;
use appserver_domain::clock::{Clock, Stamp};

/// How far the time of a signature may be away, in seconds.
const MOST_SECONDS_AWAY: u64 = 300;
/// Reports are much shorter.
const MOST_BYTES: usize = 64 << 10;

/// The backend on a loopback port that the system chose.
#[derive(Debug)]
pub(crate) struct UploadBackend {
    listener: TcpListener,
    address: SocketAddr,
    reports: UploadReports,
}

impl UploadBackend {
    pub(crate) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, reports: UploadReports::default() })
    }

    /// Where reports are sent.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/uploads", self.address)
    }

    /// What it takes from now on.
    pub(crate) fn reports(&self) -> UploadReports {
        self.reports.clone()
    }

    pub(crate) async fn serve(self, stop: CancellationToken) {
        let served = axum::serve(self.listener, routes(self.reports));
        let _ = stop.run_until_cancelled(served.into_future()).await;
    }
}

fn routes(reports: UploadReports) -> Router {
    let limit = DefaultBodyLimit::max(MOST_BYTES);
    Router::new().route("/uploads", post(take)).layer(limit).with_state(reports)
}

/// What it answers reaches the app as the answer to its upload.
async fn take(State(reports): State<UploadReports>, headers: HeaderMap, body: Bytes) -> Response {
    let now = Clock::system().now();
    let signature = headers.get("X-AppServer-Signature").and_then(|value| value.to_str().ok());
    let signed = signature.filter(|text| is_from_appserver(DEMO_CALLBACK_SECRET, text, &body, now));
    let Some(signature) = signed else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let read = serde_json::from_slice(&body).and_then(|report: Box<RawValue>| {
        serde_json::from_str(report.get()).map(|upload: Upload| (upload, report))
    });
    let Ok((Upload { upload_id, key }, report)) = read else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = json!({"Saved": true, "UploadId": upload_id, "Key": key});
    reports.add(TakenReport {
        received_at: Stamp::of(now).as_str().to_owned(),
        signature: signature.to_owned(),
        upload_id,
        report,
        answer: answer.clone(),
    });
    Json(answer).into_response()
}

/// What the backend needs of a report.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    upload_id: String,
    key: String,
}

/// Whether the header `t=<seconds>,v1=<HMAC-SHA256>` was made with the secret for this body, at most minutes from now.
fn is_from_appserver(secret: &str, header: &str, body: &[u8], now: DateTime<Utc>) -> bool {
    let field = |name: &str| {
        header.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
    };
    let Some((time, mac)) = field("t").zip(field("v1")) else { return false };
    let Ok(seconds) = time.parse::<i64>() else { return false };
    let Ok(mac) = hex::decode(mac) else { return false };
    let expected = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
        .expect("HMAC takes a key of any length")
        .chain_update(time)
        .chain_update(".")
        .chain_update(body);
    // Compares in constant time.
    expected.verify_slice(&mac).is_ok() && now.timestamp().abs_diff(seconds) < MOST_SECONDS_AWAY
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use tower::ServiceExt;

    use super::*;
    use crate::dev::AuditLines;

    // printf '1452693757.{"a":1}' | openssl dgst -sha256 -hmac canary-secret
    const SIGNATURE: &str =
        "t=1452693757,v1=02df17f8371b35966caedcf8360be09add4b6fd01c4c1819a4bedffb8fae2b1f";

    #[test]
    fn a_report_is_accepted_only_with_the_signature_of_its_body_and_a_time_that_is_near() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let is_from = |secret, header: &str, body: &[u8], seconds| {
            is_from_appserver(secret, header, body, at(seconds))
        };
        let now = 1_452_693_757;
        for seconds in [now, now - 299, now + 299] {
            assert!(is_from("canary-secret", SIGNATURE, br#"{"a":1}"#, seconds));
        }
        for seconds in [now - 300, now + 300] {
            assert!(!is_from("canary-secret", SIGNATURE, br#"{"a":1}"#, seconds));
        }
        assert!(!is_from("another-secret", SIGNATURE, br#"{"a":1}"#, now));
        assert!(!is_from("canary-secret", SIGNATURE, br#"{"a":2}"#, now));
        let later = SIGNATURE.replace("t=1452693757", "t=1452693758");
        let shorter = &SIGNATURE[..SIGNATURE.len() - 2];
        for header in ["", "t=1452693757", "t=now,v1=02", &later, shorter] {
            assert!(!is_from("canary-secret", header, br#"{"a":1}"#, now), "{header}");
        }
    }

    #[tokio::test]
    async fn a_report_without_a_signature_is_neither_taken_nor_shown() {
        let reports = UploadReports::default();
        let request = Request::post("/uploads").body(Body::from(r#"{"UploadId":"1"}"#)).unwrap();
        let answer = routes(reports.clone()).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 401);
        let shown = serde_json::to_string(&reports.shown(&AuditLines::default()).await).unwrap();
        assert_eq!(shown, r#"{"Reports":[]}"#);
    }
}
