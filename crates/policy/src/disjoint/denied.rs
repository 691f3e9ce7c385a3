//! What a template denies all its callers: an object there is reached by no action that the denial covers.

use super::reach::{Kind, Reach};
use super::shared_resource::SharedResource;
use crate::document::tree::{Actions, Document, Effect, Statement};
use crate::template::text::Text;

/// The objects that a Deny without a condition and without a placeholder denies whichever caller.
pub(super) struct Denial<'a> {
    actions: &'a Actions,
    objects: SharedResource,
}

/// The denials that the proof uses. One with `?` is left out: RAM does not say what `?` counts.
pub(super) fn denials(document: &Document<Text>) -> Vec<Denial<'_>> {
    let is_plain = |one: &&Statement<Text>| one.effect == Effect::Deny && one.condition.is_empty();
    let mut denials = Vec::new();
    for statement in document.statements.iter().filter(is_plain) {
        for resource in statement.resource.as_slice() {
            let written = resource.written();
            if resource.placeholders().next().is_none() && !written.contains('?') {
                let objects = written.parse().into_iter();
                denials
                    .extend(objects.map(|objects| Denial { actions: &statement.actions, objects }));
            }
        }
    }
    denials
}

/// The objects that one of the two reaches does not reach, because each of its actions is denied there.
///
/// A denial on objects denies no listing, which is decided on the bucket.
pub(super) fn denied_to_one(
    denials: &[Denial<'_>],
    reaches: [&Reach<'_>; 2],
) -> Vec<SharedResource> {
    let is_denied = |denial: &&Denial<'_>| {
        reaches.iter().any(|reach| {
            reach.kind == Kind::Object && covers(denial.actions, &reach.statement.actions)
        })
    };
    denials.iter().filter(is_denied).map(|denial| denial.objects.clone()).collect()
}

/// Whether all allowed actions are denied, in the letter case in which they are written.
fn covers(denied: &Actions, allowed: &Actions) -> bool {
    let covers = |pattern: &str| denied.spelling_of(pattern).as_deref() == Some(pattern);
    match allowed {
        Actions::Action(patterns) => patterns.as_slice().iter().all(|pattern| covers(pattern)),
        Actions::NotAction(_) => covers("*"),
    }
}
