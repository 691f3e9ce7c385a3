//! What a caller may have: (caller, request) → [`Grant`], or the reason why not. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::auth::Caller;
use crate::sts::RoleSession;
use appserver_domain::{ClientId, ExternalId, Fingerprint, GrantName, RoleArn, SessionDuration};
use appserver_policy::{
    ContainmentError, GrantTemplate, RawValues, RenderProblem, RenderedSession, RequestedPolicy,
    SessionPolicy, ValueProblem,
};

/// A named entitlement, as the configuration gives it: everything that was checked when it was loaded.
#[derive(Debug)]
pub(crate) struct Entitlement {
    pub(crate) name: GrantName,
    pub(crate) role: RoleArn,
    pub(crate) template: GrantTemplate,
    pub(crate) durations: Durations,
    pub(crate) external_id: Option<ExternalId>,
    /// Of all that the configuration says of it: its role and its policy's text included.
    pub(crate) fingerprint: Fingerprint,
}

/// How long a grant's tokens live: what callers get who do not ask, and what they may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Durations {
    shortest: SessionDuration,
    default: SessionDuration,
    longest: SessionDuration,
}

impl Durations {
    /// The bounds in this order, if they are in order.
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

    fn choose(&self, asked_secs: Option<u64>) -> Result<SessionDuration, Refusal> {
        let Some(secs) = asked_secs else { return Ok(self.default) };
        SessionDuration::between(self.shortest, self.longest, secs)
            .ok_or(Refusal::Duration { shortest: self.shortest, longest: self.longest })
    }
}

/// What a caller asks for; unread text but for its shape, and for the policy's.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TokenParams {
    pub(crate) grant: Option<String>,
    pub(crate) duration_secs: Option<u64>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// To have less than the grant gives.
    pub(crate) policy: Option<RequestedPolicy>,
}

/// All grants, and which client may use which.
#[derive(Debug)]
pub(crate) struct Grants {
    pub(crate) entitlements: HashMap<GrantName, Entitlement>,
    pub(crate) of_clients: HashMap<ClientId, BTreeSet<GrantName>>,
    /// How long after a decision the token that it was made for may be issued: the longest request.
    pub(crate) issued_within: Duration,
}

/// Tokens that end with a login last whole steps of so many seconds. A duration for each second that a login has left would
/// be a token for each call: tokens are kept by their duration, too.
const STEP_SECS: u64 = 300;

/// A grant that this caller may use, narrowed by what the caller is and said.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    entitlement: &'a Entitlement,
    duration: SessionDuration,
    session: RenderedSession,
}

/// Why there is no grant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The grant is not among the client's, or does not exist at all: callers are not told which.
    #[error("the client may not use this grant")]
    NotGranted,
    #[error("the client has several grants: name one of {}", names(.0))]
    Unnamed(BTreeSet<GrantName>),
    #[error(
        "a duration for this grant is {} to {} seconds", .shortest.as_secs(), .longest.as_secs()
    )]
    Duration { shortest: SessionDuration, longest: SessionDuration },
    #[error("the login ends too soon for credentials that must end with it")]
    LoginEndsSoon,
    #[error(transparent)]
    Value(#[from] ValueProblem),
    /// The caller's own policy is not within the grant's.
    #[error(transparent)]
    Policy(#[from] ContainmentError),
}

impl From<RenderProblem> for Refusal {
    fn from(problem: RenderProblem) -> Self {
        match problem {
            RenderProblem::Value(problem) => Self::Value(problem),
            RenderProblem::Policy(excess) => Self::Policy(excess),
        }
    }
}

fn names(grants: &BTreeSet<GrantName>) -> String {
    grants.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl Grants {
    /// The grants that the client may use, in the order of their names.
    pub(crate) fn of(&self, client: &ClientId) -> impl Iterator<Item = &Entitlement> {
        self.of_clients
            .get(client)
            .into_iter()
            .flatten()
            .filter_map(|name| self.entitlements.get(name))
    }

    /// The grant that the caller asks for, if it may have it as it asks.
    pub(crate) fn decide(
        &self,
        caller: &Caller,
        asked: &TokenParams,
        now: DateTime<Utc>,
    ) -> Result<Grant<'_>, Refusal> {
        let entitlement = self.entitlement(caller.client(), asked.grant.as_deref())?;
        let chosen = entitlement.durations.choose(asked.duration_secs)?;
        let duration = match caller.until() {
            None => chosen,
            Some(end) => self.within(chosen, end, now).ok_or(Refusal::LoginEndsSoon)?,
        };
        let raw = RawValues {
            client: caller.client(),
            issuer: caller.issuer(),
            subject: caller.subject(),
            claims: caller.claims(),
            params: &asked.parameters,
            now,
        };
        let session = match &asked.policy {
            None => entitlement.template.render(raw)?,
            Some(policy) => entitlement.template.render_within(raw, policy)?,
        };
        Ok(Grant { entitlement, duration, session })
    }

    /// The grant that a request is for, whatever else is wrong with it; none if the client may not use it.
    pub(crate) fn asked(&self, client: &ClientId, named: Option<&str>) -> Option<&GrantName> {
        self.entitlement(client, named).ok().map(|entitlement| &entitlement.name)
    }

    /// What of a duration ends before the login does.
    ///
    /// It does however late within the request the token is issued. A token that is kept was issued before: it was asked
    /// for with the same duration, so it ends sooner still.
    fn within(
        &self,
        chosen: SessionDuration,
        end: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<SessionDuration> {
        let left = (end - now).to_std().ok()?.checked_sub(self.issued_within)?;
        chosen.at_most(left.as_secs() / STEP_SECS * STEP_SECS)
    }

    /// The grant, if the client may use it.
    pub(crate) fn held(&self, client: &ClientId, name: &GrantName) -> Option<&Entitlement> {
        let own = self.of_clients.get(client)?;
        own.contains(name).then(|| self.entitlements.get(name)).flatten()
    }

    fn entitlement(&self, client: &ClientId, named: Option<&str>) -> Result<&Entitlement, Refusal> {
        let own = self.of_clients.get(client).ok_or(Refusal::NotGranted)?;
        let name = match named {
            Some(name) => own.iter().find(|own| own.as_str() == name).ok_or(Refusal::NotGranted)?,
            None => match (own.first(), own.len()) {
                (Some(only), 1) => only,
                (None, _) => return Err(Refusal::NotGranted),
                (Some(_), _) => return Err(Refusal::Unnamed(own.clone())),
            },
        };
        self.entitlements.get(name).ok_or(Refusal::NotGranted)
    }
}

impl<'a> Grant<'a> {
    pub(crate) fn name(&self) -> &'a GrantName {
        &self.entitlement.name
    }

    /// Tells the grant from what it was before it was changed.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.entitlement.fingerprint
    }

    /// Whether what it gives depends on this claim of the caller's.
    pub(crate) fn uses_claim(&self, claim: &str) -> bool {
        self.entitlement.template.uses().claims.iter().any(|used| used.as_str() == claim)
    }

    /// What its tokens may do.
    pub(crate) fn policy(&self) -> &SessionPolicy {
        &self.session.policy
    }

    /// What STS will be asked for: the role, narrowed by the rendered policy.
    pub(crate) fn into_role_session(self) -> RoleSession {
        let RenderedSession { policy, session_name, source_identity } = self.session;
        RoleSession {
            role: self.entitlement.role.clone(),
            name: session_name,
            policy,
            duration: self.duration,
            external_id: self.entitlement.external_id.clone(),
            source_identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use appserver_domain::Subject;
    use appserver_policy::{Breadth, GrantTexts, Shape, ValueRule, ValueRules};

    const ALBUM: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject",
        "Resource":"acs:oss:*:*:sample-bucket/${params.album}/*"}]}"#;
    const OWN: &str = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:PutObject",
        "Resource":"acs:oss:*:*:sample-bucket/users/${subject}/*"}]}"#;

    fn entitlement(name: &str, policy: &str, params: &[&str]) -> Entitlement {
        let rule = || ValueRule::text(Shape::Segment, None, 16).unwrap();
        let rules = ValueRules {
            params: params.iter().map(|name| (name.parse().unwrap(), rule())).collect(),
            claims: BTreeMap::new(),
            subject_max_bytes: 32,
        };
        let texts = GrantTexts {
            policy,
            breadth: Breadth::Narrow,
            session_name: Some("${client}"),
            source_identity: None,
        };
        let [shortest, default, longest] = [900, 1800, 3600]
            .map(|secs| appserver_domain::MaxSessionDuration::DEFAULT.admit(secs).unwrap());
        Entitlement {
            name: name.parse().unwrap(),
            role: "acs:ram::11223344:role/oss".to_owned().try_into().unwrap(),
            template: GrantTemplate::parse(texts, rules).unwrap(),
            durations: Durations::new(shortest, default, longest).unwrap(),
            external_id: None,
            fingerprint: Fingerprint::of([policy.as_bytes()]),
        }
    }

    fn grants() -> Grants {
        let entitlements = [entitlement("album", ALBUM, &["album"]), entitlement("own", OWN, &[])];
        let own = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Grants {
            entitlements: entitlements.into_iter().map(|one| (one.name.clone(), one)).collect(),
            of_clients: HashMap::from([
                ("reader".parse().unwrap(), own(&["album"])),
                ("both".parse().unwrap(), own(&["album", "own"])),
                ("none".parse().unwrap(), own(&[])),
            ]),
            issued_within: Duration::from_secs(15),
        }
    }

    fn decide(
        client: &str,
        subject: Option<&str>,
        asked: &TokenParams,
    ) -> Result<RoleSession, Refusal> {
        let subject = subject.map(|subject| subject.parse::<Subject>().unwrap());
        let caller = Caller::simulated(client.parse().unwrap(), subject, BTreeMap::new());
        let now = "2015-01-01T00:00:00Z".parse().unwrap();
        grants().decide(&caller, asked, now).map(Grant::into_role_session)
    }

    fn asked(grant: Option<&str>, album: Option<&str>) -> TokenParams {
        let parameters = album.map(|album| ("album".to_owned(), album.to_owned()));
        TokenParams {
            grant: grant.map(str::to_owned),
            duration_secs: None,
            parameters: parameters.into_iter().collect(),
            policy: None,
        }
    }

    #[test]
    fn a_client_with_one_grant_need_not_name_it() {
        let session = decide("reader", None, &asked(None, Some("2015"))).unwrap();
        insta::assert_snapshot!(session.policy.as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/*"}]}"#);
        assert_eq!((session.name.as_str(), session.duration.as_secs()), ("reader", 1800));
    }

    #[test]
    fn a_grant_of_others_and_one_that_does_not_exist_are_refused_alike() {
        for (client, grant) in
            [("reader", "own"), ("reader", "nothing"), ("none", "album"), ("nobody", "album")]
        {
            let refused = decide(client, None, &asked(Some(grant), Some("2015")));
            assert_eq!(refused.unwrap_err(), Refusal::NotGranted, "{client} {grant}");
        }
        assert_eq!(decide("none", None, &asked(None, None)).unwrap_err(), Refusal::NotGranted);
    }

    #[test]
    fn among_several_grants_one_must_be_named() {
        let refusal = decide("both", None, &asked(None, Some("2015"))).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the client has several grants: name one of `album`, `own`"
        );
    }

    #[test]
    fn durations_outside_the_grants_bounds_are_refused() {
        let with = |secs| TokenParams { duration_secs: Some(secs), ..asked(None, Some("2015")) };
        let got = [899, 900, 3600, 3601, u64::MAX].map(|secs| {
            decide("reader", None, &with(secs)).map(|session| session.duration.as_secs()).ok()
        });
        assert_eq!(got, [None, Some(900), Some(3600), None, None]);
    }

    /// The lesser of the two, in steps of 300 s, and nothing where less than 900 s would be left.
    #[test]
    fn a_duration_ends_with_the_login_that_it_is_for() {
        let now: DateTime<Utc> = "2015-01-01T00:00:00Z".parse().unwrap();
        let got = |secs: Option<u64>, left: i64| {
            let caller = Caller::simulated("reader".parse().unwrap(), None, BTreeMap::new())
                .logged_in_until(now + chrono::TimeDelta::seconds(left));
            let asked = TokenParams { duration_secs: secs, ..asked(None, Some("2015")) };
            grants().decide(&caller, &asked, now).map(|grant| grant.duration.as_secs())
        };
        for (secs, left, expected) in [
            (None, 86_400, 1800),
            (None, 1815, 1800),
            (None, 1814, 1500),
            (None, 1215, 1200),
            (None, 1214, 900),
            (None, 915, 900),
            (Some(3600), 3614, 3300),
            (Some(1000), 2000, 1000),
            (Some(1000), 1200, 900),
        ] {
            assert_eq!(got(secs, left), Ok(expected), "{secs:?} with {left} s left");
        }
        for left in [914, 900, 15, 0, -1, -86_400] {
            assert_eq!(got(None, left), Err(Refusal::LoginEndsSoon), "{left} s left");
        }
    }

    #[test]
    fn a_callers_own_policy_can_only_take_away() {
        let with = |key: &str| {
            let json = ALBUM.replace("${params.album}/*", key);
            let policy = Some(RequestedPolicy::parse(&json).unwrap());
            decide("reader", None, &TokenParams { policy, ..asked(None, Some("2015")) })
        };
        let session = with("2015/01/*").unwrap();
        insta::assert_snapshot!(session.policy.as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/*"}]}"#);
        assert_eq!(session.name.as_str(), "reader");
        let refusal = with("2016/*").unwrap_err();
        insta::assert_snapshot!(refusal, @r"Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/2016/*` (letter case counts)");
    }

    #[test]
    fn what_is_missing_or_not_declared_is_refused() {
        let album = || "album".parse().unwrap();
        let refusals = [
            decide("reader", None, &asked(None, None)),
            decide("both", None, &asked(Some("own"), None)),
            decide("both", Some("alice"), &asked(Some("own"), Some("2015"))),
        ]
        .map(Result::unwrap_err);
        let expected = [
            Refusal::Value(ValueProblem::MissingParameter(album())),
            Refusal::Value(ValueProblem::MissingSubject),
            Refusal::Value(ValueProblem::UnknownParameter),
        ];
        assert_eq!(refusals, expected);
    }
}
