//! Every warning about a policy that is valid and probably does not do what its author intended.

use crate::document::tree::{Actions, Document, Effect, MAX_POLICY_BYTES, Statement, Strings};
use crate::lint::finding::Finding;
use crate::lint::warning::LintWarning;
use crate::lint::{avoidable_denials, condition_values, listings, resources, unknown_names};
use crate::matching::resource::ResourcePattern;
use crate::template::policy_template::PolicyTemplate;
use crate::template::text::Text;

/// The actions that a large upload needs in addition to `oss:PutObject`.
const MULTIPART: [&str; 2] = ["oss:AbortMultipartUpload", "oss:ListParts"];

/// Nine tenths of what STS admits.
const NEAR_LIMIT: usize = MAX_POLICY_BYTES * 9 / 10;

/// The warnings about a template.
pub(crate) fn template_warnings(template: &PolicyTemplate) -> Vec<LintWarning> {
    let written = template.document.map(Text::written);
    let mut warnings = document_warnings(&written, template.longest_bytes());
    warnings.extend(avoidable_denials::warnings(&template.document));
    warnings
}

/// The warnings about each statement that do not depend on the others.
pub(crate) fn statement_warnings(document: &Document<String>) -> Vec<LintWarning> {
    let statements = document.statements.iter().enumerate();
    statements.flat_map(|(i, one)| in_statement(&format!("Statement[{i}]"), one)).collect()
}

/// The warnings about a document with its placeholders as they are written; `longest_bytes` is the size of the longest
/// policy that it renders.
fn document_warnings(document: &Document<String>, longest_bytes: usize) -> Vec<LintWarning> {
    let mut warnings = Vec::new();
    for (i, statement) in document.statements.iter().enumerate() {
        let at = format!("Statement[{i}]");
        warnings.extend(in_statement(&at, statement));
        if statement.effect == Effect::Allow {
            warnings.extend(denied(&at, statement, document));
            warnings.extend(listings::warnings(&at, statement, document));
            warnings.extend(multipart(&at, statement, document));
        }
    }
    if longest_bytes >= NEAR_LIMIT {
        let finding = Finding::NearLimit { worst: longest_bytes };
        warnings.push(LintWarning::new("the policy".to_owned(), finding, None));
    }
    warnings
}

fn in_statement(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let mut warnings = unknown_names::warnings(at, statement);
    warnings.extend(resources::warnings(at, statement));
    warnings.extend(condition_values::warnings(at, statement));
    warnings
}

/// An Allow that one Deny cancels completely.
fn denied(at: &str, allow: &Statement<String>, document: &Document<String>) -> Option<LintWarning> {
    let Actions::Action(actions) = &allow.actions else { return None };
    let by = document.statements.iter().position(|deny| {
        deny.effect == Effect::Deny
            && deny.condition.is_empty()
            && actions.as_slice().iter().all(|action| deny.actions.spelling_of(action).is_some())
            && lie_in(&allow.resource, deny)
    })?;
    Some(LintWarning::new(at.to_owned(), Finding::Denied { by }, None))
}

fn lie_in(resources: &Strings<String>, statement: &Statement<String>) -> bool {
    let wide = statement.resource.as_slice();
    let lies = |narrow: &String| wide.iter().any(|wide| ResourcePattern::contains(wide, narrow));
    resources.as_slice().iter().all(lies)
}

/// An upload that can be neither resumed nor cleaned up.
fn multipart(
    at: &str,
    put: &Statement<String>,
    document: &Document<String>,
) -> Option<LintWarning> {
    if !put.actions.covers("oss:PutObject") {
        return None;
    }
    let given = |action: &str| {
        document.statements.iter().any(|other| {
            other.effect == Effect::Allow
                && other.actions.covers(action)
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
    Some(LintWarning::new(format!("{at}.Action"), Finding::Multipart { missing }, Some(&corrected)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(statements: &str) -> String {
        let json = format!(r#"{{"Version":"1","Statement":[{statements}]}}"#);
        let document = Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap();
        let lines = document_warnings(&document, 0);
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
        insta::assert_snapshot!(warnings(&documented), @r#"Statement[0]: this lists all of `sample-bucket`, though only a part of it is allowed otherwise: no resource limits a listing, only a condition on `oss:Prefix` does, and reading needs none; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["users/${subject}/","users/${subject}/*"]}}}"#);
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
            let messages = warnings(&listing(all));
            assert!(
                messages.starts_with("Statement[1]: this lists all of `sample-bucket`"),
                "{all}: {messages}"
            );
        }
        for limited in [
            r#""StringLike":{"oss:Prefix":["","a/*"],"oss:Delimiter":"/"}"#,
            r#""StringEquals":{"oss:Prefix":"a/"}"#,
            r#""StringEquals":{"oss:Prefix":["","a/"]},"StringLike":{"oss:Prefix":"a/*"}"#,
        ] {
            assert_eq!(warnings(&listing(limited)), "", "{limited}");
        }
        for fine in [
            allow(r#""oss:ListObjects""#, r#""acs:oss:*:*:sample-bucket""#),
            allow(r#""oss:*""#, r#"["acs:oss:*:*:sample-bucket","acs:oss:*:*:sample-bucket/*"]"#),
            allow(r#"["oss:Get*","oss:List*"]"#, r#""acs:oss:*:*:*""#),
        ] {
            assert_eq!(warnings(&fine), "", "{fine}");
        }
    }

    #[test]
    fn an_action_without_a_resource_of_its_level_is_reported() {
        let lines = [
            allow(
                r#"["oss:GetObject","oss:ListObjects"]"#,
                r#""acs:oss:*:*:sample-bucket/2015/*""#,
            ),
            allow(r#"["oss:GetObject","oss:GetBucketInfo"]"#, r#""acs:oss:*:*:sample-bucket""#),
            allow(r#""oss:ListBuckets""#, r#""acs:oss:*:*:sample-bucket""#),
            allow(r#""oss:InitiateMultipartUpload""#, r#""acs:oss:*:*:sample-bucket""#),
            allow(r#""oss:GetBucketV2""#, r#""acs:oss:*:*:sample-bucket/2015/*""#),
            allow(r#""oss:Head*""#, r#""acs:oss:*:*:sample-bucket""#),
        ]
        .map(|statement| warnings(&statement));
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0].Action: OSS decides `oss:ListObjects` on a bucket, `acs:oss:*:*:bucket`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["2015/","2015/*"]}}}
Statement[0].Action: OSS decides `oss:GetObject` on an object, `acs:oss:*:*:bucket/key`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*"}
Statement[0].Action: OSS decides `oss:ListBuckets` on all buckets, `acs:oss:*:*:*`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:ListBuckets","Resource":"acs:oss:*:*:*"}
Statement[0].Action: `oss:InitiateMultipartUpload` is an operation and no action of RAM: `oss:PutObject` allows it; perhaps {"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/*"}
Statement[0].Action: OSS decides `oss:PutObject` on an object, `acs:oss:*:*:bucket/key`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:PutObject","Resource":"acs:oss:*:*:sample-bucket/*"}
Statement[0].Action: `oss:GetBucketV2` is an operation and no action of RAM: `oss:ListObjects` allows it; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["2015/","2015/*"]}}}
Statement[0].Action: OSS decides `oss:ListObjects` on a bucket, `acs:oss:*:*:bucket`, and no resource here is one, so it never matches; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringLike":{"oss:Prefix":["2015/","2015/*"]}}}
Statement[0].Action: `oss:Head*` matches no action of RAM that is known here: `HeadObject` is an operation, which `oss:GetObject` allows; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*"}
"#);
        let info = r#"["oss:GetObject","oss:GetBucketInfo"]"#;
        let of_bucket = warnings(&allow(info, r#""acs:oss:*:*:sample-bucket/2015/*""#));
        assert!(
            of_bucket.contains("GetBucketInfo") && !of_bucket.contains("Condition"),
            "{of_bucket}"
        );
        assert_eq!(warnings(&allow(r#""oss:GetBucketInfo""#, r#""acs:oss:*:*:sample-*""#)), "");
        assert_eq!(warnings(&allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-*""#)), "");
    }

    #[test]
    fn resources_that_match_nothing_are_reported() {
        let lines = [
            allow(r#""oss:GetObject""#, r#"["acs:oss:*:*:sample-bucket/","acs:oss:*:*:sample-bucket/a"]"#),
            allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket//a/*""#),
            allow(r#""oss:GetObject""#, r#"["acs:oss:oss-cn-hangzhou:11223344:sample-bucket/a","acs:oss:*:*:sample-bucket/b"]"#),
            allow(r#""oss:GetObject""#, r#""acs:oss::11223344:sample-bucket/a""#),
        ]
        .map(|statement| warnings(&statement));
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0].Resource: `acs:oss:*:*:sample-bucket/` matches no object: no key is empty or begins with `/`
Statement[0].Resource: `acs:oss:*:*:sample-bucket//a/*` matches no object: no key is empty or begins with `/`
Statement[0].Resource: `acs:oss:oss-cn-hangzhou:11223344:sample-bucket/a` has a region other than `*`, which is all that OSS documents: it may match nothing; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":["acs:oss:*:11223344:sample-bucket/a","acs:oss:*:*:sample-bucket/b"]}
Statement[0].Resource: `acs:oss::11223344:sample-bucket/a` has a region other than `*`, which is all that OSS documents: it may match nothing; perhaps {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:11223344:sample-bucket/a"}
"#);
        let elsewhere = allow(r#""log:GetLogs""#, r#""acs:log:cn-hangzhou:11223344:project/a/""#);
        assert_eq!(warnings(&elsewhere), "");
    }

    #[test]
    fn an_upload_needs_the_actions_of_its_parts() {
        let put = allow(r#""oss:PutObject""#, r#""acs:oss:*:*:sample-bucket/a/*""#);
        insta::assert_snapshot!(warnings(&put), @r#"Statement[0].Action: large files go up in parts, and without `oss:AbortMultipartUpload` and `oss:ListParts` their upload can be neither resumed nor given up; perhaps {"Effect":"Allow","Action":["oss:PutObject","oss:AbortMultipartUpload","oss:ListParts"],"Resource":"acs:oss:*:*:sample-bucket/a/*"}"#);
        let are_of_parts = |statement: &str| -> Vec<bool> {
            let json = format!(r#"{{"Version":"1","Statement":[{statement}]}}"#);
            let document = Document::read(&json, |_, raw| Ok(raw.to_owned())).unwrap();
            let warnings = document_warnings(&document, 0);
            warnings.iter().map(LintWarning::is_about_uploads_in_parts).collect()
        };
        assert_eq!(are_of_parts(&put), [true]);
        let empty_key = allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/""#);
        assert_eq!(are_of_parts(&empty_key), [false]);
        let parts = allow(
            r#"["oss:AbortMultipartUpload","oss:ListParts"]"#,
            r#""acs:oss:*:*:sample-bucket/*""#,
        );
        assert_eq!(warnings(&format!("{put},{parts}")), "");
    }

    #[test]
    fn cancelled_allows_and_misleading_values_are_reported() {
        let with = |condition: &str| {
            format!(
                r#"{{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                    "Condition":{{{condition}}}}}"#
            )
        };
        let denied = allow(r#""oss:GetObject""#, r#""acs:oss:*:*:sample-bucket/a/*""#)
            + r#",{"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:sample-bucket/*"}"#;
        let negated = warnings(&with(r#""StringNotEquals":{"oss:Prefix":"users/*"}"#));
        assert!(negated.contains(r#""StringNotLike":{"oss:Prefix":"users/*"}"#), "{negated}");
        let in_part = denied.replacen(
            r#""acs:oss:*:*:sample-bucket/*""#,
            r#""acs:oss:*:*:sample-bucket/a/b/*""#,
            1,
        );
        assert_eq!(warnings(&in_part), "");
        let lines = [
            warnings(&denied),
            warnings(&with(
                r#""StringEquals":{"oss:Prefix":"users/${subject}/*","oss:Delimiter":"/"}"#,
            )),
            warnings(&with(
                r#""IpAddress":{"acs:SourceIp":["::ffff:10.0.0.0/104","::ffff:10.1.2.3","2001:db8::/32","10.0.0.0/8"]}"#,
            )),
            warnings(&with(r#""NotIpAddress":{"acs:SourceIp":"::ffff:0:0/96"}"#)),
        ];
        insta::assert_snapshot!(lines.join("\n"), @r#"
Statement[0]: Statement[1] denies all that this allows
Statement[0].Condition.StringEquals.oss:Prefix: `StringEquals` takes `*` and `?` literally; perhaps {"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{"StringEquals":{"oss:Delimiter":"/"},"StringLike":{"oss:Prefix":"users/${subject}/*"}}}
Statement[0].Condition.IpAddress.acs:SourceIp: `::ffff:10.0.0.0/104` is IPv4 written as IPv6, a form that RAM does not document and that never matches here: write `10.0.0.0/8`
Statement[0].Condition.IpAddress.acs:SourceIp: `::ffff:10.1.2.3` is IPv4 written as IPv6, a form that RAM does not document and that never matches here: write `10.1.2.3`
Statement[0].Condition.NotIpAddress.acs:SourceIp: `::ffff:0:0/96` is IPv4 written as IPv6, a form that RAM does not document and that never matches here: write `0.0.0.0/0`
"#);
    }

    #[test]
    fn a_policy_near_the_size_limit_is_reported() {
        let document = Document::read(
            r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"ram:GetUser","Resource":"*"}]}"#,
            |_, raw| Ok(raw.to_owned()),
        );
        let document = document.unwrap();
        assert!(document_warnings(&document, 1841).is_empty());
        assert_eq!(document_warnings(&document, 1842).len(), 1);
    }
}
