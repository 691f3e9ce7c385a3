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
