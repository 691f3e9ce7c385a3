//! What is wrong with a configuration, all of it.

use std::error::Error;
use std::fmt;

use super::field::Field;
use crate::telemetry::with_causes;

/// One problem, at one key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// Such as `grants.daily-photos.policy`.
    pub path: String,
    /// The rule that is not kept, and the way out.
    pub message: String,
}

/// Every problem of a configuration, in the order of their keys.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Problems(Vec<Found>);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Found {
    problem: Problem,
    /// Whether it is one only as long as nothing else is said somewhere: what cannot be read may say it.
    of_absence: bool,
}

/// What is not known of the layers.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// A whole file.
    pub(super) of_files: bool,
    /// What stands at these paths is no table, and was taken for an empty one.
    pub(super) tables: Vec<String>,
}

impl Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, Problem { path, message }) in self.iter().enumerate() {
            let end = if i == 0 { "" } else { "\n" };
            write!(f, "{end}{path}: {message}")?;
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

    /// Notes an error with its causes, which say what the error only names.
    pub(super) fn add_error(&mut self, path: impl Into<String>, error: &dyn Error) {
        // Some libraries draw pictures; a problem is a line.
        self.add(path, with_causes(error).split_whitespace().collect::<Vec<_>>().join(" "));
    }

    pub(super) fn add(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        let problem = Problem { path: path.into(), message: message.to_string() };
        self.0.push(Found { problem, of_absence: false });
    }

    /// Notes that something is missing which another layer could say.
    pub(super) fn add_absence(&mut self, path: impl Into<String>, message: impl fmt::Display) {
        let problem = Problem { path: path.into(), message: message.to_string() };
        self.0.push(Found { problem, of_absence: true });
    }

    /// Takes out what may only be a consequence of what could not be read of the layers.
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

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add_all(&mut self, Self(more): Self) {
        self.0.extend(more);
    }

    /// What was resolved; the problems of what was not are noted.
    pub(super) fn gather<T>(&mut self, resolved: Result<T, Self>) -> Option<T> {
        resolved.map_err(|Self(more)| self.0.extend(more)).ok()
    }

    /// The field's value; a wrong one is noted.
    pub(super) fn take<T>(&mut self, path: &str, field: Field<T>) -> Option<T> {
        match field {
            Field::Absent => None,
            Field::Given(value) => Some(value),
            Field::Invalid(message) => {
                self.add(path, message);
                None
            }
        }
    }

    /// The field's value; a wrong or missing one is noted.
    pub(super) fn require<T>(&mut self, path: &str, field: Field<T>) -> Option<T> {
        if matches!(field, Field::Absent) {
            self.add_absence(path, "is missing");
        }
        self.take(path, field)
    }

    /// The field's value, or `unset` where it is absent; a wrong one is noted.
    pub(super) fn or<T>(&mut self, path: &str, field: Field<T>, unset: T) -> Option<T> {
        match field {
            Field::Absent => Some(unset),
            given => self.take(path, given),
        }
    }

    /// The thing, if nothing was wrong with it.
    pub(super) fn into_result<T>(mut self, resolved: Option<T>) -> Result<T, Self> {
        self.0.sort_by(|a, b| a.problem.path.cmp(&b.problem.path));
        match resolved {
            Some(resolved) if self.0.is_empty() => Ok(resolved),
            Some(_) | None => Err(self),
        }
    }
}
