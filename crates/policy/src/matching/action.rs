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

    /// The pattern `narrower` in the letter case of these patterns, if all that it then matches is provably covered,
    /// whether or not case counts.
    pub(crate) fn spelling_of(&self, narrower: &str) -> Option<String> {
        match self {
            Self::Action(patterns) => {
                patterns.as_slice().iter().find_map(|wide| spelling_in(wide, narrower))
            }
            Self::NotAction(patterns) => {
                let folded = narrower.to_ascii_lowercase();
                let meets = |pattern: &String| {
                    Pattern(&pattern.to_ascii_lowercase()).intersects(Pattern(&folded))
                };
                (!patterns.as_slice().iter().any(meets)).then(|| narrower.to_owned())
            }
        }
    }
}

/// The pattern, with the letters that stand before and after the wildcards of `wide` as they are written there, if
/// `wide` contains it.
fn spelling_in(wide: &str, narrower: &str) -> Option<String> {
    if contains(wide, narrower) {
        return Some(narrower.to_owned());
    }
    let is_wildcard = |c| matches!(c, '*' | '?');
    let Some((first, last)) = wide.find(is_wildcard).zip(wide.rfind(is_wildcard)) else {
        return wide.eq_ignore_ascii_case(narrower).then(|| wide.to_owned());
    };
    let (before, after) = (&wide[..first], &wide[last + 1..]);
    let (head, rest) = narrower.split_at_checked(before.len())?;
    let (middle, tail) = rest.split_at_checked(rest.len().checked_sub(after.len())?)?;
    let spelled = [before, middle, after].concat();
    let is_alike = head.eq_ignore_ascii_case(before) && tail.eq_ignore_ascii_case(after);
    (is_alike && contains(wide, &spelled)).then_some(spelled)
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
            assert_eq!(granted.spelling_of(within).as_deref(), Some(within));
        }
        for beyond in ["*", "oss:*", "*:GetObject", "oss:Put*", "oss:PutObjec?", "oss:?et*"] {
            assert_eq!(granted.spelling_of(beyond), None, "{beyond}");
        }
        let any = actions(&["*"]);
        assert!(any.spelling_of("*").is_some() && any.spelling_of("oss:*").is_some());
        let every = actions(&["*:*"]);
        assert_eq!(every.spelling_of("*"), None, "a star may not be cut at a colon");
    }

    #[test]
    fn letters_are_written_as_the_grant_writes_them() {
        let granted = actions(&["oss:Get*Acl", "oss:PutObject"]);
        for (written, spelled) in [
            ("oss:putobject", Some("oss:PutObject")),
            ("OSS:PUTOBJECT", Some("oss:PutObject")),
            ("oss:getobjectACL", Some("oss:GetobjectAcl")),
            ("oss:get*acl", Some("oss:Get*Acl")),
            ("oss:getacl", Some("oss:GetAcl")),
            ("oss:getac", None),
            ("oss:g", None),
            ("oss:put*", None),
        ] {
            assert_eq!(granted.spelling_of(written).as_deref(), spelled, "{written}");
        }
    }

    #[test]
    fn an_exception_is_met_in_either_case_and_over_colons() {
        let all_but = Actions::NotAction(Strings::Many(vec!["oss:Delete*".into(), "r*r".into()]));
        for within in ["oss:GetObject", "oss:Get*"] {
            assert_eq!(all_but.spelling_of(within).as_deref(), Some(within));
        }
        for met in ["oss:DeleteObject", "oss:deleteobject", "oss:*", "*", "ram:GetUser", "*:D*"] {
            assert_eq!(all_but.spelling_of(met), None, "{met}");
        }
    }
}
