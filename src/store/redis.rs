//! What is asked of Redis, one script for each question.
//!
//! Scripts go by the server's clock, so that replicas need not agree about the time. Nothing is answered (`None`)
//! when Redis is lost over a question.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{Client, ProtocolVersion, RedisConnectionInfo, RedisError, Script};
use secrecy::{ExposeSecret, SecretSlice};
use tokio::time::sleep;

use super::StoreError;
use super::budget::{Ask, BudgetTerms, Reserved};
use super::lease::Lease;
use super::link::{Link, Probe};
use super::name::{Name, Names};
use super::record;
use super::settings::RedisSettings;
use super::view::{Shared, View, Whose};
use crate::clock::Clock;
use crate::domain::Credentials;
use crate::seal::Seal;
use crate::telemetry::{StoreMetrics, StoreOperation};

/// A Redis that replicas share.
#[derive(Debug)]
pub(crate) struct Redis {
    link: Arc<Link>,
    names: Names,
    seal: Seal,
    scripts: Scripts,
    /// Who asks for the budget; another at each start.
    replica: String,
    lease: Duration,
    expected_replicas: NonZeroU32,
    clock: Clock,
    metrics: StoreMetrics,
}

#[derive(Debug)]
struct Scripts {
    view: Script,
    renew: Script,
    land: Script,
    budget: Script,
    limit: Script,
    forget: Script,
}

/// What a flight brought.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Landed<'a> {
    /// Credentials, and what is left of their life.
    Token(&'a Credentials, Duration),
    /// The `Code` of a refusal that STS would repeat, and how long it is taken for the answer.
    Refusal(&'a str, Duration),
    Nothing,
}

/// What `view.lua` answers: token, refusal and lease, each with its milliseconds left.
type RawView = (Option<Vec<u8>>, i64, Option<Vec<u8>>, i64, String, i64);

impl Redis {
    pub(super) async fn open(
        settings: RedisSettings,
        clock: Clock,
        metrics: StoreMetrics,
    ) -> Result<Self, StoreError> {
        let client = client(&settings)?;
        // The oldest key: while a new one is rolled out in front of it, all replicas still agree on it.
        let oldest = settings.seal_keys.last().expect("settings hold a key");
        let names = Names::new(settings.key_prefix, oldest);
        let probe = Probe {
            script: Script::new(include_str!("scripts/probe.lua")),
            key: names.common("probe"),
        };
        Ok(Self {
            link: Link::open(client, settings.timeout, probe, metrics.clone()).await,
            names,
            seal: Seal::new("appserver store seal 1", &settings.seal_keys),
            scripts: Scripts {
                view: Script::new(include_str!("scripts/view.lua")),
                renew: Script::new(include_str!("scripts/renew.lua")),
                land: Script::new(include_str!("scripts/land.lua")),
                budget: Script::new(include_str!("scripts/budget.lua")),
                limit: Script::new(include_str!("scripts/limit.lua")),
                forget: Script::new(include_str!("scripts/forget.lua")),
            },
            replica: Lease::new_id(),
            lease: settings.lease,
            expected_replicas: settings.expected_replicas,
            clock,
            metrics,
        })
    }

    pub(super) fn is_up(&self) -> bool {
        self.link.is_up()
    }

    pub(super) fn expected_replicas(&self) -> NonZeroU32 {
        self.expected_replicas
    }

    /// What is shared of whatever these parts identify is called so.
    pub(crate) fn name(&self, parts: &[impl AsRef<str>]) -> Name {
        self.names.of(parts)
    }

    /// What is known of a session.
    pub(crate) async fn look(&self, name: &Name) -> Option<View> {
        // Nobody's id, and no lease is asked for.
        self.view(name, String::new(), Duration::ZERO).await
    }

    /// The same, and the lease if nobody else has it.
    pub(crate) async fn take_lease(&self, name: &Name) -> Option<View> {
        self.view(name, Lease::new_id(), self.lease).await
    }

    async fn view(&self, name: &Name, id: String, lease: Duration) -> Option<View> {
        let Name { token, refusal, lease: lease_name, .. } = name;
        let mut script = self.scripts.view.key(token);
        script.key(refusal).key(lease_name).arg(&id).arg(millis(lease));
        let raw: RawView = self.link.run(StoreOperation::View, &script).await?;
        let (sealed_token, token_left, sealed_refusal, refusal_left, whose, lease_left) = raw;
        let token = self.opened(token, sealed_token, token_left, record::read);
        let refusal = self.opened(refusal, sealed_refusal, refusal_left, |plain| {
            String::from_utf8(plain.expose_secret().to_vec()).ok()
        });
        Some(View {
            token: token.and_then(|token| self.bounded(token)),
            refusal,
            lease: match whose.as_str() {
                "ours" => Whose::Ours(Lease { name: name.clone(), id }),
                "theirs" => Whose::Theirs(left(lease_left)),
                _ => Whose::Nobodys,
            },
        })
    }

    /// Opens a sealed value. One that does not open is no value: it will be replaced.
    fn opened<T>(
        &self,
        name: &str,
        sealed: Option<Vec<u8>>,
        millis_left: i64,
        read: impl FnOnce(&SecretSlice<u8>) -> Option<T>,
    ) -> Option<Shared<T>> {
        let opened = self.seal.open(name, &sealed?).and_then(|plain| read(&plain));
        if opened.is_none() {
            self.metrics.unopened();
            tracing::warn!(
                name,
                "a value in Redis was not sealed by a key of ours, and is ignored"
            );
        }
        Some(Shared { value: opened?, left: left(millis_left) })
    }

    /// A token's life ends when STS said, whatever Redis's says is left: a value that was put back after its time is
    /// sealed as it should be. A clock of ours that runs fast costs calls; one that is slow changes nothing.
    fn bounded(&self, token: Shared<Credentials>) -> Option<Shared<Credentials>> {
        let by_our_clock = (token.value.expiration() - self.clock.now()).to_std().ok()?;
        Some(Shared { left: token.left.min(by_our_clock), ..token })
    }

    /// Prolongs the lease for as long as this is awaited.
    pub(crate) async fn hold(&self, lease: &Lease) -> Infallible {
        loop {
            sleep(self.lease / 3).await;
            let mut script = self.scripts.renew.key(&lease.name.lease);
            script.arg(&lease.id).arg(millis(self.lease));
            // Lost or not, the flight goes on: at worst another replica makes the same call.
            let _: Option<i64> = self.link.run(StoreOperation::Renew, &script).await;
        }
    }

    /// Drops what is known of a session.
    pub(crate) async fn forget(&self, name: &Name) {
        let mut script = self.scripts.forget.key(&name.token);
        script.key(&name.refusal);
        let _: Option<i64> = self.link.run(StoreOperation::Forget, &script).await;
    }

    /// Ends a flight for all replicas.
    pub(crate) async fn land(&self, lease: Lease, landed: Landed<'_>) {
        let Name { token, refusal, lease: lease_name, .. } = &lease.name;
        let (kind, value, life) = match landed {
            Landed::Token(credentials, left) => {
                ("token", self.seal.seal(token, &record::write(credentials)), left)
            }
            Landed::Refusal(code, left) => {
                ("refusal", self.seal.seal(refusal, &code.as_bytes().to_vec().into()), left)
            }
            Landed::Nothing => ("nothing", Vec::new(), Duration::ZERO),
        };
        let kind = if life < Duration::from_millis(1) { "nothing" } else { kind };
        let mut script = self.scripts.land.key(token);
        script.key(refusal).key(lease_name).arg(&lease.id).arg(kind).arg(value).arg(millis(life));
        let _: Option<i64> = self.link.run(StoreOperation::Land, &script).await;
    }

    /// Reserves calls out of the one budget.
    pub(crate) async fn reserve(&self, terms: &BudgetTerms, calls: u32) -> Option<Reserved> {
        self.budget(terms, Ask::Reserve(calls)).await.map(|(_, reserved)| reserved)
    }

    /// Takes a call for refreshing ahead, if the budget can spare it.
    pub(crate) async fn take_spare(&self, terms: &BudgetTerms) -> Option<bool> {
        self.budget(terms, Ask::Spare).await.map(|(done, _)| done)
    }

    /// STS has throttled: the budget shrinks for all.
    pub(crate) async fn cut(&self, terms: &BudgetTerms) {
        self.budget(terms, Ask::Cut).await;
    }

    /// Takes requests out of the one limit of whomever these parts name, a client or a user of its: how many were
    /// given, or else when there is another.
    pub(crate) async fn take_requests(
        &self,
        whose: &[&str],
        per_second: f64,
        burst: u32,
        wanted: u32,
    ) -> Option<(u32, Duration)> {
        let mut script = self.scripts.limit.key(self.names.of(whose).limit);
        script.arg(per_second).arg(burst).arg(wanted);
        let (given, micros) = self.link.run(StoreOperation::Limit, &script).await?;
        Some((given, Duration::from_micros(micros)))
    }

    async fn budget(&self, terms: &BudgetTerms, ask: Ask) -> Option<(bool, Reserved)> {
        let (action, calls) = ask.told();
        let mut script = self.scripts.budget.key(self.names.common("budget"));
        script.key(self.names.common("waiting")).arg(action).arg(calls).arg(&self.replica);
        let terms = [
            terms.per_second,
            terms.burst,
            terms.spare_per_second,
            terms.spare_burst,
            terms.cut,
            terms.floor,
            terms.regain,
            terms.cut_pause.as_secs_f64(),
        ];
        for term in terms {
            script.arg(term);
        }
        let raw: (bool, u64, f64, u32) = self.link.run(StoreOperation::Budget, &script).await?;
        let (done, micros, thousandths, replicas) = raw;
        let wait = Duration::from_micros(micros);
        Some((done, Reserved { wait, rate: thousandths / 1000.0, replicas: replicas.max(1) }))
    }
}

/// Connects as the settings say.
pub(super) fn client(settings: &RedisSettings) -> Result<Client, RedisError> {
    // Redis 5 knows no other.
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP2)
        .set_skip_set_lib_name()
        .set_db(settings.address.database());
    if let Some(username) = &settings.username {
        login = login.set_username(username);
    }
    if let Some(password) = &settings.password {
        login = login.set_password(password.expose_secret());
    }
    Client::open(settings.address.clone().with(login))
}

fn millis(duration: Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}

/// What is left of something, as Redis counts it; negative is nothing.
fn left(millis: i64) -> Duration {
    Duration::from_millis(millis.try_into().unwrap_or(0))
}
