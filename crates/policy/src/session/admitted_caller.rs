//! One caller of a grant that signs: its own policy, and the keys of its uploads.

use std::borrow::Cow;

use appserver_domain::{Bucket, Invalid, ObjectKey};

use crate::document::tree::Effect;
use crate::matching::resource::ResourcePattern;
use crate::session::grant_session_policy::{GrantSessionPolicy, GrantSessionProblem};
use crate::session::grant_template::GrantTemplate;
use crate::session::object_key_template::{ObjectKeyFlaw, ObjectKeyTemplate};
use crate::session::session_policy::SessionPolicy;
use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::text::Text;
use crate::template::values::{RawValues, ValueProblem, Values};

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
        self.may_allow_keys(action, bucket, "*")
    }

    /// Whether the policy may allow a caller to write some key of its uploads.
    ///
    /// Each placeholder stands for a value of its own, or for any value where its values are listed, so that the answer is
    /// wrong only for a policy that has a value of a caller in its fixed text.
    pub fn may_allow_uploads(&self, bucket: &Bucket) -> bool {
        let key = self.object_key.as_ref();
        key.is_some_and(|key| {
            self.may_allow_keys("oss:PutObject", bucket, &key.fill("*", "*", sample))
        })
    }

    fn may_allow_keys(&self, action: &str, bucket: &Bucket, keys: &str) -> bool {
        let resource = format!("acs:oss:*:*:{}/{keys}", bucket.as_str());
        self.document().statements.iter().any(|statement| {
            let mut resources = statement.resource.as_slice().iter();
            statement.effect == Effect::Allow
                && statement.actions.covers(action)
                && resources.any(|text| ResourcePattern::intersects(&text.fill(sample), &resource))
        })
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
        ] {
            let grant = grant(resource, key);
            assert_eq!(grant.may_allow_uploads(&bucket), expected, "{resource} {key}");
            assert!(!grant.may_allow_uploads(&"other".parse().unwrap()));
        }
        let grant = grant(OWN, "users/${subject}/${name}");
        assert!(grant.may_allow("oss:PutObject", &bucket));
        assert!(!grant.may_allow("oss:GetObject", &bucket));
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
