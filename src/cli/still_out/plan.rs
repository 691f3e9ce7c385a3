//! Which sessions are shut out of which buckets, and which are not because others use them.

use std::collections::{BTreeMap, BTreeSet};

use super::args::StillOutArgs;
use crate::bucket_policy::ShutSession;
use crate::cli::audit::outstanding::{AuditedCaller, AuditedSession, Outstanding};
use crate::cli::failure::{EXIT_CONFIG, Failure};
use crate::config::Settings;
use crate::grant::Entitlement;
use crate::oss_bucket::OssBucket;
use appserver_domain::{AccountId, GrantName};

/// What is done, and what is not.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) buckets: Vec<BucketPlan>,
    /// Sessions that are not shut out, each with the reason.
    pub(super) left_out: Vec<(AuditedSession, WhyLeftOut)>,
    /// Grants whose buckets are not known.
    pub(super) without_bucket: BTreeSet<String>,
}

/// The sessions of one bucket.
#[derive(Debug)]
pub(super) struct BucketPlan {
    pub(super) bucket: OssBucket,
    pub(super) owner: AccountId,
    pub(super) sessions: Vec<ShutSession>,
}

/// Why a session is not shut out. For all reasons but the last: it would hit others, which `--whole-grant` accepts.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum WhyLeftOut {
    #[error("it signs for all callers of the grant `{0}`")]
    OfGrant(String),
    #[error("others have tokens of it, too")]
    OfOthers,
    #[error("the session names of the grant `{0}` do not tell its callers apart")]
    NotNamed(String),
    #[error("the configuration has no grant `{0}`, so that nobody knows who else has it")]
    UnknownGrant(String),
    #[error(
        "the audit has a hash of its name: ActionTrail and OSS's logs have the name, by the AccessKeyId of \
         its tokens"
    )]
    Hashed,
}

/// A session that is shut out, with the grants that it was used for.
struct Candidate<'a> {
    session: ShutSession,
    grants: &'a BTreeSet<String>,
}

impl Plan {
    pub(super) fn of(
        args: &StillOutArgs,
        settings: &Settings,
        found: &Outstanding,
        whole_grant: bool,
    ) -> Result<Self, Failure> {
        let mut plan = Self::default();
        let mut candidates = Vec::new();
        let shared = found
            .tokens
            .iter()
            .map(|(session, held)| (session, &held.grants, why_shared(settings, found, session)));
        let signing = found.signatures.iter().map(|(session, held)| {
            let grants: Vec<_> = held.grants.iter().map(String::as_str).collect();
            (session, &held.grants, Some(WhyLeftOut::OfGrant(grants.join("`, `"))))
        });
        for (audited, grants, why) in shared.chain(signing) {
            if let Some(why) = why
                && !whole_grant
            {
                plan.left_out.push((audited.clone(), why));
                continue;
            }
            match (audited.role.clone().try_into(), audited.name.parse()) {
                (Ok(role), Ok(name)) => {
                    candidates.push(Candidate { session: ShutSession { role, name }, grants });
                }
                _ => plan.left_out.push((audited.clone(), WhyLeftOut::Hashed)),
            }
        }
        plan.add_buckets(args, settings, &candidates)?;
        Ok(plan)
    }

    /// How many sessions cannot be named.
    pub(super) fn unnamed(&self) -> usize {
        self.left_out.iter().filter(|(_, why)| *why == WhyLeftOut::Hashed).count()
    }

    /// The sessions of this plan that the other leaves alone, by their buckets.
    pub(super) fn without(self, other: &Self) -> Vec<BucketPlan> {
        let mut buckets = self.buckets;
        for plan in &mut buckets {
            let same = other.buckets.iter().find(|one| one.bucket.bucket() == plan.bucket.bucket());
            let done = same.map_or(&[][..], |one| &one.sessions);
            plan.sessions.retain(|session| !done.contains(session));
        }
        buckets.retain(|plan| !plan.sessions.is_empty());
        buckets
    }

    fn add_buckets(
        &mut self,
        args: &StillOutArgs,
        settings: &Settings,
        candidates: &[Candidate<'_>],
    ) -> Result<(), Failure> {
        let mut buckets: BTreeMap<String, BucketPlan> = BTreeMap::new();
        let mut add = |bucket: OssBucket, session: &ShutSession| {
            let owner = args.bucket_owner.as_ref().unwrap_or(session.role.account()).clone();
            let name = bucket.bucket().to_string();
            let plan = BucketPlan { bucket, owner, sessions: Vec::new() };
            let plan = buckets.entry(name).or_insert(plan);
            if !plan.sessions.contains(session) {
                plan.sessions.push(session.clone());
            }
        };
        for candidate in candidates {
            for grant in candidate.grants {
                match entitlement(settings, grant).and_then(|one| one.oss.as_ref()) {
                    Some(oss) => add(args.reached(oss)?, &candidate.session),
                    None => drop(self.without_bucket.insert(grant.clone())),
                }
            }
            for named in &args.buckets {
                let (bucket, region) = (named.bucket.clone(), named.region.clone());
                let oss = OssBucket::new(bucket, region, args.oss_endpoint.clone(), false);
                add(oss.map_err(|problem| Failure::new(EXIT_CONFIG, problem))?, &candidate.session);
            }
        }
        if !args.buckets.is_empty() {
            self.without_bucket.clear();
        }
        self.buckets = buckets.into_values().collect();
        Ok(())
    }
}

impl StillOutArgs {
    /// The bucket as an administrator reaches it. Requests about a bucket go to OSS's own endpoint and not to a domain of the
    /// bucket.
    fn reached(&self, oss: &OssBucket) -> Result<OssBucket, Failure> {
        if self.oss_endpoint.is_none() && !oss.cname() {
            return Ok(oss.clone());
        }
        let (bucket, region) = (oss.bucket().clone(), oss.region().clone());
        OssBucket::new(bucket, region, self.oss_endpoint.clone(), false)
            .map_err(|problem| Failure::new(EXIT_CONFIG, format!("--oss-endpoint: {problem}")))
    }
}

/// Why a session of tokens is not the holder's alone; `None` if it is.
fn why_shared(
    settings: &Settings,
    found: &Outstanding,
    session: &AuditedSession,
) -> Option<WhyLeftOut> {
    let held = &found.tokens[session];
    if found.others_have(session) {
        return Some(WhyLeftOut::OfOthers);
    }
    held.grants.iter().find_map(|grant| {
        let Some(entitlement) = entitlement(settings, grant) else {
            return Some(WhyLeftOut::UnknownGrant(grant.clone()));
        };
        let template = &entitlement.template;
        let is_named = match found.holder() {
            AuditedCaller::Client(_) => template.session_names_client(),
            AuditedCaller::User { .. } | AuditedCaller::Ticket(_) | AuditedCaller::Issuer(_) => {
                held.of_users && template.session_names_user()
            }
        };
        (!is_named).then(|| WhyLeftOut::NotNamed(grant.clone()))
    })
}

fn entitlement<'a>(settings: &'a Settings, grant: &str) -> Option<&'a Entitlement> {
    let name: GrantName = grant.parse().ok()?;
    settings.rules.grants.entitlements.get(&name)
}
