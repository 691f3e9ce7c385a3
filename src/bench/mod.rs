//! The steps of a request one by one, for `benches/steps.rs`; only with the feature `bench`.
//!
//! They run with the demo's configuration and a constant STS, so that only AppServer's own code is measured; [`SharedLimits`] alone
//! needs a Redis.

mod shared_limits;
mod spans;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Duration, Instant};

use crate::auth::{Authenticator, Caller, Issuers, PresentedCredential};
use crate::config::{self, Mode, RuleSettings, Settings};
use crate::grant::{Grant, Grants, TokenParams};
use crate::http::token_response;
use crate::outbound::Egress;
use crate::store::Store;
use crate::sts::{
    self, AssumeRole, CallerIdentity, CallerSession, GrantSession, IdentityKind, RoleSession,
    StsError,
};
use crate::telemetry::Metrics;
use crate::upstream::UpstreamIdentity;
use crate::vend::{GrantHolder, KeyHashing, Vended, Vendor, VerifiedKey};
use appserver_domain::clock::Clock;
use appserver_domain::{AssumedRoleUser, Credentials, SigningCredentials};
use appserver_policy::{ComparablePolicy, Inclusion, ObjectActions, RequestedPolicy};
use spans::Spans;

pub use shared_limits::SharedLimits;

/// One caller's request for one album, with its token in the cache.
#[derive(Debug)]
pub struct Steps {
    authorization: String,
    authenticator: Authenticator,
    grants: Grants,
    caller: Caller,
    params: TokenParams,
    own_policy: TokenParams,
    proved: (ComparablePolicy, ComparablePolicy),
    now: DateTime<Utc>,
    session: CallerSession,
    grant_session: GrantSession,
    holder: GrantHolder,
    hashing: KeyHashing,
    vendor: Vendor<Constant>,
    vended: Vended,
    signing: SigningCredentials,
    spans: Spans,
    /// The cache needs timers; the runtime never runs.
    runtime: Runtime,
}

/// An STS that answers every call at once with the same token, and counts the calls.
#[derive(Debug, Default)]
struct Constant {
    calls: AtomicUsize,
}

const CLIENT: &str = "client-003";
const OWN_POLICY: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:*:sample-bucket/albums/2015/first.jpg","acs:oss:*:*:sample-bucket/albums/2015/second.jpg"]}]}"#;
const HOUR: TimeDelta = TimeDelta::hours(1);

impl AssumeRole for Constant {
    async fn assume_role(
        &self,
        _: &RoleSession,
        _: u32,
        _: Instant,
    ) -> Result<Credentials, StsError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let issued_at = DateTime::UNIX_EPOCH;
        let user = AssumedRoleUser {
            arn: "acs:ram::11223344:role/oss-readonly/client-003".into(),
            id: "391578752573972854:client-003".into(),
        };
        let (id, secret) = ("STS.NUgYrLnoC37mZZCNnAbez", "kG".repeat(22));
        // STS's tokens have some 600 to 1,000 characters.
        let token = "CAIS8wF1q6Ft5B2yfSjIr5bkM8nbmZh".repeat(25);
        let credentials = Credentials::new(
            id.into(),
            secret.into(),
            token.into(),
            issued_at,
            issued_at + HOUR,
            user,
        );
        Ok(credentials.expect("they are complete, and end after they begin"))
    }
}

impl Steps {
    /// The demo's client, its grant with a parameter, and a token; and the demo's users with tokens of that time.
    ///
    /// # Panics
    /// If the repository's configuration cannot be loaded.
    pub fn new(now: DateTime<Utc>) -> Self {
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dev.toml");
        let settings = config::load(&[demo], &BTreeMap::new(), Mode::Demo);
        let Settings { rules, vend, identity: source, .. } = settings.expect("it is tested");
        let RuleSettings { grants, clients, issuers, .. } = rules;
        let authorization = STANDARD.encode(format!("{CLIENT}:{CLIENT}-demo-secret"));
        let caller = Caller::simulated(CLIENT.parse().expect("it is an id"), None, BTreeMap::new());
        let parameters = BTreeMap::from([("album".to_owned(), "2015".to_owned())]);
        let params = TokenParams { parameters, ..TokenParams::default() };
        let session = session(&grants, &caller, &params, now);
        let policy = Some(RequestedPolicy::parse(OWN_POLICY).expect("it is valid"));
        let own_policy = TokenParams { policy, ..params.clone() };
        let comparable = |json| ComparablePolicy::parse(json).expect("it is valid");
        let proved = (comparable(OWN_POLICY), comparable(session.role_session().policy.as_str()));

        let entitlement = grants.of(caller.client()).next().expect("it has one");
        let signs = entitlement.template.grant_session_policy(ObjectActions::Get);
        let grant_session = GrantSession::new(
            entitlement.role.clone(),
            &entitlement.name,
            signs.expect("its policy has no placeholder but in resources"),
            entitlement.durations.longest(),
            entitlement.external_id.clone(),
        );
        let grant = entitlement.fingerprint;
        let holder = GrantHolder { client: caller.client().clone(), grant, user: None };
        let metrics = Metrics::new();
        let issuers =
            Issuers::new(issuers, None, &Egress::default(), &Clock::system(), &metrics.issuers);
        let issuers = issuers.expect("the demo's issuer needs no TLS");
        let vendor = Vendor::only(
            Constant::default(),
            Arc::new(Store::Memory),
            vend,
            &metrics.vend,
            Clock::system(),
        );
        let identity = CallerIdentity {
            kind: IdentityKind::RamUser,
            account: "11223344".parse().expect("it is an account"),
            arn: "acs:ram::11223344:user/appserver".into(),
        };
        vendor.open(VerifiedKey::admit(identity, []).expect("it is a RAM user"));
        let runtime = Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("the system gives us a runtime");
        let deadline = Instant::now() + Duration::from_secs(15);
        let vended = runtime.block_on(vendor.vend(&holder, &session, deadline));
        let signing = runtime.block_on(vendor.grant_credentials(&holder, &grant_session, deadline));
        signing.expect("the constant answers");

        Self {
            authorization: format!("Basic {authorization}"),
            authenticator: Authenticator::new(clients.into_iter().collect(), issuers),
            grants,
            caller,
            params,
            own_policy,
            proved,
            now,
            session,
            grant_session,
            holder,
            hashing: KeyHashing::default(),
            vendor,
            vended: vended.expect("the constant answers"),
            signing: match source.read() {
                Ok(UpstreamIdentity::AccessKey(key)) => key,
                other => panic!("the demo has an AccessKey, and not {other:?}"),
            },
            spans: Spans::default(),
            runtime,
        }
    }

    /// Reads the header and checks the secret; returns whether the caller is authenticated.
    pub fn secret_check(&self) -> bool {
        let presented = PresentedCredential::from_authorization(self.authorization.as_bytes());
        self.authenticator.authenticate_at_once(&presented, self.now).is_ok()
    }

    /// The same for a user's token.
    pub fn user_token(&self, authorization: &str) -> bool {
        let presented = PresentedCredential::from_authorization(authorization.as_bytes());
        self.authenticator.authenticate_at_once(&presented, self.now).is_ok()
    }

    /// Starts and ends a request's span where all are sampled, or where none is; returns whether there was one.
    pub fn span(&self, sampled: bool) -> bool {
        self.spans.start(sampled)
    }

    /// Decides about the grant and renders its templates; returns the policy's length.
    pub fn template_render(&self) -> usize {
        policy_length(&session(&self.grants, &self.caller, &self.params, self.now))
    }

    /// Hashes the cache key.
    pub fn key(&self) -> u64 {
        self.hashing.key_of(self.session.role_session(), &self.holder).hash()
    }

    /// Finds the cached token; returns when to refresh it.
    ///
    /// # Panics
    /// If it is not cached, or a hit waits.
    pub fn hit(&self) -> DateTime<Utc> {
        let _entered = self.runtime.enter();
        let deadline = Instant::now() + Duration::from_secs(15);
        let vended = self.vendor.vend(&self.holder, &self.session, deadline).now_or_never();
        vended.expect("a hit waits for nothing").expect("the token is cached").refresh_after
    }

    /// Finds the cached credentials of the grant's own session, for one more user; returns until when what is signed with
    /// them is valid at most.
    ///
    /// # Panics
    /// If they are not cached, or a hit waits.
    pub fn grant_session_hit(&self) -> DateTime<Utc> {
        let _entered = self.runtime.enter();
        let deadline = Instant::now() + Duration::from_secs(15);
        let found = self.vendor.grant_credentials(&self.holder, &self.grant_session, deadline);
        let found = found.now_or_never().expect("a hit waits for nothing");
        found.expect("they are cached").expires_at()
    }

    /// The calls to STS that all steps together have cost.
    pub fn sts_calls(&self) -> usize {
        self.vendor.sts().calls.load(Ordering::Relaxed)
    }

    /// Signs the call to STS; returns the form's length.
    pub fn signing(&self) -> usize {
        sts::signed_length(self.session.role_session(), &self.signing, self.now)
    }

    /// Renders a session for a policy of the caller's own.
    pub fn own_policy(&self) -> usize {
        policy_length(&session(&self.grants, &self.caller, &self.own_policy, self.now))
    }

    /// The second proof of the same policy alone.
    pub fn second_proof(&self) -> bool {
        let (own, granted) = &self.proved;
        own.inclusion_in(granted) == Inclusion::Included
    }

    /// Writes the answer's body.
    pub fn response(&self) -> Vec<u8> {
        let request_id = "6894B13B-6D71-4EF5-88FA-F32781734A7F";
        let grant = self.grants.of(self.caller.client()).next().expect("it has one");
        token_response(request_id, &grant.name, grant.oss.as_ref(), &self.vended)
    }
}

fn session(
    grants: &Grants,
    caller: &Caller,
    params: &TokenParams,
    now: DateTime<Utc>,
) -> CallerSession {
    let grant = grants.decide(caller, params, now).map(Grant::into_caller_session);
    grant.expect("the client may have it")
}

fn policy_length(session: &CallerSession) -> usize {
    session.role_session().policy.as_str().len()
}
