//! What is sound in a policy and will still not do what was meant.

use std::fmt;
use std::net::Ipv6Addr;

use super::document::{Actions, Document, Effect, Statement, Strings};
use super::hint::Hint;
use super::operation::{Level, Operation};
use super::operator::ConditionOperator;
use super::oss_resource::{DELIMITER_KEY, OssResource, PREFIX_KEY};
use super::resource::{ResourcePattern, fields};
use super::session::SessionPolicy;
use super::unknown_names;

/// A hint, the place it is about, and the statement as it was probably meant.
#[derive(Debug)]
pub struct LintWarning {
    at: String,
    hint: Hint,
    corrected: Option<String>,
}

/// What a large upload needs besides `oss:PutObject`.
const MULTIPART: [&str; 2] = ["oss:AbortMultipartUpload", "oss:ListParts"];

/// Nine tenths of what STS admits.
const NEAR_LIMIT: usize = SessionPolicy::MAX_BYTES * 9 / 10;

impl LintWarning {
    pub(super) fn new(at: String, hint: Hint, corrected: Option<&Statement<String>>) -> Self {
        Self { at, hint, corrected: corrected.map(written) }
    }

    /// Everything that can be said of a template, its placeholders as they are written; `worst` is the size of
    /// the longest policy that it renders.
    pub(super) fn on(document: &Document<String>, worst: usize) -> Vec<Self> {
        let mut advice = Vec::new();
        for (i, statement) in document.statements.iter().enumerate() {
            let at = format!("Statement[{i}]");
            advice.extend(Self::on_statement(&at, statement));
            if statement.effect == Effect::Allow {
                advice.extend(denied(&at, statement, document));
                advice.extend(listing(&at, statement, document));
                advice.extend(multipart(&at, statement, document));
            }
        }
        if worst >= NEAR_LIMIT {
            let at = "the policy".to_owned();
            advice.push(Self { at, hint: Hint::NearLimit { worst }, corrected: None });
        }
        advice
    }

    /// What can be said of each statement whatever the others say.
    pub(super) fn on_each_statement(document: &Document<String>) -> Vec<Self> {
        let statements = document.statements.iter().enumerate();
        statements
            .flat_map(|(i, one)| Self::on_statement(&format!("Statement[{i}]"), one))
            .collect()
    }

    fn on_statement(at: &str, statement: &Statement<String>) -> Vec<Self> {
        let mut advice = unknown_names::advice(at, statement);
        advice.extend(odd_resources(at, statement));
        advice.extend(never_matching(at, statement));
        advice.extend(wrong_values(at, statement));
        advice
    }
}

/// Objects that cannot exist, and regions, which OSS documents no more.
fn odd_resources(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let odd = |resource: &String| {
        let [acs, service, region, account, path] = fields(resource)?;
        if service != "oss" {
            return None;
        }
        // Source: OSS, "Object naming conventions": a name is not empty and begins with no `/`.
        if path.split_once('/').is_some_and(|(_, key)| key.is_empty() || key.starts_with('/')) {
            return Some((Hint::NoObject { resource: resource.clone() }, None));
        }
        let everywhere = || format!("{acs}:{service}:*:{account}:{path}");
        (region != "*").then(|| (Hint::Region { resource: resource.clone() }, Some(everywhere())))
    };
    let all = statement.resource.as_slice();
    let odd = all.iter().filter_map(|resource| Some((resource, odd(resource)?)));
    odd.map(|(resource, (hint, meant))| {
        let corrected = meant.map(|meant| {
            let all = all.iter().map(|one| if one == resource { &meant } else { one }.clone());
            Statement { resource: Strings::of(all.collect()), ..statement.clone() }
        });
        LintWarning::new(format!("{at}.Resource"), hint, corrected.as_ref())
    })
    .collect()
}

/// Actions on no resource of the kind that they are decided on.
fn never_matching(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let Actions::Action(actions) = &statement.actions else { return vec![] };
    let resources = OssResource::all(statement.resource.as_slice());
    let stray = |action: &String| {
        let level = match Operation::named(action) {
            Operation::Action => Level::of(action)?,
            Operation::AllowedBy(_) | Operation::Copies => return None,
        };
        let none =
            !resources.is_empty() && !resources.iter().any(|resource| resource.may_be(level));
        none.then(|| LintWarning {
            at: format!("{at}.Action"),
            hint: Hint::NeverMatches { action: action.clone(), level },
            corrected: Some(written(&moved(statement, action, level, &resources))),
        })
    };
    actions.as_slice().iter().filter_map(stray).collect()
}

/// The action alone, on what it is decided on; a prefix that was meant to limit a listing becomes its condition.
fn moved(
    statement: &Statement<String>,
    action: &str,
    level: Level,
    resources: &[OssResource<'_>],
) -> Statement<String> {
    let mut moved = Statement {
        actions: Actions::Action(Strings::One(action.to_owned())),
        resource: Strings::of(resources.iter().map(|resource| resource.at(level)).collect()),
        ..statement.clone()
    };
    let prefixes: Vec<_> = resources.iter().flat_map(OssResource::prefixes).collect();
    if action.eq_ignore_ascii_case("oss:ListObjects") && !prefixes.is_empty() {
        let keys = moved.condition.entry(ConditionOperator::StringLike).or_default();
        keys.entry(PREFIX_KEY.to_owned()).or_insert_with(|| Strings::of(prefixes));
    }
    moved
}

/// Values that do not compare as they look.
fn wrong_values(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let mut advice = Vec::new();
    for (&operator, keys) in &statement.condition {
        for (key, values) in keys {
            let at = format!("{at}.Condition.{operator:?}.{key}");
            for value in values.as_slice() {
                if let Some(ipv4) = mapped(operator, value) {
                    let hint = Hint::MappedAddress { value: value.clone(), ipv4 };
                    advice.push(LintWarning { at: at.clone(), hint, corrected: None });
                }
            }
            let Some(like) = operator.with_wildcards() else { continue };
            if values.as_slice().iter().any(|value| value.contains(['*', '?'])) {
                let mut corrected = statement.clone();
                if let Some(values) =
                    corrected.condition.get_mut(&operator).and_then(|k| k.remove(key))
                {
                    corrected.condition.entry(like).or_default().insert(key.clone(), values);
                }
                corrected.condition.retain(|_, keys| !keys.is_empty());
                let hint = Hint::LiteralWildcard { operator };
                advice.push(LintWarning { at, hint, corrected: Some(written(&corrected)) });
            }
        }
    }
    advice
}

/// The same range in IPv4, if it is one of IPv4 addresses written as IPv6.
fn mapped(operator: ConditionOperator, value: &str) -> Option<String> {
    let addresses = [
        ConditionOperator::IpAddress,
        ConditionOperator::IpAddressIncludeBorder,
        ConditionOperator::NotIpAddress,
    ];
    if !addresses.contains(&operator) {
        return None;
    }
    let (address, bits) = value.split_once('/').unwrap_or((value, "128"));
    let ipv4 = address.parse::<Ipv6Addr>().ok()?.to_ipv4_mapped()?;
    match bits.parse::<u8>().ok()?.checked_sub(96)? {
        32 => Some(ipv4.to_string()),
        bits => (bits < 32).then(|| format!("{ipv4}/{bits}")),
    }
}

/// An Allow all of which one denial takes back.
fn denied(at: &str, allow: &Statement<String>, document: &Document<String>) -> Option<LintWarning> {
    let Actions::Action(actions) = &allow.actions else { return None };
    let by = document.statements.iter().position(|deny| {
        deny.effect == Effect::Deny
            && deny.condition.is_empty()
            && actions.as_slice().iter().all(|action| deny.actions.contain(action))
            && lie_in(&allow.resource, deny)
    })?;
    Some(LintWarning { at: at.to_owned(), hint: Hint::Denied { by }, corrected: None })
}

fn lie_in(resources: &Strings<String>, statement: &Statement<String>) -> bool {
    let wide = statement.resource.as_slice();
    let lies = |narrow: &String| wide.iter().any(|wide| ResourcePattern::contains(wide, narrow));
    resources.as_slice().iter().all(lies)
}

/// A listing of whole buckets of which only a part is to be reached.
fn listing(
    at: &str,
    statement: &Statement<String>,
    document: &Document<String>,
) -> Vec<LintWarning> {
    if limits_listings(statement) || !statement.actions.cover("oss:ListObjects") {
        return vec![];
    }
    let allows = || document.statements.iter().filter(|other| other.effect == Effect::Allow);
    let whole = |listed: &OssResource<'_>| {
        let reached: Vec<_> = allows()
            .flat_map(|allow| OssResource::all(allow.resource.as_slice()))
            .filter(|other| other.bucket() == listed.bucket() && other.may_be(Level::Object))
            .collect();
        let prefixes: Vec<_> = reached.iter().flat_map(OssResource::prefixes).collect();
        let in_part =
            !reached.is_empty() && reached.iter().all(|other| other.prefixes().next().is_some());
        in_part.then(|| {
            let keys = [(PREFIX_KEY.to_owned(), Strings::of(prefixes))];
            let corrected = Statement {
                effect: Effect::Allow,
                actions: Actions::Action(Strings::One("oss:ListObjects".to_owned())),
                resource: Strings::One(listed.at(Level::Bucket)),
                condition: [(ConditionOperator::StringLike, keys.into())].into(),
            };
            let hint = Hint::ListsEverything { bucket: listed.bucket().to_owned() };
            LintWarning { at: at.to_owned(), hint, corrected: Some(written(&corrected)) }
        })
    };
    let buckets = OssResource::all(statement.resource.as_slice()).into_iter();
    buckets.filter(|resource| resource.may_be(Level::Bucket)).filter_map(|b| whole(&b)).collect()
}

/// Whether its condition limits a listing to some prefixes. An empty one is that of every key; only with a delimiter
/// does it list no more than the names of folders.
fn limits_listings(statement: &Statement<String>) -> bool {
    let values = |wanted: &str| {
        let positive = statement.condition.iter().filter(|(operator, _)| !operator.is_negated());
        let keys = positive.flat_map(|(_, keys)| keys);
        let keys: Vec<_> = keys.filter(|(key, _)| key.eq_ignore_ascii_case(wanted)).collect();
        keys.into_iter().map(|(_, values)| values.as_slice())
    };
    let delimited = values(DELIMITER_KEY).any(|values| values.iter().all(|value| value == "/"));
    let limits = |value: &String| match value.trim_matches('*') {
        "" => value.is_empty() && delimited,
        _ => true,
    };
    values(PREFIX_KEY).any(|values| values.iter().all(limits))
}

/// An upload that could be neither resumed nor tidied up.
fn multipart(
    at: &str,
    put: &Statement<String>,
    document: &Document<String>,
) -> Option<LintWarning> {
    if !put.actions.cover("oss:PutObject") {
        return None;
    }
    let given = |action: &str| {
        document.statements.iter().any(|other| {
            other.effect == Effect::Allow
                && other.actions.cover(action)
                && lie_in(&put.resource, other)
        })
    };
    let missing: Vec<_> = MULTIPART.into_iter().filter(|action| !given(action)).collect();
    if missing.is_empty() {
        return None;
    }
    let actions = put.actions.patterns().iter().map(String::as_str).chain(missing.iter().copied());
    let corrected = Statement {
        actions: Actions::Action(Strings::of(actions.map(str::to_owned).collect())),
        ..put.clone()
    };
    let corrected = Some(written(&corrected));
    Some(LintWarning { at: format!("{at}.Action"), hint: Hint::Multipart { missing }, corrected })
}

fn written(statement: &Statement<String>) -> String {
    serde_json::to_string(statement).expect("strings, lists and maps of strings are always JSON")
}

impl fmt::Display for LintWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.hint)?;
        match &self.corrected {
            Some(corrected) => write!(f, "; perhaps {corrected}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(statements: &str) -> String {
        let json = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        let document = Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap();
        let lines = LintWarning::on(&document, 0);
        lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    fn allow(actions: &str, resources: &str) -> String {
        format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":{resources}}}"#)
    }

    #[test]
    fn a_resource_with_a_prefix_does_not_limit_a_listing() {
        // The example of OSS's own documentation, and what its table of results shows.
        let documented = allow(
            r#"["oss:ListObjects","oss:GetObject"]"#,
            r#"["acs:oss:*:*:sample-bucket/users/${subject}/*","acs:oss:*:*:sample-bucket"]"#,
        );
        insta::assert_snapshot!(advice(&documented), @r#"Statement[0]: this lists all of `sample-bucket`, though only a part of it is allowed otherwise: no resource limits a listing, only a condition on `oss:Prefix` does, and reading needs none; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/${subject}/","users/${subject}/*"]}}}"#);
        let listing = |condition: &str| {
            format!(
                r#"{},{{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                    "Condition":{{{condition}}}}}"#,
                allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/a/*""#)
            )
        };
        for all in [
            r#""StringLike":{"oss:Prefix":["","a/*"]}"#,
            r#""StringLike":{"oss:Prefix":["*","a/*"],"oss:Delimiter":"/"}"#,
            r#""StringEquals":{"oss:Prefix":""},"StringLike":{"oss:Delimiter":["/",""]}"#,
            r#""StringNotLike":{"oss:Prefix":"b/*"}"#,
        ] {
            let told = advice(&listing(all));
            assert!(
                told.starts_with("Statement[1]: this lists all of `sample-bucket`"),
                "{all}: {told}"
            );
        }
        for limited in [
            r#""StringLike":{"oss:Prefix":["","a/*"],"oss:Delimiter":"/"}"#,
            r#""StringEquals":{"oss:Prefix":"a/"}"#,
            r#""StringEquals":{"oss:Prefix":["","a/"]},"StringLike":{"oss:Prefix":"a/*"}"#,
        ] {
            assert_eq!(advice(&listing(limited)), "", "{limited}");
        }
        for fine in [
            allow(r#""oss:ListObjects""#, r#""acs:oss:*:*:sample-bucket""#),
            allow(r#""oss:*""#, r#"["acs:oss:*:*:sample-bucket","acs:oss:*:*:sample-bucket/*"]"#),
            allow(r#"["oss:Get*","oss:List*"]"#, r#""acs:oss:*:*:*""#),
        ] {
            assert_eq!(advice(&fine), "", "{fine}");
        }
    }

    #[test]
    fn what_is_decided_elsewhere_never_matches() {
        let lines = [
            allow(
                r#"["oss:GetObject","oss:ListObjects"]"#,
                r#""acs:oss:*:*:sample-bucket/2015/*""#,
            ),
            allow(r#"["oss:GetObject","oss:GetBucketInfo"]"#, r#""acs:oss:*:*:sample-bucket""#),
            allow(r#""oss:ListBuckets""#, r#""acs:oss:*:*:sample-bucket""#),
        ]
        .map(|statement| advice(&statement));
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0].Action: OSS decides `oss:ListObjects` on a bucket, `acs:oss:*:*:bucket`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["2015/","2015/*"]}}}
Statement[0].Action: OSS decides `oss:GetObject` on an object, `acs:oss:*:*:bucket/key`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*"}
Statement[0].Action: OSS decides `oss:ListBuckets` on all buckets, `acs:oss:*:*:*`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:ListBuckets","Resource":"acs:oss:*:*:*"}
"#);
        assert_eq!(advice(&allow(r#""oss:GetBucketInfo""#, r#""acs:oss:*:*:sample-*""#)), "");
        assert_eq!(advice(&allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-*""#)), "");
    }

    #[test]
    fn resources_that_are_nowhere_are_told() {
        let lines = [
            allow(r#""oss:GetObject""#, r#"["acs:oss:*:*:sample-bucket/","acs:oss:*:*:sample-bucket/a"]"#),
            allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket//a/*""#),
            allow(r#""oss:GetObject""#, r#"["acs:oss:oss-cn-hangzhou:11223344:sample-bucket/a","acs:oss:*:*:sample-bucket/b"]"#),
            allow(r#""oss:GetObject""#, r#""acs:oss::11223344:sample-bucket/a""#),
        ]
        .map(|statement| advice(&statement));
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0].Resource: `acs:oss:*:*:sample-bucket/` matches no object: no key is empty or begins with `/`
Statement[0].Resource: `acs:oss:*:*:sample-bucket//a/*` matches no object: no key is empty or begins with `/`
Statement[0].Resource: `acs:oss:oss-cn-hangzhou:11223344:sample-bucket/a` has a region other than `*`, which is all that OSS documents: it may match nothing; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:11223344:sample-bucket/a","acs:oss:*:*:sample-bucket/b"]}
Statement[0].Resource: `acs:oss::11223344:sample-bucket/a` has a region other than `*`, which is all that OSS documents: it may match nothing; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:11223344:sample-bucket/a"}
"#);
        let elsewhere = allow(r#""log:GetLogs""#, r#""acs:log:cn-hangzhou:11223344:project/a/""#);
        assert_eq!(advice(&elsewhere), "");
    }

    #[test]
    fn an_upload_needs_the_actions_of_its_parts() {
        let put = allow(r#""oss:PutObject""#, r#""acs:oss:*:*:sample-bucket/a/*""#);
        insta::assert_snapshot!(advice(&put), @r#"Statement[0].Action: large files go up in parts, and without `oss:AbortMultipartUpload` and `oss:ListParts` their upload can be neither resumed nor given up; perhaps {"Effect":"Allow","Action":["oss:PutObject","oss:AbortMultipartUpload","oss:ListParts"],"Resource":"acs:oss:*:*:sample-bucket/a/*"}"#);
        let parts = allow(
            r#"["oss:AbortMultipartUpload","oss:ListParts"]"#,
            r#""acs:oss:*:*:sample-bucket/*""#,
        );
        assert_eq!(advice(&format!("{put},{parts}")), "");
    }

    #[test]
    fn what_is_denied_or_does_not_compare_as_it_looks_is_told() {
        let with = |condition: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                    "Condition":{{{condition}}}}}"#
            )
        };
        let denied = allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/a/*""#)
            + r#",{"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/*"}"#;
        let lines = [
            advice(&denied),
            advice(&with(
                r#""StringEquals":{"oss:Prefix":"users/${subject}/*","oss:Delimiter":"/"}"#,
            )),
            advice(&with(
                r#""IpAddress":{"acs:SourceIp":["::ffff:10.0.0.0/104","::ffff:10.1.2.3","2001:db8::/32","10.0.0.0/8"]}"#,
            )),
            advice(&with(r#""NotIpAddress":{"acs:SourceIp":"::ffff:0:0/96"}"#)),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0]: Statement[1] denies all that this allows
Statement[0].Condition.StringEquals.oss:Prefix: `StringEquals` takes `*` and `?` as they stand; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringEquals":{"oss:Delimiter":"/"},"StringLike":{"oss:Prefix":"users/${subject}/*"}}}
Statement[0].Condition.IpAddress.acs:SourceIp: `::ffff:10.0.0.0/104` is IPv4 written as IPv6, a form that RAM does not document and that never matches here: write `10.0.0.0/8`
Statement[0].Condition.IpAddress.acs:SourceIp: `::ffff:10.1.2.3` is IPv4 written as IPv6, a form that RAM does not document and that never matches here: write `10.1.2.3`
Statement[0].Condition.NotIpAddress.acs:SourceIp: `::ffff:0:0/96` is IPv4 written as IPv6, a form that RAM does not document and that never matches here: write `0.0.0.0/0`
"#);
    }

    #[test]
    fn a_policy_near_the_limit_is_told() {
        let document = Document::read(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:GetUser","Resource":"*"}]}"#,
            |_, raw| Ok(raw.to_owned()),
        );
        let document = document.unwrap();
        assert!(LintWarning::on(&document, 1841).is_empty());
        assert_eq!(LintWarning::on(&document, 1842).len(), 1);
    }
}
