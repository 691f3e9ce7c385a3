//! Decides what a caller may get: (caller, request) → [`Grant`] or [`Refusal`]. Pure.

mod entitlement;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use foldhash::HashMap;

use crate::auth::Caller;
use crate::oss_bucket::OssBucket;
use crate::sts::CallerSession;
use appserver_domain::{
    ClientId, Fingerprint, GrantName, IssuerName, ObjectKey, SessionDuration, Subject, UpstreamName,
};
use appserver_policy::{
    AdmittedCaller, RawValues, RenderedSession, Request, RequestedPolicy, SessionPolicy,
    SubjectUse, UploadKeyProblem,
};

pub(crate) use entitlement::{Durations, Entitlement, Signing};
pub(crate) use refusal::Refusal;

/// A caller's request for a token. Only its shape is checked, and the form of the policy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct TokenParams {
    pub(crate) grant: Option<String>,
    pub(crate) duration_secs: Option<u64>,
    pub(crate) parameters: BTreeMap<String, String>,
    /// Restricts the token further than the grant does.
    pub(crate) policy: Option<RequestedPolicy>,
}

/// All grants, and the grants of each client.
#[derive(Debug)]
pub(crate) struct Grants {
    pub(crate) entitlements: HashMap<GrantName, Entitlement>,
    pub(crate) of_clients: HashMap<ClientId, BTreeSet<GrantName>>,
    /// The grant, one of the client's, of requests that name none.
    pub(crate) defaults: HashMap<ClientId, GrantName>,
    /// The longest time between a decision and the issue of its token: the time limit of a request.
    pub(crate) issued_within: Duration,
}

/// Durations that a login or the decision hook shortens are multiples of this. The duration is part of the cache key, so
/// durations in seconds would make each call a miss.
const STEP_SECS: u64 = 300;

/// A duration shortened to so many seconds, or somewhat less; `None` if they are below the minimum of STS.
pub(crate) fn shortened(duration: SessionDuration, secs: u64) -> Option<SessionDuration> {
    duration.at_most(secs / STEP_SECS * STEP_SECS)
}

/// A grant that this caller may use, with its policy rendered for the caller and the request.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    entitlement: &'a Entitlement,
    duration: SessionDuration,
    session: RenderedSession,
}

/// A grant that this caller may use, to have something signed in its place. No token can be made of it.
#[derive(Debug)]
pub(crate) struct SigningGrant<'a> {
    entitlement: &'a Entitlement,
    caller: AdmittedCaller<'a>,
}

impl Grants {
    /// The client's grants in the order of their names.
    pub(crate) fn of(&self, client: &ClientId) -> impl Iterator<Item = &Entitlement> {
        self.of_clients
            .get(client)
            .into_iter()
            .flatten()
            .filter_map(|name| self.entitlements.get(name))
    }

    /// The names of a client's grants of some kind.
    pub(crate) fn names_of(
        &self,
        client: &ClientId,
        is_of_kind: impl Fn(&Entitlement) -> bool,
    ) -> Vec<GrantName> {
        let grants = self.of(client).filter(|entitlement| is_of_kind(entitlement));
        grants.map(|entitlement| entitlement.name.clone()).collect()
    }

    /// Decides whether the caller may get the token that it requests.
    pub(crate) fn decide(
        &self,
        caller: &Caller,
        request: &TokenParams,
        now: DateTime<Utc>,
    ) -> Result<Grant<'_>, Refusal> {
        let grant = self.explained(caller, request, now)?;
        if grant.entitlement.vends_tokens() {
            return Ok(grant);
        }
        let others = self.names_of(caller.client(), Entitlement::vends_tokens);
        Err(Refusal::UploadsOnly { others })
    }

    /// The same for a caller that only learns what its policy would be, whether or not the grant vends tokens.
    pub(crate) fn explained(
        &self,
        caller: &Caller,
        request: &TokenParams,
        now: DateTime<Utc>,
    ) -> Result<Grant<'_>, Refusal> {
        let entitlement = self.entitlement(caller.client(), request.grant.as_deref())?;
        let chosen = entitlement.durations.choose(request.duration_secs)?;
        let duration = match caller.until() {
            None => chosen,
            Some(end) => self.within(chosen, end, now).ok_or(Refusal::LoginEndsSoon)?,
        };
        let raw = raw_values(caller, &request.parameters, now);
        let session = match &request.policy {
            None => entitlement.template.render(raw)?,
            Some(policy) => entitlement.template.render_within(raw, policy)?,
        };
        Ok(Grant { entitlement, duration, session })
    }

    /// Decides in whose place the grant may sign, whatever it signs.
    pub(crate) fn decide_signing(
        &self,
        caller: &Caller,
        named: Option<&str>,
        parameters: &BTreeMap<String, String>,
        now: DateTime<Utc>,
    ) -> Result<SigningGrant<'_>, Refusal> {
        let entitlement = self.entitlement(caller.client(), named)?;
        let admitted = entitlement.template.admit(raw_values(caller, parameters, now))?;
        Ok(SigningGrant { entitlement, caller: admitted })
    }

    /// The name of the requested grant, even if the rest of the request is invalid; `None` if the client may not use it.
    pub(crate) fn requested_name(
        &self,
        client: &ClientId,
        named: Option<&str>,
    ) -> Option<&GrantName> {
        self.entitlement(client, named).ok().map(|entitlement| &entitlement.name)
    }

    /// Shortens a duration so that the token expires before the login ends.
    ///
    /// The result allows for a token that is issued as late as the request permits. A cached token has the same duration
    /// and was issued earlier, so it expires earlier still.
    fn within(
        &self,
        chosen: SessionDuration,
        end: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Option<SessionDuration> {
        let left = (end - now).to_std().ok()?.checked_sub(self.issued_within)?;
        shortened(chosen, left.as_secs())
    }

    /// The grant of this name, if it is one of the client's.
    pub(crate) fn find(&self, client: &ClientId, name: &GrantName) -> Option<&Entitlement> {
        let own = self.of_clients.get(client)?;
        own.contains(name).then(|| self.entitlements.get(name)).flatten()
    }

    /// The name of the grant of requests that name none: the client's default, or its only one.
    pub(crate) fn unnamed(&self, client: &ClientId) -> Option<&GrantName> {
        let only = || self.of_clients.get(client).filter(|own| own.len() == 1)?.first();
        self.defaults.get(client).or_else(only)
    }

    fn entitlement(&self, client: &ClientId, named: Option<&str>) -> Result<&Entitlement, Refusal> {
        let own = self.of_clients.get(client).ok_or(Refusal::NotGranted)?;
        let name = match named {
            Some(name) => own.iter().find(|own| own.as_str() == name).ok_or(Refusal::NotGranted)?,
            None if own.is_empty() => return Err(Refusal::NotGranted),
            None => self.unnamed(client).ok_or_else(|| Refusal::NameRequired(own.clone()))?,
        };
        self.entitlements.get(name).ok_or(Refusal::NotGranted)
    }
}

fn raw_values<'a>(
    caller: &'a Caller,
    params: &'a BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> RawValues<'a> {
    RawValues {
        client: caller.client(),
        issuer: caller.issuer(),
        subject: caller.subject(),
        claims: caller.claims(),
        params,
        now,
    }
}

impl<'a> SigningGrant<'a> {
    pub(crate) fn entitlement(&self) -> &'a Entitlement {
        self.entitlement
    }

    /// Whether the action on the object may be signed for the caller: its own policy, too, allows whatever OSS will allow.
    pub(crate) fn may_sign(&self, action: &str, key: &ObjectKey) -> bool {
        let (Some(signing), Some(oss)) = (&self.entitlement.signing, &self.entitlement.oss) else {
            return false;
        };
        let resource = format!("acs:oss:*:*:{}/{key}", oss.bucket().as_str());
        Request::new(action, &resource, BTreeMap::new())
            .is_ok_and(|request| signing.policy.signs_for(self.caller.policy(), &request))
    }

    /// The key of an upload with the caller's name for it, if keys have one, and an id of ours.
    pub(crate) fn object_key(
        &self,
        name: Option<&str>,
        uuid: &str,
    ) -> Result<ObjectKey, UploadKeyProblem> {
        self.caller.object_key(name, uuid)
    }
}

impl<'a> Grant<'a> {
    pub(crate) fn name(&self) -> &'a GrantName {
        &self.entitlement.name
    }

    /// Changes when the configuration of the grant does.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.entitlement.fingerprint
    }

    /// The user whose own session it is; none if other users may have the same one.
    pub(crate) fn user_of(&self, caller: &Caller) -> Option<(IssuerName, Subject)> {
        if self.entitlement.template.uses().subject == SubjectUse::Unused {
            return None;
        }
        caller.issuer().cloned().zip(caller.subject().cloned())
    }

    /// Whose credentials assume the role.
    pub(crate) fn upstream(&self) -> &'a UpstreamName {
        &self.entitlement.upstream
    }

    /// The bucket that answers name, where the operator names one.
    pub(crate) fn oss(&self) -> Option<&'a OssBucket> {
        self.entitlement.oss.as_ref()
    }

    /// Whether the grant's template uses this claim of the caller.
    pub(crate) fn uses_claim(&self, claim: &str) -> bool {
        self.entitlement.template.uses().claims.iter().any(|used| used.as_str() == claim)
    }

    pub(crate) fn policy(&self) -> &SessionPolicy {
        &self.session.policy
    }

    /// The parameters of the call to STS: the role, restricted by the rendered policy.
    pub(crate) fn into_caller_session(self) -> CallerSession {
        let RenderedSession { policy, session_name, source_identity } = self.session;
        let (role, external_id) =
            (self.entitlement.role.clone(), self.entitlement.external_id.clone());
        CallerSession::new(role, session_name, policy, self.duration, external_id, source_identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::{SignedUrlMethods, UploadRules};
    use crate::sts::{GrantSession, RoleSession};
    use appserver_domain::Subject;
    use appserver_policy::{
        Breadth, GrantTemplate, GrantTexts, ObjectActions, Shape, ValueProblem, ValueRule,
        ValueRules,
    };

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
            upstream: UpstreamName::default(),
            template: GrantTemplate::parse(texts, rules).unwrap(),
            durations: Durations::new(shortest, default, longest).unwrap(),
            external_id: None,
            oss: None,
            upload: None,
            signed_urls: SignedUrlMethods::default(),
            signing: None,
            fingerprint: Fingerprint::of([policy.as_bytes()]),
        }
    }

    fn grants() -> Grants {
        let entitlements = [entitlement("album", ALBUM, &["album"]), entitlement("own", OWN, &[])];
        let own = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect();
        Grants {
            entitlements: entitlements.into_iter().map(|one| (one.name.clone(), one)).collect(),
            of_clients: [
                ("reader".parse().unwrap(), own(&["album"])),
                ("both".parse().unwrap(), own(&["album", "own"])),
                ("chooser".parse().unwrap(), own(&["album", "own"])),
                ("none".parse().unwrap(), own(&[])),
            ]
            .into_iter()
            .collect(),
            defaults: [("chooser".parse().unwrap(), "own".parse().unwrap())].into_iter().collect(),
            issued_within: Duration::from_secs(15),
        }
    }

    fn decide(
        client: &str,
        subject: Option<&str>,
        request: &TokenParams,
    ) -> Result<RoleSession, Refusal> {
        let subject = subject.map(|subject| subject.parse::<Subject>().unwrap());
        let caller = Caller::simulated(client.parse().unwrap(), subject, BTreeMap::new());
        let now = "2015-01-01T00:00:00Z".parse().unwrap();
        grants()
            .decide(&caller, request, now)
            .map(|grant| grant.into_caller_session().into_role_session())
    }

    fn request(grant: Option<&str>, album: Option<&str>) -> TokenParams {
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
        let session = decide("reader", None, &request(None, Some("2015"))).unwrap();
        insta::assert_snapshot!(session.policy.as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/*"}]}"#);
        assert_eq!((session.name.as_str(), session.duration.as_secs()), ("reader", 1800));
    }

    #[test]
    fn a_grant_of_other_clients_and_an_unknown_one_get_the_same_refusal() {
        for (client, grant) in
            [("reader", "own"), ("reader", "nothing"), ("none", "album"), ("nobody", "album")]
        {
            let refused = decide(client, None, &request(Some(grant), Some("2015")));
            assert_eq!(refused.unwrap_err(), Refusal::NotGranted, "{client} {grant}");
        }
        assert_eq!(decide("none", None, &request(None, None)).unwrap_err(), Refusal::NotGranted);
    }

    #[test]
    fn among_several_grants_one_must_be_named() {
        let refusal = decide("both", None, &request(None, Some("2015"))).unwrap_err();
        assert_eq!(
            refusal.to_string(),
            "the client has several grants: name one of `album`, `own`"
        );
    }

    #[test]
    fn the_default_grant_is_that_of_requests_that_name_none() {
        let policy = |request| {
            let session = decide("chooser", Some("alice"), &request).unwrap();
            session.policy.as_str().to_owned()
        };
        assert!(policy(request(None, None)).contains("users/alice/"));
        assert!(policy(request(Some("own"), None)).contains("users/alice/"));
        assert!(policy(request(Some("album"), Some("2015"))).contains("2015/"));
        let refusal = decide("chooser", Some("alice"), &request(Some("other"), None)).unwrap_err();
        assert_eq!(refusal, Refusal::NotGranted);
    }

    fn upload_grants(also_tokens: bool) -> Grants {
        let mut grants = grants();
        let own = grants.entitlements.get_mut(&"own".parse::<GrantName>().unwrap()).unwrap();
        own.template.set_object_key("users/${subject}/${name}").unwrap();
        let region = "cn-hangzhou".to_owned().try_into().unwrap();
        let bucket = "sample-bucket".parse().unwrap();
        own.oss = Some(OssBucket::new(bucket, region, None, false).unwrap());
        let policy = own.template.grant_session_policy(ObjectActions::Put).unwrap();
        let actions = ObjectActions::Put;
        let longest = own.durations.longest();
        let session = GrantSession::new(own.role.clone(), &own.name, policy.clone(), longest, None);
        own.signing = Some(Signing { session, policy, actions });
        own.upload = Some(UploadRules { also_tokens, ..UploadRules::for_tests() });
        grants
    }

    #[test]
    fn an_upload_grant_vends_tokens_only_if_it_says_so() {
        let now = "2015-01-01T00:00:00Z".parse().unwrap();
        let alice = Some("alice".parse().unwrap());
        let caller = Caller::simulated("both".parse().unwrap(), alice, BTreeMap::new());
        let own = request(Some("own"), None);
        let refusal = upload_grants(false).decide(&caller, &own, now).unwrap_err();
        assert_eq!(refusal, Refusal::UploadsOnly { others: vec!["album".parse().unwrap()] });
        assert!(upload_grants(false).explained(&caller, &own, now).is_ok());
        assert!(upload_grants(true).decide(&caller, &own, now).is_ok());
        // What else is wrong with the request is said first: callers do not learn of grants that are not theirs.
        let grants = upload_grants(false);
        let bad = grants.decide(&caller, &request(Some("own"), Some("2015")), now).unwrap_err();
        assert!(matches!(bad, Refusal::Value(_)));
    }

    #[test]
    fn an_upload_has_the_key_of_its_caller() {
        let now = "2015-01-01T00:00:00Z".parse().unwrap();
        let key = |subject: Option<&str>, name| {
            let subject = subject.map(|subject| subject.parse().unwrap());
            let caller = Caller::simulated("both".parse().unwrap(), subject, BTreeMap::new());
            let grants = upload_grants(false);
            let grant = grants.decide_signing(&caller, Some("own"), &BTreeMap::new(), now)?;
            for (action, key, expected) in [
                ("oss:PutObject", "users/alice/dog.jpg", true),
                ("oss:PutObject", "users/bob/dog.jpg", false),
                ("oss:PutObject", "users/alice", false),
                ("oss:GetObject", "users/alice/dog.jpg", false),
            ] {
                let key = key.parse().unwrap();
                assert_eq!(grant.may_sign(action, &key), expected, "{action} {key}");
            }
            Ok(grant.object_key(name, "0").map(|key| key.to_string()))
        };
        let alice = Some("alice");
        assert_eq!(key(alice, Some("cat.jpg")), Ok(Ok("users/alice/cat.jpg".to_owned())));
        assert_eq!(key(alice, None), Ok(Err(UploadKeyProblem::NameMissing)));
        for name in ["../bob/cat.jpg", "${filename}", "a//b", ".", ""] {
            let refused = key(alice, Some(name)).unwrap().unwrap_err();
            assert!(matches!(refused, UploadKeyProblem::Name(_)), "{name}: {refused:?}");
        }
        let nobody = key(None, Some("cat.jpg"));
        assert_eq!(nobody, Err(Refusal::Value(ValueProblem::MissingSubject)));
    }

    #[test]
    fn durations_outside_the_grants_bounds_are_refused() {
        let with = |secs| TokenParams { duration_secs: Some(secs), ..request(None, Some("2015")) };
        let got = [899, 900, 3600, 3601, u64::MAX].map(|secs| {
            decide("reader", None, &with(secs)).map(|session| session.duration.as_secs()).ok()
        });
        assert_eq!(got, [None, Some(900), Some(3600), None, None]);
    }

    /// In steps of 300 s, and refused where less than 900 s would be left.
    #[test]
    fn a_token_expires_before_the_login_ends() {
        let now: DateTime<Utc> = "2015-01-01T00:00:00Z".parse().unwrap();
        let got = |secs: Option<u64>, left: i64| {
            let caller = Caller::simulated("reader".parse().unwrap(), None, BTreeMap::new())
                .logged_in_until(now + chrono::TimeDelta::seconds(left));
            let request = TokenParams { duration_secs: secs, ..request(None, Some("2015")) };
            grants().decide(&caller, &request, now).map(|grant| grant.duration.as_secs())
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
    fn a_callers_own_policy_only_restricts_the_grant() {
        let with = |key: &str| {
            let json = ALBUM.replace("${params.album}/*", key);
            let policy = Some(RequestedPolicy::parse(&json).unwrap());
            decide("reader", None, &TokenParams { policy, ..request(None, Some("2015")) })
        };
        let session = with("2015/01/*").unwrap();
        insta::assert_snapshot!(session.policy.as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/*"}]}"#);
        assert_eq!(session.name.as_str(), "reader");
        let refusal = with("2016/*").unwrap_err();
        insta::assert_snapshot!(refusal, @r"Statement[0]: no statement of the grant allows all of `oss:GetObject` on `acs:oss:*:*:sample-bucket/2016/*`; the policy allows oss:GetObject on acs:oss:*:*:sample-bucket/2016/object, and the grant does not");
    }

    #[test]
    fn missing_and_undeclared_values_are_refused() {
        let album = || "album".parse().unwrap();
        let refusals = [
            decide("reader", None, &request(None, None)),
            decide("both", None, &request(Some("own"), None)),
            decide("both", Some("alice"), &request(Some("own"), Some("2015"))),
        ]
        .map(Result::unwrap_err);
        let expected = [
            Refusal::Value(ValueProblem::MissingParameter { name: album(), undeclared: None }),
            Refusal::Value(ValueProblem::MissingSubject),
            Refusal::Value(ValueProblem::UnknownParameter {
                name: Some(album()),
                declared: vec![],
            }),
        ];
        assert_eq!(refusals, expected);
    }
}
