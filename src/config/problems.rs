//! Every problem of a configuration, collected in one run.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::field::{Clearable, Field, FieldValue, List};
use crate::telemetry::{escaped, with_causes};
use appserver_domain::UpstreamName;

/// One problem, at one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The key's path, such as `grants.daily-photos.policy`.
    pub path: String,
    /// The rule that is broken, and the way out.
    pub message: String,
}

/// Every problem of a configuration, in the order of their keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Problems(Vec<Found>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    problem: Problem,
    /// Whether a layer that could not be read may resolve it.
    of_absence: bool,
}

/// The parts of the layers that could not be read.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// Whether a whole file is among them.
    pub(super) of_files: bool,
    /// Paths where a table belongs and another value was found; it is read as an empty table.
    pub(super) tables: Vec<String>,
}

impl Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { path, message }) in self.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{}: {}", escaped(path), escaped(message))?;
        }
        Ok(())
    }
}

impl Problems {
    /// The problems one by one.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter().map(|found| &found.problem)
    }

    pub(crate) fn one(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let mut problems = Self::default();
        problems.add(path, message);
        problems
    }

    /// The problem of a missing value that another layer could set.
    pub(super) fn one_absence(path: impl Into<String>, message: impl fmt::Display) -> Self {
        let mut problems = Self::default();
        problems.add_absence(path, message);
        problems
    }

    /// Adds an error together with its causes.
    pub(super) fn add_error(&mut self, path: impl Into<String>, error: &dyn Error) {
        // Some libraries print several lines; a problem is one.
        self.add(path, with_causes(error).split_whitespace().collect::<Vec<_>>().join(" "));
    }

    pub(super) fn add(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        let problem = Problem { path: path.into(), message: message.to_string() };
        self.0.push(Found { problem, of_absence: false });
    }

    /// Adds a problem about a missing value that another layer could set.
    pub(super) fn add_absence(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        let problem = Problem { path: path.into(), message: message.to_string() };
        self.0.push(Found { problem, of_absence: true });
    }

    /// Drops the problems that may only follow from a part of the layers that could not be read.
    pub(super) fn drop_consequences(&mut self, gaps: &Gaps) {
        let is_below = |path: &str, table: &String| {
            let rest = path.strip_prefix(table.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.retain(|Found { problem, of_absence }| {
            let is_in_a_gap = gaps.tables.iter().any(|table| is_below(&problem.path, table));
            !of_absence || !(gaps.of_files || is_in_a_gap)
        });
    }

    /// The same problems, found in the identity of this upstream instead of in that of `[sts]`.
    pub(super) fn of_upstream(mut self, upstream: &UpstreamName) -> Self {
        let (of_sts, own) = ("sts.identity", format!("{}.identity", upstream.path()));
        for Found { problem: Problem { path, message }, .. } in &mut self.0 {
            if let Some(below) = path.strip_prefix(of_sts) {
                *path = format!("{own}{below}");
            }
            *message = message.replace(of_sts, &own);
        }
        self
    }

    /// Drops all but the first of equal problems.
    pub(super) fn drop_repeated(&mut self) {
        let mut seen: Vec<Found> = Vec::new();
        for found in std::mem::take(&mut self.0) {
            if !seen.contains(&found) {
                seen.push(found);
            }
        }
        self.0 = seen;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add_all(&mut self, Self(more): Self) {
        self.0.extend(more);
    }

    /// The resolved value; otherwise adds its problems.
    pub(super) fn gather<T>(&mut self, resolved: Result<T, Self>) -> Option<T> {
        resolved.map_err(|Self(more)| self.0.extend(more)).ok()
    }

    /// The field's value, if it has one; an invalid one is a problem.
    pub(super) fn take<T>(&mut self, field: Field<T>) -> Option<T> {
        match field.into_parts() {
            (_, FieldValue::Absent) => None,
            (_, FieldValue::Given(value)) => Some(value),
            (path, FieldValue::Invalid(message)) => {
                self.add(path, message);
                None
            }
        }
    }

    /// The field's value, unless it is empty; an invalid one is a problem.
    pub(super) fn take_set<T>(&mut self, field: Field<Clearable<T>>) -> Option<T> {
        self.take(field).and_then(|Clearable(value)| value)
    }

    /// The field's value; an invalid or missing one is a problem.
    pub(super) fn require<T>(&mut self, field: Field<T>) -> Option<T> {
        match field.into_parts() {
            (path, FieldValue::Absent) => {
                self.add_absence(path, "is missing");
                None
            }
            (_, FieldValue::Given(value)) => Some(value),
            (path, FieldValue::Invalid(message)) => {
                self.add(path, message);
                None
            }
        }
    }

    /// The field's value, or `default` where it is absent; an invalid one is a problem.
    pub(super) fn or<T>(&mut self, mut field: Field<T>, default: T) -> Option<T> {
        field.fill(default);
        self.take(field)
    }

    /// The name of a table at this path; an invalid one is a problem.
    pub(super) fn name<T: FromStr<Err: fmt::Display>>(
        &mut self,
        path: &str,
        name: &str,
    ) -> Option<T> {
        name.parse().map_err(|invalid| self.add(path, invalid)).ok()
    }

    /// The items of a list, or none where it is absent; an invalid one is a problem.
    pub(super) fn items<T>(&mut self, field: Field<List<T>>) -> Vec<T> {
        self.take(field).map_or_else(Vec::new, |List(items)| items)
    }

    /// The resolved value, if there is no problem.
    pub(super) fn into_result<T>(mut self, resolved: Option<T>) -> Result<T, Self> {
        self.0.sort_by(|a, b| a.problem.path.cmp(&b.problem.path));
        match resolved {
            Some(resolved) if self.0.is_empty() => Ok(resolved),
            Some(_) | None => Err(self),
        }
    }
}
