//! One caller of a grant that signs: its own policy, and the keys of its uploads.

use std::borrow::Cow;
use std::collections::BTreeSet;

use appserver_domain::{Bucket, Invalid, ObjectKey};

use crate::document::tree::{Effect, Statement};
use crate::matching::resource::ResourcePattern;
use crate::session::grant_session_policy::{GrantSessionPolicy, GrantSessionProblem};
use crate::session::grant_template::GrantTemplate;
use crate::session::object_key_template::{ObjectKeyFlaw, ObjectKeyTemplate};
use crate::session::possible_keys::PossibleKeys;
use crate::session::session_policy::SessionPolicy;
use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::text::Text;
use crate::template::values::{RawValues, ValueProblem, Values};
use crate::template::whole_pattern::WholePattern;

/// A caller whose values the rules admit.
pub struct AdmittedCaller<'a> {
    template: &'a GrantTemplate,
    values: Values,
    policy: SessionPolicy,
}

/// Why there is no key for an upload.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum UploadKeyProblem {
    #[error("the grant takes no uploads")]
    NoUploads,
    #[error("it is missing, and the keys of the grant contain it")]
    NameMissing,
    #[error("the keys of the grant do not contain it: leave it out")]
    NameUnused,
    #[error("it makes no object key: {0}")]
    Name(Invalid),
}

impl GrantTemplate {
    /// Adds the template of the keys of uploads, or reports every rule that it breaks. The values that it uses are
    /// required of every caller from then on.
    pub fn set_object_key(&mut self, raw: &str) -> Result<(), Vec<ObjectKeyFlaw>> {
        let key = ObjectKeyTemplate::parse(raw, &self.rules)?;
        self.uses = std::mem::take(&mut self.uses).and(key.uses());
        self.object_key = Some(key);
        Ok(())
    }

    /// Whether the keys of uploads contain a name that the caller chooses.
    pub fn object_key_has_name(&self) -> bool {
        self.object_key.as_ref().is_some_and(ObjectKeyTemplate::has_name)
    }

    /// Whether uploads of one caller always have the same key, unless a template of keys is missing.
    pub fn object_key_is_one_per_caller(&self) -> bool {
        let varies = |placeholder: &Placeholder| {
            matches!(placeholder.source, ValueSource::Parameter(_) | ValueSource::Now(_))
        };
        self.object_key
            .as_ref()
            .is_some_and(|key| !key.differs_by_upload() && !key.placeholders().any(varies))
    }

    /// Whether the keys of uploads differ between users and the policy does not.
    pub fn only_object_keys_differ_by_user(&self) -> bool {
        let is_of_user = |placeholder: &Placeholder| {
            matches!(placeholder.source, ValueSource::Subject(_) | ValueSource::Claim(_))
        };
        let in_key = |key: &ObjectKeyTemplate| key.placeholders().any(is_of_user);
        let mut in_policy = self.document().values().flat_map(Text::placeholders);
        self.object_key.as_ref().is_some_and(in_key) && !in_policy.any(is_of_user)
    }

    /// The policy of a session that looks at uploaded objects of all callers; none if the grant has no template of keys.
    pub fn reading_policy(
        &self,
        bucket: &Bucket,
    ) -> Option<Result<GrantSessionPolicy, GrantSessionProblem>> {
        let key = self.object_key.as_ref()?;
        Some(GrantSessionPolicy::reading(bucket, &key.pattern()))
    }

    /// A caller with its own policy, for what is signed in its place.
    pub fn admit(&self, raw: RawValues<'_>) -> Result<AdmittedCaller<'_>, ValueProblem> {
        let values = Values::admit(&self.rules, &self.uses, raw)?;
        let policy = SessionPolicy::rendered(self.policy.render(&values));
        Ok(AdmittedCaller { template: self, values, policy })
    }

    /// Whether the policy may allow a caller the action on some object of the bucket.
    pub fn may_allow(&self, action: &str, bucket: &Bucket) -> bool {
        self.allowed_resources(action, bucket).next().is_some()
    }

    /// Whether the policy may allow a caller to write some key of its uploads, with some name that the pattern matches;
    /// without a pattern, a name is one path segment.
    ///
    /// A placeholder stands for a value that no fixed text contains, or for each value where its values are listed, so that
    /// a denial is wrong only for a policy that has a value of a caller in its fixed text.
    pub fn may_allow_uploads(&self, bucket: &Bucket, names: Option<&WholePattern>) -> bool {
        const ACTION: &str = "oss:PutObject";
        let Some(key) = &self.object_key else { return false };
        let Some(keys) = PossibleKeys::new(key, bucket, names) else { return true };
        let all = format!("acs:oss:*:*:{}/{}", bucket.as_str(), key.pattern());
        self.allowed_resources(ACTION, bucket).any(|text| keys.meet(text))
            && !self.denied_resources(ACTION).any(|text| {
                text.placeholders().next().is_none()
                    && ResourcePattern::contains(&text.written(), &all)
            })
    }

    /// The placeholders of what the policy allows callers to write in the bucket that are not in the keys of uploads.
    pub fn placeholders_beyond_object_key(&self, bucket: &Bucket) -> Vec<String> {
        let allowed = self.allowed_resources("oss:PutObject", bucket);
        let in_key = |one: &Placeholder| {
            self.object_key.as_ref().is_some_and(|key| key.placeholders().any(|own| own == one))
        };
        let beyond = allowed.flat_map(Text::placeholders).filter(|one| !in_key(one));
        beyond.map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The resources in the bucket that the policy allows the action on.
    fn allowed_resources(&self, action: &str, bucket: &Bucket) -> impl Iterator<Item = &Text> {
        let in_bucket = format!("acs:oss:*:*:{}/*", bucket.as_str());
        self.statements_of(Effect::Allow, action)
            .flat_map(|one| one.resource.as_slice())
            .filter(move |text| ResourcePattern::intersects(&text.fill(sample), &in_bucket))
    }

    /// The resources that the policy denies the action on without a condition.
    fn denied_resources(&self, action: &str) -> impl Iterator<Item = &Text> {
        let denials = self.statements_of(Effect::Deny, action);
        denials.filter(|one| one.condition.is_empty()).flat_map(|one| one.resource.as_slice())
    }

    fn statements_of(
        &self,
        effect: Effect,
        action: &str,
    ) -> impl Iterator<Item = &Statement<Text>> {
        let statements = self.document().statements.iter();
        statements.filter(move |one| one.effect == effect && one.actions.covers(action))
    }
}

/// A text that only values of this placeholder match.
fn sample(placeholder: &Placeholder) -> Cow<'_, str> {
    if placeholder.choices.is_empty() {
        // No fixed text of a template contains a `$`.
        Cow::Owned(placeholder.to_string())
    } else {
        Cow::Borrowed("*")
    }
}

impl AdmittedCaller<'_> {
    /// The policy that a token of the caller would have.
    pub fn policy(&self) -> &SessionPolicy {
        &self.policy
    }

    /// The key of an upload with the caller's name for it, if keys have one, and an id of ours.
    pub fn object_key(
        &self,
        name: Option<&str>,
        uuid: &str,
    ) -> Result<ObjectKey, UploadKeyProblem> {
        let key = self.template.object_key.as_ref().ok_or(UploadKeyProblem::NoUploads)?;
        let name = match (key.has_name(), name) {
            (true, None) => return Err(UploadKeyProblem::NameMissing),
            (false, Some(_)) => return Err(UploadKeyProblem::NameUnused),
            (_, name) => name.unwrap_or_default(),
        };
        key.render(&self.values, name, uuid).map_err(UploadKeyProblem::Name)
    }
}

impl std::fmt::Debug for AdmittedCaller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdmittedCaller").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::request::Request;
    use crate::session::grant_session_policy::ObjectActions;
    use crate::session::grant_template::GrantTexts;
    use crate::template::policy_template::Breadth;
    use crate::template::value_rule::{Shape, ValueRule, ValueRules};

    const OWN: &str = "users/${subject}/*";

    /// A grant that may write these keys, with uploads at these.
    fn grant(resource: &str, key: &str) -> GrantTemplate {
        let policy = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/{resource}"}}]}}"#
        );
        let texts = GrantTexts {
            policy: &policy,
            breadth: Breadth::Narrow,
            session_name: None,
            source_identity: None,
        };
        let used = [resource, key].iter().any(|text| text.contains("params.dir"));
        let dir = ("dir".parse().unwrap(), ValueRule::text(Shape::Path, None, 64).unwrap());
        let kind = ValueRule::one_of(&["raw".to_owned(), "thumb".to_owned()]).unwrap();
        let kind = ("kind".parse().unwrap(), kind);
        let rules = ValueRules {
            params: used.then_some(dir).into_iter().collect(),
            claims: BTreeMap::from([kind]),
            subject_max_bytes: 64,
        };
        let mut template = GrantTemplate::parse(texts, rules).unwrap();
        template.set_object_key(key).unwrap();
        template
    }

    /// The key of a subject's upload, and whether the grant signs it.
    fn upload(
        grant: &GrantTemplate,
        subject: &str,
        dir: &str,
        name: &str,
    ) -> Option<(ObjectKey, bool)> {
        let params = [("dir".to_owned(), dir.to_owned())];
        let params = params.into_iter().filter(|_| !grant.rules.params.is_empty());
        let raw = RawValues {
            client: &"photo-app".parse().unwrap(),
            issuer: None,
            subject: Some(&subject.parse().unwrap()),
            claims: &BTreeMap::from([("kind".to_owned(), "raw".to_owned())]),
            params: &params.collect(),
            now: "2016-01-13T14:02:37Z".parse().unwrap(),
        };
        let caller = grant.admit(raw).ok()?;
        let name = grant.object_key_has_name().then_some(name);
        let key = caller.object_key(name, "0123456789abcdef0123456789abcdef").ok()?;
        let request =
            Request::new("oss:PutObject", &format!("acs:oss:*:*:bucket/{key}"), BTreeMap::new());
        let own = grant.grant_session_policy(ObjectActions::Put).unwrap();
        Some((key, own.signs_for(caller.policy(), &request.unwrap())))
    }

    #[test]
    fn a_key_that_the_policy_never_allows_is_found_when_it_is_loaded() {
        let bucket = "bucket".parse().unwrap();
        for (resource, key, expected) in [
            (OWN, "users/${subject}/${name}", true),
            (OWN, "users/${subject}/${uuid}.jpg", true),
            (OWN, "users/${client}/${name}", false),
            (OWN, "photos/${subject}/${name}", false),
            ("users/${subject}/*.jpg", "users/${subject}/${name}", true),
            ("users/${subject}/*.jpg", "users/${subject}/${name}.png", false),
            ("users/${subject}/raw/*", "users/${subject}/${claims.kind}/${name}", true),
            ("uploads/*", "uploads/${subject}/${name}", true),
            // The subject's segment is missing, and a name is one segment.
            (OWN, "users/${name}", false),
            (OWN, "users/${uuid}.jpg", false),
            (OWN, "${name}", false),
            ("users/${subject}/?*.jpg", "users/${subject}/${uuid}.jpg", true),
            ("users/${subject}/raw-*", "users/${subject}/${uuid}.jpg", false),
            ("users/${claims.kind}/*", "users/${claims.kind}/${name}", true),
            ("users/${subject}/raw/*", "users/${subject}/${claims.kind}.d/${name}", false),
            // A fixed text is one of the listed values, and no value of a subject.
            ("users/${claims.kind}/*", "users/raw/${name}", true),
            (OWN, "users/alice/${name}", false),
        ] {
            let grant = grant(resource, key);
            assert_eq!(grant.may_allow_uploads(&bucket, None), expected, "{resource} {key}");
            assert!(!grant.may_allow_uploads(&"other".parse().unwrap(), None));
        }
        let grant = grant(OWN, "users/${subject}/${name}");
        assert!(grant.may_allow("oss:PutObject", &bucket));
        assert!(!grant.may_allow("oss:GetObject", &bucket));
    }

    #[test]
    fn only_a_key_with_a_name_takes_one() {
        let has_name = |key: &str| grant(OWN, key).object_key_has_name();
        assert!(has_name("users/${subject}/${name}"));
        assert!(!has_name("users/${subject}/${uuid}.jpg"));
    }

    #[test]
    fn uploads_of_a_caller_have_one_key_if_nothing_of_an_upload_is_in_it() {
        for (key, expected) in [
            ("users/${subject}/avatar.jpg", true),
            ("users/${subject}/${client}/${claims.kind}.jpg", true),
            ("users/${subject}/${name}", false),
            ("users/${subject}/${uuid}.jpg", false),
            ("users/${subject}/${params.dir}/avatar.jpg", false),
            ("users/${subject}/${now:%Y}.jpg", false),
        ] {
            assert_eq!(grant(OWN, key).object_key_is_one_per_caller(), expected, "{key}");
        }
    }

    #[test]
    fn keys_that_differ_by_user_are_found_where_the_policy_is_the_same_for_all() {
        for (resource, key, expected) in [
            ("uploads/*", "uploads/${subject}/${name}", true),
            ("uploads/*", "uploads/${claims.kind}/${name}", true),
            ("uploads/${client}/*", "uploads/${client}/${subject}/${name}", true),
            ("uploads/*", "uploads/${client}/${name}", false),
            ("uploads/*", "uploads/${uuid}", false),
            (OWN, "users/${subject}/${name}", false),
            ("uploads/${claims.kind}/*", "uploads/${claims.kind}/${subject}", false),
        ] {
            let found = grant(resource, key).only_object_keys_differ_by_user();
            assert_eq!(found, expected, "{resource} {key}");
        }
    }

    #[test]
    fn what_the_policy_distinguishes_and_the_keys_do_not_is_listed() {
        let beyond = |resource: &str, key: &str, bucket: &str| {
            grant(resource, key).placeholders_beyond_object_key(&bucket.parse().unwrap())
        };
        let deep = "users/${subject}/${params.dir}/*";
        assert_eq!(beyond(deep, "users/${subject}/${name}", "bucket"), ["${params.dir}"]);
        assert_eq!(beyond(deep, "users/${name}", "bucket"), ["${params.dir}", "${subject}"]);
        assert!(beyond(deep, "users/${subject}/${params.dir}/${name}", "bucket").is_empty());
        assert!(beyond(deep, "users/${name}", "other").is_empty());
    }

    #[test]
    fn a_grant_reads_the_objects_that_its_callers_upload_and_no_others() {
        let mut grant = grant(OWN, "users/${subject}/raw/${name}");
        let policy = grant.reading_policy(&"bucket".parse().unwrap()).unwrap().unwrap();
        insta::assert_snapshot!(policy.as_str(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:bucket/users/*/raw/*"}]}"#);
        assert_eq!(policy.clone().into_json(), policy.as_str());
        grant.object_key = None;
        assert!(grant.reading_policy(&"bucket".parse().unwrap()).is_none());
    }

    #[test]
    fn claims_that_neither_the_policy_nor_a_key_uses_are_listed() {
        let unused = |key: &str| {
            let grant = grant("uploads/*", key);
            grant.unused_claims().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(unused("uploads/${subject}/${name}"), ["kind"]);
        assert!(unused("uploads/${claims.kind}/${name}").is_empty());
    }

    #[test]
    fn names_that_never_make_an_allowed_key_are_found_when_they_are_loaded() {
        let bucket = "bucket".parse().unwrap();
        let own_key = "users/${subject}/${name}";
        for (resource, key, names, expected) in [
            (OWN, own_key, "[a-z0-9-]{1,64}\\.(jpg|png)", true),
            (OWN, "users/${name}", "[a-z0-9-]{1,64}\\.(jpg|png)", false),
            // A caller whose name for its file begins with its subject.
            (OWN, "users/${name}", "[a-z0-9-/]{1,64}\\.(jpg|png)", true),
            (OWN, "users/${name}", "(?s).+", true),
            ("users/${subject}/*.jpg", own_key, "[a-z]+\\.(jpg|png)", true),
            ("users/${subject}/*.jpg", own_key, "[a-z]+\\.png", false),
            ("users/${subject}/*.jpg", own_key, "\\w{1,8}", false),
            ("users/${subject}/猫?", own_key, "\\p{Han}{2}", true),
            ("users/${subject}/猫?", own_key, "\\p{Han}{4}", false),
            ("users/${subject}/?.jpg", own_key, "\\w\\w\\.jpg", false),
            (OWN, own_key, "[a-z&&[0-9]]", false),
        ] {
            let grant = grant(resource, key);
            let names = names.parse().unwrap();
            let found = grant.may_allow_uploads(&bucket, Some(&names));
            assert_eq!(found, expected, "{resource} {key} {names}");
        }
    }

    #[test]
    fn a_denial_of_all_keys_is_found_when_it_is_loaded() {
        let may_allow = |denial: &str| {
            let policy = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:bucket/a/*"}},
                {{"Effect":"Deny",{denial}}}]}}"#
            );
            let texts = GrantTexts {
                policy: &policy,
                breadth: Breadth::Narrow,
                session_name: None,
                source_identity: None,
            };
            let rules = ValueRules {
                params: BTreeMap::new(),
                claims: BTreeMap::new(),
                subject_max_bytes: 64,
            };
            let mut template = GrantTemplate::parse(texts, rules).unwrap();
            template.set_object_key("a/${uuid}").unwrap();
            template.may_allow_uploads(&"bucket".parse().unwrap(), None)
        };
        let all = r#""Resource":"acs:oss:*:*:bucket/a/*""#;
        assert!(!may_allow(&format!(r#""Action":"oss:Put*",{all}"#)));
        assert!(!may_allow(&format!(r#""NotAction":"oss:GetObject",{all}"#)));
        assert!(may_allow(&format!(r#""Action":"oss:DeleteObject",{all}"#)));
        assert!(may_allow(r#""Action":"oss:Put*","Resource":"acs:oss:*:*:bucket/a/b/*""#));
        let tls = r#""Condition":{"Bool":{"acs:SecureTransport":"false"}}"#;
        assert!(may_allow(&format!(r#""Action":"oss:Put*",{all},{tls}"#)));
    }

    #[test]
    fn values_of_the_key_alone_are_required_too() {
        let grant = grant("uploads/*", "uploads/${subject}/${params.dir}/${name}");
        assert!(grant.uses().needs_user());
        assert_eq!(grant.unused_parameters().count(), 0);
        let (key, is_signed) = upload(&grant, "alice", "a/b", "cat.jpg").unwrap();
        assert_eq!((key.as_str(), is_signed), ("uploads/alice/a/b/cat.jpg", true));
        assert!(upload(&grant, "a/b", "c", "cat.jpg").is_none(), "no path segment");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// What is signed for some name was not reported as never allowed.
        #[test]
        fn a_grant_that_signs_a_key_may_allow_uploads(
            key in prop_oneof![
                Just("users/${subject}/${name}"),
                Just("users/${name}"),
                Just("${name}"),
                Just("users/${uuid}-${name}"),
                Just("${params.dir}/${name}"),
            ],
            pattern in prop_oneof![Just(None), "[abc/]{0,3}(\\[a-c/]\\*|\\.\\*|a\\+)?".prop_map(Some)],
            dir in "(users|alice|[a.~]{1,3})(/(alice|[a.~]{1,3})){0,2}",
            name in "((users|alice|[abc]{1,3})/){0,2}[abc]{1,3}",
        ) {
            let grant = grant(OWN, key);
            let names: Option<WholePattern> = pattern.map(|written| written.parse().unwrap());
            let admits = match &names {
                Some(names) => names.matches(&name),
                None => name.parse::<appserver_domain::Segment>().is_ok(),
            };
            let is_signed = upload(&grant, "alice", &dir, &name).is_some_and(|(_, signed)| signed);
            // A value of a caller in the place of fixed text is left out.
            if admits && is_signed && !key.contains("params") {
                prop_assert!(grant.may_allow_uploads(&"bucket".parse().unwrap(), names.as_ref()));
            }
        }

        /// Whatever the template of the keys is, and whatever a caller chooses: nothing is signed outside of what the policy
        /// of the caller allows, and so no two callers get one key.
        #[test]
        fn what_is_signed_lies_within_the_callers_own_objects(
            key in prop_oneof![
                Just("users/${subject}/${name}"),
                Just("${params.dir}/${name}"),
                Just("users/${params.dir}/${uuid}-${name}"),
                Just("users/${name}"),
                Just("users/u-${subject}/${name}"),
            ],
            dir in "(users|alice|bob|[a.~]{1,3})(/(alice|bob|[a.~]{1,3})){0,2}",
            name in prop_oneof!["(alice|bob|[.]{1,2}|[a*?~]{1,3})(/[ab.*%]{1,3}){0,2}", "\\PC{0,6}"],
        ) {
            let grant = grant(OWN, key);
            let keys = ["alice", "bob"].map(|subject| {
                let signed = upload(&grant, subject, &dir, &name).filter(|(_, is_signed)| *is_signed);
                signed.map(|(key, _)| (subject, key))
            });
            for (subject, key) in keys.iter().flatten() {
                let own = format!("users/{subject}/");
                prop_assert!(key.as_str().starts_with(&own), "{} {}", subject, key.as_str());
            }
            if let [Some((_, alices)), Some((_, bobs))] = &keys {
                prop_assert_ne!(alices, bobs);
            }
        }
    }
}
