//! Whether one policy allows nothing that another denies, decided exactly: complete and sound, over unions of statements,
//! denials, `NotAction` and conditions, for the reading of RAM by which [`Document::decide`] decides a request.
//!
//! `policy compare` uses it, and it is the second proof behind `containment`. It shares no code with `containment`, and none with the evaluator's matching. A
//! request is an action, a resource and a value or none for each condition key. Each of these coordinates falls into
//! finitely many classes that no statement tells apart; a class is which statements hold there, and one value that shows
//! it. A policy allows more than another exactly if one choice of classes is allowed by the first and denied by the second.

mod language;
mod patterns;
mod placeholders;
mod search;
mod too_complex;
mod values;
mod witness;

use crate::document::problem::PolicyProblem;
use crate::document::tree::{Document, Effect, Statement};
use patterns::Patterns;
use placeholders::Placeholders;
use search::Sides;
pub(crate) use too_complex::Bounds;
pub use too_complex::TooComplex;
pub use witness::Witness;

/// RAM policies to be compared with others: what one of them allows is allowed. A template is a policy, too: a
/// placeholder is a value that only `*` is certain to match, the same wherever the placeholder is written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ComparablePolicy(Vec<Document<String>>);

impl ComparablePolicy {
    /// Reads a policy, or says everything that is wrong with it.
    pub fn parse(json: &str) -> Result<Self, Vec<PolicyProblem>> {
        Document::read(json, |_, raw| Ok(raw.to_owned())).map(Self::of)
    }

    pub(crate) fn of(document: Document<String>) -> Self {
        Self(vec![document])
    }

    /// What one of the policies allows, such as the sessions of several grants: a denial of one denies nothing that
    /// another allows.
    pub fn any_of(policies: impl IntoIterator<Item = Self>) -> Self {
        Self(policies.into_iter().flat_map(|policy| policy.0).collect())
    }

    /// This policy and the other on one identity, such as two policies of a role: a denial of one denies what the other
    /// allows.
    #[must_use]
    pub fn attached_with(&self, other: &Self) -> Self {
        let both = |one: &Document<String>, other: &Document<String>| {
            let statements = one.statements.iter().chain(&other.statements).cloned().collect();
            Document { version: one.version, statements }
        };
        Self(self.0.iter().flat_map(|one| other.0.iter().map(|other| both(one, other))).collect())
    }

    /// Whether `other` allows all that this policy allows.
    pub fn inclusion_in(&self, other: &Self) -> Inclusion {
        let placeholders = match Placeholders::of(self.0.iter().chain(&other.0)) {
            Ok(placeholders) => placeholders,
            Err(bound) => return Inclusion::TooComplex(bound),
        };
        let [ours, theirs] = [self, other].map(|policy| {
            policy.0.iter().map(|document| placeholders.hidden(document)).collect::<Vec<_>>()
        });
        match inclusion(&ours, &theirs, &mut { Bounds::OFFLINE }) {
            Inclusion::Beyond(Witness { action, resource, conditions }) => {
                let shown = |text: String| placeholders.shown(&text);
                let conditions = conditions.into_iter().map(|(key, value)| (key, shown(value)));
                Inclusion::Beyond(Witness {
                    action,
                    resource: shown(resource),
                    conditions: conditions.collect(),
                })
            }
            decided => decided,
        }
    }
}

/// What of one policy another does not allow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Inclusion {
    /// Whatever the first allows, the second allows.
    Included,
    /// The first allows this request, and the second denies it.
    Beyond(Witness),
    /// Not decided within the bounds.
    TooComplex(TooComplex),
}

impl Document<String> {
    /// Whether `other` allows all that this policy allows.
    #[cfg(test)]
    pub(crate) fn inclusion_in(&self, other: &Self) -> Inclusion {
        self.inclusion_within(other, Bounds::OFFLINE)
    }

    /// Whether `other` allows all that this policy allows, decided at this cost at most.
    pub(crate) fn inclusion_within(&self, other: &Self, mut bounds: Bounds) -> Inclusion {
        self.inclusion_charged_to(other, &mut bounds)
    }

    /// The same, and what it costs is taken from the bounds.
    pub(crate) fn inclusion_charged_to(&self, other: &Self, bounds: &mut Bounds) -> Inclusion {
        inclusion(std::slice::from_ref(self), std::slice::from_ref(other), bounds)
    }
}

/// Whether one of `theirs` allows whatever one of `ours` allows.
fn inclusion(
    ours: &[Document<String>],
    theirs: &[Document<String>],
    bounds: &mut Bounds,
) -> Inclusion {
    match beyond(ours, theirs, bounds) {
        Ok(None) => Inclusion::Included,
        Ok(Some(witness)) => Inclusion::Beyond(witness),
        Err(bound) => Inclusion::TooComplex(bound),
    }
}

fn beyond(
    ours: &[Document<String>],
    theirs: &[Document<String>],
    bounds: &mut Bounds,
) -> Result<Option<Witness>, TooComplex> {
    let sides = Sides::of([ours, theirs])?;
    let statements: Vec<&Statement<String>> =
        ours.iter().chain(theirs).flat_map(|document| &document.statements).collect();
    let keys = values::keys(&statements);
    let (actions, resources) =
        (Patterns::of_actions(&statements), Patterns::of_resources(&statements));
    let mut coordinates = vec![actions.coordinate(bounds)?, resources.coordinate(bounds)?];
    for key in &keys {
        coordinates.push(values::coordinate(&statements, key, bounds)?);
    }
    let Some(mut found) = sides.search(&coordinates, &mut bounds.steps)? else { return Ok(None) };
    let conditions = keys.into_iter().zip(found.split_off(2));
    let mut named = found.into_iter().map(Option::unwrap_or_default);
    let (action, resource) = (named.next().unwrap_or_default(), named.next().unwrap_or_default());
    let (action, resource) = witness::realistic(action, resource, [&actions, &resources], bounds);
    let conditions = conditions.filter_map(|(key, value)| Some((key.to_owned(), value?))).collect();
    Ok(Some(Witness { action, resource, conditions }))
}

/// Whether a policy allows all that the policy of this text allows, at the cost of a request at most.
///
/// A denial only takes away: a policy is included if it is included without those of its denials that the other does not
/// have, which are left out first. A text that is no policy is beyond any other: nothing is known of it.
pub(crate) fn inclusion_of_text(json: &str, other: &Document<String>) -> Inclusion {
    let Ok(policy) = Document::read(json, |_, raw| Ok(raw.to_owned())) else {
        return Inclusion::Beyond(Witness::unknown());
    };
    let theirs = other.clone().canonicalize().statements;
    let mut wider = policy.clone();
    wider.statements.retain(|one| one.effect == Effect::Allow || theirs.contains(one));
    match wider.inclusion_within(other, Bounds::REQUEST) {
        Inclusion::Beyond(_) if wider != policy => policy.inclusion_within(other, Bounds::REQUEST),
        decided => decided,
    }
}

#[cfg(test)]
mod cost;
#[cfg(test)]
mod tests;
