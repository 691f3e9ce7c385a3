//! One statement of a policy: its JSON form, and the form that is evaluated.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::condition::{Condition, ConditionProblem};
use super::evaluate::Request;
use super::pattern::Pattern;
use crate::strict_json::word;

/// A statement about resources or, in a trust policy, principals (`T`).
#[derive(Clone, Debug)]
pub(crate) struct Statement<T> {
    pub(crate) effect: Effect,
    pub(crate) actions: Actions,
    pub(crate) about: Vec<T>,
    conditions: Vec<Condition>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// The actions of a statement, case-insensitive.
#[derive(Clone, Debug)]
pub(crate) enum Actions {
    These(Vec<Pattern>),
    AllBut(Vec<Pattern>),
}

/// The JSON form, with principals as trust policies have them or as `P`. An element that is `null` differs from one that is absent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase", bound(deserialize = "P: Deserialize<'de>"))]
pub(crate) struct RawStatement<P = Entries<OneOrMore>> {
    #[serde(deserialize_with = "word")]
    effect: Effect,
    #[serde(default, deserialize_with = "given")]
    action: Option<OneOrMore>,
    #[serde(default, deserialize_with = "given")]
    not_action: Option<OneOrMore>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) resource: Option<OneOrMore>,
    #[serde(default, deserialize_with = "given")]
    pub(crate) principal: Option<P>,
    #[serde(default = "Entries::none")]
    condition: Entries<Entries<OneOrMore>>,
}

fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(json: D) -> Result<Option<T>, D::Error> {
    T::deserialize(json).map(Some)
}

/// The members of an object with free names; a repeated name is an error.
pub(crate) struct Entries<V>(pub(crate) Vec<(String, V)>);

impl<V> Entries<V> {
    fn none() -> Self {
        Self(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Object<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object that names nothing twice")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<V>, A::Error> {
                let mut entries = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, V>()? {
                    if entries.iter().any(|(earlier, _)| *earlier == name) {
                        return Err(A::Error::custom("a name occurs twice"));
                    }
                    entries.push((name, value));
                }
                Ok(Entries(entries))
            }
        }

        json.deserialize_map(Object(PhantomData))
    }
}

/// `"a"` means the same as `["a"]`.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a string or a list of strings")]
pub(crate) enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// Why a statement is invalid.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum StatementProblem {
    /// Neither or both are present.
    #[error("a statement has either `Action` or `NotAction`")]
    Action,
    /// Empty, or not `<service>:<name>` or `*`.
    #[error("an action reads `<service>:<name>` or `*`")]
    ActionForm,
    /// Missing, empty, or not a resource's name or `*`.
    #[error("`Resource` names `acs:<service>:<region>:<account>:<relative id>` or `*`")]
    Resource,
    /// A principal in an identity or session policy.
    #[error("`Principal` belongs in trust policies only")]
    Principal,
    /// A missing or unknown principal in a bucket policy.
    #[error(
        "`Principal` of a bucket policy is a list of `*`, UIDs and `arn:sts::<account>:assumed-role/<role>/<session>`, \
         whose only wildcard is the session `*`"
    )]
    BucketPrincipal,
    /// A missing or unknown principal in a trust policy.
    #[error(
        "`Principal` of a trust policy names `acs:ram::<account>:root`, `:user/<name>` or `:role/<name>` under `RAM`"
    )]
    TrustedPrincipal,
    /// A resource in a trust policy.
    #[error("a trust policy has no `Resource`: it applies to its own role")]
    ResourceOfTrust,
    /// An invalid condition.
    #[error("`Condition`: {0}")]
    Condition(ConditionProblem),
}

impl OneOrMore {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            Self::One(text) => vec![text],
            Self::More(texts) => texts,
        }
    }
}

impl<P> RawStatement<P> {
    /// Builds the statement about the parsed resources or principals.
    pub(crate) fn about<T>(self, about: Vec<T>) -> Result<Statement<T>, StatementProblem> {
        let actions = match (self.action, self.not_action) {
            (Some(actions), None) => Actions::These(action_patterns(actions)?),
            (None, Some(actions)) => Actions::AllBut(action_patterns(actions)?),
            (None, None) | (Some(_), Some(_)) => return Err(StatementProblem::Action),
        };
        let mut conditions = Vec::new();
        for (operator, Entries(keys)) in self.condition.0 {
            if keys.is_empty() {
                return Err(StatementProblem::Condition(ConditionProblem::NoKey));
            }
            for (key, values) in keys {
                let is_key = is_condition_key(&key);
                let condition = Condition::new(&operator, key, values.into_vec());
                conditions.push(condition.map_err(StatementProblem::Condition)?);
                if !is_key {
                    return Err(StatementProblem::Condition(ConditionProblem::Key));
                }
            }
        }
        Ok(Statement { effect: self.effect, actions, about, conditions })
    }
}

impl<T> Statement<T> {
    /// Whether the statement applies to the request: all keys of all conditions must hold.
    pub(crate) fn applies(&self, request: &Request<'_>, is_about: impl Fn(&T) -> bool) -> bool {
        self.actions.cover(request.action)
            && self.about.iter().any(is_about)
            && self
                .conditions
                .iter()
                .all(|condition| condition.holds(request.value(&condition.key)))
    }
}

impl Actions {
    fn cover(&self, action: &str) -> bool {
        let action = action.to_lowercase();
        match self {
            Self::These(patterns) => patterns.iter().any(|pattern| pattern.matches(&action)),
            Self::AllBut(patterns) => !patterns.iter().any(|pattern| pattern.matches(&action)),
        }
    }

    /// Whether an action is named. `NotAction` and `*` name none.
    pub(crate) fn are_named(&self) -> bool {
        match self {
            Self::These(patterns) => !patterns.iter().any(Pattern::is_everything),
            Self::AllBut(_) => false,
        }
    }
}

/// Such as `oss:Prefix`, or `acs:ResourceTag/team`.
fn is_condition_key(key: &str) -> bool {
    let parts: Vec<&str> = key.splitn(2, ':').collect();
    parts.len() == 2
        && parts.iter().all(|part| !part.is_empty())
        && !key.contains(|c: char| c.is_control() || "${}".contains(c))
}

fn action_patterns(actions: OneOrMore) -> Result<Vec<Pattern>, StatementProblem> {
    let actions = actions.into_vec();
    let part = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "*?-_".contains(c))
    };
    let well_formed = |action: &String| match action.split_once(':') {
        Some((service, name)) => part(service) && part(name),
        None => action == "*",
    };
    if actions.is_empty() || !actions.iter().all(well_formed) {
        return Err(StatementProblem::ActionForm);
    }
    Ok(actions.iter().map(|action| Pattern::lower_case(action)).collect())
}
