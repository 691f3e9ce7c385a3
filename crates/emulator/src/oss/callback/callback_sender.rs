//! Sends a callback to its URLs, in their order until one succeeds, and judges the answer. Nothing is sent twice to a URL.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{Response, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use super::callback_failure::CallbackFailure;
use super::callback_problem::CallbackProblem;
use super::callback_request::CallbackRequest;
use super::callback_settings::CallbackSettings;
use super::callback_signer::{CallbackSigner, PUBLIC_KEY_PATH, content_md5};
use super::callback_target::CallbackTarget;
use super::upload_facts::{UploadFacts, Uploaded};
use crate::oss::error::OssError;
use crate::oss::request_context::RequestContext;
use crate::oss::response::http_date;
use crate::oss::xml;

const MOST_ANSWER_BYTES: u64 = 1 << 20;

pub(crate) struct CallbackSender {
    settings: CallbackSettings,
    signer: CallbackSigner,
    /// In base64, as the header has it.
    key_url: String,
    client: reqwest::Client,
    client_with_sni: reqwest::Client,
}

/// The accepted answer of a server.
struct Accepted {
    content_type: &'static str,
    body: Bytes,
}

impl CallbackSender {
    /// `oss` is the address where the public key is served.
    pub(crate) fn new(settings: CallbackSettings, oss: SocketAddr) -> reqwest::Result<Self> {
        let client = |sends_sni| {
            reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .dns_resolver(Arc::new(settings))
                .pool_max_idle_per_host(0)
                .tls_sni(sends_sni)
                .build()
        };
        Ok(Self {
            settings,
            signer: CallbackSigner::new(),
            key_url: STANDARD.encode(format!("http://{oss}/{PUBLIC_KEY_PATH}")),
            client: client(false)?,
            client_with_sni: client(true)?,
        })
    }

    /// Checks the addresses of a callback, before anything is stored.
    pub(crate) async fn accept(
        &self,
        request: Result<Option<CallbackRequest>, CallbackProblem>,
    ) -> Result<Option<CallbackRequest>, OssError> {
        let request = request?;
        for target in request.iter().flat_map(|request| &request.targets) {
            self.settings.check(target).await?;
        }
        Ok(request)
    }

    /// Sends a callback. The server's answer is the answer to the upload.
    pub(crate) async fn answer(
        &self,
        context: &RequestContext<'_>,
        request: &CallbackRequest,
        uploaded: Uploaded<'_>,
    ) -> Result<Response<Body>, OssError> {
        let facts = UploadFacts::of(context, request, uploaded).await;
        let facts = facts.map_err(OssError::CallbackFailed)?;
        self.send(request, &facts).await.map_err(OssError::CallbackFailed)
    }

    async fn send(
        &self,
        request: &CallbackRequest,
        facts: &UploadFacts<'_>,
    ) -> Result<Response<Body>, CallbackFailure> {
        let body = request.body.fill(request.body_type, |variable| facts.value(request, variable));
        let mut failure = CallbackFailure::Unreachable;
        for target in &request.targets {
            let asked = self.ask(target, request, facts, body.clone());
            let outcome = tokio::time::timeout(self.settings.timeout, asked).await;
            let timed_out = || CallbackFailure::TimedOut {
                server: target.server(),
                timeout: self.settings.timeout,
            };
            match outcome.unwrap_or_else(|_| Err(timed_out())) {
                Ok(Accepted { content_type, body }) => {
                    let mut response = Response::new(Body::from(body));
                    let content_type = header::HeaderValue::from_static(content_type);
                    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
                    return Ok(response);
                }
                Err(other) => {
                    let (url, message) = (target.url.as_str(), other.message());
                    tracing::warn!("a callback of the emulated OSS to `{url}` failed: {message}");
                    failure = other;
                }
            }
        }
        Err(failure)
    }

    async fn ask(
        &self,
        target: &CallbackTarget,
        request: &CallbackRequest,
        facts: &UploadFacts<'_>,
        body: String,
    ) -> Result<Accepted, CallbackFailure> {
        let client = if request.sends_sni { &self.client_with_sni } else { &self.client };
        let url = target.url.clone();
        let authorization = self.signer.authorization(url.path(), url.query(), body.as_bytes());
        let mut built = client
            .post(url)
            .header(header::CONNECTION, "close")
            .header(header::AUTHORIZATION, authorization)
            .header("content-md5", content_md5(body.as_bytes()))
            .header(header::CONTENT_TYPE, request.body_type.name())
            .header(header::DATE, http_date(facts.now))
            .header(header::USER_AGENT, "aliyun-oss-callback")
            .header("x-oss-bucket", facts.bucket)
            .header("x-oss-pub-key-url", &self.key_url)
            .header("x-oss-request-id", facts.request_id)
            .header("x-oss-requester", &facts.requester)
            .header("x-oss-signature-version", "1.0")
            .header("x-oss-tag", "CALLBACK");
        if let Some(host) = &request.host {
            built = built.header(header::HOST, host);
        }
        let mut response = built.body(body).send().await.map_err(|error| failure_of(&error))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(CallbackFailure::Status(status));
        }
        let headers = response.headers();
        let length = headers.get(header::CONTENT_LENGTH).ok_or(CallbackFailure::NoContentLength)?;
        let length: u64 = length.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        if length == 0 {
            return Err(CallbackFailure::EmptyBody);
        }
        if length > MOST_ANSWER_BYTES {
            return Err(CallbackFailure::LongBody);
        }
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|text| text.to_str().ok());
        let is_xml = content_type.is_some_and(|text| text.starts_with("application/xml"));
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure_of(&error))? {
            body.extend_from_slice(&chunk);
        }
        let is_valid = if is_xml {
            xml::is_well_formed(&body)
        } else {
            serde_json::from_slice::<IgnoredAny>(&body).is_ok()
        };
        let content_type = if is_xml { "application/xml" } else { "application/json" };
        is_valid
            .then(|| Accepted { content_type, body: body.into() })
            .ok_or(CallbackFailure::NotJson)
    }
}

/// A server that refuses connections is unreachable; a broken answer or an invalid certificate is like the answer 502.
fn failure_of(error: &reqwest::Error) -> CallbackFailure {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        // TLS reports an invalid certificate as invalid data.
        if let Some(io) = error.downcast_ref::<std::io::Error>()
            && matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::Other)
        {
            return CallbackFailure::Status(502);
        }
        cause = error.source();
    }
    if error.is_connect() { CallbackFailure::Unreachable } else { CallbackFailure::Status(502) }
}
