//! Warnings about listings that reach further than the rest of the policy.

use crate::document::operator::ConditionOperator;
use crate::document::tree::{Actions, Document, Effect, Statement, Strings};
use crate::lint::finding::Finding;
use crate::lint::oss_resource::OssResource;
use crate::lint::warning::LintWarning;
use crate::oss::catalogue::{DELIMITER_KEY, PREFIX_KEY};
use crate::oss::operation::Level;

/// Listings of whole buckets of which the policy otherwise allows only a part.
pub(crate) fn warnings(
    at: &str,
    statement: &Statement<String>,
    document: &Document<String>,
) -> Vec<LintWarning> {
    if limits_listings(statement) || !statement.actions.covers("oss:ListObjects") {
        return vec![];
    }
    let allows = || document.statements.iter().filter(|other| other.effect == Effect::Allow);
    let whole = |listed: &OssResource<'_>| {
        let reached: Vec<_> = allows()
            .flat_map(|allow| OssResource::all(allow.resource.as_slice()))
            .filter(|other| other.bucket() == listed.bucket() && other.may_be(Level::Object))
            .collect();
        let prefixes: Vec<_> = reached.iter().flat_map(OssResource::prefixes).collect();
        let in_part =
            !reached.is_empty() && reached.iter().all(|other| other.prefixes().next().is_some());
        in_part.then(|| {
            let keys = [(PREFIX_KEY.to_owned(), Strings::of(prefixes))];
            let corrected = Statement {
                effect: Effect::Allow,
                actions: Actions::Action(Strings::One("oss:ListObjects".to_owned())),
                resource: Strings::One(listed.at(Level::Bucket)),
                condition: [(ConditionOperator::StringLike, keys.into())].into(),
            };
            let finding = Finding::ListsEverything { bucket: listed.bucket().to_owned() };
            LintWarning::new(at.to_owned(), finding, Some(&corrected))
        })
    };
    let buckets = OssResource::all(statement.resource.as_slice()).into_iter();
    buckets.filter(|resource| resource.may_be(Level::Bucket)).filter_map(|b| whole(&b)).collect()
}

/// Whether its condition limits a listing to some prefixes. An empty one is that of every key; only with a delimiter
/// does it list no more than the names of folders.
fn limits_listings(statement: &Statement<String>) -> bool {
    let values = |wanted: &str| {
        let positive = statement.condition.iter().filter(|(operator, _)| !operator.is_negated());
        let keys = positive.flat_map(|(_, keys)| keys);
        let keys: Vec<_> = keys.filter(|(key, _)| key.eq_ignore_ascii_case(wanted)).collect();
        keys.into_iter().map(|(_, values)| values.as_slice())
    };
    let delimited = values(DELIMITER_KEY).any(|values| values.iter().all(|value| value == "/"));
    let limits = |value: &String| match value.trim_matches('*') {
        "" => value.is_empty() && delimited,
        _ => true,
    };
    values(PREFIX_KEY).any(|values| values.iter().all(limits))
}
