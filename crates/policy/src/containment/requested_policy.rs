//! Policies that callers send to get less than their grant gives.

use std::collections::BTreeSet;

use crate::document::problem::{PolicyFlaw, PolicyProblem};
use crate::document::tree::MAX_POLICY_BYTES;
use crate::document::tree::{Actions, Condition, Document, Effect, Statement};
use crate::document::value::ValueFlaw;
use crate::document::value::ValuePlace;
use crate::template::path_rules;
use crate::template::text::Text;
use appserver_domain::PolicyText;

/// A caller's own policy, parsed strictly and serialised from the parsed tree. Nothing is known about its containment
/// yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RequestedPolicy(pub(crate) Document<String>);

/// Why a caller's policy is invalid: the first few of its problems, in words.
///
/// The words quote the text, with invisible characters replaced.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidRequestedPolicy(String);

impl RequestedPolicy {
    /// The longest text: an indented policy of the size that STS admits fits, and parsing stays cheap.
    const MAX_TEXT_BYTES: usize = 8 * 1024;

    /// Parses a policy, or reports its problems.
    pub fn parse(json: &str) -> Result<Self, InvalidRequestedPolicy> {
        if json.len() > Self::MAX_TEXT_BYTES {
            return Err(InvalidRequestedPolicy(format!(
                "it has more than {} bytes",
                Self::MAX_TEXT_BYTES
            )));
        }
        let document =
            Document::read(json, literal).map_err(|found| InvalidRequestedPolicy::of(&found))?;
        let found = problems(&document);
        if found.is_empty() { Ok(Self(document)) } else { Err(InvalidRequestedPolicy::of(&found)) }
    }
}

impl RequestedPolicy {
    /// The policy as canonical JSON.
    pub fn to_json(&self) -> String {
        self.0.minified()
    }
}

/// A literal value: a requested policy has no placeholders.
fn literal(place: ValuePlace<'_>, raw: &str) -> Result<String, Vec<ValueFlaw>> {
    if raw.contains("${") {
        return Err(vec![ValueFlaw::PlaceholderRequested]);
    }
    let text = match place {
        ValuePlace::Resource => {
            PolicyText::resource(raw).map_err(|rule| match PolicyText::forbidden_character(raw) {
                Some(character) => ValueFlaw::ForbiddenCharacter { character, rule },
                None => ValueFlaw::FromOutside(rule),
            })
        }
        ValuePlace::Condition { .. } => raw.parse().map_err(ValueFlaw::FromOutside),
    };
    let text = text.map_err(|flaw| vec![flaw])?;
    let flaws = path_rules::flaws(place, &Text::fixed(&text));
    if flaws.is_empty() { Ok(raw.to_owned()) } else { Err(flaws) }
}

/// Rules that are stricter than for the operator's own files.
fn problems(document: &Document<String>) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    if document.statements.iter().all(|statement| statement.effect == Effect::Deny) {
        problems.push(problem("Statement".to_owned(), PolicyFlaw::AllowsNothing));
    }
    for (i, statement) in document.statements.iter().enumerate() {
        let at = format!("Statement[{i}]");
        problems.extend(in_actions(&at, statement));
        problems.extend(in_condition(&format!("{at}.Condition"), &statement.condition));
    }
    let size = document.minified().len();
    if size > MAX_POLICY_BYTES {
        problems.push(problem("the policy".to_owned(), PolicyFlaw::RequestedTooLong { size }));
    }
    problems
}

fn in_actions(at: &str, statement: &Statement<String>) -> Option<PolicyProblem> {
    match &statement.actions {
        Actions::NotAction(_) => {
            Some(problem(format!("{at}.NotAction"), PolicyFlaw::NotActionRequested))
        }
        Actions::Action(_) => None,
    }
}

fn in_condition(at: &str, condition: &Condition<String>) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    for (&operator, keys) in condition {
        let mut known = BTreeSet::new();
        for key in keys.keys() {
            let at = format!("{at}.{operator:?}.{key}");
            if key.parse::<PolicyText>().is_err() || key.contains(['*', '?']) {
                problems.push(problem(at.clone(), PolicyFlaw::ConditionKey));
            }
            if !known.insert(key.to_lowercase()) {
                problems.push(problem(at, PolicyFlaw::KeyInOtherCase { key: key.clone() }));
            }
        }
    }
    problems
}

fn problem(at: String, flaw: PolicyFlaw) -> PolicyProblem {
    PolicyProblem { at, flaw }
}

impl InvalidRequestedPolicy {
    /// The first problems, each truncated to a length that suits an answer and a log.
    fn of(problems: &[PolicyProblem]) -> Self {
        const SHOWN: usize = 3;
        const CHARACTERS: usize = 300;
        let mut words: Vec<_> = problems
            .iter()
            .take(SHOWN)
            .map(|PolicyProblem { at, flaw }| match flaw {
                PolicyFlaw::PlaceholderElsewhere => {
                    format!("{at}: {}", ValueFlaw::PlaceholderRequested)
                }
                flaw => format!("{at}: {flaw}"),
            })
            .map(|problem| problem.chars().take(CHARACTERS).map(visible).collect())
            .collect();
        if problems.len() > SHOWN {
            words.push(format!("and {} more problems", problems.len() - SHOWN));
        }
        Self(words.join("; "))
    }
}

/// The character, or U+FFFD for one that would not show, or would show as something else.
fn visible(c: char) -> char {
    if c.is_ascii_graphic() || matches!(c, ' ' | '…') || c.to_string().parse::<PolicyText>().is_ok()
    {
        c
    } else {
        char::REPLACEMENT_CHARACTER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem_of(json: &str) -> String {
        RequestedPolicy::parse(json).unwrap_err().to_string()
    }

    fn with(statement: &str) -> String {
        format!(r#"{{"Version":"1","Statement":[{statement}]}}"#)
    }

    #[test]
    fn wildcards_are_a_callers_to_use() {
        for statement in [
            r#"{"Effect":"Allow","Action":["oss:Get*","*"],"Resource":["acs:oss:*:*:sample-bucket/2015/*.jp?g","*"]}"#,
            r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket","Condition":{}}"#,
            r#"{"Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                "Condition":{"StringLike":{"oss:Prefix":["","2015/*"]},"DateLessThan":{"acs:CurrentTime":"2016-01-13T15:00:00Z"},
                             "IpAddress":{"acs:SourceIp":["10.0.0.0/8","2001:db8::/32"]}}}"#,
        ] {
            assert!(RequestedPolicy::parse(&with(statement)).is_ok(), "{statement}");
        }
    }

    #[test]
    fn a_policy_is_written_without_spaces_and_with_its_members_in_one_order() {
        let sent = with(
            r#"{"Resource":["acs:oss:*:*:sample-bucket/*"],"Effect":"Allow","Action":["oss:PutObject","oss:GetObject"]}"#,
        );
        insta::assert_snapshot!(RequestedPolicy::parse(&sent).unwrap().to_json(), @r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":["oss:PutObject","oss:GetObject"],"Resource":["acs:oss:*:*:sample-bucket/*"]}]}"#);
    }

    #[test]
    fn what_could_be_read_in_two_ways_or_widen_is_refused_with_its_place_and_the_way_out() {
        let allow = |rest: &str| with(&format!(r#"{{"Effect":"Allow",{rest}}}"#));
        let get =
            |resource: &str| allow(&format!(r#""Action":"oss:GetObject","Resource":{resource}"#));
        let when = |condition: &str| {
            allow(&format!(r#""Action":"*","Resource":"*","Condition":{{{condition}}}"#))
        };
        let documents = [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            "\u{feff}{}".to_owned(),
            "{}\u{feff}".to_owned(),
            r#"{"Version":"1","Statement":[],"Statement":[]}"#.to_owned(),
            with(r#"{"Effect":"Deny","Action":"oss:GetObject","Resource":"*"}"#),
            allow(r#""NotAction":"oss:GetObject","Resource":"*""#),
            allow(r#""Action":"oss:GetObject","NotResource":"*""#),
            allow(r#""Action":"oss:GetObject","Resource":"*","Principal":"*""#),
            allow(r#""Action":"o*","Resource":"*""#),
            allow(r#""Action":"*","Resource":"**""#),
            allow(r#""Action":"*","Resource":"?*""#),
            allow(r#""Action":[],"Resource":"*""#),
            get(r#""acs:oss:*:*:sample-bucket/${client}/*""#),
            allow(r#""Action":"oss:${client}","Resource":"*""#),
            get(r#""acs:oss:*:*:sample-bucket/%2A""#),
            get("\"acs:oss:*:*:sample-bucket/a\u{200b}b\""),
            get("\"acs:oss:*:*:sample-bucket/e\u{301}*\""),
            get(r#""acs:oss:*:*:sample-bucket/a\u0000""#),
            get(r#""acs:oss:*:*:Bucket/a""#),
            get(r#""sample-bucket/*""#),
            get(r#"["*", 7]"#),
            when(r#""StringLike":{"oss:Prefix":"a/*","oss:prefix":"*"}"#),
            when(r#""StringLikeIfExists":{"oss:Prefix":"a/*"}"#),
            when(r#""ForAnyValue:StringLike":{"oss:Prefix":"a/*"}"#),
            when(r#""Bool":{"acs:SecureTransport":"yes"}"#),
            when(r#""Bool":{"acs:Secure Transport":"true"}"#),
            when(r#""StringLike":{"oss:Prefix":[]}"#),
            when(r#""\u001b[31m\u202e":{"a:b":"c"}"#),
            "[".repeat(4000),
            " ".repeat(8193),
            get(&format!("\"acs:oss:*:*:sample-bucket/{}\"", "x".repeat(2000))),
            with(r#"{"Effect":"no"},"#.repeat(9).trim_end_matches(',')),
        ];
        let lines: Vec<_> = documents.iter().map(|json| problem_of(json)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
the policy: this is not JSON (line 1, column 0)
the policy: `Version` is missing, and every policy has it: write `"Version": "1"`; the policy: `Statement` is missing, and every policy has it: write a list of statements, each an object with `Effect`, `Action` and `Resource`
the policy: a policy is an object with `Version` and `Statement`, not a list
the policy: `Version` is missing, and every policy has it: write `"Version": "1"`; the policy: `Statement` is missing, and every policy has it: write a list of statements, each an object with `Effect`, `Action` and `Resource`
the policy: this is not JSON (line 1, column 3)
the policy: `Statement` is written twice: readers of JSON disagree on which one counts; Statement: `Statement` is empty, and covers nothing: write a list of statements, each an object with `Effect`, `Action` and `Resource`
Statement: no statement allows anything, so every token would be useless: add a statement with the effect "Allow"
Statement[0].NotAction: `NotAction` is not taken from a caller, because it covers what it does not name: list the actions in `Action`
Statement[0]: `NotResource` is no longer in RAM's documentation, and whether STS takes it is not said: name what is meant in `Resource`; Statement[0]: `Resource` is missing, and every statement has it: write a resource such as "acs:oss:*:*:bucket/key", or a list of resources
Statement[0]: `Principal` belongs to a role's trust policy: a session policy applies to its own session
Statement[0].Action: an action begins with its service and a colon: write `oss:GetObject`, or `*` alone for every action
Statement[0].Resource: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
Statement[0].Resource: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
Statement[0].Action: `Action` is empty, and covers nothing: write an action such as "oss:GetObject", or a list of actions
Statement[0].Resource: a policy that a caller sends has no placeholders: write the value itself, such as `alice` for `${subject}`
Statement[0].Action: a policy that a caller sends has no placeholders: write the value itself, such as `alice` for `${subject}`
Statement[0].Resource: a resource is letters, digits and `- _ . ~ @ + = , ( ) ! / : * ?` in Unicode NFC; without `*` and `?` in its path, the path may have spaces and all visible characters but `" \ $ { }`, and no `%` before two hexadecimal digits
Statement[0].Resource: `\u{200b}` (U+200B) is forbidden: a resource is letters, digits and `- _ . ~ @ + = , ( ) ! / : * ?` in Unicode NFC; without `*` and `?` in its path, the path may have spaces and all visible characters but `" \ $ { }`, and no `%` before two hexadecimal digits
Statement[0].Resource: a resource is letters, digits and `- _ . ~ @ + = , ( ) ! / : * ?` in Unicode NFC; without `*` and `?` in its path, the path may have spaces and all visible characters but `" \ $ { }`, and no `%` before two hexadecimal digits
Statement[0].Resource: `\0` (U+0000) is forbidden: a resource is letters, digits and `- _ . ~ @ + = , ( ) ! / : * ?` in Unicode NFC; without `*` and `?` in its path, the path may have spaces and all visible characters but `" \ $ { }`, and no `%` before two hexadecimal digits
Statement[0].Resource: a bucket's name is 3 to 63 characters of a-z, 0-9 and `-`, with no `-` at either end
Statement[0].Resource: a resource reads `acs:oss:*:*:bucket/key`, or begins so and ends in the `*` that stands for the rest, or is `*` alone
Statement[0].Resource[1]: this must be a string, not a number (RAM writes numbers and booleans in quotes, too)
Statement[0].Condition.StringLike.oss:prefix: `oss:prefix` is also written in other letter case: readers of RAM's policies may disagree on which one counts
Statement[0].Condition: `StringLikeIfExists` is not among the condition operators that RAM and OSS document: StringEquals, StringLike and their like, Numeric…, Date…, Bool, IpAddress, NotIpAddress and IpAddressIncludeBorder
Statement[0].Condition: `ForAnyValue:StringLike` is not among the condition operators that RAM and OSS document: StringEquals, StringLike and their like, Numeric…, Date…, Bool, IpAddress, NotIpAddress and IpAddressIncludeBorder
Statement[0].Condition.Bool.acs:SecureTransport: `Bool` takes "true" or "false": STS refuses anything else
Statement[0].Condition.Bool.acs:Secure Transport: a condition key reads `oss:Prefix` or `acs:SourceIp`
Statement[0].Condition.StringLike.oss:Prefix: this is empty: leave it out, or say what it covers
Statement[0].Condition: a key is not among the condition operators that RAM and OSS document: StringEquals, StringLike and their like, Numeric…, Date…, Bool, IpAddress, NotIpAddress and IpAddressIncludeBorder
the policy: this is nested more than 127 levels deep, and no policy is (line 1, column 128)
it has more than 8192 bytes
the policy: without white space this is 2113 bytes and STS admits 2047
Statement[0].Effect: an effect is "Allow" or "Deny"; Statement[0]: `Action` is missing, and every statement has it: write an action such as "oss:GetObject", or a list of actions; Statement[0]: `Resource` is missing, and every statement has it: write a resource such as "acs:oss:*:*:bucket/key", or a list of resources; and 24 more problems
"#);
    }

    #[test]
    fn a_text_of_8192_bytes_is_parsed_and_three_problems_are_all_that_there_are() {
        let one = with(r#"{"Effect":"Allow","Action":"oss:GetObject","Resource":"*"}"#);
        assert!(RequestedPolicy::parse(&format!("{one:8192}")).is_ok());
        assert_eq!(problem_of(&format!("{one:8193}")), "it has more than 8192 bytes");
        let three = problem_of(&with(r#"{"Effect":"no"}"#));
        assert!(three.split("; ").count() == 3 && !three.contains("more problems"), "{three}");
    }

    #[test]
    fn a_policy_of_sts_s_size_is_read_and_a_byte_more_is_not() {
        let sized = |size: usize| {
            let json = |key: &str| {
                with(&format!(
                    r#"{{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/{key}"}}"#
                ))
            };
            json(&"é".repeat((size - json("").len()) / 2)) + &" ".repeat(9)
        };
        let even = |size: usize| sized(size).trim().len();
        let (fits, not) = if even(2047) == 2047 { (2047, 2049) } else { (2046, 2048) };
        assert_eq!((even(fits), even(not)), (fits, not));
        assert!(RequestedPolicy::parse(&sized(fits)).is_ok());
        assert_eq!(
            problem_of(&sized(not)),
            format!("the policy: without white space this is {not} bytes and STS admits 2047")
        );
    }
}
