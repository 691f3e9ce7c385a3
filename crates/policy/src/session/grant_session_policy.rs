//! The inline policy of a grant's own session, which signs upload forms and URLs for all callers of the grant.

use std::collections::BTreeMap;

use appserver_domain::Bucket;

use crate::document::tree::{Actions, Document, Effect, MAX_POLICY_BYTES, Statement, Strings};
use crate::session::grant_template::GrantTemplate;
use crate::template::text::Text;

/// What a grant's own session may do: what some caller of the grant may do to objects, and nothing else.
///
/// It is no `SessionPolicy` and none can be made of it, so no credentials of such a session reach a caller.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct GrantSessionPolicy(String);

/// What a grant signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ObjectActions {
    /// Upload forms and URLs that write: `oss:PutObject`.
    Put,
    /// URLs that read, by `GET` or `HEAD`: `oss:GetObject`.
    Get,
    /// Both.
    PutAndGet,
}

/// Why a policy template has no session of the grant's own.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum GrantSessionProblem {
    /// The session's policy would hold for no caller.
    #[error(
        "`{at}` uses `{placeholder}`: one session signs for all callers of the grant, so no caller's value can be put \
         there; use the placeholder in the `Resource` of an Allow instead"
    )]
    PlaceholderInCondition {
        /// Such as `Statement[0].Condition.StringLike.oss:Prefix`.
        at: String,
        /// As it is written.
        placeholder: String,
    },
    /// The session's policy would deny the objects of every caller.
    #[error(
        "`{at}` uses `{placeholder}` in a Deny: one session signs for all callers of the grant, so it would be denied to \
         all of them; leave what is denied out of the Allow instead"
    )]
    PlaceholderInDeny {
        /// Such as `Statement[1].Resource`.
        at: String,
        /// As it is written.
        placeholder: String,
    },
    /// The grant signs what no caller may do.
    #[error(
        "no Allow of the policy has the action `{0}`, which the grant signs: add it, or do not sign for it"
    )]
    ActionNotAllowed(&'static str),
    /// A pattern of object keys has a character with a meaning of its own.
    #[error(
        "`{0}` is no pattern of object keys: it may not be empty or have control characters, `$`, `{{` or `}}`"
    )]
    KeyPattern(String),
    /// STS would refuse it.
    #[error(
        "the policy of the session that signs for all callers of the grant has {bytes} bytes, and STS accepts at most \
         {MAX_POLICY_BYTES}: name fewer resources, or list fewer values of parameters and claims"
    )]
    TooLong {
        /// The length of the policy.
        bytes: usize,
    },
}

impl ObjectActions {
    /// The actions of a grant that signs this; none if it signs nothing.
    pub fn new(put: bool, get: bool) -> Option<Self> {
        match (put, get) {
            (true, true) => Some(Self::PutAndGet),
            (true, false) => Some(Self::Put),
            (false, true) => Some(Self::Get),
            (false, false) => None,
        }
    }

    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Put => &["oss:PutObject"],
            Self::Get => &["oss:GetObject"],
            Self::PutAndGet => &["oss:GetObject", "oss:PutObject"],
        }
    }
}

impl GrantTemplate {
    /// The policy of the grant's own session: everything that a caller's policy allows of these actions, and nothing that
    /// the template would allow no caller.
    ///
    /// A placeholder becomes its values, if they are listed and few, and else `*`. Statements that do not concern the
    /// actions are left out; what concerns them in part is reduced to them.
    pub fn grant_session_policy(
        &self,
        actions: ObjectActions,
    ) -> Result<GrantSessionPolicy, GrantSessionProblem> {
        let statements = self.reduced_to(actions, "*")?;
        for action in actions.names() {
            let allows =
                |one: &Statement<String>| one.effect == Effect::Allow && one.actions.covers(action);
            if !statements.iter().any(allows) {
                return Err(GrantSessionProblem::ActionNotAllowed(action));
            }
        }
        GrantSessionPolicy::of(statements)
    }

    /// The statements for all callers and these actions alone, with this pattern for a value that is not listed.
    pub(crate) fn reduced_to(
        &self,
        actions: ObjectActions,
        any: &str,
    ) -> Result<Vec<Statement<String>>, GrantSessionProblem> {
        let mut statements = Vec::new();
        for (i, statement) in self.document().statements.iter().enumerate() {
            statements.extend(reduced(statement, i, actions, any)?);
        }
        Ok(statements)
    }
}

impl GrantSessionPolicy {
    /// For looking at objects of these keys: `oss:GetObject` alone. In the pattern `*` and `?` are wildcards.
    pub fn reading(bucket: &Bucket, key_pattern: &str) -> Result<Self, GrantSessionProblem> {
        let has_meaning = |c: char| c.is_control() || matches!(c, '$' | '{' | '}');
        if key_pattern.is_empty() || key_pattern.contains(has_meaning) {
            return Err(GrantSessionProblem::KeyPattern(key_pattern.to_owned()));
        }
        Self::of(vec![reading(bucket, key_pattern)])
    }

    fn of(statements: Vec<Statement<String>>) -> Result<Self, GrantSessionProblem> {
        let json = Document::of(statements).canonicalize().minified();
        match json.len() {
            0..=MAX_POLICY_BYTES => Ok(Self(json)),
            bytes => Err(GrantSessionProblem::TooLong { bytes }),
        }
    }

    /// The JSON, without a copy.
    pub fn into_json(self) -> String {
        self.0
    }

    /// The JSON as it goes to STS.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Allows to read the objects of these keys.
pub(crate) fn reading(bucket: &Bucket, key_pattern: &str) -> Statement<String> {
    Statement {
        effect: Effect::Allow,
        actions: named(ObjectActions::Get.names()),
        resource: Strings::One(format!("acs:oss:*:*:{}/{key_pattern}", bucket.as_str())),
        condition: BTreeMap::new(),
    }
}

/// The statement for all callers and these actions alone; none if it concerns none of them.
fn reduced(
    statement: &Statement<Text>,
    index: usize,
    actions: ObjectActions,
    any: &str,
) -> Result<Option<Statement<String>>, GrantSessionProblem> {
    let covered = |action: &&str| statement.actions.covers(action);
    let covered: Vec<&str> = actions.names().iter().copied().filter(covered).collect();
    if covered.is_empty() {
        return Ok(None);
    }
    let mut condition = BTreeMap::new();
    for (operator, keys) in &statement.condition {
        let mut values_of_keys = BTreeMap::new();
        for (key, values) in keys {
            let at = || format!("Statement[{index}].Condition.{operator:?}.{key}");
            values_of_keys.insert(key.clone(), fixed(values, statement.effect, at)?);
        }
        condition.insert(*operator, values_of_keys);
    }
    let resource = match statement.effect {
        Effect::Allow => {
            let patterns = statement.resource.as_slice().iter().flat_map(|text| text.patterns(any));
            Strings::of(patterns.collect())
        }
        Effect::Deny => {
            fixed(&statement.resource, Effect::Deny, || format!("Statement[{index}].Resource"))?
        }
    };
    Ok(Some(Statement { effect: statement.effect, actions: named(&covered), resource, condition }))
}

fn named(actions: &[&str]) -> Actions {
    Actions::Action(Strings::of(actions.iter().map(|&action| action.to_owned()).collect()))
}

/// The texts, in which no placeholder may be.
fn fixed(
    texts: &Strings<Text>,
    effect: Effect,
    at: impl Fn() -> String,
) -> Result<Strings<String>, GrantSessionProblem> {
    let placeholder = texts.as_slice().iter().flat_map(Text::placeholders).next();
    if let Some(placeholder) = placeholder {
        let (at, placeholder) = (at(), placeholder.to_string());
        return Err(match effect {
            Effect::Allow => GrantSessionProblem::PlaceholderInCondition { at, placeholder },
            Effect::Deny => GrantSessionProblem::PlaceholderInDeny { at, placeholder },
        });
    }
    Ok(Strings::of(texts.as_slice().iter().map(Text::written).collect()))
}

#[cfg(test)]
mod tests;
