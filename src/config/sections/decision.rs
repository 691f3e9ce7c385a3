//! `[decision]`: the operator's hook that refuses or shortens what grants allow.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::body_secret::BodySecretSource;
use crate::config::bounds::{Millis, Secs};
use crate::config::environment::Mode;
use crate::config::field::{Clearable, Field, List};
use crate::config::problems::{Problem, Problems};
use crate::config::secret_reads::SecretReads;
use crate::decision::{HookMode, HookSettings, HookUrl, ListedHeader, OnError};
use appserver_domain::GrantName;

/// A hook that decides after the grant and before the cache and STS.
#[derive(Debug, Deserialize)]
pub(crate) struct RawDecision {
    /// Default empty: nothing is asked.
    url: Field<Clearable<HookUrl>>,
    /// Required with `url`: holds the secret that signs what the hook gets. White space at its end is trimmed.
    secret_file: Field<Clearable<PathBuf>>,
    /// Default 300. Then the hook counts as silent.
    timeout_ms: Field<Millis<10, 10_000>>,
    /// `deny` (default) or `allow`: what becomes of a request about which the hook says nothing.
    on_error: Field<OnError>,
    /// `enforce` (default), or `shadow`: no request waits for the hook, and its decisions are only logged and counted.
    mode: Field<HookMode>,
    /// Default 0: each request is decided anew. How long a decision serves requests of the same bytes.
    cache_secs: Field<Secs<0, 300>>,
    /// Default none. The headers of a request that the hook gets.
    headers: Field<List<ListedHeader>>,
    /// Default none: all. The grants that the hook decides about.
    grants: Field<List<GrantName>>,
}

/// The most headers of a hook: each request is searched for each of them.
const MAX_HEADERS: usize = 16;

/// A hook, whose secret is not read yet.
#[derive(Clone, Debug)]
pub(crate) struct DecisionSource {
    pub(crate) settings: HookSettings,
    secret: BodySecretSource,
}

/// The hook; `None` inside where nothing is asked.
pub(crate) fn resolve(
    raw: RawDecision,
    known_grants: &BTreeSet<String>,
    mode: Mode,
    problems: &mut Problems,
    secret_reads: &mut SecretReads,
) -> Option<Option<DecisionSource>> {
    let is_off = matches!(raw.url.given(), Some(Clearable(None)));
    let url = problems.take_set(raw.url);
    let timeout = problems.require(raw.timeout_ms);
    let on_error = problems.require(raw.on_error);
    let hook_mode = problems.require(raw.mode);
    let cache_lifetime = problems.require(raw.cache_secs);
    let headers = problems.require(raw.headers).and_then(|List(headers)| {
        let mut distinct = BTreeSet::new();
        for header in headers {
            if let Some(repeated) = distinct.replace(header) {
                let repeated = repeated.as_str();
                problems.add(
                    "decision.headers",
                    format!("`{repeated}` is listed more than once, and the case of letters makes no difference: remove the repetition"),
                );
            }
        }
        if distinct.len() > MAX_HEADERS {
            let message = format!("a hook gets at most {MAX_HEADERS} headers; list fewer");
            problems.add("decision.headers", message);
            return None;
        }
        Some(distinct)
    });
    let grants = problems.require(raw.grants).map(|List(grants)| grants);
    for unknown in grants.iter().flatten().filter(|name| !known_grants.contains(name.as_str())) {
        let message = format!("there is no grant `{unknown}`; each is a key of `grants`");
        problems.add_absence("decision.grants", message);
    }
    if is_off {
        problems.take(raw.secret_file);
        return Some(None);
    }
    let secret = BodySecretSource::resolve(
        "decision.secret_file".to_owned(),
        raw.secret_file,
        "the hook recognises requests of this service",
        mode,
        problems,
        secret_reads,
    );
    let settings = HookSettings {
        url: url?,
        timeout: timeout?.into(),
        on_error: on_error?,
        mode: hook_mode?,
        cache_lifetime: cache_lifetime?.into(),
        headers: headers?,
        grants: grants?.into_iter().collect(),
    };
    Some(Some(DecisionSource { settings, secret: secret? }))
}

impl DecisionSource {
    /// Whether a request ends before the hook counts as silent.
    pub(crate) fn warning(&self, request_timeout: Duration) -> Option<Problem> {
        let HookSettings { timeout, mode, .. } = &self.settings;
        (*mode == HookMode::Enforce && *timeout >= request_timeout).then(|| Problem {
            path: "decision.timeout_ms".to_owned(),
            message: format!(
                "a request ends after {} ms (`server.request_timeout_ms`), so that `decision.on_error` never decides: set \
                 this to less",
                request_timeout.as_millis()
            ),
        })
    }

    pub(crate) fn read(&self) -> Result<SecretString, Problems> {
        self.secret.read()
    }
}
