//! The members of a policy document: the kind of JSON of each, and the hint for a wrong one.

/// A member of the policy or of one of its statements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Member {
    Version,
    Statement,
    Effect,
    Action,
    NotAction,
    Resource,
    Condition,
}

impl Member {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Version => "Version",
            Self::Statement => "Statement",
            Self::Effect => "Effect",
            Self::Action => "Action",
            Self::NotAction => "NotAction",
            Self::Resource => "Resource",
            Self::Condition => "Condition",
        }
    }

    /// The object that the member belongs to.
    pub(crate) const fn owner(self) -> &'static str {
        match self {
            Self::Version | Self::Statement => "policy",
            Self::Effect | Self::Action | Self::NotAction | Self::Resource | Self::Condition => {
                "statement"
            }
        }
    }

    /// The kind of JSON that it takes.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Version | Self::Effect => "a string",
            Self::Statement => "a list of objects",
            Self::Action | Self::NotAction | Self::Resource => "a string or a list of strings",
            Self::Condition => "an object",
        }
    }

    /// The hint for a missing, empty or wrong member. It proposes leaving a member out only if the member is optional.
    pub(crate) const fn way_out(self) -> &'static str {
        match self {
            Self::Version => r#"write `"Version": "1"`"#,
            Self::Statement => {
                "write a list of statements, each an object with `Effect`, `Action` and `Resource`"
            }
            Self::Effect => r#"write "Allow" or "Deny""#,
            Self::Action => r#"write an action such as "oss:GetObject", or a list of actions"#,
            Self::NotAction => {
                r#"write the excepted action, such as "oss:DeleteObject", or a list of actions"#
            }
            Self::Resource => {
                r#"write a resource such as "acs:oss:*:*:bucket/key", or a list of resources"#
            }
            Self::Condition => {
                r#"leave it out, or write conditions such as {"StringLike": {"oss:Prefix": "2015/*"}}"#
            }
        }
    }
}
