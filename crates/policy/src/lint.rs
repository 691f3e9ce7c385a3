//! Problems of a policy template that is not (yet) part of a grant.

use regex::Regex;

use super::advice::LintWarning;
use super::document::Document;
use super::problem::PolicyProblem;
use super::rule::{Shape, ValueRule};
use super::template::{Breadth, Template};
use super::values::ValueRules;
use appserver_domain::ValueName;

/// What is found in a template.
#[derive(Debug)]
pub struct LintReport {
    /// Everything that loading it would refuse.
    pub problems: Vec<PolicyProblem>,
    /// What is sound and probably not what was meant; beside problems, as much of it as their statements leave open.
    pub warnings: Vec<LintWarning>,
}

/// Reads a template as if each parameter and claim in it were declared as a segment of 64 bytes.
pub fn lint_file(json: &str, breadth: Breadth) -> LintReport {
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
    match Template::parse(json, &rules, breadth) {
        Ok(template) => LintReport { problems: Vec::new(), warnings: template.lint_warnings() },
        Err(problems) => LintReport {
            problems,
            warnings: LintWarning::on_each_statement(&Document::sound_parts(json)),
        },
    }
}
