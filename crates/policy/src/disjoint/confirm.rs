//! Two callers and a request that both are allowed, found from a candidate and decided by the evaluator on the whole
//! rendered policies, with their denials.

use std::collections::BTreeMap;

use appserver_domain::{ClientId, IssuerName, Subject};
use chrono::{DateTime, Utc};

use super::answer::SharedReach;
use super::automaton::{Alphabet, Values as PossibleValues};
use super::reach::{Kind, Reach};
use super::search::Candidate;
use super::shared_resource::{self, SharedResource};
use crate::document::tree::{Actions, Document, Statement};
use crate::evaluate::request::Request;
use crate::oss::catalogue::{self, PREFIX_KEY};
use crate::oss::operation::Level;
use crate::template::placeholder::{Placeholder, ValueSource};
use crate::template::policy_template::PolicyTemplate;
use crate::template::subject_form::SubjectForm;
use crate::template::text::Text;
use crate::template::values::{RawValues, Values};

/// A candidate with the reaches that it was found in.
pub(super) struct Pair<'a> {
    pub(super) reaches: [&'a Reach<'a>; 2],
    /// The placeholder whose values differ.
    pub(super) placeholder: usize,
    pub(super) candidate: Candidate,
}

/// Values that a placeholder has where the key does not say which; parameters of later attempts avoid denials.
const SAMPLES: [&str; 10] = ["alice", "bob", "carol", "a1", "b2", "1", "2", "01", "a", "b"];

/// Actions on objects, the most common ones first.
const ON_OBJECTS: [&str; 6] = [
    "oss:GetObject",
    "oss:PutObject",
    "oss:DeleteObject",
    "oss:GetObjectAcl",
    "oss:ListParts",
    "oss:AbortMultipartUpload",
];

/// Moments whose digits are those that the search prefers, by the month and by the day of the year.
const MOMENTS: [&str; 2] = ["1111-11-11T11:00:00Z", "1111-04-21T11:00:00Z"];

const ATTEMPTS: usize = 4;

/// The values of one caller, by the placeholder's number.
type Assigned = Vec<String>;

impl Pair<'_> {
    /// The two callers and their requests, if the evaluator confirms one of the attempts.
    pub(super) fn confirmed(
        &self,
        template: &PolicyTemplate,
        alphabet: &Alphabet<'_>,
        shared: &[SharedResource],
    ) -> Option<SharedReach> {
        (0..ATTEMPTS).find_map(|attempt| self.attempt(attempt, template, alphabet, shared))
    }

    fn attempt(
        &self,
        attempt: usize,
        template: &PolicyTemplate,
        alphabet: &Alphabet<'_>,
        shared: &[SharedResource],
    ) -> Option<SharedReach> {
        let values = self.assign(attempt, alphabet)?;
        let documents =
            [rendered(template, alphabet, &values[0])?, rendered(template, alphabet, &values[1])?];
        let requests = self.requests(&documents, shared)?;
        let used = |values: &Assigned| {
            let each = alphabet.placeholders.iter().zip(values);
            let each = each.filter(|(one, _)| !matches!(one.source, ValueSource::Now(_)));
            each.map(|(one, value)| format!("{one}=`{value}`")).collect::<Vec<_>>().join(", ")
        };
        Some(SharedReach { values: [used(&values[0]), used(&values[1])], requests })
    }

    /// A value for each placeholder of each side: what the key says, or a sample.
    fn assign(&self, attempt: usize, alphabet: &Alphabet<'_>) -> Option<[Assigned; 2]> {
        let mut assigned = [Vec::new(), Vec::new()];
        for (number, placeholder) in alphabet.placeholders.iter().enumerate() {
            let read = [0, 1].map(|side| self.read(side, number));
            if read.contains(&Err(())) {
                return None;
            }
            let [ours, theirs] = read.map(Result::unwrap_or_default);
            let is_chosen = matches!(placeholder.source, ValueSource::Parameter(_));
            let first = |other: Option<&String>| {
                let skipped = if is_chosen { attempt } else { 0 };
                let mut samples = samples(placeholder, alphabet);
                samples.retain(|sample| Some(sample) != other);
                let skipped = if samples.is_empty() { 0 } else { skipped % samples.len() };
                samples.into_iter().nth(skipped)
            };
            let (ours, theirs) = match (ours, theirs) {
                (Some(ours), Some(theirs)) => (ours, theirs),
                (None, None) if number == self.placeholder => {
                    let ours = first(None)?;
                    let theirs = first(Some(&ours))?;
                    (ours, theirs)
                }
                (None, None) => {
                    let both = first(None)?;
                    (both.clone(), both)
                }
                (Some(ours), None) if number == self.placeholder || is_chosen => {
                    let theirs = first(Some(&ours))?;
                    (ours, theirs)
                }
                (None, Some(theirs)) if number == self.placeholder || is_chosen => {
                    (first(Some(&theirs))?, theirs)
                }
                (Some(both), None) | (None, Some(both)) => (both.clone(), both),
            };
            // Equal texts can be different values where case is ignored.
            let theirs = if number == self.placeholder && ours == theirs {
                let upper = theirs.to_ascii_uppercase();
                if upper == theirs { theirs.to_ascii_lowercase() } else { upper }
            } else {
                theirs
            };
            assigned[0].push(ours);
            assigned[1].push(theirs);
        }
        let [ours, theirs] = &assigned;
        (ours[self.placeholder] != theirs[self.placeholder]).then_some(assigned)
    }

    /// The value that a side reads in the key, if it reads one; an error if it reads two different ones.
    fn read(&self, side: usize, number: usize) -> Result<Option<String>, ()> {
        let own = self.candidate.values[side].iter().filter(|(read, _)| *read == number);
        let mut own = own.map(|(_, value)| value);
        let first = own.next();
        if own.all(|other| Some(other) == first) { Ok(first.cloned()) } else { Err(()) }
    }

    /// The request of each side for the key, if both are allowed.
    fn requests(
        &self,
        documents: &[Document<String>; 2],
        shared: &[SharedResource],
    ) -> Option<[String; 2]> {
        let allowed = |side: usize, written: &Written| {
            let request =
                Request::new(&written.action, &written.resource, written.conditions.clone());
            request.is_ok_and(|request| documents[side].decide(&request).is_allowed())
        };
        let all = [0, 1].map(|side| self.requests_of(side));
        let is_for_both = |one: &&Written| allowed(0, one) && allowed(1, one);
        let common = all.iter().flatten().find(is_for_both);
        let of = |side: usize| all[side].iter().find(|one| allowed(side, one));
        let [ours, theirs] = match common {
            Some(common) => [common, common],
            None => [of(0)?, of(1)?],
        };
        // A request for both may be another than the search found.
        if [ours, theirs].iter().any(|one| one.is_shared(shared)) {
            return None;
        }
        Some([ours.to_string(), theirs.to_string()])
    }

    /// The requests by which a side may reach the key.
    fn requests_of(&self, side: usize) -> Vec<Written> {
        let reach = self.reaches[side];
        let path = &self.candidate.path;
        let mut conditions = BTreeMap::new();
        for reach in self.reaches {
            conditions.extend(satisfying(reach.statement));
        }
        let actions = actions(reach);
        let name = |path: &str| format!("acs:oss:*:*:{path}");
        let bucket = path.split('/').next().unwrap_or_default();
        let resource = match reach.kind {
            Kind::Object => name(path),
            Kind::Listing => name(bucket),
            Kind::LimitedListing => {
                let end = self.candidate.prefix_ends[side].unwrap_or(path.len());
                let prefix = path[..end].split_once('/').map_or("", |(_, prefix)| prefix);
                conditions.insert(PREFIX_KEY.to_owned(), prefix.to_owned());
                name(bucket)
            }
        };
        let written =
            |action| Written { action, resource: resource.clone(), conditions: conditions.clone() };
        actions.into_iter().map(written).collect()
    }
}

/// A request in words.
struct Written {
    action: String,
    resource: String,
    conditions: BTreeMap<String, String>,
}

impl Written {
    fn is_shared(&self, shared: &[SharedResource]) -> bool {
        let path = self.resource.splitn(5, ':').last().unwrap_or_default();
        let path = match self.conditions.get(PREFIX_KEY) {
            Some(prefix) => format!("{path}/{prefix}"),
            None => path.to_owned(),
        };
        let after = |positions, c| shared_resource::after(shared, &positions, c);
        let end = path.chars().fold(shared_resource::start(shared), after);
        shared_resource::is_shared(shared, &end)
    }
}

impl std::fmt::Display for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` on `{}`", self.action, self.resource)?;
        let mut before = " with ";
        for (key, value) in &self.conditions {
            write!(f, "{before}{key}=`{value}`")?;
            before = ", ";
        }
        Ok(())
    }
}

/// Actions of the reach, known ones first.
fn actions(reach: &Reach<'_>) -> Vec<String> {
    let actions = &reach.statement.actions;
    let known: Vec<String> = match reach.kind {
        Kind::Object => ON_OBJECTS.iter().map(ToString::to_string).collect(),
        Kind::LimitedListing => catalogue::listings().collect(),
        Kind::Listing => catalogue::listings().chain(catalogue::of_all_keys()).collect(),
    };
    let is_listing = |action: &str| known.iter().any(|one| one.eq_ignore_ascii_case(action));
    let written = match actions {
        Actions::Action(patterns) => patterns.as_slice(),
        Actions::NotAction(_) => &[],
    };
    let own = written.iter().filter(|action| {
        let is_name = !action.contains(['*', '?']);
        let fits = match reach.kind {
            Kind::Object => Level::of(action) == Some(Level::Object),
            Kind::Listing | Kind::LimitedListing => is_listing(action),
        };
        is_name && fits
    });
    let own: Vec<_> = own.cloned().collect();
    known.into_iter().filter(|action| actions.covers(action)).chain(own).collect()
}

/// Condition keys with which the statement's fixed conditions probably hold.
fn satisfying(statement: &Statement<Text>) -> BTreeMap<String, String> {
    let positive = statement.condition.iter().filter(|(operator, _)| !operator.is_negated());
    let keys = positive.flat_map(|(_, keys)| keys).filter(|(key, _)| *key != PREFIX_KEY);
    let value = |values: &[Text]| {
        let first = values.first()?.at_some_moment()?;
        let first = first
            .split_once('/')
            .filter(|(ip, _)| ip.parse::<std::net::IpAddr>().is_ok())
            .map_or(first.clone(), |(address, _)| address.to_owned());
        Some(first.replace('*', "").replace('?', "a"))
    };
    keys.filter_map(|(key, values)| Some((key.clone(), value(values.as_slice())?))).collect()
}

/// Admissible values of a placeholder.
fn samples(placeholder: &Placeholder, alphabet: &Alphabet<'_>) -> Vec<String> {
    if let PossibleValues::Listed(values) = alphabet.values(placeholder) {
        return values;
    }
    let rule = match &placeholder.source {
        ValueSource::Claim(name) => alphabet.rules.claims.get(name),
        ValueSource::Parameter(name) => alphabet.rules.params.get(name),
        ValueSource::Client
        | ValueSource::Issuer
        | ValueSource::Subject(_)
        | ValueSource::Now(_) => None,
    };
    let samples = SAMPLES.into_iter().filter(|text| rule.is_none_or(|rule| rule.admits(text)));
    samples.map(str::to_owned).collect()
}

/// The policy of a caller with these values, if they are admissible.
fn rendered(
    template: &PolicyTemplate,
    alphabet: &Alphabet<'_>,
    assigned: &Assigned,
) -> Option<Document<String>> {
    let mut client: ClientId = "client-1".parse().ok()?;
    let mut issuer: IssuerName = "issuer-1".parse().ok()?;
    let mut subject: Option<Subject> = None;
    let mut now: DateTime<Utc> = MOMENTS[0].parse().ok()?;
    let (mut claims, mut params) = (BTreeMap::new(), BTreeMap::new());
    // The rules require parameters that no policy uses, too.
    for (name, rule) in &alphabet.rules.params {
        let choice = rule.choices().and_then(|mut choices| choices.next());
        let sample = choice.or_else(|| SAMPLES.into_iter().find(|text| rule.admits(text)));
        params.insert(name.to_string(), sample?.to_owned());
    }
    for (placeholder, value) in alphabet.placeholders.iter().zip(assigned) {
        match &placeholder.source {
            ValueSource::Client => client = value.parse().ok()?,
            ValueSource::Issuer => issuer = value.parse().ok()?,
            // What a hash is of cannot be found from it; a sample is a subject.
            ValueSource::Subject(SubjectForm::Hash) if !SAMPLES.contains(&value.as_str()) => {
                return None;
            }
            ValueSource::Subject(_) => subject = Some(value.parse().ok()?),
            ValueSource::Claim(name) => {
                claims.insert(name.to_string(), value.clone());
            }
            ValueSource::Parameter(name) => {
                params.insert(name.to_string(), value.clone());
            }
            ValueSource::Now(format) => {
                let mut moments =
                    MOMENTS.iter().filter_map(|text| text.parse::<DateTime<Utc>>().ok());
                now = moments.find(|at| format.write(*at) == *value).unwrap_or(now);
            }
        }
    }
    let raw = RawValues {
        client: &client,
        issuer: Some(&issuer),
        subject: subject.as_ref(),
        claims: &claims,
        params: &params,
        now,
    };
    let values = Values::admit(alphabet.rules, &template.uses(), raw).ok()?;
    Some(template.fill(&values))
}
