//! The keys that a template's Allows reach: by actions on objects, and by listings.

use super::automaton::{Alphabet, Automaton, Case, Set, Step, Wildcards};
use crate::document::operator::ConditionOperator as Operator;
use crate::document::tree::{Actions, Document, Effect, Statement};
use crate::oss::catalogue::{self, PREFIX_KEY};
use crate::oss::operation::Level;
use crate::template::text::Text;

/// The service whose data is protected.
const SERVICE: &str = "oss";

/// The keys that one resource of one Allow reaches, as an automaton over `bucket/key`.
pub(super) struct Reach<'a> {
    pub(super) statement: &'a Statement<Text>,
    resource: &'a Text,
    prefix: Option<&'a Text>,
    pub(super) kind: Kind,
    pub(super) automaton: Automaton,
}

/// A value that a condition allows for a listing's prefix.
#[derive(Clone, Copy)]
pub(crate) struct Prefix<'a> {
    pub(crate) text: &'a Text,
    pub(crate) ignores_case: bool,
    wildcards: Wildcards,
}

/// How keys are reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Object,
    /// With a condition on the prefix.
    LimitedListing,
    /// Whatever the prefix.
    Listing,
}

impl Reach<'_> {
    /// The text that decides, as the template has it.
    pub(super) fn written(&self) -> String {
        self.prefix.unwrap_or(self.resource).written()
    }
}

/// Everything that the template's Allows reach.
pub(super) fn reaches<'a>(document: &'a Document<Text>, alphabet: &Alphabet<'_>) -> Vec<Reach<'a>> {
    let allows = document.statements.iter().filter(|one| one.effect == Effect::Allow);
    let mut reaches = Vec::new();
    for statement in allows {
        for resource in statement.resource.as_slice() {
            if !is_of_oss(resource) {
                continue;
            }
            let reach =
                |prefix, kind, automaton| Reach { statement, resource, prefix, kind, automaton };
            if acts_on_objects(&statement.actions) {
                let mut automaton = Automaton::new();
                path(&mut automaton, resource, Set::Any, alphabet);
                reaches.push(reach(None, Kind::Object, automaton));
            }
            let listing = |automaton: &mut Automaton| {
                path(automaton, resource, Set::NotSlash, alphabet);
                automaton.then(Step::Take(Set::Only('/'), Case::Kept));
            };
            for limit in listings(statement, resource) {
                let mut automaton = Automaton::new();
                listing(&mut automaton);
                if let Some(Prefix { text, wildcards, ignores_case }) = limit {
                    let case = if ignores_case { Case::Ignored } else { Case::Kept };
                    automaton.text(text, (wildcards, case), Set::Any, alphabet);
                }
                automaton.then(Step::PrefixEnd);
                automaton.run(Set::Any);
                let kind = limit.map_or(Kind::Listing, |_| Kind::LimitedListing);
                reaches.push(reach(limit.map(|limit| limit.text), kind, automaton));
            }
        }
    }
    reaches
}

/// The listings of the keys of a bucket that a statement allows on one of its resources, each with the prefix that it is
/// limited to, if it is. An action that names or copies all keys of a bucket is a listing that no prefix limits.
pub(crate) fn listings<'a>(
    statement: &'a Statement<Text>,
    resource: &Text,
) -> Vec<Option<Prefix<'a>>> {
    // Listings are requests for a bucket, whose name has no slash.
    if !is_of_oss(resource) || resource.outline().contains('/') {
        return vec![];
    }
    let covers = |action: String| statement.actions.covers(&action);
    let limits = limits(statement);
    let lists = catalogue::listings().any(covers);
    // Whether OSS reads a prefix in another request than a listing is not documented; it would not limit the answer.
    let unlimited = lists && limits.is_empty() || catalogue::of_all_keys().any(covers);
    let limited = limits.into_iter().filter(|_| lists).map(Some);
    limited.chain(unlimited.then_some(None)).collect()
}

/// The values that limit a listing's prefix: of one operator, since each condition alone must hold. A negated operator
/// limits nothing here.
fn limits(statement: &Statement<Text>) -> Vec<Prefix<'_>> {
    let readings = [
        (Operator::StringEquals, Wildcards::Literal, false),
        (Operator::StringLike, Wildcards::Match, false),
        (Operator::StringEqualsIgnoreCase, Wildcards::Literal, true),
    ];
    let limit = readings.into_iter().find_map(|(operator, wildcards, ignores_case)| {
        let values = statement.condition.get(&operator)?.get(PREFIX_KEY)?;
        let prefix = |text| Prefix { text, ignores_case, wildcards };
        Some(values.as_slice().iter().map(prefix).collect())
    });
    limit.unwrap_or_default()
}

/// Whether an action may be one on an object.
fn acts_on_objects(actions: &Actions) -> bool {
    let may = |action: &String| {
        let service = action.split_once(':').map_or("*", |(service, _)| service);
        let of_oss = service.contains(['*', '?']) || service.eq_ignore_ascii_case(SERVICE);
        of_oss && !matches!(Level::of(action), Some(Level::Bucket | Level::Service))
    };
    match actions {
        Actions::Action(patterns) => patterns.as_slice().iter().any(may),
        Actions::NotAction(_) => true,
    }
}

/// Whether the resource may be one of OSS, in whatever letter case: RAM does not say that the case of a service counts.
fn is_of_oss(resource: &Text) -> bool {
    let outline = resource.outline();
    let service = outline.split(':').nth(1).unwrap_or("*");
    service.contains(['*', '?', '$']) || service.eq_ignore_ascii_case(SERVICE)
}

/// Adds the path of a resource; a shorter pattern covers any path.
fn path(automaton: &mut Automaton, resource: &Text, any: Set, alphabet: &Alphabet<'_>) {
    let reading = (Wildcards::Match, Case::Kept);
    match resource.after_fields(4) {
        Some(path) => automaton.text(&path, reading, any, alphabet),
        None => automaton.run(any),
    }
}
