//! Everything that a grant renders for one request.

use appserver_domain::{Bucket, SessionName, SourceIdentity, ValueName};

use crate::containment::requested_policy::RequestedPolicy;
use crate::disjoint::{self, Callers, Disjointness, SharedResource};
use crate::document::problem::PolicyProblem;
use crate::document::tree::{Document, Effect};
use crate::exact::{self, ComparablePolicy, Inclusion};
use crate::lint::checks;
use crate::lint::warning::LintWarning;
use crate::matching::pattern::Pattern;
use crate::matching::resource::fields;
use crate::session::name_template::{
    NameFlaw, NameTemplate, SessionNameTemplate, SourceIdentityTemplate,
};
use crate::session::object_key_template::ObjectKeyTemplate;
use crate::session::policy_refusal::PolicyRefusal;
use crate::session::session_policy::SessionPolicy;
use crate::template::overlap::{self, CallerGroup};
use crate::template::placeholder::ValueSource;
use crate::template::policy_template::{Breadth, PolicyTemplate};
use crate::template::text::Text;
use crate::template::value_rule::ValueRules;
use crate::template::values::{RawValues, SubjectUse, Uses, ValueProblem, Values};

/// A grant's texts together with the rules that they were parsed with.
///
/// They stay together because rendering relies on it: values admitted by other rules could be missing or too long.
pub struct GrantTemplate {
    pub(super) rules: ValueRules,
    pub(super) uses: Uses,
    pub(super) policy: PolicyTemplate,
    session_name: SessionNameTemplate,
    source_identity: Option<SourceIdentityTemplate>,
    /// Of uploads, if the grant takes them.
    pub(crate) object_key: Option<ObjectKeyTemplate>,
}

/// The unparsed texts of a grant.
#[derive(Clone, Copy, Debug)]
pub struct GrantTexts<'a> {
    /// A RAM policy document with placeholders.
    pub policy: &'a str,
    /// Whether the policy may allow actions or buckets that it does not name.
    pub breadth: Breadth,
    /// The session name's template. The default is the client, with the subject and the issuer where the policy uses
    /// these.
    pub session_name: Option<&'a str>,
    /// The source identity's template, if the grant sets one.
    pub source_identity: Option<&'a str>,
}

/// A problem of one of the texts.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum GrantTemplateProblem {
    #[error(transparent)]
    Policy(PolicyProblem),
    #[error(transparent)]
    SessionName(NameFlaw),
    #[error(transparent)]
    SourceIdentity(NameFlaw),
}

/// Why a request with a policy of its own is refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
pub enum RenderProblem {
    #[error(transparent)]
    Value(#[from] ValueProblem),
    #[error(transparent)]
    Policy(#[from] PolicyRefusal),
}

/// What STS receives for one caller of a grant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RenderedSession {
    /// The inline policy.
    pub policy: SessionPolicy,
    /// The role session's name.
    pub session_name: SessionName,
    /// The source identity, where the grant has one.
    pub source_identity: Option<SourceIdentity>,
}

impl GrantTemplate {
    /// Parses the texts, or reports every problem in them.
    pub fn parse(
        texts: GrantTexts<'_>,
        rules: ValueRules,
    ) -> Result<Self, Vec<GrantTemplateProblem>> {
        let mut problems = Vec::new();
        let policy = PolicyTemplate::parse(texts.policy, &rules, texts.breadth)
            .map_err(|found| problems.extend(found.into_iter().map(GrantTemplateProblem::Policy)));
        // Where the policy differs for each user, so does the default name.
        let unwritten = match &policy {
            Ok(policy) if policy.uses().subject == SubjectUse::Unused => "${client}",
            Ok(policy) if policy.uses().issuer => "${client}.${issuer}.${subject}",
            Ok(_) => "${client}.${subject}",
            Err(()) => "${client}",
        };
        let session_name = texts.session_name.unwrap_or(unwritten);
        let session_name = SessionNameTemplate::parse(session_name, &rules).map_err(|found| {
            problems.extend(found.into_iter().map(GrantTemplateProblem::SessionName));
        });
        let source_identity = texts
            .source_identity
            .map(|written| SourceIdentityTemplate::parse(written, &rules))
            .transpose()
            .map_err(|found| {
                problems.extend(found.into_iter().map(GrantTemplateProblem::SourceIdentity));
            });
        match (policy, session_name, source_identity) {
            (Ok(policy), Ok(session_name), Ok(source_identity)) => {
                let name_uses = source_identity.as_ref().map(NameTemplate::uses);
                let uses =
                    policy.uses().and(session_name.uses()).and(name_uses.unwrap_or_default());
                Ok(Self { rules, uses, policy, session_name, source_identity, object_key: None })
            }
            _ => Err(problems),
        }
    }

    /// The values that the texts use, which a credential must provide.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// The rules for the values of a request.
    pub fn rules(&self) -> &ValueRules {
        &self.rules
    }

    /// The lint warnings about the policy.
    pub fn lint_warnings(&self) -> Vec<LintWarning> {
        checks::template_warnings(&self.policy)
    }

    /// The parameters that are required although no text uses them.
    pub fn unused_parameters(&self) -> impl Iterator<Item = &ValueName> {
        self.rules.params.keys().filter(|name| !self.uses.params.contains(*name))
    }

    /// The claims that are declared and that no text uses: callers need not have them.
    pub fn unused_claims(&self) -> impl Iterator<Item = &ValueName> {
        self.rules.claims.keys().filter(|name| !self.uses.claims.contains(*name))
    }

    /// The policy template in a form that is equal for equal templates.
    pub fn policy_template(&self) -> String {
        self.policy.written()
    }

    /// The policy template, to be compared with another.
    pub fn comparable_policy(&self) -> ComparablePolicy {
        ComparablePolicy::of(self.policy.document.map(Text::written))
    }

    /// The policy's tree.
    pub(crate) fn document(&self) -> &Document<Text> {
        &self.policy.document
    }

    /// Whether a statement allows something on the bucket or in it. No placeholder is part of a bucket's name.
    pub fn names_bucket(&self, bucket: &Bucket) -> bool {
        let statements = self.policy.document.statements.iter();
        let allows = statements.filter(|one| one.effect == Effect::Allow);
        allows.flat_map(|one| one.resource.as_slice()).any(|text| {
            let text = text.written();
            match fields(&text) {
                Some([_, service, .., path]) => {
                    let of_path = path.split('/').next().unwrap_or_default();
                    Pattern(service).matches("oss") && Pattern(of_path).matches(bucket.as_str())
                }
                // Fewer fields than a name has: a wildcard covers the rest.
                None => Pattern(&text).matches(&format!("acs:oss:*:*:{}", bucket.as_str())),
            }
        })
    }

    /// Whether the policy distinguishes users by their issuers.
    pub fn policy_uses_issuer(&self) -> bool {
        self.policy.uses().issuer
    }

    /// Whether the policy differs between the clients of the grant.
    pub fn policy_uses_client(&self) -> bool {
        let mut placeholders = self.policy.document.values().flat_map(Text::placeholders);
        placeholders.any(|placeholder| placeholder.source == ValueSource::Client)
    }

    /// Whether no two users have the same session name. The issuer may be missing in it: what that means is checked elsewhere.
    pub fn session_names_user(&self) -> bool {
        self.session_name.uses().subject != SubjectUse::Unused
    }

    /// Whether no two clients have the same session name.
    pub fn session_names_client(&self) -> bool {
        self.session_name.uses_client()
    }

    /// The keys of a grant with the texts in which users of different issuers could be confused.
    pub fn issuer_collisions(&self, by_client: bool) -> Vec<(&'static str, Vec<String>)> {
        let name = self.session_name.issuer_collisions(by_client);
        let source = self.source_identity.as_ref();
        let source = source.and_then(|source| source.issuer_collisions(by_client));
        let texts = [
            ("policy", self.policy.issuer_collisions(by_client)),
            ("session_name", name.into_iter().collect()),
            ("source_identity", source.into_iter().collect()),
        ];
        texts.into_iter().filter(|(_, texts)| !texts.is_empty()).collect()
    }

    /// Whether a user of the one grant may reach what another user of the other reaches: both have the same policy, or
    /// a resource or listing in each uses the user and not the issuer, and the two can have a key in common.
    pub fn shares_users_with(&self, other: &Self) -> bool {
        self.policy_template() == other.policy_template()
            || overlap::of_equal_users(&self.policy.document, &other.policy.document)
    }

    /// Two texts of the policies by which a caller of this grant could reach what a caller of the other reaches,
    /// because a value of one equals a name of the other. The callers have different issuers.
    pub fn overlaps(
        &self,
        we: CallerGroup<'_>,
        other: &Self,
        they: CallerGroup<'_>,
    ) -> Option<(String, String)> {
        overlap::of_callers(&self.policy.document, we, &other.policy.document, they)
    }

    /// Whether two different callers of the grant never reach the same data, outside what may be shared.
    pub fn disjointness(&self, callers: &Callers, shared: &[SharedResource]) -> Disjointness {
        disjoint::decide(&self.policy, &self.rules, callers, shared)
    }

    /// Whether its sessions have a source identity, which ActionTrail records.
    pub fn sets_source_identity(&self) -> bool {
        self.source_identity.is_some()
    }

    /// Renders a session from admitted values. This, `render_within` and `admit` are the only makers of a session policy.
    pub fn render(&self, raw: RawValues<'_>) -> Result<RenderedSession, ValueProblem> {
        let values = Values::admit(&self.rules, &self.uses, raw)?;
        Ok(self.named(&values, SessionPolicy::rendered(self.policy.render(&values))))
    }

    /// Renders a session for a caller that requests less than the grant gives.
    pub fn render_within(
        &self,
        raw: RawValues<'_>,
        requested: &RequestedPolicy,
    ) -> Result<RenderedSession, RenderProblem> {
        let values = Values::admit(&self.rules, &self.uses, raw)?;
        let granted = self.policy.fill(&values);
        let common = requested
            .within(&granted)
            .map_err(|error| PolicyRefusal::not_contained(error, &requested.0, &granted))?;
        let policy = checked_again(common.minified(), &granted)
            .map_err(|refusal| refusal.located(&requested.0))?;
        Ok(self.named(&values, policy))
    }

    fn named(&self, values: &Values, policy: SessionPolicy) -> RenderedSession {
        RenderedSession {
            policy,
            session_name: self.session_name.render(values),
            source_identity: self.source_identity.as_ref().map(|name| name.render(values)),
        }
    }
}

impl std::fmt::Debug for GrantTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GrantTemplate").finish_non_exhaustive()
    }
}

/// The policy as STS receives it, which a second procedure finds within the grant's.
///
/// It reads the very text that is sent, and shares only the parser with `containment`: a bug in one does not widen a token.
fn checked_again(
    policy: String,
    granted: &Document<String>,
) -> Result<SessionPolicy, PolicyRefusal> {
    let policy = SessionPolicy::contained(policy)
        .map_err(|error| PolicyRefusal::NotContained { error, comparison: None })?;
    match exact::inclusion_of_text(policy.as_str(), granted) {
        Inclusion::Included => Ok(policy),
        Inclusion::Beyond(witness) => Err(PolicyRefusal::Disagreement(witness)),
        Inclusion::TooComplex(bound) => Err(PolicyRefusal::TooComplex { bound, statement: None }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::containment::intersection::ContainmentError;
    use crate::template::value_rule::{Shape, ValueRule};
    use crate::template::values::SubjectUse;
    use crate::union::grant_need::GrantNeed;
    use appserver_domain::Subject;

    fn shipped(policy: &str) -> String {
        let above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        let mut files =
            above.map(|at| at.join("../../config/policies").join(format!("{policy}.json")));
        std::fs::read_to_string(files.find(|file| file.is_file()).unwrap()).unwrap()
    }

    /// Every kind of placeholder before the caller's own part, and beside it.
    const EVERYTHING: &str = r#"{"Version":"1","Statement":[
        {"Effect":"Allow","Action":["oss:GetObject","oss:PutObject"],"Resource":[
            "acs:oss:*:*:sample-bucket/${client}/u-${subject}.d/${claims.tenant}/*",
            "acs:oss:*:*:sample-bucket/${client}/u-${subject}.d/${now:%Y/%m}/${params.album}/*.jpg"]},
        {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
         "Condition":{"StringLike":{"oss:Prefix":"${client}/u-${subject}.d/*","oss:Delimiter":["/"]}}},
        {"Effect":"Deny","NotAction":"oss:*","Resource":"*"}]}"#;

    fn grant(policy: &str, breadth: Breadth) -> GrantTemplate {
        try_grant(policy, breadth).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn try_grant(
        policy: &str,
        breadth: Breadth,
    ) -> Result<GrantTemplate, Vec<GrantTemplateProblem>> {
        let name = |raw: &str| raw.parse().unwrap();
        let text = |shape| ValueRule::text(shape, None, 128).unwrap();
        let used = |raw: &&str| policy.contains(&format!("${{params.{raw}}}"));
        let params = ["album"].iter().filter(|raw| used(raw));
        let rules = ValueRules {
            params: params.map(|raw| (name(raw), text(Shape::Path))).collect(),
            claims: BTreeMap::from([(name("tenant"), text(Shape::Segment))]),
            subject_max_bytes: 128,
        };
        let texts =
            GrantTexts { policy, breadth, session_name: Some("${client}"), source_identity: None };
        GrantTemplate::parse(texts, rules)
    }

    #[test]
    fn a_bucket_is_named_by_the_resources_that_a_policy_allows() {
        let names = |effect: &str, resource: &str, bucket: &str| {
            let policy = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:other/*"}},
                {{"Effect":"{effect}","Action":"oss:GetObject","Resource":"{resource}"}}]}}"#
            );
            grant(&policy, Breadth::Broad).names_bucket(&bucket.parse().unwrap())
        };
        for resource in [
            "acs:oss:*:*:photos",
            "acs:oss:*:*:photos/${client}/*",
            "acs:oss:oss-cn-hangzhou:11223344:photos/a",
            "acs:oss:*:*:ph*/a",
            "acs:oss:*:*:*",
            "acs:oss:*",
            "*",
        ] {
            assert!(names("Allow", resource, "photos"), "{resource}");
            assert!(!names("Deny", resource, "photos"), "{resource}");
        }
        assert!(!names("Allow", "acs:oss:*:*:photos/*", "photos-2"));
        assert!(!names("Allow", "acs:oss:*:*:photos/photos-2/*", "photos-2"));
    }

    /// `value` as subject, claim and parameter, as far as each is requested.
    fn render(template: &GrantTemplate, value: &str) -> Result<String, ValueProblem> {
        render_values(template, value, value, value)
    }

    fn render_values(
        template: &GrantTemplate,
        subject: &str,
        tenant: &str,
        param: &str,
    ) -> Result<String, ValueProblem> {
        let Ok(subject) = subject.parse::<Subject>() else {
            return Err(ValueProblem::MissingSubject);
        };
        let params = template.rules().params.keys();
        let raw = RawValues {
            issuer: None,
            client: &"photo-app".parse().unwrap(),
            subject: Some(&subject),
            claims: &BTreeMap::from([("tenant".to_owned(), tenant.to_owned())]),
            params: &params.map(|name| (name.to_string(), param.to_owned())).collect(),
            now: "2015-01-02T03:04:05Z".parse().unwrap(),
        };
        template.render(raw).map(|session| session.policy.as_str().to_owned())
    }

    // The oracle: RAM's evaluation once more, from the JSON text and with none of this crate's code.

    fn strings(value: &Value) -> Vec<&str> {
        match value {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().map(|s| s.as_str().unwrap()).collect(),
            _ => panic!("{value} is neither a string nor a list"),
        }
    }

    fn glob(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), None) => glob(rest, text),
            (Some(('*', rest)), Some((_, after))) => glob(rest, text) || glob(pattern, after),
            (Some((p, rest)), Some((t, after))) => (*p == '?' || p == t) && glob(rest, after),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    fn matches(pattern: &str, text: &str) -> bool {
        glob(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
    }

    /// Whether the policy allows the action on `bucket` or `bucket/key`, requested with this prefix.
    fn allows(policy: &str, action: &str, path: &str, prefix: &str) -> bool {
        let policy: Value = serde_json::from_str(policy).unwrap();
        let applies = |statement: &&Value| {
            let named = |field: &Value| strings(field).iter().any(|p| matches(p, action));
            let acts =
                statement.get("Action").map_or_else(|| !named(&statement["NotAction"]), named);
            let on = strings(&statement["Resource"]).iter().any(|resource| {
                matches(resource.strip_prefix("acs:oss:*:*:").unwrap_or(resource), path)
            });
            let holds = statement.get("Condition").is_none_or(|condition| {
                let prefixes = strings(&condition["StringLike"]["oss:Prefix"]);
                prefixes.iter().any(|p| matches(p, prefix))
            });
            acts && on && holds
        };
        let effects = policy["Statement"].as_array().unwrap().iter().filter(applies);
        let effects: Vec<_> = effects.map(|s| s["Effect"].as_str().unwrap()).collect();
        effects.contains(&"Allow") && !effects.contains(&"Deny")
    }

    const ACTIONS: [&str; 6] = [
        "oss:GetObject",
        "oss:PutObject",
        "oss:DeleteObject",
        "oss:AbortMultipartUpload",
        "oss:ListParts",
        "oss:PutBucketAcl",
    ];

    /// Values that try to reach out, and values of honest callers.
    fn value() -> impl Strategy<Value = String> {
        prop_oneof![
            3 => "[a-c01._~@+=,()!-]{1,6}",
            1 => "\\PC{1,12}",
            2 => "[ab*?/.${}\"\\\\%:\u{0}]{1,6}",
            1 => Just("${subject}".to_owned()),
            1 => Just("a/../b".to_owned()),
            1 => Just("\",\"acs:oss:*:*:*".to_owned()),
        ]
    }

    /// Keys around a prefix: below it, beside it, above it, and anywhere.
    fn keys(prefix: &str, tail: &str) -> Vec<String> {
        let open = prefix.trim_end_matches('/');
        vec![
            format!("{prefix}{tail}"),
            format!("{open}{tail}"),
            format!("{open}0/{tail}"),
            open.to_owned(),
            open[..open.char_indices().last().map_or(0, |(i, _)| i)].to_owned() + "/" + tail,
            format!("users/{tail}"),
            format!("users/x/{prefix}{tail}"),
            format!("albums/{tail}"),
            tail.to_owned(),
        ]
    }

    /// A template and the prefix that its caller owns.
    fn cases(value: &str) -> [(GrantTemplate, String); 3] {
        [
            (grant(&shipped("my-photos"), Breadth::Narrow), format!("users/{value}/")),
            (grant(&shipped("one-album"), Breadth::Narrow), format!("albums/{value}/")),
            (grant(EVERYTHING, Breadth::Narrow), format!("photo-app/u-{value}.d/")),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn whatever_value_is_accepted_nothing_outside_its_prefix_is_allowed(
            value in value(), tail in "[a-c0/.]{0,4}(\\.jpg)?", other in "\\PC{0,8}",
        ) {
            for (template, own) in cases(&value) {
                let Ok(policy) = render(&template, &value) else { continue };
                let outside = keys(&own, &tail).into_iter().chain([other.clone()]);
                for key in outside.filter(|key| !key.starts_with(&own)) {
                    for action in ACTIONS {
                        let path = format!("sample-bucket/{key}");
                        prop_assert!(!allows(&policy, action, &path, ""), "{} {}", action, path);
                        let path = format!("other-bucket/{own}{key}");
                        prop_assert!(!allows(&policy, action, &path, ""), "{} {}", action, path);
                    }
                    let listed = allows(&policy, "oss:ListObjects", "sample-bucket", &key);
                    prop_assert!(!listed, "{} lists {}", policy, key);
                }
                prop_assert!(!allows(&policy, "oss:PutBucketAcl", "sample-bucket", &own));
            }
        }

        #[test]
        fn a_rendered_policy_has_its_templates_shape_but_for_the_placeholders(value in value()) {
            for text in [&shipped("my-photos"), &shipped("one-album"), EVERYTHING] {
                let template = grant(text, Breadth::Narrow);
                let Ok(policy) = render(&template, &value) else { continue };
                let filled = filled(serde_json::from_str(text).unwrap(), &value);
                prop_assert_eq!(serde_json::from_str::<Value>(&policy).unwrap(), filled);
            }
        }

        #[test]
        fn no_subject_reaches_anothers_objects(
            one in value(), two in value(), neighbour in "[0-9a-z.-]{1,2}", tail in "[a-c/]{0,4}",
        ) {
            let near = format!("{one}{neighbour}");
            for (mine, theirs) in [(&one, &two), (&two, &one), (&one, &near), (&near, &one)] {
                for ((template, own), (_, others)) in cases(mine).into_iter().zip(cases(theirs)) {
                    let by_subject = template.uses().subject == SubjectUse::Segment;
                    if !by_subject || mine == theirs || render(&template, theirs).is_err() {
                        continue;
                    }
                    let Ok(policy) = render(&template, mine) else { continue };
                    let key = format!("{others}{tail}");
                    for action in ACTIONS {
                        let path = format!("sample-bucket/{key}");
                        prop_assert!(!allows(&policy, action, &path, ""), "{} has {}", own, path);
                    }
                    for requested in [&key, &others, others.trim_end_matches('/')] {
                        let listed = allows(&policy, "oss:ListObjects", "sample-bucket", requested);
                        prop_assert!(!listed, "{} lists {}", own, requested);
                    }
                }
            }
        }

        #[test]
        fn the_same_inputs_give_the_same_bytes(value in value()) {
            // White space and the order of keys are not inputs.
            let reordered = serde_json::from_str::<Value>(EVERYTHING).unwrap().to_string();
            let first = render(&grant(EVERYTHING, Breadth::Narrow), &value);
            prop_assert_eq!(&first, &render(&grant(EVERYTHING, Breadth::Narrow), &value));
            prop_assert_eq!(&first, &render(&grant(&reordered, Breadth::Narrow), &value));
        }
    }

    /// The template's tree with its placeholders replaced, leaf by leaf.
    fn filled(template: Value, value: &str) -> Value {
        match template {
            Value::String(text) => {
                let values = [
                    ("${client}", "photo-app"),
                    ("${now:%Y/%m}", "2015/01"),
                    ("${subject}", value),
                    ("${claims.tenant}", value),
                    ("${params.album}", value),
                ];
                Value::String(values.iter().fold(text, |text, (from, to)| text.replace(from, to)))
            }
            Value::Array(items) => items.into_iter().map(|item| filled(item, value)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(key, item)| (key, filled(item, value))).collect()
            }
            other => other,
        }
    }

    /// A small world, tried in full: every template of up to three of these segments, and every key of up to
    /// six characters.
    #[test]
    fn every_accepted_template_keeps_its_subjects_apart() {
        let segments = [
            "a",
            "*",
            "?",
            "${subject}",
            "${subject}*",
            "a${subject}",
            "${params.album}",
            "${params.album}${subject}",
        ];
        let templates =
            words(&segments, "/", 3).into_iter().filter(|path| path.contains("subject"));
        let keys: Vec<Vec<char>> =
            words(&["a", "b", "/"], "", 6).iter().map(|key| key.chars().collect()).collect();
        let mut accepted = 0;
        for path in templates {
            let policy = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject",
                "Resource":"acs:oss:*:*:sample-bucket/{path}"}}]}}"#
            );
            let Ok(template) = try_grant(&policy, Breadth::Narrow) else { continue };
            accepted += 1;
            let patterns = ["a", "b", "ab"].map(|subject| {
                ["a", "aa", "a/b"].map(|album| {
                    let policy = render_values(&template, subject, "a", album).unwrap();
                    let policy: Value = serde_json::from_str(&policy).unwrap();
                    let resource = policy["Statement"][0]["Resource"].as_str().unwrap();
                    let path = resource.strip_prefix("acs:oss:*:*:sample-bucket/").unwrap();
                    path.chars().collect::<Vec<_>>()
                })
            });
            for key in &keys {
                let reaches = |albums: &&[Vec<char>; 3]| albums.iter().any(|p| glob(p, key));
                let owners = patterns.iter().filter(reaches).count();
                assert!(owners <= 1, "{path}: {owners} subjects reach {key:?}");
            }
        }
        // Else the test would prove nothing.
        assert!(accepted > 50, "only {accepted} templates were accepted");
    }

    /// All sequences of one to `longest` of the letters.
    fn words(letters: &[&str], between: &str, longest: usize) -> Vec<String> {
        let mut words: Vec<String> = letters.iter().map(ToString::to_string).collect();
        let mut latest = words.clone();
        for _ in 1..longest {
            latest = latest
                .iter()
                .flat_map(|word| {
                    letters.iter().map(move |letter| format!("{word}{between}{letter}"))
                })
                .collect();
            words.extend_from_slice(&latest);
        }
        words
    }

    #[test]
    fn user1_does_not_reach_user10() {
        let template = grant(&shipped("my-photos"), Breadth::Narrow);
        let user1 = render(&template, "user1").unwrap();
        let user10 = render(&template, "user10").unwrap();
        assert!(allows(&user1, "oss:PutObject", "sample-bucket/users/user1/a/b.jpg", ""));
        assert!(allows(&user1, "oss:ListObjects", "sample-bucket", "users/user1/"));
        assert!(!allows(&user1, "oss:PutObject", "sample-bucket/users/user10/a.jpg", ""));
        assert!(!allows(&user10, "oss:PutObject", "sample-bucket/users/user1/a.jpg", ""));
        assert!(!allows(&user1, "oss:ListObjects", "sample-bucket", "users/user1"));
        assert!(!allows(&user1, "oss:ListObjects", "sample-bucket", ""));
    }

    #[test]
    fn the_shipped_policies_render() {
        let narrow = |policy| render(&grant(&shipped(policy), Breadth::Narrow), "alice").unwrap();
        insta::assert_snapshot!(narrow("daily-photos"), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg"}]}"#);
        insta::assert_snapshot!(narrow("one-album"), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/albums/alice/*"}]}"#);
        insta::assert_snapshot!(narrow("my-photos"), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:GetObject","oss:PutObject","oss:AbortMultipartUpload","oss:ListParts","oss:DeleteObject"],"Resource":"acs:oss:*:*:sample-bucket/users/alice/*"},{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/alice/","users/alice/*"]}}}]}"#);
        let read_all = render(&grant(&shipped("read-all"), Breadth::Broad), "alice").unwrap();
        insta::assert_snapshot!(read_all, @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:Get*","oss:List*"],"Resource":"acs:oss:*:*:*"}]}"#);
    }

    #[test]
    fn an_error_about_a_value_names_its_field_and_rule_and_never_the_value() {
        let of = |policy: &str, value: &str| {
            render(&grant(policy, Breadth::Narrow), value).unwrap_err().to_string()
        };
        insta::assert_snapshot!(of(&shipped("my-photos"), "secret*"), @r#"the subject must be one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`, at most 128 bytes; a policy with `${subject.encoded}` takes any subject"#);
        insta::assert_snapshot!(of(&shipped("my-photos"), &"x".repeat(129)), @r#"the subject must be one path segment of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`, at most 128 bytes; a policy with `${subject.encoded}` takes any subject"#);
        insta::assert_snapshot!(of(&shipped("one-album"), "secret*"), @r#"the parameter `album` must be path segments, joined by single `/`, of letters, digits and `- _ . ~ @ + = , ( ) !` in Unicode NFC, not `.` or `..`, at most 128 bytes"#);
    }

    /// A grant to read these keys, with these names.
    fn named(key: &str, session_name: &str, source_identity: Option<&str>) -> GrantTemplate {
        let policy = format!(
            r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{key}"}}]}}"#
        );
        let (params, claims) = Default::default();
        let rules = ValueRules { params, claims, subject_max_bytes: 64 };
        let session_name = Some(session_name);
        let texts =
            GrantTexts { policy: &policy, breadth: Breadth::Narrow, session_name, source_identity };
        GrantTemplate::parse(texts, rules).unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    #[test]
    fn a_grant_knows_what_its_policy_and_its_names_tell_apart() {
        for (key, session_name, source_identity, expected) in [
            ("a/*", "name", None, [false; 5]),
            ("${client}/*", "name", None, [false, true, false, false, false]),
            ("${issuer}/*", "name", None, [true, false, false, false, false]),
            ("a/*", "${subject}", None, [false, false, true, false, false]),
            ("a/*", "${client}.app", None, [false, false, false, true, false]),
            ("a/*", "name", Some("${subject}"), [false, false, false, false, true]),
        ] {
            let grant = named(key, session_name, source_identity);
            let known = [
                grant.policy_uses_issuer(),
                grant.policy_uses_client(),
                grant.session_names_user(),
                grant.session_names_client(),
                grant.sets_source_identity(),
            ];
            assert_eq!(known, expected, "{key} {session_name} {source_identity:?}");
        }
    }

    #[test]
    fn equally_named_users_share_what_two_policies_have_in_common_without_their_issuers() {
        for (one, other, expected) in [
            ("users/${subject}/*", "users/${subject}/photos/*", true),
            ("users/${subject}/*", "users/${subject}/*", true),
            ("${issuer}/${subject}/*", "${issuer}/${subject}/*", true),
            ("${issuer}/${subject}/*", "${issuer}/${subject}/photos/*", false),
            ("users/${subject}/*", "photos/${subject}/*", false),
            ("users/${subject}/*", "users/*", false),
        ] {
            let [one, other] = [one, other].map(|key| named(key, "name", None));
            let shares = [one.shares_users_with(&other), other.shares_users_with(&one)];
            assert_eq!(
                shares,
                [expected; 2],
                "{} {}",
                one.policy_template(),
                other.policy_template()
            );
        }
    }

    #[test]
    fn the_longest_policy_of_a_template_without_placeholders_is_the_rendered_one() {
        let template = named("a/*", "name", None);
        let rendered = render(&template, "alice").unwrap();
        assert_eq!(template.policy.longest_bytes(), rendered.len());
        assert_eq!(GrantNeed::new(&template, true, None, None).bytes(), rendered.len());
    }

    #[test]
    fn an_encoded_subject_has_at_most_the_longest_length() {
        let policy = shipped("my-photos").replace("${subject}", "${subject.encoded}");
        let template = grant(&policy, Breadth::Narrow);
        assert!(render(&template, &"x".repeat(128)).is_ok());
        let refused = render(&template, &"x".repeat(129)).unwrap_err();
        assert_eq!(refused.to_string(), "the subject must be at most 128 bytes when it is encoded");
    }

    /// What a bug in containment would let through.
    #[test]
    fn a_policy_that_containment_accepts_and_that_is_wider_is_refused_by_the_second_proof() {
        let document = |resource: &str| -> Document<String> {
            let json = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:{resource}"}}]}}"#
            );
            Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap()
        };
        let granted = document("sample-bucket/users/alice/*");
        let within = checked_again(document("sample-bucket/users/alice/a").minified(), &granted);
        assert!(within.is_ok(), "{within:?}");
        for wider in ["sample-bucket/users/*", "sample-bucket/users/alice*", "*"] {
            let refused = checked_again(document(wider).minified(), &granted);
            assert!(matches!(refused, Err(PolicyRefusal::Disagreement(_))), "{refused:?}");
        }
        let no_policy = checked_again("{}".to_owned(), &granted);
        assert!(matches!(no_policy, Err(PolicyRefusal::Disagreement(_))), "{no_policy:?}");
    }

    /// The requested policy fits by itself; what the grant adds to it counts as well.
    #[test]
    fn a_requested_policy_with_the_grants_additions_is_at_most_2047_bytes() {
        let granted = r#"{"Version":"1","Statement":[
            {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a/*"},
            {"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/a/secret/*"}]}"#;
        let template = grant(granted, Breadth::Narrow);
        let render = |key: String| {
            let requested = format!(
                r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"oss:GetObject",
                "Resource":"acs:oss:*:*:sample-bucket/a/{key}"}}]}}"#
            );
            let raw = RawValues {
                issuer: None,
                client: &"photo-app".parse().unwrap(),
                subject: None,
                claims: &BTreeMap::new(),
                params: &BTreeMap::new(),
                now: chrono::DateTime::UNIX_EPOCH,
            };
            let session = template.render_within(raw, &RequestedPolicy::parse(&requested).unwrap());
            session.map(|session| session.policy.as_str().len())
        };
        let beside = render(String::new()).unwrap();
        for size in [2046, 2047] {
            assert_eq!(render("x".repeat(size - beside)), Ok(size));
            let multibyte = format!("{}x", "東".repeat((size - beside) / 3));
            assert!(render(multibyte).is_ok_and(|found| (size - 2..=size).contains(&found)));
        }
        let refused = render("x".repeat(2048 - beside)).unwrap_err();
        let error = ContainmentError::TooLong { size: 2048 };
        let expected = PolicyRefusal::NotContained { error, comparison: None };
        assert_eq!(refused, RenderProblem::Policy(expected));
    }

    #[test]
    fn declared_parameters_and_used_claims_are_required() {
        let raw = |params: &[&str], claims: &[&str], subject: Option<&str>| {
            let map = |of: &[&str]| of.iter().map(|n| (n.to_string(), "ab".to_owned())).collect();
            let subject = subject.map(|s| s.parse().unwrap());
            let raw = RawValues {
                issuer: None,
                client: &"photo-app".parse().unwrap(),
                subject: subject.as_ref(),
                claims: &map(claims),
                params: &map(params),
                now: chrono::DateTime::UNIX_EPOCH,
            };
            grant(EVERYTHING, Breadth::Narrow).render(raw).map(|_| ())
        };
        let alice = Some("alice");
        let name = |raw: &str| raw.parse().unwrap();
        assert_eq!(raw(&["album"], &["tenant", "iss"], alice), Ok(()));
        assert_eq!(
            raw(&[], &["tenant"], alice),
            Err(ValueProblem::MissingParameter { name: name("album"), undeclared: None })
        );
        let misspelt = raw(&["Album"], &["tenant"], alice).unwrap_err();
        insta::assert_snapshot!(misspelt, @"the parameter `album` is missing; the grant does not declare the parameter `Album`");
        // What cannot be a parameter's name may be a secret.
        let unnamed = raw(&["a secret"], &["tenant"], alice).unwrap_err();
        insta::assert_snapshot!(unnamed, @"the parameter `album` is missing");
        let unknown = |text: &str| raw(&["album", text], &["tenant"], alice).unwrap_err();
        let declared = vec![name("album")];
        let named = ValueProblem::UnknownParameter { name: Some(name("x")), declared };
        assert_eq!(unknown("x"), named);
        insta::assert_snapshot!(named, @"the grant does not declare the parameter `x`; it declares `album`");
        insta::assert_snapshot!(unknown("a secret"), @"the grant does not declare one of the parameters; it declares `album`");
        assert_eq!(raw(&["album"], &[], alice), Err(ValueProblem::MissingClaim(name("tenant"))));
        assert_eq!(raw(&["album"], &["tenant"], None), Err(ValueProblem::MissingSubject));
        // Neither subject nor claims are used here.
        let daily = grant(&shipped("daily-photos"), Breadth::Narrow);
        assert_eq!(daily.uses(), &Uses::default());
    }
}
