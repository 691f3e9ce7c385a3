//! RAM's wildcards `*` and `?`.

/// A pattern in which `*` matches any characters, including `/` and none, and `?` exactly one. RAM documents no escape, so there is none.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<char>);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().collect())
    }

    /// A case-insensitive pattern, as for actions; the texts to match must be in lower case.
    pub(crate) fn lower_case(text: &str) -> Self {
        Self::new(&text.to_lowercase())
    }

    /// Whether the pattern is only `*` (one or several), which names nothing.
    pub(crate) fn is_everything(&self) -> bool {
        self.0.iter().all(|&c| c == '*') && !self.0.is_empty()
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at_pattern, mut at_text) = (0, 0);
        // Where to continue if the rest after the latest `*` does not match: one character later in the text.
        let mut retry: Option<(usize, usize)> = None;
        while at_text < text.len() {
            match self.0.get(at_pattern) {
                Some('*') => {
                    retry = Some((at_pattern + 1, at_text + 1));
                    at_pattern += 1;
                }
                Some(&c) if c == '?' || c == text[at_text] => {
                    at_pattern += 1;
                    at_text += 1;
                }
                Some(_) | None => match retry {
                    Some((after_star, next)) => {
                        (at_pattern, at_text) = (after_star, next);
                        retry = Some((after_star, next + 1));
                    }
                    None => return false,
                },
            }
        }
        self.0[at_pattern..].iter().all(|&c| c == '*')
    }
}

/// A pattern over resource names, `acs:<service>:<region>:<account>:<relative id>`.
///
/// Each part is matched on its own, so that a `*` for the region cannot match the colon after it: otherwise
/// `acs:oss:*:*:mine/*` would cover the object `x:mine/y` of any bucket.
#[derive(Clone, Debug)]
pub(crate) enum ResourcePattern {
    /// Such as `*` or `acs:oss:*`: with fewer parts than a name, so that the last part matches the rest.
    Short(Pattern),
    Parts([Pattern; 5]),
}

impl ResourcePattern {
    pub(crate) fn new(text: &str) -> Self {
        match parts(text) {
            Some(parts) => Self::Parts(parts.map(Pattern::new)),
            None => Self::Short(Pattern::new(text)),
        }
    }

    pub(crate) fn is_everything(&self) -> bool {
        match self {
            Self::Short(pattern) => pattern.is_everything(),
            Self::Parts(_) => false,
        }
    }

    pub(crate) fn matches(&self, resource: &str) -> bool {
        match (self, parts(resource)) {
            (Self::Short(pattern), _) => pattern.matches(resource),
            (Self::Parts(patterns), Some(parts)) => {
                patterns.iter().zip(parts).all(|(pattern, part)| pattern.matches(part))
            }
            (Self::Parts(_), None) => false,
        }
    }
}

fn parts(name: &str) -> Option<[&str; 5]> {
    name.splitn(5, ':').collect::<Vec<_>>().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_crosses_slashes_and_a_question_mark_is_one_character() {
        let table = [
            ("*", "", true),
            ("*", "a/b", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("a*b*c", "aXbXbYc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?", "aé", true),
            ("", "", true),
            ("", "a", false),
            ("2015/*/x.jpg", "2015/01/01/x.jpg", true),
            ("abc", "abc", true),
            ("abc", "ABC", false),
        ];
        for (pattern, text, matches) in table {
            assert_eq!(Pattern::new(pattern).matches(text), matches, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_wildcard_in_one_part_does_not_match_the_next() {
        let table = [
            ("acs:oss:*:*:mine/*", "acs:oss:cn-hangzhou:11223344:mine/a/b", true),
            ("acs:oss:*:*:mine/*", "acs:oss:cn-hangzhou:11223344:other/x:mine/y", false),
            ("acs:oss:*:*:mine/*", "acs:oss:cn-hangzhou:11223344:mine/a:b", true),
            ("acs:oss:*:11223344:mine", "acs:oss:cn-hangzhou:55667788:mine", false),
            ("acs:oss:*", "acs:oss:cn-hangzhou:11223344:mine/a", true),
            ("*", "acs:ram::11223344:role/oss-readonly", true),
            ("acs:oss:*:*:*", "no name at all", false),
        ];
        for (pattern, resource, matches) in table {
            let found = ResourcePattern::new(pattern).matches(resource);
            assert_eq!(found, matches, "{pattern} on {resource}");
        }
    }
}
