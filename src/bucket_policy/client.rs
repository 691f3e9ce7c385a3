//! Reads and replaces the policies of buckets with an administrator's AccessKey.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use secrecy::SecretString;
use tokio::time::timeout;

use crate::oss_bucket::OssBucket;
use crate::outbound::{self, BodyError, Egress, ProxyError};
use crate::sign::{BucketRequest, Scope, SessionKey};
use appserver_domain::SigningCredentials;
use appserver_domain::clock::Clock;

/// For a request as a whole. It is not repeated by itself: the command can be.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer that is read; a policy has at most 16 KB.
const LONGEST_ANSWER: usize = 256 * 1024;

/// Calls OSS about bucket policies.
pub(crate) struct BucketPolicyClient {
    http: reqwest::Client,
    egress: Egress,
    key: SigningCredentials,
    /// The empty token of a long-lived key.
    no_token: SecretString,
    clock: Clock,
}

/// Why OSS did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OssCallError {
    #[error("the system's certificates cannot be used to verify OSS")]
    Tls(#[source] reqwest::Error),
    #[error("OSS cannot be reached")]
    Proxy(#[source] ProxyError),
    #[error("OSS cannot be reached at {host}: check the endpoint and the network")]
    Unreachable {
        host: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("OSS at {0} did not answer in time: try again")]
    TimedOut(String),
    #[error("the connection to OSS broke: try again")]
    Broken(#[source] reqwest::Error),
    #[error("OSS's answer is longer than {0} bytes")]
    TooLong(usize),
    #[error("the policy that OSS answered is not UTF-8")]
    NotText,
    /// With what `AccessDenied` needs.
    #[error(
        "OSS refused {method} of the bucket's policy with HTTP status {status}, {code}: {message} (request {request_id}){way_out}"
    )]
    Refused {
        method: Method,
        status: u16,
        code: String,
        message: String,
        request_id: String,
        way_out: &'static str,
    },
}

impl BucketPolicyClient {
    /// Makes a client without connecting.
    pub(crate) fn new(
        key: SigningCredentials,
        egress: Egress,
        clock: Clock,
        verifies_tls: bool,
    ) -> Result<Self, OssCallError> {
        let builder = egress.client(verifies_tls).connect_timeout(CONNECT_TIMEOUT);
        let http = builder.build().map_err(OssCallError::Tls)?;
        Ok(Self { http, egress, key, no_token: SecretString::default(), clock })
    }

    /// The text of the bucket's policy, if it has one.
    pub(super) async fn get(&self, bucket: &OssBucket) -> Result<Option<String>, OssCallError> {
        let Some(body) = self.call(Method::GET, bucket, None).await? else { return Ok(None) };
        String::from_utf8(body).map(Some).map_err(|_| OssCallError::NotText)
    }

    /// Replaces the whole policy.
    pub(super) async fn put(&self, bucket: &OssBucket, json: String) -> Result<(), OssCallError> {
        self.call(Method::PUT, bucket, Some(json)).await.map(|_| ())
    }

    /// Removes the whole policy.
    pub(super) async fn delete(&self, bucket: &OssBucket) -> Result<(), OssCallError> {
        self.call(Method::DELETE, bucket, None).await.map(|_| ())
    }

    /// The body of the answer; `None` if the bucket has no policy.
    async fn call(
        &self,
        method: Method,
        bucket: &OssBucket,
        body: Option<String>,
    ) -> Result<Option<Vec<u8>>, OssCallError> {
        let host = bucket.url();
        let sent = timeout(TIMEOUT, self.attempt(method.clone(), bucket, body));
        let (status, body) = sent.await.map_err(|_| OssCallError::TimedOut(host))??;
        if status.is_success() {
            return Ok(Some(body));
        }
        let text = String::from_utf8_lossy(&body);
        let code = tag(&text, "Code");
        if status == StatusCode::NOT_FOUND && code == "NoSuchBucketPolicy" {
            return Ok(None);
        }
        Err(OssCallError::Refused {
            way_out: way_out(&code),
            method,
            status: status.as_u16(),
            message: tag(&text, "Message"),
            request_id: tag(&text, "RequestId"),
            code,
        })
    }

    async fn attempt(
        &self,
        method: Method,
        bucket: &OssBucket,
        body: Option<String>,
    ) -> Result<(StatusCode, Vec<u8>), OssCallError> {
        let request = BucketRequest {
            method: method.as_str(),
            bucket: bucket.bucket(),
            subresource: "policy",
            content_type: body.as_ref().map(|_| "application/json"),
        };
        let key = SessionKey {
            access_key_id: self.key.id().as_str(),
            secret: self.key.secret(),
            security_token: self.key.security_token().unwrap_or(&self.no_token),
        };
        let scope = Scope::new(self.clock.now(), bucket.region());
        let url = bucket.url();
        let headers = request.headers(key, &scope);
        let mut sent = self.http.request(method, format!("{url}?policy"));
        for (name, value) in headers {
            sent = sent.header(name, value);
        }
        let sent = match body {
            Some(body) => sent.body(body),
            None => sent,
        };
        let failed = |cause: reqwest::Error| match self.egress.proxy_error(cause) {
            Ok(cause) => OssCallError::Proxy(cause),
            Err(cause) if cause.is_connect() => {
                OssCallError::Unreachable { host: url.clone(), cause: cause.without_url() }
            }
            Err(cause) => OssCallError::Broken(cause.without_url()),
        };
        let mut response = sent.send().await.map_err(failed)?;
        let status = response.status();
        let body = outbound::read_body(&mut response, LONGEST_ANSWER).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLong(limit) => OssCallError::TooLong(limit),
            BodyError::Broken(cause) => failed(cause),
        })?;
        Ok((status, body))
    }
}

/// What an operator does about it.
fn way_out(code: &str) -> &'static str {
    match code {
        "AccessDenied" => {
            "; the AccessKey needs oss:GetBucketPolicy and oss:PutBucketPolicy on the bucket, and oss:DeleteBucketPolicy to take \
             back the last statement"
        }
        "NoSuchBucket" => "; check the bucket's name and the account of the AccessKey",
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            "; check ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"
        }
        "RequestTimeTooSkewed" => "; set this machine's clock",
        _ => "",
    }
}

/// The text of the first such element of an error. OSS's errors are flat, and have no attributes.
fn tag(xml: &str, name: &str) -> String {
    let rest = xml.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
    let inner = rest.and_then(|rest| rest.split_once(&format!("</{name}>")));
    let text = inner.map_or("-", |(text, _)| text);
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}
