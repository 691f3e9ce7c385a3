//! RAM's wildcards.

/// A string in which `*` stands for any run of characters, `/` included, and `?` for exactly one.
///
/// RAM documents no escape, so every `*` and `?` is a wildcard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern<'a>(pub(crate) &'a str);

impl Pattern<'_> {
    /// Whether the whole of `text` matches.
    ///
    /// Only the latest `*` is ever widened: an earlier one cannot help, because whatever it would skip the
    /// later one can skip too. So there is no nested backtracking, and no pattern costs more than its
    /// length times the text's.
    pub(crate) fn matches(self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.chars(), text.chars());
        // Where to go on after widening the latest `*` by one character.
        let mut retry = None;
        loop {
            let unread = rest.clone();
            match (pattern.next(), rest.next()) {
                (None, None) => return true,
                (Some('*'), _) => {
                    rest = unread;
                    retry = Some((pattern.clone(), rest.clone()));
                }
                (Some('?'), Some(_)) => {}
                (Some(wanted), Some(found)) if wanted == found => {}
                (Some(_) | None, _) => {
                    let Some((after_star, skipped)) = &mut retry else { return false };
                    if skipped.next().is_none() {
                        return false;
                    }
                    (pattern, rest) = (after_star.clone(), skipped.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_stand_for_what_ram_says() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "a/b"),
            ("a*c", "abbc"),
            ("a*c", "ac"),
            ("a?c", "aéc"),
            ("*.jpg", "2015/a.jpg.jpg"),
            ("**a", "a"),
            ("*a*b", "xaxab"),
        ] {
            assert!(Pattern(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("", "a"), ("a", ""), ("?", ""), ("a*c", "acb"), ("a?c", "ac"), ("*.jpg", "a.png")]
        {
            assert!(!Pattern(pattern).matches(text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_nasty_pattern_does_not_stall() {
        let pattern = "*a".repeat(1000) + "b";
        assert!(!Pattern(&pattern).matches(&"a".repeat(1000)));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*?]{0,8}", text in "[ab/]{0,10}") {
            prop_assert_eq!(Pattern(&pattern).matches(&text), by_definition(&pattern, &text));
        }
    }

    fn by_definition(pattern: &str, text: &str) -> bool {
        match (pattern.chars().next(), text.chars().next()) {
            (None, found) => found.is_none(),
            (Some('*'), found) => {
                by_definition(&pattern[1..], text)
                    || found.is_some_and(|_| by_definition(pattern, &text[1..]))
            }
            (Some(wanted), Some(found)) => {
                (wanted == '?' || wanted == found) && by_definition(&pattern[1..], &text[1..])
            }
            (Some(_), None) => false,
        }
    }
}
