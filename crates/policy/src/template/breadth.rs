//! What a template allows without naming it, which requires `allow_broad`.
//!
//! Patterns are judged by what they match and not by their spelling: a bucket or a service is named by its literal name
//! alone, and actions are named unless wildcards match most of a service's actions.

use crate::document::grammar;
use crate::document::problem::{PolicyFlaw, PolicyProblem};
use crate::document::tree::{Actions, Document, Effect, Statement};
use crate::matching::pattern::Pattern;
use crate::matching::resource::ResourcePattern;
use crate::oss::catalogue;
use crate::template::path_rules;

/// Everything that an Allow covers and does not name. A placeholder of the document is any character but a wildcard.
pub(crate) fn problems(document: &Document<String>) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    for (i, statement) in allows(document) {
        let at = |field: &str| format!("Statement[{i}].{field}");
        match &statement.actions {
            Actions::NotAction(_) => {
                let flaw = PolicyFlaw::AllowsEveryAction;
                problems.push(PolicyProblem { at: at("NotAction"), flaw });
            }
            Actions::Action(actions) => {
                let flaw = actions_flaw(actions.as_slice(), statement, document);
                problems.extend(flaw.map(|flaw| PolicyProblem { at: at("Action"), flaw }));
            }
        }
        let mut resources = statement.resource.as_slice().iter();
        if resources.any(|one| grammar::is_resource(one) && path_rules::leaves_bucket_open(one)) {
            problems
                .push(PolicyProblem { at: at("Resource"), flaw: PolicyFlaw::AllowsEveryBucket });
        }
    }
    problems
}

fn allows(document: &Document<String>) -> impl Iterator<Item = (usize, &Statement<String>)> {
    document.statements.iter().enumerate().filter(|(_, s)| s.effect == Effect::Allow)
}

fn actions_flaw(
    actions: &[String],
    statement: &Statement<String>,
    document: &Document<String>,
) -> Option<PolicyFlaw> {
    let mut own = Vec::new();
    for action in actions {
        let Some(action) = Named::parse(action) else { return Some(PolicyFlaw::AllowsEveryAction) };
        if action.matches_what_nobody_named() {
            return Some(PolicyFlaw::AllowsEveryAction);
        }
        own.extend(action.has_wildcards().then_some(action));
    }
    // Several statements may add up on one object: all whose resources intersect.
    let resources = statement.resource.as_slice().iter();
    resources.filter(|_| !own.is_empty()).find_map(|resource| {
        let wildcards: Vec<_> = allows(document)
            .filter(|(_, other)| {
                let mut others = other.resource.as_slice().iter();
                others.any(|other| {
                    ResourcePattern::intersects(&of_any_value(other), &of_any_value(resource))
                })
            })
            .flat_map(|(_, other)| other.actions.patterns())
            .filter_map(|action| Named::parse(action).filter(Named::has_wildcards))
            .collect();
        own.iter().find_map(|action| most_of(&action.service, &wildcards))
    })
}

/// The pattern of a resource for any values of its placeholders.
fn of_any_value(outline: &str) -> String {
    outline.replace('$', "*")
}

/// Whether the patterns together match more than half of the service's actions.
fn most_of(service: &str, patterns: &[Named]) -> Option<PolicyFlaw> {
    let patterns: Vec<_> = patterns.iter().filter(|pattern| pattern.service == service).collect();
    let covered = |name: &str| patterns.iter().any(|pattern| pattern.matches(name));
    if service == OSS {
        let known = catalogue::actions().count();
        let allowed = catalogue::actions().filter(|name| covered(name)).count();
        (allowed * 2 > known).then_some(PolicyFlaw::AllowsMostActions { allowed, known })
    } else {
        let longest = patterns.iter().map(|pattern| pattern.name.len()).max().unwrap_or(0);
        let begun = |verb: &&&str| covered(&format!("{verb}{}", nobody_named(longest)));
        let covered = VERBS.iter().filter(begun).count();
        (covered * 2 > VERBS.len()).then_some(PolicyFlaw::AllowsEveryAction)
    }
}

const OSS: &str = "oss";

/// The first words of the actions of services that are not known here: Alibaba Cloud's guide to naming APIs, and the
/// words that RAM, KMS and Log Service add.
const VERBS: [&str; 24] = [
    "Add", "Attach", "Cancel", "Create", "Decrypt", "Delete", "Describe", "Detach", "Disable",
    "Enable", "Encrypt", "Generate", "Get", "List", "Modify", "Post", "Put", "Query", "Remove",
    "Run", "Set", "Start", "Stop", "Update",
];

/// A pattern over the actions of one service, which it names. In lower case, as RAM compares without regard to case.
struct Named {
    service: String,
    name: String,
}

impl Named {
    /// `None` if the service is not named.
    fn parse(action: &str) -> Option<Self> {
        let action = action.to_ascii_lowercase();
        let (service, name) = action.split_once(':')?;
        let named = !service.contains(WILDCARDS);
        named.then(|| Self { service: service.to_owned(), name: name.to_owned() })
    }

    fn has_wildcards(&self) -> bool {
        self.name.contains(WILDCARDS)
    }

    fn matches(&self, name: &str) -> bool {
        Pattern(&self.name).matches(&name.to_ascii_lowercase())
    }

    /// Whether it matches a name that has nothing in common with it. For a service whose actions are not known here, a
    /// suffix names nothing.
    fn matches_what_nobody_named(&self) -> bool {
        self.matches(&nobody_named(self.name.len()))
            || self.service != OSS && self.name.starts_with(WILDCARDS)
    }
}

const WILDCARDS: [char; 2] = ['*', '?'];

/// Longer than a pattern of that length, so that only a `*` can match it, and of a character that no name contains.
fn nobody_named(length: usize) -> String {
    "\0".repeat(length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::policy_template::{Breadth, PolicyTemplate};
    use crate::template::value_rule::ValueRules;

    const BUCKETS: &str = "this allows buckets that it does not name: write service and bucket without wildcards, or set \
                           `allow_broad` with a reason";
    const ACTIONS: &str = "this allows actions that it does not name: list the actions, or set `allow_broad` with a reason";

    fn problems(json: &str, breadth: Breadth) -> String {
        let rules = ValueRules {
            params: Default::default(),
            claims: Default::default(),
            subject_max_bytes: 64,
        };
        match PolicyTemplate::parse(json, &rules, breadth) {
            Ok(_) => String::new(),
            Err(problems) => {
                problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
        }
    }

    fn policy(statements: &[(&str, &str)]) -> String {
        let statement = |(actions, resources): &(&str, &str)| {
            format!(r#"{{"Effect":"Allow","Action":{actions},"Resource":{resources}}}"#)
        };
        let statements: Vec<_> = statements.iter().map(statement).collect();
        format!(r#"{{"Version":"1","Statement":[{}]}}"#, statements.join(","))
    }

    fn on_objects(actions: &str) -> String {
        policy(&[(actions, r#""acs:oss:*:*:sample-bucket/*""#)])
    }

    fn most(allowed: usize) -> String {
        format!(
            "its wildcards allow {allowed} of the 181 actions of OSS: list the actions, or set `allow_broad` with a reason"
        )
    }

    #[test]
    fn actions_that_are_not_named_require_allow_broad_in_any_spelling() {
        for broad in [
            r#""*""#,
            r#""oss:*""#,
            r#""OSS:*""#,
            r#""*:*""#,
            r#""oss:?*""#,
            r#""oss:*?""#,
            r#""oss:**""#,
            r#""ram:*""#,
            r#""?ss:*""#,
            r#""*:Get*""#,
            r#""*:GetObject""#,
            r#""o?s:GetObject""#,
            r#""os*:GetObject""#,
            r#"["oss:GetObject","*"]"#,
            r#""kms:*Key*""#,
            r#""kms:?et*""#,
            r#"["kms:A*","kms:C*","kms:D*","kms:E*","kms:G*","kms:L*","kms:P*"]"#,
        ] {
            let json = on_objects(broad);
            assert_eq!(
                problems(&json, Breadth::Narrow),
                format!("Statement[0].Action: {ACTIONS}"),
                "{broad}"
            );
            assert_eq!(problems(&json, Breadth::Broad), "", "{broad}");
        }
        let letters: Vec<_> = ('A'..='Z').map(|letter| format!("\"oss:{letter}*\"")).collect();
        let lengths: Vec<_> = (1..40).map(|n| format!("\"oss:{}\"", "?".repeat(n))).collect();
        for (broad, allowed) in [
            (r#""oss:*t*""#.to_owned(), 180),
            (r#""oss:*e*""#.to_owned(), 177),
            (r#""OSS:*T*""#.to_owned(), 180),
            (r#""oss:?*e*""#.to_owned(), 177),
            (r#"["oss:Get*","oss:List*","oss:Put*","oss:Delete*"]"#.to_owned(), 151),
            (r#"["oss:Get*","oss:Put*"]"#.to_owned(), 99),
            (r#"["oss:?et*","oss:PUT*"]"#.to_owned(), 99),
            (format!("[{}]", letters.join(",")), 181),
            (format!("[{}]", lengths.join(",")), 181),
        ] {
            let json = on_objects(&broad);
            let refused = format!("Statement[0].Action: {}", most(allowed));
            assert_eq!(problems(&json, Breadth::Narrow), refused, "{broad}");
            assert_eq!(problems(&json, Breadth::Broad), "", "{broad}");
        }
        let named: Vec<_> = catalogue::actions().map(|name| format!("\"oss:{name}\"")).collect();
        for narrow in [
            r#""oss:Get*""#,
            r#""oss:*Object""#,
            r#""oss:????????""#,
            r#"["oss:Get*","oss:List*"]"#,
            r#"["oss:GetObject*","oss:PutObject*","oss:DeleteObject*"]"#,
            r#""kms:Get*""#,
            r#"["kms:Describe*","kms:Get*","kms:List*"]"#,
            // Twelve of the 24 verbs are not most of them.
            r#"["kms:A*","kms:C*","kms:D*","kms:E*","kms:L*"]"#,
            r#""ram:GetUser""#,
        ] {
            assert_eq!(problems(&on_objects(narrow), Breadth::Narrow), "", "{narrow}");
        }
        // What is spelt out is named, however much it is.
        let all = named[..50].join(",");
        assert_eq!(problems(&on_objects(&format!("[{all}]")), Breadth::Narrow), "");
        let put: Vec<_> = named.iter().filter(|name| name.starts_with("\"oss:Put")).collect();
        let put = put.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(",");
        assert_eq!(problems(&on_objects(&format!(r#"["oss:Get*",{put}]"#)), Breadth::Narrow), "");
    }

    #[test]
    fn what_allow_broad_permits_is_distinguished_from_what_nothing_permits() {
        let rules = ValueRules {
            params: Default::default(),
            claims: Default::default(),
            subject_max_bytes: 64,
        };
        let any_bucket = policy(&[(r#""oss:GetObject""#, r#""*""#)]);
        for (json, expected) in [
            (on_objects(r#""oss:*""#), true),
            (on_objects(r#"["oss:Get*","oss:Put*"]"#), true),
            (any_bucket, true),
            (on_objects("[]"), false),
        ] {
            let problems = PolicyTemplate::parse(&json, &rules, Breadth::Narrow).err().unwrap();
            let found: Vec<_> = problems.iter().map(PolicyProblem::is_breadth).collect();
            assert_eq!(found, [expected], "{json}");
        }
    }

    #[test]
    fn statements_that_together_cover_most_of_a_service_require_allow_broad() {
        let (own, wide) =
            (r#""acs:oss:*:*:sample-bucket/a/*""#, r#""acs:oss:*:*:sample-bucket/*""#);
        let split = policy(&[(r#""oss:Get*""#, own), (r#"["oss:Put*"]"#, wide)]);
        assert_eq!(
            problems(&split, Breadth::Narrow),
            format!("Statement[0].Action: {0}\nStatement[1].Action: {0}", most(99)),
            "all that the second allows is allowed where the first allows something"
        );
        let meeting = policy(&[
            (r#""oss:Get*""#, r#""acs:oss:*:11223344:sample-bucket/*a""#),
            (r#""oss:Put*""#, r#""acs:oss:oss-cn-hangzhou:*:sample-bucket/a*""#),
        ]);
        let refused = problems(&meeting, Breadth::Narrow);
        assert!(refused.contains(&most(99)), "there are objects in both: {refused}");
        let apart = policy(&[
            (r#""oss:Get*""#, own),
            (r#""oss:Put*""#, r#""acs:oss:*:*:sample-bucket/b/*""#),
        ]);
        assert_eq!(problems(&apart, Breadth::Narrow), "");
    }

    #[test]
    fn not_action_is_broad_when_it_allows_and_plain_when_it_denies() {
        let not_action = on_objects(r#""oss:GetObject""#).replace("Action", "NotAction");
        assert_eq!(
            problems(&not_action, Breadth::Narrow),
            format!("Statement[0].NotAction: {ACTIONS}")
        );
        let denied = r#"{"Version":"1","Statement":[
            {"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*"},
            {"Effect":"Deny","NotAction":"oss:GetObject","Resource":"*"},
            {"Effect":"Deny","Action":"oss:*","Resource":"acs:oss:*:*:*/secret/*"}]}"#;
        assert_eq!(problems(denied, Breadth::Narrow), "");
    }

    #[test]
    fn buckets_that_are_not_named_require_allow_broad_in_any_spelling() {
        let before = ["acs:oss:*:*:", "acs:oss:oss-cn-hangzhou:11223344:"];
        let open = [
            "*",
            "**",
            "?*",
            "b*",
            "*-*",
            "sample-bucket*",
            "sample-bucke?",
            "*sample-bucket",
            "???",
            "s?mple*",
        ];
        let paths = ["", "/*", "/x", "/2015/*"];
        let mut broad = vec![];
        for (before, open) in before.iter().flat_map(|before| open.map(|open| (before, open))) {
            broad.extend(paths.map(|path| format!("{before}{open}{path}")));
        }
        let short = ["*", "acs:*", "acs:oss:*", "acs:oss:*:*", "acs:oss:oss-cn-hangzhou:*"];
        let services = ["*", "?ss", "oss*", "o*s", "???"];
        broad.extend(short.map(str::to_owned));
        broad.extend(services.map(|service| format!("acs:{service}:*:*:sample-bucket/a/*")));
        for resource in broad {
            let json = policy(&[(
                r#""oss:GetObject""#,
                &format!("[\"acs:oss:*:*:sample-bucket\",\"{resource}\"]"),
            )]);
            let refused = format!("Statement[0].Resource: {BUCKETS}");
            assert_eq!(problems(&json, Breadth::Narrow), refused, "{resource}");
            assert_eq!(problems(&json, Breadth::Broad), "", "{resource}");
        }
        for narrow in [
            "acs:oss:*:*:sample-bucket",
            "acs:oss:*:*:sample-bucket/*",
            "acs:oss:*:*:sample-bucket/*.jpg",
            "acs:oss:oss-cn-*:1122????:sample-bucket/a/*",
            "acs:ram::11223344:role/reader",
        ] {
            let json = policy(&[(r#""oss:GetObject""#, &format!("\"{narrow}\""))]);
            assert_eq!(problems(&json, Breadth::Narrow), "", "{narrow}");
        }
    }
}
