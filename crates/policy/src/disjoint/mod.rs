//! The proof that different callers of one template reach different data.
//!
//! A caller is the values of the template's per-caller placeholders: the subject, the claims, the client and the
//! issuer. The property: for any two callers that differ in one of these values, and any parameters that either
//! chooses, no object key is reached by both. A key is reached by an action on the object, and by a listing whose
//! prefix it begins with. Of denials only those count that have neither a placeholder nor a condition, so what only
//! another denial separates is not proven.
//!
//! The proof shares no code with `template::isolation` and `template::path_rules`; `template::overlap`, which compares
//! callers of different grants, learns from it which listings a statement allows.

mod answer;
mod automaton;
mod callers;
mod confirm;
mod denied;
mod reach;
mod search;
mod shared_resource;

use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::policy_template::PolicyTemplate;
use crate::template::text::Text;
use crate::template::value_rule::ValueRules;
use answer::UnprovenReason;
pub use answer::{Disjointness, NotDisjoint, SharedReach, Unproven};
use automaton::Alphabet;
pub use callers::Callers;
pub(crate) use reach::{Prefix, listings};
pub use shared_resource::{SharedResource, SharedResourceProblem};

/// Candidates that are tried before the proof gives up.
const MAX_CANDIDATES: usize = 64;

/// Decides whether different callers of the template reach different keys.
pub(crate) fn decide(
    template: &PolicyTemplate,
    rules: &ValueRules,
    callers: &Callers,
    shared: &[SharedResource],
) -> Disjointness {
    let mut placeholders: Vec<&Placeholder> = Vec::new();
    for placeholder in template.document.values().flat_map(Text::placeholders) {
        if !placeholders.contains(&placeholder) {
            placeholders.push(placeholder);
        }
    }
    let alphabet = Alphabet { placeholders: &placeholders, rules, callers };
    let differing: Vec<usize> =
        (0..placeholders.len()).filter(|&at| differs(placeholders[at], callers)).collect();
    if differing.is_empty() {
        return Disjointness::Proven;
    }
    let reaches = reach::reaches(&template.document, &alphabet);
    let denials = denied::denials(&template.document);
    let mut unproven = None;
    let mut candidates = 0;
    'pairs: for (i, one) in reaches.iter().enumerate() {
        for (other, &placeholder) in
            reaches[i..].iter().flat_map(|other| differing.iter().map(move |at| (other, at)))
        {
            let denied = denied::denied_to_one(&denials, [one, other]);
            let exempt = search::Exempt { shared, denied: &denied };
            let reason = match search::common_key([one, other], placeholder, &alphabet, exempt) {
                search::Outcome::None => continue,
                search::Outcome::TooComplex => UnprovenReason::TooComplex,
                search::Outcome::Found(candidate) => {
                    let pair = confirm::Pair { reaches: [one, other], placeholder, candidate };
                    if let Some(found) = pair.confirmed(template, &alphabet, shared) {
                        return Disjointness::Shared(Box::new(found));
                    }
                    UnprovenReason::Unconfirmed
                }
            };
            let placeholder = placeholders[placeholder].to_string();
            let texts = [one.written(), other.written()];
            unproven.get_or_insert(Unproven { placeholder, texts, reason });
            candidates += 1;
            // Each costs a search or a rendering, and one without a proof is enough to refuse the template.
            if reason == UnprovenReason::TooComplex || candidates == MAX_CANDIDATES {
                break 'pairs;
            }
        }
    }
    unproven.map_or(Disjointness::Proven, |unproven| Disjointness::Unproven(Box::new(unproven)))
}

/// Whether two callers may have different values of the placeholder that neither of them chooses.
fn differs(placeholder: &Placeholder, callers: &Callers) -> bool {
    match placeholder.source {
        ValueSource::Client => callers.clients.len() != 1,
        ValueSource::Issuer => callers.issuers.len() != 1,
        ValueSource::Subject(_) | ValueSource::Claim(_) => true,
        ValueSource::Parameter(_) | ValueSource::Now(_) => false,
    }
}

#[cfg(test)]
mod tests;
