//! A RAM policy document as a tree of types.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::document::operator::ConditionOperator;

/// The longest session policy. STS: "The size of Policy must be smaller than 2048 bytes."
pub(crate) const MAX_POLICY_BYTES: usize = 2047;

/// A RAM policy document, version "1".
///
/// `T` is the type of the values of `Resource` and `Condition`: plain text, or text with placeholders. The order of the
/// fields is the canonical one.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub(crate) struct Document<T> {
    #[serde(rename = "Version")]
    pub(crate) version: Version,
    #[serde(rename = "Statement")]
    pub(crate) statements: Vec<Statement<T>>,
}

/// The only version of the policy language.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub(crate) enum Version {
    #[serde(rename = "1")]
    One,
}

/// Some actions on some resources, allowed or denied.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Statement<T> {
    pub(crate) effect: Effect,
    #[serde(flatten)]
    pub(crate) actions: Actions,
    pub(crate) resource: Strings<T>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) condition: Condition<T>,
}

/// The conditions of a statement: operators, and under each the keys that it compares.
pub(crate) type Condition<T> = BTreeMap<ConditionOperator, BTreeMap<String, Strings<T>>>;

/// The effect of a statement on the requests that it matches.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// The actions that a statement covers.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub(crate) enum Actions {
    /// Those that match one of the patterns.
    Action(Strings<String>),
    /// Those that match none.
    NotAction(Strings<String>),
}

impl Actions {
    pub(crate) fn patterns(&self) -> &[String] {
        match self {
            Self::Action(patterns) | Self::NotAction(patterns) => patterns.as_slice(),
        }
    }
}

/// One string, or a non-empty list. RAM treats both alike, but a rendered policy keeps the form of its template.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Strings<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Strings<T> {
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }

    fn map<U>(&self, each: &impl Fn(&T) -> U) -> Strings<U> {
        match self {
            Self::One(text) => Strings::One(each(text)),
            Self::Many(texts) => Strings::Many(texts.iter().map(each).collect()),
        }
    }
}

impl Strings<String> {
    /// The distinct texts; a single one is not written as a list.
    pub(crate) fn of(texts: Vec<String>) -> Self {
        let mut once: Vec<String> = Vec::with_capacity(texts.len());
        for text in texts {
            if !once.contains(&text) {
                once.push(text);
            }
        }
        match <[String; 1]>::try_from(once) {
            Ok([only]) => Self::One(only),
            Err(texts) => Self::Many(texts),
        }
    }
}

impl<T: Serialize> Serialize for Strings<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(text) => text.serialize(serializer),
            Self::Many(texts) => texts.serialize(serializer),
        }
    }
}

impl<T> Document<T> {
    /// The same document with each value of `Resource` and `Condition` replaced.
    pub(crate) fn map<U>(&self, each: impl Fn(&T) -> U) -> Document<U> {
        let map = |strings: &Strings<T>| strings.map(&each);
        let statement = |statement: &Statement<T>| Statement {
            effect: statement.effect,
            actions: statement.actions.clone(),
            resource: map(&statement.resource),
            condition: statement
                .condition
                .iter()
                .map(|(operator, keys)| {
                    (*operator, keys.iter().map(|(key, of)| (key.clone(), map(of))).collect())
                })
                .collect(),
        };
        Document {
            version: self.version,
            statements: self.statements.iter().map(statement).collect(),
        }
    }

    /// Every value of `Resource` and `Condition`.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.statements.iter().flat_map(|statement| {
            let conditions = statement.condition.values().flat_map(BTreeMap::values);
            conditions.chain([&statement.resource]).flat_map(Strings::as_slice)
        })
    }
}

impl Document<String> {
    /// A document of these statements.
    pub(crate) fn of(statements: Vec<Statement<String>>) -> Self {
        Self { version: Version::One, statements }
    }

    /// Canonical JSON without white space: fixed order of fields, sorted conditions, text beyond ASCII raw.
    pub(crate) fn minified(&self) -> String {
        serde_json::to_string(self).expect("strings, lists and maps of strings are always JSON")
    }
}
