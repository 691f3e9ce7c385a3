//! Carries out the steps. Each can be interrupted and done again: what a lost answer leaves unknown is read back.

use std::time::Duration;

use tokio::time::sleep;

use super::drift::is_same;
use super::key_files::{KeyFileError, KeyFiles};
use super::key_situation::listed;
use super::plan::{
    NetworkPolicy, OidcAudience, PlannedPolicy, PlannedProvider, PlannedRole, PlannedUser,
};
use super::steps::Step;
use super::trust_drift::is_same_trust;
use crate::ram::{PolicyKind, RamClient, RamError};
use appserver_domain::AccessKeyId;
use appserver_domain::clock::Clock;

/// The most attempts at one creation.
const ATTEMPTS: u32 = 3;
/// Before a thing whose creation was not answered is created again.
const PAUSE: Duration = Duration::from_secs(1);

/// Carries out steps.
pub(crate) struct Applier<'a> {
    pub(crate) ram: &'a RamClient,
    /// Where a new AccessKey is written.
    pub(crate) files: Option<&'a KeyFiles>,
    pub(crate) clock: Clock,
}

/// Why a step failed. What was done before stays; the same command continues.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Ram(#[from] RamError),
    #[error("a new AccessKey needs --key-dir DIR: its id and its secret go into two files there")]
    NoDirectory,
    #[error(transparent)]
    Files(#[from] KeyFileError),
    #[error(
        "AccessKey {id} was made, and its files could not be written; the key is deleted again, so correct the cause and \
         run the command again"
    )]
    NotKept {
        id: AccessKeyId,
        #[source]
        cause: KeyFileError,
    },
    #[error(
        "AccessKey {id} was made, its files could not be written ({cause}), and it could not be deleted: delete it with \
         `aliyun ram DeleteAccessKey --UserName {user} --UserAccessKeyId {id}`"
    )]
    NotDeleted {
        id: AccessKeyId,
        user: String,
        cause: KeyFileError,
        #[source]
        deletion: Box<RamError>,
    },
    #[error(
        "{0} was made by someone else meanwhile and is not what the plan says: run `appserver setup check`"
    )]
    Differs(String),
    #[error(
        "the answer to CreateAccessKey is lost, and no AccessKey of user {user} is listed: run the command again in a minute"
    )]
    AnswerLost {
        user: String,
        #[source]
        cause: Box<RamError>,
    },
    #[error(
        "the answer to CreateAccessKey is lost, and with it the key's secret. User {user} had no AccessKey and now has \
         {keys}. Nothing is deleted. Unless someone else made it, run `aliyun ram DeleteAccessKey --UserName {user} \
         --UserAccessKeyId {example}` and then this command again"
    )]
    SecretLost {
        user: String,
        keys: String,
        example: String,
        #[source]
        cause: Box<RamError>,
    },
    #[error(
        "user {user} has {keys} by now, which someone else made meanwhile; none was made: run the command again"
    )]
    KeyAppeared { user: String, keys: String },
}

impl Applier<'_> {
    pub(crate) async fn carry_out(&self, step: &Step<'_>) -> Result<(), ApplyError> {
        match step {
            Step::CreatePolicy(policy) => self.create_policy(policy).await,
            Step::CreateUser(user) => self.create_user(user).await,
            Step::CreateProvider(provider) => self.create_provider(provider).await,
            Step::CreateRole(role) => self.create_role(role).await,
            Step::Attach { policy, holder } => {
                Ok(self.ram.attach(policy.name.as_str(), *holder).await?)
            }
            Step::CreateAccessKey(user) => self.create_key(user).await,
            Step::SetNetworkPolicy { user, network } => self.set_network(user, network).await,
        }
    }

    async fn create_policy(&self, policy: &PlannedPolicy) -> Result<(), ApplyError> {
        let (name, document) = (policy.name.as_str(), policy.document.as_str());
        create(
            async || self.ram.create_policy(name, document, &policy.description).await,
            async || {
                let found = self.ram.policy(PolicyKind::Custom, name).await?;
                Ok(found.map(|found| is_same(name, document, &found)))
            },
            || format!("policy {name}"),
        )
        .await
    }

    async fn create_user(&self, user: &PlannedUser) -> Result<(), ApplyError> {
        let name = user.name.as_str();
        create(
            async || self.ram.create_user(name, "AppServer").await,
            async || Ok(self.ram.has_user(name).await?.then_some(true)),
            || format!("user {name}"),
        )
        .await
    }

    async fn create_provider(&self, provider: &PlannedProvider) -> Result<(), ApplyError> {
        const DESCRIPTION: &str = "AppServer: its tokens are exchanged for the role of AppServer";
        let (name, issuer) = (provider.name.as_str(), provider.issuer.as_str());
        let audiences: Vec<_> = provider.audiences.iter().map(OidcAudience::as_str).collect();
        create(
            async || self.ram.create_provider(name, issuer, &audiences, DESCRIPTION).await,
            async || {
                let found = self.ram.provider(name).await?;
                Ok(found.map(|found| found.issuer == issuer))
            },
            || format!("OIDC provider {name}"),
        )
        .await
    }

    async fn create_role(&self, role: &PlannedRole) -> Result<(), ApplyError> {
        const DESCRIPTION: &str = "AppServer: vends tokens of this role";
        let (name, max) = (role.arn.name(), u64::from(role.max_session.as_secs()));
        create(
            async || self.ram.create_role(name, &role.trust, max, DESCRIPTION).await,
            async || {
                let found = self.ram.role(name).await?;
                Ok(found.map(|found| is_same_trust(&role.trust, &found.trust)))
            },
            || format!("role {name}"),
        )
        .await
    }

    /// The files and the note are ready before the key is made, so that only the writing itself can still fail. A key is
    /// deleted only if its id was in the answer: any other key may be someone else's.
    async fn create_key(&self, user: &PlannedUser) -> Result<(), ApplyError> {
        let files = self.files.ok_or(ApplyError::NoDirectory)?;
        let name = user.name.as_str();
        let before = self.ram.access_keys(name).await?;
        if !before.is_empty() {
            return Err(ApplyError::KeyAppeared { user: name.to_owned(), keys: listed(&before) });
        }
        let prepared = files.prepare(name, self.clock.now())?;
        let key = match self.ram.create_access_key(name).await {
            Ok(made) => made.0,
            Err(error) if error.may_be_done() => return Err(self.answer_lost(name, error).await?),
            Err(error) => {
                files.finish()?;
                return Err(error.into());
            }
        };
        let Err(cause) = prepared.keep(&key) else { return Ok(()) };
        let id = key.id;
        match self.ram.delete_access_key(name, id.as_str()).await {
            Ok(()) => Err(ApplyError::NotKept { id, cause }),
            Err(deletion) => Err(ApplyError::NotDeleted {
                id,
                user: name.to_owned(),
                cause,
                deletion: Box::new(deletion),
            }),
        }
    }

    /// Names the keys of which one may be the one whose secret is lost.
    async fn answer_lost(&self, user: &str, cause: RamError) -> Result<ApplyError, ApplyError> {
        let (keys, user, cause) =
            (self.ram.access_keys(user).await?, user.to_owned(), Box::new(cause));
        Ok(match keys.as_slice() {
            [] => ApplyError::AnswerLost { user, cause },
            [first, others @ ..] => {
                let example = if others.is_empty() { first.id.as_str() } else { "ID" };
                let (keys, example) = (listed(&keys), example.to_owned());
                ApplyError::SecretLost { user, keys, example, cause }
            }
        })
    }

    async fn set_network(
        &self,
        user: &PlannedUser,
        network: &NetworkPolicy,
    ) -> Result<(), ApplyError> {
        let files = self.files.ok_or(ApplyError::NoDirectory)?;
        let id = files.found()?.id.ok_or(ApplyError::NoDirectory)?;
        let (user, document) = (user.name.as_str(), network.document());
        Ok(self.ram.set_network_policy(user, id.as_str(), &document).await?)
    }
}

/// Creates a thing, or finds that it is there as planned. `found` is `None` while it is not there, and otherwise whether
/// it is as planned.
async fn create(
    create: impl AsyncFn() -> Result<(), RamError>,
    found: impl AsyncFn() -> Result<Option<bool>, RamError>,
    name: impl FnOnce() -> String,
) -> Result<(), ApplyError> {
    let mut number = 1;
    loop {
        let error = match create().await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if !error.is_already_there() && !error.may_be_done() {
            return Err(error.into());
        }
        match found().await? {
            Some(true) => return Ok(()),
            Some(false) => return Err(ApplyError::Differs(name())),
            None if number == ATTEMPTS => return Err(error.into()),
            None => sleep(PAUSE).await,
        }
        number += 1;
    }
}
