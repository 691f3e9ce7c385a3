//! Lints a policy template that is not part of a grant.

use regex::Regex;

use crate::disjoint::{self, Callers, NotDisjoint, SharedResource};
use crate::document::problem::PolicyProblem;
use crate::document::tree::Document;
use crate::lint::checks;
use crate::lint::warning::LintWarning;
use crate::template::policy_template::{Breadth, PolicyTemplate};
use crate::template::value_rule::ValueRules;
use crate::template::value_rule::{Shape, ValueRule};
use appserver_domain::ValueName;

/// The result of linting a template.
#[derive(Debug)]
pub struct LintReport {
    /// Everything for which loading would refuse it.
    pub problems: Vec<PolicyProblem>,
    /// Why different callers are not proven to reach different data, if there are no other problems.
    pub not_disjoint: Option<NotDisjoint>,
    /// Probable mistakes in what is valid. If there are problems, only warnings about valid statements.
    pub warnings: Vec<LintWarning>,
}

/// Lints a template as if each parameter and claim in it were declared as a segment of 64 bytes, and any client of any
/// issuer held its grant. Callers may share `shared`.
pub fn lint_file(json: &str, breadth: Breadth, shared: &[SharedResource]) -> LintReport {
    let names = Regex::new(r"\$\{(params|claims)\.([A-Za-z0-9_-]+)\}");
    let names = names.expect("it is a regular expression");
    let mut rules = ValueRules {
        params: Default::default(),
        claims: Default::default(),
        subject_max_bytes: 128,
    };
    for found in names.captures_iter(json) {
        let declared = if &found[1] == "params" { &mut rules.params } else { &mut rules.claims };
        if let Ok(name) = found[2].parse::<ValueName>() {
            let rule = ValueRule::text(Shape::Segment, None, 64).expect("64 bytes are allowed");
            declared.insert(name, rule);
        }
    }
    match PolicyTemplate::parse(json, &rules, breadth) {
        Ok(template) => {
            let disjointness = disjoint::decide(&template, &rules, &Callers::default(), shared);
            LintReport {
                problems: Vec::new(),
                not_disjoint: disjointness.problem(),
                warnings: checks::template_warnings(&template),
            }
        }
        Err(problems) => LintReport {
            problems,
            not_disjoint: None,
            warnings: checks::statement_warnings(&Document::sound_parts(json)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy with these statements beside one whose action nobody has.
    fn linted(more: &str) -> LintReport {
        let json = format!(
            r#"{{"Version":"1","Statement":[
                {{"Effect":"Allow","Action":["oss:GetObject","oss:GetObjct"],
                  "Resource":"acs:oss:*:*:sample-bucket/users/${{subject}}/*"}}{more}]}}"#
        );
        lint_file(&json, Breadth::Narrow, &[])
    }

    #[test]
    fn a_file_that_can_be_read_is_linted_with_its_parameters_and_claims_declared() {
        let more = r#",{"Effect":"Allow","Action":"oss:GetObject",
            "Resource":"acs:oss:*:*:sample-bucket/${claims.tenant}/${subject}/${params.album}/*"}"#;
        let report = linted(more);
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        assert!(report.warnings.iter().any(|one| one.to_string().contains("oss:GetObjct")));
    }

    #[test]
    fn a_file_with_a_problem_has_the_warnings_about_its_other_statements() {
        let report = linted(r#",{"Effect":"Allow","Action":"oss:GetObject","Resource":"users"}"#);
        assert_eq!(report.problems.len(), 1);
        assert_eq!(report.not_disjoint, None);
        assert!(report.warnings.iter().any(|one| one.to_string().contains("oss:GetObjct")));
    }
}
