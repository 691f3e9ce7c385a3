//! The placeholders that each condition operator admits, so that no caller's value matches another's.
//!
//! Text operators compare exactly or with the template's own wildcards, so two different values stay different. Every
//! other operator may treat two values as equal: letters in another case, `1` and `1.0`, an address and its network.
//! RAM does not document its case folding, so nothing is inferred from the folding of the evaluator here.

use crate::document::operator::ConditionOperator as Operator;
use crate::document::problem::{PolicyFlaw, PolicyProblem};
use crate::document::tree::{Document, Effect, Statement};
use crate::matching::pattern::Pattern;
use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::text::Text;

/// Every condition in which one value could match another.
pub(crate) fn problems(document: &Document<Text>) -> Vec<PolicyProblem> {
    let statements = document.statements.iter().enumerate();
    statements.flat_map(|(i, statement)| in_statement(i, statement)).collect()
}

fn in_statement(i: usize, statement: &Statement<Text>) -> Vec<PolicyProblem> {
    let mut problems = Vec::new();
    // Names of RAM's own resources, such as roles, ignore case; object keys do not. The check is by what the pattern
    // matches: `acs:r*:…` may name a role, too.
    let of_ram = |text: &&Text| {
        let any_value = text.any_value().to_ascii_lowercase();
        Pattern(&any_value).intersects(Pattern("acs:ram:*"))
    };
    let mut in_names =
        statement.resource.as_slice().iter().filter(of_ram).flat_map(Text::placeholders);
    if let Some(folded) = in_names.find(|one| !one.one_case) {
        let at = format!("Statement[{i}].Resource");
        let flaw = PolicyFlaw::NamesOthers { placeholder: folded.to_string() };
        problems.push(PolicyProblem { at, flaw });
    }
    for (&operator, keys) in &statement.condition {
        for (key, values) in keys {
            let mut note = |flaw| {
                let at = format!("Statement[{i}].Condition.{operator:?}.{key}");
                problems.push(PolicyProblem { at, flaw });
            };
            let mut placeholders = values.as_slice().iter().flat_map(Text::placeholders).peekable();
            // Each caller would reach the objects of all others.
            if statement.effect == Effect::Allow
                && operator.is_negated()
                && placeholders.peek().is_some()
            {
                note(PolicyFlaw::AllowsAllOthers { operator });
            }
            if let Some(folded) = placeholders.find(|one| !keeps_apart(operator, one)) {
                note(PolicyFlaw::MatchesOthers { operator, placeholder: folded.to_string() });
            }
        }
    }
    problems
}

/// Whether the operator never treats two values of the placeholder as equal.
fn keeps_apart(operator: Operator, placeholder: &Placeholder) -> bool {
    match operator {
        Operator::StringEquals
        | Operator::StringNotEquals
        | Operator::StringLike
        | Operator::StringNotLike => true,
        Operator::StringEqualsIgnoreCase | Operator::StringNotEqualsIgnoreCase => {
            placeholder.one_case
        }
        // The time is the same for all callers.
        Operator::Bool
        | Operator::DateEquals
        | Operator::DateGreaterThan
        | Operator::DateGreaterThanEquals
        | Operator::DateLessThan
        | Operator::DateLessThanEquals
        | Operator::DateNotEquals
        | Operator::IpAddress
        | Operator::IpAddressIncludeBorder
        | Operator::NotIpAddress
        | Operator::NumericEquals
        | Operator::NumericGreaterThan
        | Operator::NumericGreaterThanEquals
        | Operator::NumericLessThan
        | Operator::NumericLessThanEquals
        | Operator::NumericNotEquals => matches!(placeholder.source, ValueSource::Now(_)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::template::value_rule::ValueRules;
    use crate::template::value_rule::{Shape, ValueRule};
    use crate::template::values::RawValues;
    use crate::{Breadth, GrantTemplate, GrantTexts};

    const OPERATORS: [&str; 22] = [
        "Bool",
        "DateEquals",
        "DateGreaterThan",
        "DateGreaterThanEquals",
        "DateLessThan",
        "DateLessThanEquals",
        "DateNotEquals",
        "IpAddress",
        "IpAddressIncludeBorder",
        "NotIpAddress",
        "NumericEquals",
        "NumericGreaterThan",
        "NumericGreaterThanEquals",
        "NumericLessThan",
        "NumericLessThanEquals",
        "NumericNotEquals",
        "StringEquals",
        "StringEqualsIgnoreCase",
        "StringLike",
        "StringNotEquals",
        "StringNotEqualsIgnoreCase",
        "StringNotLike",
    ];

    const PLACEHOLDERS: [&str; 10] = [
        "client",
        "issuer",
        "subject",
        "subject.encoded",
        "subject.hash",
        "claims.tenant",
        "params.dir",
        "params.size",
        "params.mixed",
        "now:%Y-%m-%d",
    ];

    /// What readers of text, numbers, dates and addresses like to take for one.
    const VALUES: [&str; 26] = [
        "alice",
        "ALICE",
        "Alice",
        "a",
        "A",
        "straße",
        "STRASSE",
        "ß",
        "ss",
        "İ",
        "i",
        "ſ",
        "s",
        "Σ",
        "ς",
        "σ",
        "1",
        "1.0",
        "01",
        "+1",
        "1e0",
        "true",
        "True",
        "10.0.0.1",
        "10.0.0.0/8",
        "2016-01-13",
    ];

    /// What may stand around a placeholder.
    const AROUND: [(&str, &str); 5] =
        [("", ""), ("users/", "/"), ("", "T00:00:00Z"), ("10.0.0.", ""), ("", "/24")];

    fn rules(placeholder: &str) -> ValueRules {
        let text = |shape| ValueRule::text(shape, None, 64).unwrap();
        let one_of = |values: &[&str]| {
            ValueRule::one_of(&values.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
        };
        let declared = [
            ("dir", text(Shape::Path)),
            ("size", one_of(&["small", "large", "1", "01"])),
            ("mixed", one_of(&["raw", "RAW", "ß"])),
        ];
        let used = declared.into_iter().filter(|(name, _)| placeholder.ends_with(name));
        ValueRules {
            params: used.map(|(name, rule)| (name.parse().unwrap(), rule)).collect(),
            claims: BTreeMap::from([("tenant".parse().unwrap(), text(Shape::Segment))]),
            subject_max_bytes: 64,
        }
    }

    fn grant(
        effect: &str,
        operator: &str,
        value: &str,
        placeholder: &str,
    ) -> Result<GrantTemplate, String> {
        let policy = format!(
            r#"{{"Version":"1","Statement":[
                {{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/a"}},
                {{"Effect":"{effect}","Action":"oss:ListObjects","Resource":"acs:oss:*:*:sample-bucket",
                  "Condition":{{"{operator}":{{"a:key":"{value}"}}}}}}]}}"#
        );
        let texts = GrantTexts {
            policy: &policy,
            breadth: Breadth::Narrow,
            session_name: Some("name"),
            source_identity: None,
        };
        GrantTemplate::parse(texts, rules(placeholder)).map_err(|problems| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        })
    }

    /// The condition's value for a caller of whom all that can be is this.
    fn rendered(grant: &GrantTemplate, operator: &str, value: &str) -> Option<String> {
        let client = value.parse().or_else(|_| "photo-app".parse()).unwrap();
        let issuer = value.parse().or_else(|_| "company".parse()).unwrap();
        let subject = value.parse().ok();
        let names = grant.rules().params.keys();
        let raw = RawValues {
            issuer: Some(&issuer),
            client: &client,
            subject: subject.as_ref(),
            claims: &BTreeMap::from([("tenant".to_owned(), value.to_owned())]),
            params: &names.map(|name| (name.to_string(), value.to_owned())).collect(),
            now: "2016-01-13T14:02:37Z".parse().unwrap(),
        };
        let policy = grant.render(raw).ok()?.policy;
        let policy: Value = serde_json::from_str(policy.as_str()).unwrap();
        Some(policy["Statement"][1]["Condition"][operator]["a:key"].as_str().unwrap().to_owned())
    }

    /// What some reader of RAM's documentation could take for one.
    fn may_be_one(operator: &str, one: &str, other: &str) -> bool {
        let ours = Operator::named(operator).unwrap();
        let ours = ours.holds(&[one.to_owned()], Some(other)) != ours.is_negated();
        let folds: [fn(&str) -> String; 3] = [
            |text| text.to_lowercase(),
            |text| text.to_uppercase(),
            |text| text.to_ascii_lowercase(),
        ];
        ours || operator.contains("IgnoreCase") && folds.iter().any(|fold| fold(one) == fold(other))
    }

    #[test]
    fn under_no_operator_does_one_admissible_value_match_another() {
        let (mut accepted, mut compared) = (BTreeSet::new(), 0);
        for (operator, placeholder) in
            OPERATORS.iter().flat_map(|operator| PLACEHOLDERS.map(|one| (*operator, one)))
        {
            for (before, after) in AROUND {
                let value = format!("{before}${{{placeholder}}}{after}");
                let Ok(grant) = grant("Deny", operator, &value, placeholder) else { continue };
                accepted.insert((placeholder, operator));
                let texts: BTreeSet<_> = VALUES
                    .iter()
                    .chain(&["raw", "RAW", "small", "large"])
                    .filter_map(|value| rendered(&grant, operator, value))
                    .collect();
                for (one, other) in texts.iter().flat_map(|one| texts.iter().map(move |o| (one, o)))
                {
                    let same = one != other && may_be_one(operator, one, other);
                    assert!(!same, "{operator} {placeholder}: `{one}` matches `{other}`");
                    compared += 1;
                }
            }
        }
        // Else the test would prove nothing.
        assert!(compared > 10_000, "only {compared} were compared");
        let lines = PLACEHOLDERS.map(|placeholder| {
            let all =
                OPERATORS.iter().filter(|operator| accepted.contains(&(placeholder, operator)));
            format!("{placeholder}: {}", all.copied().collect::<Vec<_>>().join(" "))
        });
        insta::assert_snapshot!(lines.join("\n"), @r"
client: StringEquals StringEqualsIgnoreCase StringLike StringNotEquals StringNotEqualsIgnoreCase StringNotLike
issuer: StringEquals StringEqualsIgnoreCase StringLike StringNotEquals StringNotEqualsIgnoreCase StringNotLike
subject: StringEquals StringLike StringNotEquals StringNotLike
subject.encoded: StringEquals StringLike StringNotEquals StringNotLike
subject.hash: StringEquals StringEqualsIgnoreCase StringLike StringNotEquals StringNotEqualsIgnoreCase StringNotLike
claims.tenant: StringEquals StringLike StringNotEquals StringNotLike
params.dir: StringEquals StringLike StringNotEquals StringNotLike
params.size: StringEquals StringEqualsIgnoreCase StringLike StringNotEquals StringNotEqualsIgnoreCase StringNotLike
params.mixed: StringEquals StringLike StringNotEquals StringNotLike
now:%Y-%m-%d: DateEquals DateGreaterThan DateGreaterThanEquals DateLessThan DateLessThanEquals DateNotEquals StringEquals StringEqualsIgnoreCase StringLike StringNotEquals StringNotEqualsIgnoreCase StringNotLike
");
    }

    #[test]
    fn names_that_ram_compares_without_case_take_lower_case_placeholders_only() {
        let parsed = |resource: &str, placeholder: &str| {
            let policy = format!(
                r#"{{"Version":"1","Statement":[
                    {{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"{resource}"}}]}}"#
            );
            let texts = GrantTexts {
                policy: &policy,
                breadth: Breadth::Broad,
                session_name: Some("name"),
                source_identity: None,
            };
            GrantTemplate::parse(texts, rules(placeholder)).map_err(|found| found[0].to_string())
        };
        for (service, folded) in [
            ("ram", "subject"),
            ("RAM", "claims.tenant"),
            ("r?m", "params.mixed"),
            ("*", "subject"),
        ] {
            let refused = parsed(&format!("acs:{service}::11223344:role/${{{folded}}}"), folded);
            assert_eq!(
                refused.unwrap_err(),
                format!(
                    "Statement[0].Resource: RAM compares names such as roles' without regard to case, so one value of \
                     `${{{folded}}}` would name another's: use a placeholder that is lower-case by its kind"
                )
            );
        }
        for fine in ["client", "params.size"] {
            assert!(parsed(&format!("acs:ram::11223344:role/${{{fine}}}"), fine).is_ok(), "{fine}");
        }
        assert!(parsed("acs:oss:*:*:sample-bucket/${subject}/*", "subject").is_ok());
    }

    #[test]
    fn an_operator_that_could_take_two_values_for_one_is_refused_with_the_way_out() {
        for effect in ["Allow", "Deny"] {
            let refused = grant(effect, "StringEqualsIgnoreCase", "users/${subject}/", "subject");
            assert_eq!(
                refused.unwrap_err(),
                "Statement[1].Condition.StringEqualsIgnoreCase.a:key: `StringEqualsIgnoreCase` may take two \
                 values of `${subject}` for one, so that one caller's would match another's: compare with \
                 `StringEquals` or `StringLike`"
            );
        }
        assert!(
            grant("Deny", "StringNotEqualsIgnoreCase", "users/${subject}/", "subject").is_err()
        );
        // Text of the operator's own may be compared as it likes.
        assert!(grant("Allow", "StringEqualsIgnoreCase", "users/", "").is_ok());
        assert!(grant("Allow", "NumericLessThan", "5", "").is_ok());
    }
}
