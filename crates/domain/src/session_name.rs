//! The name of a role session, which ActionTrail records.

use super::{GrantName, text_type};

/// A `RoleSessionName`: 2 to 64 characters of `A-Z a-z 0-9 . @ - _`.
///
/// Source: STS `AssumeRole`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct SessionName(String);

impl SessionName {
    /// The longest session name.
    pub const LONGEST: usize = 64;

    /// The beginning of the names of grants' own sessions. No caller's session has a name that begins with it.
    pub const OF_GRANT: &str = "grant@";

    /// Whether a session name may contain the character.
    pub fn admits(c: char) -> bool {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '@' | '-' | '_')
    }

    /// The name of the grant's own session.
    pub fn of_grant(grant: &GrantName) -> Self {
        // Of at most 38 characters, all of which a session name admits.
        Self([Self::OF_GRANT, grant.as_str()].concat())
    }
}

text_type!(
    SessionName,
    |s| (2..=SessionName::LONGEST).contains(&s.len()) && s.chars().all(SessionName::admits),
    "a session name is 2 to 64 characters of A-Z, a-z, 0-9, `.`, `@`, `-` and `_`"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_names_are_what_sts_admits() {
        for good in ["ab", "client-002", "alice@example.com", &"x".repeat(64)] {
            assert!(good.parse::<SessionName>().is_ok(), "{good}");
        }
        for bad in ["", "a", "a b", "a/b", "é2", "a*", &"x".repeat(65)] {
            assert!(bad.parse::<SessionName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn every_grant_has_a_session_name() {
        for grant in ["a", "photo-upload", &"x".repeat(32)] {
            let name = SessionName::of_grant(&grant.parse().unwrap());
            assert_eq!(name.as_str().parse::<SessionName>().unwrap(), name);
        }
    }
}
