//! What RAM's language takes in one place of a policy: the same for templates, for callers' own policies and for
//! roles' policies, so that none of our readers takes what STS would refuse.
//!
//! Written from RAM's documentation alone. Where it is silent, the narrower form holds: a refusal before the call
//! names the place, STS's does not.

use crate::document::operator::ConditionOperator;
use crate::document::problem::PolicyProblem;
use crate::document::tree::Document;
use crate::document::value::Place;
use crate::document::value::TextFlaw;

impl Document<String> {
    /// A policy as RAM has it, without placeholders, or everything that is wrong with it.
    pub(crate) fn plain(json: &str) -> Result<Self, Vec<PolicyProblem>> {
        Self::read(json, |place, raw| match plain_flaw(place, raw) {
            None => Ok(raw.to_owned()),
            Some(flaw) => Err(vec![flaw]),
        })
    }
}

fn plain_flaw(place: Place<'_>, raw: &str) -> Option<TextFlaw> {
    if raw.chars().any(char::is_control) {
        return Some(TextFlaw::ControlCharacter);
    }
    match place {
        Place::Resource => (!is_resource(raw)).then_some(TextFlaw::NotAnArn),
        Place::Condition { operator, .. } => kind_flaw(operator?, raw),
    }
}

/// A value that is not of its operator's kind: STS refuses a policy that has one.
pub(crate) fn kind_flaw(operator: ConditionOperator, value: &str) -> Option<TextFlaw> {
    (!operator.takes(value)).then_some(TextFlaw::ValueKind { operator })
}

/// `service:Name`, or `*` alone: no other pattern stands for service and name at once.
pub(crate) fn is_action(raw: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '?' | '-' | '_');
    let named = |text: &str| !text.is_empty() && text.chars().all(plain);
    raw == "*" || raw.split_once(':').is_some_and(|(service, name)| named(service) && named(name))
}

/// `acs:<service>:<region>:<account>:<path>`, or fewer fields of which the last ends in a `*` for the rest, or `*`
/// alone.
pub(crate) fn is_resource(raw: &str) -> bool {
    let Some(fields) = raw.strip_prefix("acs:") else { return raw == "*" };
    match fields.splitn(4, ':').collect::<Vec<_>>()[..] {
        [service, region, account, path] => {
            !service.is_empty()
                && !path.is_empty()
                && [service, region, account].into_iter().all(is_field)
        }
        ref short => raw.ends_with('*') && short.iter().copied().all(is_field),
    }
}

/// The service, region or account of a resource.
fn is_field(field: &str) -> bool {
    field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '*' | '?'))
}

/// `<service>:<name>`; a name may hold a tag's key, which may be anything that can be seen.
pub(crate) fn is_condition_key(raw: &str) -> bool {
    let named = raw.split_once(':').is_some_and(|(of, name)| !of.is_empty() && !name.is_empty());
    named && !raw.chars().any(char::is_control)
}
