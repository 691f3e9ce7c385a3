//! Warnings about the resources of a statement.

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Actions, Statement, Strings};
use crate::lint::finding::Finding;
use crate::lint::oss_resource::OssResource;
use crate::lint::warning::LintWarning;
use crate::matching::resource::fields;
use crate::oss::catalogue::PREFIX_KEY;
use crate::oss::operation::{Level, Operation};

/// The resources that match nothing, and the actions that no resource fits.
pub(crate) fn warnings(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let mut warnings = unmatchable(at, statement);
    warnings.extend(actions_without_resource(at, statement));
    warnings
}

/// Objects that cannot exist, and regions, which OSS no longer documents.
fn unmatchable(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let odd = |resource: &String| {
        let [acs, service, region, account, path] = fields(resource)?;
        if service != "oss" {
            return None;
        }
        // Source: OSS, "Object naming conventions": a name is not empty and begins with no `/`.
        if path.split_once('/').is_some_and(|(_, key)| key.is_empty() || key.starts_with('/')) {
            return Some((Finding::NoObject { resource: resource.clone() }, None));
        }
        let everywhere = || format!("{acs}:{service}:*:{account}:{path}");
        (region != "*")
            .then(|| (Finding::Region { resource: resource.clone() }, Some(everywhere())))
    };
    let all = statement.resource.as_slice();
    let odd = all.iter().filter_map(|resource| Some((resource, odd(resource)?)));
    odd.map(|(resource, (finding, meant))| {
        let corrected = meant.map(|meant| {
            let all = all.iter().map(|one| if one == resource { &meant } else { one }.clone());
            Statement { resource: Strings::of(all.collect()), ..statement.clone() }
        });
        LintWarning::new(format!("{at}.Resource"), finding, corrected.as_ref())
    })
    .collect()
}

/// Actions that OSS decides on another kind of resource than the statement has.
fn actions_without_resource(at: &str, statement: &Statement<String>) -> Vec<LintWarning> {
    let Actions::Action(actions) = &statement.actions else { return vec![] };
    let resources = OssResource::all(statement.resource.as_slice());
    let stray = |action: &String| {
        let action = match Operation::named(action) {
            Operation::Action => action,
            Operation::AllowedBy(by) => by,
            Operation::Copies => return None,
        };
        let level = missing_level(action, &resources)?;
        let finding = Finding::NeverMatches { action: action.to_owned(), level };
        let corrected = moved(statement, action, level, &resources);
        Some(LintWarning::new(format!("{at}.Action"), finding, Some(&corrected)))
    };
    actions.as_slice().iter().filter_map(stray).collect()
}

/// The action alone on a resource of its level, if no resource of the statement is one.
pub(crate) fn moved_to_its_level(
    statement: &Statement<String>,
    action: &str,
) -> Option<Statement<String>> {
    let resources = OssResource::all(statement.resource.as_slice());
    let level = missing_level(action, &resources)?;
    Some(moved(statement, action, level, &resources))
}

/// The level that the action is decided on, if none of the resources is of it.
fn missing_level(action: &str, resources: &[OssResource<'_>]) -> Option<Level> {
    let level = Level::of(action)?;
    let is_missing =
        !resources.is_empty() && !resources.iter().any(|resource| resource.may_be(level));
    is_missing.then_some(level)
}

/// The action alone, on a resource of its level; a prefix that was meant to limit a listing becomes a condition.
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
