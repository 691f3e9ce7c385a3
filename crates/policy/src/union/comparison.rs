//! Comparisons of the statements of one union, which together cost a bounded amount of work.

use std::borrow::Borrow;

use crate::document::tree::{Actions, Document, Effect, Statement, Strings};
use crate::exact::{Bounds, Inclusion};
use crate::matching::pattern::Pattern;
use crate::matching::resource::{ResourcePattern, fields};

/// The work for one union, in steps of the exact comparison: some seconds in a debug build, and less than one in another.
const WORK: usize = 2_000_000;

/// What is left of it that is not worth another comparison.
const REMAINDER: usize = 1_000;

/// The inclusion of statements in others, decided exactly while the work lasts. It is counted and not timed, so that the
/// same grants always have the same union.
#[derive(Debug)]
pub(super) struct UnionComparison {
    work: usize,
    is_complete: bool,
}

impl UnionComparison {
    pub(super) fn new() -> Self {
        Self { work: WORK, is_complete: true }
    }

    /// Records that the union is larger than it need be, because something was not decided.
    pub(super) fn set_incomplete(&mut self) {
        self.is_complete = false;
    }

    /// Whether everything that mattered was decided.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Whether the others, all of them `Allow`, include this statement. `None` if that is not decided.
    pub(super) fn includes<'a>(
        &mut self,
        others: impl IntoIterator<Item = &'a Statement<String>>,
        statement: &Statement<String>,
    ) -> Option<bool> {
        // The rest cannot include a part of it, and the comparison costs less without.
        let mut meeting = Vec::new();
        for other in others {
            meeting.extend(self.meeting(statement, other)?);
        }
        if meeting.is_empty() || has_example_beyond(statement, &meeting) {
            return Some(false);
        }
        self.decide(&Document::of(vec![statement.clone()]), &Document::of(meeting))
    }

    /// Whether a grant loses something by this denial in its role. `None` if that is not decided.
    pub(super) fn loses(
        &mut self,
        grant: &Document<String>,
        denial: &Statement<String>,
    ) -> Option<bool> {
        let mut loses = false;
        for allowed in grant.statements.iter().filter(|one| one.effect == Effect::Allow) {
            loses |= self.meeting(allowed, denial)?.is_some();
        }
        if !loses {
            return Some(false);
        }
        let everything = Statement {
            effect: Effect::Allow,
            actions: Actions::Action(Strings::One("*".to_owned())),
            resource: Strings::One("*".to_owned()),
            condition: [].into(),
        };
        let others = Document::of(vec![everything, denial.clone()]);
        self.decide(grant, &others).map(|is_included| !is_included)
    }

    fn decide(&mut self, one: &Document<String>, others: &Document<String>) -> Option<bool> {
        if self.work < REMAINDER {
            return None;
        }
        let given = Bounds { work: self.work.min(Bounds::REQUEST.work), ..Bounds::REQUEST };
        let mut bounds = given;
        let found = one.inclusion_charged_to(others, &mut bounds);
        self.charge((given.work - bounds.work) + (given.steps - bounds.steps))?;
        match found {
            Inclusion::Included => Some(true),
            Inclusion::Beyond(_) => Some(false),
            Inclusion::TooComplex(_) => None,
        }
    }

    /// Takes from the work that is left; `None` if it is more than that.
    fn charge(&mut self, work: usize) -> Option<()> {
        let left = self.work.checked_sub(work);
        self.work = left.unwrap_or(0);
        left.map(|_| ())
    }

    /// The other statement without the actions and resources that have nothing in common with this one; `Some(None)` if
    /// none is left.
    fn meeting(
        &mut self,
        statement: &Statement<String>,
        other: &Statement<String>,
    ) -> Option<Option<Statement<String>>> {
        let mut resources = Vec::new();
        for theirs in other.resource.as_slice() {
            self.charge(statement.resource.as_slice().len().div_ceil(CHEAP))?;
            for ours in statement.resource.as_slice() {
                if begin_alike(ours, theirs) {
                    self.charge((ours.len() * theirs.len()).div_ceil(CHEAP))?;
                    if ResourcePattern::intersects(ours, theirs) {
                        resources.push(theirs.clone());
                        break;
                    }
                }
            }
        }
        if resources.is_empty() {
            return Some(None);
        }
        let mut actions = other.actions.clone();
        if let (Actions::Action(ours), Actions::Action(theirs)) = (&statement.actions, &actions) {
            let theirs = theirs.as_slice().iter().filter(|theirs| {
                let theirs = theirs.to_ascii_lowercase();
                let mut ours = ours.as_slice().iter();
                ours.any(|ours| Pattern(&ours.to_ascii_lowercase()).intersects(Pattern(&theirs)))
            });
            let theirs: Vec<_> = theirs.cloned().collect();
            if theirs.is_empty() {
                return Some(None);
            }
            actions = Actions::Action(Strings::of(theirs));
        }
        let (effect, condition) = (other.effect, other.condition.clone());
        let resource = Strings::of(resources);
        Some(Some(Statement { effect, actions, resource, condition }))
    }
}

/// How many steps of a comparison of two patterns cost as much as one of the exact comparison, which `exact` counts.
const CHEAP: usize = 64;

/// Whether the texts before the first wildcard of each do not rule out that a name matches both.
fn begin_alike(one: &str, other: &str) -> bool {
    let before_wildcard = |text: &str| text.bytes().position(|b| b == b'*' || b == b'?');
    let [ours, theirs] = [one, other].map(|text| before_wildcard(text).unwrap_or(text.len()));
    let common = ours.min(theirs);
    one.as_bytes()[..common] == other.as_bytes()[..common]
}

/// What stands for a wildcard in an example: few patterns name it.
const EXAMPLE: &str = "\u{a1}";

/// Whether an example shows that the others do not include the statement: a request of it that none of them matches,
/// whatever their conditions. Without an example nothing is known.
fn has_example_beyond(
    statement: &Statement<String>,
    others: &[impl Borrow<Statement<String>>],
) -> bool {
    let Actions::Action(actions) = &statement.actions else { return false };
    // The request has no condition keys.
    if !statement.condition.is_empty() {
        return false;
    }
    let example = |pattern: &String| pattern.replace(['*', '?'], EXAMPLE);
    let resources = statement.resource.as_slice().iter().map(example);
    let resources: Vec<_> =
        resources.filter(|name| name.starts_with("acs:") && fields(name).is_some()).collect();
    let actions = actions.as_slice().iter().map(example).filter(|name| name.contains(':'));
    actions.into_iter().any(|action| {
        let can_allow = |other: &Statement<String>| {
            let action = action.to_ascii_lowercase();
            let mut patterns = other.actions.patterns().iter();
            let is_named =
                patterns.any(|pattern| Pattern(&pattern.to_ascii_lowercase()).matches(&action));
            is_named == matches!(other.actions, Actions::Action(_))
        };
        let others: Vec<_> =
            others.iter().map(Borrow::borrow).filter(|other| can_allow(other)).collect();
        resources.iter().any(|name| {
            let mut patterns = others.iter().flat_map(|other| other.resource.as_slice());
            patterns.all(|pattern| !ResourcePattern::new(pattern).matches(name))
        })
    })
}
