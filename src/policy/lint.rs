//! Problems of a policy template that is not (yet) part of a grant.

use regex::Regex;

use super::advice::Advice;
use super::problem::PolicyProblem;
use super::rule::{Shape, ValueRule};
use super::template::{Breadth, Template};
use super::values::ValueRules;
use crate::domain::ValueName;

/// Everything that loading the template would refuse, if each parameter and claim in it were declared as a
/// segment of 64 bytes; or else what is to be said of it although it is sound.
pub(crate) fn lint_file(json: &str, breadth: Breadth) -> Result<Vec<Advice>, Vec<PolicyProblem>> {
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
    Template::parse(json, &rules, breadth).map(|template| template.advice())
}
