//! The client: signs, sends, and repeats what may be repeated.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::call::{Effect, RamCall, Service};
use super::error::{InvalidAnswer, RamError, RamProblem};
use super::refusal::classify;
use crate::backoff::Backoff;
use crate::outbound::{self, BodyError, Egress};
use crate::sts::{Endpoint, nonce, sign_rpc};
use appserver_domain::clock::Clock;
use appserver_domain::{AccountId, SigningCredentials};

/// The longest answer that is read. A role's has a policy of some kilobytes; a list of policies is not paged.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// For DNS, connection and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For one attempt as a whole.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(8);
/// The same for one that creates something: what it made may have a secret that only its answer has.
const CREATION_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a call is repeated; with the last attempt it ends within 20 seconds.
const REPEATED_WITHIN: Duration = Duration::from_secs(10);
/// The most attempts of one call, the first included.
const MOST_ATTEMPTS: u32 = 4;
/// Waits between attempts. RAM documents no rates; a person waits for the command.
const WAITS: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(8), 0.5);

/// Where the services are, and the account that is meant.
#[derive(Debug)]
pub(crate) struct RamSettings {
    pub(crate) ram: Endpoint,
    pub(crate) ims: Endpoint,
    /// Says whose the AccessKey is.
    pub(crate) sts: Endpoint,
    pub(crate) account: AccountId,
}

/// Calls RAM and IMS with an administrator's AccessKey.
#[derive(Debug)]
pub(crate) struct RamClient {
    http: reqwest::Client,
    egress: Egress,
    settings: RamSettings,
    key: SigningCredentials,
    clock: Clock,
}

/// The TLS client cannot be set up, as in a container without CA certificates.
#[derive(Debug, thiserror::Error)]
#[error("the system's certificates cannot be used to verify RAM")]
pub(crate) struct RamTlsError(#[source] reqwest::Error);

impl RamClient {
    /// Makes a client without connecting.
    pub(crate) fn new(
        settings: RamSettings,
        key: SigningCredentials,
        egress: Egress,
        clock: Clock,
    ) -> Result<Self, RamTlsError> {
        let endpoints = [&settings.ram, &settings.ims, &settings.sts];
        let verifies_tls = endpoints.into_iter().any(Endpoint::is_encrypted);
        let builder = egress.client(verifies_tls).connect_timeout(CONNECT_TIMEOUT);
        let http = builder.build().map_err(RamTlsError)?;
        Ok(Self { http, egress, settings, key, clock })
    }

    /// The user's name in IMS. Every account has the domain of its own number.
    pub(super) fn user_principal(&self, user: &str) -> String {
        format!("{user}@{}.onaliyun.com", self.settings.account)
    }

    fn endpoint(&self, service: Service) -> &Endpoint {
        match service {
            Service::Ram => &self.settings.ram,
            Service::Ims => &self.settings.ims,
            Service::Sts => &self.settings.sts,
        }
    }

    /// Calls, with retries, and parses the answer.
    pub(super) async fn call<T>(
        &self,
        call: &RamCall<'_>,
        read: impl Fn(&Value) -> Result<T, InvalidAnswer>,
    ) -> Result<T, RamError> {
        let began = Instant::now();
        let mut number = 1;
        let limit = match call.effect {
            Effect::Repeatable => ATTEMPT_TIMEOUT,
            Effect::Creates => CREATION_TIMEOUT,
        };
        let problem = loop {
            let answer = match timeout(limit, self.attempt(call)).await {
                Ok(answer) => answer,
                Err(_) => Err(RamProblem::TimedOut {
                    service: call.service.name(),
                    host: self.endpoint(call.service).authority().to_owned(),
                }),
            };
            let invalid = |problem| RamProblem::invalid(call.service, problem);
            let problem = match answer.and_then(|answer| read(&answer).map_err(invalid)) {
                Ok(done) => return Ok(done),
                Err(problem) => problem,
            };
            let may_repeat = match call.effect {
                Effect::Repeatable => problem.is_transient(),
                Effect::Creates => problem.is_transient() && !problem.may_be_done(),
            };
            if !may_repeat || number == MOST_ATTEMPTS || began.elapsed() >= REPEATED_WITHIN {
                break problem;
            }
            sleep(WAITS.wait_after(number)).await;
            number += 1;
        };
        Err(RamError {
            action: call.action,
            subject: call.subject.clone(),
            problem: Box::new(problem),
        })
    }

    async fn attempt(&self, call: &RamCall<'_>) -> Result<Value, RamProblem> {
        let service = call.service.name();
        let endpoint = self.endpoint(call.service);
        let parameters = call.parameters(&self.key, nonce(), self.clock.now());
        let signed = sign_rpc("POST", parameters, self.key.secret());
        let request = self.http.post(endpoint.url().clone()).body(signed.form);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        let broken = |cause: reqwest::Error| {
            let cause = match self.egress.proxy_error(cause) {
                Ok(cause) => return RamProblem::Proxy { service, cause },
                Err(cause) => cause.without_url(),
            };
            if cause.is_connect() {
                RamProblem::Unreachable { service, host: endpoint.authority().into(), cause }
            } else {
                RamProblem::Broken { service, cause }
            }
        };
        let mut response = request.send().await.map_err(broken)?;
        let body = outbound::read_body(&mut response, LONGEST_ANSWER).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLong(limit) => {
                RamProblem::invalid(call.service, InvalidAnswer::TooLong(limit))
            }
            BodyError::Broken(cause) => broken(cause),
        })?;
        let answer: Option<Value> = serde_json::from_slice(&body).ok();
        let status = response.status();
        if !status.is_success() {
            return Err(classify(status, answer.as_ref(), call, &self.settings.account));
        }
        answer.ok_or_else(|| RamProblem::invalid(call.service, InvalidAnswer::NotJson))
    }
}
