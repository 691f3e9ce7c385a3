//! A configured grant: its role, template, durations, and what it signs.

use super::refusal::Refusal;
use crate::oss_bucket::OssBucket;
use crate::sign::{SignedUrlMethods, SigningLifetime, UploadRules};
use crate::sts::GrantSession;
use appserver_domain::{
    ExternalId, Fingerprint, GrantName, RoleArn, SessionDuration, UpstreamName,
};
use appserver_policy::{GrantNeed, GrantSessionPolicy, GrantTemplate, ObjectActions};

/// A configured grant. Everything in it was checked when the configuration was loaded.
#[derive(Debug)]
pub(crate) struct Entitlement {
    pub(crate) name: GrantName,
    pub(crate) role: RoleArn,
    /// Whose credentials assume it.
    pub(crate) upstream: UpstreamName,
    pub(crate) template: GrantTemplate,
    pub(crate) durations: Durations,
    pub(crate) external_id: Option<ExternalId>,
    /// What answers tell clients about the bucket. It changes no token.
    pub(crate) oss: Option<OssBucket>,
    /// The rules of upload forms, if the grant signs them. Then `oss` has its bucket and the template its keys.
    pub(crate) upload: Option<UploadRules>,
    /// Of the URLs that it signs. If there are any, `oss` has their bucket.
    pub(crate) signed_urls: SignedUrlMethods,
    /// If the grant signs anything.
    pub(crate) signing: Option<Signing>,
    /// Of the whole configuration of the grant except `oss`, `upload` and `signed_urls`, including its role and the text of
    /// its policy.
    pub(crate) fingerprint: Fingerprint,
}

/// What a grant signs with.
#[derive(Clone, Debug)]
pub(crate) struct Signing {
    pub(crate) session: GrantSession,
    /// The policy of the session.
    pub(crate) policy: GrantSessionPolicy,
    /// What the policy is for.
    pub(crate) actions: ObjectActions,
}

/// The durations of a grant's tokens: the bounds of a requested one, and the default.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Durations {
    shortest: SessionDuration,
    default: SessionDuration,
    longest: SessionDuration,
}

impl Durations {
    /// `None` if the three are not in ascending order.
    pub(crate) fn new(
        shortest: SessionDuration,
        default: SessionDuration,
        longest: SessionDuration,
    ) -> Option<Self> {
        (shortest <= default && default <= longest).then_some(Self { shortest, default, longest })
    }

    pub(crate) fn shortest(&self) -> SessionDuration {
        self.shortest
    }

    pub(crate) fn default(&self) -> SessionDuration {
        self.default
    }

    pub(crate) fn longest(&self) -> SessionDuration {
        self.longest
    }

    pub(super) fn choose(&self, requested_secs: Option<u64>) -> Result<SessionDuration, Refusal> {
        let Some(secs) = requested_secs else { return Ok(self.default) };
        SessionDuration::between(self.shortest, self.longest, secs)
            .ok_or(Refusal::Duration { shortest: self.shortest, longest: self.longest })
    }
}

impl Entitlement {
    /// Whether callers get tokens, and not only what is signed in their place.
    pub(crate) fn vends_tokens(&self) -> bool {
        self.upload.as_ref().is_none_or(|rules| rules.also_tokens)
    }

    /// Whether some of its sessions have a source identity. Those that sign have none.
    pub(crate) fn sets_source_identity(&self) -> bool {
        self.vends_tokens() && self.template.sets_source_identity()
    }

    /// What it needs of its role, if its uploads are looked at after their callbacks, or are not.
    pub(crate) fn need(&self, confirms: bool) -> GrantNeed<'_> {
        let signs = self.signing.as_ref().map(|signing| signing.actions);
        let confirms_in = self.oss.as_ref().filter(|_| confirms).map(OssBucket::bucket);
        GrantNeed::new(&self.template, self.vends_tokens(), signs, confirms_in)
    }

    /// How long what the grant signs may live.
    pub(crate) fn signing_lifetime(&self) -> SigningLifetime {
        let of_uploads = self.upload.as_ref().map(|rules| rules.lifetime);
        of_uploads.unwrap_or_else(|| SigningLifetime::of_sessions(self.durations.longest.as_secs()))
    }
}
