//! Matches patterns against names of actions.

use crate::document::tree::Actions;
use crate::matching::pattern::Pattern;

impl Actions {
    /// Whether a statement with these actions covers the action. RAM compares without regard to case.
    pub(crate) fn covers(&self, action: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let named = |pattern: &String| Pattern(&pattern.to_ascii_lowercase()).matches(&action);
        match self {
            Self::Action(patterns) => patterns.as_slice().iter().any(named),
            Self::NotAction(patterns) => !patterns.as_slice().iter().any(named),
        }
    }

    /// Whether everything that the pattern `narrower` matches is provably covered, whether or not case counts.
    ///
    /// Nothing is proven about `NotAction`, which would take a proof about what does *not* match.
    pub(crate) fn contains(&self, narrower: &str) -> bool {
        match self {
            Self::Action(patterns) => {
                patterns.as_slice().iter().any(|wide| contains(wide, narrower))
            }
            Self::NotAction(_) => false,
        }
    }
}

/// Containment by service and by name, which implies containment of the whole text.
fn contains(wide: &str, narrower: &str) -> bool {
    match (wide.split_once(':'), narrower.split_once(':')) {
        (Some(wide), Some(narrow)) => {
            Pattern(wide.0).contains(Pattern(narrow.0))
                && Pattern(wide.1).contains(Pattern(narrow.1))
        }
        (None, _) => Pattern(wide).contains(Pattern(narrower)),
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::tree::Strings;

    fn actions(patterns: &[&str]) -> Actions {
        Actions::Action(Strings::Many(patterns.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn case_does_not_count_when_a_request_is_decided() {
        assert!(actions(&["oss:PutObject", "OSS:get*"]).covers("oss:GetObject"));
        assert!(!actions(&["oss:PutObject"]).covers("oss:GetObject"));
        let all_but = Actions::NotAction(Strings::One("oss:delete*".to_owned()));
        assert!(all_but.covers("oss:GetObject") && !all_but.covers("oss:DeleteObject"));
    }

    #[test]
    fn only_what_a_pattern_spells_out_is_contained() {
        let granted = actions(&["oss:Get*", "oss:PutObject"]);
        for within in ["oss:GetObject", "oss:Get*", "oss:Get*Acl", "oss:Get?bject", "oss:PutObject"]
        {
            assert!(granted.contains(within), "{within}");
        }
        for beyond in
            ["*", "oss:*", "*:GetObject", "oss:getobject", "oss:Put*", "oss:PutObjec?", "oss:?et*"]
        {
            assert!(!granted.contains(beyond), "{beyond}");
        }
        assert!(actions(&["*"]).contains("*") && actions(&["*"]).contains("oss:*"));
        assert!(!actions(&["*:*"]).contains("*"), "a star may not be cut at a colon");
        let all_but = Actions::NotAction(Strings::One("oss:DeleteObject".to_owned()));
        assert!(!all_but.contains("oss:GetObject"));
    }
}
