//! Patterns with RAM's wildcards.

use std::str::Chars;

/// A pattern in which `*` matches any run of characters, `/` included, and `?` exactly one.
///
/// RAM documents no escape, so every `*` and `?` is a wildcard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern<'a>(pub(crate) &'a str);

impl Pattern<'_> {
    /// Whether the whole of `text` matches.
    pub(crate) fn matches(self, text: &str) -> bool {
        fits(self.0.chars(), text.chars(), |wanted, found| wanted == '?' || wanted == found)
    }

    /// Whether this pattern matches everything that `narrower` matches.
    ///
    /// Each character and wildcard of `narrower` is one symbol, and this pattern must match the sequence of symbols: a
    /// `*` there lies under a `*` here only, a `?` under `?` and `*`. Any text that `narrower` matches can be split
    /// along its symbols, so the same match holds for the text. The reverse is true as well, with one deliberate
    /// exception: a `?` here takes only ASCII characters of the other pattern, because RAM does not say whether `?` is
    /// a character or a byte.
    pub(crate) fn contains(self, narrower: Pattern<'_>) -> bool {
        let spread = spread(self.0);
        fits(spread.chars(), narrower.0.chars(), |wanted, found| match (wanted, found) {
            (_, '*') => false,
            ('?', found) => found.is_ascii(),
            (wanted, found) => wanted == found,
        })
    }
}

impl Pattern<'_> {
    /// Whether some text matches both patterns.
    pub(crate) fn intersects(self, other: Pattern<'_>) -> bool {
        // A text is matched in a fraction of the time.
        let is_text = |pattern: &str| !pattern.contains(['*', '?']);
        if is_text(self.0) {
            return other.matches(self.0);
        }
        if is_text(other.0) {
            return self.matches(other.0);
        }
        let others: Vec<_> = other.0.chars().collect();
        // Whether the rest of this pattern intersects the rest of the other, by the number of characters of the other
        // that are skipped. It begins with nothing left of this one.
        let mut met: Vec<bool> =
            (0..=others.len()).map(|at| others[at..].iter().all(|&c| c == '*')).collect();
        for one in self.0.chars().rev() {
            let after = met.clone();
            for at in (0..=others.len()).rev() {
                let found = others.get(at);
                met[at] = match (one, found) {
                    ('*', found) => after[at] || (found.is_some() && met[at + 1]),
                    (_, Some('*')) => met[at + 1] || after[at],
                    (one, Some(&found)) => {
                        (one == found || one == '?' || found == '?') && after[at + 1]
                    }
                    (_, None) => false,
                };
            }
        }
        met[0]
    }
}

/// Whether the pattern fits the whole text; `one` decides which characters a symbol other than `*` takes.
///
/// Only the latest `*` is ever widened: an earlier one cannot help, because the later one can skip whatever it would
/// skip. So there is no nested backtracking, and the cost is at most the pattern's length times the text's.
fn fits(mut pattern: Chars<'_>, mut rest: Chars<'_>, one: impl Fn(char, char) -> bool) -> bool {
    // The state after widening the latest `*` by one character.
    let mut retry = None;
    loop {
        let unread = rest.clone();
        match (pattern.next(), rest.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                rest = unread;
                retry = Some((pattern.clone(), rest.clone()));
            }
            (Some(wanted), Some(found)) if one(wanted, found) => {}
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

/// The same pattern with a `*` around each `?` in a row of wildcards that has a `*`: `?*`, `*?` and `*?*` mean the
/// same, and only the last shows it symbol by symbol.
fn spread(pattern: &str) -> String {
    let mut spread = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        let row = rest.find(|c| !matches!(c, '*' | '?')).unwrap_or(rest.len());
        let (wildcards, after) = rest.split_at(row.max(c.len_utf8()));
        if row > 0 && wildcards.contains('*') {
            spread.push('*');
            wildcards.matches('?').for_each(|_| spread.push_str("?*"));
        } else {
            spread.push_str(wildcards);
        }
        rest = after;
    }
    spread
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wildcards_match_what_ram_documents() {
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

    proptest! {
        #[test]
        fn two_patterns_intersect_if_a_text_matches_both(
            one in "[ab*?]{0,4}", other in "[ab*?]{0,4}",
        ) {
            let mut texts = vec![String::new()];
            for length in 0..8 {
                let longer: Vec<_> = texts.iter().filter(|text| text.len() == length)
                    .flat_map(|text| ["a", "b"].map(|c| format!("{text}{c}"))).collect();
                texts.extend(longer);
            }
            let both = |text: &String| Pattern(&one).matches(text) && Pattern(&other).matches(text);
            prop_assert_eq!(Pattern(&one).intersects(Pattern(&other)), texts.iter().any(both));
        }
    }

    #[test]
    fn patterns_lie_within_patterns_that_match_more() {
        for (wide, narrow) in [
            ("*", "*"),
            ("*", ""),
            ("*?", "?*"),
            ("?*", "*?"),
            ("**", "a*?"),
            ("*?*", "*a?*"),
            ("a*", "a/b/*"),
            ("a?c", "abc"),
            ("a?c", "a?c"),
            ("*.jpg", "2015/*.jpg"),
            ("users/alice/*", "users/alice/*/x"),
            ("é*", "é?"),
        ] {
            assert!(Pattern(wide).contains(Pattern(narrow)), "{wide} {narrow}");
        }
        for (wide, narrow) in [
            ("", "*"),
            ("?", "*"),
            ("?*", "*"),
            ("a?c", "a*c"),
            ("users/alice/*", "users/alice*"),
            ("users/alice/*", "users/*/x"),
            ("users/alice/", "users/alice/*"),
            ("a*b", "a*"),
            ("?", "é"),
            ("a", "A"),
        ] {
            assert!(!Pattern(wide).contains(Pattern(narrow)), "{wide} {narrow}");
        }
    }

    #[test]
    fn nasty_patterns_do_not_stall_containment() {
        let wide = "*a".repeat(500) + "b";
        let narrow = "a*".repeat(500);
        assert!(!Pattern(&wide).contains(Pattern(&narrow)));
        assert!(!Pattern(&"?*".repeat(500)).contains(Pattern(&"*?".repeat(400))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Against every text of up to seven letters, one of which no pattern holds.
        #[test]
        fn containment_is_what_trying_every_text_shows(
            wide in "[ab*?]{0,3}", narrow in "[ab*?]{0,3}",
        ) {
            let mut all = texts(7).iter();
            let escapes =
                all.find(|text| by_definition(&narrow, text) && !by_definition(&wide, text));
            prop_assert_eq!(
                Pattern(&wide).contains(Pattern(&narrow)), escapes.is_none(), "{:?}", escapes
            );
        }
    }

    fn texts(longest: usize) -> &'static [String] {
        static TEXTS: std::sync::OnceLock<Vec<String>> = std::sync::OnceLock::new();
        TEXTS.get_or_init(|| {
            let mut texts = vec![String::new()];
            let mut latest = texts.clone();
            for _ in 0..longest {
                let longer =
                    |text: &String| ["a", "b", "/"].map(|letter| format!("{text}{letter}"));
                latest = latest.iter().flat_map(longer).collect();
                texts.extend_from_slice(&latest);
            }
            texts
        })
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
