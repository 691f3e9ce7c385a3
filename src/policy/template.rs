//! Session policies in which values are still missing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::document::{Actions, Document, Effect};
use super::path_rules;
use super::pattern::Pattern;
use super::problem::{PolicyFlaw, PolicyProblem};
use super::session::SessionPolicy;
use super::text::{Piece, Text};
use super::values::{SubjectUse, Uses, ValueRules, Values};

/// A policy document with placeholders, proven to render to a session policy for all admitted values.
pub(crate) struct Template(Document<Text>);

/// How much a template may allow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Breadth {
    /// Only actions and buckets that it names.
    Narrow,
    /// Also actions or buckets that nobody named, for which the operator gave a reason.
    Broad,
}

impl Template {
    /// Reads a template, or says everything that is wrong with it.
    pub(crate) fn parse(
        json: &str,
        rules: &ValueRules,
        breadth: Breadth,
    ) -> Result<Self, Vec<PolicyProblem>> {
        let document = Document::read(json, |place, raw| {
            let text = Text::parse(raw, rules)?;
            let flaws = path_rules::flaws(place, &text);
            if flaws.is_empty() { Ok(text) } else { Err(flaws) }
        })?;
        let mut problems = Vec::new();
        if document.statements.iter().all(|statement| statement.effect == Effect::Deny) {
            problems.push(PolicyProblem {
                at: "Statement".to_owned(),
                flaw: PolicyFlaw::AllowsNothing,
            });
        }
        if breadth == Breadth::Narrow {
            problems.extend(broad_parts(&document));
        }
        problems.extend(too_long(&document));
        if problems.is_empty() { Ok(Self(document)) } else { Err(problems) }
    }

    /// What the template takes from a caller's credential.
    pub(super) fn uses(&self) -> Uses {
        Uses::of(self.0.values().flat_map(Text::placeholders), SubjectUse::InPolicy)
    }

    /// The session policy for these values.
    ///
    /// It cannot be too long, so nothing is checked here: at load the same code filled every placeholder
    /// with its longest value and found that the JSON fits, and admitted values are no longer and hold
    /// nothing that JSON escapes.
    pub(super) fn render(&self, values: &Values) -> SessionPolicy {
        let document = self.0.map(|text| text.fill(|placeholder| values.of(placeholder)));
        SessionPolicy::rendered(&document.minified())
    }
}

fn broad_parts(document: &Document<Text>) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    let mut note = |at: String, flaw| problems.push(PolicyProblem { at, flaw });
    for (i, statement) in document.statements.iter().enumerate() {
        if statement.effect == Effect::Deny {
            continue;
        }
        match &statement.actions {
            Actions::Action(actions) if actions.as_slice().iter().any(|a| covers_any_action(a)) => {
                note(format!("Statement[{i}].Action"), PolicyFlaw::AllowsEveryAction);
            }
            Actions::Action(_) => {}
            Actions::NotAction(_) => {
                note(format!("Statement[{i}].NotAction"), PolicyFlaw::AllowsEveryAction);
            }
        }
        let mut resources = statement.resource.as_slice().iter();
        if resources.any(|resource| path_rules::covers_any_bucket(&resource.outline())) {
            note(format!("Statement[{i}].Resource"), PolicyFlaw::AllowsEveryBucket);
        }
    }
    problems
}

/// Whether the pattern covers actions that nobody named, of any service or of its own.
fn covers_any_action(pattern: &str) -> bool {
    // Longer than the pattern, so that only a `*` can span it, and of a character that no name holds.
    let nobody_named = "\0".repeat(pattern.len() + 1);
    let own_service = pattern.split_once(':').map_or("oss", |(service, _)| service);
    [own_service, "oss"]
        .iter()
        .any(|service| Pattern(pattern).matches(&format!("{service}:{nobody_named}")))
}

fn too_long(document: &Document<Text>) -> Option<PolicyProblem> {
    let worst = document
        .map(|text| text.fill(|placeholder| Cow::Owned("x".repeat(placeholder.longest))))
        .minified()
        .len();
    if worst <= SessionPolicy::MAX_BYTES {
        return None;
    }
    let mut shares = BTreeMap::new();
    for piece in document.values().flat_map(Text::pieces) {
        if let Piece::Value(placeholder) = piece {
            *shares.entry(placeholder.to_string()).or_insert(0) += placeholder.longest;
        }
    }
    let fixed = worst - shares.values().sum::<usize>();
    shares.insert("fixed text".to_owned(), fixed);
    let (heaviest, share) = shares.into_iter().max_by_key(|(_, share)| *share)?;
    Some(PolicyProblem {
        at: "the policy".to_owned(),
        flaw: PolicyFlaw::TooLong { worst, heaviest, share },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::policy::rule::{Shape, ValueRule};

    fn rules() -> ValueRules {
        let text = |shape| ValueRule::text(shape, None, 64).unwrap();
        let one_of = |values: [&str; 2]| ValueRule::one_of(&values.map(str::to_owned)).unwrap();
        let name = |raw: &str| raw.parse().unwrap();
        ValueRules {
            params: BTreeMap::from([
                (name("album"), text(Shape::Segment)),
                (name("dir"), text(Shape::Path)),
                (name("size"), one_of(["small", "large"])),
                (name("mixed"), one_of(["a", "a/b"])),
            ]),
            claims: BTreeMap::from([(name("tenant"), text(Shape::Segment))]),
            subject_max_bytes: 64,
        }
    }

    fn problems(json: &str, breadth: Breadth) -> Vec<String> {
        match Template::parse(json, &rules(), breadth) {
            Ok(_) => vec![],
            Err(problems) => problems.iter().map(ToString::to_string).collect(),
        }
    }

    fn with_resource(resource: &str) -> String {
        with(&format!(r#""Effect":"Allow","Action":"oss:GetObject","Resource":"{resource}""#))
    }

    fn with_prefix(prefix: &str) -> String {
        with(&format!(
            r#""Effect":"Allow","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
               "Condition":{{"StringLike":{{"oss:Prefix":"{prefix}"}}}}"#
        ))
    }

    fn with(statement: &str) -> String {
        format!(r#"{{"Version":"1","Statement":[{{{statement}}}]}}"#)
    }

    #[test]
    fn every_break_of_rams_grammar_is_refused_with_its_place_and_the_way_out() {
        let good = r#""Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/*""#;
        let allow = format!(r#""Effect":"Allow",{good}"#);
        let cases = [
            ("{", "the policy: this is not JSON (line 1, column 1)".to_owned()),
            ("[]", "the policy: this must be an object".to_owned()),
            (&with(&allow).replace("\"1\"", "\"2\""), "Version: the version of RAM's policy language must be \"1\"".to_owned()),
            (&with(&allow).replace("\"1\"", "1"), "Version: this must be a string (RAM writes numbers and booleans in quotes, too)".to_owned()),
            (&with(&allow).replace("\"Version\":\"1\",", ""), "the policy: `Version` is missing".to_owned()),
            (r#"{"Version":"1"}"#, "the policy: `Statement` is missing".to_owned()),
            (r#"{"Version":"1","Statement":{}}"#, "Statement: this must be a list of statements".to_owned()),
            (r#"{"Version":"1","Statement":[]}"#, "Statement: this is empty: leave it out, or say what it covers".to_owned()),
            (r#"{"Version":"1","Statement":["x"]}"#, "Statement[0]: this must be an object".to_owned()),
            (&with(&format!("{allow},\"Sid\":\"a\"")), "Statement[0]: `Sid` is unknown here: known are Effect, Action, NotAction, Resource, Condition".to_owned()),
            (&with(&format!("{allow},\"Principal\":\"*\"")), "Statement[0]: `Principal` belongs to a role's trust policy: a session policy speaks of its own session".to_owned()),
            (&with(&format!("{allow},\"NotResource\":\"*\"")), "Statement[0]: `NotResource` is no longer RAM's: name what is meant in `Resource`".to_owned()),
            (&with(&format!("{allow},\"Effect\":\"Deny\"")), "Statement[0]: `Effect` is written twice: readers of JSON disagree on which one counts".to_owned()),
            (&with(good), "Statement[0]: `Effect` is missing".to_owned()),
            (&with(&format!("\"Effect\":\"allow\",{good}")), "Statement[0].Effect: an effect is \"Allow\" or \"Deny\"".to_owned()),
            (&with(&format!("{allow},\"NotAction\":\"oss:PutObject\"")), "Statement[0]: a statement has exactly one of `Action` and `NotAction`".to_owned()),
            (&with(r#""Effect":"Allow","Resource":"acs:oss:*:*:sample-bucket/*""#), "Statement[0]: a statement has exactly one of `Action` and `NotAction`".to_owned()),
            (&with(r#""Effect":"Allow","Action":"oss:GetObject""#), "Statement[0]: `Resource` is missing".to_owned()),
            (&with(r#""Effect":"Allow","Action":"oss:GetObject","Resource":[]"#), "Statement[0].Resource: this is empty: leave it out, or say what it covers".to_owned()),
            (&with(r#""Effect":"Allow","Action":"oss:GetObject","Resource":"""#), "Statement[0].Resource: this is empty: leave it out, or say what it covers".to_owned()),
            (&with(r#""Effect":"Allow","Action":["oss:GetObject",7],"Resource":"acs:oss:*:*:sample-bucket/*""#), "Statement[0].Action[1]: this must be a string (RAM writes numbers and booleans in quotes, too)".to_owned()),
            (&with(r#""Effect":"Allow","Action":"oss:GetObject","Resource":true"#), "Statement[0].Resource: this must be a string or a list of strings".to_owned()),
            (&with(&allow.replace("oss:GetObject", "GetObject")), "Statement[0].Action: an action reads `oss:GetObject`, with `*` and `?` as wildcards, or `*`".to_owned()),
            (&with(&allow.replace("oss:GetObject", "oss:${params.size}")), "Statement[0].Action: placeholders, `$`, `{` and `}` may stand in values of `Resource` and `Condition` only".to_owned()),
            (&with(&format!("{allow},\"Condition\":{{}}")), "Statement[0].Condition: this is empty: leave it out, or say what it covers".to_owned()),
            (&with(&format!("{allow},\"Condition\":{{\"Bool\":{{}}}}")), "Statement[0].Condition.Bool: this is empty: leave it out, or say what it covers".to_owned()),
            (&with(&format!("{allow},\"Condition\":{{\"Bool\":{{\"acs:MFAPresent\":true}}}}")), "Statement[0].Condition.Bool.acs:MFAPresent: this must be a string or a list of strings".to_owned()),
            (&with(&format!("{allow},\"Condition\":{{\"Bool\":{{\"a:B\":\"x\",\"a:B\":\"y\"}}}}")), "Statement[0].Condition.Bool: `a:B` is written twice: readers of JSON disagree on which one counts".to_owned()),
            (&with(&format!("{allow},\"Condition\":{{\"Bool\":{{\"a:${{client}}\":\"x\"}}}}")), "Statement[0].Condition.Bool.a:${client}: placeholders, `$`, `{` and `}` may stand in values of `Resource` and `Condition` only".to_owned()),
            (&with(&format!("{allow},\"Condition\":{{\"Bool\":{{\"Prefix\":\"x\"}}}}")), "Statement[0].Condition.Bool.Prefix: a condition key reads `oss:Prefix` or `acs:SourceIp`".to_owned()),
            (&with(&format!("{allow},\"Condition\":{{\"StringIs\":{{\"a:B\":\"x\"}}}}")), "Statement[0].Condition: `StringIs` is no condition operator of RAM: there are StringEquals, StringLike and their like, Numeric…, Date…, Bool, IpAddress and NotIpAddress".to_owned()),
        ];
        for (json, problem) in cases {
            assert_eq!(problems(json, Breadth::Narrow), [problem], "{json}");
        }
        assert_eq!(problems(&with(&allow), Breadth::Narrow), [""; 0]);
    }
}
